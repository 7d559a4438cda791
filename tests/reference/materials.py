"""Permittivity of building materials, Rec. ITU-R P.2040, from one table row at a time."""

import cmath
import math

C = 299_792_458.0
Z0 = 376.730313412
EPS0 = 1.0 / (Z0 * C)


def row_for(rows, freq_hz, extrapolate=False):
    """The first row (a, b, c, d, low_ghz, high_ghz) that holds the frequency; else None, or the nearest in log."""
    for row in rows:
        if row[4] * 1e9 <= freq_hz <= row[5] * 1e9:
            return row
    if not extrapolate:
        return None
    distances = [min(abs(math.log(freq_hz / (edge * 1e9))) for edge in row[4:6]) for row in rows]
    return rows[distances.index(min(distances))]


def relative_permittivity(rows, freq_hz, extrapolate=False):
    """a f^b - j c f^d / (2 pi f eps0), f in GHz in the powers."""
    a, b, c, d, _, _ = row_for(rows, freq_hz, extrapolate)
    f = freq_hz / 1e9
    return complex(a * f**b, -c * f**d / (2.0 * math.pi * freq_hz * EPS0))


def wave_impedance(rows, freq_hz, extrapolate=False):
    """Z0 / sqrt(eps) [ohm] of a non-magnetic material."""
    return Z0 / cmath.sqrt(relative_permittivity(rows, freq_hz, extrapolate))
