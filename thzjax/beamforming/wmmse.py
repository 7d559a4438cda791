"""Weighted minimum mean square error beamforming: block-coordinate ascent of the weighted sum rate."""

import math

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.linalg import solve_hermitian
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
    multiplier: str = "bisection",
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
      multiplier: for "sum", how the power's multiplier is found: "bisection" solves every step's constrained problem;
        "implicit" scales the noise with the power instead, an equivalent problem without a constraint and so
        without a multiplier to find. Both are monotone and end at stationary points; the latter is several times
        faster, and always uses all the power.

    Returns:
      (W `[..., M, K]`, weighted sum rate after each iteration `[..., iterations]` [bit/s/Hz]).

    Raises:
      ConfigError: unknown constraint or multiplier.

    Source: Shi, Razaviyayn, Luo and He, 2011; "implicit": Christensen, Agarwal, de Carvalho and Cioffi, 2008. Paper
    A's (54)-(55) is a scalar special case.
    """
    check_options(constraint, multiplier)
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
    if constraint == "sum" and multiplier == "implicit":
        W, history = _implicit(H, W, weight, iterations)
        return W * root_power, history
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


def check_options(constraint: str, multiplier: str) -> None:
    """Refuse what neither form of WMMSE knows.

    Raises:
      ConfigError: unknown constraint or multiplier.
    """
    if constraint not in ("sum", "per_antenna"):
        raise ConfigError(f"constraint={constraint!r} is unknown: use 'sum' or 'per_antenna'")
    if multiplier not in ("bisection", "implicit"):
        raise ConfigError(f"multiplier={multiplier!r} is unknown: use 'bisection' or 'implicit'")
    if constraint == "per_antenna" and multiplier == "implicit":
        raise ConfigError("multiplier='implicit' is for constraint='sum': per-antenna limits have multipliers to find")


def _implicit(H: Array, W: Array, weight: Array, iterations: int) -> tuple[Array, Array]:
    """WMMSE of sum_k a_k log2(1 + |T_kk|^2/(sum_i |T_ki|^2 + ||W||^2)), T = H W: the rate at full power whatever the
    scale of W, for unit noise and power.

    A step is W = (H^H D H + nu I)^-1 H^H C, D = diag(omega |u|^2), C = diag(omega u), nu = sum omega |u|^2. With
    K <= M that is W = H^H Z, Z = R (R G R + nu I)^-1 R^-1 C, R^2 = D, G = H H^H, all K x K. With K > M that system is
    singular beside its ridge, and the M x M one is solved.
    """
    users, antennas = H.shape[-2:]
    eye = jnp.eye(users, dtype=bool).reshape((1,) * (H.ndim - 2) + (users, users))
    W = scale_total(W, 1.0)
    small = users <= antennas
    G = matmul(H, hermitian(H)) if small else None
    identity = jnp.eye(antennas, dtype=H.dtype).reshape((1,) * (H.ndim - 2) + (antennas, antennas))

    def solve(root: Array, target: Array, ridge: Array) -> tuple[Array, Array, Array]:
        """(Z or W, T, ||W||^2) from sqrt(omega) |u|, sqrt(omega) u/|u| and nu."""
        if small:
            loaded = G * as_complex(root[..., :, None] * root[..., None, :]) + jnp.where(eye, as_complex(ridge), 0)
            new = as_complex(root)[..., None] * solve_hermitian(loaded, jnp.where(eye, target[..., None, :], 0))
            T = matmul(G, new)
            return new, T, jnp.sum(jnp.real(jnp.conj(new) * T), axis=(-2, -1))
        scaled = as_complex(root)[..., None] * H
        new = solve_hermitian(
            matmul(hermitian(scaled), scaled) + as_complex(ridge) * identity, hermitian(scaled) * target[..., None, :]
        )
        return new, matmul(H, new), jnp.sum(abs2(new), axis=(-2, -1))

    def parts(T: Array) -> tuple[Array, Array, Array]:
        """Own field, its power, and the power of the rest with the noise."""
        power = abs2(T)
        residue = jnp.sum(jnp.where(eye, 0, power), axis=-1) + 1
        return jnp.diagonal(T, axis1=-2, axis2=-1), jnp.sum(jnp.where(eye, power, 0), axis=-1), residue

    def rate_of(T: Array) -> Array:
        _, own2, residue = parts(T)
        return jnp.sum(weight * jnp.log1p(own2 / residue), axis=-1) / math.log(2)

    def step(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], Array]:
        X, T, start_share, rate = carry
        own, own2, residue = parts(T)
        total = own2 + residue
        magnitude = jnp.sqrt(own2)
        omega = weight * total / residue
        root = jnp.sqrt(omega) * magnitude / total
        unit = jnp.where(magnitude > 0, own, 1) / as_complex(jnp.where(magnitude > 0, magnitude, 1))
        nu = jnp.sum(root**2, axis=-1)
        # A user without signal has root 0 and gets nothing; without any, the ridge is arbitrary.
        ridge = jnp.where(nu > 0, nu, 1)[..., None, None]
        new, new_T, power = solve(root, as_complex(jnp.sqrt(omega)) * unit, ridge)
        scale = as_complex(lax.rsqrt(jnp.where(power > 0, power, 1)))[..., None, None]
        new, new_T = new * scale, new_T * scale
        new_rate = rate_of(new_T)
        # As under bisection: a step that rounding has spoilt is not taken.
        better = new_rate >= rate
        chosen = better[..., None, None]
        X, T = jnp.where(chosen, new, X), jnp.where(chosen, new_T, T)
        rate = jnp.where(better, new_rate, rate)
        return (X, T, jnp.where(better, 0, start_share), rate), rate

    T = matmul(H, W)
    rate = rate_of(T)
    carry = (jnp.zeros_like(T if small else W), T, jnp.ones_like(rate), rate)
    (X, _, start_share, _), history = lax.scan(step, carry, None, length=iterations)
    W = (matmul(hermitian(H), X) if small else X) + as_complex(start_share)[..., None, None] * W
    return scale_total(W, 1.0), jnp.moveaxis(history, 0, -1)


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
    nu = power_multiplier(values, energy)
    inverse = jnp.where(real, 1 / jnp.maximum(values + nu[..., None], jnp.finfo(values.dtype).tiny), 0)
    W = matmul(hermitian(scaled), matmul(vectors, as_complex(inverse)[..., None] * projected))
    # Rounding in the small eigenvalues shows in the power: put the budget right by the last digit.
    total = jnp.sum(per_antenna_power(W), axis=-1)[..., None, None]
    return jnp.where(total > 1, scale_total(W, 1.0), W)


def power_multiplier(values: Array, energy: Array) -> Array:
    """nu >= 0 with sum energy/(values + nu)^2 = 1, or 0 where the sum is below 1 without it; `[..., n]` -> `[...]`."""
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
    return jnp.where(slack, low, nu)


def _row_update(H: Array, W: Array, u: Array, omega: Array) -> Array:
    """The same quadratic with every antenna's power limited."""
    d = as_complex(omega * abs2(u))
    A = matmul(hermitian(H), d[..., None] * H)
    return minimise_rows(A, hermitian(H) * (as_complex(omega) * u)[..., None, :], W)


def minimise_rows(A: Array, B: Array, W: Array) -> Array:
    """tr(W^H A W) - 2 Re tr(B^H W) lowered by exact minimisation over one antenna's row at a time, |row|^2 <= 1/M.

    `A[..., M, M]` Hermitian and not negative, `B` and `W` `[..., M, S]`; `ROW_SWEEPS` passes.
    """
    antennas = A.shape[-1]
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
