"""Channels, SINR and rates by explicit sums."""

import math

import numpy as np


def cascaded_channel(direct, surface_to_user, reflection, bs_to_surface):
    """H[k, m] = direct[k, m] + sum_n surface_to_user[k, n] reflection[n] bs_to_surface[n, m]."""
    h = np.array(direct, complex)
    for k in range(h.shape[0]):
        for m in range(h.shape[1]):
            for n in range(len(reflection)):
                h[k, m] += surface_to_user[k, n] * reflection[n] * bs_to_surface[n, m]
    return h


def received_powers(H, W):
    """|H_k w_s|^2 as [K, S]."""
    powers = np.zeros((H.shape[0], W.shape[1]))
    for k in range(H.shape[0]):
        for s in range(W.shape[1]):
            field = sum(H[k, m] * W[m, s] for m in range(H.shape[1]))
            powers[k, s] = field.real**2 + field.imag**2
    return powers


def sinr(H, W, noise_w):
    """Own power over all other streams' power plus noise, [K]; noise is one number or one per user."""
    noise = np.broadcast_to(noise_w, (H.shape[0],))
    powers = received_powers(H, W)
    out = np.zeros(H.shape[0])
    for k in range(H.shape[0]):
        disturbance = noise[k]
        for s in range(W.shape[1]):
            if s != k:
                disturbance += powers[k, s]
        out[k] = powers[k, k] / disturbance
    return out


def rates(H, W, noise_w):
    """log2(1 + SINR) per user [K]."""
    return np.array([math.log1p(g) / math.log(2.0) for g in sinr(H, W, noise_w)])


def sum_rate(H, W, noise_w):
    """Sum of the users' rates."""
    return math.fsum(rates(H, W, noise_w))


def per_antenna_power(W):
    """sum_s |W[m, s]|^2 per antenna [M]."""
    return np.array([sum(abs(w) ** 2 for w in row) for row in W])
