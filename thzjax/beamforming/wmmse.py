"""Weighted minimum mean square error beamforming: block-coordinate ascent of the weighted sum rate."""

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import abs2, as_complex, as_real, hermitian, matmul
from thzjax.physics.link import per_antenna_power, rates
from thzjax.physics.power import clip_rows, scale_total

# Row sweeps per WMMSE step: each is an exact block minimisation, so the sum rate is monotone for any number.
ROW_SWEEPS = 2
BISECTIONS = 50
RELATIVE_MULTIPLIER = 1e-14
"""Least multiplier looked for, over its upper bound; below it the power constraint counts as slack."""


def wmmse(
    H: Array,
    W0: Array,
    noise_w: ArrayLike,
    power_w: ArrayLike,
    iterations: int,
    weights: ArrayLike | None = None,
    constraint: str = "sum",
) -> tuple[Array, Array]:
    """WMMSE: maximises sum_k a_k log2(1 + SINR_k), monotone, to a stationary point.

    Each iteration sets the receive coefficients u_k and MSE weights 1/e_k in closed form, then minimises
    sum_k (a_k/e_k) E|s_k - u_k^* y_k|^2 over W: with `constraint="sum"` exactly, with the multiplier found by
    bisection; with "per_antenna" by exact minimisation over one antenna's row at a time.

    Args:
      H: effective channel, `[..., K, M]`.
      W0: start, `[..., M, K]`; it is first made feasible (scaled down, or rows clipped).
      noise_w: noise power [W], broadcasting against `[..., K]`.
      power_w: total power P [W], `[...]`; "per_antenna" allows P/M each.
      iterations: number of iterations, at least 1.
      weights: a_k, broadcasting against `[..., K]`; default 1.
      constraint: "sum" or "per_antenna".

    Returns:
      (W `[..., M, K]`, weighted sum rate after each iteration `[..., iterations]` [bit/s/Hz]).

    Raises:
      ConfigError: unknown constraint.

    Source: Shi, Razaviyayn, Luo and He, 2011. Paper A's (54)-(55) is a scalar special case.
    """
    if constraint not in ("sum", "per_antenna"):
        raise ConfigError(f"constraint={constraint!r} is unknown: use 'sum' or 'per_antenna'")
    batch = jnp.broadcast_shapes(H.shape[:-2], W0.shape[:-2])
    users = H.shape[-2]
    real = H.real.dtype
    # Unit noise and unit power inside: the physical numbers are 1e-5 and their squares leave float32.
    power = jnp.broadcast_to(as_real(power_w).astype(real), batch)
    noise = jnp.broadcast_to(jnp.asarray(noise_w, dtype=real), (*batch, users))
    weight = jnp.broadcast_to(jnp.asarray(1.0 if weights is None else weights, dtype=real), (*batch, users))
    root_power = as_complex(jnp.sqrt(power))[..., None, None]
    H = H * root_power / as_complex(jnp.sqrt(noise))[..., None]
    W = W0 / root_power
    if constraint == "sum":
        total = jnp.sum(per_antenna_power(W), axis=-1)[..., None, None]
        W = jnp.where(total > 1, scale_total(W, 1.0), W)
        update = _sum_update
    else:
        W = clip_rows(W, 1.0)
        update = _row_update

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        W, rate = carry
        received = matmul(H, W)
        own = jnp.diagonal(received, axis1=-2, axis2=-1)
        u = own / as_complex(jnp.sum(abs2(received), axis=-1) + 1)
        # e_k = 1 - |own|^2/total, written as (total - |own|^2)/total: no cancellation at high SNR.
        eye = jnp.eye(users, dtype=bool)
        residue = jnp.sum(jnp.where(eye, 0, abs2(received)), axis=-1) + 1
        mse = residue / (residue + abs2(own))
        new = update(H, W, u, weight / mse)
        new_rate = jnp.sum(weight * rates(H, new, 1.0), axis=-1)
        # Exact steps never lose rate; one that rounding has spoilt (near-singular channels far above the noise,
        # in float32) is not taken.
        better = new_rate >= rate
        W, rate = jnp.where(better[..., None, None], new, W), jnp.where(better, new_rate, rate)
        return (W, rate), rate

    start = jnp.sum(weight * rates(H, W, 1.0), axis=-1)
    (W, _), history = lax.scan(step, (W, start), None, length=iterations)
    return W * root_power, jnp.moveaxis(history, 0, -1)


def _sum_update(H: Array, W: Array, u: Array, omega: Array) -> Array:
    """argmin over tr(W^H W) <= 1 of tr(W^H A W) - 2 Re tr(B^H W), A = H^H D H, D = omega |u|^2.

    In the K x K form W = H^H D^(1/2) (S + nu I)^-1 C with S = D^(1/2) H H^H D^(1/2), which stays exact when A
    is singular (K < M).
    """
    del W
    root = as_complex(jnp.sqrt(omega) * jnp.abs(u))[..., None]
    scaled = root * H
    values, vectors = jnp.linalg.eigh(matmul(scaled, hermitian(scaled)))
    # With K > M some eigenvalues are rounding, and so are their directions: leave them out.
    real = values > 8 * jnp.finfo(values.dtype).eps * values[..., -1:]
    values = jnp.where(real, values, 0)
    magnitude = jnp.abs(u)
    unit = u / as_complex(jnp.where(magnitude > 0, magnitude, 1))
    target = jnp.sqrt(omega).astype(H.dtype) * unit
    # Rows of vectors^H C, and the power each eigen-direction would carry.
    projected = hermitian(vectors) * target[..., None, :]
    energy = values * jnp.sum(abs2(projected), axis=-1)
    floor = jnp.finfo(values.dtype).tiny

    def power_at(nu: Array) -> Array:
        return jnp.sum(energy / jnp.maximum((values + nu[..., None]) ** 2, floor), axis=-1)

    # power(nu) <= sum(energy)/nu^2 bounds the multiplier from above. It can be tiny beside that, so the bisection is
    # on its logarithm.
    high = jnp.sqrt(jnp.sum(energy, axis=-1)) + floor
    low = high * RELATIVE_MULTIPLIER

    def halve(bounds: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = bounds
        middle = jnp.sqrt(low) * jnp.sqrt(high)
        over = power_at(middle) > 1
        return (jnp.where(over, middle, low), jnp.where(over, high, middle)), None

    slack = power_at(low) <= 1
    (_, nu), _ = lax.scan(halve, (low, high), None, length=BISECTIONS)
    nu = jnp.where(slack, low, nu)
    inverse = jnp.where(real, 1 / jnp.maximum(values + nu[..., None], floor), 0)
    W = matmul(hermitian(scaled), matmul(vectors, as_complex(inverse)[..., None] * projected))
    # Rounding in the small eigenvalues shows in the power: put the budget right by the last digit.
    total = jnp.sum(per_antenna_power(W), axis=-1)[..., None, None]
    return jnp.where(total > 1, scale_total(W, 1.0), W)


def _row_update(H: Array, W: Array, u: Array, omega: Array) -> Array:
    """Exact minimisation of the same quadratic over one antenna's row at a time, |row|^2 <= 1/M."""
    antennas = H.shape[-1]
    d = as_complex(omega * abs2(u))
    A = matmul(hermitian(H), d[..., None] * H)
    B = hermitian(H) * (as_complex(omega) * u)[..., None, :]
    limit = 1 / antennas

    def row(W: Array, m: Array) -> tuple[Array, None]:
        a_row = jnp.take(A, m, axis=-2)
        a_mm = jnp.real(jnp.take(a_row, m, axis=-1))
        w_row = jnp.take(W, m, axis=-2)
        # B_m - sum_{n != m} A_mn W_n; the row's minimiser is that over A_mm, pulled back onto the ball.
        rest = jnp.take(B, m, axis=-2) - matmul(a_row[..., None, :], W)[..., 0, :] + as_complex(a_mm)[..., None] * w_row
        norm = jnp.sqrt(jnp.sum(abs2(rest), axis=-1))
        size = jnp.maximum(a_mm, norm / limit**0.5)
        tiny = jnp.finfo(size.dtype).tiny
        new = jnp.where((size > tiny)[..., None], rest / as_complex(jnp.maximum(size, tiny))[..., None], w_row)
        return W.at[..., m, :].set(new), None

    order = jnp.tile(jnp.arange(antennas), ROW_SWEEPS)
    W, _ = lax.scan(row, W, order)
    return W
