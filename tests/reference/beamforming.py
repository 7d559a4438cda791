"""Linear beamformers and weighted MMSE, user by user."""

import math

import numpy as np
from reference.link import received_powers
from scipy.optimize import brentq


def unit_columns(W):
    """Each column over its norm."""
    return np.stack([w / math.sqrt(sum(abs(w) ** 2)) for w in W.T], axis=1)


def mrt(H):
    """Matched columns h_k^H."""
    return unit_columns(np.conj(H).T)


def zf(H):
    """Columns of the pseudo-inverse."""
    return unit_columns(np.linalg.pinv(H))


def rzf(H, noise_w, power_w):
    """H^H (H H^H + K noise/P I)^-1, solved in its other form (H^H H + K noise/P I)^-1 H^H."""
    users, antennas = H.shape
    gram = np.conj(H).T @ H + users * noise_w / power_w * np.eye(antennas)
    return unit_columns(np.linalg.solve(gram, np.conj(H).T))


def scale_total(W, power_w):
    """W with ||W||_F^2 = power_w."""
    return W * math.sqrt(power_w / sum(abs(w) ** 2 for w in W.ravel()))


def scale_per_antenna(W, power_w):
    """W by one number such that its strongest row has exactly power_w/M."""
    strongest = max(sum(abs(w) ** 2 for w in row) for row in W)
    return W * math.sqrt(power_w / W.shape[0] / strongest)


def clip_rows(W, power_w):
    """Rows stronger than power_w/M brought back to it."""
    limit, out = power_w / W.shape[0], np.array(W, complex)
    for m, row in enumerate(W):
        power = sum(abs(w) ** 2 for w in row)
        if power > limit:
            out[m] = row * math.sqrt(limit / power)
    return out


def clip_total(W, power_w):
    """Euclidean projection on ||W||_F^2 <= power_w."""
    return scale_total(W, power_w) if np.sum(np.abs(W) ** 2) > power_w else np.array(W)


def weighted_sum_rate(H, W, noise_w, weights=None):
    """sum_k alpha_k log2(1 + SINR_k)."""
    powers, total = received_powers(H, W), 0.0
    for k in range(H.shape[0]):
        alpha = 1.0 if weights is None else weights[k]
        disturbance = math.fsum(p for s, p in enumerate(powers[k]) if s != k) + noise_w
        total += alpha * math.log2(1.0 + powers[k, k] / disturbance)
    return total


def rate_gradient(H, W, noise_w, weights=None):
    """Ascent direction of weighted_sum_rate in W (real and imaginary parts as a complex matrix) [M, K]."""
    powers, gradient = received_powers(H, W), np.zeros(W.shape, complex)
    for k in range(H.shape[0]):
        alpha = (1.0 if weights is None else weights[k]) / math.log(2.0)
        everything = sum(powers[k]) + noise_w
        disturbance = everything - powers[k, k]
        for s in range(W.shape[1]):
            share = 1.0 / everything - (0.0 if s == k else 1.0 / disturbance)
            gradient[:, s] += 2.0 * alpha * share * (H[k] @ W[:, s]) * np.conj(H[k])
    return gradient


def stationarity(H, W, noise_w, power_w, weights=None, constraint="sum"):
    """Length of a projected gradient step over sqrt(P); the free step would have length sqrt(P)."""
    gradient = rate_gradient(H, W, noise_w, weights)
    step = math.sqrt(power_w) / np.linalg.norm(gradient)
    project = clip_total if constraint == "sum" else clip_rows
    return np.linalg.norm(project(W + step * gradient, power_w) - W) / math.sqrt(power_w)


def wmmse_step(H, W, noise_w, power_w, weights=None):
    """One round of Shi et al. 2011, table I: receivers, weights, then beams under a total power limit."""
    users, antennas = H.shape
    A, B = np.zeros((antennas, antennas), complex), np.zeros((antennas, users), complex)
    powers = received_powers(H, W)
    for k in range(users):
        alpha = 1.0 if weights is None else weights[k]
        receiver = (H[k] @ W[:, k]) / (sum(powers[k]) + noise_w)
        error = 1.0 - powers[k, k] / (sum(powers[k]) + noise_w)
        A += alpha / error * abs(receiver) ** 2 * np.outer(np.conj(H[k]), H[k])
        B[:, k] = alpha / error * receiver * np.conj(H[k])
    values, vectors = np.linalg.eigh(A)
    inside = values > 1e-12 * values[-1]  # B lies in the range of A; what rounding puts outside is dropped
    values, vectors = values[inside], vectors[:, inside]
    B = vectors.conj().T @ B
    shares = np.sum(np.abs(B) ** 2, axis=1)

    def excess(multiplier):
        return sum(shares / (values + multiplier) ** 2) - power_w

    if excess(0.0) <= 0.0:
        multiplier = 0.0
    else:
        multiplier = brentq(excess, 0.0, math.sqrt(sum(shares) / power_w), xtol=1e-300, rtol=1e-15)
    return vectors @ (B / (values + multiplier)[:, None])


def wmmse(H, W0, noise_w, power_w, iterations, weights=None):
    """Beams and the weighted sum rate after each round, total power limit."""
    W, history = np.array(W0), []
    for _ in range(iterations):
        W = wmmse_step(H, W, noise_w, power_w, weights)
        history.append(weighted_sum_rate(H, W, noise_w, weights))
    return W, np.array(history)


def full_power_rate(H, W, noise_w, power_w, weights=None):
    """sum_k alpha_k log2(1 + |h_k w_k|^2/(sum_{i != k} |h_k w_i|^2 + n_k ||W||^2/P)), of W scaled to power P."""
    powers, spent, total = received_powers(H, W), sum(abs(w) ** 2 for w in W.ravel()), 0.0
    for k in range(H.shape[0]):
        alpha = 1.0 if weights is None else weights[k]
        noise = np.broadcast_to(noise_w, len(H))[k] * spent / power_w
        total += alpha * math.log2(
            1.0 + powers[k, k] / (math.fsum(p for i, p in enumerate(powers[k]) if i != k) + noise)
        )
    return total


def implicit_problem(H, W, noise_w, power_w, weights=None):
    """(u, omega, noise) at the beams W: receivers of least error, urgencies, and noise per unit of transmit power."""
    powers, spent = received_powers(H, W), sum(abs(w) ** 2 for w in W.ravel())
    noise = np.broadcast_to(noise_w, len(H)) / power_w
    receivers, urgencies = np.zeros(len(H), complex), np.zeros(len(H))
    for k in range(len(H)):
        everything = sum(powers[k]) + noise[k] * spent
        receivers[k] = (H[k] @ W[:, k]) / everything
        urgencies[k] = (1.0 if weights is None else weights[k]) / (1.0 - powers[k, k] / everything)
    return receivers, urgencies, noise


def implicit_objective(H, X, problem):
    """sum_k omega_k E|conj(u_k) y_k - s_k|^2 for beams X, where noise grows with the power of X."""
    (receivers, urgencies, noise), total = problem, 0.0
    powers, spent = received_powers(H, X), sum(abs(x) ** 2 for x in X.ravel())
    for k in range(len(H)):
        others = sum(powers[k]) - powers[k, k] + noise[k] * spent
        own = abs(1.0 - np.conj(receivers[k]) * (H[k] @ X[:, k])) ** 2
        total += urgencies[k] * (own + abs(receivers[k]) ** 2 * others)
    return total


def implicit_wmmse_step(H, W, noise_w, power_w, weights=None):
    """The minimiser of `implicit_objective`, a regularised M x M system, brought to power P."""
    users, antennas = H.shape
    receivers, urgencies, noise = implicit_problem(H, W, noise_w, power_w, weights)
    A, B = np.zeros((antennas, antennas), complex), np.zeros((antennas, users), complex)
    for k in range(users):
        A += urgencies[k] * abs(receivers[k]) ** 2 * (np.outer(np.conj(H[k]), H[k]) + noise[k] * np.eye(antennas))
        B[:, k] = urgencies[k] * receivers[k] * np.conj(H[k])
    return scale_total(np.linalg.solve(A, B), power_w)


def implicit_wmmse(H, W0, noise_w, power_w, iterations, weights=None):
    """Beams and the weighted sum rate after each round."""
    W, history = np.array(W0), []
    for _ in range(iterations):
        W = implicit_wmmse_step(H, W, noise_w, power_w, weights)
        history.append(full_power_rate(H, W, noise_w, power_w, weights))
    return W, np.array(history)
