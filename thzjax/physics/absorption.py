"""Molecular absorption of the air: power absorption coefficients k_abs [1/m], and the humidity they depend on."""

import functools
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from thzjax.errors import ConfigError
from thzjax.numeric import as_real, as_reals, refuse_unless, row
from thzjax.units import SPEED_OF_LIGHT, db_per_km_to_per_m

P676_BAND_HZ = (1e9, 1000e9)
"""Where ITU-R P.676-13 holds [Hz]."""
SIMPLIFIED_BAND_HZ = (275e9, 400e9)
"""Where the simplified model holds [Hz]."""


def _in_band(freq_hz: Array, band_hz: tuple[float, float], model: str) -> Array:
    low, high = band_hz
    message = f"{model} holds for freq_hz from {low:g} to {high:g}"
    return refuse_unless((freq_hz >= low) & (freq_hz <= high), freq_hz, message)


def constant_absorption(k: ArrayLike) -> Array:
    """Absorption that does not depend on frequency or weather.

    Args:
      k: power absorption coefficient [1/m], `[...]`; the power falls by exp(-k l) over l metres.

    Returns:
      k_abs [1/m], `[...]`.

    Source: paper A, Section VI, gives 6.7141e-4 at 0.55 THz, about 1100 times below ITU-R P.676-13 there
    (0.741 1/m beside the 557 GHz water line).
    """
    return as_real(k)


def saturation_vapour_pressure_pa(pressure_pa: ArrayLike, temperature_k: ArrayLike) -> Array:
    """Saturation pressure of water vapour: 6.1121 (1.0007 + 3.46e-6 p) exp(17.502 (T - 273.15)/(T - 32.18)) hPa.

    Args:
      pressure_pa: air pressure p [Pa] (in hPa in the formula), `[...]`.
      temperature_k: T [K], `[...]`.

    Returns:
      p_w [Pa], `[...]`.

    Source: Buck, 1981, as used by Kokkoniemi et al., 2018.
    """
    pressure_pa, temperature_k = as_reals(pressure_pa, temperature_k)
    enhancement = 1.0007 + 3.46e-6 * (pressure_pa / 100)
    return 611.21 * enhancement * jnp.exp(17.502 * (temperature_k - 273.15) / (temperature_k - 32.18))


def vapour_density(relative_humidity: ArrayLike, pressure_pa: ArrayLike, temperature_k: ArrayLike) -> Array:
    """Water vapour density from the relative humidity: 216.7 e/T g/m^3 with e the vapour pressure in hPa.

    Args:
      relative_humidity: 0..1, `[...]`.
      pressure_pa: air pressure [Pa], `[...]`.
      temperature_k: T [K], `[...]`.

    Returns:
      Density [kg/m^3], `[...]`.

    Source: ITU-R P.676-13, annex 1 (e = rho T/216.7).
    """
    relative_humidity, pressure_pa, temperature_k = as_reals(relative_humidity, pressure_pa, temperature_k)
    vapour_hpa = relative_humidity * saturation_vapour_pressure_pa(pressure_pa, temperature_k) / 100
    return 0.2167 * vapour_hpa / temperature_k


def vapour_pressure_pa(vapour_density_kg_m3: ArrayLike, temperature_k: ArrayLike) -> Array:
    """Pressure of water vapour of a density: e = rho T/216.7 hPa with rho in g/m^3, as Pa, `[...]`.

    Source: ITU-R P.676-13, annex 1.
    """
    density, temperature_k = as_reals(vapour_density_kg_m3, temperature_k)
    return density * 1e5 / 216.7 * temperature_k


def relative_humidity(vapour_density_kg_m3: ArrayLike, pressure_pa: ArrayLike, temperature_k: ArrayLike) -> Array:
    """Relative humidity of a water vapour density, the inverse of `vapour_density`, `[...]`, 1 at saturation."""
    return as_real(vapour_density_kg_m3) / vapour_density(1.0, pressure_pa, temperature_k)


@functools.cache
def _lines(name: str) -> tuple[np.ndarray, ...]:
    """Columns of a line table, float64; the first is the line's frequency [GHz]."""
    text = resources.files("thzjax.physics").joinpath("data", name).read_text()
    return tuple(np.loadtxt(text.splitlines(), delimiter=",", skiprows=1).T)


def _shape(freq_hz: Array, line_ghz: np.ndarray, width: Array, interference: Array) -> Array:
    """F = (f/f0) [(D - delta (f0 - f))/((f0 - f)^2 + D^2) + (D - delta (f0 + f))/((f0 + f)^2 + D^2)], `[..., lines]`.

    The distance from a line is taken in Hz with the line's frequency in two parts, so that float32 sees lines
    that are narrower than its rounding of the frequency.
    """
    high = (line_ghz * 1e9).astype(freq_hz.dtype)
    low = line_ghz * 1e9 - high.astype(np.float64)
    freq = freq_hz[..., None]
    below = ((row(high, freq_hz) - freq) + row(low, freq_hz)) * 1e-9
    above = row(line_ghz, freq_hz) + freq * 1e-9
    near = (width - interference * below) / (below**2 + width**2)
    far = (width - interference * above) / (above**2 + width**2)
    return freq * 1e-9 / row(line_ghz, freq_hz) * (near + far)


def p676_attenuation(
    freq_hz: ArrayLike,
    dry_pressure_pa: ArrayLike,
    temperature_k: ArrayLike,
    vapour_density_kg_m3: ArrayLike,
    part: str = "total",
) -> Array:
    """Absorption of air line by line: gamma = 0.1820 f (N_ox + N_wv) dB/km with f in GHz, as k_abs.

    N_ox sums 44 oxygen lines and the dry continuum, N_wv 35 water lines, each a strength times a shape
    (`_shape`). Differentiable in every argument.

    Args:
      freq_hz: frequency [Hz], 1 to 1000 GHz, `[...]`.
      dry_pressure_pa: pressure of the dry air [Pa] (the total less the vapour's), `[...]`.
      temperature_k: T [K], `[...]`.
      vapour_density_kg_m3: water vapour density [kg/m^3] (see `vapour_density`), `[...]`.
      part: "total", "dry" or "wet".

    Returns:
      k_abs [1/m], `[...]`; NaN outside the band where the frequency is traced.

    Raises:
      ConfigError: a frequency outside the band, or an unknown part.

    Source: ITU-R P.676-13, annex 1.
    """
    if part not in ("total", "dry", "wet"):
        raise ConfigError(f"part={part!r} is unknown: use 'total', 'dry' or 'wet'")
    arguments = as_reals(freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3)
    freq_hz, dry_pressure_pa, temperature_k, density = jnp.broadcast_arrays(*arguments)
    freq_hz = _in_band(freq_hz, P676_BAND_HZ, "ITU-R P.676")
    return _line_by_line(freq_hz, dry_pressure_pa, temperature_k, density, part)


# Compiled as one: eagerly, its hundred operations would be compiled one by one (5 s on the first call).
@functools.partial(jax.jit, static_argnames="part")
def _line_by_line(freq_hz: Array, dry_pressure_pa: Array, temperature_k: Array, density: Array, part: str) -> Array:
    freq = freq_hz * 1e-9
    pressure = dry_pressure_pa / 100
    vapour = density * 1000 * temperature_k / 216.7
    theta = 300 / temperature_k
    total = jnp.zeros_like(freq)
    if part != "wet":
        total = total + _oxygen(freq_hz, pressure, vapour, theta) + _dry_continuum(freq, pressure, vapour, theta)
    if part != "dry":
        total = total + _water(freq_hz, pressure, vapour, theta)
    return db_per_km_to_per_m(0.1820 * freq * total)


def _oxygen(freq_hz: Array, pressure: Array, vapour: Array, theta: Array) -> Array:
    f0, *columns = _lines("p676_oxygen.txt")
    a1, a2, a3, a4, a5, a6 = (row(column, freq_hz) for column in columns)
    p, e, t = pressure[..., None], vapour[..., None], theta[..., None]
    strength = a1 * 1e-7 * p * t**3 * jnp.exp(a2 * (1 - t))
    width = a3 * 1e-4 * (p * t ** (0.8 - a4) + 1.1 * e * t)
    width = jnp.sqrt(width**2 + 2.25e-6)  # Zeeman splitting
    interference = (a5 + a6 * t) * 1e-4 * (p + e) * t**0.8
    return jnp.sum(strength * _shape(freq_hz, f0, width, interference), axis=-1)


def _water(freq_hz: Array, pressure: Array, vapour: Array, theta: Array, which: slice = slice(None)) -> Array:
    f0, *columns = (column[which] for column in _lines("p676_water_vapour.txt"))
    b1, b2, b3, b4, b5, b6 = (row(column, freq_hz) for column in columns)
    p, e, t = pressure[..., None], vapour[..., None], theta[..., None]
    strength = b1 * 1e-1 * e * t**3.5 * jnp.exp(b2 * (1 - t))
    width = b3 * 1e-4 * (p * t**b4 + b5 * e * t**b6)
    doppler = 2.1316e-12 * row(f0, freq_hz) ** 2 / t
    width = 0.535 * width + jnp.sqrt(0.217 * width**2 + doppler)
    return jnp.sum(strength * _shape(freq_hz, f0, width, jnp.zeros_like(width)), axis=-1)


def p676_continuum(
    freq_hz: ArrayLike, dry_pressure_pa: ArrayLike, temperature_k: ArrayLike, vapour_density_kg_m3: ArrayLike
) -> Array:
    """What `p676_attenuation` has beside its lines below 1 THz: the dry continuum, and the pseudo-line at 1780 GHz.

    The latter stands for the continuum of water vapour and for all of its lines above 1 THz.

    Args:
      freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3: as `p676_attenuation` takes them, `[...]`.

    Returns:
      k_abs [1/m], `[...]`; NaN outside the band where the frequency is traced.

    Raises:
      ConfigError: a frequency outside the band.

    Source: ITU-R P.676-13, annex 1.
    """
    arguments = as_reals(freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3)
    freq_hz, *air = jnp.broadcast_arrays(*arguments)
    return _continuum(_in_band(freq_hz, P676_BAND_HZ, "ITU-R P.676"), *air)


@jax.jit
def _continuum(freq_hz: Array, dry_pressure_pa: Array, temperature_k: Array, density: Array) -> Array:
    freq, pressure, theta = freq_hz * 1e-9, dry_pressure_pa / 100, 300 / temperature_k
    vapour = density * 1000 * temperature_k / 216.7
    wet = _water(freq_hz, pressure, vapour, theta, slice(-1, None))
    return db_per_km_to_per_m(0.1820 * freq * (_dry_continuum(freq, pressure, vapour, theta) + wet))


def _dry_continuum(freq: Array, pressure: Array, vapour: Array, theta: Array) -> Array:
    d = 5.6e-4 * (pressure + vapour) * theta**0.8
    # d/(d^2 + f^2) is 1/(d (1 + (f/d)^2)), and 0 in a vacuum.
    debye = 6.14e-5 * d / (d**2 + freq**2)
    nitrogen = 1.4e-12 * pressure * theta**1.5 / (1 + 1.9e-5 * freq**1.5)
    return freq * pressure * theta**2 * (debye + nitrogen)


# Kokkoniemi's g(f), a cubic whose terms cancel to 1 %, expanded round the middle of the band in THz.
_BASELINE = np.polynomial.Polynomial([-6.36e-3, 9.06e-2, -3.94e-1, 5.54e-1])
_BASELINE_CENTRE_HZ = 337.5e9
_BASELINE_LOCAL = _BASELINE(np.polynomial.Polynomial([_BASELINE_CENTRE_HZ * 1e-12, 1.0])).coef


def simplified_absorption(
    freq_hz: ArrayLike, pressure_pa: ArrayLike, temperature_k: ArrayLike, relative_humidity: ArrayLike
) -> Array:
    """Simplified absorption of humid air between 275 and 400 GHz: k = y1 + y2 + g.

    With w = f/(100 c) [1/cm] and mu = relative_humidity p_w/p the vapour's mixing ratio:
    y1 = 0.2205 mu (0.1303 mu + 0.0294)/((0.4093 mu + 0.0925)^2 + (w - 10.835)^2),
    y2 = 2.014 mu (0.1702 mu + 0.0303)/((0.537 mu + 0.0956)^2 + (w - 12.664)^2),
    g = 5.54e-37 f^3 - 3.94e-25 f^2 + 9.06e-14 f - 6.36e-3.

    In its band it is 0.38 to 1.1 of `p676_attenuation` at 288.15 K and 7.5 g/m^3, mostly below it; in damp air the
    two are further apart.

    Args:
      freq_hz: frequency f [Hz], `[...]`.
      pressure_pa: air pressure p [Pa], `[...]`.
      temperature_k: T [K], `[...]`.
      relative_humidity: 0..1, `[...]`.

    Returns:
      k_abs [1/m], `[...]`; NaN outside the band where the frequency is traced.

    Raises:
      ConfigError: a frequency outside the band.

    Source: Kokkoniemi, Lehtomäki and Juntti, 2018.
    """
    arguments = as_reals(freq_hz, pressure_pa, temperature_k, relative_humidity)
    freq_hz, pressure_pa, temperature_k, relative_humidity = jnp.broadcast_arrays(*arguments)
    freq_hz = _in_band(freq_hz, SIMPLIFIED_BAND_HZ, "the simplified absorption")
    mu = relative_humidity * saturation_vapour_pressure_pa(pressure_pa, temperature_k) / pressure_pa
    return _two_lines(freq_hz, mu)


@jax.jit
def _two_lines(freq_hz: Array, mu: Array) -> Array:
    wavenumber = freq_hz / (100 * SPEED_OF_LIGHT)
    y1 = 0.2205 * mu * (0.1303 * mu + 0.0294) / ((0.4093 * mu + 0.0925) ** 2 + (wavenumber - 10.835) ** 2)
    y2 = 2.014 * mu * (0.1702 * mu + 0.0303) / ((0.537 * mu + 0.0956) ** 2 + (wavenumber - 12.664) ** 2)
    x = (freq_hz - _BASELINE_CENTRE_HZ) * 1e-12
    g0, g1, g2, g3 = (float(c) for c in _BASELINE_LOCAL)
    return y1 + y2 + (g0 + x * (g1 + x * (g2 + x * g3)))


def transmission_windows(freq_hz: ArrayLike, k_abs: ArrayLike, limit_per_m: float) -> list[tuple[float, float]]:
    """Bands in which the absorption stays at or below a limit, on the host.

    Args:
      freq_hz: ascending frequencies [Hz], `[F]`.
      k_abs: absorption there [1/m], `[F]`.
      limit_per_m: largest absorption [1/m]; a hop of d metres loses at most x dB below x ln(10)/(10 d).

    Returns:
      (lower, upper) edge of every band [Hz], ascending; an edge between two frequencies is interpolated linearly, one
      at an end of the range is that end.

    Raises:
      ConfigError: fewer than two frequencies, or frequencies that do not ascend.
    """
    freq, k = np.asarray(freq_hz, float), np.asarray(k_abs, float)
    if freq.ndim != 1 or freq.shape != k.shape or len(freq) < 2 or np.any(np.diff(freq) <= 0):
        raise ConfigError(f"windows need at least two ascending frequencies with an absorption each, not {freq.shape}")
    clear = k <= limit_per_m
    turns = np.flatnonzero(clear[1:] != clear[:-1])
    share = (limit_per_m - k[turns]) / (k[turns + 1] - k[turns])
    edges = freq[turns] + share * (freq[turns + 1] - freq[turns])
    edges = [*([freq[0]] if clear[0] else []), *edges, *([freq[-1]] if clear[-1] else [])]
    return [(float(low), float(high)) for low, high in zip(edges[::2], edges[1::2], strict=True)]
