"""Spherical waves, arrays given by positions, derivatives and beam squint against element-wise references."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import array_geometry as ref
from reference import arrays as steering
from reference.tools import EPS32, assert_close, assert_near, double, single

from thzjax.physics import arrays

# Compiled once per shape here.
near_field = jax.jit(arrays.near_field_steering)
array_response = jax.jit(arrays.array_response)
upa = jax.jit(arrays.upa_steering, static_argnums=(2,), static_argnames=("shape", "spacing", "unit_norm", "origin"))

FREQ_HZ = 0.55e12
WAVELENGTH = ref.C / FREQ_HZ
angles = st.floats(-1.5, 1.5)


def cloud(seed, num, size_m):
    """Elements anywhere in a box of that edge round a point off the origin."""
    return np.random.default_rng(seed).uniform(-size_m / 2, size_m / 2, (num, 3)) + np.array([0.1, -0.05, 0.02])


def test_direction_vector(x64):
    azimuth, elevation = np.linspace(-3.0, 3.0, 7), np.linspace(-1.5, 1.5, 5)[:, None]
    actual = arrays.direction_vector(jnp.asarray(azimuth), jnp.asarray(elevation))
    assert actual.dtype == jnp.float64
    expected = [[ref.direction_vector(a, e) for a in azimuth] for e in elevation[:, 0]]
    assert_near(actual, np.array(expected), 1e-12)
    np.testing.assert_allclose(np.linalg.norm(actual, axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(arrays.direction_vector(jnp.asarray(0.0), jnp.asarray(0.0)), [1.0, 0.0, 0.0])


@pytest.mark.parametrize("origin", ["corner", "centre"])
@pytest.mark.parametrize("shape", [(3, 4), (1, 5)])
def test_upa_positions(x64, shape, origin):
    actual = arrays.upa_positions(shape, (2e-3, 3e-3), origin)
    assert actual.dtype == jnp.float64
    assert_near(actual, ref.upa_positions(shape, (2e-3, 3e-3), origin), 1e-12)
    if origin == "corner":
        np.testing.assert_array_equal(arrays.upa_positions(shape, (2e-3, 3e-3)), actual)
    else:
        np.testing.assert_allclose(np.mean(actual, axis=0), 0.0, atol=1e-18)


def test_fraunhofer_distance(x64):
    actual = arrays.fraunhofer_distance(jnp.asarray([0.01, 0.1]), jnp.asarray([0.3e12, FREQ_HZ]))
    assert_close(actual, [2 * 1e-4 * 0.3e12 / ref.C, 2 * 1e-2 * FREQ_HZ / ref.C], 1e-12)
    # There the edge of an aperture looked at from its middle lags by a sixteenth of a wavelength.
    aperture, distance = 0.1, float(actual[1])
    assert (np.hypot(aperture / 2, distance) - distance) / WAVELENGTH == pytest.approx(1 / 16, rel=1e-3)


def test_near_field_matches_reference(x64):
    positions = np.stack([cloud(s, 6, 0.2) for s in range(3)])
    sources = np.array([[30.0, 2.0, -1.0], [0.4, 0.1, 0.0], [-3.0, 5.0, 2.0]])
    freq_hz = np.array([FREQ_HZ, 0.1e12, 1e12])
    actual = near_field(*(jnp.asarray(x) for x in (positions, sources, freq_hz)))
    assert actual.dtype == jnp.complex128
    expected = [ref.near_field_steering(*a) for a in zip(positions, sources, freq_hz, strict=True)]
    # Up to 700 wavelengths across: 4400 rad, to a few EPS64 of that.
    assert_near(actual, np.array(expected), 1e-10)


def phase_bound(positions, freq_hz):
    """Largest phase [rad] that offsets from element 0 can make."""
    return 2 * np.pi * freq_hz / ref.C * np.max(np.linalg.norm(positions - positions[0], axis=-1))


def test_near_field_of_many_sources_at_a_large_array_is_that_of_each():
    # jaxlib 0.10.2 got all but the first 32 of them wrong while the phase was one sum of products.
    positions = jnp.asarray(single(cloud(0, 1024, 0.02)))
    sources = single(np.random.default_rng(1).normal(size=(256, 3)) + np.array([5.0, 0.0, 0.0]))
    together = jax.jit(jax.vmap(lambda s: arrays.near_field_steering(positions, s, FREQ_HZ)))(jnp.asarray(sources))
    expected = np.stack([ref.near_field_steering(double(positions), double(s), FREQ_HZ) for s in sources[::17]])
    tolerance = 7 * EPS32 * phase_bound(double(positions), FREQ_HZ) + 4 * EPS32
    assert_near(np.asarray(together)[::17], expected, tolerance)


@pytest.mark.parametrize("distance_m", [0.5, 30.0])
def test_near_field_phase_survives_float32(distance_m):
    for seed in range(5):
        positions = single(cloud(seed, 6, 0.1))
        source = single(distance_m * np.array([0.8, -0.5, 0.33]))
        actual = near_field(jnp.asarray(positions), jnp.asarray(source), jnp.float32(FREQ_HZ))
        assert actual.dtype == jnp.complex64
        expected = ref.near_field_steering(positions, source, float(np.float32(FREQ_HZ)))
        # r_n - r_0 = (p_n - p_0).(p_n + p_0 - 2 s) / (r_n + r_0) has no cancellation: two rounded differences, a
        # product sum, two roots, a quotient, f / c: 7 eps of the greatest phase. A difference of distances rounded
        # at 30 m would be off by half an ulp of 30 m, 0.01 rad.
        tolerance = 7 * EPS32 * phase_bound(double(positions), FREQ_HZ) + 4 * EPS32
        assert tolerance < 2e-3
        assert np.max(np.abs(double(actual) - expected)) < tolerance


@given(st.integers(0, 1000), angles, angles, st.floats(0.0, 3.0))
def test_near_field_turns_into_the_plane_wave(seed, azimuth, elevation, log_distance):
    with jax.enable_x64(True):
        positions, freq_hz = cloud(seed, 6, 0.05), jnp.asarray(FREQ_HZ)
        distance_m = 10.0**log_distance
        source = positions[0] + distance_m * ref.direction_vector(azimuth, elevation)
        sphere = np.asarray(near_field(jnp.asarray(positions), jnp.asarray(source), freq_hz))
        plane = np.asarray(
            array_response(jnp.asarray(positions), jnp.asarray(azimuth), jnp.asarray(elevation), freq_hz)
        )
    offset = np.linalg.norm(positions - positions[0], axis=-1)
    # r_n >= r_0 - d.u always, by at most |d|^2 / (2 (r_0 - |d|)): a lag between nought and the Fresnel phase.
    fresnel = np.pi * offset**2 / (WAVELENGTH * (distance_m - offset))
    assert np.all(np.abs(sphere - plane) <= 2 * np.sin(np.minimum(fresnel, np.pi) / 2) + 1e-9)
    lag = np.angle(plane / sphere)
    short = fresnel < 3.0
    assert np.all(lag[short] >= -1e-9)


def test_the_far_limit_is_upa_and_conjugate_ula(x64):
    shape, azimuth, elevation = (4, 3), 0.5, -0.3
    positions = arrays.upa_positions(shape, (0.5 * WAVELENGTH, 0.5 * WAVELENGTH))
    aperture = float(np.max(np.linalg.norm(positions, axis=-1)))
    for distance_m in (1.0, 1e3):
        source = jnp.asarray(distance_m * ref.direction_vector(azimuth, elevation))
        bound = np.pi * aperture**2 / (WAVELENGTH * (distance_m - aperture))
        sphere = near_field(positions, source, jnp.asarray(FREQ_HZ))
        plane = upa(jnp.asarray(azimuth), jnp.asarray(elevation), shape)
        assert np.max(np.abs(sphere - plane)) <= bound + 1e-9
        level = jnp.asarray(distance_m * ref.direction_vector(azimuth, 0.0))
        line = near_field(positions[::3], level, jnp.asarray(FREQ_HZ))
        a = arrays.ula_steering(jnp.asarray(azimuth), 4, unit_norm=False)
        assert np.max(np.abs(line - jnp.conj(a))) <= bound + 1e-9
    assert bound < 1e-4


def test_array_response_matches_reference(x64):
    positions = cloud(0, 6, 0.1)
    azimuth, elevation = np.array([-1.2, 0.0, 0.4, 3.0]), np.array([0.3, -0.9, 0.0, 1.1])
    actual = array_response(*(jnp.asarray(x) for x in (positions, azimuth, elevation, FREQ_HZ)))
    assert actual.dtype == jnp.complex128
    expected = [ref.array_response(positions, a, e, FREQ_HZ) for a, e in zip(azimuth, elevation, strict=True)]
    assert_near(actual, np.array(expected), 1e-10)


def test_array_response_float32():
    positions, azimuth, elevation = single(cloud(1, 6, 0.1)), single([-1.2, 0.4]), single([0.3, 1.1])
    freq_hz = np.float32(FREQ_HZ)
    actual = array_response(*(jnp.asarray(x) for x in (positions, azimuth, elevation, freq_hz)))
    assert actual.dtype == jnp.complex64
    expected = [
        ref.array_response(double(positions), float(a), float(e), float(freq_hz))
        for a, e in zip(azimuth, elevation, strict=True)
    ]
    # A difference, sine times cosine, a sum of three products, f / c: 6 eps of the greatest phase.
    assert_near(actual, np.array(expected), 6 * EPS32 * phase_bound(double(positions), FREQ_HZ) + 4 * EPS32)


@given(angles, angles, st.floats(0.7, 1.3))
def test_array_response_at_planar_positions_is_upa_steering(azimuth, elevation, ratio):
    with jax.enable_x64(True):
        angle = jnp.asarray(azimuth), jnp.asarray(elevation)
        spacing_m = (0.5 * WAVELENGTH, 0.7 * WAVELENGTH)
        positions = arrays.upa_positions((4, 3), spacing_m)
        freq_hz = jnp.asarray(FREQ_HZ * ratio)
        response = np.asarray(array_response(positions, *angle, freq_hz))
        v = upa(*angle, (4, 3), spacing=(0.5, 0.7), freq_ratio=jnp.asarray(ratio))
        assert_near(response, np.asarray(v), 1e-10)
        centred = np.asarray(array_response(arrays.upa_positions((4, 3), spacing_m, "centre"), *angle, freq_hz))
        assert_near(centred, response, 1e-10)  # only offsets from element 0 count


OPTIONS = [
    {},
    {"origin": "centre"},
    {"unit_norm": True, "freq_ratio": 1.1},
    {"spacing": (0.25, 0.6), "unit_norm": True, "freq_ratio": 0.9, "origin": "centre"},
]
AZIMUTH, ELEVATION = np.array([-1.2, 0.0, 0.4, 1.5]), np.array([0.3, -0.9, 0.0, 1.1])


@pytest.mark.parametrize("options", OPTIONS)
def test_derivatives_match_reference_and_jacfwd(x64, options):
    arguments = jnp.asarray(AZIMUTH), jnp.asarray(ELEVATION)
    actual = arrays.upa_steering_derivatives(*arguments, (3, 4), **options)
    expected = [ref.upa_steering_derivatives(a, e, (3, 4), **options) for a, e in zip(AZIMUTH, ELEVATION, strict=True)]
    for part, wanted in zip(actual, zip(*expected, strict=True), strict=True):
        assert part.dtype == jnp.complex128
        assert_near(part, np.array(wanted), 1e-10)
    steer = functools.partial(arrays.upa_steering, shape=(3, 4), **options)
    assert_near(actual[0], np.asarray(steer(*arguments)), 1e-12)
    forward = jax.vmap(jax.jacfwd(steer, argnums=(0, 1)))(*arguments)
    for part, wanted in zip(actual[1:], forward, strict=True):
        assert_near(part, np.asarray(wanted), 1e-10)


@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[3]])
def test_derivatives_are_limits_of_differences(options):
    step = 1e-4
    for number, (a, e) in enumerate(zip(AZIMUTH, ELEVATION, strict=True)):
        with jax.enable_x64(True):
            parts = arrays.upa_steering_derivatives(jnp.asarray(AZIMUTH), jnp.asarray(ELEVATION), (3, 4), **options)
        for part, (da, de) in zip(parts[1:], ((step, 0.0), (0.0, step)), strict=True):
            ends = [steering.upa_steering(a + s * da, e + s * de, (3, 4), **options) for s in (1, -1)]
            # A third derivative of at most (2 pi 3)^3, times h^2 / 6: 1.2e-5 of unit modulus.
            assert np.max(np.abs(np.asarray(part)[number] - (ends[0] - ends[1]) / (2 * step))) < 2e-5


def test_derivatives_float32_and_argument_order():
    azimuth, elevation = single(AZIMUTH), single(ELEVATION)
    arguments = ((4, 4), (0.4, 0.6), True, 1.2, "centre")
    actual = arrays.upa_steering_derivatives(jnp.asarray(azimuth), jnp.asarray(elevation), *arguments)
    expected = [
        ref.upa_steering_derivatives(float(a), float(e), *arguments) for a, e in zip(azimuth, elevation, strict=True)
    ]
    # The phase reaches 1.5 * 2 pi 1.2 (0.4 + 0.6) = 11 rad; the factors in front add some ulp.
    for part, wanted in zip(actual, zip(*expected, strict=True), strict=True):
        assert part.dtype == jnp.complex64
        assert_near(part, np.array(wanted), (4 * 11 + 8) * EPS32)


def test_many_frequencies_at_once(x64):
    ratio = np.array([0.9, 1.0, 1.1])
    azimuth, elevation = jnp.asarray(AZIMUTH)[:, None], jnp.asarray(ELEVATION)[:, None]
    v = arrays.upa_steering(azimuth, elevation, (3, 2), freq_ratio=jnp.asarray(ratio))
    expected = [
        [steering.upa_steering(a, e, (3, 2), freq_ratio=r) for r in ratio]
        for a, e in zip(AZIMUTH, ELEVATION, strict=True)
    ]
    assert_near(v, np.array(expected), 1e-10)
    line = arrays.ula_steering(azimuth, 5, freq_ratio=jnp.asarray(ratio))
    assert_near(line, np.array([[steering.ula_steering(a, 5, freq_ratio=r) for r in ratio] for a in AZIMUTH]), 1e-10)
    single_angle = arrays.ula_steering(jnp.asarray(0.4), 5, freq_ratio=jnp.asarray(ratio))
    assert_near(single_angle, np.array([steering.ula_steering(0.4, 5, freq_ratio=r) for r in ratio]), 1e-10)
    one = arrays.upa_steering_derivatives(jnp.asarray(0.4), jnp.asarray(0.2), (3, 2), freq_ratio=jnp.asarray(ratio))
    alone = [ref.upa_steering_derivatives(0.4, 0.2, (3, 2), freq_ratio=r) for r in ratio]
    assert_near(np.stack(one, axis=1), np.array(alone), 1e-10)
    _, by_azimuth, by_elevation = arrays.upa_steering_derivatives(
        azimuth, elevation, (3, 2), freq_ratio=jnp.asarray(ratio)
    )
    wanted = [
        [ref.upa_steering_derivatives(a, e, (3, 2), freq_ratio=r)[1:] for r in ratio]
        for a, e in zip(AZIMUTH, ELEVATION, strict=True)
    ]
    assert_near(np.stack([by_azimuth, by_elevation], axis=2), np.array(wanted), 1e-10)


@given(angles, st.floats(0.8, 1.0))
def test_a_beam_squints_as_the_sine_over_the_frequency(angle, ratio):
    with jax.enable_x64(True):
        moved = jnp.arcsin(ratio * jnp.sin(jnp.asarray(angle)))
        off = arrays.ula_steering(jnp.asarray(angle), 16, freq_ratio=jnp.asarray(ratio))
        # Seen at f, a wave from theta looks like one at the carrier from arcsin(sin(theta) f / fc).
        assert_near(off, np.asarray(arrays.ula_steering(moved, 16)), 1e-10)
        planar = upa(jnp.asarray(angle), jnp.asarray(0.0), (4, 4), freq_ratio=jnp.asarray(ratio))
        assert_near(planar, np.asarray(upa(moved, jnp.asarray(0.0), (4, 4))), 1e-10)
        # At the carrier nothing moves.
        carrier = arrays.ula_steering(jnp.asarray(angle), 16, freq_ratio=jnp.asarray(1.0))
        np.testing.assert_array_equal(carrier, arrays.ula_steering(jnp.asarray(angle), 16))


def test_a_focused_beam_loses_its_target_off_the_carrier(x64):
    # 64 elements at half a wavelength, 30 degrees, 5 % off: the lag across the array sets the Dirichlet loss.
    angle, ratio = jnp.asarray(np.pi / 6), 1.05
    here, there = (np.asarray(arrays.ula_steering(angle, 64, freq_ratio=jnp.asarray(r))) for r in (1.0, ratio))
    half_step = np.pi * 0.5 * (ratio - 1) * 0.5
    wanted = abs(np.sin(64 * half_step) / (64 * np.sin(half_step)))
    assert abs(np.vdot(here, there)) == pytest.approx(wanted, rel=1e-10)
    assert wanted < 0.3
