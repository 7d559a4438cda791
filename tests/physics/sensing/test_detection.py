"""Marcum's Q function and detection probabilities against positive series and against drawn echoes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import detection as ref
from reference.tools import EPS32, EPS64, assert_close, complex_normal, double, single
from scipy import stats

from thzjax.errors import ConfigError
from thzjax.physics import sensing

marcum_q = jax.jit(sensing.marcum_q)
slopes = jax.jit(jax.vmap(jax.grad(sensing.marcum_q, argnums=(0, 1))))
detection = jax.jit(sensing.detection_probability, static_argnames="model")

EDGES = [0.0, 0.03, 0.4, 1.0, 2.2, 3.7, 5.5, 8.0, 11.3, 15.0]
A, B = (x.ravel() for x in np.meshgrid(EDGES, EDGES, indexing="ij"))
MODELS = ["swerling0", "swerling1"]
each_model = pytest.mark.parametrize("model", MODELS)


def tails(a, b):
    return (np.array(x) for x in zip(*(ref.marcum_q(*ab) for ab in zip(a, b, strict=True)), strict=True))


def test_marcum_q_matches_the_series(x64):
    q = marcum_q(*(jnp.asarray(x) for x in (A, B)))
    assert q.dtype == jnp.float64
    expected, complement = tails(A, B)
    assert_close(q, expected, 1e-10)  # down to 1e-49
    # Near one, what is missing keeps its digits as far as a sum of a hundred terms next to one can show them.
    assert np.all(np.abs((1 - np.asarray(q)) - complement) <= 1e-10 * complement + 100 * EPS64)


def test_marcum_q_float32():
    a, b = single(A), single(B)
    q = np.asarray(marcum_q(jnp.asarray(a), jnp.asarray(b)))
    assert q.dtype == np.float32
    expected, complement = tails(a, b)
    # The exponents (a - b)^2/2 and, in the series, a^2/2 and b^2/2 round by up to 112 eps each.
    exponents = 8 + a.astype(float) ** 2 + b.astype(float) ** 2
    shown = expected > 1e-35  # below lie subnormal numbers
    assert np.all((np.abs(q - expected) <= 2 * exponents * EPS32 * expected)[shown])
    assert np.all(q[~shown] <= 1e-34)
    assert np.all(np.abs((1 - double(q)) - complement) <= 2 * exponents * EPS32 * complement + 4 * EPS32)
    assert np.all((q >= 0) & (q <= 1))


@given(st.floats(0.0, 15.0, width=32), st.floats(0.0, 15.0, width=32))
def test_marcum_q_anywhere(x64, a, b):
    q = marcum_q(jnp.asarray([a]), jnp.asarray([b]))
    assert_close(q, [max(ref.marcum_q(a, b)[0], 1e-300)], 1e-10)


def test_marcum_q_of_a_rayleigh_or_an_open_threshold(x64):
    b = jnp.asarray(EDGES)
    # The exponent of 112 rounds by as many half eps, beside a sum of a hundred terms; the rest is four times that.
    assert_close(marcum_q(jnp.zeros(10), b), np.exp(-(np.asarray(EDGES) ** 2) / 2), 1000 * EPS64)
    assert_close(marcum_q(b, jnp.zeros(10)), np.ones(10), 100 * EPS64)
    # Q1(a, b) + Q1(b, a) = 1 + exp(-(a^2 + b^2)/2) I0(ab), at a = b the textbook's closed form.
    both = 2 * np.asarray(marcum_q(b, b))
    assert_close(both, [1 + ref.bessel_i(0, x * x) for x in EDGES], 1e-12)


def test_marcum_q_slopes(x64):
    by_a, by_b = slopes(jnp.asarray(A), jnp.asarray(B))
    expected = np.array([ref.marcum_q_slopes(a, b) for a, b in zip(A, B, strict=True)])
    # Relative to the slope by b, of the density's size; the one by a falls to 0 with a.
    scale = np.abs(expected[:, 1])
    assert np.all(np.abs(np.asarray(by_a) - expected[:, 0]) <= 1e-9 * scale)
    assert np.all(np.abs(np.asarray(by_b) - expected[:, 1]) <= 1e-9 * scale)


def test_marcum_q_slopes_float32():
    a, b = single(A), single(B)
    by_a, by_b = (np.asarray(x) for x in slopes(jnp.asarray(a), jnp.asarray(b)))
    expected = np.array([ref.marcum_q_slopes(*ab) for ab in zip(a, b, strict=True)])
    assert np.all(np.isfinite(by_a))
    assert np.all(np.isfinite(by_b))
    scale = 4 * (8 + a.astype(float) ** 2 + b.astype(float) ** 2) * EPS32 * np.abs(expected[:, 1]) + 1e-34
    assert np.all(np.abs(by_a - expected[:, 0]) <= scale)
    assert np.all(np.abs(by_b - expected[:, 1]) <= scale)


@each_model
def test_detection_matches_reference(x64, model):
    snr = np.array([0.0, 0.01, 0.5, 3.0, 10.0, 25.0, 100.0])
    for false_alarm in (1e-9, 1e-6, 1e-3, 0.2):
        actual = detection(jnp.asarray(snr), jnp.asarray(false_alarm), model=model)
        assert actual.dtype == jnp.float64
        assert_close(actual, [ref.detection_probability(s, false_alarm, model) for s in snr], 1e-10)
    default = sensing.detection_probability(jnp.asarray(snr), 1e-6)
    assert_close(default, [ref.detection_probability(s, 1e-6) for s in snr], 1e-10)


@each_model
def test_detection_float32(model):
    snr, false_alarm = single([0.0, 0.1, 1.0, 8.0, 30.0]), single([1e-6, 1e-3])
    actual = detection(jnp.asarray(snr), jnp.asarray(false_alarm)[:, None], model=model)
    assert (actual.dtype, actual.shape) == (jnp.float32, (2, 5))
    expected = [[ref.detection_probability(float(s), float(p), model) for s in snr] for p in false_alarm]
    # -ln Pfa = 13.8 and snr = 30 stand in exponents: see marcum_q.
    assert_close(actual, expected, 2 * (8 + 2 * 13.8 + 2 * 30) * EPS32)


@each_model
@given(st.floats(1e-9, 0.5))
def test_no_signal_is_a_false_alarm(x64, model, false_alarm):
    assert float(detection(jnp.asarray(0.0), jnp.asarray(false_alarm), model=model)) == pytest.approx(
        false_alarm, rel=1e-12
    )


@each_model
@given(st.floats(0.0, 30.0), st.floats(0.01, 5.0), st.floats(1e-9, 0.1), st.floats(1.1, 5.0))
def test_detection_grows_with_snr_and_false_alarms(x64, model, snr, step, false_alarm, factor):
    low = float(detection(jnp.asarray(snr), jnp.asarray(false_alarm), model=model))
    stronger = float(detection(jnp.asarray(snr + step), jnp.asarray(false_alarm), model=model))
    bolder = float(detection(jnp.asarray(snr), jnp.asarray(factor * false_alarm), model=model))
    assert 0 < low <= 1
    assert stronger > low or low > 1 - 1e-12
    assert bolder > low or low > 1 - 1e-12


@each_model
def test_detection_gradients_are_finite_at_no_signal(model):
    slope = jax.jit(jax.grad(lambda s: sensing.detection_probability(s, 1e-3, model)))
    # One more unit of power at the threshold t = -ln Pfa: d/dsnr = t Pfa for both models at snr = 0.
    assert float(slope(jnp.float32(0.0))) == pytest.approx(1e-3 * -np.log(1e-3), rel=1e-4)
    assert np.isfinite(float(slope(jnp.float32(20.0))))


def test_unknown_model_is_named():
    with pytest.raises(ConfigError, match="swerling7"):
        sensing.detection_probability(jnp.float32(1.0), 1e-3, "swerling7")
    with pytest.raises(ConfigError, match="swerling7"):
        sensing.swerling_gain(jax.random.key(0), (3,), "swerling7")


def test_swerling_gains():
    np.testing.assert_array_equal(sensing.swerling_gain(jax.random.key(0), (2, 3), "swerling0"), np.ones((2, 3)))
    draws = sensing.swerling_gain(jax.random.key(1), (40_000,), "swerling1")
    assert draws.dtype == jnp.float32
    draws = double(draws)
    assert np.min(draws) >= 0
    # Kolmogorov-Smirnov against the unit exponential, chance 1e-6; and 2 n mean is chi-square of 2 n.
    assert stats.kstest(draws, "expon").pvalue > 1e-6
    assert np.all(np.abs(stats.norm.ppf(stats.chi2.cdf(2 * draws.sum(), 2 * draws.size))) < 5)


@each_model
@pytest.mark.parametrize(("snr", "false_alarm"), [(3.0, 0.05), (10.0, 1e-3)])
def test_drawn_echoes_are_detected_as_often_as_said(model, snr, false_alarm):
    count = 100_000
    gain = double(sensing.swerling_gain(jax.random.key(2), (count,), model))
    output = np.sqrt(snr * gain) + complex_normal(3, count)
    hits = int(np.sum(np.abs(output) ** 2 > -np.log(false_alarm)))
    expected = float(detection(jnp.float32(snr), jnp.float32(false_alarm), model=model))
    low, high = stats.binom.ppf([1e-6, 1 - 1e-6], count, expected)
    assert low <= hits <= high
