"""Hybrid and coupled reflecting surfaces, one element at a time."""

import cmath
import math

import numpy as np
from reference.units import C


def hybrid_reflection(amplitude, phase_rad, active, max_amplitude):
    """Active elements carry their amplitude cut to 0..max_amplitude, passive ones 1."""
    psi = np.zeros(len(phase_rad), complex)
    for n, phase in enumerate(phase_rad):
        size = min(max(amplitude[n], 0.0), max_amplitude) if active[n] else 1.0
        psi[n] = size * cmath.exp(1j * phase)
    return psi


def user_noise(surface_to_user, psi, active, noise_w, noise_v_w):
    """sigma_k^2 plus what every active element's own noise brings to user k, [K]."""
    noise = np.array(np.broadcast_to(noise_w, (surface_to_user.shape[0],)), float)
    for k in range(surface_to_user.shape[0]):
        for n in range(len(psi)):
            if active[n]:
                noise[k] += noise_v_w * abs(surface_to_user[k, n]) ** 2 * abs(psi[n]) ** 2
    return noise


def arriving_covariance(G, W, noise_v_w):
    """Covariance of what the elements amplify: G W W^H G^H + sigma_v^2 I, entry by entry."""
    elements, antennas = G.shape
    transmitted = np.zeros((antennas, antennas), complex)
    for a in range(antennas):
        for b in range(antennas):
            transmitted[a, b] = sum(W[a, s] * W[b, s].conjugate() for s in range(W.shape[1]))
    arriving = np.zeros((elements, elements), complex)
    for p in range(elements):
        for q in range(elements):
            for a in range(antennas):
                for b in range(antennas):
                    arriving[p, q] += G[p, a] * transmitted[a, b] * G[q, b].conjugate()
            arriving[p, q] += noise_v_w * (p == q)
    return arriving


def amplifier_power(psi, active, G, W, noise_v_w):
    """Trace of the covariance that leaves the active elements."""
    arriving = arriving_covariance(G, W, noise_v_w)
    leaving = [psi[n] * arriving[n, n] * psi[n].conjugate() for n in range(len(psi)) if active[n]]
    return math.fsum(power.real for power in leaving)


def target_noise(psi, active, gain, noise_v_w):
    """Noise power of the active elements behind the loss |gain|^2 to the target."""
    return noise_v_w * abs(gain) ** 2 * math.fsum(abs(p) ** 2 for p, on in zip(psi, active, strict=True) if on)


def impedances(positions_m, freq_hz):
    """Z of isotropic elements over their own resistance."""
    wavenumber, num = 2.0 * math.pi * freq_hz / C, len(positions_m)
    Z = np.eye(num, dtype=complex)
    for n in range(num):
        for m in range(num):
            if n != m:
                turn = wavenumber * math.dist(positions_m[n], positions_m[m])
                Z[n, m] = 1j * cmath.exp(-1j * turn) / turn
    return Z


def isotropic_scattering(positions_m, freq_hz):
    """(Z - I) (Z + I)^-1."""
    Z = impedances(positions_m, freq_hz)
    one = np.eye(len(Z))
    return (Z - one) @ np.linalg.inv(Z + one)


def coupled_reflection(psi, S):
    """(diag(psi)^-1 - S)^-1 over the elements that reflect; an infinite diagonal entry leaves zeros."""
    num = len(psi)
    on = [n for n in range(num) if psi[n] != 0]
    block = np.array([[(1.0 / psi[n] if n == m else 0.0) - S[n, m] for m in on] for n in on]).reshape(len(on), len(on))
    inverse, out = np.linalg.inv(block), np.zeros((num, num), complex)
    for i, n in enumerate(on):
        for j, m in enumerate(on):
            out[n, m] = inverse[i, j]
    return out


def scattered_series(psi, S, bounces):
    """psi + psi S psi + psi S psi S psi + ...: waves that went between elements up to `bounces` times."""
    diagonal = np.diag(np.asarray(psi, complex))
    term, total = diagonal, diagonal
    for _ in range(bounces):
        term = term @ S @ diagonal
        total = total + term
    return total


def coupled_channel(direct, surface_to_user, psi, S, bs_to_surface):
    """Direct path plus every way in by element m and out by element n."""
    H, middle = np.array(direct, complex), coupled_reflection(psi, S)
    for k in range(H.shape[0]):
        for a in range(H.shape[1]):
            for n in range(len(psi)):
                for m in range(len(psi)):
                    H[k, a] += surface_to_user[k, n] * middle[n, m] * bs_to_surface[m, a]
    return H
