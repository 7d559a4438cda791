"""Paper A's link as one looks at it: where things stand, what every term of its budget costs, where arrays radiate."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.numeric import abs2, as_real, matmul, norm_or_zero
from thzjax.physics.arrays import planar_response, spherical_coordinates
from thzjax.systems.base import Design
from thzjax.systems.budget import (
    Budget,
    absorption_db,
    aperture_db,
    array_db,
    budget,
    in_phase_db,
    spreading_db,
)
from thzjax.systems.common import reflected_eirp
from thzjax.systems.irs_isac import IrsIsac
from thzjax.systems.irs_params import Channels, Params
from thzjax.systems.layout import Layout, Link, Node, point, ring
from thzjax.units import linear_to_db, watt_to_dbm


def ideal(system: IrsIsac) -> IrsIsac:
    """The same system with the surface that a budget reckons with: any phase, no loss."""
    return dataclasses.replace(system, phase_bits=0, amplitude="ideal")


def layout(system: IrsIsac, params: Params, user_position_m: Array) -> Layout:
    """Base station, surface, users `[K, 3]` [m], their links, and the disc that users are drawn from."""
    bs, surface = (point(x) for x in (params.bs_position_m, params.surface_position_m))
    nodes = {"BS": Node("bs", bs, (0.0, 1.0))}
    if system.spec.elements:
        nodes["surface"] = Node("surface", surface, (1.0, 0.0))
    nodes |= {f"user {k + 1}": Node("user", point(x)) for k, x in enumerate(np.asarray(user_position_m))}
    blockage_db = -float(linear_to_db(params.blockage))

    def link(start: str, end: str, extra_db: float = 0.0) -> Link:
        length = math.dist(nodes[start].position_m, nodes[end].position_m)
        return Link(start, end, length, extra_db - float(sum(_hop(system, params, length))), extra_db > 0)

    users = [name for name, node in nodes.items() if node.kind == "user"]
    links = [link("BS", name, blockage_db) for name in users]
    if system.spec.elements:
        links = [link("BS", "surface"), *(link("surface", name) for name in users), *links]
    centre = np.asarray(params.users_centre_m, float)[:2]
    return Layout(nodes, links, centre + ring(0, float(params.users_radius_m), 0, 2 * math.pi))


def _hop(system: IrsIsac, params: Params, dist_m: Array | float) -> tuple[Array, Array]:
    """(spreading, absorption) of a hop [dB]; paper A's (9) at its word has them twice."""
    times = 2 if system.path_gain == "power" else 1
    return times * spreading_db(params.freq_hz, dist_m), times * absorption_db(dist_m, params.k_abs)


def link_budgets(system: IrsIsac, params: Params, user_position_m: Array) -> dict[str, Budget]:
    """What one user alone gets in line of sight, with all the power: "over the surface" and "direct".

    Beams are matched and the surface's phases aligned, of any value and without loss; scattered rays and limits on the
    beam pattern are left out. Over the surface the last gain is what the direct link adds to it in the best phase: the
    SNR is then that of `IrsIsac.outcome` on a channel without rays. A user with several antennas gets one stream.

    Args:
      system: sizes and options.
      params: physical parameters.
      user_position_m: `[..., 3]` [m].

    Returns:
      Budgets by name; without elements only the direct link's.
    """
    user_position_m = as_real(user_position_m)
    bs, surface = params.bs_position_m, params.surface_position_m
    literal = system.channel_steering == "literal"  # responses of unit norm: no array gain

    def in_phase(db: float) -> float:
        return 0.0 if literal else db

    share = linear_to_db(params.rician_factor / (1 + params.rician_factor))
    sending = {
        "transmit power": watt_to_dbm(params.power_w),
        f"{system.num_antennas} BS antennas in phase": in_phase(array_db(system.num_antennas)),
        "BS antenna gain": linear_to_db(params.bs_gain),
    }
    receiving = {"user antenna gain": linear_to_db(params.user_gain)}
    if system.spec.user_antennas > 1:
        receiving[f"{system.spec.user_antennas} user antennas in phase"] = in_phase(array_db(system.spec.user_antennas))
    noise = {"receiver noise": watt_to_dbm(params.noise_w)}

    spreading, absorption = _hop(system, params, norm_or_zero(user_position_m - bs))
    direct = budget(
        sending
        | {
            "spreading, BS–user": spreading,
            "absorption, BS–user": absorption,
            "blockage": linear_to_db(params.blockage),
        }
        | receiving
        | {"line of sight's share": share},
        noise,
    )
    if not system.spec.elements:
        return {"direct": direct}
    first = _hop(system, params, norm_or_zero(surface - bs))
    second = _hop(system, params, norm_or_zero(user_position_m - surface))
    element = linear_to_db(params.element_gain)
    reflected = (
        sending
        | {"spreading, BS–surface": first[0], "absorption, BS–surface": first[1]}
        | {
            "element gain, arriving": element,
            f"{system.spec.elements} elements in phase": in_phase(aperture_db(system.spec.elements)),
            "element gain, leaving": element,
        }
        | {"spreading, surface–user": second[0], "absorption, surface–user": second[1]}
        | receiving
        | {"line of sight's share": 2 * share}
    )
    ratio = direct.received_dbm - budget(reflected, noise).received_dbm
    added = in_phase_db(ratio, *_alike(system, params, user_position_m))
    return {"over the surface": budget(reflected | {"direct link in phase": added}, noise), "direct": direct}


def _alike(system: IrsIsac, params: Params, user_position_m: Array) -> tuple[Array, Array]:
    """Moduli of the correlation of both paths' responses, at the base station and at the user, `[...]` each."""

    def towards(offset_m: Array) -> Array:
        return offset_m[..., 1] / norm_or_zero(offset_m)

    def correlation(a: Array, b: Array) -> Array:
        inner = jnp.abs(jnp.sum(jnp.conj(a) * b, axis=-1))
        return inner / (norm_or_zero(a) * norm_or_zero(b))

    bs, surface, user = params.bs_position_m, params.surface_position_m, user_position_m
    sending = correlation(system.departure_row(towards(user - bs)), system.departure_row(towards(surface - bs)))
    num = system.spec.user_antennas
    at_user = [system.linear_response(towards(user - origin), num) for origin in (bs, surface)]
    return sending, correlation(*at_user)


def surface_angles(params: Params, position_m: Array) -> Array:
    """(azimuth, elevation) of positions from the surface's normal -y, azimuth towards +x, `[..., 2]` [rad]."""
    offset = as_real(position_m) - params.surface_position_m
    return spherical_coordinates(jnp.stack([-offset[..., 1], offset[..., 0], offset[..., 2]], axis=-1))[..., 1:]


def bs_angles(system: IrsIsac, params: Params, user_position_m: Array) -> tuple[dict[str, float], float]:
    """Angle of every node from the base station's broadside [rad], by name; a linear array knows no elevation (0)."""
    nodes = layout(system, params, user_position_m).nodes
    bs = np.array(nodes["BS"].position_m)
    offsets = {name: np.array(node.position_m) - bs for name, node in nodes.items() if node.kind != "bs"}
    return {name: float(np.arcsin(offset[1] / np.linalg.norm(offset))) for name, offset in offsets.items()}, 0.0


def bs_eirp(system: IrsIsac, params: Params, beamformer: Array, azimuth_rad: Array, elevation_rad: float) -> Array:
    """What every stream radiates from the base station towards each angle from broadside, EIRP [W], `[S, L]`.

    Args:
      system, params: of one drop.
      beamformer: `[M, S]`.
      azimuth_rad: `[L]`.
      elevation_rad: of no effect.
    """
    del elevation_rad
    field = matmul(system.departure_row(jnp.sin(azimuth_rad)), beamformer)
    return params.bs_gain * abs2(field).T


def surface_eirp(
    system: IrsIsac, params: Params, channels: Channels, design: Design, azimuth_rad: Array, elevation_rad: Array
) -> Array:
    """What the surface sends on towards each direction (see `surface_angles`), EIRP [W], `[S, ...]`."""
    azimuth_rad, elevation_rad = jnp.broadcast_arrays(as_real(azimuth_rad), as_real(elevation_rad))
    across, up = jnp.cos(elevation_rad) * jnp.sin(azimuth_rad), jnp.sin(elevation_rad)
    row = planar_response(across, up, system.surface_shape, unit_norm=system.channel_steering == "literal")
    return reflected_eirp(row, channels.bs_to_surface, design, params.element_gain)


def in_front(params: Params, position_m: np.ndarray, least_m: float) -> np.ndarray:
    """Positions `[..., 3]` before the surface and at least so far from it and the base station, bool `[...]`."""
    surface, bs = np.asarray(params.surface_position_m, float), np.asarray(params.bs_position_m, float)
    far = [np.linalg.norm(position_m - other, axis=-1) >= least_m for other in (surface, bs)]
    return (position_m[..., 1] < surface[1]) & far[0] & far[1]
