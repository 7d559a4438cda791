"""WMMSE for users with several antennas: block-coordinate ascent of the weighted sum of log-determinant rates."""

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.beamforming.wmmse import check_options, minimise_rows, power_multiplier
from thzjax.linalg import solve_hermitian, whiten
from thzjax.numeric import abs2, as_complex, as_real, hermitian, matmul
from thzjax.physics.link import by_user, mimo_rates, per_antenna_power, side_by_side
from thzjax.physics.power import clip_rows, scale_total


def wmmse_mimo(
    H: Array,
    W0: Array,
    noise_w: ArrayLike,
    power_w: ArrayLike,
    iterations: int,
    weights: ArrayLike | None = None,
    constraint: str = "sum",
    multiplier: str = "bisection",
) -> tuple[Array, Array]:
    """WMMSE: maximises sum_k a_k log2 det(I + H_k W_k W_k^H H_k^H Q_k^-1), monotone, to a stationary point.

    With T_kl = H_k W_l, Q_k = noise I + sum_{l != k} T_kl T_kl^H and V_k = Q_k^-1 T_kk, the MSE weight is
    Omega_k = I + T_kk^H V_k, and the beams minimise

        tr(W^H A W) - 2 Re tr(B^H W),  A = sum_k a_k H_k^H V_k Omega_k^-1 V_k^H H_k,  B_k = a_k H_k^H V_k

    (U_k = V_k Omega_k^-1 is the receive filter): under a sum power exactly, under powers of each antenna by exact
    minimisation over one antenna's row at a time.

    Args:
      H: effective channel, `[..., K, R, M]`.
      W0: start, `[..., K, M, D]`; it is first made feasible (scaled down, or rows clipped).
      noise_w: noise power of each receive antenna [W], broadcasting against `[..., K]`.
      power_w: total power P [W], `[...]`; "per_antenna" allows P/M each.
      iterations: number of iterations, at least 1.
      weights: a_k, broadcasting against `[..., K]`; default 1.
      constraint, multiplier: as in `wmmse`.

    Returns:
      (W `[..., K, M, D]`, weighted sum rate after each iteration `[..., iterations]` [bit/s/Hz]).

    Raises:
      ConfigError: unknown constraint or multiplier.

    Source: Shi, Razaviyayn, Luo and He, 2011; "implicit": Christensen, Agarwal, de Carvalho and Cioffi, 2008.
    """
    check_options(constraint, multiplier)
    batch = jnp.broadcast_shapes(H.shape[:-3], W0.shape[:-3])
    users, _, antennas = H.shape[-3:]
    real = H.real.dtype
    # Unit noise and unit power inside, as in `wmmse`.
    power = jnp.broadcast_to(as_real(power_w).astype(real), batch)
    noise = jnp.broadcast_to(jnp.asarray(noise_w, dtype=real), (*batch, users))
    weight = jnp.broadcast_to(jnp.asarray(1.0 if weights is None else weights, dtype=real), (*batch, users))
    root_power = as_complex(jnp.sqrt(power))[..., None, None]
    H = H * root_power[..., None] / as_complex(jnp.sqrt(noise))[..., None, None]
    W = jnp.broadcast_to(side_by_side(W0) / root_power, (*batch, antennas, users * W0.shape[-1]))
    implicit = multiplier == "implicit"
    if constraint == "per_antenna":
        W = clip_rows(W, 1.0)
    else:
        total = jnp.sum(per_antenna_power(W), axis=-1)[..., None, None]
        W = scale_total(W, 1.0) if implicit else jnp.where(total > 1, scale_total(W, 1.0), W)
    eye = jnp.eye(antennas, dtype=H.dtype).reshape((1,) * len(batch) + (antennas, antennas))

    def rate_of(W: Array) -> Array:
        return jnp.sum(weight * mimo_rates(H, by_user(W, users), 1.0), axis=-1)

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        W, rate = carry
        A, B, ridge = _quadratic(H, W, weight)
        if constraint == "per_antenna":
            new = minimise_rows(A, B, W)
        elif implicit:
            new = scale_total(solve_hermitian(A + as_complex(ridge)[..., None, None] * eye, B), 1.0)
        else:
            new = _least_within_power(A, B)
        new_rate = rate_of(new)
        # Exact steps never lose rate; one that rounding has spoilt is not taken.
        better = new_rate >= rate
        W, rate = jnp.where(better[..., None, None], new, W), jnp.where(better, new_rate, rate)
        return (W, rate), rate

    (W, _), history = lax.scan(step, (W, rate_of(W)), None, length=iterations)
    return by_user(W * root_power, users), jnp.moveaxis(history, 0, -1)


def _quadratic(H: Array, W: Array, weight: Array) -> tuple[Array, Array, Array]:
    """A `[..., M, M]`, B `[..., M, K D]`, and what noise of the power of W would add to A."""
    users = H.shape[-3]
    combine, pull = receivers(by_user(matmul(H, W[..., None, :, :]), users, axis=-2), jnp.ones_like(weight), weight)
    rows = matmul(combine, H)  # `[..., K, D, M]`
    B = side_by_side(matmul(hermitian(rows), pull))
    rows = rows.reshape(*rows.shape[:-3], -1, rows.shape[-1])
    return matmul(hermitian(rows), rows), B, jnp.sum(abs2(combine), axis=(-3, -2, -1))


def receivers(T: Array, noise: Array, weight: Array) -> tuple[Array, Array]:
    """WMMSE's surrogate of the rates as one of squares: (F `[..., K, D, R]`, Y `[..., K, D, D]`).

    With F_k = sqrt(a_k) L^-1 V_k^H and Y_k = sqrt(a_k) L^H, where Omega_k = L L^H, the weighted MSE is, up to a
    constant,

        sum_k |F_k [T_k1 .. T_kK]|^2 + noise_k |F_k|^2 - 2 Re tr(Y_k^H F_k T_kk),

    as if each row of F_k were a user with one antenna.

    Args:
      T: user l's streams at user k, `[..., K, R, K, D]`.
      noise: of each receive antenna, `[..., K]`.
      weight: a_k, `[..., K]`.
    """
    users, antennas = T.shape[-4:-2]
    own = jnp.eye(users, dtype=bool).reshape((1,) * (T.ndim - 4) + (users, 1, users, 1))
    others = jnp.where(own, 0, T).reshape(*T.shape[:-2], -1)
    wanted = jnp.sum(jnp.where(own, T, 0), axis=-2)
    eye = jnp.eye(antennas, dtype=T.dtype).reshape((1,) * (T.ndim - 3) + (antennas, antennas))
    V = solve_hermitian(matmul(others, hermitian(others)) + as_complex(noise)[..., None, None] * eye, wanted)
    eye = jnp.eye(wanted.shape[-1], dtype=T.dtype).reshape((1,) * (T.ndim - 3) + (wanted.shape[-1],) * 2)
    omega = eye + matmul(hermitian(wanted), V)
    root = as_complex(jnp.sqrt(weight))[..., None, None]
    return root * whiten(omega, hermitian(V)), root * whiten(omega, omega)


def _least_within_power(A: Array, B: Array) -> Array:
    """argmin over tr(W^H W) <= 1 of tr(W^H A W) - 2 Re tr(B^H W), B in the range of A."""
    values, vectors = jnp.linalg.eigh(A)
    # Eigenvalues of rounding have directions of rounding: B has nothing there.
    real = values > 8 * jnp.finfo(values.dtype).eps * values[..., -1:]
    values = jnp.where(real, values, 0)
    projected = jnp.where(real[..., None], matmul(hermitian(vectors), B), 0)
    # A direction left out would divide 0 by 0.
    energy = jnp.sum(abs2(projected), axis=-1)
    nu = power_multiplier(jnp.where(real, values, 1), energy)
    inverse = jnp.where(real, 1 / jnp.maximum(values + nu[..., None], jnp.finfo(values.dtype).tiny), 0)
    W = matmul(vectors, as_complex(inverse)[..., None] * projected)
    total = jnp.sum(per_antenna_power(W), axis=-1)[..., None, None]
    return jnp.where(total > 1, scale_total(W, 1.0), W)
