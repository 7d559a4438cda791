"""Channels and rates of users with several antennas, rates over subcarriers, bits per joule."""

import math

import numpy as np
from reference import link


def cascaded_channel_mimo(direct, surface_to_user, reflection, bs_to_surface):
    """H[k, r, m] = direct[k, r, m] + sum_n surface_to_user[k, r, n] reflection[n] bs_to_surface[n, m]."""
    H = np.array(direct, complex)
    users, receivers, antennas = H.shape
    for k in range(users):
        for r in range(receivers):
            for m in range(antennas):
                for n in range(len(reflection)):
                    H[k, r, m] += surface_to_user[k, r, n] * reflection[n] * bs_to_surface[n, m]
    return H


def heard(H_k, W_i):
    """What user i's streams bring to user k: sum_d (H_k w_id)(H_k w_id)^H, [R, R]."""
    receivers, out = H_k.shape[0], np.zeros((H_k.shape[0],) * 2, complex)
    for d in range(W_i.shape[1]):
        field = [sum(H_k[r, m] * W_i[m, d] for m in range(H_k.shape[1])) for r in range(receivers)]
        for r in range(receivers):
            for q in range(receivers):
                out[r, q] += field[r] * field[q].conjugate()
    return out


def disturbance(H, W, k, noise_w):
    """Q_k: noise and all other users' streams at user k."""
    return noise_w * np.eye(H.shape[1]) + sum((heard(H[k], W[i]) for i in range(len(W)) if i != k), 0.0)


def mimo_rates(H, W, noise_w):
    """log2 det(I + S_k Q_k^-1) per user [K]; noise is one number or one per user."""
    noise, out = np.broadcast_to(noise_w, (len(H),)), np.zeros(len(H))
    for k in range(len(H)):
        ratio = heard(H[k], W[k]) @ np.linalg.inv(disturbance(H, W, k, noise[k]))
        sign, log = np.linalg.slogdet(np.eye(H.shape[1]) + ratio)
        assert abs(sign - 1.0) < 1e-6
        out[k] = log / math.log(2.0)
    return out


def ofdm_sum_rate(H, W, noise_w):
    """Mean over subcarriers of the sum rate; W has as many axes as H where each subcarrier has its own beams."""
    subcarriers, users = H.shape[:2]
    noise = np.broadcast_to(noise_w, (subcarriers, users))
    beams = W if W.ndim == H.ndim else [W] * subcarriers
    return math.fsum(link.sum_rate(H[f], beams[f], noise[f]) for f in range(subcarriers)) / subcarriers


def energy_efficiency(sum_rate, bandwidth_hz, radiated_w, circuit_w, amplifier_efficiency=1.0):
    """Bits of one second over joules of one second."""
    joules = radiated_w / amplifier_efficiency + circuit_w
    return sum_rate * bandwidth_hz / joules


def water_filling(gains, power_w):
    """Powers max(mu - 1/gain, 0) that spend power_w: the level is found by leaving weak channels out in turn."""
    order = sorted(range(len(gains)), key=lambda i: -gains[i])
    for used in range(len(gains), 0, -1):
        level = (power_w + sum(1.0 / gains[i] for i in order[:used])) / used
        if level > 1.0 / gains[order[used - 1]]:
            break
    return np.array([max(level - 1.0 / g, 0.0) for g in gains])


def wmmse_mimo(H, W, noise_w, power_w, iterations, weights=None):
    """Textbook WMMSE under a total power: receive filters, inverse MSE matrices, a bisected multiplier.

    H [K, R, M], W [K, M, D] within the power; gives W and the weighted sum rate after each iteration.
    """
    users, antennas = H.shape[0], H.shape[2]
    weights = np.ones(users) if weights is None else weights
    W, history = np.array(W), []
    for _ in range(iterations):
        A, B = np.zeros((antennas, antennas), complex), []
        for k in range(users):
            whole = sum(heard(H[k], W[i]) for i in range(users)) + noise_w * np.eye(H.shape[1])
            U = np.linalg.solve(whole, H[k] @ W[k])
            weight = weights[k] * np.linalg.inv(np.eye(W.shape[2]) - U.conj().T @ H[k] @ W[k])
            A += H[k].conj().T @ U @ weight @ U.conj().T @ H[k]
            B.append(H[k].conj().T @ U @ weight)

        def beams(nu, A=A, B=B):
            return np.stack([np.linalg.solve(A + nu * np.eye(antennas), b) for b in B])

        low, high = 0.0, 1.0
        while np.sum(np.abs(beams(high)) ** 2) > power_w:
            high *= 2
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if np.sum(np.abs(beams(middle)) ** 2) > power_w else (low, middle)
        W = beams(high)
        history.append(float(np.sum(weights * mimo_rates(H, W, noise_w))))
    return W, history
