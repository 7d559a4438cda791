"""Alternating optimisation: WMMSE beams, then the surface element by element, amplifier gains included."""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from thzjax.beamforming.score import better_of, finished
from thzjax.beamforming.sensing_stream import with_sensing_stream
from thzjax.beamforming.user_weights import user_weights
from thzjax.beamforming.wmmse import wmmse
from thzjax.beamforming.wmmse_mimo import receivers, wmmse_mimo
from thzjax.numeric import abs2, as_complex, matmul, unit_phasor
from thzjax.physics.link import by_user, cascaded_channel, cascaded_channel_mimo, side_by_side, sinr
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
    senses = system.spec.sensing_streams > 0
    prices = jnp.full(budgets, 1e-2, real)
    echo_price = jnp.full(budgets[:-1], 1e-3 if senses else 0.0, real)

    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        W, psi, power, weights, prices, echo_price, best = carry
        H = system.effective_channel(channels, psi)
        noise = system.user_noise(params, channels, psi)
        W = W[..., : system.spec.data_streams]
        if "min_sinr" in system.constraints:
            weights = user_weights(system, params, sinr(H, W, noise), weights)
        if system.spec.user_antennas == 1:
            W, _ = wmmse(H, W, noise, power, WMMSE_STEPS, weights, multiplier="implicit")
        else:
            W, _ = wmmse_mimo(H, by_user(W, users), noise, power, WMMSE_STEPS, weights, multiplier="implicit")
            W = side_by_side(W)
        W = with_sensing_stream(system, params, channels, psi, system.fit_power(params, W))
        judged, value = finished(system, params, channels, Design(W, psi))
        best = better_of(best, (judged, value))
        power = jnp.sum(abs2(judged.beamformer), axis=(-2, -1))
        if senses:
            share = jnp.sum(abs2(W[..., system.spec.data_streams :]), axis=(-2, -1)) / jnp.sum(abs2(W), axis=(-2, -1))
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
    surrogate = _one_row if system.spec.user_antennas == 1 else _several_rows
    d, h, weight, pull = surrogate(channels, W, psi, noise, weights)
    received = matmul(d, W) + matmul(h * psi[..., None, :], field)
    costs = system.amplifier_costs(params, channels, W)
    ridge = jnp.sum(prices[..., None] * costs, axis=-2)
    if system.spec.active:
        ridge = ridge + jnp.sum(weight[..., None] * system.amplified_noise(params, channels), axis=-2)
    reward = jnp.zeros_like(psi)
    if system.spec.sensing_streams:
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
        q = jnp.sum(jnp.conj(through) * (as_complex(weight)[..., None] * others - pull), axis=(-2, -1)) - reward_n
        gain = jnp.minimum(jnp.sqrt(abs2(q)) / jnp.where(a > 0, a, 1), largest_n)
        new = unit_phasor(-q) * as_complex(jnp.where(active_n, gain, 1))
        return others + new[..., None, None] * through, new

    first = (psi, h, field, ridge, reward, active, largest)
    axes = (-1, -1, -2, -1, -1, -1, -1)
    by_element = tuple(jnp.moveaxis(x, axis, 0) for x, axis in zip(first, axes, strict=True))
    _, psi = lax.scan(element, received, by_element)
    psi = jnp.moveaxis(psi, 0, -1)
    return psi, jnp.sum(costs * abs2(psi)[..., None, :], axis=-1)


def _one_row(channels: Any, W: Array, psi: Array, noise: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
    """The surrogate's rows d `[..., I, M]` and h `[..., I, N]`, the weights of |T_is|^2 `[..., I]`, and what pulls each
    T_is `[..., I, S]`; here a row for each user."""
    H = cascaded_channel(channels.direct, channels.surface_to_user, psi, channels.bs_to_surface)
    received = matmul(H, W)
    users, streams = received.shape[-2:]
    own = jnp.eye(users, streams, dtype=bool).reshape((1,) * (received.ndim - 2) + (users, streams))
    own_power = jnp.sum(jnp.where(own, abs2(received), 0), axis=-1)
    rest = jnp.sum(jnp.where(own, 0, abs2(received)), axis=-1) + noise
    total = rest + own_power
    omega = weights * total / rest
    # omega |u|^2, and omega u on the diagonal.
    pull = jnp.where(own, as_complex(omega / total)[..., None] * received, 0)
    return channels.direct, channels.surface_to_user, omega * own_power / total**2, pull


def _several_rows(
    channels: Any, W: Array, psi: Array, noise: Array, weights: Array
) -> tuple[Array, Array, Array, Array]:
    """The same of users with several antennas: a row for each of their streams (`wmmse_mimo.receivers`)."""
    H = cascaded_channel_mimo(channels.direct, channels.surface_to_user, psi, channels.bs_to_surface)
    users = H.shape[-3]
    combine, pull = receivers(by_user(matmul(H, W[..., None, :, :]), users, axis=-2), noise, weights)

    def rows(x: Array) -> Array:
        x = matmul(combine, x)
        return x.reshape(*x.shape[:-3], -1, x.shape[-1])

    d, h = rows(channels.direct), rows(channels.surface_to_user)
    own = jnp.eye(users, dtype=bool).reshape((1,) * (pull.ndim - 3) + (users, 1, users, 1))
    pull = jnp.where(own, pull[..., None, :], 0)  # `[..., K, D, K, D]`
    pull = pull.reshape(*pull.shape[:-4], d.shape[-2], W.shape[-1])
    return d, h, jnp.ones(d.shape[:-1], noise.dtype), pull
