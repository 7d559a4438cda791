"""Bounds on range and velocity by explicit Fisher matrices of a tone with unknown complex amplitude."""

import cmath
import math

import numpy as np
from reference.sensing import inverse

C = 299_792_458


def tone_crb(snr, points, weights, rate=0.0, amplitude_phase=0.3):
    """Least variance of the rate r in s_i = alpha sqrt(w_i) exp(j 2 pi r x_i), alpha unknown, unit noise."""
    points = [float(x) for x in points]
    weights = [1.0] * len(points) if weights is None else [float(w) for w in weights]
    alpha = math.sqrt(snr / math.fsum(weights)) * cmath.exp(1j * amplitude_phase)
    slopes = []
    for x, w in zip(points, weights, strict=True):
        tone = math.sqrt(w) * cmath.exp(2j * math.pi * rate * x)
        slopes.append([2j * math.pi * x * alpha * tone, tone, 1j * tone])  # by r, Re alpha, Im alpha
    J = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            J[i, j] = 2 * math.fsum((s[i].conjugate() * s[j]).real for s in slopes)
    return inverse(J)[0, 0]


def range_crb(snr, offset_hz, weights=None):
    """A delay tau turns subcarrier f by -2 pi f tau; the range is c tau / 2."""
    return (C / 2) ** 2 * tone_crb(snr, [-f for f in offset_hz], weights)


def velocity_crb(snr, freq_hz, times_s, weights=None):
    """A Doppler shift nu = 2 v f / c turns symbol t by 2 pi nu t."""
    return (C / (2 * freq_hz)) ** 2 * tone_crb(snr, times_s, weights)
