"""Steering vectors and path matrices, element by element."""

import cmath
import math

import numpy as np


def ula_steering(angle_rad, num, spacing=0.5, convention="broadside", unit_norm=True, freq_ratio=1.0):
    """Departure vector a [num] of a line array: element m lags by spacing * m * sin(angle) wavelengths."""
    projection = math.sin(angle_rad) if convention == "broadside" else math.cos(angle_rad)
    a = np.zeros(num, complex)
    for m in range(num):
        a[m] = cmath.exp(-2j * math.pi * spacing * freq_ratio * m * projection)
        if unit_norm:
            a[m] /= math.sqrt(num)
    return a


def upa_steering(
    azimuth_rad, elevation_rad, shape, spacing=(0.5, 0.5), unit_norm=False, freq_ratio=1.0, origin="corner"
):
    """Arrival response [rows*cols]: exp(j 2 pi p.u), p the element in the y-z plane, u towards the source."""
    rows, cols = shape
    u_y = math.cos(elevation_rad) * math.sin(azimuth_rad)
    u_z = math.sin(elevation_rad)
    start_row = (rows - 1) / 2 if origin == "centre" else 0.0
    start_col = (cols - 1) / 2 if origin == "centre" else 0.0
    v = np.zeros(rows * cols, complex)
    for row in range(rows):
        for col in range(cols):
            y = spacing[0] * (row - start_row)
            z = spacing[1] * (col - start_col)
            v[row * cols + col] = cmath.exp(2j * math.pi * freq_ratio * (y * u_y + z * u_z))
    return v / math.sqrt(rows * cols) if unit_norm else v


def path_matrix(amplitude, arrival, departure, gain_t=1.0, gain_r=1.0):
    """H [Nr, Nt] of one path: amplitude sqrt(gain_t gain_r) arrival_r conj(departure_t)."""
    h = np.zeros((len(arrival), len(departure)), complex)
    for r in range(len(arrival)):
        for t in range(len(departure)):
            h[r, t] = amplitude * math.sqrt(gain_t) * math.sqrt(gain_r) * arrival[r] * departure[t].conjugate()
    return h
