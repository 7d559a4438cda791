"""Echo, Fisher information and bounds of a sensing scene: explicit sums, complex steps, exact inverses."""

import cmath
import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

C = 299_792_458
STEP = 1e-30


class Scene(NamedTuple):
    """A reflecting surface lit by a base station, its sensing elements and one target (or T, as vectors)."""

    bs_to_surface: np.ndarray
    azimuth_rad: float | np.ndarray
    elevation_rad: float | np.ndarray
    beta: complex | np.ndarray
    surface_shape: tuple[int, int]
    sensor_shape: tuple[int, int]
    spacing: tuple[float, float] = (0.5, 0.5)
    active: float | np.ndarray = 0.0
    noise_v_w: float = 0.0
    departure: str = "physical"
    origin: str = "corner"


def element_phases(azimuth, elevation, shape, spacing, origin):
    """Phase of a wave from the target at each element; the angles may carry an imaginary step."""
    middle = (lambda count: (count - 1) / 2) if origin == "centre" else (lambda count: 0)
    phases = []
    for row in range(shape[0]):
        for col in range(shape[1]):
            along_rows = spacing[0] * (row - middle(shape[0])) * cmath.cos(elevation) * cmath.sin(azimuth)
            along_cols = spacing[1] * (col - middle(shape[1])) * cmath.sin(elevation)
            phases.append(2 * math.pi * (along_rows + along_cols))
    return phases


def array_phases(scene, azimuth, elevation):
    """Phases of the sensors' response b and of the surface's departure row, v^T or a^H = v^H."""
    sensor = element_phases(azimuth, elevation, scene.sensor_shape, scene.spacing, scene.origin)
    surface = element_phases(azimuth, elevation, scene.surface_shape, scene.spacing, scene.origin)
    sign = {"physical": 1, "paper": -1}[scene.departure]
    return sensor, [sign * phase for phase in surface]


def incident(scene, psi, W):
    """psi_n sum_m G[n, m] W[m, s], what each element re-radiates [N, S]."""
    G = scene.bs_to_surface
    fields = np.zeros((G.shape[0], W.shape[1]), complex)
    for n in range(G.shape[0]):
        for s in range(W.shape[1]):
            fields[n, s] = psi[n] * sum(G[n, m] * W[m, s] for m in range(G.shape[1]))
    return fields


def illumination(scene, psi, W):
    """z_0 [S]: the streams as they leave towards the target."""
    _, surface = array_phases(scene, scene.azimuth_rad, scene.elevation_rad)
    fields = incident(scene, psi, W)
    return np.array([sum(cmath.exp(1j * p) * f for p, f in zip(surface, column, strict=True)) for column in fields.T])


def echo_matrix(scene, psi):
    """E[q, m] = beta b_q sum_n a*_n psi_n G[n, m]."""
    sensor, _ = array_phases(scene, scene.azimuth_rad, scene.elevation_rad)
    antennas = scene.bs_to_surface.shape[1]
    row = illumination(scene, psi, np.eye(antennas))
    return np.array([[scene.beta * cmath.exp(1j * p) * row[m] for m in range(antennas)] for p in sensor])


def parameters(scene):
    """(az, el, Re beta, Im beta), target by target."""
    columns = (scene.azimuth_rad, scene.elevation_rad, np.real(scene.beta), np.imag(scene.beta))
    return [float(x) for target in zip(*(np.atleast_1d(c) for c in columns), strict=True) for x in target]


def mean_parts(scene, fields, snapshots, params):
    """Real and imaginary parts of the matched echo sqrt(L) sum_t beta_t b_t z_t, [Nb, S] each.

    Cosines and sines instead of exponentials: both parts stay analytic in every parameter.
    """
    sensors, streams = math.prod(scene.sensor_shape), fields.shape[1]
    real, imag = np.zeros((2, sensors, streams), complex)
    for t in range(0, len(params), 4):
        azimuth, elevation, beta_re, beta_im = params[t : t + 4]
        sensor, surface = array_phases(scene, azimuth, elevation)
        for q in range(sensors):
            for n, row in enumerate(fields):
                cosine, sine = cmath.cos(sensor[q] + surface[n]), cmath.sin(sensor[q] + surface[n])
                for s in range(streams):
                    weight_re = beta_re * row[s].real - beta_im * row[s].imag
                    weight_im = beta_re * row[s].imag + beta_im * row[s].real
                    real[q, s] += math.sqrt(snapshots) * (weight_re * cosine - weight_im * sine)
                    imag[q, s] += math.sqrt(snapshots) * (weight_re * sine + weight_im * cosine)
    return real, imag


def mean(scene, psi, W, snapshots):
    """Noiseless echo matched to unit-power orthogonal streams [Nb, S]."""
    real, imag = mean_parts(scene, incident(scene, psi, W), snapshots, parameters(scene))
    return real.real + 1j * imag.real


def covariance_parts(scene, psi, noise_w, params):
    """Real and imaginary parts of R_n = sigma^2 I + rho b b^H, rho = |beta|^2 sigma_v^2 sum_active |psi|^2."""
    azimuth, elevation, beta_re, beta_im = params
    sensor, _ = array_phases(scene, azimuth, elevation)
    active = np.broadcast_to(scene.active, np.shape(psi))
    amplified = sum(float(on) * abs(p) ** 2 for on, p in zip(active, psi, strict=True))
    rho = (beta_re**2 + beta_im**2) * float(scene.noise_v_w) * amplified
    real = np.array([[rho * cmath.cos(p - q) for q in sensor] for p in sensor])
    imag = np.array([[rho * cmath.sin(p - q) for q in sensor] for p in sensor])
    return real + noise_w * np.eye(len(sensor)), imag


def derivatives(parts, params):
    """Complex derivative of real + j imag by each parameter: an imaginary step loses no digits."""
    slopes = []
    for i in range(len(params)):
        moved = [complex(p) for p in params]
        moved[i] += 1j * STEP
        real, imag = parts(moved)
        slopes.append((real.imag + 1j * imag.imag) / STEP)
    return slopes


def fisher_information(scene, psi, W, snapshots, noise_w, noise_model="white"):
    """Slepian-Bangs: 2 Re(dmu^H R^-1 dmu) over all streams, and L tr(R^-1 dR R^-1 dR) in the full model."""
    params, fields = parameters(scene), incident(scene, psi, W)
    slopes = derivatives(lambda p: mean_parts(scene, fields, snapshots, p), params)
    inverse_noise, turns = np.eye(math.prod(scene.sensor_shape)) / noise_w, None
    if noise_model != "white":
        real, imag = covariance_parts(scene, psi, noise_w, params)
        inverse_noise = np.linalg.inv(real + 1j * imag)
    if noise_model == "full":
        turns = derivatives(lambda p: covariance_parts(scene, psi, noise_w, p), params)
    J = np.zeros((len(params), len(params)))
    for i in range(len(params)):
        for j in range(len(params)):
            J[i, j] = 2 * np.trace(slopes[i].conj().T @ inverse_noise @ slopes[j]).real
            if turns is not None:
                J[i, j] += snapshots * np.trace(inverse_noise @ turns[i] @ inverse_noise @ turns[j]).real
    return J


def inverse(matrix):
    """Inverse of the matrix that these floats are, in rational arithmetic; ZeroDivisionError where singular."""
    size = len(matrix)
    rows = [
        [Fraction(float(x)) for x in row] + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(matrix)
    ]
    for i in range(size):
        best = max(range(i, size), key=lambda r: abs(rows[r][i]))
        rows[i], rows[best] = rows[best], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for r in range(size):
            if r != i and rows[r][i]:
                rows[r] = [x - rows[r][i] * y for x, y in zip(rows[r], rows[i], strict=True)]
    return np.array([[float(x) for x in row[size:]] for row in rows])


def crb(J):
    """Angle block of the inverse: entries 0 and 1 of every four."""
    keep = [i for i in range(len(J)) if i % 4 < 2]
    return inverse(J)[np.ix_(keep, keep)]


def radar_amplitude(freq_hz, dist_m, k_abs, rcs_m2, gain=1.0):
    """sqrt(gain lambda^2 rcs / ((4 pi)^3 d^4)) exp(-k d) exp(-j 4 pi f d / c), whole turns taken off exactly."""
    freq, dist = float(freq_hz), float(dist_m)
    modulus = math.sqrt(float(gain) * float(rcs_m2) / (4 * math.pi) ** 3) * C / freq / dist**2
    turns = 2 * Fraction(freq) * Fraction(dist) / C
    return modulus * math.exp(-float(k_abs) * dist) * cmath.exp(-2j * math.pi * float(turns - round(turns)))


def target_response(gains, receive, transmit):
    """sum_t gain_t receive_t transmit_t^H [Mr, Mt]."""
    out = np.zeros((receive.shape[1], transmit.shape[1]), complex)
    for t in range(len(gains)):
        for r in range(out.shape[0]):
            for m in range(out.shape[1]):
                out[r, m] += gains[t] * receive[t, r] * transmit[t, m].conjugate()
    return out


def radar_channel(H1, reflection, B, A, reciprocal=False):
    """A + H1^H V B V^H H1, or with reciprocity A + H1^T V B V H1; V = diag(reflection)."""
    turn = (lambda x: x) if reciprocal else np.conj
    out = np.array(A, complex)
    elements, antennas = H1.shape
    for i in range(antennas):
        for j in range(antennas):
            for n in range(elements):
                for m in range(elements):
                    inner = reflection[n] * B[n, m] * turn(reflection[m])
                    out[i, j] += turn(H1[n, i]) * inner * H1[m, j]
    return out
