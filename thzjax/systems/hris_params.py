"""What is given to paper B's system: its physical parameters, and one realisation of its channels."""

from flax import struct
from jax import Array


@struct.dataclass
class Params:
    """Physical parameters; every field is traced.

    Attributes:
      freq_hz: carrier [Hz].
      k_abs: power absorption coefficient [1/m].
      bs_dist_m: base station to surface [m].
      bs_arrival_rad: (azimuth, elevation) of the base station from the surface, `[2]` [rad].
      bs_departure_rad: (azimuth, elevation) of the surface from the base station, `[2]` [rad].
      user_dist_m: least and largest distance of a user from the surface, `[2]` [m].
      user_spread_rad: users stand within +-(azimuth, elevation), `[2]` [rad].
      target_dist_m, target_azimuth_rad, target_elevation_rad: the target from the surface.
      rcs_m2: its radar cross section [m^2].
      bs_gain, element_gain, sensor_gain, user_gain: power gains (linear).
      ray_power: mean power of a scattered ray over that of the line of sight.
      ray_spread_rad: rays come and go within +-(azimuth, elevation), `[2]` [rad].
      csi_error: normalised mean square error of the channels that a designer sees (if the system is `estimated`).
      noise_w: noise of a user and of a sensing element [W].
      noise_v_w: dynamic noise of an active element [W].
      power_w: base station's power budget [W].
      surface_power_w: budget of what the active elements radiate [W].
      max_amplitude: a_max of an active element.
      max_target_noise_w: amplified noise allowed at the target [W].
      min_sinr: least SINR of every user (linear).
      max_crb_rad2: largest trace of the Cramér-Rao bound of (azimuth, elevation) [rad^2].
      snapshots: L, of the radar dwell.
    """

    freq_hz: Array
    k_abs: Array
    bs_dist_m: Array
    bs_arrival_rad: Array
    bs_departure_rad: Array
    user_dist_m: Array
    user_spread_rad: Array
    target_dist_m: Array
    target_azimuth_rad: Array
    target_elevation_rad: Array
    rcs_m2: Array
    bs_gain: Array
    element_gain: Array
    sensor_gain: Array
    user_gain: Array
    ray_power: Array
    ray_spread_rad: Array
    csi_error: Array
    noise_w: Array
    noise_v_w: Array
    power_w: Array
    surface_power_w: Array
    max_amplitude: Array
    max_target_noise_w: Array
    min_sinr: Array
    max_crb_rad2: Array
    snapshots: Array


@struct.dataclass
class Channels:
    """One realisation (or a batch).

    Attributes:
      direct: base station to users, complex `[..., K, M]`; zero, as these links are blocked.
      bs_to_surface: G, complex `[..., N, M]`.
      surface_to_user: complex `[..., K, N]`.
      active: 1 where an element amplifies, else 0, `[..., N]`.
      user_position_m: `[..., K, 3]` [m].
    """

    direct: Array
    bs_to_surface: Array
    surface_to_user: Array
    active: Array
    user_position_m: Array
