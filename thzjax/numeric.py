"""Small numeric helpers that keep dtypes honest under strict promotion."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from thzjax.errors import ConfigError


def as_real(x: ArrayLike) -> Array:
    """`x` as a floating-point array; integers take JAX's default float."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def as_complex(x: ArrayLike) -> Array:
    """`x` as a complex array of matching precision."""
    x = jnp.asarray(x)
    return x if jnp.iscomplexobj(x) else lax.complex(as_real(x), jnp.zeros_like(as_real(x)))


def cis(phase_rad: ArrayLike) -> Array:
    """exp(j phase) from a real phase [rad], complex of matching precision."""
    phase_rad = as_real(phase_rad)
    return lax.complex(jnp.cos(phase_rad), jnp.sin(phase_rad))


def abs2(x: Array) -> Array:
    """|x|^2, real, without the square root that `abs` takes (and whose gradient is NaN at 0)."""
    return jnp.real(x) ** 2 + jnp.imag(x) ** 2


def hermitian(x: Array) -> Array:
    """Conjugate transpose of the last two axes."""
    return jnp.conj(jnp.swapaxes(x, -1, -2))


UNROLL_LIMIT = 8
"""Contractions and eliminations up to this length are unrolled: see `matmul` and `linalg`."""


def matmul(a: Array, b: Array) -> Array:
    """Matrix product at full precision: the default on recent GPUs is TF32 and on TPU bfloat16.

    Small products are a sum of outer products, which XLA fuses with what is around them. Realisations/s on one CPU
    core, complex, against the batched matrix product: 4x5x4 54 M (4.0 M), 4x4x4 60 M (6.4 M), 5x4x5 16 M (5.5 M);
    4x16x5 3.1 M (4.1 M), so not above the limit. Rejected: the same with the batch last (no faster), four real
    products (0.5 M), one real product of doubled size (6 to 11 M).
    """
    length = a.shape[-1]
    if a.ndim < 2 or b.ndim < 2 or not 0 < length <= UNROLL_LIMIT or a.shape[-2] * b.shape[-1] > UNROLL_LIMIT**2:
        return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
    axes = max(a.ndim, b.ndim)
    a, b = (x.reshape((1,) * (axes - x.ndim) + x.shape) for x in (a, b))
    product = a[..., :, 0, None] * b[..., 0, None, :]
    for k in range(1, length):
        product = product + a[..., :, k, None] * b[..., k, None, :]
    return product


def angle_or_zero(x: Array) -> Array:
    """arg(x) [rad], and 0 with a zero gradient at x = 0, where the gradient of `angle` is NaN."""
    zero = abs2(x) == 0
    return jnp.angle(jnp.where(zero, jnp.ones_like(x), x))


def unit_phasor(x: Array) -> Array:
    """x/|x|, and 1 at x = 0. A root and a division: several times cheaper than exp(j arg(x))."""
    norm2 = abs2(x)
    zero = norm2 <= jnp.finfo(norm2.dtype).tiny
    return jnp.where(zero, jnp.ones_like(x), x) / as_complex(jnp.sqrt(jnp.where(zero, 1, norm2)))


def standard_normal(key: Array, shape: tuple[int, ...], dtype: DTypeLike = float) -> Array:
    """`jax.random.normal`, number by number, drawn as vectors that a loop holds in that form.

    Fused into what follows, XLA's CPU compiler computes the inverse error function one number at a time in loops over
    the last axis: 0.27 us of a core for a row of `[1024, 15]`, of which 0.06 are left so, and 1.67 us for a step of
    `paper-a`'s environment with actions drawn there, of which 1.25 are left.
    """
    size = math.prod(shape)
    halves = lax.map(lambda half: half * 1, jax.random.normal(key, (2, -(-size // 2)), dtype))
    return halves.reshape(-1)[:size].reshape(shape)


def as_reals(*values: ArrayLike) -> tuple[Array, ...]:
    """The values as real arrays of one common precision; Python numbers adapt to the arrays beside them."""
    dtype = jnp.result_type(*values)
    if not jnp.issubdtype(dtype, jnp.floating):
        dtype = jnp.result_type(float)
    return tuple(jnp.asarray(value, dtype) for value in values)


def row(x: ArrayLike, like: Array, extra: int = 1) -> Array:
    """The vector `x[n]` in the precision of the real `like[...]`, shaped `[1, .., 1, n]` to follow its axes.

    Written out, so that it also works where rank promotion raises.
    """
    x = jnp.asarray(x, like.dtype)
    return x.reshape((1,) * (like.ndim + extra - 1) + x.shape)


def refuse_unless(allowed: Array, value: Array, message: str) -> Array:
    """`value`, NaN where it is not allowed; on the host (not traced) an error instead.

    Raises:
      ConfigError: a concrete value is not allowed.
    """
    if not isinstance(allowed, jax.core.Tracer) and not bool(jnp.all(allowed)):
        worst = np.ravel(np.asarray(value))[np.argmin(np.ravel(np.asarray(allowed)))]
        raise ConfigError(f"{message}, not {worst:g}")
    return jnp.where(allowed, value, jnp.nan)


def trailing(x: Array, axes: int = 1) -> Array:
    """`x[...]` with that many axes of 1 behind, to go before the physics; a scalar fits anything and stays one."""
    return x.reshape(x.shape + (1,) * axes) if x.ndim else x


def norm_or_zero(x: Array, keepdims: bool = False) -> Array:
    """Euclidean norm over the last axis, with a zero gradient at 0, where that of `jnp.linalg.norm` is NaN."""
    square = jnp.sum(abs2(x), axis=-1, keepdims=keepdims)
    zero = square == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))
