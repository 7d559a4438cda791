"""Steering vectors and path matrices against element-wise float64 references."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import arrays as ref
from reference.tools import EPS32, assert_near, complex_normal, single

from thzjax.physics.arrays import path_matrix, ula_steering, upa_steering

ANGLES = np.radians([-90.0, -40.0, -12.3, 0.0, 7.7, 40.0, 89.0])
angles = st.floats(-np.pi / 2, np.pi / 2)


def upa32(azimuth, elevation, shape, **options):
    return np.asarray(upa_steering(jnp.float32(azimuth), jnp.float32(elevation), shape, **options))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spacing": 0.31},
        {"convention": "axis"},
        {"unit_norm": False},
        {"freq_ratio": 1.07},
        {"spacing": 0.8, "convention": "axis", "unit_norm": False, "freq_ratio": 0.9},
    ],
)
def test_ula_matches_reference(x64, options):
    actual = ula_steering(jnp.asarray(ANGLES), 7, **options)
    assert actual.dtype == jnp.complex128
    assert_near(actual, np.array([ref.ula_steering(angle, 7, **options) for angle in ANGLES]), 1e-10)


def test_ula_arguments_stand_in_the_written_order(x64):
    actual = ula_steering(jnp.asarray(ANGLES), 5, 0.4, "axis", False, 1.2)
    assert_near(actual, np.array([ref.ula_steering(a, 5, 0.4, "axis", False, 1.2) for a in ANGLES]), 1e-10)


@pytest.mark.parametrize("convention", ["broadside", "axis"])
def test_ula_float32(convention):
    angle = single(ANGLES)
    actual = ula_steering(jnp.asarray(angle), 32, convention=convention, unit_norm=False)
    assert actual.dtype == jnp.complex64
    expected = np.array([ref.ula_steering(float(a), 32, convention=convention, unit_norm=False) for a in angle])
    # The phase reaches 31 pi = 97 rad; sine, product and reduction each cost about half an ulp of it.
    assert_near(actual, expected, 2 * 97 * EPS32)


def test_ula_at_broadside_and_along_its_axis():
    np.testing.assert_array_equal(ula_steering(jnp.float32(0.0), 6, unit_norm=False), np.ones(6))
    assert_near(ula_steering(jnp.float32(0.0), 6), np.full(6, 1 / np.sqrt(6)), EPS32)
    along = ula_steering(jnp.float32(np.pi / 2), 6, convention="axis", unit_norm=False)
    assert_near(along, np.ones(6), 2e-6)  # cos(float32 pi/2) = -4.4e-8 times 5 pi


def test_cosine_cannot_tell_left_from_right():
    right, left = jnp.float32(np.radians(40.0)), jnp.float32(np.radians(-40.0))
    assert_near(ula_steering(right, 5, convention="axis"), np.asarray(ula_steering(left, 5, convention="axis")), EPS32)
    assert np.max(np.abs(ula_steering(right, 5) - ula_steering(left, 5))) > 0.5


@given(angles, st.sampled_from([2, 9]), st.sampled_from(["broadside", "axis"]))
def test_ula_modulus_and_norm(angle, num, convention):
    a = np.asarray(ula_steering(jnp.float32(angle), num, convention=convention))
    assert a.shape == (num,)
    np.testing.assert_allclose(np.abs(a) * np.sqrt(num), 1.0, atol=4 * EPS32)
    np.testing.assert_allclose(np.linalg.norm(a), 1.0, atol=4 * EPS32)
    bare = np.asarray(ula_steering(jnp.float32(angle), num, convention=convention, unit_norm=False))
    np.testing.assert_allclose(np.abs(bare), 1.0, atol=4 * EPS32)


@given(angles, st.floats(0.5, 2.0))
def test_ula_freq_ratio_stretches_the_spacing(angle, ratio):
    stretched = ula_steering(jnp.float32(angle), 8, spacing=0.5 * ratio)
    # Both multiply the same four numbers in some order: 7 pi * 2 rad at most, a few ulp apart.
    assert_near(ula_steering(jnp.float32(angle), 8, freq_ratio=ratio), np.asarray(stretched), 4 * 44 * EPS32)


@given(angles)
def test_axis_angle_is_the_complement_of_the_broadside_angle(angle):
    axis = ula_steering(jnp.float32(np.pi / 2 - angle), 8, convention="axis")
    # The complement is rounded to half an ulp of pi, times 7 pi.
    assert_near(ula_steering(jnp.float32(angle), 8), np.asarray(axis), 8 * 22 * EPS32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spacing": (0.3, 0.7)},
        {"unit_norm": True},
        {"freq_ratio": 0.93},
        {"origin": "centre"},
        {"spacing": (0.25, 0.6), "unit_norm": True, "freq_ratio": 1.1, "origin": "centre"},
    ],
)
@pytest.mark.parametrize("shape", [(3, 4), (5, 1)])
def test_upa_matches_reference(x64, options, shape):
    azimuth = np.array([-1.2, 0.0, 0.4, 1.5])
    elevation = np.array([0.3, -0.9, 0.0, 1.1])
    actual = upa_steering(jnp.asarray(azimuth), jnp.asarray(elevation), shape, **options)
    assert actual.dtype == jnp.complex128
    expected = [ref.upa_steering(a, e, shape, **options) for a, e in zip(azimuth, elevation, strict=True)]
    assert_near(actual, np.array(expected), 1e-10)


def test_upa_arguments_stand_in_the_written_order(x64):
    arguments = ((2, 3), (0.4, 0.6), True, 1.2, "centre")
    actual = upa_steering(jnp.asarray(0.3), jnp.asarray(-0.4), *arguments)
    assert_near(actual, ref.upa_steering(0.3, -0.4, *arguments), 1e-10)


def test_upa_float32():
    azimuth, elevation = single([-1.2, 0.4, 1.5]), single([0.3, 0.0, 1.1])
    actual = upa_steering(jnp.asarray(azimuth), jnp.asarray(elevation), (8, 8))
    assert actual.dtype == jnp.complex64
    expected = [ref.upa_steering(float(a), float(e), (8, 8)) for a, e in zip(azimuth, elevation, strict=True)]
    # The phase reaches 7 pi (cos sin + sin) <= 31 rad; some four roundings of up to half an ulp of it.
    assert_near(actual, np.array(expected), 4 * 31 * EPS32)


@given(angles, angles)
def test_upa_index_runs_columns_first(azimuth, elevation):
    v = upa32(azimuth, elevation, (3, 4))
    rows = upa32(azimuth, elevation, (3, 1))
    cols = upa32(azimuth, elevation, (1, 4))
    for row in range(3):
        for col in range(4):
            assert abs(v[row * 4 + col] - rows[row] * cols[col]) < 20 * EPS32  # phases up to 16 rad
    np.testing.assert_allclose(np.abs(v), 1.0, atol=4 * EPS32)


@given(angles, angles)
def test_upa_norm_and_origin(azimuth, elevation):
    corner = upa32(azimuth, elevation, (4, 3))
    centre = upa32(azimuth, elevation, (4, 3), origin="centre")
    np.testing.assert_allclose(np.linalg.norm(upa32(azimuth, elevation, (4, 3), unit_norm=True)), 1.0, atol=1e-6)
    assert corner[0] == 1.0
    # Moving the origin turns all elements by one phase, and opposite elements are conjugate about the centre.
    np.testing.assert_allclose(centre * centre[0].conj(), corner, atol=40 * EPS32)
    # Phases reach 2.5 pi < 8 rad: some 8 eps of error on either side.
    np.testing.assert_allclose(centre, centre[::-1].conj(), atol=16 * EPS32)


@given(angles)
def test_upa_row_is_the_conjugate_of_the_line_array(azimuth):
    line = ula_steering(jnp.float32(azimuth), 6, unit_norm=False)
    assert_near(upa32(azimuth, 0.0, (6, 1)), np.asarray(line).conj(), 4 * 16 * EPS32)


def test_path_matrix_matches_reference(x64):
    amplitude, arrival, departure = complex_normal(0, 3), complex_normal(1, 3, 4), complex_normal(2, 3, 5)
    build = functools.partial(path_matrix, gain_t=30.0, gain_r=2.0)
    actual = build(jnp.asarray(amplitude), jnp.asarray(arrival), jnp.asarray(departure))
    assert actual.dtype == jnp.complex128
    expected = [ref.path_matrix(amplitude[b], arrival[b], departure[b], 30.0, 2.0) for b in range(3)]
    assert_near(actual, np.array(expected), 1e-10)


def test_path_matrix_float32():
    amplitude, arrival, departure = (single(complex_normal(s, n)) for s, n in ((0, 1), (1, 4), (2, 5)))
    actual = path_matrix(jnp.asarray(amplitude[0]), jnp.asarray(arrival), jnp.asarray(departure), 30.0, 2.0)
    assert actual.dtype == jnp.complex64
    # Three complex products and a root: at most 2 sqrt(2) eps each.
    assert_near(actual, ref.path_matrix(complex(amplitude[0]), arrival, departure, 30.0, 2.0), 8 * EPS32)


@given(angles, angles, st.floats(1e-3, 1e3))
def test_path_matrix_keeps_the_path_amplitude_per_entry(arrival, departure, gain):
    amplitude = jnp.asarray(3e-6 - 4e-6j, jnp.complex64)
    v = upa_steering(jnp.float32(arrival), jnp.float32(0.2), (2, 3))
    a = ula_steering(jnp.float32(departure), 4, unit_norm=False)
    h = np.asarray(path_matrix(amplitude, v, a, jnp.float32(gain), jnp.float32(1.0)))
    assert h.shape == (6, 4)
    np.testing.assert_allclose(np.abs(h), 5e-6 * np.sqrt(gain), rtol=20 * EPS32)
    # One path has rank one: every 2 by 2 minor vanishes.
    minors = h[:-1, :-1] * h[1:, 1:] - h[1:, :-1] * h[:-1, 1:]
    assert np.max(np.abs(minors)) <= 40 * EPS32 * 25e-12 * gain
    # Departure towards the aimed angle: a itself collects the whole array.
    np.testing.assert_allclose(np.abs(h @ np.asarray(a)), 4 * 5e-6 * np.sqrt(gain), rtol=40 * EPS32)
