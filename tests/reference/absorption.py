"""Molecular absorption by plain sums over lines; the line tables are those of the PyPI package itur."""

import csv
import functools
import importlib.util
import math
from pathlib import Path

C = 299_792_458.0


@functools.cache
def lines(gas):
    """Rows of ITU-R P.676's table for "oxygen" or "water_vapour": line frequency [GHz] and six coefficients."""
    # Found, not imported: importing itur is slow and warns.
    folder = Path(importlib.util.find_spec("itur").origin).parent / "data" / "676"
    with open(folder / f"v12_lines_{gas}.txt", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [tuple(float(x) for x in row) for row in rows]


def line_shape(f, f0, width, overlap):
    """F of the recommendation, and the sum of the magnitudes it is made of."""
    below, above = (f0 - f) ** 2 + width**2, (f0 + f) ** 2 + width**2
    shape = (width - overlap * (f0 - f)) / below + (width - overlap * (f0 + f)) / above
    size = (width + abs(overlap * (f0 - f))) / below + (width + abs(overlap * (f0 + f))) / above
    return f / f0 * shape, f / f0 * size


def p676_terms(freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3):
    """[(N'', its magnitude sum)] of oxygen with the dry continuum, and of water vapour."""
    f, p, rho = freq_hz / 1e9, dry_pressure_pa / 100.0, vapour_density_kg_m3 * 1e3
    theta, e = 300.0 / temperature_k, rho * temperature_k / 216.7
    dry, dry_size = 0.0, 0.0
    for f0, a1, a2, a3, a4, a5, a6 in lines("oxygen"):
        strength = a1 * 1e-7 * p * theta**3 * math.exp(a2 * (1.0 - theta))
        width = a3 * 1e-4 * (p * theta ** (0.8 - a4) + 1.1 * e * theta)
        width = math.sqrt(width**2 + 2.25e-6)
        overlap = (a5 + a6 * theta) * 1e-4 * (p + e) * theta**0.8
        shape, size = line_shape(f, f0, width, overlap)
        dry += strength * shape
        dry_size += strength * size
    debye = 5.6e-4 * (p + e) * theta**0.8
    # 1 / (d (1 + (f/d)^2)) written so that a vacuum, d = 0, is no special case.
    continuum = 6.14e-5 * debye / (debye**2 + f**2) + 1.4e-12 * p * theta**1.5 / (1.0 + 1.9e-5 * f**1.5)
    continuum *= f * p * theta**2
    wet, wet_size = 0.0, 0.0
    for f0, b1, b2, b3, b4, b5, b6 in lines("water_vapour"):
        strength = b1 * 1e-1 * e * theta**3.5 * math.exp(b2 * (1.0 - theta))
        width = b3 * 1e-4 * (p * theta**b4 + b5 * e * theta**b6)
        width = 0.535 * width + math.sqrt(0.217 * width**2 + 2.1316e-12 * f0**2 / theta)
        shape, size = line_shape(f, f0, width, 0.0)
        wet += strength * shape
        wet_size += strength * size
    return (dry + continuum, dry_size + continuum), (wet, wet_size)


def p676_attenuation(freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3, part="total"):
    """k [1/m] of Rec. ITU-R P.676-13, annex 1."""
    dry, wet = p676_terms(freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3)
    refractivity = {"total": dry[0] + wet[0], "dry": dry[0], "wet": wet[0]}[part]
    return 0.1820 * freq_hz / 1e9 * refractivity * math.log(10.0) / 1e4


def p676_magnitude(freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3, part="total"):
    """The same sum over magnitudes [1/m]: what rounding errors are relative to."""
    dry, wet = p676_terms(freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3)
    size = {"total": dry[1] + wet[1], "dry": dry[1], "wet": wet[1]}[part]
    return 0.1820 * freq_hz / 1e9 * size * math.log(10.0) / 1e4


def saturation_vapour_pressure_pa(pressure_pa, temperature_k):
    """p_w = 6.1121 (1.0007 + 3.46e-6 p) exp(17.502 t / (240.97 + t)) hPa, t in degrees Celsius."""
    exponent = 17.502 * (temperature_k - 273.15) / (temperature_k - 32.18)
    return 100.0 * 6.1121 * (1.0007 + 3.46e-6 * pressure_pa / 100.0) * math.exp(exponent)


def vapour_density(relative_humidity, pressure_pa, temperature_k):
    """[kg/m^3]: 216.7 e / T g/m^3 with e in hPa."""
    e = relative_humidity * saturation_vapour_pressure_pa(pressure_pa, temperature_k) / 100.0
    return 1e-3 * 216.7 * e / temperature_k


def simplified_terms(freq_hz, pressure_pa, temperature_k, relative_humidity):
    """The two lines y1, y2 and the four terms of the polynomial g [1/m]."""
    mu = relative_humidity * saturation_vapour_pressure_pa(pressure_pa, temperature_k) / pressure_pa
    w = freq_hz / (100.0 * C)
    y1 = 0.2205 * mu * (0.1303 * mu + 0.0294) / ((0.4093 * mu + 0.0925) ** 2 + (w - 10.835) ** 2)
    y2 = 2.014 * mu * (0.1702 * mu + 0.0303) / ((0.537 * mu + 0.0956) ** 2 + (w - 12.664) ** 2)
    return y1, y2, (5.54e-37 * freq_hz**3, -3.94e-25 * freq_hz**2, 9.06e-14 * freq_hz, -6.36e-3)


def simplified_absorption(freq_hz, pressure_pa, temperature_k, relative_humidity):
    """k = y1 + y2 + g [1/m], 275 to 400 GHz."""
    y1, y2, g = simplified_terms(freq_hz, pressure_pa, temperature_k, relative_humidity)
    return y1 + y2 + math.fsum(g)
