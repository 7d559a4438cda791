"""Arrays given by their positions, derivatives of steering vectors and spherical waves, element by element."""

import cmath
import math
from fractions import Fraction

import numpy as np

C = 299_792_458


def direction_vector(azimuth_rad, elevation_rad):
    """Unit vector [3]: x forward, y along azimuth, z up."""
    flat = math.cos(elevation_rad)
    return np.array([flat * math.cos(azimuth_rad), flat * math.sin(azimuth_rad), math.sin(elevation_rad)])


def upa_positions(shape, spacing_m, origin="corner"):
    """Element positions [rows*cols, 3] in the y-z plane: rows along y, columns along z."""
    rows, cols = shape
    shift = ((rows - 1) / 2, (cols - 1) / 2) if origin == "centre" else (0.0, 0.0)
    out = np.zeros((rows * cols, 3))
    for row in range(rows):
        for col in range(cols):
            out[row * cols + col] = [0.0, spacing_m[0] * (row - shift[0]), spacing_m[1] * (col - shift[1])]
    return out


def turn(wavelengths):
    """exp(j 2 pi x) of an exact or floating number of wavelengths, whole ones dropped first."""
    return cmath.exp(2j * math.pi * float(wavelengths - round(wavelengths)))


def array_response(positions_m, azimuth_rad, elevation_rad, freq_hz):
    """exp(+j 2 pi f (p_n - p_0).u / c) [N]: elements nearer to the source lead."""
    u = direction_vector(azimuth_rad, elevation_rad)
    lead = [math.fsum((p - positions_m[0]) * u) for p in np.asarray(positions_m, float)]
    return np.array([turn(freq_hz * x / C) for x in lead])


def near_field_steering(positions_m, source_m, freq_hz):
    """exp(-j 2 pi f (r_n - r_0) / c) [N]; the difference of distances in exact squares, so nothing cancels."""
    exact = [[Fraction(float(x)) for x in p] for p in positions_m]
    source = [Fraction(float(x)) for x in source_m]
    squares = [sum((x - s) ** 2 for x, s in zip(p, source, strict=True)) for p in exact]
    out = []
    for square in squares:
        total = Fraction(math.sqrt(square) + math.sqrt(squares[0]))
        out.append(turn(-Fraction(float(freq_hz)) * (square - squares[0]) / total / C))
    return np.array(out)


def upa_steering_derivatives(
    azimuth_rad, elevation_rad, shape, spacing=(0.5, 0.5), unit_norm=False, freq_ratio=1.0, origin="corner"
):
    """(v, dv/daz, dv/del), each [rows*cols], v = exp(j 2 pi freq_ratio p.u) with p in carrier wavelengths."""
    positions = upa_positions(shape, spacing, origin)
    u = direction_vector(azimuth_rad, elevation_rad)
    by_azimuth = np.array([-u[1], u[0], 0.0])
    by_elevation = np.array(
        [
            -math.sin(elevation_rad) * math.cos(azimuth_rad),
            -math.sin(elevation_rad) * math.sin(azimuth_rad),
            math.cos(elevation_rad),
        ]
    )
    v, first, second = (np.zeros(len(positions), complex) for _ in range(3))
    for n, p in enumerate(positions):
        v[n] = cmath.exp(2j * math.pi * freq_ratio * float(p @ u))
        v[n] /= math.sqrt(len(positions)) if unit_norm else 1.0
        first[n] = 2j * math.pi * freq_ratio * float(p @ by_azimuth) * v[n]
        second[n] = 2j * math.pi * freq_ratio * float(p @ by_elevation) * v[n]
    return v, first, second
