"""Bessel function, correlation in time and motion, in many digits or exact steps."""

import math

import mpmath
import numpy as np

C = 299_792_458.0


def bessel_j0(x):
    """J0 in 40 digits, rounded once."""
    with mpmath.workdps(40):
        return float(mpmath.besselj(0, mpmath.mpf(float(x))))


def bessel_j1(x):
    """J1 = -dJ0/dx."""
    with mpmath.workdps(40):
        return float(mpmath.besselj(1, mpmath.mpf(float(x))))


def doppler_correlation(speed_m_s, freq_hz, interval_s):
    """J0 at the phase that the fastest path turns by in the interval."""
    return bessel_j0(2.0 * math.pi * speed_m_s * freq_hz / C * interval_s)


def distance_from_axis(position, centre):
    """Horizontal distance of a position from the disc's centre."""
    return math.hypot(position[0] - centre[0], position[1] - centre[1])


def free_step(position, velocity, interval_s):
    """Straight motion in the horizontal plane: the height stays."""
    moved = np.array(position, float)
    moved[:2] += interval_s * np.asarray(velocity, float)[:2]
    return moved
