"""Paper B's link as one looks at it: where things stand, what every term of its budgets costs, where arrays radiate."""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.numeric import abs2, as_real, matmul, norm_or_zero
from thzjax.physics.arrays import direction_vector, spherical_coordinates, upa_phase_slopes, upa_steering
from thzjax.systems.base import Design
from thzjax.systems.budget import Budget, absorption_db, aperture_db, array_db, budget, spreading_db
from thzjax.systems.common import reflected_eirp
from thzjax.systems.hris_isac import HrisIsac
from thzjax.systems.hris_params import Channels, Params
from thzjax.systems.layout import Layout, Link, Node, point, ring
from thzjax.units import SPEED_OF_LIGHT, linear_to_db, watt_to_dbm


def ideal(system: HrisIsac) -> HrisIsac:
    """The same system with the surface that a budget reckons with: any phase."""
    return system.continuous


def layout(system: HrisIsac, params: Params, user_position_m: Array) -> Layout:
    """Base station, surface, users `[K, 3]` [m] and target, their links, and the sector that users are drawn from."""
    bs = _bs_position(params)
    # The surface is at azimuth bs_departure from the base station's normal, and its rows stand across that normal.
    normal = math.atan2(-bs[1], -bs[0]) - float(params.bs_departure_rad[0])
    nodes = {
        "BS": Node("bs", point(bs), (-math.sin(normal), math.cos(normal))),
        "surface": Node("surface", (0.0, 0.0, 0.0), (0.0, 1.0)),
    }
    nodes |= {f"user {k + 1}": Node("user", point(x)) for k, x in enumerate(np.asarray(user_position_m))}
    target = params.target_dist_m * direction_vector(params.target_azimuth_rad, params.target_elevation_rad)
    nodes["target"] = Node("target", point(np.asarray(target)))

    def link(start: str, end: str) -> Link:
        length = math.dist(nodes[start].position_m, nodes[end].position_m)
        loss = -float(spreading_db(params.freq_hz, length) + absorption_db(length, params.k_abs))
        # Nothing comes straight from the base station: `Channels.direct` is zero.
        return Link(start, end, length, loss, False) if start == "surface" else Link(start, end, length, math.inf, True)

    users = [name for name, node in nodes.items() if node.kind == "user"]
    first = link("surface", "BS")
    links = [Link("BS", "surface", first.length_m, first.loss_db)]
    links += [link("surface", name) for name in (*users, "target")]
    links += [link("BS", name) for name in users]
    inner, outer = (float(x) for x in params.user_dist_m)
    spread = float(params.user_spread_rad[0])
    return Layout(nodes, links, ring(inner * math.cos(float(params.user_spread_rad[1])), outer, -spread, spread))


def _bs_position(params: Params) -> np.ndarray:
    return np.asarray(params.bs_dist_m * direction_vector(params.bs_arrival_rad[0], params.bs_arrival_rad[1]), float)


def _hop(params: Params, dist_m: Array) -> tuple[Array, Array]:
    return spreading_db(params.freq_hz, dist_m), absorption_db(dist_m, params.k_abs)


def active_amplitude(system: HrisIsac, params: Params) -> Array:
    """Amplitude of every active element in a budget, `[]`: alike, and as loud as the limits in force allow.

    With all the power on the matched beam and no scattered ray each element hears P M g, g the hop's gain, so that
    a^2 = min(a_max^2, P_s/(N_a (P M g + sigma_v^2)), limit/(N_a sigma_v^2 g_t)), the last two where `surface_power` and
    `target_noise` are constraints: what `HrisIsac.project` allows.
    """
    first = sum(_hop(params, params.bs_dist_m)) + linear_to_db(params.bs_gain * params.element_gain)
    arriving = params.power_w * system.spec.antennas * 10 ** (first / 10)
    to_target = sum(_hop(params, params.target_dist_m)) + linear_to_db(params.element_gain)
    square = params.max_amplitude**2
    if "surface_power" in system.constraints:
        square = jnp.minimum(square, params.surface_power_w / (system.num_active * (arriving + params.noise_v_w)))
    if "target_noise" in system.constraints:
        spent = system.num_active * params.noise_v_w * 10 ** (to_target / 10)
        square = jnp.minimum(square, params.max_target_noise_w / spent)
    return jnp.sqrt(square)


def _to_surface(system: HrisIsac, params: Params) -> dict[str, Array | float]:
    """Gains from the transmitter to the field that leaves an element."""
    elements, amplifiers = system.spec.elements, system.num_active
    spreading, absorption = _hop(params, params.bs_dist_m)
    gains = {
        "transmit power": watt_to_dbm(params.power_w),
        f"{system.spec.antennas} BS antennas in phase": array_db(system.spec.antennas),
        "BS antenna gain": linear_to_db(params.bs_gain),
        "spreading, BS–surface": spreading,
        "absorption, BS–surface": absorption,
        "element gain, arriving": linear_to_db(params.element_gain),
        f"{elements} elements in phase": aperture_db(elements),
    }
    if amplifiers:
        louder = 1 + (active_amplitude(system, params) - 1) * (amplifiers / elements)
        gains[f"{amplifiers} of them amplify"] = 2 * linear_to_db(louder)
    return gains | {"element gain, leaving": linear_to_db(params.element_gain)}


def link_budgets(system: HrisIsac, params: Params, user_position_m: Array) -> dict[str, Budget]:
    """What one user alone gets in line of sight with all the power, "over the surface"; and the target's "echo".

    Beams are matched and the surface's phases, of any value, aligned to the user, or to the target; active elements
    have `active_amplitude`. On a channel without scattered rays the user's SNR is that of `HrisIsac.outcome`. The
    echo's, after the whole dwell, is `sensing.radar_snr`, and on such a channel the angles' bound is
    `crb_at_unit_snr` over it.

    Args:
      system: sizes and options.
      params: physical parameters.
      user_position_m: `[..., 3]` [m].
    """
    dist_m = norm_or_zero(as_real(user_position_m))
    spreading, absorption = _hop(params, dist_m)
    user_gain = linear_to_db(params.user_gain)
    to_user = {
        "spreading, surface–user": spreading,
        "absorption, surface–user": absorption,
        "user antenna gain": user_gain,
    }
    noises = {"receiver noise": watt_to_dbm(params.noise_w)}
    if system.num_active:
        hop = spreading + absorption + user_gain + linear_to_db(params.element_gain)
        amplified = params.noise_v_w * system.num_active * active_amplitude(system, params) ** 2 * 10 ** (hop / 10)
        noises["amplifiers' noise"] = linear_to_db(1 + amplified / params.noise_w)
    return {
        "over the surface": budget(_to_surface(system, params) | to_user, noises),
        "echo": _echo(system, params),
    }


def _echo(system: HrisIsac, params: Params) -> Budget:
    """The radar equation as two hops and a target that collects 4 pi rcs/lambda^2 times what an isotropic one does."""
    spreading, absorption = _hop(params, params.target_dist_m)
    per_wavelength = params.freq_hz / SPEED_OF_LIGHT
    sensors = math.prod(system.sensor_shape)
    gains = _to_surface(system, params) | {
        "spreading, surface–target": spreading,
        "absorption, surface–target": absorption,
        "target, 4π rcs/λ²": linear_to_db(4 * math.pi * params.rcs_m2 * per_wavelength * per_wavelength),
        "spreading, target–sensors": spreading,
        "absorption, target–sensors": absorption,
        "sensor gain": linear_to_db(params.sensor_gain),
        f"{sensors} sensors in phase": array_db(sensors),
        "snapshots of the dwell": linear_to_db(params.snapshots),
    }
    return budget(gains, {"sensor noise": watt_to_dbm(params.noise_w)})


def crb_at_unit_snr(system: HrisIsac, params: Params) -> Array:
    """Trace of the angles' bound of an echo of SNR 1 over one path, `[]` [rad^2]: n tr(B^-1)/2, B = [Re db_i^H P db_j].

    The n sensors' response b and its derivatives db alone decide it; the bound is this over the SNR of the dwell
    (`sensing.crb_rank_one`), for white noise. What the target sends back of the amplifiers' noise ("colored") lies
    along b and changes nothing.
    """
    angles = (params.target_azimuth_rad, params.target_elevation_rad)
    slopes = upa_phase_slopes(*angles, system.sensor_shape, origin="centre")[..., 1:, :]
    a, d = jnp.sum(slopes[..., 0, :] ** 2, axis=-1), jnp.sum(slopes[..., 1, :] ** 2, axis=-1)
    b = jnp.sum(slopes[..., 0, :] * slopes[..., 1, :], axis=-1)
    return math.prod(system.sensor_shape) * (a + d) / (a * d - b**2) / 2


def surface_angles(params: Params, position_m: Array) -> Array:
    """(azimuth, elevation) of positions from the surface, whose normal is x, `[..., 2]` [rad]."""
    del params
    return spherical_coordinates(position_m)[..., 1:]


def bs_angles(system: HrisIsac, params: Params, user_position_m: Array) -> tuple[dict[str, float], float]:
    """Azimuth of the surface, all that the base station reaches, from its normal, and its elevation [rad]."""
    del system, user_position_m
    azimuth, elevation = (float(x) for x in params.bs_departure_rad)
    return {"surface": azimuth}, elevation


def bs_eirp(system: HrisIsac, params: Params, beamformer: Array, azimuth_rad: Array, elevation_rad: float) -> Array:
    """What every stream radiates from the base station at one elevation, EIRP [W], `[M, S]` and `[L]` to `[S, L]`."""
    elevation = jnp.full_like(azimuth_rad, elevation_rad)
    field = matmul(upa_steering(azimuth_rad, elevation, system.bs_shape), beamformer)
    return params.bs_gain * abs2(field).T


def surface_eirp(
    system: HrisIsac, params: Params, channels: Channels, design: Design, azimuth_rad: Array, elevation_rad: Array
) -> Array:
    """What the surface sends on towards each direction (see `surface_angles`), EIRP [W], `[S, ...]`.

    Its amplifiers' noise, which goes everywhere alike, is left out.
    """
    azimuth_rad, elevation_rad = jnp.broadcast_arrays(as_real(azimuth_rad), as_real(elevation_rad))
    row = upa_steering(azimuth_rad, elevation_rad, system.surface_shape)
    row = row if system.departure == "physical" else jnp.conj(row)
    return reflected_eirp(row, channels.bs_to_surface, design, params.element_gain)


def in_front(params: Params, position_m: np.ndarray, least_m: float) -> np.ndarray:
    """Positions `[..., 3]` before the surface and at least so far from it and the base station, bool `[...]`."""
    far = [np.linalg.norm(position_m - other, axis=-1) >= least_m for other in (np.zeros(3), _bs_position(params))]
    return (position_m[..., 0] > 0) & far[0] & far[1]


def sense_at(params: Params, position_m: Array) -> Params:
    """The parameters with the target at a position `[3]` [m]."""
    dist, azimuth, elevation = jnp.moveaxis(spherical_coordinates(position_m), -1, 0)
    return params.replace(target_dist_m=dist, target_azimuth_rad=azimuth, target_elevation_rad=elevation)
