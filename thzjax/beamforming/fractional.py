"""Fractional programming beamforming: ascent of the weighted sum rate by projected steps, with no system to solve."""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import abs2, as_complex, as_real, hermitian, matmul
from thzjax.physics.link import per_antenna_power
from thzjax.physics.power import clip_rows, scale_total


def fractional_programming(
    H: Array,
    W0: Array,
    noise_w: ArrayLike,
    power_w: ArrayLike,
    iterations: int,
    weights: ArrayLike | None = None,
    constraint: str = "sum",
) -> tuple[Array, Array]:
    """Fractional programming: maximises sum_k a_k log2(1 + SINR_k), monotone, towards a stationary point.

    With gamma_k = SINR_k (Lagrangian dual transform) and y_k = sqrt(a_k (1 + gamma_k)) H_k w_k/(sum_i |H_k w_i|^2 +
    noise_k) (quadratic transform) at a point Z, the rate in nats is at least the quadratic

        constant + 2 Re tr(B^H W) - tr(W^H A W),  B = H^H diag(sqrt(a (1 + gamma)) y),  A = H^H diag(|y|^2) H,

    with equality at Z. A <= lambda I bounds it from below once more (the nonhomogeneous transform), by a quadratic
    whose best feasible W is one step and one projection: W = Proj(Z + (B - A Z)/lambda). Here lambda = ||A||_F, and
    Proj scales down to the total power, or clips rows. Z is extrapolated from the last two iterates, W_t + t/(t + 3)
    (W_t - W_{t-1}); a step that would lower the rate is not taken, and the next one starts from Z = W_t, t = 0, where
    the bound holds and the rate cannot fall.

    Args:
      H: effective channel, `[..., K, M]`.
      W0: start, `[..., M, K]`; it is first made feasible (scaled down, or rows clipped). A user whose column starts
        at zero stays without signal.
      noise_w: noise power [W], broadcasting against `[..., K]`.
      power_w: total power P [W], `[...]`; "per_antenna" allows P/M each.
      iterations: number of iterations, at least 1.
      weights: a_k, broadcasting against `[..., K]`; default 1.
      constraint: "sum" or "per_antenna".

    Returns:
      (W `[..., M, K]`, weighted sum rate after each iteration `[..., iterations]` [bit/s/Hz]).

    Raises:
      ConfigError: unknown constraint.

    Source: Shen and Yu, 2018, "Fractional programming for communication systems", parts I and II; the step without
    inversion: Zhang, Zhao and Shen, 2023, "Enhancing the efficiency of WMMSE and FP for beamforming by
    minorization-maximization"; its extrapolation: Shen, Zhao, Chen, Zhang and Cheng, 2024, "Accelerating quadratic
    transform and WMMSE".
    """
    if constraint not in ("sum", "per_antenna"):
        raise ConfigError(f"constraint={constraint!r} is unknown: use 'sum' or 'per_antenna'")
    batch = jnp.broadcast_shapes(H.shape[:-2], W0.shape[:-2])
    users = H.shape[-2]
    real = H.real.dtype
    # Unit noise and unit power inside, as in `wmmse`: the physical numbers leave float32.
    power = jnp.broadcast_to(as_real(power_w).astype(real), batch)
    noise = jnp.broadcast_to(jnp.asarray(noise_w, dtype=real), (*batch, users))
    weight = jnp.broadcast_to(jnp.asarray(1.0 if weights is None else weights, dtype=real), (*batch, users))
    root_power = as_complex(jnp.sqrt(power))[..., None, None]
    H = H * root_power / as_complex(jnp.sqrt(noise))[..., None]
    project = _within_total if constraint == "sum" else lambda W: clip_rows(W, 1.0)
    W, history = _ascend(H, project(W0 / root_power), weight, iterations, project)
    return W * root_power, history


def _within_total(W: Array) -> Array:
    """The Euclidean projection onto ||W||_F^2 <= 1."""
    total = jnp.sum(per_antenna_power(W), axis=-1)[..., None, None]
    return jnp.where(total > 1, scale_total(W, 1.0), W)


def _ascend(
    H: Array, W: Array, weight: Array, iterations: int, project: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """The iterations, for unit noise and power; everything about the rate is in the K x K fields T = H W.

    Iterations to 99 % of what `wmmse` has after 300 (mean rate of 512 drops of `paper-a`, focused phases, from RZF):
    27 under either constraint, about 130 without extrapolation; `wmmse` takes 55 ("implicit": 6), per antenna 52.
    """
    eye = jnp.eye(H.shape[-2], dtype=bool).reshape((1,) * (H.ndim - 2) + (H.shape[-2],) * 2)
    gain = jnp.sum(abs2(H), axis=-1)
    # ||A||_F^2 = sum_ij q_i q_j c_ij from the users' shares q_k = |y_k|^2 |h_k|^2 and their rows' coherence c, which
    # neither over- nor underflows. Rejected: the trace sum_k q_k (as fast on `paper-a`, twice the iterations on 16
    # independent users), lambda_max by eigvalsh (no fewer iterations on `paper-a`, each 6 to 9 times as long).
    norm = jnp.sqrt(jnp.where(gain > 0, gain, 1))
    unit = H / as_complex(norm)[..., None]
    coherence = abs2(matmul(unit, hermitian(unit)))

    def parts(T: Array) -> tuple[Array, Array]:
        """Own power, and the power of the rest with the noise."""
        power = abs2(T)
        return jnp.sum(jnp.where(eye, power, 0), axis=-1), jnp.sum(jnp.where(eye, 0, power), axis=-1) + 1

    def rate_of(T: Array) -> Array:
        own2, residue = parts(T)
        return jnp.sum(weight * jnp.log1p(own2 / residue), axis=-1) / math.log(2)

    def move(Z: Array, T: Array) -> Array:
        """Proj(Z + (B - A Z)/lambda), T = H Z."""
        own2, residue = parts(T)
        total = own2 + residue
        y2 = weight * own2 / (residue * total)
        share = y2 * gain
        trace = jnp.sum(share, axis=-1, keepdims=True)
        share = share / jnp.where(trace > 0, trace, 1)
        bound = trace[..., 0] * jnp.sqrt(jnp.sum(share[..., :, None] * share[..., None, :] * coherence, axis=(-2, -1)))
        # B - A Z = H^H (diag(sqrt(a (1 + gamma)) y) - diag(|y|^2) T), whose diagonal is a_k T_kk/total_k: written so,
        # nothing cancels at high SNR.
        fields = as_complex(jnp.where(eye, (weight / total)[..., None], -y2[..., None])) * T
        # Without a signal there is nothing to move by.
        return project(Z + matmul(hermitian(H), fields) / as_complex(jnp.where(bound > 0, bound, 1))[..., None, None])

    def step(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], Array]:
        W, T, W_before, T_before, count, rate = carry
        ahead = as_complex(count / (count + 3))[..., None, None]
        new = move(W + ahead * (W - W_before), T + ahead * (T - T_before))
        new_T = matmul(H, new)
        new_rate = rate_of(new_T)
        # Extrapolation may overshoot, and near the end rounding may: such a step is not taken. Rejected: the plain
        # step in its place in the same iteration (as many iterations to 99 %, each twice as long).
        better = new_rate >= rate
        taken = better[..., None, None]
        rate = jnp.where(better, new_rate, rate)
        count = jnp.where(better, count + 1, 0)
        return (jnp.where(taken, new, W), jnp.where(taken, new_T, T), W, T, count, rate), rate

    T = matmul(H, W)
    rate = rate_of(T)
    carry = (W, T, W, T, jnp.zeros_like(rate), rate)
    (W, *_), history = lax.scan(step, carry, None, length=iterations)
    return W, jnp.moveaxis(history, 0, -1)
