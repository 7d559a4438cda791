"""Reflecting elements, one at a time."""

import cmath
import math

import numpy as np


def practical_amplitude(phase_rad, min_amplitude=0.2, horizontal_rad=0.43 * math.pi, steepness=1.6):
    """(1 - g) ((sin(phase - horizontal) + 1) / 2)^steepness + g."""
    base = (math.sin(phase_rad - horizontal_rad) + 1.0) / 2.0
    return (1.0 - min_amplitude) * base**steepness + min_amplitude


def quantised_phase(index, bits, levels="standard"):
    """2 pi index / 2^bits, or over 2^bits - 1 as paper A prints it."""
    steps = 2**bits if levels == "standard" else 2**bits - 1
    return 2.0 * math.pi * int(index) / steps


def reflection(amplitude, phase_rad):
    """Diagonal of the surface matrix: amplitude_n exp(j phase_n)."""
    return np.array([a * cmath.exp(1j * p) for a, p in zip(amplitude, phase_rad, strict=True)])
