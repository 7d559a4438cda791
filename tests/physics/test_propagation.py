"""Path gains, reflections and Rician mixing against float64 references."""

import cmath

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import propagation as ref
from reference.tools import EPS32, EPS64, assert_close, assert_near, complex_normal, single

from thzjax.physics import propagation
from thzjax.physics.propagation import path_amplitude

# Compiled once per shape here; test_habits.py holds them against their eager selves.
compiled_path = jax.jit(path_amplitude)
fresnel_reflection = jax.jit(propagation.fresnel_reflection)
rayleigh_roughness = jax.jit(propagation.rayleigh_roughness)
reflected_path_amplitude = jax.jit(propagation.reflected_path_amplitude)
reflection_coefficient = jax.jit(propagation.reflection_coefficient)
rician = jax.jit(propagation.rician)

PHASE_TOLERANCE = 1e-4  # rad, the promise up to 100 m and 1 THz


def random_paths(seed, count):
    """Float32 frequencies 0.1 to 1 THz, lengths 0.1 to 100 m, absorption up to 1 per metre."""
    rng = np.random.default_rng(seed)
    freq_hz = single(rng.uniform(1e11, 1e12, count))
    dist_m = single(10.0 ** rng.uniform(-1.0, 2.0, count))
    k_abs = single(10.0 ** rng.uniform(-4.0, -0.3, count))
    freq_hz[:4], dist_m[:4] = single([1e11, 1e12, 0.55e12, 1e12]), single([100.0, 100.0, 10.0, 99.99999])
    return freq_hz, dist_m, k_abs


def test_path_amplitude_matches_reference(x64):
    freq_hz = np.array([1e11, 0.55e12, 0.3e12, 1e12])
    dist_m = np.array([0.1, 0.37, 1.2, 3.0])
    k_abs = np.array([0.0, 6.7141e-4, 0.01, 0.741])
    actual = compiled_path(jnp.asarray(freq_hz), jnp.asarray(dist_m), jnp.asarray(k_abs))
    assert actual.dtype == jnp.complex128
    assert_close(actual, [ref.path_amplitude(*a) for a in zip(freq_hz, dist_m, k_abs, strict=True)], 1e-10)


def test_path_amplitude_far_away_in_float64(x64):
    freq_hz, dist_m, k_abs = (x.astype(np.float64) for x in random_paths(0, 64))
    actual = np.asarray(compiled_path(jnp.asarray(freq_hz), jnp.asarray(dist_m), jnp.asarray(k_abs)))
    expected = np.array([ref.path_amplitude(*a) for a in zip(freq_hz, dist_m, k_abs, strict=True)])
    # The phase reaches 2.1e6 rad: in float64 without any care it loses a few ulp of that, no more.
    assert np.max(np.abs(actual / expected - 1.0)) < 4 * 2.1e6 * EPS64


@pytest.mark.parametrize("compiled", [False, True])
def test_path_amplitude_phase_survives_float32(compiled):
    freq_hz, dist_m, k_abs = random_paths(1, 4096)
    function = compiled_path if compiled else path_amplitude
    actual = function(jnp.asarray(freq_hz), jnp.asarray(dist_m), jnp.asarray(k_abs))
    assert actual.dtype == jnp.complex64
    expected = np.array([ref.path_amplitude(*a) for a in zip(freq_hz, dist_m, k_abs, strict=True)])
    ratio = np.asarray(actual, complex) / expected
    assert np.max(np.abs(np.angle(ratio))) <= PHASE_TOLERANCE
    # k l / 2 stays below 26: rounding it and the exponential costs 26 eps, the quotient a few more.
    assert np.max(np.abs(np.abs(ratio) - 1.0)) < 32 * EPS32


@given(st.floats(1e11, 1e12), st.floats(0.01, 100.0))
def test_path_amplitude_phase_survives_float32_anywhere(freq_hz, dist_m):
    freq_hz, dist_m = np.float32(freq_hz), np.float32(dist_m)
    actual = complex(compiled_path(jnp.float32(freq_hz), jnp.float32(dist_m), jnp.float32(0.0)))
    assert abs(cmath.phase(actual / ref.path_amplitude(freq_hz, dist_m, 0.0))) <= PHASE_TOLERANCE


def real_and_imaginary_slopes(freq_hz, dist_m, k_abs):
    """Gradients by the three arguments of the real part, plus 1j times those of the imaginary part."""
    real = jax.grad(lambda *a: jnp.sum(jnp.real(path_amplitude(*a))), argnums=(0, 1, 2))
    imaginary = jax.grad(lambda *a: jnp.sum(jnp.imag(path_amplitude(*a))), argnums=(0, 1, 2))
    arguments = (jnp.asarray(freq_hz), jnp.asarray(dist_m), jnp.asarray(k_abs))
    re, im = jax.jit(real)(*arguments), jax.jit(imaginary)(*arguments)
    return [np.asarray(r, np.float64) + 1j * np.asarray(i, np.float64) for r, i in zip(re, im, strict=True)]


def test_path_amplitude_slopes_in_float32():
    paths = random_paths(2, 256)
    slopes = real_and_imaginary_slopes(*paths)
    expected = np.array([ref.path_amplitude_derivatives(*a) for a in zip(*paths, strict=True)]).T
    for actual, wanted in zip(slopes, expected, strict=True):
        assert np.all(np.isfinite(actual))
        # A slope turns by the same phase error as the amplitude; 1e-5 covers the factors' own rounding.
        assert np.max(np.abs(actual / wanted - 1.0)) < PHASE_TOLERANCE + 1e-5


def test_path_amplitude_slopes_in_float64(x64):
    paths = [x.astype(np.float64) for x in random_paths(3, 32)]
    expected = np.array([ref.path_amplitude_derivatives(*a) for a in zip(*paths, strict=True)]).T
    for actual, wanted in zip(real_and_imaginary_slopes(*paths), expected, strict=True):
        assert np.max(np.abs(actual / wanted - 1.0)) < 4 * 2.1e6 * EPS64


def test_path_amplitude_curvature_by_distance(x64):
    # The second derivative is close to -(2 pi f / c)^2 a: a first derivative must not be opaque.
    def real_part(dist):
        return jnp.real(path_amplitude(jnp.asarray(0.3e12), dist, jnp.asarray(0.01)))

    curvature = float(jax.jit(jax.grad(jax.grad(real_part)))(jnp.asarray(2.0)))
    a, turn = ref.path_amplitude(0.3e12, 2.0, 0.01), 2 * np.pi * 0.3e12 / ref.C
    rate = -1 / 2.0 - 0.005 - 1j * turn
    assert abs(curvature - (a * (rate**2 + 1 / 4.0)).real) < 1e-9 * abs(a) * turn**2


def test_path_amplitude_is_the_root_of_the_power_loss(x64):
    # Ten metres at 0.55 THz lose 107 dB, not 215: the losses are the square of the amplitude.
    amplitude = complex(compiled_path(jnp.asarray(0.55e12), jnp.asarray(10.0), jnp.asarray(6.7141e-4)))
    assert 20 * np.log10(abs(amplitude)) == pytest.approx(-107.3, abs=0.1)


def test_path_amplitude_broadcasts():
    freq_hz = jnp.asarray([[1e11], [3e11]], jnp.float32)
    dist_m = jnp.asarray([1.0, 2.0, 5.0], jnp.float32)
    actual = compiled_path(freq_hz, dist_m, jnp.float32(0.01))
    assert actual.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            expected = ref.path_amplitude(freq_hz[i, 0], dist_m[j], np.float32(0.01))
            assert abs(complex(actual[i, j]) / expected - 1.0) < PHASE_TOLERANCE


@given(st.floats(1e11, 1e12), st.floats(0.5, 20.0), st.floats(0.0, 0.5))
def test_two_halves_of_a_path_lose_more_than_the_whole(freq_hz, dist_m, k_abs):
    arguments = jnp.float32(freq_hz), jnp.float32(k_abs)
    whole = complex(compiled_path(arguments[0], jnp.float32(2 * dist_m), arguments[1]))
    half = complex(compiled_path(arguments[0], jnp.float32(dist_m), arguments[1]))
    # Absorption and phase multiply, spreading does not: a(2l) = a(l)^2 (4 pi f l / c) / 2.
    joined = half**2 * (4 * np.pi * np.float32(freq_hz) * float(np.float32(dist_m)) / ref.C) / 2
    gap = float(np.float32(2 * dist_m)) - 2 * float(np.float32(dist_m))
    assert gap == 0.0  # doubling is exact, so the phases must agree
    assert abs(whole / joined - 1.0) < 3 * PHASE_TOLERANCE + 40 * EPS32


Z_COMPLEX = np.array([180.0 - 20.0j, 300.0 + 50.0j, 90.0 + 0.0j, 376.730313412 - 1.0j])
INCIDENCE = np.array([0.0, 0.4, 1.0, 1.5])


def test_fresnel_matches_reference(x64):
    actual = fresnel_reflection(jnp.asarray(Z_COMPLEX)[:, None], jnp.asarray(INCIDENCE)[None, :])
    assert actual.dtype == jnp.complex128
    expected = [[ref.fresnel_reflection(z, i) for i in INCIDENCE] for z in Z_COMPLEX]
    assert_near(actual, np.array(expected), 1e-10)


def test_fresnel_float32():
    z, incidence = single(Z_COMPLEX[:3]), single(INCIDENCE)
    actual = fresnel_reflection(jnp.asarray(z)[:, None], jnp.asarray(incidence)[None, :])
    assert actual.dtype == jnp.complex64
    expected = [[ref.fresnel_reflection(complex(a), float(b)) for b in incidence] for a in z]
    # 1 - (Z sin i / Z0)^2 keeps above 0.3 here; about ten roundings, each at most doubled by the quotient.
    assert_near(actual, np.array(expected), 20 * EPS32)


def test_fresnel_of_a_real_impedance(x64):
    z = np.array([50.0, 150.0, 376.730313412])
    actual = np.asarray(fresnel_reflection(jnp.asarray(z)[:, None], jnp.asarray(INCIDENCE)[None, :]))
    expected = np.array([[ref.fresnel_reflection(a, b) for b in INCIDENCE] for a in z])
    assert np.max(np.abs(actual - expected)) < 1e-10
    assert np.max(np.abs(actual[2])) < 1e-10  # nothing is reflected where nothing changes
    assert np.max(np.abs(actual)) <= 1.0
    np.testing.assert_allclose(actual[:, 0], (z - ref.Z0) / (z + ref.Z0), atol=1e-14)


def test_fresnel_total_reflection_of_a_real_impedance(x64):
    # Above Z0 and past the critical angle cos(t) is imaginary and everything comes back, turned in phase.
    actual = np.asarray(fresnel_reflection(jnp.asarray(600.0), jnp.asarray([0.8, 1.2])))
    np.testing.assert_allclose(np.abs(actual), 1.0, atol=1e-12)
    np.testing.assert_allclose(actual, [ref.fresnel_reflection(600.0, i) for i in (0.8, 1.2)], atol=1e-12)


@given(st.floats(1.0, 5.0), st.floats(0.0, 3.0), st.floats(0.0, 1.57))
def test_fresnel_never_amplifies(index, extinction, incidence):
    # A lossy medium of refractive index n - j kappa has the impedance Z0/(n - j kappa).
    z = jnp.asarray(ref.Z0 / (index - 1j * extinction), jnp.complex64)
    assert abs(complex(fresnel_reflection(z, jnp.float32(incidence)))) <= 1.0 + 8 * EPS32


ROUGH = (np.array([1e11, 0.55e12, 1e12]), np.array([0.0, 5e-5, 8.8e-5]), np.array([0.0, 0.6, 1.3]))


def test_roughness_matches_reference(x64):
    actual = rayleigh_roughness(*(jnp.asarray(x) for x in ROUGH))
    assert actual.dtype == jnp.float64
    assert_close(actual, [ref.rayleigh_roughness(*a) for a in zip(*ROUGH, strict=True)], 1e-10)


def test_roughness_float32():
    inputs = [single(x) for x in ROUGH]
    actual = rayleigh_roughness(*(jnp.asarray(x) for x in inputs))
    assert actual.dtype == jnp.float32
    expected = [ref.rayleigh_roughness(*(float(x) for x in a)) for a in zip(*inputs, strict=True)]
    assert_close(actual, expected, 24 * EPS32)  # exponents to 0.7 carry about ten roundings, squared


@given(st.floats(1e11, 1e12), st.floats(1e-6, 1e-4), st.floats(0.0, 1.4))
def test_roughness_lies_in_the_unit_interval_and_falls(freq_hz, sigma_m, incidence):
    f, i = jnp.float32(freq_hz), jnp.float32(incidence)
    smooth, rough, rougher = (float(rayleigh_roughness(f, jnp.float32(s * sigma_m), i)) for s in (0.0, 1.0, 1.5))
    assert smooth == 1.0
    assert 0.0 < rougher <= rough <= 1.0
    # The exponent goes with sigma^2: log ratio 2.25.
    assert np.log(rougher) == pytest.approx(2.25 * np.log(rough), abs=30 * EPS32 * (1 - np.log(rougher)))


def test_reflection_coefficient_is_the_product(x64):
    z, incidence = Z_COMPLEX[:3], INCIDENCE[:3]
    freq_hz, sigma_m = ROUGH[0], ROUGH[1]
    actual = reflection_coefficient(*(jnp.asarray(x) for x in (z, incidence, freq_hz, sigma_m)))
    assert actual.dtype == jnp.complex128
    expected = [ref.reflection_coefficient(*a) for a in zip(z, incidence, freq_hz, sigma_m, strict=True)]
    assert_close(actual, expected, 1e-10)
    smooth = reflection_coefficient(*(jnp.asarray(x) for x in (z, incidence, freq_hz, 0.0 * sigma_m)))
    assert_close(smooth, [ref.fresnel_reflection(*a) for a in zip(z, incidence, strict=True)], 1e-10)


def test_reflection_coefficient_float32():
    inputs = [single(x) for x in (Z_COMPLEX[:3], INCIDENCE[:3], ROUGH[0], ROUGH[1])]
    actual = reflection_coefficient(*(jnp.asarray(x) for x in inputs))
    assert actual.dtype == jnp.complex64
    expected = [
        ref.reflection_coefficient(complex(z), float(i), float(f), float(s)) for z, i, f, s in zip(*inputs, strict=True)
    ]
    assert_near(actual, expected, 44 * EPS32)  # the sum of its two factors' tolerances


def test_reflected_path_carries_gamma_once(x64):
    gamma = complex_normal(0, 3)
    freq_hz, dist_m = np.array([1e11, 3e11, 0.55e12]), np.array([1.0, 2.0, 0.7])
    actual = reflected_path_amplitude(jnp.asarray(freq_hz), jnp.asarray(dist_m), jnp.asarray(0.01), jnp.asarray(gamma))
    assert actual.dtype == jnp.complex128
    expected = [ref.reflected_path_amplitude(f, d, 0.01, g) for f, d, g in zip(freq_hz, dist_m, gamma, strict=True)]
    assert_close(actual, expected, 1e-10)


def test_reflected_path_float32_takes_complex_and_real_gamma():
    arguments = jnp.float32(3e11), jnp.float32(20.0), jnp.float32(0.01)
    direct = compiled_path(*arguments)
    gamma = jnp.asarray(0.3 - 0.4j, jnp.complex64)
    bounced = reflected_path_amplitude(*arguments, gamma)
    assert bounced.dtype == jnp.complex64
    assert_close(bounced, complex(direct) * complex(gamma), 4 * EPS32)
    twice = reflected_path_amplitude(*arguments, gamma * gamma)
    assert_close(twice, complex(bounced) * complex(gamma), 8 * EPS32)
    real = reflected_path_amplitude(*arguments, jnp.float32(-0.5))
    assert real.dtype == jnp.complex64
    assert_close(real, complex(direct) * -0.5, 2 * EPS32)


def test_rician_matches_reference(x64):
    los, nlos = complex_normal(0, 2, 3, 4), complex_normal(1, 2, 3, 4)
    actual = rician(jnp.asarray(los), jnp.asarray(nlos), jnp.asarray(7.5))
    assert actual.dtype == jnp.complex128
    assert_near(actual, ref.rician(los, nlos, 7.5), 1e-10)


def test_rician_float32():
    los, nlos = single(complex_normal(2, 3, 4)), single(complex_normal(3, 3, 4))
    for factor in (7.5, jnp.float32(7.5)):
        actual = rician(jnp.asarray(los), jnp.asarray(nlos), factor)
        assert actual.dtype == jnp.complex64
        assert_near(actual, ref.rician(los, nlos, 7.5), 6 * EPS32)  # two rounded weights, two products, one sum


@given(st.floats(1e-6, 1e6))
def test_rician_shares_the_power_as_its_factor_says(factor):
    one, none = jnp.ones((), jnp.complex64), jnp.zeros((), jnp.complex64)
    los_part = abs(complex(rician(one, none, jnp.float32(factor)))) ** 2
    nlos_part = abs(complex(rician(none, one, jnp.float32(factor)))) ** 2
    assert los_part + nlos_part == pytest.approx(1.0, abs=8 * EPS32)
    assert los_part == pytest.approx(factor * nlos_part, rel=16 * EPS32)
