"""Radar equation, target responses, two-way channels and noisy echoes against explicit sums."""

import cmath

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import propagation
from reference import sensing as ref
from reference.scenes import arrays, fields, random_design, random_scene, round_scene
from reference.tools import EPS32, assert_close, assert_near, complex_normal, double, single
from scipy import stats

from thzjax.physics import sensing
from thzjax.physics.sensing import SensingScene

radar_amplitude = jax.jit(sensing.radar_amplitude)
radar_channel = jax.jit(sensing.radar_channel, static_argnames="reciprocal")
radar_signal = jax.jit(sensing.radar_signal)
radar_snr = jax.jit(sensing.radar_snr)
target_response = jax.jit(sensing.target_response)

# Twice the way of a single path, whose phase keeps 1e-4 rad.
PHASE_TOLERANCE = 2e-4
T, MR, MT = 3, 4, 5
M, N = 3, 4


def random_targets(seed, count):
    rng = np.random.default_rng(seed)
    freq_hz = single(rng.uniform(1e11, 1e12, count))
    dist_m = single(10.0 ** rng.uniform(-1.0, 2.0, count))
    freq_hz[:3], dist_m[:3] = single([1e11, 1e12, 1e12]), single([100.0, 100.0, 99.99999])
    k_abs = single(10.0 ** rng.uniform(-4.0, -1.0, count))
    return freq_hz, dist_m, k_abs, single(10.0 ** rng.uniform(-4.0, 1.0, count)), single(rng.uniform(0.5, 200.0, count))


def test_radar_amplitude_matches_reference(x64):
    parts = [x.astype(float) for x in random_targets(0, 32)]
    parts[1] = np.minimum(parts[1], 2.0)  # phases up to 8e4 rad, of which float64 itself loses 1e-11
    actual = radar_amplitude(*(jnp.asarray(x) for x in parts))
    assert actual.dtype == jnp.complex128
    assert_close(actual, [ref.radar_amplitude(*p) for p in zip(*parts, strict=True)], 1e-10)
    bare = radar_amplitude(*(jnp.asarray(x) for x in parts[:4]))
    assert_close(bare, [ref.radar_amplitude(*p) for p in zip(*parts[:4], strict=True)], 1e-10)


@pytest.mark.parametrize("function", [radar_amplitude, sensing.radar_amplitude])
def test_radar_amplitude_phase_survives_float32(function):
    parts = random_targets(1, 2048)
    actual = function(*(jnp.asarray(x) for x in parts))
    assert actual.dtype == jnp.complex64
    ratio = np.asarray(actual, complex) / [ref.radar_amplitude(*p) for p in zip(*parts, strict=True)]
    assert np.max(np.abs(np.angle(ratio))) <= PHASE_TOLERANCE
    # k d stays below 10: rounding it and the exponential costs 10 eps, the fourth power and the root some more.
    assert np.max(np.abs(np.abs(ratio) - 1)) < 24 * EPS32


@given(st.floats(1e11, 1e12), st.floats(0.05, 100.0))
def test_radar_amplitude_phase_survives_float32_anywhere(freq_hz, dist_m):
    freq_hz, dist_m = np.float32(freq_hz), np.float32(dist_m)
    numbers = (jnp.asarray([x], jnp.float32) for x in (freq_hz, dist_m, 0.0, 1.0))
    ratio = complex(radar_amplitude(*numbers)[0]) / ref.radar_amplitude(freq_hz, dist_m, 0.0, 1.0)
    assert abs(cmath.phase(ratio)) <= PHASE_TOLERANCE


def test_radar_amplitude_is_two_paths_and_a_cross_section(x64):
    # |beta|^2 = (path power)^2 4 pi rcs/lambda^2 gain: what leaves, hits rcs, and comes back.
    freq_hz, dist_m, k_abs, rcs, gain = 0.3e12, 4.0, 0.003, 0.05, 12.0
    beta = complex(radar_amplitude(*(jnp.asarray([x]) for x in (freq_hz, dist_m, k_abs, rcs, gain)))[0])
    path = propagation.path_amplitude(freq_hz, dist_m, k_abs)
    assert beta == pytest.approx(path**2 * np.sqrt(4 * np.pi * rcs * gain) * freq_hz / ref.C, rel=1e-10)


def test_radar_amplitude_slopes_in_float32():
    parts = random_targets(2, 128)

    def slope(part):
        by_dist = jax.jit(jax.grad(lambda d, f, *rest: jnp.sum(part(sensing.radar_amplitude(f, d, *rest)))))
        return np.asarray(by_dist(*(jnp.asarray(parts[i]) for i in (1, 0, 2, 3, 4))), float)

    actual = slope(jnp.real) + 1j * slope(jnp.imag)
    freq_hz, dist_m, k_abs = (double(x) for x in parts[:3])
    beta = np.array([ref.radar_amplitude(*p) for p in zip(*parts, strict=True)])
    expected = beta * (-2 / dist_m - k_abs - 4j * np.pi * freq_hz / ref.C)
    # The slope turns by the same phase error as the amplitude.
    assert np.max(np.abs(actual / expected - 1)) < PHASE_TOLERANCE + 1e-5


def test_target_response_matches_reference(x64):
    gains, receive, transmit = complex_normal(0, 2, T), complex_normal(1, 2, T, MR), complex_normal(2, T, MT)
    actual = target_response(*(jnp.asarray(x) for x in (gains, receive, transmit)))
    assert actual.dtype == jnp.complex128
    assert_near(actual, [ref.target_response(gains[b], receive[b], transmit) for b in range(2)], 1e-10)


def test_target_response_float32():
    gains, receive, transmit = (
        single(complex_normal(s, *shape)) for s, shape in ((3, (T,)), (4, (T, MR)), (5, (T, MT)))
    )
    actual = target_response(*(jnp.asarray(x) for x in (gains, receive, transmit)))
    assert actual.dtype == jnp.complex64
    # Three terms of two complex products each, 2 sqrt(2) eps a product.
    assert_near(actual, ref.target_response(*(double(x) for x in (gains, receive, transmit))), 20 * EPS32)
    assert np.linalg.matrix_rank(double(actual), tol=1e-4) == T


@pytest.mark.parametrize("reciprocal", [False, True])
def test_radar_channel_matches_reference(x64, reciprocal):
    shapes = ((2, N, M), (2, N), (N, N), (2, M, M))
    H1, v, B, A = (complex_normal(s, *shape) for s, shape in enumerate(shapes))
    actual = radar_channel(*(jnp.asarray(x) for x in (H1, v, B, A)), reciprocal=reciprocal)
    assert actual.dtype == jnp.complex128
    assert_near(actual, [ref.radar_channel(H1[b], v[b], B, A[b], reciprocal) for b in range(2)], 1e-10)


def test_radar_channel_default_is_the_papers_and_float32():
    H1, v, B, A = (single(complex_normal(s, *shape)) for s, shape in enumerate(((N, M), (N,), (N, N), (M, M))))
    actual = radar_channel(*(jnp.asarray(x) for x in (H1, v, B, A)))
    assert actual.dtype == jnp.complex64
    # Sums of 16 terms of four products: some (4 + 4 + 4 * 2) eps of terms whose moduli add to four times the result.
    expected = ref.radar_channel(*(double(x) for x in (H1, v, B, A)))
    assert_near(actual, expected, 64 * EPS32)


@given(st.integers(0, 10_000))
def test_a_reciprocal_surface_and_target_make_a_symmetric_channel(x64, seed):
    H1, v, B, A = (complex_normal(seed + s, *shape) for s, shape in enumerate(((N, M), (N,), (N, N), (M, M))))
    B, A = B + B.T, A + A.T
    two_way = np.asarray(radar_channel(*(jnp.asarray(x) for x in (H1, v, B, A)), reciprocal=True))
    assert_near(two_way.T, two_way, 1e-13)
    # For real channels the two conventions are one, up to the phases of the surface.
    H1, B, A = (x.real.astype(complex) for x in (H1, B, A))
    one, other = (
        radar_channel(*(jnp.asarray(x) for x in (H1, np.abs(v) + 0j, B, A)), reciprocal=r) for r in (False, True)
    )
    assert_near(one, np.asarray(other), 1e-13)


def test_radar_signal_is_the_echo_and_white_noise():
    radar, X = (jnp.asarray(single(complex_normal(s, *shape))) for s, shape in ((0, (3, 3)), (1, (3, 5000))))
    noise_w = 0.7
    received = radar_signal(jax.random.key(0), radar, X, jnp.float32(noise_w))
    assert (received.dtype, received.shape) == (jnp.complex64, (3, 5000))
    noise = double(received) - double(radar) @ double(X)
    count = noise.size
    # 2 sum |n|^2/noise_w is chi-square of 2 count; real and imaginary parts each half of it; chance 1e-6 a side.
    for part, freedom in ((noise, 2 * count), (noise.real, count), (noise.imag, count)):
        low, high = stats.chi2.ppf([1e-6, 1 - 1e-6], freedom)
        assert low < 2 * np.sum(np.abs(part) ** 2) / noise_w < high
    # Antennas and the two parts are uncorrelated: sample means of products lie within 5 deviations.
    covariance = noise @ noise.conj().T / 5000
    assert np.max(np.abs(covariance - noise_w * np.eye(3))) < 5 * noise_w / np.sqrt(5000)
    assert abs(np.mean(noise**2)) < 5 * noise_w * np.sqrt(2 / count)
    # The same key draws the same noise, another key another.
    again = radar_signal(jax.random.key(0), 0 * radar, X, jnp.float32(noise_w))
    # Sums of three products of size up to about 10 rounded before and after the noise.
    assert np.max(np.abs(double(again) - noise)) < 40 * EPS32 * 10
    other = double(radar_signal(jax.random.key(1), 0 * radar, X, jnp.float32(noise_w)))
    assert abs(np.vdot(other, noise)) < 5 * noise_w * np.sqrt(count)


def test_radar_signal_without_noise_and_with_users(x64):
    radar, X = complex_normal(2, 2, 3, 3), complex_normal(3, 2, 3, 4)
    quiet = radar_signal(jax.random.key(0), jnp.asarray(radar), jnp.asarray(X), jnp.asarray(0.0))
    assert quiet.dtype == jnp.complex128
    assert_near(quiet, radar @ X, 1e-13)
    loud = double(radar_signal(jax.random.key(0), jnp.asarray(radar), jnp.asarray(X), jnp.asarray(1.0))) - radar @ X
    assert np.min(np.abs(loud[0] - loud[1])) > 1e-6  # every user has noise of its own


@pytest.mark.parametrize("rounding", [single, double])
def test_radar_snr_is_energy_over_noise(x64, rounding):
    scene = round_scene(random_scene(0), rounding)
    psi, W = (rounding(x) for x in random_design(0, scene))
    actual = radar_snr(SensingScene(**fields(scene, rounding)), *arrays(psi, W, rounding=rounding), 12.0, 0.3)
    assert actual.dtype == (jnp.float32 if rounding is single else jnp.float64)
    energy = np.sum(np.abs(ref.mean(scene, psi, W, 12.0)) ** 2)
    # Sums of 24 products with phases up to 9 rad, squared: 40 eps of terms' moduli up to five times |z|.
    assert float(actual) == pytest.approx(energy / 0.3, rel=200 * EPS32 if rounding is single else 1e-10)
