"""Where a scenario's numbers must lie, so that float32 can hold them, their squares and their products.

What lies outside is refused by name: a result of infinities or of 0/0 would say nothing of the link.
"""

import dataclasses
import math
import numbers
import types
import typing
from typing import Any

from thzjax.errors import ConfigError

RANGES: dict[str, tuple[float, float]] = {
    "num_antennas": (1, 1024), "num_users": (1, 1024), "user_antennas": (0, 256), "num_active": (0, 2**20),
    "num_rays": (0, 4096), "num_rays_bs": (0, 4096), "num_rays_user": (0, 4096), "phase_bits": (0, 16),
    "snapshots": (1, 1e9),
    "freq_hz": (1e6, 1e15), "bandwidth_hz": (1, 1e13), "noise_figure_db": (-50, 100),
    "k_abs": (0, 1e6), "dry_pressure_pa": (1e-3, 1e7), "temperature_k": (100, 1000), "vapour_density_kg_m3": (0, 10),
    "bs_position_m": (-1e6, 1e6), "surface_position_m": (-1e6, 1e6), "users_centre_m": (-1e6, 1e6),
    "users_radius_m": (0, 1e6), "min_bs_distance_m": (1e-6, 1e6), "bs_dist_m": (1e-3, 1e6),
    "target_dist_m": (1e-3, 1e6), "user_dist_m": (1e-3, 1e6), "rcs_m2": (1e-12, 1e9),
    "bs_gain_dbi": (-100, 100), "user_gain_dbi": (-100, 100), "element_gain_dbi": (-100, 100),
    "sensor_gain_dbi": (-100, 100), "blockage_db": (0, 300), "rician_factor": (0, 1e15), "ray_reflection": (0, 10),
    "ray_power_db": (-300, 30), "csi_error": (0, 1e4),
    "power_w": (1e-15, 1e6), "p_ref_w": (1e-15, 1e6), "p_bs_dbm": (-120, 90), "p_surface_dbm": (-250, 90),
    "dynamic_noise_dbm": (-250, 50), "target_noise_dbm": (-300, 90), "min_sinr_db": (-150, 150),
    "max_amplitude": (1e-6, 1e4), "max_crb_rad2": (1e-20, 1e9),
    "pattern_width_deg": (1e-3, 360), "pattern_threshold": (1e-12, 1e12), "horizontal_rad": (-1e3, 1e3),
    "steepness": (1e-3, 1e3),
}  # fmt: skip
"""Least and largest value of every number, of every part where there are several; options of both systems."""
MOST_ENTRIES = 2**27
"""Numbers in the largest array of one channel, 1 GiB of them."""
MOST_SNR_DB = 120.0
"""No receiver is that clean; WMMSE's weights are as large as the SNR, and are squared."""
MOST_ECHO_DB = 200.0
"""Of the integrated echo, whose information is multiplied by squares of array sizes."""
MOST_POWER_RATIO = 1e9
"""P over p_ref: the beam pattern's error grows with its square."""
NEAREST_SHARE = 1e-5
"""Two places nearer than this share of their coordinates are one place to float32, which keeps 6e-8 of them."""


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is one of a field's type; whole numbers are numbers, and lists serve for tuples."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in args)
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            return False
        if len(args) == 2 and args[1] is Ellipsis:
            return all(fits(part, args[0]) for part in value)
        return len(value) == len(args) and all(map(fits, value, args))
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool) and abs(value) < 2**63
    if kind is float:
        # An integer may be larger than any float.
        whole = isinstance(value, numbers.Integral)
        return isinstance(value, numbers.Real) and not isinstance(value, bool) and not (whole and abs(value) >= 2**63)
    return value is None if kind is type(None) else isinstance(value, kind)


def kind_in_words(kind: Any) -> str:
    """What a field's type asks for, for messages."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(kind_in_words(one) for one in args)
    if origin is tuple:
        some = "some" if args[-1] is Ellipsis else str(len(args))
        return f"{some} values, each {kind_in_words(args[0])}"
    named = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "none"}
    return named.get(kind, "an object of options")


def short(value: Any) -> str:
    """A value in a message, cut where it would fill a page."""
    try:
        text = " ".join(str(value).split())
    except ValueError:  # a whole number of thousands of digits, which Python does not write
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_numbers(scenario: Any) -> None:
    """Refuse a scenario with a field of another type, a number that is not finite, or one outside `RANGES`.

    Raises:
      ConfigError: naming the field, its value and what it may be.
    """
    hints = typing.get_type_hints(type(scenario))
    for field in dataclasses.fields(scenario):
        value, kind = getattr(scenario, field.name), hints[field.name]
        parts = value if isinstance(value, (tuple, list)) else (value,)
        if typing.get_origin(kind) is tuple and typing.get_args(kind)[-1] is not Ellipsis:
            wanted = len(typing.get_args(kind))
            if len(parts) != wanted:
                raise ConfigError(f"{field.name}={short(value)} must have {wanted} values")
        if not fits(value, kind):
            raise ConfigError(f"{field.name}={short(value)} must be {kind_in_words(kind)}")
        if any(isinstance(part, float) and not math.isfinite(part) for part in parts):
            raise ConfigError(f"{field.name}={short(value)} must be finite")


def check_ranges(scenario: Any) -> None:
    """Refuse numbers outside `RANGES`; those of which less is impossible have messages of their own before.

    Raises:
      ConfigError: naming the field, its value and its range.
    """
    for field in dataclasses.fields(scenario):
        value = getattr(scenario, field.name)
        if field.name not in RANGES or value is None:
            continue
        low, high = RANGES[field.name]
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if not low <= part <= high:
                why = "" if isinstance(part, numbers.Integral) else ", beyond which float32 loses squares and products"
                raise ConfigError(f"{field.name}={part:g} lies outside {low:g} to {high:g}{why}: choose a value within")


def check_entries(what: str, *sizes: int) -> None:
    """Refuse an array of one channel that would fill the memory by itself.

    Raises:
      ConfigError: with its sizes.
    """
    entries = math.prod(sizes)
    if entries > MOST_ENTRIES:
        raise ConfigError(
            f"{what} of {' x '.join(map(str, sizes))} has {entries:.3g} numbers, more than {MOST_ENTRIES:.3g}: choose "
            "smaller arrays"
        )


def check_apart(what: str, dist_m: float, largest_m: float) -> None:
    """Refuse two places that float32 coordinates cannot tell apart.

    Args:
      what: the two, for the message.
      dist_m: their least distance [m].
      largest_m: largest coordinate of either [m].

    Raises:
      ConfigError: with both numbers.
    """
    if not dist_m > NEAREST_SHARE * largest_m:
        raise ConfigError(
            f"{what} may stand {dist_m:.2g} m apart at coordinates of {largest_m:g} m, which float32 does not tell "
            "apart: move them further apart, or the origin nearer"
        )


def hop_db(what: str, freq_hz: float, dist_m: float, k_abs: float, gain_dbi: float) -> float:
    """Power gain of a hop between two single antennas [dB]: gain_dbi + 20 log10(c/(4 pi f l)) - k l 10 log10(e).

    Args:
      what: the hop, for the message.
      freq_hz: f [Hz].
      dist_m: l [m].
      k_abs: k [1/m].
      gain_dbi: of both antennas together, less what else is lost [dB].

    Raises:
      ConfigError: the hop would receive more than is sent: the antennas are nearer than their far fields.
    """
    from thzjax.units import SPEED_OF_LIGHT

    spread = 20 * math.log10(SPEED_OF_LIGHT / (4 * math.pi) / freq_hz / dist_m)
    level = gain_dbi + spread - k_abs * dist_m * 10 * math.log10(math.e)
    if level > 0:
        raise ConfigError(
            f"{what}: over {dist_m:.3g} m at {freq_hz / 1e9:g} GHz, with {gain_dbi:.3g} dB of gain, {level:.1f} "
            "dB more would be received than is sent, as no far field is that near: lower the gains, or raise distance "
            "or freq_hz"
        )
    return level


def check_level(what: str, level_db: float, most_db: float) -> None:
    """Refuse a ratio of powers that float32 cannot square.

    Raises:
      ConfigError: with the ratio and its limit.
    """
    if level_db > most_db:
        raise ConfigError(
            f"{what} could reach {level_db:.0f} dB, and above {most_db:.0f} dB float32 loses what matters: lower the "
            "power or the gains, or raise bandwidth_hz"
        )
