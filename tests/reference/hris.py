"""Paper B's link from the positions of its elements, and the figures of merit of a design, one element at a time."""

import cmath
import math
from typing import NamedTuple

import numpy as np
from reference import hybrid_surface, link, sensing
from reference.propagation import path_amplitude
from reference.units import C

CRB_FLOOR = -1e6


class Sizes(NamedTuple):
    """What a system knows beside its parameters."""

    surface_shape: tuple[int, int]
    sensor_shape: tuple[int, int]
    phase_bits: int = 0
    noise_model: str = "white"
    departure: str = "physical"


def direction(azimuth_rad, elevation_rad):
    """Unit vector of an azimuth from x towards y and an elevation towards z."""
    flat = math.cos(elevation_rad)
    return np.array([flat * math.cos(azimuth_rad), flat * math.sin(azimuth_rad), math.sin(elevation_rad)])


def angles(position):
    """Distance, azimuth and elevation of a position."""
    dist = math.sqrt(math.fsum(x * x for x in position))
    return dist, math.atan2(position[1], position[0]), math.asin(position[2] / dist)


def element_positions(shape, freq_hz):
    """Half-wavelength array in its y-z plane: rows along y, columns along z, element 0 at the origin [n, 3] m."""
    half = C / freq_hz / 2
    return np.array([[0.0, row * half, col * half] for row in range(shape[0]) for col in range(shape[1])])


def plane_phasors(positions_m, towards, freq_hz):
    """exp(j 2 pi p.u/lambda): elements nearer to the far end, in direction u, are ahead."""
    return np.array([cmath.exp(2j * math.pi * freq_hz / C * math.fsum(p * towards)) for p in positions_m])


def bs_link(params, bs_shape, surface_shape):
    """Line of sight [N, M] between the arrays' elements 0, plane waves at both ends."""
    freq = float(params.freq_hz)
    gain = math.sqrt(float(params.bs_gain) * float(params.element_gain))
    amplitude = gain * path_amplitude(freq, params.bs_dist_m, params.k_abs)
    arrival = plane_phasors(element_positions(surface_shape, freq), direction(*map(float, params.bs_arrival_rad)), freq)
    leaving = plane_phasors(element_positions(bs_shape, freq), direction(*map(float, params.bs_departure_rad)), freq)
    return amplitude * np.outer(arrival, leaving)


def user_link(params, surface_shape, user_position_m, departure="physical"):
    """Line of sight [K, N] to each user from its position; paper B's departure mirrors it in the array's normal."""
    sign = {"physical": 1, "paper": -1}[departure]
    freq = float(params.freq_hz)
    gain = math.sqrt(float(params.element_gain) * float(params.user_gain))
    elements, rows = element_positions(surface_shape, freq), []
    for position in np.asarray(user_position_m, float):
        dist = angles(position)[0]
        amplitude = gain * path_amplitude(freq, dist, params.k_abs)
        rows.append(amplitude * plane_phasors(elements, sign * position / dist, freq))
    return np.array(rows)


def turn_onto(start, end):
    """A rotation [3, 3] that takes one unit vector to another (Rodrigues; not for opposite vectors)."""
    axis = np.cross(start, end)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + start @ end)


def exact_distances(from_m, to_m):
    """Distance of every pair of points [to, from]."""
    return np.array([[math.dist(a, b) for a in from_m] for b in to_m])


def target_gain(params):
    """lambda/(4 pi d) sqrt(g_surface) exp(-k d/2): one element to the target."""
    return math.sqrt(float(params.element_gain)) * path_amplitude(params.freq_hz, params.target_dist_m, params.k_abs)


def scene(params, channels, sizes):
    """The echo's scene."""
    gain = float(params.element_gain) * float(params.sensor_gain)
    return sensing.Scene(
        bs_to_surface=np.asarray(channels.bs_to_surface, complex),
        azimuth_rad=float(params.target_azimuth_rad),
        elevation_rad=float(params.target_elevation_rad),
        beta=sensing.radar_amplitude(params.freq_hz, params.target_dist_m, params.k_abs, params.rcs_m2, gain),
        surface_shape=sizes.surface_shape,
        sensor_shape=sizes.sensor_shape,
        active=np.asarray(channels.active, float),
        noise_v_w=float(params.noise_v_w),
        departure=sizes.departure,
        origin="centre",
    )


def fisher_information(params, channels, sizes, W, psi):
    """[4, 4] for (azimuth, elevation, Re beta, Im beta)."""
    echo = scene(params, channels, sizes)
    return sensing.fisher_information(echo, psi, W, float(params.snapshots), float(params.noise_w), sizes.noise_model)


def user_noise(params, channels, psi):
    """Noise of each user [K] W."""
    h = np.asarray(channels.surface_to_user, complex)
    return hybrid_surface.user_noise(h, psi, channels.active, float(params.noise_w), float(params.noise_v_w))


def effective_channel(channels, psi):
    """[K, M]."""
    arrays = (channels.direct, channels.surface_to_user, psi, channels.bs_to_surface)
    return link.cascaded_channel(*(np.asarray(x, complex) for x in arrays))


def arriving_power(G, W):
    """||(G W)_n||^2 [N]."""
    return np.sum(np.abs(np.asarray(G, complex) @ W) ** 2, axis=1)


def surface_power_w(params, channels, W, psi):
    """What the active elements radiate [W]."""
    arriving = arriving_power(channels.bs_to_surface, W) + float(params.noise_v_w)
    return math.fsum(abs(psi[n]) ** 2 * arriving[n] for n in range(len(psi)) if channels.active[n])


def target_noise_w(params, channels, psi):
    """Amplified noise at the target [W]."""
    return hybrid_surface.target_noise(psi, channels.active, target_gain(params), float(params.noise_v_w))


def sinr(params, channels, W, psi):
    """[K]."""
    return link.sinr(effective_channel(channels, psi), W, user_noise(params, channels, psi))


def measures(params, channels, sizes, W, psi):
    """Figures of merit by name."""
    return {
        "min_sinr": min(sinr(params, channels, W, psi)),
        "crb_rad2": float(np.trace(sensing.crb(fisher_information(params, channels, sizes, W, psi)))),
        "surface_power_w": surface_power_w(params, channels, W, psi),
        "target_noise_w": target_noise_w(params, channels, psi),
    }


def slack(params, channels, W, psi, measured):
    """1 - value/limit, or value/limit - 1 for the SINR; the amplitude by the worse of the two kinds of element."""
    loudest = max([abs(p) for p, on in zip(psi, channels.active, strict=True) if on], default=0.0)
    off_one = max([abs(abs(p) - 1) for p, on in zip(psi, channels.active, strict=True) if not on], default=0.0)
    return {
        "min_sinr": measured["min_sinr"] / float(params.min_sinr) - 1,
        "bs_power": 1 - math.fsum(link.per_antenna_power(W)) / float(params.power_w),
        "surface_power": 1 - measured["surface_power_w"] / float(params.surface_power_w),
        "target_noise": 1 - measured["target_noise_w"] / float(params.max_target_noise_w),
        "amplitude": min(1 - loudest / float(params.max_amplitude), -off_one),
        "crb": max(1 - measured["crb_rad2"] / float(params.max_crb_rad2), CRB_FLOOR),
    }


def project(params, channels, sizes, W, psi):
    """(W, psi, joint factor): budget, moduli and levels first, then all active elements by one factor."""
    power = math.fsum(link.per_antenna_power(W))
    W = W * min(1.0, math.sqrt(float(params.power_w) / power))
    out = np.zeros(len(psi), complex)
    for n, p in enumerate(psi):
        phase = cmath.phase(p)
        if sizes.phase_bits:
            step = 2 * math.pi / 2**sizes.phase_bits
            phase = step * round(phase / step)
        modulus = min(abs(p), float(params.max_amplitude)) if channels.active[n] else 1.0
        out[n] = cmath.rect(modulus, phase)
    shares = (
        surface_power_w(params, channels, W, out) / float(params.surface_power_w),
        target_noise_w(params, channels, out) / float(params.max_target_noise_w),
    )
    factor = 1 / math.sqrt(max(1.0, *shares))
    return W, np.where(np.asarray(channels.active) > 0, factor * out, out), factor
