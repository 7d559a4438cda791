"""Beam patterns of a half-wavelength line array on the grid of tenths of a degree."""

import math

import numpy as np
from reference.arrays import ula_steering
from scipy.optimize import minimize


def pattern_grid():
    """-90 to 90 degrees by tenths, in radians."""
    return np.array([math.radians(i / 10) for i in range(-900, 901)])


def desired_pattern(targets_rad, width_rad):
    """1 within half the width of a target, edges included, in whole tenths of a degree; else 0."""
    width = round(10 * math.degrees(width_rad))
    centres = [round(10 * math.degrees(t)) for t in targets_rad]
    return np.array([float(any(2 * abs(i - t) <= width for t in centres)) for i in range(-900, 901)])


def beam_pattern(R, grid_rad):
    """a^H R a at every angle, a of unit norm."""
    num = R.shape[0]
    out = np.zeros(len(grid_rad))
    for g, angle in enumerate(grid_rad):
        a = ula_steering(angle, num)
        out[g] = sum(a[m].conjugate() * R[m, n] * a[n] for m in range(num) for n in range(num)).real
    return out


def beam_pattern_error(R, desired, grid_rad, p_ref_w=1.0):
    """Mean squared distance of the pattern over p_ref_w to the desired one."""
    pattern = beam_pattern(R, grid_rad)
    return math.fsum((d - p / p_ref_w) ** 2 for d, p in zip(desired, pattern, strict=True)) / len(grid_rad)


def least_pattern_covariance(num, desired, grid_rad, power_w, p_ref_w=1.0, equality=False):
    """Covariance of least error with diagonal at most (or exactly) power_w/num; and that error.

    Writes R = W W^H with a full square W, whose local minima are those of the convex problem in R.
    Each row of W is a cut of a unit vector with one slack entry, so the limit holds by itself.
    """
    steering = np.array([ula_steering(angle, num) for angle in grid_rad])
    slack = 0 if equality else 1

    def factor(x):
        x = x.reshape(num, 2 * num + slack)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return math.sqrt(power_w / num) * (x[:, :num] + 1j * x[:, num : 2 * num])

    def error(x):
        pattern = np.sum(np.abs(steering.conj() @ factor(x)) ** 2, axis=1)
        return np.mean((desired - pattern / p_ref_w) ** 2)

    def gradient(x):
        rows = x.reshape(num, 2 * num + slack)
        norm = np.linalg.norm(rows, axis=1, keepdims=True)
        fields = steering.conj() @ factor(x)
        pattern = np.sum(np.abs(fields) ** 2, axis=1)
        slope = -2.0 * (desired - pattern / p_ref_w) / p_ref_w / len(grid_rad)
        by_w = 2.0 * steering.T @ (slope[:, None] * fields) * math.sqrt(power_w / num)
        by_unit = np.concatenate([by_w.real, by_w.imag, np.zeros((num, slack))], axis=1)
        unit = rows / norm
        return ((by_unit - unit * np.sum(by_unit * unit, axis=1, keepdims=True)) / norm).ravel()

    best = None
    for seed in range(3):
        start = np.random.default_rng(seed).standard_normal(num * (2 * num + slack))
        found = minimize(error, start, jac=gradient, method="L-BFGS-B", options={"maxiter": 3000, "ftol": 1e-15})
        if best is None or found.fun < best.fun:
            best = found
    w = factor(best.x)
    return w @ w.conj().T, float(best.fun)
