"""Path gains; the phase is reduced exactly, in rational arithmetic."""

import cmath
import math
from fractions import Fraction

import numpy as np

C = 299_792_458
Z0 = 376.730313412


def path_phase(freq_hz, dist_m):
    """-2 pi f l / c in [-pi, pi]: f l / c loses its whole wavelengths as an exact fraction."""
    cycles = Fraction(float(freq_hz)) * Fraction(float(dist_m)) / C
    return -2.0 * math.pi * float(cycles - round(cycles))


def path_amplitude(freq_hz, dist_m, k_abs):
    """c / (4 pi f l) exp(-k l / 2) exp(-j 2 pi f l / c)."""
    spreading = C / (4.0 * math.pi * float(freq_hz) * float(dist_m))
    absorption = math.exp(-0.5 * float(k_abs) * float(dist_m))
    return spreading * absorption * cmath.exp(1j * path_phase(freq_hz, dist_m))


def path_amplitude_derivatives(freq_hz, dist_m, k_abs):
    """Complex derivatives of path_amplitude by freq_hz, dist_m and k_abs."""
    a, f, dist, k = path_amplitude(freq_hz, dist_m, k_abs), float(freq_hz), float(dist_m), float(k_abs)
    by_freq = a * (-1.0 / f - 2j * math.pi * dist / C)
    by_dist = a * (-1.0 / dist - k / 2.0 - 2j * math.pi * f / C)
    return by_freq, by_dist, a * (-dist / 2.0)


def fresnel_reflection(z_ohm, incidence_rad):
    """(Z cos i - Z0 cos t) / (Z cos i + Z0 cos t), sin t = Z sin i / Z0."""
    z = complex(z_ohm)
    cos_t = cmath.sqrt(1.0 - (z * math.sin(incidence_rad) / Z0) ** 2)
    return (z * math.cos(incidence_rad) - Z0 * cos_t) / (z * math.cos(incidence_rad) + Z0 * cos_t)


def rayleigh_roughness(freq_hz, sigma_m, incidence_rad):
    """exp(-g^2 / 2) with the roughness parameter g = 4 pi f sigma cos(i) / c."""
    g = 4.0 * math.pi * freq_hz * sigma_m * math.cos(incidence_rad) / C
    return math.exp(-0.5 * g * g)


def reflection_coefficient(z_ohm, incidence_rad, freq_hz, sigma_m):
    """Smooth reflection times roughness loss."""
    return fresnel_reflection(z_ohm, incidence_rad) * rayleigh_roughness(freq_hz, sigma_m, incidence_rad)


def reflected_path_amplitude(freq_hz, total_dist_m, k_abs, gamma):
    """gamma times the free path of the whole length."""
    return gamma * path_amplitude(freq_hz, total_dist_m, k_abs)


def rician(los, nlos, factor):
    """sqrt(F / (1 + F)) los + sqrt(1 / (1 + F)) nlos."""
    out = np.zeros(np.shape(los), complex)
    for index in np.ndindex(out.shape):
        out[index] = math.sqrt(factor / (1 + factor)) * los[index] + math.sqrt(1 / (1 + factor)) * nlos[index]
    return out
