"""Fractional programming user by user, and the relaxed surface phases by search."""

import itertools
import math

import numpy as np
from reference.beamforming import clip_rows, clip_total, weighted_sum_rate
from reference.link import received_powers


def transforms(H, W, noise_w, weights=None):
    """(gamma, y): the auxiliaries of Shen and Yu's two transforms at the beams W."""
    powers, gamma, y = received_powers(H, W), np.zeros(len(H)), np.zeros(len(H), complex)
    for k in range(len(H)):
        alpha = 1.0 if weights is None else weights[k]
        gamma[k] = powers[k, k] / (math.fsum(p for i, p in enumerate(powers[k]) if i != k) + noise_w)
        y[k] = math.sqrt(alpha * (1.0 + gamma[k])) * (H[k] @ W[:, k]) / (sum(powers[k]) + noise_w)
    return gamma, y


def minorant(H, X, W, noise_w, weights=None):
    """The transformed objective at the beams X, its auxiliaries those of W [bit/s/Hz]."""
    (gamma, y), powers, total = transforms(H, W, noise_w, weights), received_powers(H, X), 0.0
    for k in range(len(H)):
        alpha = 1.0 if weights is None else weights[k]
        total += alpha * (math.log(1.0 + gamma[k]) - gamma[k])
        total += 2.0 * math.sqrt(alpha * (1.0 + gamma[k])) * (np.conj(y[k]) * (H[k] @ X[:, k])).real
        total -= abs(y[k]) ** 2 * (sum(powers[k]) + noise_w)
    return total / math.log(2.0)


def quadratic(H, W, noise_w, weights=None):
    """A `[M, M]` and B `[M, K]` of the minorant at W: constant + 2 Re tr(B^H X) - tr(X^H A X), in nats."""
    users, antennas = H.shape
    (gamma, y), A, B = (
        transforms(H, W, noise_w, weights),
        np.zeros((antennas, antennas), complex),
        np.zeros((antennas, users), complex),
    )
    for k in range(users):
        alpha = 1.0 if weights is None else weights[k]
        A += abs(y[k]) ** 2 * np.outer(np.conj(H[k]), H[k])
        B[:, k] = math.sqrt(alpha * (1.0 + gamma[k])) * y[k] * np.conj(H[k])
    return A, B


def step(H, Z, noise_w, power_w, weights=None, constraint="sum"):
    """Proj(Z + (B - A Z)/||A||_F)."""
    A, B = quadratic(H, Z, noise_w, weights)
    moved = Z + (B - A @ Z) / math.sqrt(sum(abs(a) ** 2 for a in A.ravel()))
    return clip_total(moved, power_w) if constraint == "sum" else clip_rows(moved, power_w)


def fractional_programming(H, W0, noise_w, power_w, iterations, weights=None, constraint="sum"):
    """Beams and the weighted sum rate after each round, from a feasible start."""
    W = before = np.array(W0)
    rate, count, history = weighted_sum_rate(H, W, noise_w, weights), 0, []
    for _ in range(iterations):
        new = step(H, W + count / (count + 3) * (W - before), noise_w, power_w, weights, constraint)
        new_rate = weighted_sum_rate(H, new, noise_w, weights)
        before = W
        if new_rate >= rate:
            W, rate, count = new, new_rate, count + 1
        else:
            count = 0
        history.append(rate)
    return W, np.array(history)


def received_by_all(direct, surface_to_user, bs_to_surface, phase_rad, weights=None):
    """sum_k alpha_k ||row_k||^2 of the cascaded channel, path by path."""
    total = 0.0
    for k in range(len(direct)):
        row = np.array(direct[k], complex)
        for n, phase in enumerate(phase_rad):
            row += surface_to_user[k, n] * np.exp(1j * phase) * bs_to_surface[n]
        total += (1.0 if weights is None else weights[k]) * sum(abs(entry) ** 2 for entry in row)
    return total


def best_on_grid(direct, surface_to_user, bs_to_surface, levels, weights=None):
    """The largest `received_by_all` with every phase on a grid of that many levels."""
    grid = 2.0 * np.pi * np.arange(levels) / levels
    phases = np.array(list(itertools.product(grid, repeat=len(bs_to_surface))))
    total = np.zeros(len(phases))
    for k in range(len(direct)):
        rows = direct[k] + (np.exp(1j * phases) * surface_to_user[k]) @ bs_to_surface
        total += (1.0 if weights is None else weights[k]) * np.sum(np.abs(rows) ** 2, axis=1)
    return float(np.max(total))
