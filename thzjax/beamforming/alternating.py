"""Alternating optimisation: WMMSE beams, then the surface element by element, amplifier gains included."""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from thzjax.beamforming.score import better_of, finished
from thzjax.beamforming.sensing_stream import with_sensing_stream
from thzjax.beamforming.user_weights import user_weights
from thzjax.beamforming.wmmse import wmmse
from thzjax.numeric import abs2, as_complex, matmul, unit_phasor
from thzjax.physics.link import sinr
from thzjax.physics.sensing.scene import departure_row
from thzjax.systems.base import Design, System

# On 64 drops of `paper-b`, from `rzf` with the phases of the weighted sum: 40 rounds of 4 steps 17.3, 80 of 4 18.5, 80
# of 2 21.9, 120 of 2 22.3 (counting infeasible drops as 0). On `paper-a` 40 rounds give what 80 do.
ROUNDS = 40
HARD_ROUNDS = 80
"""With amplifiers or a least SINR to meet."""
WMMSE_STEPS = 2
PRICE_RANGE = (1e-6, 1e6)


def alternating(system: System, params: Any, channels: Any, start: Design, rounds: int | None = None) -> Design:
    """Beams and surface in turn, from a start; the best design met on the way, judged as it would be.

    Beams: a few steps of sum-power WMMSE under the present surface, and the sensing stream's least share. Surface:
    with receive coefficients u_k and weights omega_k of WMMSE fixed, the surrogate

        sum_k omega_k (|u_k|^2 (sum_s |T_ks|^2 + noise_k(psi)) - 2 Re(u_k^* T_kk)),
        T_ks = d_k w_s + sum_n psi_n h_kn (G w_s)_n,

    is quadratic in each psi_n: a |psi_n|^2 + 2 Re(psi_n^* q). Element after element is set to its minimiser, the phase
    of -q at modulus 1 (a discrete surface is rounded as a whole after the pass), or for an amplifying element
    -q/(a + nu c) within a_max, with a price nu on the budget that it spends; the target's illumination, linearised, is
    rewarded at a price that rises while the sensing stream needs power. Prices follow the budgets from round to round.

    Source: Shi, Razaviyayn, Luo and He, 2011, for the surrogate; Guo, Liang, Chen and Larsson, 2020, for the
    element-wise update of a passive surface.
    """
    if rounds is None:
        hard = bool(system.spec.active) or "min_sinr" in system.constraints
        rounds = HARD_ROUNDS if hard else ROUNDS
    real = channels.bs_to_surface.real.dtype
    users = system.spec.users
    start, first = finished(system, params, channels, start)
    budgets = system.amplifier_costs(params, channels, start.beamformer).shape[:-1]
    senses = system.spec.streams > users
    prices = jnp.full(budgets, 1e-2, real)
    echo_price = jnp.full(budgets[:-1], 1e-3 if senses else 0.0, real)

    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        W, psi, power, weights, prices, echo_price, best = carry
        H = system.effective_channel(channels, psi)
        noise = system.user_noise(params, channels, psi)
        W = W[..., :users]
        weights = user_weights(system, params, sinr(H, W, noise), weights)
        W, _ = wmmse(H, W, noise, power, WMMSE_STEPS, weights, multiplier="implicit")
        W = with_sensing_stream(system, params, channels, psi, system.fit_power(params, W))
        judged, value = finished(system, params, channels, Design(W, psi))
        best = better_of(best, (judged, value))
        power = jnp.sum(abs2(judged.beamformer), axis=(-2, -1))
        if senses:
            share = jnp.sum(abs2(W[..., users:]), axis=(-2, -1)) / jnp.sum(abs2(W), axis=(-2, -1))
            echo_price = jnp.clip(echo_price * jnp.where(share > 0.01, 1.5, 0.7), *PRICE_RANGE)
        psi, spent = _sweep(system, params, channels, W, psi, noise, weights, prices, echo_price)
        prices = jnp.clip(prices * jnp.clip(spent, 0.5, 2.0), *PRICE_RANGE)
        psi = system.project(params, channels, Design(W, psi)).reflection
        best = better_of(best, finished(system, params, channels, Design(W, psi)))
        return (W, psi, power, weights, prices, echo_price, best), None

    power = jnp.sum(abs2(start.beamformer), axis=(-2, -1))
    weights = jnp.ones((*budgets[:-1], users), real)
    carry = (start.beamformer, start.reflection, power, weights, prices, echo_price, (start, first))
    (*_, (best, _)), _ = lax.scan(step, carry, None, length=rounds)
    return best


def _sweep(
    system: Any,
    params: Any,
    channels: Any,
    W: Array,
    psi: Array,
    noise: Array,
    weights: Array,
    prices: Array,
    echo_price: Array,
) -> tuple[Array, Array]:
    """One pass over the elements: (psi `[..., N]`, share of each budget spent `[..., B]`)."""
    field = matmul(channels.bs_to_surface, W)  # (G w_s)_n, `[..., N, S]`
    h = channels.surface_to_user
    received = matmul(channels.direct, W) + matmul(h * psi[..., None, :], field)
    own = jnp.diagonal(received, axis1=-2, axis2=-1)
    rest = jnp.sum(abs2(received), axis=-1) - abs2(own) + noise
    total = rest + abs2(own)
    omega = weights * total / rest
    weight = omega * abs2(own) / total**2  # omega |u|^2, of |T_ks|^2
    pull = as_complex(omega / total) * own  # omega u, of T_kk^*
    costs = system.amplifier_costs(params, channels, W)
    ridge = jnp.sum(prices[..., None] * costs, axis=-2)
    ridge = ridge + jnp.sum(weight[..., None] * system.amplified_noise(params, channels), axis=-2)
    reward = jnp.zeros_like(psi)
    if system.spec.streams > system.spec.users:
        row = departure_row(system.scene(params, channels))
        light = matmul((row * psi)[..., None, :], field)[..., 0, :]
        power = jnp.sum(abs2(light), axis=-1, keepdims=True)
        light = light * as_complex(echo_price[..., None] / jnp.where(power > 0, power, 1))
        reward = jnp.conj(row) * jnp.sum(jnp.conj(field) * light[..., None, :], axis=-1)
    active = system.active(channels)
    largest = jnp.abs(system.snap(params, channels, jnp.zeros_like(ridge)))

    def element(received: Array, parts: tuple[Array, ...]) -> tuple[Array, Array]:
        psi_n, h_n, g_n, ridge_n, reward_n, active_n, largest_n = parts
        through = h_n[..., :, None] * g_n[..., None, :]  # h_kn (G w_s)_n, `[..., K, S]`
        others = received - psi_n[..., None, None] * through
        a = jnp.sum(weight * abs2(h_n), axis=-1) * jnp.sum(abs2(g_n), axis=-1) + ridge_n
        q = jnp.sum(as_complex(weight)[..., None] * jnp.conj(through) * others, axis=(-2, -1))
        wanted = jnp.conj(jnp.diagonal(through, axis1=-2, axis2=-1)) * pull
        q = q - jnp.sum(wanted, axis=-1) - reward_n
        gain = jnp.minimum(jnp.sqrt(abs2(q)) / jnp.where(a > 0, a, 1), largest_n)
        new = unit_phasor(-q) * as_complex(jnp.where(active_n, gain, 1))
        return others + new[..., None, None] * through, new

    first = (psi, h, field, ridge, reward, active, largest)
    axes = (-1, -1, -2, -1, -1, -1, -1)
    by_element = tuple(jnp.moveaxis(x, axis, 0) for x, axis in zip(first, axes, strict=True))
    _, psi = lax.scan(element, received, by_element)
    psi = jnp.moveaxis(psi, 0, -1)
    return psi, jnp.sum(costs * abs2(psi)[..., None, :], axis=-1)
