"""Range and velocity bounds against explicit Fisher matrices with an unknown complex amplitude."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import ranging as ref
from reference.tools import EPS32, assert_close, double, single

from thzjax.physics import sensing

range_crb = jax.jit(sensing.range_crb)
velocity_crb = jax.jit(sensing.velocity_crb)

FREQ_HZ = 0.3e12
OFFSETS = (np.arange(8) - 3.5) * 0.4e9
TIMES = np.array([0.0, 1.0, 2.5, 3.0, 4.0, 6.0, 9.0, 9.5]) * 1e-4
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5, 3.0, 1.0, 0.2, 0.7])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_bounds_match_explicit_fisher_matrices(x64, weights):
    snr = np.array([0.7, 40.0])
    extra = () if weights is None else (jnp.asarray(weights),)
    actual = range_crb(jnp.asarray(snr), jnp.asarray(OFFSETS), *extra)
    assert actual.dtype == jnp.float64
    assert_close(actual, [ref.range_crb(s, OFFSETS, weights) for s in snr], 1e-10)
    actual = velocity_crb(jnp.asarray(snr), jnp.asarray(FREQ_HZ), jnp.asarray(TIMES), *extra)
    assert actual.dtype == jnp.float64
    assert_close(actual, [ref.velocity_crb(s, FREQ_HZ, TIMES, weights) for s in snr], 1e-10)


def test_bounds_of_uneven_bands_away_from_zero(x64):
    # Unknown amplitude: only the spread of the offsets counts, not where they lie.
    offsets = OFFSETS**2 / 1e9 + 3e9
    expected = [ref.range_crb(10.0, offsets, WEIGHTS)]
    assert_close(range_crb(jnp.asarray([10.0]), jnp.asarray(offsets), jnp.asarray(WEIGHTS)), expected, 1e-10)
    shifted = range_crb(jnp.asarray([10.0]), jnp.asarray(offsets - 5e9), jnp.asarray(WEIGHTS))
    assert_close(shifted, expected, 1e-10)


def test_bounds_float32():
    snr, offsets, times, weights = (single(x) for x in (40.0, OFFSETS, TIMES, WEIGHTS))
    actual = range_crb(*(jnp.asarray(x) for x in (snr, offsets, weights)))
    assert actual.dtype == jnp.float32
    # Mean and deviations of 8 numbers round by some 8 eps of the largest; the spread is a third of it.
    assert_close(actual, ref.range_crb(float(snr), double(offsets), double(weights)), 40 * EPS32)
    actual = velocity_crb(*(jnp.asarray(x) for x in (snr, single(FREQ_HZ), times, weights)))
    assert actual.dtype == jnp.float32
    expected = ref.velocity_crb(float(snr), float(single(FREQ_HZ)), double(times), double(weights))
    assert_close(actual, expected, 40 * EPS32)


@pytest.mark.parametrize("num", [2, 16, 1024])
def test_flat_band_has_the_variance_of_a_rectangle(x64, num):
    bandwidth, snr = 8e9, 25.0
    offsets = (np.arange(num) - (num - 1) / 2) * bandwidth / num
    # Points in the middle of num equal bins: B^2/12 less the bins' own (B/num)^2/12.
    variance = bandwidth**2 / 12 * (1 - 1 / num**2)
    expected = (ref.C / 2) ** 2 / (8 * np.pi**2 * snr * variance)
    assert float(range_crb(jnp.asarray(snr), jnp.asarray(offsets))) == pytest.approx(expected, rel=1e-11)
    times = offsets * 1e-3 / bandwidth
    expected = (ref.C / (2 * FREQ_HZ)) ** 2 / (8 * np.pi**2 * snr * 1e-6 / 12 * (1 - 1 / num**2))
    actual = velocity_crb(jnp.asarray(snr), jnp.asarray(FREQ_HZ), jnp.asarray(times))
    assert float(actual) == pytest.approx(expected, rel=1e-11)


@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0), st.floats(0.1, 10.0))
def test_bounds_scale(x64, louder, wider, heavier):
    snr, offsets, weights = jnp.asarray(5.0), jnp.asarray(OFFSETS), jnp.asarray(WEIGHTS)
    base = float(range_crb(snr, offsets, weights))
    scaled = range_crb(louder * snr, wider * offsets, heavier * weights)
    assert float(scaled) == pytest.approx(base / (louder * wider**2), rel=1e-12)
    base = float(velocity_crb(snr, jnp.asarray(FREQ_HZ), jnp.asarray(TIMES), weights))
    scaled = velocity_crb(louder * snr, wider * jnp.asarray(FREQ_HZ), heavier * jnp.asarray(TIMES), weights)
    assert float(scaled) == pytest.approx(base / (louder * wider**2 * heavier**2), rel=1e-12)


def test_equal_weights_are_the_default_and_gradients_are_finite(x64):
    snr, offsets = jnp.asarray(5.0), jnp.asarray(OFFSETS)
    flat = range_crb(snr, offsets, jnp.full(8, 0.3))
    assert float(range_crb(snr, offsets)) == pytest.approx(float(flat), rel=1e-13)
    slope = jax.jit(jax.grad(lambda w: jnp.log(sensing.range_crb(snr, offsets, w))))(jnp.asarray(WEIGHTS))
    # log CRB = const - log var_w: its slope is (1 - (x - mean)^2/var)/sum w.
    share = WEIGHTS / WEIGHTS.sum()
    centred = OFFSETS - share @ OFFSETS
    expected = (1 - centred**2 / (share @ centred**2)) / WEIGHTS.sum()
    np.testing.assert_allclose(slope, expected, rtol=1e-10, atol=1e-12)


def test_one_tone_tells_no_range(x64):
    assert float(range_crb(jnp.asarray(5.0), jnp.asarray([1e9]))) == np.inf
    only = jnp.asarray([0.0, 2.0, 0.0])
    assert float(velocity_crb(jnp.asarray(5.0), jnp.asarray(FREQ_HZ), jnp.asarray([0.0, 1e-3, 2e-3]), only)) == np.inf
