"""Paper A's system: its physical parameters, what a drop holds, and the paths it is made of."""

from typing import NamedTuple

from flax import struct
from jax import Array

from thzjax.physics import beampattern


@struct.dataclass
class Params:
    """Physical parameters; every field is traced.

    Attributes:
      freq_hz: carrier [Hz].
      k_abs: power absorption coefficient [1/m].
      bs_position_m, surface_position_m, users_centre_m: `[3]` [m].
      users_radius_m: radius of the users' disc [m].
      bs_gain, user_gain, element_gain: power gains (linear).
      blockage: power loss factor of the direct links (linear, <= 1).
      rician_factor: F (linear).
      ray_reflection: amplitude of a scattered ray over that of the line of sight.
      csi_error: normalised mean square error of the channels that a designer sees (if the system is `estimated`).
      noise_w: receiver noise [W].
      power_w: P_max [W]; each antenna has at most P_max/M.
      p_ref_w: power that counts as 1 in the beam pattern [W].
      pattern_threshold: largest beam-pattern error allowed.
      pattern: the error's quadratic form for the desired pattern.
      min_amplitude, horizontal_rad, steepness: the practical amplitude law (used when the system asks for it).
    """

    freq_hz: Array
    k_abs: Array
    bs_position_m: Array
    surface_position_m: Array
    users_centre_m: Array
    users_radius_m: Array
    bs_gain: Array
    user_gain: Array
    element_gain: Array
    blockage: Array
    rician_factor: Array
    ray_reflection: Array
    csi_error: Array
    noise_w: Array
    power_w: Array
    p_ref_w: Array
    pattern_threshold: Array
    pattern: beampattern.PatternGram
    min_amplitude: Array
    horizontal_rad: Array
    steepness: Array


@struct.dataclass
class Channels:
    """One realisation (or a batch).

    Attributes:
      direct: BS to users, complex `[..., K, M]`.
      bs_to_surface: complex `[..., N, M]`.
      surface_to_user: complex `[..., K, N]`.
      user_position_m: `[..., K, 3]` [m].
    """

    direct: Array
    bs_to_surface: Array
    surface_to_user: Array
    user_position_m: Array


class Paths(NamedTuple):
    """One drop path by path, line of sight first: complex weights `[..., P]`, then the responses of both ends.

    Attributes:
      direct: weights `[K, P]`, departure rows `[K, P, M]`.
      bs_to_surface: weights `[P]`, arrivals `[P, N]`, departure rows `[P, M]`.
      surface_to_user: weights `[K, P]`, responses along the surface's rows `[K, P, rows]` and columns `[K, P, cols]`.
      user_position_m: `[K, 3]`.
      towards_users: direction cosines of the lines of sight to the users, from the base station and from the surface,
        `[K, 3]` each.
    """

    direct: tuple[Array, Array]
    bs_to_surface: tuple[Array, Array, Array]
    surface_to_user: tuple[Array, Array, Array]
    user_position_m: Array
    towards_users: tuple[Array, Array]
