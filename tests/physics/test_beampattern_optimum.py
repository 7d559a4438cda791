"""The least beam-pattern error there is, against a general convex solver and against what anybody could send."""

import functools
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from reference import beampattern as ref
from reference import beampattern_optimum as convex
from reference.tools import complex_normal

from thzjax.errors import ConfigError
from thzjax.physics.beampattern import beam_pattern_error_gram, pattern_gram
from thzjax.physics.beampattern_optimum import convex_optimum, least_pattern_error, optimal_covariance

TARGETS = np.radians([-40.0, 0.0, 40.0])
ONE_SIDED = np.radians([-40.0, 12.0, 63.0])
widths = pytest.mark.parametrize("width", [5.0, 10.0])
ratios = pytest.mark.parametrize("ratio", [1.0, 5.0, 20.0])
# The interior-point solver stops at 1e-8 of numbers below 1; two of them and a descent are compared.
GAP = 1e-7


@functools.cache
def wanted(width, one_sided=False):
    return ref.desired_pattern(ONE_SIDED if one_sided else TARGETS, np.radians(width))


@functools.cache
def gram_float64(num, width, one_sided=False):
    return pattern_gram(num, jnp.asarray(wanted(width, one_sided)), jnp.asarray(ref.pattern_grid()))


@functools.cache
def gram_float32(num, width):
    return pattern_gram(num, jnp.asarray(wanted(width), jnp.float32), jnp.asarray(ref.pattern_grid(), jnp.float32))


def feasible(seed, num, power_w):
    """A random covariance whose strongest antenna, or all of them, send power_w/num."""
    W = complex_normal(seed, num, 1 + seed % num)
    if seed % 2:
        W /= np.linalg.norm(W, axis=1, keepdims=True)
    R = W @ W.conj().T
    return power_w / num * R / np.max(np.diag(R).real)


def error(R, gram, p_ref_w=1.0):
    return float(beam_pattern_error_gram(jnp.asarray(R), gram, p_ref_w))


@widths
@ratios
@pytest.mark.parametrize("num", [3, 5])
def test_least_error_is_that_of_a_convex_solver(x64, num, width, ratio):
    pytest.importorskip("cvxpy")
    _, expected = convex.least_error(num, wanted(width), ref.pattern_grid(), ratio)
    gram = gram_float64(num, width)
    least = least_pattern_error(gram, num, ratio)
    assert isinstance(least, float)
    assert abs(least - expected) < GAP
    # Only the ratio of the two powers counts.
    assert abs(least_pattern_error(gram, num, 1e-3 * ratio, 1e-3) - expected) < GAP
    assert abs(convex_optimum(gram, num, ratio)[1] - expected) < GAP


@pytest.mark.parametrize(("width", "stated"), [(10.0, 0.0763), (5.0, 0.0598)])
def test_least_error_of_five_antennas_has_its_stated_value(width, stated):
    gram = gram_float32(5, width)
    for power in (5.0, 10.0, 50.0):
        least = least_pattern_error(gram, 5, power)
        assert isinstance(least, float)
        assert round(least, 4) == stated
        assert round(least_pattern_error(gram, 5, 0.02 * power, 0.02), 4) == stated


@pytest.mark.parametrize(("power", "stated"), [(1.0, 0.0898), (5.0, 0.555), (10.0, 2.63)])
def test_forced_equal_powers_have_their_stated_errors(x64, power, stated):
    pytest.importorskip("cvxpy")
    gram = gram_float64(5, 10.0)
    R, reached = convex_optimum(gram, 5, power, equality=True)
    assert f"{reached:.3g}" == str(stated)
    _, expected = convex.least_error(5, wanted(10.0), ref.pattern_grid(), power, equality=True)
    assert abs(reached - expected) < GAP * max(1.0, power**2)  # the pattern's square grows so
    np.testing.assert_allclose(np.diag(R).real, power / 5, rtol=1e-6)
    assert np.min(np.linalg.eigvalsh(R)) > -GAP * power
    assert error(R, gram) == pytest.approx(reached, abs=GAP * max(1.0, power**2))
    # Whoever must spend it all does no better than whoever may.
    assert reached >= least_pattern_error(gram, 5, power) - GAP


def test_forced_equal_powers_with_another_reference_power(x64):
    pytest.importorskip("cvxpy")
    gram = gram_float64(5, 10.0)
    R, reached = convex_optimum(gram, 5, 0.02, 0.004, equality=True)
    assert f"{reached:.3g}" == "0.555"
    np.testing.assert_allclose(np.diag(R).real, 0.004, rtol=1e-6)


@widths
@ratios
@pytest.mark.parametrize(("num", "one_sided"), [(3, False), (5, False), (5, True)])
def test_optimal_covariance_is_feasible_and_reaches_its_error(x64, num, one_sided, width, ratio):
    p_ref = 0.3
    gram, power = gram_float64(num, width, one_sided), 0.3 * ratio
    R, reached = optimal_covariance(gram, num, power, p_ref)
    assert isinstance(R, np.ndarray)
    assert isinstance(reached, float)
    assert R.shape == (num, num)
    assert R.dtype == np.complex128
    np.testing.assert_allclose(R, R.conj().T, rtol=0, atol=1e-14 * power)
    assert np.min(np.linalg.eigvalsh(R)) > -1e-12 * power
    assert np.max(np.diag(R).real) <= power / num * (1 + 1e-12)
    assert error(R, gram, p_ref) == pytest.approx(reached, rel=1e-10)
    # On the grid, angle by angle, too: the error is a sum of 1801 squares that the quadratic form expands.
    on_grid = ref.beam_pattern_error(R, wanted(width, one_sided), ref.pattern_grid(), p_ref)
    assert on_grid == pytest.approx(reached, rel=1e-10)
    assert abs(least_pattern_error(gram, num, power, p_ref) - reached) < GAP


@ratios
@pytest.mark.parametrize("one_sided", [False, True])
def test_no_feasible_covariance_beats_the_optimal_one(x64, one_sided, ratio):
    num, gram = 5, gram_float64(5, 10.0, one_sided)
    R, reached = optimal_covariance(gram, num, ratio)
    others = np.stack([feasible(seed, num, ratio) for seed in range(400)])
    # Whole ways, and the first steps of ways: for a convex problem the second is proof against any other point.
    for share in (1.0, 0.1, 1e-3):
        mixed = R + share * (others - R)
        errors = np.asarray(beam_pattern_error_gram(jnp.asarray(mixed), gram))
        assert np.min(errors) > reached - GAP * share
    nothing = error(np.zeros((num, num), complex), gram)
    assert reached < nothing
    assert nothing == pytest.approx(np.mean(wanted(10.0, one_sided)), rel=1e-12)


def test_convex_optimum_is_the_optimal_covariance(x64):
    pytest.importorskip("cvxpy")
    for ratio in (1.0, 5.0):
        gram = gram_float64(5, 10.0, one_sided=True)
        R, reached = convex_optimum(gram, 5, ratio)
        assert R.shape == (5, 5)
        np.testing.assert_allclose(R, R.conj().T, rtol=0, atol=GAP)
        assert np.max(np.diag(R).real) <= ratio / 5 * (1 + 1e-6)
        assert np.min(np.linalg.eigvalsh(R)) > -GAP * ratio
        assert error(R, gram) == pytest.approx(reached, abs=GAP)
        assert abs(reached - optimal_covariance(gram, 5, ratio)[1]) < GAP
        # Beams to one side: R and its transpose are different designs.
        assert error(R.T, gram) > reached + 0.01


def test_without_the_solver_the_user_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    gram = gram_float32(5, 10.0)
    with pytest.raises(ConfigError, match="cvxpy"):
        convex_optimum(gram, 5, 1.0)
    # The least error itself needs no solver.
    assert 0.0 < least_pattern_error(gram, 5, 1.0) < 0.1
