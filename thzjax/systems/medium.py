"""The medium of a link: what the air absorbs and how much noise a receiver adds, in the units of a data sheet."""

import functools
import warnings
from typing import Protocol

from thzjax.errors import AbsorptionWarning, ConfigError

ABSORPTIONS = ("constant", "p676", "simplified", "table")
STANDARD_AIR = (101325.0, 288.15, 7.5e-3)
"""Dry pressure [Pa], temperature [K] and vapour density [kg/m^3] of the mean annual global reference atmosphere at
the ground (ITU-R P.835)."""
MISMATCH = 10.0
"""A constant absorption that is off the standard air's by more than this factor is warned about."""


class Medium(Protocol):
    """The fields every scenario has for its air and its receivers."""

    freq_hz: float
    absorption: str
    k_abs: float
    absorption_table: str | None
    absorption_continuum: str
    dry_pressure_pa: float
    temperature_k: float
    vapour_density_kg_m3: float
    bandwidth_hz: float
    noise_figure_db: float


def noise_w(scenario: Medium) -> float:
    """Receiver noise power [W]."""
    from thzjax.units import thermal_noise_w

    return thermal_noise_w(scenario.bandwidth_hz, scenario.noise_figure_db)


def absorption_per_m(scenario: Medium) -> float:
    """The scenario's power absorption coefficient k_abs [1/m] at its carrier.

    Raises:
      ConfigError: an unknown model, a carrier outside the named model's band, or a table that cannot be used.
    """
    from thzjax.physics import absorption

    air = (scenario.dry_pressure_pa, scenario.temperature_k, scenario.vapour_density_kg_m3)
    if scenario.absorption == "p676":
        return float(absorption.p676_attenuation(scenario.freq_hz, *air))
    if scenario.absorption == "simplified":
        dry_pressure_pa, temperature_k, density = air
        pressure_pa = dry_pressure_pa + absorption.vapour_pressure_pa(density, temperature_k)
        humidity = absorption.relative_humidity(density, pressure_pa, temperature_k)
        return float(absorption.simplified_absorption(scenario.freq_hz, pressure_pa, temperature_k, humidity))
    if scenario.absorption == "table":
        return _of_table(scenario, air)
    if scenario.absorption != "constant":
        raise ConfigError(f"absorption={scenario.absorption!r} is unknown: use one of {', '.join(ABSORPTIONS)}")
    _warn_of_mismatch(scenario.freq_hz, scenario.k_abs)
    return scenario.k_abs


def _of_table(scenario: Medium, air: tuple[float, float, float]) -> float:
    from thzjax.physics import lines

    if scenario.absorption_table is None:
        raise ConfigError("absorption=table needs absorption_table=FILE: a HITRAN .par file, or a CSV of its columns")
    if scenario.absorption_continuum not in lines.CONTINUA:
        raise ConfigError(
            f"absorption_continuum={scenario.absorption_continuum!r} is unknown: use one of {', '.join(lines.CONTINUA)}"
        )
    table = lines.read_lines(scenario.absorption_table)
    return float(lines.line_attenuation(scenario.freq_hz, *air, table, scenario.absorption_continuum))


def standard_absorption_per_m(freq_hz: float) -> float | None:
    """ITU-R P.676-13's k_abs [1/m] in standard air; none outside 1 to 1000 GHz."""
    from thzjax.physics import absorption

    low, high = absorption.P676_BAND_HZ
    return float(absorption.p676_attenuation(freq_hz, *STANDARD_AIR)) if low <= freq_hz <= high else None


@functools.cache
def _warn_of_mismatch(freq_hz: float, k_abs: float) -> None:
    """Say once if a constant absorption is far from ITU-R P.676's for standard air."""
    standard = standard_absorption_per_m(freq_hz)
    if standard is not None and not standard / MISMATCH <= k_abs <= standard * MISMATCH:
        warnings.warn(
            f"k_abs={k_abs:g} 1/m at {freq_hz / 1e9:g} GHz, where ITU-R P.676-13 has {standard:.3g} 1/m for standard "
            "air: absorption=p676 uses that",
            AbsorptionWarning,
            stacklevel=5,
        )


def require_positive(scenario: object, names: tuple[str, ...]) -> None:
    """Refuse a scenario one of whose named numbers is not greater than 0."""
    for name in names:
        if not getattr(scenario, name) > 0:
            raise ConfigError(f"{name}={getattr(scenario, name):g} must be greater than 0")


def require_not_negative(scenario: object, names: tuple[str, ...]) -> None:
    """Refuse a scenario one of whose named numbers is negative."""
    for name in names:
        if not getattr(scenario, name) >= 0:
            raise ConfigError(f"{name}={getattr(scenario, name):g} must not be negative")
