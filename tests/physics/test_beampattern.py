"""Beam patterns, their error on the grid and as a quadratic form, and the least error there is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import beampattern as ref
from reference.tools import EPS32, assert_close, assert_near, complex_normal, single

from thzjax.physics import beampattern
from thzjax.physics.beampattern import desired_pattern, pattern_grid
from thzjax.physics.beampattern_optimum import least_pattern_error

# Compiled once per shape here; test_habits.py holds them against their eager selves.
beam_pattern = jax.jit(beampattern.beam_pattern)
beam_pattern_error = jax.jit(beampattern.beam_pattern_error)
beam_pattern_error_gram = jax.jit(beampattern.beam_pattern_error_gram)
pattern_gram = jax.jit(beampattern.pattern_gram, static_argnums=0)

TARGETS = np.radians([-40.0, 0.0, 40.0])
WIDE, NARROW = np.radians(10.0), np.radians(5.0)
seeds = st.integers(0, 10_000)


def covariance(seed, num=5, streams=3, power=1.0):
    """R = W W^H with trace `power`."""
    W = complex_normal(seed, num, streams)
    R = W @ W.conj().T
    return power * R / np.trace(R).real


@functools.cache
def grid_float64():
    return ref.pattern_grid()


def wanted(width):
    return ref.desired_pattern(TARGETS, width)


@functools.cache
def float32_set(width):
    grid = pattern_grid()
    desired = desired_pattern(grid, jnp.asarray(TARGETS, jnp.float32), width)
    return grid, desired, pattern_gram(5, desired, grid)


def float64_set(width=WIDE):
    return jnp.asarray(grid_float64()), jnp.asarray(wanted(width))


def test_grid_matches_reference(x64):
    grid = jnp.asarray(pattern_grid())
    assert grid.shape == (1801,)
    assert grid.dtype == jnp.float64
    assert np.max(np.abs(np.asarray(grid) - grid_float64())) < 1e-15


def test_grid_float32():
    grid = jnp.asarray(pattern_grid())
    assert grid.shape == (1801,)
    assert grid.dtype == jnp.float32
    assert_close(grid, grid_float64(), 2 * EPS32)
    assert float(grid[900]) == 0.0
    np.testing.assert_array_equal(np.asarray(grid), -np.asarray(grid)[::-1])


@pytest.mark.parametrize(
    ("degrees", "width", "count"),
    [
        ((-40.0, 0.0, 40.0), 10.0, 303),
        ((-40.0, 0.0, 40.0), 5.0, 153),
        ((-40.0, 0.0, 40.0), 20.0, 603),
        ((12.3,), 0.2, 3),
        ((10.0, 12.0), 10.0, 121),  # overlapping beams count once
        ((88.0,), 10.0, 71),  # cut off at the edge of the grid
    ],
)
def test_desired_pattern_includes_its_edges(degrees, width, count):
    targets, width_rad = np.radians(degrees), np.radians(width)
    desired = desired_pattern(pattern_grid(), jnp.asarray(targets, jnp.float32), float(width_rad))
    assert int(np.sum(desired)) == count
    np.testing.assert_array_equal(desired, ref.desired_pattern(targets, width_rad))
    assert desired.dtype == jnp.float32


def test_desired_pattern_float64(x64):
    desired = desired_pattern(jnp.asarray(grid_float64()), jnp.asarray(TARGETS), WIDE)
    assert desired.dtype == jnp.float64
    np.testing.assert_array_equal(desired, wanted(WIDE))


@pytest.mark.parametrize("num", [5, 4])
def test_pattern_and_error_match_reference(x64, num):
    # Beams that are not symmetric: the error of symmetric ones cannot tell R from its transpose.
    grid, one_sided = jnp.asarray(grid_float64()), ref.desired_pattern(np.radians([-40.0, 12.0, 63.0]), WIDE)
    desired = jnp.asarray(one_sided)
    R = np.stack([covariance(0, num), covariance(1, num, 1, 3.0)])
    pattern = beam_pattern(jnp.asarray(R), grid)
    assert pattern.dtype == jnp.float64
    assert_near(pattern, np.stack([ref.beam_pattern(r, grid_float64()) for r in R]), 1e-10)
    expected = [ref.beam_pattern_error(r, one_sided, grid_float64(), 0.7) for r in R]
    error = beam_pattern_error(jnp.asarray(R), desired, grid, 0.7)
    assert error.dtype == jnp.float64
    assert_close(error, expected, 1e-10)
    by_gram = beam_pattern_error_gram(jnp.asarray(R), pattern_gram(num, desired, grid), 0.7)
    assert by_gram.dtype == jnp.float64
    assert_close(by_gram, expected, 1e-10)


def test_pattern_and_errors_float32():
    grid, desired, gram = float32_set(WIDE)
    R = single(covariance(2))
    pattern = beam_pattern(jnp.asarray(R), grid)
    assert pattern.dtype == jnp.float32
    grid32 = np.asarray(grid, np.float64)
    expected = ref.beam_pattern(R.astype(complex), grid32)
    # Phases up to 4 pi lose 13 eps; 25 products of entries below 1, each over M = 5.
    assert np.max(np.abs(np.asarray(pattern) - expected)) < 2 * 13 * EPS32
    error = ref.beam_pattern_error(R.astype(complex), wanted(WIDE), grid32)
    for actual in (
        beam_pattern_error(jnp.asarray(R), desired, grid),
        beam_pattern_error_gram(jnp.asarray(R), gram),
    ):
        assert actual.dtype == jnp.float32
        # The error's slope in the pattern is below 2, and phase errors average out over 1801 angles.
        assert abs(float(actual) - error) < 2e-6


@given(seeds, st.sampled_from([1, 3, 6]), st.floats(0.01, 3.0))
def test_quadratic_form_agrees_with_the_grid(seed, streams, power):
    grid, desired, gram = float32_set(WIDE)
    R = jnp.asarray(single(covariance(seed, 5, streams, power)))
    on_grid = float(beam_pattern_error(R, desired, grid))
    # Both evaluate c - 2 b.r + r.A.r: cancelling terms of size up to 1 + P^2, some ten roundings.
    assert abs(float(beam_pattern_error_gram(R, gram)) - on_grid) < 10 * EPS32 * (1 + power**2)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_quadratic_form_of_another_width_and_reference_power(x64, width):
    grid, desired = float64_set(width)
    gram = pattern_gram(5, desired, grid)
    for seed, p_ref in ((0, 1.0), (1, 2.5), (2, 0.1)):
        R = jnp.asarray(covariance(seed))
        on_grid = beam_pattern_error(R, desired, grid, p_ref)
        assert_close(beam_pattern_error_gram(R, gram, p_ref), np.asarray(on_grid), 1e-10)
        # p_ref scales R and nothing else.
        assert_close(beam_pattern_error(R / p_ref, desired, grid), np.asarray(on_grid), 1e-10)


@given(seeds, st.sampled_from([1, 4]), st.floats(0.01, 10.0))
def test_pattern_is_real_positive_and_bounded_by_the_power(seed, streams, power):
    grid, _, _ = float32_set(WIDE)
    pattern = np.asarray(beam_pattern(jnp.asarray(single(covariance(seed, 5, streams, power))), grid))
    assert np.min(pattern) >= -40 * EPS32 * power
    assert np.max(pattern) <= power * (1 + 40 * EPS32)


@given(seeds)
def test_pattern_radiates_the_total_power(seed):
    # Half a wavelength apart, the pattern's mean over sin(angle) is tr(R)/M: off-diagonals average to
    # nothing, exactly so on equally spaced sines.
    angles = jnp.asarray(np.arcsin((np.arange(16) + 0.5) / 8 - 1), jnp.float32)
    R = single(covariance(seed, 5, 2, 2.0))
    mean = float(jnp.mean(beam_pattern(jnp.asarray(R), angles)))
    assert mean == pytest.approx(2.0 / 5, abs=2 * 13 * EPS32)
    # And so the integral over the grid of angles, cos(angle) d(angle) = d(sin).
    grid, _, _ = float32_set(WIDE)
    pattern = np.asarray(beam_pattern(jnp.asarray(R), grid), np.float64)
    integral = np.trapezoid(pattern * np.cos(grid_float64()), grid_float64()) / 2
    assert integral == pytest.approx(2.0 / 5, abs=1e-5)


def test_pattern_peaks_where_it_is_steered():
    grid, _, _ = float32_set(WIDE)
    a = np.exp(-1j * np.pi * np.arange(5) * np.sin(np.radians(25.0))) / np.sqrt(5)
    pattern = np.asarray(beam_pattern(jnp.asarray(single(np.outer(a, a.conj()))), grid))
    assert np.argmax(pattern) == 900 + 250  # +25, not -25
    assert np.max(pattern) == pytest.approx(1.0, abs=40 * EPS32)


@pytest.mark.parametrize(("width", "error"), [(WIDE, 303 / 1801), (NARROW, 153 / 1801)])
def test_silence_has_the_error_of_the_desired_area(width, error):
    grid, desired, gram = float32_set(width)
    R = jnp.zeros((5, 5), jnp.complex64)
    assert float(beam_pattern_error(R, desired, grid)) == pytest.approx(error, rel=2 * EPS32)
    assert float(beam_pattern_error_gram(R, gram)) == pytest.approx(error, rel=8 * EPS32)
    assert error == pytest.approx({WIDE: 0.168, NARROW: 0.085}[width], abs=5e-4)


@given(seeds, st.sampled_from([1, 3]), st.floats(0.01, 1.0))
def test_error_is_below_one_up_to_the_reference_power(seed, streams, power):
    grid, desired, gram = float32_set(WIDE)
    R = jnp.asarray(single(2.5 * covariance(seed, 5, streams, power)))
    assert float(beam_pattern_error(R, desired, grid, 2.5)) < 1.0
    assert float(beam_pattern_error_gram(R, gram, 2.5)) < 1.0


def test_errors_of_forced_equal_antenna_powers(x64):
    grid, desired = float64_set()
    gram = pattern_gram(5, desired, grid)
    for power, error in ((1.0, 0.0898), (5.0, 0.555), (10.0, 2.63)):
        R, _ = ref.least_pattern_covariance(5, wanted(WIDE), grid_float64(), power, equality=True)
        np.testing.assert_allclose(np.diag(R).real, power / 5, rtol=1e-12)
        assert float(beam_pattern_error(jnp.asarray(R), desired, grid)) == pytest.approx(error, rel=2e-3)
        assert float(beam_pattern_error_gram(jnp.asarray(R), gram)) == pytest.approx(error, rel=2e-3)


@pytest.mark.parametrize(("width", "stated"), [(WIDE, 0.0763), (NARROW, 0.0598)])
def test_least_error_has_the_stated_value(width, stated):
    _, _, gram = float32_set(width)
    least = least_pattern_error(gram, 5, 5.0)
    assert isinstance(least, float)
    assert round(least, 4) == stated
    # More power cannot help any more.
    assert least_pattern_error(gram, 5, 10.0) == pytest.approx(least, abs=2e-5)


@pytest.mark.parametrize(("num", "power", "p_ref"), [(5, 1.0, 1.0), (5, 2.0, 0.5), (4, 0.3, 1.0), (8, 4.0, 2.0)])
def test_least_error_matches_a_search_over_covariances(x64, num, power, p_ref):
    grid, desired = float64_set()
    least = least_pattern_error(pattern_gram(num, desired, grid), num, power, p_ref)
    R, reached = ref.least_pattern_covariance(num, wanted(WIDE), grid_float64(), power, p_ref)
    assert np.max(np.diag(R).real) <= power / num * (1 + 1e-12)
    assert least == pytest.approx(reached, abs=2e-5)  # the search itself stops about 1e-6 above the optimum


def test_nothing_feasible_beats_the_least_error():
    grid, desired, gram = float32_set(WIDE)
    least = least_pattern_error(gram, 5, 1.0)
    R = np.stack([covariance(seed, 5, 1 + seed % 5) for seed in range(200)])
    strongest = np.max(np.diagonal(R, axis1=1, axis2=2).real, axis=1)
    R = single(R * (np.linspace(0.05, 1.0, 200) * 0.2 / strongest)[:, None, None])
    errors = np.asarray(beam_pattern_error_gram(jnp.asarray(R), gram))
    assert np.min(errors) > least
    assert least < float(beam_pattern_error(jnp.zeros((5, 5), jnp.complex64), desired, grid))


def test_least_error_falls_with_power_from_silence():
    _, _, gram = float32_set(WIDE)
    errors = [least_pattern_error(gram, 5, power) for power in (1e-6, 0.1, 0.5, 1.0, 5.0)]
    assert errors[0] == pytest.approx(303 / 1801, abs=1e-5)
    assert np.all(np.diff(errors) < 0)


def test_gradient_of_both_errors_agrees():
    grid, desired, gram = float32_set(WIDE)
    W = jnp.asarray(single(complex_normal(4, 5, 3)) * np.float32(0.3))

    def slope(error):
        return np.asarray(jax.jit(jax.grad(lambda w: error(w @ w.conj().T)))(W))

    by_grid = slope(lambda R: beam_pattern_error(R, desired, grid))
    assert np.all(np.isfinite(by_grid))
    assert np.max(np.abs(by_grid)) > 1e-3
    assert_near(slope(lambda R: beam_pattern_error_gram(R, gram)), by_grid, 100 * EPS32)
