"""Paper A's scenario: everything that describes one simulated link, in the units of a data sheet.

dB, dBm and degrees live here; `build` turns them into a system (static sizes) and its parameters (SI, linear).
"""

import dataclasses
import math
from typing import TYPE_CHECKING

from thzjax.errors import ConfigError
from thzjax.systems import limits
from thzjax.systems.medium import STANDARD_AIR, absorption_per_m, noise_w, require_not_negative, require_positive

if TYPE_CHECKING:
    from thzjax.systems.irs_isac import IrsIsac, Params

Vector = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class IrsScenario:
    """Paper A's link. Values the paper does not give are this project's, chosen so that constraints bind.

    Attributes:
      num_antennas, num_users: M, K.
      user_antennas: R of each user; above 1 rates are log-determinants (`systems.mimo_isac`).
      user_streams: D, data streams of each user; `none` for as many as antennas.
      surface_shape: rows and columns of the surface; 0 0 is no surface.
      phase_bits, phase_levels, amplitude: the surface's hardware (0 bits: continuous phases).
      freq_hz: carrier [Hz].
      absorption: "constant" (k_abs), "p676" (ITU-R P.676-13 line by line), "simplified" (275-400 GHz) or "table".
      k_abs: power absorption coefficient of "constant" [1/m]; 6.7141e-4 is paper A's.
      absorption_table: file of spectral lines in HITRAN's columns, for "table" (`physics.lines`).
      absorption_continuum: what is added to those lines, "p676" or "none" (`physics.lines.line_attenuation`).
      dry_pressure_pa, temperature_k, vapour_density_kg_m3: the air, for the other three.
      bs_position_m, surface_position_m, users_centre_m, users_radius_m: geometry [m].
      min_bs_distance_m: least distance between a user and the base station [m].
      bs_gain_dbi, user_gain_dbi, element_gain_dbi: power gains [dBi].
      blockage_db: extra loss of the direct links [dB].
      rician_factor: line of sight over scattered power, linear.
      num_rays, ray_reflection: scattered rays per link, and their amplitude over the line of sight's.
      csi_error: normalised mean square error of the channels that designers see; 0 is perfect knowledge.
      bandwidth_hz, noise_figure_db: receiver noise is -174 dBm/Hz plus these.
      power_w: P_max [W], per antenna P_max/M.
      p_ref_w: power that counts as 1 in the beam pattern [W].
      pattern_targets_deg, pattern_width_deg: desired main beams [deg].
      pattern_threshold: largest beam-pattern error; `none` for no limit.
      min_amplitude, horizontal_rad, steepness: the practical amplitude law.
      channel_steering, path_gain: paper A's literal formulas, or the physical ones.
      constraints: named constraints in force.
    """

    num_antennas: int = 5
    num_users: int = 4
    user_antennas: int = 1
    user_streams: int | None = None
    surface_shape: tuple[int, int] = (4, 4)
    phase_bits: int = 3
    phase_levels: str = "standard"
    amplitude: str = "ideal"
    freq_hz: float = 0.55e12
    absorption: str = "constant"
    k_abs: float = 6.7141e-4
    absorption_table: str | None = None
    absorption_continuum: str = "p676"
    dry_pressure_pa: float = STANDARD_AIR[0]
    temperature_k: float = STANDARD_AIR[1]
    vapour_density_kg_m3: float = STANDARD_AIR[2]
    bs_position_m: Vector = (0.0, 0.0, 0.0)
    surface_position_m: Vector = (4.0, 3.0, 0.5)
    users_centre_m: Vector = (4.0, 0.0, 0.0)
    users_radius_m: float = 2.5
    min_bs_distance_m: float = 0.5
    bs_gain_dbi: float = 25.0
    user_gain_dbi: float = 25.0
    element_gain_dbi: float = 27.0
    blockage_db: float = 33.0
    rician_factor: float = 10.0
    num_rays: int = 3
    ray_reflection: float = 0.3
    csi_error: float = 0.0
    bandwidth_hz: float = 10e9
    noise_figure_db: float = 10.0
    power_w: float = 0.02
    p_ref_w: float = 1e-3
    pattern_targets_deg: tuple[float, ...] = (-40.0, 0.0, 40.0)
    pattern_width_deg: float = 10.0
    pattern_threshold: float | None = 2.0
    min_amplitude: float = 0.2
    horizontal_rad: float = 0.43 * math.pi
    steepness: float = 1.6
    channel_steering: str = "unit_modulus"
    path_gain: str = "amplitude"
    constraints: tuple[str, ...] = ("antenna_power", "beam_pattern")


def check(scenario: IrsScenario) -> None:
    """Refuse a scenario that cannot work, before anything is traced.

    Raises:
      ConfigError: one line with the two values that clash.
    """
    limits.check_numbers(scenario)
    positive = (
        "dry_pressure_pa", "temperature_k", "freq_hz", "power_w", "p_ref_w", "bandwidth_hz", "pattern_width_deg",
        "steepness", "min_bs_distance_m",
    )  # fmt: skip
    require_positive(scenario, positive)
    not_negative = (
        "k_abs", "vapour_density_kg_m3", "csi_error", "users_radius_m", "rician_factor", "ray_reflection", "blockage_db"
    )  # fmt: skip
    require_not_negative(scenario, not_negative)
    if not 0 <= scenario.min_amplitude <= 1:
        raise ConfigError(f"min_amplitude={scenario.min_amplitude:g} must lie in 0..1")
    if any(not -90 <= angle <= 90 for angle in scenario.pattern_targets_deg):
        raise ConfigError(f"pattern_targets_deg={scenario.pattern_targets_deg} must lie in -90..90 degrees")
    limits.check_ranges(scenario)
    _check_sizes(scenario)
    _check_geometry(scenario)


def _check_sizes(scenario: IrsScenario) -> None:
    if min(scenario.surface_shape) < 0:
        raise ConfigError(f"surface_shape={scenario.surface_shape} must not be negative")
    rows, cols = (max(size, 1) for size in scenario.surface_shape)
    users, paths = scenario.num_users * max(scenario.user_antennas, 1), scenario.num_rays + 1
    limits.check_entries("the channel to the surface, elements x antennas,", rows * cols, scenario.num_antennas)
    largest = max(rows * cols, scenario.num_antennas)
    limits.check_entries("the channel to the users, antennas x elements,", users, largest)
    limits.check_entries("the paths of the users, by antenna,", users, paths, scenario.num_antennas)
    if scenario.power_w > limits.MOST_POWER_RATIO * scenario.p_ref_w:
        raise ConfigError(
            f"power_w={scenario.power_w:g} is more than {limits.MOST_POWER_RATIO:g} times p_ref_w={scenario.p_ref_w:g}"
            ", and the beam pattern's error grows with its square: raise p_ref_w"
        )


def _check_geometry(scenario: IrsScenario) -> None:
    near = math.dist(scenario.bs_position_m, scenario.users_centre_m) - scenario.users_radius_m
    if near < scenario.min_bs_distance_m:
        raise ConfigError(
            f"users may stand {max(near, 0):.2f} m from the base station, less than "
            f"min_bs_distance_m={scenario.min_bs_distance_m:g}: move users_centre_m or shrink users_radius_m"
        )
    if math.dist(scenario.bs_position_m, scenario.surface_position_m) < scenario.min_bs_distance_m:
        raise ConfigError(
            "the surface stands on the base station: move surface_position_m at least "
            f"min_bs_distance_m={scenario.min_bs_distance_m:g} away"
        )
    surface_y = scenario.surface_position_m[1]
    last_user_y = scenario.users_centre_m[1] + scenario.users_radius_m
    if max(last_user_y, scenario.bs_position_m[1]) >= surface_y:
        raise ConfigError(
            f"the surface at y={surface_y:g} m faces -y, but users reach y={last_user_y:g} m and the base station "
            f"stands at y={scenario.bs_position_m[1]:g} m: both must lie in front of it"
        )


def _check_levels(scenario: IrsScenario, k_abs: float) -> None:
    """Refuse antennas that stand in each other's near fields, or too close for float32, and noise that is next to none.

    The direct path and the surface's elements are taken to add in phase, with every ray, at the nearest place.
    """
    bs, surface, centre = scenario.bs_position_m, scenario.surface_position_m, scenario.users_centre_m
    radius, freq_hz = scenario.users_radius_m, scenario.freq_hz
    largest = max(abs(x) for place in (bs, surface, centre) for x in place) + radius
    direct_m = math.dist(bs, centre) - radius
    limits.check_apart("a user and the base station", direct_m, largest)
    gain = scenario.bs_gain_dbi + scenario.user_gain_dbi - scenario.blockage_db
    amplitude = 10 ** (limits.hop_db("base station to a user", freq_hz, direct_m, k_abs, gain) / 20)
    elements = math.prod(scenario.surface_shape)
    if elements:
        first_m = math.dist(bs, surface)
        last_m = math.hypot(max(math.dist(centre[:2], surface[:2]) - radius, 0), centre[2] - surface[2])
        limits.check_apart("the base station and the surface", first_m, largest)
        limits.check_apart("a user and the surface", last_m, largest)
        gain = scenario.bs_gain_dbi + scenario.element_gain_dbi
        first = limits.hop_db("base station to the surface", freq_hz, first_m, k_abs, gain)
        gain = scenario.element_gain_dbi + scenario.user_gain_dbi
        last = limits.hop_db("surface to a user", freq_hz, last_m, k_abs, gain)
        amplitude += elements * 10 ** ((first + last) / 20)
    amplitude *= (1 + scenario.num_rays * scenario.ray_reflection) ** 2
    power = scenario.power_w * scenario.num_antennas * scenario.user_antennas * amplitude**2 / noise_w(scenario)
    limits.check_level("the signal over the noise", 10 * math.log10(max(power, 1e-300)), limits.MOST_SNR_DB)


def build_irs(scenario: IrsScenario) -> "tuple[IrsIsac, Params]":
    """The system and its parameters.

    Raises:
      ConfigError: the scenario cannot work, or its beam-pattern threshold is below the least error that any
        beamformer can reach.
    """
    from thzjax.physics import beampattern, beampattern_optimum
    from thzjax.systems.base import number, ratio
    from thzjax.systems.irs_isac import Params

    check(scenario)
    system = _system(scenario)
    k_abs = absorption_per_m(scenario)
    _check_levels(scenario, k_abs)
    grid = beampattern.pattern_grid()
    desired = desired_beams(scenario)
    gram = beampattern.pattern_gram(scenario.num_antennas, desired, grid)
    threshold = math.inf if scenario.pattern_threshold is None else scenario.pattern_threshold
    least = beampattern_optimum.least_pattern_error(gram, scenario.num_antennas, scenario.power_w, scenario.p_ref_w)
    limited = {"beam_pattern", "user_beam_pattern"} & set(scenario.constraints)
    if limited and threshold < least:
        raise ConfigError(
            f"pattern_threshold={threshold:g} is below {least:.4f}, the least beam-pattern error that any beamformer "
            f"with M={scenario.num_antennas} antennas can reach at width {scenario.pattern_width_deg:g} deg: raise it"
        )

    params = Params(
        freq_hz=number(scenario.freq_hz),
        k_abs=number(k_abs),
        bs_position_m=number(scenario.bs_position_m),
        surface_position_m=number(scenario.surface_position_m),
        users_centre_m=number(scenario.users_centre_m),
        users_radius_m=number(scenario.users_radius_m),
        bs_gain=ratio(scenario.bs_gain_dbi),
        user_gain=ratio(scenario.user_gain_dbi),
        element_gain=ratio(scenario.element_gain_dbi),
        blockage=ratio(-scenario.blockage_db),
        rician_factor=number(scenario.rician_factor),
        ray_reflection=number(scenario.ray_reflection),
        csi_error=number(scenario.csi_error),
        noise_w=number(noise_w(scenario)),
        power_w=number(scenario.power_w),
        p_ref_w=number(scenario.p_ref_w),
        pattern_threshold=number(threshold),
        pattern=gram,
        min_amplitude=number(scenario.min_amplitude),
        horizontal_rad=number(scenario.horizontal_rad),
        steepness=number(scenario.steepness),
    )
    return system, params


def _system(scenario: IrsScenario) -> "IrsIsac":
    """Sizes and options."""
    from thzjax.systems.irs_isac import IrsIsac
    from thzjax.systems.mimo_isac import MimoIsac

    options = {
        "num_antennas": scenario.num_antennas,
        "num_users": scenario.num_users,
        "surface_shape": tuple(scenario.surface_shape),
        "num_rays": scenario.num_rays,
        "phase_bits": scenario.phase_bits,
        "phase_levels": scenario.phase_levels,
        "amplitude": scenario.amplitude,
        "channel_steering": scenario.channel_steering,
        "path_gain": scenario.path_gain,
        "estimated": scenario.csi_error > 0,
        "constraints": tuple(scenario.constraints),
    }
    if scenario.user_antennas < 1 or (scenario.user_antennas == 1 and scenario.user_streams not in (None, 1)):
        raise ConfigError(
            f"user_antennas={scenario.user_antennas} with user_streams={scenario.user_streams}: a user needs at least "
            "one antenna, and as many as streams"
        )
    if scenario.user_antennas == 1:
        return IrsIsac(**options)
    streams = scenario.user_antennas if scenario.user_streams is None else scenario.user_streams
    return MimoIsac(**options, user_antennas=scenario.user_antennas, user_streams=streams)


def desired_beams(scenario: IrsScenario):
    """The desired pattern on `beampattern.pattern_grid()`, `[1801]`."""
    import jax.numpy as jnp

    from thzjax.physics import beampattern

    grid = beampattern.pattern_grid()
    targets = jnp.deg2rad(jnp.asarray(scenario.pattern_targets_deg, dtype=grid.dtype))
    return beampattern.desired_pattern(grid, targets, jnp.deg2rad(jnp.asarray(scenario.pattern_width_deg)))
