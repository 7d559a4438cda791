"""Absorption of air line by line from a table of one's own, in the columns and the units of the HITRAN database.

HITRAN's lines may not be handed on, so none is here: hitran.org exports them, 160 characters a line (`.par`).
"""

import csv
import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_reals, refuse_unless, row
from thzjax.physics.absorption import P676_BAND_HZ, p676_continuum, vapour_pressure_pa
from thzjax.units import SPEED_OF_LIGHT

__all__ = ["GASES", "Gas", "LineTable", "line_attenuation", "read_lines"]

CONTINUA = ("p676", "none")
REFERENCE_K = 296.0
"""Temperature of HITRAN's intensities and widths [K]."""
ATMOSPHERE_PA = 101325.0
BOLTZMANN = 1.380649e-23
"""[J/K], exact."""
RADIATION_CM_K = 1.438776877
"""Second radiation constant h c/k [cm K], CODATA 2022."""
OXYGEN_SHARE = 0.20946
"""Mole fraction of oxygen in dry air (U.S. Standard Atmosphere, 1976)."""
MOST_BYTES = 1 << 28
COLUMNS = {
    "molec_id": (0, 2), "nu": (3, 15), "sw": (15, 25), "gamma_air": (35, 40), "gamma_self": (40, 45),
    "elower": (45, 55), "n_air": (55, 59), "delta_air": (59, 67),
}  # fmt: skip
"""Where a `.par` line has what is used of it; the names are the columns' of HITRAN's own exports."""


class Gas(NamedTuple):
    """A gas of the air.

    Attributes:
      name: formula.
      mass_u: of its main isotopologue [u].
      rotation: exponent of the partition function, Q ~ T^rotation: a rigid rotor's, 1 of a linear molecule, 3/2 of
        another.
    """

    name: str
    mass_u: float
    rotation: float


GASES = {1: Gas("H2O", 18.010565, 1.5), 7: Gas("O2", 31.989830, 1.0)}
"""By HITRAN's number of the molecule: those whose lines ITU-R P.676 has."""


class LineTable(NamedTuple):
    """Spectral lines, float64 NumPy arrays `[L]`.

    Attributes:
      molecule: HITRAN's number, a key of `GASES`.
      wavenumber_cm: centre in a vacuum [1/cm].
      intensity_cm: S at 296 K, weighted by the isotopologue's abundance [cm^-1/(molecule cm^-2)].
      air_width, self_width: half widths at half maximum by air and by the gas itself at 296 K [1/cm/atm].
      lower_energy_cm: E'' of the lower state [1/cm].
      width_exponent: n of a width's (296 K/T)^n.
      air_shift: of the centre [1/cm/atm].
    """

    molecule: np.ndarray
    wavenumber_cm: np.ndarray
    intensity_cm: np.ndarray
    air_width: np.ndarray
    self_width: np.ndarray
    lower_energy_cm: np.ndarray
    width_exponent: np.ndarray
    air_shift: np.ndarray

    @property
    def freq_hz(self) -> np.ndarray:
        """Centres [Hz]."""
        return self.wavenumber_cm * (100 * SPEED_OF_LIGHT)


def line_attenuation(
    freq_hz: ArrayLike,
    dry_pressure_pa: ArrayLike,
    temperature_k: ArrayLike,
    vapour_density_kg_m3: ArrayLike,
    table: LineTable,
    continuum: str = "p676",
) -> Array:
    """Absorption of air by the lines of a table: k_abs = sum over lines of N S(T) F(f).

    N is the gas's number density. With theta = 296 K/T and c2 = h c/k
    S(T) = S theta^rotation exp(-c2 E'' (theta - 1)/296 K) (1 - exp(-c2 nu theta/296 K))/(1 - exp(-c2 nu/296 K)),
    and F is van Vleck and Huber's shape
    F = (f/f0) tanh(h f/2kT)/tanh(h f0/2kT) (1/pi) [D/((f - f0)^2 + D^2) + D/((f + f0)^2 + D^2)],
    with D = theta^n (air_width (p - p_gas) + self_width p_gas), joined with the Doppler width, and f0 shifted by the
    pressure. Lines do not interfere: oxygen's at 60 GHz are not to be had so.

    Lines alone are not all that absorbs. With `continuum="p676"` what ITU-R P.676 adds to its lines is added to these:
    the dry continuum, and the pseudo-line at 1780 GHz that stands for the vapour's continuum and for all lines above
    1 THz; those of the table are then left out, and the band is P.676's. With "none" every line counts, anywhere.

    Args:
      freq_hz: frequency f [Hz], `[...]`.
      dry_pressure_pa: pressure of the dry air [Pa], `[...]`.
      temperature_k: T [K], `[...]`.
      vapour_density_kg_m3: water vapour density [kg/m^3], `[...]`.
      table: the lines (`read_lines`).
      continuum: "p676" or "none".

    Returns:
      k_abs [1/m], `[...]`; NaN outside the band where the frequency is traced.

    Raises:
      ConfigError: an unknown continuum, a frequency outside the band, or a table without a line inside it.

    Source: HITRAN's definitions and units (hitran.org/docs/definitions-and-units); van Vleck and Huber, 1977, for the
    shape, as in Jornet and Akyildiz, 2011; P.676-13 for the Doppler width and the continuum.
    """
    if continuum not in CONTINUA:
        raise ConfigError(f"continuum={continuum!r} is unknown: use one of {', '.join(CONTINUA)}")
    arguments = as_reals(freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3)
    freq, *air = jnp.broadcast_arrays(*arguments)
    if continuum == "none":
        freq = refuse_unless(freq > 0, freq, "lines absorb at freq_hz above 0")
        return _sum_of_lines(freq, *air, _columns(table, freq))
    low, high = P676_BAND_HZ
    message = f"P.676's continuum holds for freq_hz from {low:g} to {high:g}; without it (none) lines have no band"
    freq = refuse_unless((freq >= low) & (freq <= high), freq, message)
    table = LineTable(*(column[table.freq_hz <= high] for column in table))
    return _sum_of_lines(freq, *air, _columns(table, freq)) + p676_continuum(freq, *air)


def _columns(table: LineTable, like: Array) -> dict[str, Array]:
    """What the sum needs of a table, in units that float32 holds, each shaped to follow the axes of `like`."""
    if not len(table.wavenumber_cm):
        raise ConfigError("the table has no line in the band: nothing would absorb")
    ghz_per_cm = 100 * SPEED_OF_LIGHT * 1e-9
    gases = [GASES[int(number)] for number in table.molecule]
    mass_kg = 1.66053906892e-27 * np.array([gas.mass_u for gas in gases])
    centre = table.freq_hz
    near = centre.astype(like.dtype)
    photon = RADIATION_CM_K * table.wavenumber_cm / REFERENCE_K
    return {
        name: row(values, like)
        for name, values in {
            # In two parts, so that float32 sees lines narrower than its rounding of their frequency.
            "near": near,
            "rest": centre - near.astype(np.float64),
            "ghz": centre * 1e-9,
            # N S in GHz/m is partial pressure [Pa]/T times this: 1e-4 m^2 a cm^2, c cm/s a wavenumber.
            "strength": table.intensity_cm * (1e-4 * ghz_per_cm / BOLTZMANN) / -np.expm1(-photon),
            "photon": photon,
            "energy": RADIATION_CM_K * table.lower_energy_cm / REFERENCE_K,
            "rotation": np.array([gas.rotation for gas in gases]),
            "exponent": table.width_exponent,
            "air": table.air_width * (ghz_per_cm / ATMOSPHERE_PA),
            "own": table.self_width * (ghz_per_cm / ATMOSPHERE_PA),
            "shift": table.air_shift * (ghz_per_cm / ATMOSPHERE_PA),
            "doppler": centre * 1e-9 * np.sqrt(2 * math.log(2) * BOLTZMANN / mass_kg) / SPEED_OF_LIGHT,
            "wet": (table.molecule == 1).astype(np.float64),
        }.items()
    }


# Compiled as one: eagerly, its dozens of operations would be compiled one by one.
@jax.jit
def _sum_of_lines(freq_hz: Array, dry_pa: Array, temperature_k: Array, density: Array, line: dict[str, Array]) -> Array:
    vapour_pa = vapour_pressure_pa(density, temperature_k)
    freq, dry, vapour, temperature = (x[..., None] for x in (freq_hz, dry_pa, vapour_pa, temperature_k))
    theta = REFERENCE_K / temperature
    gas = line["wet"] * vapour + (1 - line["wet"]) * OXYGEN_SHARE * dry
    pressure = dry + vapour
    width = theta ** line["exponent"] * (line["air"] * (pressure - gas) + line["own"] * gas)
    width = 0.535 * width + jnp.sqrt(0.217 * width**2 + line["doppler"] ** 2 * temperature)
    below = ((line["near"] - freq) + line["rest"]) * 1e-9 + line["shift"] * pressure
    above = line["ghz"] + freq * 1e-9 + line["shift"] * pressure
    shape = (width / (below**2 + width**2) + width / (above**2 + width**2)) / math.pi
    ratio = freq * 1e-9 / line["ghz"]
    half = line["photon"] * theta / 2
    radiation = ratio * jnp.tanh(half * ratio) / jnp.tanh(half)
    intensity = theta ** line["rotation"] * jnp.exp(line["energy"] * (1 - theta)) * -jnp.expm1(-2 * half)
    return jnp.sum(line["strength"] * gas / temperature * intensity * radiation * shape, axis=-1)


def read_lines(path: str | Path) -> LineTable:
    """The lines of a HITRAN `.par` file (160 characters a line), or of a CSV whose first line names its columns.

    The columns of a CSV are those of `COLUMNS`, in any order; others are passed over, `delta_air` may be absent.

    Raises:
      ConfigError: no such file, a line that is none, or one of a molecule that is not in `GASES`.
    """
    path = Path(path)
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigError(f"{path} is not readable as a table of lines ({error.strerror or error})") from None
    return _read(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=8)
def _read(path: Path, changed: int, size: int) -> LineTable:
    del changed
    if size > MOST_BYTES:
        raise ConfigError(f"{path} has {size >> 20} MiB, no table of lines: export the band that you need")
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not readable as a table of lines ({error})") from None
    rows = []
    for number, fields in _records(text, path):
        try:
            values = [float(fields[name]) for name in COLUMNS]
        except ValueError:
            raise ConfigError(f"{path}, line {number}: {_bad(fields)} is no number") from None
        molecule, wavenumber, intensity, air_width, own_width, *others = values
        if molecule not in GASES:
            known = ", ".join(f"{key} ({gas.name})" for key, gas in GASES.items())
            raise ConfigError(f"{path}, line {number} is of molecule {molecule:g}: keep only the lines of {known}")
        sound = wavenumber > 0 and intensity >= 0 and air_width > 0 and own_width >= 0
        if not sound or not all(math.isfinite(value) for value in (*values, *others)):
            raise ConfigError(f"{path}, line {number} is no spectral line: centre and width must be above 0")
        rows.append(values)
    if not rows:
        raise ConfigError(f"{path} holds no line: hitran.org exports them as .par")
    return LineTable(*np.array(rows).T)


def _bad(fields: dict[str, str]) -> str:
    """The first field that is no number."""
    for name in COLUMNS:
        try:
            float(fields[name])
        except ValueError:
            return f"{name}={fields[name][:20].strip()!r}"
    return "a field"


def _records(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of the line in the file, its fields by name)."""
    lines = text.splitlines()
    named = lines[:1] and "," in lines[0] and lines[0].strip().strip('"')[:1].isalpha()
    if not named:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            if len(line) < COLUMNS["delta_air"][1]:
                raise ConfigError(
                    f"{path}, line {number} has {len(line)} characters, a .par line has 160: is it a CSV without names?"
                )
            yield number, {name: line[start:stop] for name, (start, stop) in COLUMNS.items()}
        return
    names = [name.strip() for name in next(csv.reader(lines[:1]))]
    if missing := [name for name in COLUMNS if name not in names and name != "delta_air"]:
        raise ConfigError(f"{path} lacks the columns {', '.join(missing)}: its first line must name them")
    for number, values in enumerate(csv.reader(lines[1:]), 2):
        if not values:
            continue
        if len(values) != len(names):
            raise ConfigError(f"{path}, line {number} has {len(values)} fields, the first line names {len(names)}")
        yield number, {"delta_air": "0"} | dict(zip(names, values, strict=True))
