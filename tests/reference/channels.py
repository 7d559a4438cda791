"""Channels as explicit sums over rays."""

from fractions import Fraction

import numpy as np
from reference.array_geometry import turn
from reference.arrays import upa_steering


def ray_channel(amplitude, arrival, departure):
    """H [Nr, Nt] = sum_p amplitude_p arrival_p departure_p^H."""
    h = np.zeros((arrival.shape[1], departure.shape[1]), complex)
    for p in range(len(amplitude)):
        for r in range(h.shape[0]):
            for t in range(h.shape[1]):
                h[r, t] += amplitude[p] * arrival[p, r] * departure[p, t].conjugate()
    return h


def subcarrier_offsets(bandwidth_hz, num):
    """Centres of num equal slices of the band, relative to its middle."""
    return np.array([-bandwidth_hz / 2 + (i + 0.5) * bandwidth_hz / num for i in range(num)])


def delay_response(offset_hz, delay_s):
    """exp(-j 2 pi offset delay) [F, P], the product exact."""
    return np.array([[turn(-Fraction(float(f)) * Fraction(float(t))) for t in delay_s] for f in offset_hz])


def wideband_channel(rays, offset_hz, carrier_hz, shape_r, shape_t, spacing=(0.5, 0.5), squint=True):
    """H [F, Nr, Nt]; rays = (amplitude, delay, arrival az, el, departure az, el), each [P]."""
    amplitude, delay_s, *angles = rays
    out = []
    for f in offset_hz:
        ratio = (carrier_hz + f) / carrier_hz if squint else 1.0
        h = 0.0
        for p in range(len(amplitude)):
            arrival = upa_steering(angles[0][p], angles[1][p], shape_r, spacing, freq_ratio=ratio)
            departure = upa_steering(angles[2][p], angles[3][p], shape_t, spacing, freq_ratio=ratio)
            h = h + amplitude[p] * delay_response([f], [delay_s[p]])[0, 0] * np.outer(arrival, departure)
        out.append(h)
    return np.array(out)
