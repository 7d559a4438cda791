"""Paper B's scenario: everything that describes one hybrid-surface link, in the units of a data sheet.

dB, dBm and degrees live here; `build_hris` turns them into a system (static sizes) and its parameters (SI, linear).
"""

import dataclasses
import math
from typing import TYPE_CHECKING

from thzjax.errors import ConfigError
from thzjax.systems import limits
from thzjax.systems.medium import STANDARD_AIR, absorption_per_m, noise_w, require_not_negative, require_positive

if TYPE_CHECKING:
    from thzjax.systems.hris_isac import HrisIsac
    from thzjax.systems.hris_params import Params

Pair = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class HrisScenario:
    """Paper B's link. The values of the paper's table are lost: these are this project's, so that constraints bind.

    Attributes:
      bs_shape: rows and columns of the base station's array.
      surface_shape, sensor_shape: rows and columns of the reflecting and of the sensing elements.
      num_active: amplifying elements, at random positions; 0 is a passive surface.
      num_users: K; one more stream senses.
      num_rays_bs, num_rays_user: scattered rays beside the line of sight.
      phase_bits: phase resolution of an element; 0 is continuous.
      freq_hz: carrier [Hz].
      absorption: "constant" (k_abs), "p676" (ITU-R P.676-13 line by line), "simplified" (275-400 GHz) or "table".
      k_abs: power absorption coefficient of "constant" [1/m].
      absorption_table: file of spectral lines in HITRAN's columns, for "table" (`physics.lines`).
      absorption_continuum: what is added to those lines, "p676" or "none" (`physics.lines.line_attenuation`).
      dry_pressure_pa, temperature_k, vapour_density_kg_m3: the air, for the other three.
      bs_dist_m: base station to surface [m].
      bs_arrival_deg: azimuth and elevation of the base station from the surface [deg].
      bs_departure_deg: azimuth and elevation of the surface from the base station [deg].
      user_dist_m: least and largest distance of a user from the surface [m].
      user_spread_deg: users stand within plus and minus these azimuths and elevations [deg].
      target_dist_m, target_deg, rcs_m2: the target's distance [m], azimuth and elevation [deg], cross section [m^2].
      bs_gain_dbi, element_gain_dbi, sensor_gain_dbi, user_gain_dbi: power gains [dBi].
      ray_power_db, ray_spread_deg: mean power of a ray over the line of sight's [dB], and its angles [deg].
      csi_error: normalised mean square error of the channels that designers see; 0 is perfect knowledge.
      bandwidth_hz, noise_figure_db: noise of users and sensors is -174 dBm/Hz plus these.
      dynamic_noise_dbm: noise of an active element [dBm].
      p_bs_dbm, p_surface_dbm: power budgets of the base station and of the active elements [dBm].
      max_amplitude: of an active element (5 is 14 dB).
      target_noise_dbm: amplified noise allowed at the target [dBm].
      min_sinr_db: least SINR of every user [dB].
      max_crb_rad2: largest trace of the angles' Cramér-Rao bound [rad^2].
      snapshots: of the radar dwell.
      noise_model, departure: see `HrisIsac`.
      constraints: named constraints in force.
    """

    bs_shape: tuple[int, int] = (8, 8)
    surface_shape: tuple[int, int] = (8, 10)
    sensor_shape: tuple[int, int] = (4, 5)
    num_active: int = 30
    num_users: int = 4
    num_rays_bs: int = 5
    num_rays_user: int = 2
    phase_bits: int = 0
    freq_hz: float = 0.3e12
    absorption: str = "constant"
    k_abs: float = 0.0033
    absorption_table: str | None = None
    absorption_continuum: str = "p676"
    dry_pressure_pa: float = STANDARD_AIR[0]
    temperature_k: float = STANDARD_AIR[1]
    vapour_density_kg_m3: float = STANDARD_AIR[2]
    bs_dist_m: float = 5.0
    bs_arrival_deg: Pair = (-40.0, 5.0)
    bs_departure_deg: Pair = (20.0, -5.0)
    user_dist_m: Pair = (2.0, 4.0)
    user_spread_deg: Pair = (60.0, 30.0)
    target_dist_m: float = 3.0
    target_deg: Pair = (30.0, 10.0)
    rcs_m2: float = 12.57
    bs_gain_dbi: float = 5.0
    element_gain_dbi: float = 5.0
    sensor_gain_dbi: float = 5.0
    user_gain_dbi: float = 20.0
    ray_power_db: float = -10.0
    ray_spread_deg: Pair = (60.0, 30.0)
    csi_error: float = 0.0
    bandwidth_hz: float = 100e6
    noise_figure_db: float = 10.0
    dynamic_noise_dbm: float = -84.0
    p_bs_dbm: float = 40.0
    p_surface_dbm: float = -5.0
    max_amplitude: float = 5.0
    target_noise_dbm: float = -141.0
    min_sinr_db: float = 0.0
    max_crb_rad2: float = 1e-4
    snapshots: int = 4096
    noise_model: str = "white"
    departure: str = "physical"
    constraints: tuple[str, ...] = ("min_sinr", "bs_power", "surface_power", "target_noise", "amplitude", "crb")


def check(scenario: HrisScenario) -> None:
    """Refuse a scenario that cannot work, before anything is traced.

    Raises:
      ConfigError: one line with the two values that clash.
    """
    limits.check_numbers(scenario)
    require_positive(
        scenario,
        (
            "freq_hz", "dry_pressure_pa", "temperature_k", "bandwidth_hz", "bs_dist_m", "target_dist_m", "rcs_m2",
            "max_amplitude", "max_crb_rad2", "snapshots",
        ),
    )  # fmt: skip
    require_not_negative(scenario, ("k_abs", "vapour_density_kg_m3", "csi_error"))
    low, high = scenario.user_dist_m
    if not 0 < low <= high:
        raise ConfigError(f"user_dist_m={low:g},{high:g} must be a least and a largest distance, both greater than 0")
    for name in ("user_spread_deg", "ray_spread_deg"):
        if not all(0 <= angle < 90 for angle in getattr(scenario, name)):
            raise ConfigError(f"{name}={getattr(scenario, name)} must lie in 0..90 degrees, 90 excluded")
    for name in ("target_deg", "bs_arrival_deg", "bs_departure_deg"):
        if not all(abs(angle) < 89.9 for angle in getattr(scenario, name)):
            raise ConfigError(
                f"{name}={getattr(scenario, name)} must lie inside +-90 degrees: an array sees nothing along its plane"
            )
    limits.check_ranges(scenario)
    _check_sizes(scenario)


def _check_sizes(scenario: HrisScenario) -> None:
    antennas, elements, sensors = map(math.prod, (scenario.bs_shape, scenario.surface_shape, scenario.sensor_shape))
    users = scenario.num_users * (1 + scenario.num_rays_user)
    limits.check_entries("the channel to the surface, elements x antennas,", elements, antennas)
    paths = 1 + scenario.num_rays_bs
    limits.check_entries("the paths to the surface, paths x (elements + antennas),", paths, elements + antennas)
    limits.check_entries("the paths to the users, paths x elements,", users, elements)
    limits.check_entries("the sensing elements' responses", 3, sensors)


def _check_levels(scenario: HrisScenario, k_abs: float) -> None:
    """Refuse antennas that stand in each other's near fields, and noise that is next to none.

    All antennas, elements and rays are taken to add in phase, at the nearest place and with the largest amplitude.
    """
    from thzjax.units import SPEED_OF_LIGHT

    freq_hz, elements = scenario.freq_hz, math.prod(scenario.surface_shape)
    gain = scenario.bs_gain_dbi + scenario.element_gain_dbi
    first = limits.hop_db("base station to the surface", freq_hz, scenario.bs_dist_m, k_abs, gain)
    gain = scenario.element_gain_dbi + scenario.user_gain_dbi
    last = limits.hop_db("surface to a user", freq_hz, scenario.user_dist_m[0], k_abs, gain)
    limits.hop_db("surface to the target", freq_hz, scenario.target_dist_m, k_abs, scenario.element_gain_dbi)
    ray = 10 ** (scenario.ray_power_db / 20)
    rays = 20 * math.log10((1 + scenario.num_rays_bs * ray) * (1 + scenario.num_rays_user * ray))
    loudest = 20 * math.log10(max(scenario.max_amplitude, 1) if scenario.num_active else 1)
    clean = scenario.p_bs_dbm - 30 - 10 * math.log10(noise_w(scenario))
    # Power over noise, times the gain of the first hop to every element with its amplitude.
    arriving = (
        clean + first + rays + loudest + 10 * math.log10(math.prod(scenario.bs_shape)) + 20 * math.log10(elements)
    )
    limits.check_level("the signal over the noise", arriving + last, limits.MOST_SNR_DB)
    # Power of the echo of a unit field at the target, at one sensing element: the radar equation.
    wavelength = SPEED_OF_LIGHT / freq_hz
    echo = 10 * math.log10(scenario.rcs_m2 * wavelength**2 / (4 * math.pi) ** 3 / scenario.target_dist_m**4)
    echo += scenario.element_gain_dbi + scenario.sensor_gain_dbi
    dwell = 10 * math.log10(scenario.snapshots * math.prod(scenario.sensor_shape))
    limits.check_level("the target's echo over the noise", arriving + echo + dwell, limits.MOST_ECHO_DB)


def _check_amplifiers(scenario: HrisScenario) -> None:
    noise_dbm = scenario.dynamic_noise_dbm + 10 * math.log10(max(scenario.num_active, 1))
    if scenario.num_active and "surface_power" in scenario.constraints and scenario.p_surface_dbm < noise_dbm:
        raise ConfigError(
            f"p_surface_dbm={scenario.p_surface_dbm:g} is below the {noise_dbm:.1f} dBm of noise alone that "
            f"num_active={scenario.num_active} elements radiate at unit amplitude: raise it, or let fewer amplify"
        )


def _check_rank(scenario: HrisScenario) -> None:
    """sum_k SINR_k/(1 + SINR_k) is at most the channel's rank, so a common SINR has a limit where that is below K."""
    rank = min(1 + scenario.num_rays_bs, math.prod(scenario.bs_shape), math.prod(scenario.surface_shape))
    users = scenario.num_users
    if "min_sinr" not in scenario.constraints or rank >= users:
        return
    limit_db = 10 * math.log10(rank / (users - rank))
    if scenario.min_sinr_db > limit_db:
        raise ConfigError(
            f"min_sinr_db={scenario.min_sinr_db:g} is out of reach: over {rank} path(s) to the surface the channel has "
            f"rank {rank}, and K={users} users have a common SINR of at most {limit_db:.1f} dB: lower it, add rays "
            "(num_rays_bs) or serve fewer users"
        )


def build_hris(scenario: HrisScenario) -> "tuple[HrisIsac, Params]":
    """The system and its parameters.

    Raises:
      ConfigError: the scenario cannot work, or its constraints contradict physics.
    """
    from thzjax.systems.base import number, ratio
    from thzjax.systems.hris_isac import HrisIsac
    from thzjax.systems.hris_params import Params

    check(scenario)
    _check_amplifiers(scenario)
    system = HrisIsac(
        bs_shape=tuple(scenario.bs_shape),
        surface_shape=tuple(scenario.surface_shape),
        sensor_shape=tuple(scenario.sensor_shape),
        num_active=scenario.num_active,
        num_users=scenario.num_users,
        num_rays_bs=scenario.num_rays_bs,
        num_rays_user=scenario.num_rays_user,
        phase_bits=scenario.phase_bits,
        noise_model=scenario.noise_model,
        departure=scenario.departure,
        estimated=scenario.csi_error > 0,
        constraints=tuple(scenario.constraints),
    )

    _check_rank(scenario)
    k_abs = absorption_per_m(scenario)
    _check_levels(scenario, k_abs)

    def radians(degrees: Pair | float):
        return number([math.radians(x) for x in degrees])

    def watt(dbm: float):
        return ratio(dbm - 30)

    params = Params(
        freq_hz=number(scenario.freq_hz),
        k_abs=number(k_abs),
        bs_dist_m=number(scenario.bs_dist_m),
        bs_arrival_rad=radians(scenario.bs_arrival_deg),
        bs_departure_rad=radians(scenario.bs_departure_deg),
        user_dist_m=number(scenario.user_dist_m),
        user_spread_rad=radians(scenario.user_spread_deg),
        target_dist_m=number(scenario.target_dist_m),
        target_azimuth_rad=number(math.radians(scenario.target_deg[0])),
        target_elevation_rad=number(math.radians(scenario.target_deg[1])),
        rcs_m2=number(scenario.rcs_m2),
        bs_gain=ratio(scenario.bs_gain_dbi),
        element_gain=ratio(scenario.element_gain_dbi),
        sensor_gain=ratio(scenario.sensor_gain_dbi),
        user_gain=ratio(scenario.user_gain_dbi),
        ray_power=ratio(scenario.ray_power_db),
        ray_spread_rad=radians(scenario.ray_spread_deg),
        csi_error=number(scenario.csi_error),
        noise_w=number(noise_w(scenario)),
        noise_v_w=watt(scenario.dynamic_noise_dbm),
        power_w=watt(scenario.p_bs_dbm),
        surface_power_w=watt(scenario.p_surface_dbm),
        max_amplitude=number(scenario.max_amplitude),
        max_target_noise_w=watt(scenario.target_noise_dbm),
        min_sinr=ratio(scenario.min_sinr_db),
        max_crb_rad2=number(scenario.max_crb_rad2),
        snapshots=number(scenario.snapshots),
    )
    return system, params
