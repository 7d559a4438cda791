"""Numbers that belong beside every design's rate: one user alone, no surface, and what no design can pass."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from thzjax.beamforming.designs import get_design
from thzjax.beamforming.phases import aligned_reflections
from thzjax.beamforming.subspace import compact
from thzjax.errors import ConfigError
from thzjax.numeric import abs2, as_complex, hermitian, matmul, trailing
from thzjax.physics.arrays import upa_phase_slopes
from thzjax.physics.sensing.scene import sensor_slopes
from thzjax.systems.base import Design, System

SPLITS = [float(theta) for theta in np.linspace(0.02, 0.98, 49)]
"""Weights of the two power budgets that `sum_rate_bound` tries; each gives a bound."""


def single_user_rate(system: System, params: Any, channels: Any) -> Array:
    """Rate of the best user when everything serves that one alone, and nothing is sensed [bit/s/Hz], `[...]`.

    log2(1 + P |row|^2/noise) with all the power on the matched beam and the surface aligned to the user: the capacity
    over a passive surface and one path. With amplifying elements, all at one gain within their budgets, a search was
    seen to find up to 4 % more. With several antennas: water-filling over the singular values of H_k.
    """
    if system.spec.user_antennas > 1:
        return _single_mimo(system, params, channels)
    signal, noise = alone_powers(system, params, channels)
    return jnp.max(jnp.log2(1 + signal / noise), axis=-1)


def alone_powers(system: System, params: Any, channels: Any) -> tuple[Array, Array]:
    """(signal, noise) of each user when everything serves that one alone, over one stream [W], `[..., K]` each.

    All the power on the matched beam, the surface aligned to the user, active elements at one gain within budgets.
    """
    channels, _ = compact(system, channels)
    psi, _ = aligned_reflections(channels)
    powers = [_alone(system, params, channels, psi, k) for k in range(system.spec.users)]
    signal, noise = zip(*powers, strict=True)
    return jnp.stack(signal, axis=-1), jnp.stack(noise, axis=-1)


def _alone(system: System, params: Any, channels: Any, psi: Array, k: int) -> tuple[Array, Array]:
    reflection = system.snap(params, channels, jnp.angle(psi[..., k, :]))
    if system.spec.user_antennas > 1:
        H = system.effective_channel(channels, reflection)[..., k, :, :]
        strongest = jnp.linalg.eigvalsh(matmul(H, hermitian(H)))[..., -1]
        return params.power_w * strongest, system.user_noise(params, channels, reflection)[..., k]
    for _ in range(4 if system.spec.active else 1):
        row = system.effective_channel(channels, reflection)[..., k, :]
        norm = jnp.sqrt(jnp.sum(abs2(row), axis=-1))
        noise = system.user_noise(params, channels, reflection)[..., k]
        beam = jnp.conj(row) / as_complex(jnp.where(norm > 0, norm, 1))[..., None]
        W = as_complex(jnp.sqrt(params.power_w)) * beam[..., None]
        reflection = system.project(params, channels, Design(W, reflection)).reflection
    return params.power_w * norm**2, noise


def _single_mimo(system: System, params: Any, channels: Any) -> Array:
    psi, _ = aligned_reflections(channels)

    def alone(k: Array) -> Array:
        reflection = system.snap(params, channels, jnp.angle(jnp.take(psi, k, axis=-2)))
        H = jnp.take(system.effective_channel(channels, reflection), k, axis=-3)
        noise = jnp.take(system.user_noise(params, channels, reflection), k, axis=-1)
        H = H * as_complex(jnp.sqrt(params.power_w / noise))[..., None, None]
        gram = matmul(H, hermitian(H)) if H.shape[-2] <= H.shape[-1] else matmul(hermitian(H), H)
        gains = jnp.maximum(jnp.linalg.eigvalsh(gram), 0)
        return _shared(gains, gains.shape[-1])

    return jnp.max(lax.map(alone, jnp.arange(system.spec.users)), axis=0)


def no_surface_rate(system: System, params: Any, channels: Any, key: Array) -> Array:
    """Sum rate of sum-power WMMSE over the direct links alone, under all constraints [bit/s/Hz], `[...]`."""
    bare = channels.replace(surface_to_user=0 * channels.surface_to_user)
    design = get_design("wmmse_sum", "random")(system, params, bare, key)
    design = system.meet(params, bare, system.project(params, bare, design))
    return jnp.sum(system.outcome(params, bare, design).rates, axis=-1)


def sum_rate_bound(system: System, params: Any, channels: Any) -> Array:
    """An upper bound on the sum rate of any design that keeps the power, amplitude and surface budgets, `[...]`.

    Argument: drop the interference, the amplified noise and every sensing constraint, and give each user the surface
    for itself. User k then receives at most g_k t_k over its noise, with t_k the user's share of the budgets,
    sum t_k <= 1; the best shares are water-filling. Where the channel's rank r is below K the cooperating users'
    capacity, r log2(1 + sum_k g_k/r), bounds as well, and the smaller counts; at rank one the channel is degraded, and
    its capacity is that of the strongest user alone.

    g_k comes from the singular values s_i and vectors u_i of G: |h Psi G|^2 = sum_i s_i^2 |h Psi u_i|^2, where
    |h Psi u_i| <= sum_n |h_n psi_n u_ni| and sum_i |h Psi u_i|^2 <= sum_n |h_n psi_n|^2; the largest sum under both is
    filled from the strongest i down. Amplifying elements count once with their largest amplitude, and once by what they
    may radiate: |sum_active h_n psi_n (G w)_n| <= |h_active| sqrt(their power), for any split theta of the weights on
    the two budgets. Users with several antennas count by the second bound alone, every antenna as a user: a user's
    antennas share what the budgets give.
    """
    if system.spec.user_antennas > 1:
        gains = _gain_bounds(system, params, _every_antenna(channels))
        rank = min(system.spec.rank, gains.shape[-1])
        return jnp.min(rank * jnp.log2(1 + jnp.sum(gains, axis=-1) / rank), axis=0)
    gains = _gain_bounds(system, params, channels)
    return jnp.min(_shared(gains, system.spec.rank), axis=0)


def _every_antenna(channels: Any) -> Any:
    """Every antenna a user of its own, `[..., K R, M]` and `[..., K R, N]`."""

    def rows(x: Array) -> Array:
        return x.reshape(*x.shape[:-3], -1, x.shape[-1])

    return channels.replace(direct=rows(channels.direct), surface_to_user=rows(channels.surface_to_user))


def _gain_bounds(system: System, params: Any, channels: Any) -> Array:
    """Bounds on every user's SNR when all budgets serve it alone, one for each way to reckon, `[B, ..., K]`."""
    channels, _ = compact(system, channels)
    h = jnp.abs(channels.surface_to_user)
    still = jnp.zeros((*h.shape[:-2], h.shape[-1]), h.dtype)
    largest = jnp.abs(system.snap(params, channels, still))[..., None, :]
    noise = system.user_noise(params, channels, as_complex(still))
    power = trailing(params.power_w)
    direct = jnp.sqrt(jnp.sum(abs2(channels.direct), axis=-1))
    modes = _modes(channels.bs_to_surface)
    whole = (direct + jnp.sqrt(_row_gain(h * largest, *modes))) ** 2 * power
    bounds = [whole]
    if system.spec.active and "surface_power" in system.constraints:
        active = system.active(channels)[..., None, :]
        passive = (direct + jnp.sqrt(_row_gain(jnp.where(active, 0, h), *modes))) ** 2 * power
        radiated = jnp.sum(jnp.where(active, h, 0) ** 2, axis=-1) * trailing(params.surface_power_w)
        bounds += [passive / theta + radiated / (1 - theta) for theta in SPLITS]
    return jnp.stack(bounds) / noise


def crb_floor(system: Any, params: Any, channels: Any) -> Array:
    """A trace of the angles' bound [rad^2] that no design can pass, `[...]`.

    Argument: tr CRB >= sum_i 1/J_ii with J_ii = 2 L |beta|^2/sigma^2 (|db_i|^2 |z_0|^2 + |b|^2 |z_i|^2),
    centre-referred; z_0 and z_i are the fields that the power budget can lay on the target through rows v and
    v * slope_i of the surface, bounded as in `sum_rate_bound`. With a channel of rank one z_i follows z_0 and tells
    nothing; there the floor is reached by a passive surface where azimuth or elevation is 0.
    """
    channels, _ = compact(system, channels)
    scene = system.scene(params, channels)
    angles = (params.target_azimuth_rad, params.target_elevation_rad)
    slopes = upa_phase_slopes(*angles, system.surface_shape, scene.spacing, origin="centre")
    still = jnp.zeros((*channels.surface_to_user.shape[:-2], system.spec.elements), slopes.dtype)
    largest = jnp.abs(system.snap(params, channels, still))[..., None, :]
    light = params.power_w * _row_gain(jnp.abs(slopes) * largest, *_modes(channels.bs_to_surface))
    own = jnp.sum(sensor_slopes(scene) ** 2, axis=-1)
    sensors = system.sensor_shape[0] * system.sensor_shape[1]
    moved = light[..., 1:] if system.spec.rank > 1 else 0
    unit = 2 * params.snapshots * abs2(scene.beta) / params.noise_w
    information = unit * (own * light[..., :1] + sensors * moved)
    return jnp.sum(1 / information, axis=-1)


def _modes(G: Array) -> tuple[Array, Array]:
    """|u_i| `[..., N, r]` and s_i^2 `[..., r]` of G's singular vectors and values, strongest first."""
    largest = jnp.max(jnp.abs(G), axis=(-2, -1), keepdims=True, initial=0)
    largest = jnp.where(largest > 0, largest, 1)
    u, s, _ = jnp.linalg.svd(G / as_complex(largest), full_matrices=False)
    return jnp.abs(u), (s * largest[..., 0]) ** 2


def _row_gain(row: Array, modes: Array, strength: Array) -> Array:
    """Bound on |row Psi G|^2 over all phases, for moduli `row[..., K, N]` (amplitudes included), `[..., K]`."""
    each = matmul(row, modes) ** 2  # what one mode can get, `[..., K, r]`
    left = jnp.sum(row**2, axis=-1, keepdims=True)
    filled = jnp.minimum(jnp.cumsum(each, axis=-1), left)
    taken = jnp.diff(filled, axis=-1, prepend=jnp.zeros_like(left))
    return jnp.sum(taken * strength[..., None, :], axis=-1)


def _shared(gains: Array, rank: int) -> Array:
    """max of sum_k log2(1 + t_k g_k) over sum t_k <= 1, and the cooperating users' bound where rank < K, `[...]`."""
    users = gains.shape[-1]
    tiny = jnp.finfo(gains.dtype).tiny
    inverse = jnp.sort(1 / jnp.maximum(gains, tiny), axis=-1)
    count = jnp.arange(1, users + 1, dtype=gains.dtype).reshape((1,) * (gains.ndim - 1) + (users,))
    # The water level over the strongest m users, for the largest m that it covers.
    level = (1 + jnp.cumsum(inverse, axis=-1)) / count
    covered = jnp.max(jnp.where(level > inverse, count, 0), axis=-1, keepdims=True)
    level = jnp.sum(jnp.where(count == covered, level, 0), axis=-1, keepdims=True)
    bound = jnp.sum(jnp.where(count <= covered, jnp.log2(level / inverse), 0), axis=-1)
    if rank == 1:
        return jnp.minimum(bound, jnp.log2(1 + jnp.max(gains, axis=-1)))
    if rank < users:
        bound = jnp.minimum(bound, rank * jnp.log2(1 + jnp.sum(gains, axis=-1) / rank))
    return bound


def anchor_rates(system: System, params: Any, channels: Any) -> dict[str, Array]:
    """`single_user_rate`, `sum_rate_bound` and, where direct links are not blocked, `no_surface_rate`, `[C]` each."""
    rates = {
        "one user alone": _single(system, params, channels),
        "upper bound": _bound(system, params, channels),
    }
    if bool(jnp.any(channels.direct != 0)):
        rates["no surface"] = _bare(system, params, channels, jax.random.key(0))
    return rates


_single = jax.jit(single_user_rate, static_argnums=0)
_bare = jax.jit(no_surface_rate, static_argnums=0)
_bound = jax.jit(sum_rate_bound, static_argnums=0)
_floor = jax.jit(crb_floor, static_argnums=0)


def refuse_impossible(system: System, params: Any, channels: Any) -> None:
    """Refuse constraints that no design can meet on any of the given channels `[C]`.

    Raises:
      ConfigError: one line with the limit and what physics allows.
    """
    if "crb" in system.constraints:
        floor = float(jnp.min(_floor(system, params, channels)))
        if floor > float(params.max_crb_rad2):
            raise ConfigError(
                f"max_crb_rad2={float(params.max_crb_rad2):.3g} is below {floor:.3g} rad^2, which no design reaches on "
                f"any of {channels.direct.shape[0]} channels even with all power on the target: raise it, or the power"
            )
    if "min_sinr" in system.constraints:
        best = float(jnp.max(jax.jit(_weakest_alone, static_argnums=0)(system, params, channels)))
        if best < float(params.min_sinr):
            raise ConfigError(
                f"a least SINR of {10 * math.log10(float(params.min_sinr)):.1f} dB is out of reach: even alone, with "
                f"all power and the whole surface, the weakest user of the best of {channels.direct.shape[0]} channels "
                f"gets at most {10 * math.log10(best):.1f} dB: lower min_sinr_db, or raise the power"
            )


def _weakest_alone(system: System, params: Any, channels: Any) -> Array:
    """Bound on the weakest user's SINR when it alone is served, `[...]`."""
    return jnp.min(_gain_bounds(system, params, channels), axis=(0, -1))
