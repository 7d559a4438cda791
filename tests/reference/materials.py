"""Permittivity of building materials, Rec. ITU-R P.2040, from one table row at a time."""

import cmath
import math

C = 299_792_458.0
Z0 = 376.730313412
EPS0 = 1.0 / (Z0 * C)

# Rec. ITU-R P.2040-4, table 3: rows (a, b, c, d, lowest GHz, highest GHz); rows of one material may overlap.
PUBLISHED = {
    "concrete": [(5.24, 0, 0.0462, 0.7822, 1, 100), (5.17, 0, 0.0145, 1.09, 110, 330)],
    "brick": [(3.91, 0, 0.0238, 0.16, 1, 40), (4.15, 0, 0.0006, 1.5712, 110, 330)],
    "plasterboard": [
        (2.73, 0, 0.0085, 0.9395, 1, 100),
        (2.56, 0, 0.0001, 1.7799, 110, 330),
        (2.65, 0, 0.0002, 1.598, 100, 400),
    ],
    "wood": [
        (1.99, 0, 0.0047, 1.0718, 0.001, 100),
        (1.82, 0, 0.0040, 1.0761, 110, 330),
        (2.1183, 0, 0.0055, 1.1113, 100, 400),
    ],
    "glass": [
        (6.31, 0, 0.0036, 1.3394, 0.1, 100),
        (6.5767, 0, 0.0012, 1.4697, 100, 400),
        (5.79, 0, 0.0004, 1.658, 220, 450),
    ],
    "ceiling_board": [
        (1.48, 0, 0.0011, 1.0750, 1, 100),
        (1.52, 0, 0.0029, 1.029, 220, 450),
        (1.2567, 0, 0.00013, 1.454, 100, 400),
    ],
    "chipboard": [(2.58, 0, 0.0217, 0.78, 1, 100), (2.16, 0, 0.0023, 1.359, 100, 200)],
    "plywood": [
        (2.71, 0, 0.33, 0, 1, 40),
        (1.94, 0, 0.0067, 0.9982, 110, 330),
        (2.17, 0, 0.0063, 1.045, 100, 400),
    ],
    "marble": [
        (7.074, 0, 0.0055, 0.9262, 1, 60),
        (7.94, 0, 0.0001, 1.7330, 110, 330),
        (8.62, 0, 0.0027, 1.15, 100, 400),
    ],
    "floorboard": [
        (3.66, 0, 0.0044, 1.3515, 50, 100),
        (5.27, 0, 2.22e-17, 7.3413, 220, 300),
        (5.27, 0, 0.0003, 2.0298, 300, 400),
        (5.27, 0, 49.8726, 0, 400, 450),
        (3.1575, 0, 0.001675, 1.32775, 100, 400),
    ],
    "clear_acrylic": [(2.58, 0, 0.0001, 1.6524, 110, 330)],
    "vinyl_tile": [(3.62, 0, 0.0051, 0.8422, 1, 40)],
    "carpet_tile": [(2.08, 0, 0.0009, 0.82, 1, 40)],
    "asphalt_concrete": [(4.83, 0, 0.0108, 1.3969, 1, 40)],
    "metal": [(1, 0, 1e7, 0, 1, 100)],
    "very_dry_ground": [(3, 0, 0.00015, 2.52, 1, 10)],
    "medium_dry_ground": [(15, -0.1, 0.035, 1.63, 1, 10)],
    "wet_ground": [(30, -0.4, 0.15, 1.30, 1, 10)],
}


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
