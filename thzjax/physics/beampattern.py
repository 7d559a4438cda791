"""Transmit beam pattern of a half-wavelength linear array, and its error against a desired pattern."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.numeric import as_complex, as_real, hermitian, matmul, row, trailing
from thzjax.physics.arrays import ula_steering


def pattern_grid() -> Array:
    """The 1801 directions -90..90 degrees by 0.1 (whole tenths), in radians. Source: paper A, after eq. (16)."""
    return jnp.deg2rad(jnp.arange(-900, 901).astype(float) / 10)


@jax.jit
def desired_pattern(grid_rad: Array, targets_rad: ArrayLike, width_rad: ArrayLike) -> Array:
    """Ideal pattern: 1 within width/2 of a target (edges included), else 0.

    Args:
      grid_rad: directions [rad], `[L]`, on whole tenths of a degree.
      targets_rad: target directions [rad], `[T]`.
      width_rad: width of each main beam [rad].

    Returns:
      `[L]`, 0 or 1. Membership is decided on integer tenths of a degree, so rounding moves no edge.

    Source: paper A, eq. (17).
    """

    def tenths(x: ArrayLike) -> Array:
        return jnp.round(as_real(x) * (1800 / np.pi)).astype(jnp.int32)

    away = jnp.abs(tenths(grid_rad)[:, None] - jnp.atleast_1d(tenths(targets_rad))[None])
    return jnp.any(2 * away <= tenths(width_rad), axis=-1).astype(as_real(grid_rad).dtype)


def transmit_covariance(W: Array) -> Array:
    """R = W W^H, `[..., M, M]` [W], of a beamformer `[..., M, S]`. Source: paper A, after eq. (16)."""
    return matmul(W, hermitian(W))


def beam_pattern(R: Array, grid_rad: Array) -> Array:
    """Power radiated towards each direction: P(psi) = a^H(psi) R a(psi), a unit-norm and half-wavelength.

    Args:
      R: transmit covariance [W], `[..., M, M]`.
      grid_rad: directions from broadside [rad], `[L]`.

    Returns:
      `[..., L]` [W].

    Source: paper A, after eq. (16).
    """
    a = ula_steering(grid_rad, R.shape[-1])
    a = a.reshape((1,) * (R.ndim - 2) + a.shape)
    return jnp.real(jnp.sum(matmul(jnp.conj(a), as_complex(R)) * a, axis=-1))


def beam_pattern_error(R: Array, desired: Array, grid_rad: Array, p_ref_w: ArrayLike = 1.0) -> Array:
    """Mean square difference from the desired pattern: mean |desired - beam_pattern(R)/p_ref|^2.

    Args:
      R: transmit covariance [W], `[..., M, M]`.
      desired: `[L]`, see `desired_pattern`.
      grid_rad: directions [rad], `[L]`.
      p_ref_w: power that counts as 1 [W], broadcasting against `[...]`.

    Returns:
      Error, dimensionless, `[...]`.

    Source: paper A, eq. (16).
    """
    pattern = beam_pattern(R, grid_rad) / trailing(as_real(p_ref_w))
    return jnp.mean((row(desired, pattern, 0) - pattern) ** 2, axis=-1)


@struct.dataclass
class PatternGram:
    """The error as a quadratic form in the 2M - 1 real lag sums t of R/p_ref: t^T Q t - 2 q^T t + constant.

    Attributes:
      quadratic: Q, `[2M-1, 2M-1]`.
      linear: q, `[2M-1]`.
      constant: mean of the squared desired pattern: the error of transmitting nothing.
    """

    quadratic: Array
    linear: Array
    constant: Array


def _sum_of_products(x: Array, y: Array) -> Array:
    """Sum over axis 0 of x_li y_lj, `[L, I]`, `[L, J]` -> `[I, J]`.

    In two levels, so that float32 loses a few ulp and not a few hundred; as products of blocks, which at M = 256 take
    40 MB where all single products would take 1.9 GB.
    """
    block = 48
    x, y = (jnp.pad(part, [(0, -len(part) % block), (0, 0)]).reshape(-1, block, part.shape[1]) for part in (x, y))
    return jnp.sum(jnp.einsum("bli,blj->bij", x, y, precision=lax.Precision.HIGHEST), axis=0)


@functools.partial(jax.jit, static_argnums=0)
def pattern_gram(num: int, desired: Array, grid_rad: Array) -> PatternGram:
    """Gram form of `beam_pattern_error` for `num` antennas: computed once, it needs no grid at run time.

    The pattern of a uniform linear array depends on R only through its diagonal sums
    r_q = sum_{m - n = q} R_mn, q = 0..M-1: P(psi) = (1/M) sum_q r_q exp(j pi q sin(psi)).

    Args:
      num: M, antennas.
      desired: `[L]`.
      grid_rad: `[L]` [rad].

    Returns:
      `PatternGram` for `beam_pattern_error_gram`.
    """
    lag = np.arange(1, num)
    phase = jnp.pi * jnp.sin(grid_rad)[:, None] * jnp.asarray(lag[None], dtype=grid_rad.dtype)
    basis = jnp.concatenate([jnp.ones_like(grid_rad)[:, None], 2 * jnp.cos(phase), -2 * jnp.sin(phase)], axis=1)
    basis = basis / num
    wanted = desired[:, None]
    return PatternGram(
        quadratic=_sum_of_products(basis, basis) / len(basis),
        linear=_sum_of_products(basis, wanted)[:, 0] / len(basis),
        constant=_sum_of_products(wanted, wanted)[0, 0] / len(basis),
    )


def diagonal_sums(R: Array) -> Array:
    """Lag sums of a Hermitian matrix as reals: [r_0, Re r_1.., Im r_1..], r_q = sum_{m - n = q} R_mn.

    `[..., M, M]` -> `[..., 2M-1]`.
    """
    num = R.shape[-1]
    # Padding each reversed row by M and reading the result in rows of 2M - 1 shifts row m by m, so that a
    # column sum is a diagonal sum: no loop over the lags.
    skewed = jnp.pad(jnp.flip(R, axis=-1), [(0, 0)] * (R.ndim - 1) + [(0, num)])
    skewed = skewed.reshape(*R.shape[:-2], 2 * num * num)[..., : num * (2 * num - 1)]
    lags = jnp.sum(skewed.reshape(*R.shape[:-2], num, 2 * num - 1), axis=-2)[..., num - 1 :]
    return jnp.concatenate([jnp.real(lags), jnp.imag(lags[..., 1:])], axis=-1)


def beam_pattern_error_gram(R: Array, gram: PatternGram, p_ref_w: ArrayLike = 1.0) -> Array:
    """`beam_pattern_error` by its Gram form: the same number without a grid.

    Args:
      R: transmit covariance [W], `[..., M, M]`.
      gram: from `pattern_gram`.
      p_ref_w: power that counts as 1 [W], broadcasting against `[...]`.

    Returns:
      Error, dimensionless, `[...]`.
    """
    quadratic, linear = error_coefficients(R, gram, p_ref_w)
    return quadratic - 2 * linear + gram.constant


def error_coefficients(R: Array, gram: PatternGram, p_ref_w: ArrayLike = 1.0) -> tuple[Array, Array]:
    """(a, b) of L_r(s R) = a s^2 - 2 b s + constant: how the error moves with the radiated power s, `[...]`."""
    t = diagonal_sums(R) / trailing(as_real(p_ref_w))
    quadratic = jnp.sum(t * jnp.einsum("ij,...j->...i", gram.quadratic, t, precision=lax.Precision.HIGHEST), axis=-1)
    return quadratic, jnp.sum(t * row(gram.linear, t, 0), axis=-1)


def largest_power_scale(R: Array, gram: PatternGram, threshold: ArrayLike, p_ref_w: ArrayLike = 1.0) -> Array:
    """Largest power scale s in [0, 1] with L_r(s R) <= threshold, `[...]`.

    The error is a s^2 - 2 b s + constant, so s is the larger root of a quadratic. Where no s in [0, 1] meets
    the threshold, the s of least error is given, and the caller's slack says so.

    Args:
      R: transmit covariance [W], `[..., M, M]`.
      gram: from `pattern_gram`.
      threshold: largest error allowed, broadcasting against `[...]`.
      p_ref_w: power that counts as 1 [W], broadcasting against `[...]`.
    """
    a, b = error_coefficients(R, gram, p_ref_w)
    # Without a limit the threshold is infinite, and would make the gradients of what follows NaN.
    c = gram.constant - jnp.minimum(as_real(threshold), 1e12)
    tiny = jnp.finfo(a.dtype).tiny
    discriminant = b**2 - a * c
    reachable = discriminant > 0
    # The gradient of sqrt at 0 is infinite, and `where` does not stop it: mask before the root.
    root = jnp.where(reachable, jnp.sqrt(jnp.where(reachable, discriminant, 1.0)), 0.0)
    s = (b + root) / jnp.maximum(a, tiny)
    return jnp.clip(jnp.where(a > tiny, s, 1.0), 0.0, 1.0)
