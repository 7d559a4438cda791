"""Utilities of rates: values, order, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import utility as ref
from reference.tools import EPS32, assert_close, complex_normal, double, single

from thzjax.physics import link, utility

K = 4
WEIGHTS = np.array([0.5, 0.0, 2.0, 1.0])
REFERENCES = {"sum": ref.sum_utility, "min": ref.min_rate, "proportional_fair": ref.proportional_fair}
each_name = pytest.mark.parametrize("name", REFERENCES)
rate_lists = st.lists(st.floats(1e-4, 30.0), min_size=K, max_size=K)


def draw(seed, *batch):
    return np.random.default_rng(seed).uniform(1e-3, 20.0, (*batch, K))


def test_names_stand_for_the_functions():
    functions = (utility.sum_utility, utility.min_rate, utility.proportional_fair)
    assert dict(zip(REFERENCES, functions, strict=True)) == dict(utility.UTILITIES)


@each_name
def test_utilities_match_reference_on_batches(x64, name):
    rates = draw(0, 3, 2)
    actual = utility.UTILITIES[name](jnp.asarray(rates))
    assert actual.dtype == jnp.float64
    assert_close(actual, [[REFERENCES[name](r) for r in row] for row in rates], 1e-10)


def test_weighted_sum_matches_reference_on_batches(x64):
    rates, weights = draw(1, 3, 2), draw(2, 2)
    for given_weights in (WEIGHTS, weights):
        actual = utility.weighted_sum(jnp.asarray(rates), jnp.asarray(given_weights))
        assert actual.dtype == jnp.float64
        spread = np.broadcast_to(given_weights, rates.shape)
        expected = [[ref.weighted_sum(rates[i, j], spread[i, j]) for j in range(2)] for i in range(3)]
        assert_close(actual, expected, 1e-10)


@given(rate_lists)
def test_utilities_float32_and_their_order(numbers):
    numbers = single(numbers)
    rates, exact = jnp.asarray(numbers), [float(x) for x in numbers]
    total, least, fair = (utility.UTILITIES[name](rates) for name in REFERENCES)
    for value in (total, least, fair):
        assert value.dtype == jnp.float32
        assert value.shape == ()
    # K - 1 additions; logarithms of size up to 9.3 within 2 ulp, then K - 1 additions of partial sums up to K times it.
    assert_close(total, ref.sum_utility(exact), K * EPS32)
    assert float(least) == ref.min_rate(exact)
    logs = sum(abs(np.log(x)) for x in exact)
    assert abs(float(fair) - ref.proportional_fair(exact)) <= (2 + K) * EPS32 * logs
    weighted = utility.weighted_sum(rates, jnp.asarray(single(WEIGHTS)))
    assert_close(weighted, ref.weighted_sum(exact, WEIGHTS), (K + 1) * EPS32)
    assert_close(utility.weighted_sum(rates, jnp.ones(K, jnp.float32)), np.asarray(total), K * EPS32)
    # The worst is at most the geometric mean, and that at most the mean.
    mean = float(total) / K
    assert np.log(float(least)) <= float(fair) / K + 4 * EPS32 * logs
    assert float(fair) / K <= np.log(mean) + 4 * EPS32 * (1 + logs)


@given(rate_lists, st.integers(0, K - 1), st.floats(1.01, 3.0))
def test_utilities_rise_with_every_rate_and_know_no_order(numbers, user, factor):
    rates = jnp.asarray(single(numbers))
    better = rates.at[user].multiply(jnp.float32(factor))
    for name, reference in REFERENCES.items():
        function, scale = utility.UTILITIES[name], max(1.0, abs(reference(double(rates))))
        assert float(function(better)) >= float(function(rates))
        assert abs(float(function(rates[::-1]) - function(rates))) <= 8 * EPS32 * max(scale, 40.0)
    gain = float(utility.proportional_fair(better) - utility.proportional_fair(rates))
    # A factor counts the same for whoever gains it.
    assert gain == pytest.approx(np.log(factor), abs=16 * EPS32 * 40)
    everyone = utility.min_rate(rates * jnp.float32(2.0))
    assert float(everyone) == 2 * float(utility.min_rate(rates))


def test_gradients_are_known(x64):
    rates = jnp.asarray([3.0, 0.5, 0.7, 9.0])
    slopes = {name: jax.grad(function)(rates) for name, function in utility.UTILITIES.items()}
    assert_close(slopes["sum"], np.ones(K), 1e-12)
    assert_close(slopes["proportional_fair"], 1 / np.asarray(rates), 1e-12)
    np.testing.assert_array_equal(slopes["min"], [0.0, 1.0, 0.0, 0.0])
    by_rates, by_weights = jax.grad(utility.weighted_sum, (0, 1))(rates, jnp.asarray(WEIGHTS))
    np.testing.assert_allclose(by_rates, WEIGHTS, rtol=1e-12)
    assert_close(by_weights, np.asarray(rates), 1e-12)
    # Where users tie for the worst, any share between them is a subgradient: shares, and no more than one in all.
    tied = np.asarray(jax.grad(utility.min_rate)(jnp.asarray([2.0, 1.0, 1.0, 5.0])))
    assert np.all(tied >= 0)
    assert tied[[0, 3]].tolist() == [0.0, 0.0]
    assert np.sum(tied) == pytest.approx(1.0, rel=1e-12)


def test_a_user_without_rate_is_worse_than_any_rate_and_no_nan():
    rates = jnp.asarray([0.0, 5.0, 5.0, 5.0], jnp.float32)
    silent = float(utility.proportional_fair(rates))
    assert silent < float(utility.proportional_fair(rates.at[0].set(1e-30)))
    assert not np.any(np.isnan(jax.grad(utility.proportional_fair)(rates)))


@given(st.integers(0, 1000), st.floats(0.01, 10.0), st.floats(1.05, 10.0))
def test_utilities_fall_with_noise(x64, seed, noise, factor):
    H, W = jnp.asarray(complex_normal(seed, K, 5)), jnp.asarray(complex_normal(seed + 1, 5, K))
    quiet, loud = (link.rates(H, W, n) for n in (noise, factor * noise))
    for function in utility.UTILITIES.values():
        assert float(function(loud)) < float(function(quiet))
    weights = jnp.asarray(WEIGHTS)
    assert float(utility.weighted_sum(loud, weights)) < float(utility.weighted_sum(quiet, weights))


@each_name
def test_jit_and_vmap_agree_with_eager(name):
    function, rates = utility.UTILITIES[name], jnp.asarray(single(draw(3, 5)))
    eager = np.asarray(function(rates))
    for other in (jax.jit(function)(rates), jax.vmap(function)(rates)):
        assert np.max(np.abs(np.asarray(other) - eager)) <= 8 * EPS32 * 40
    weights = jnp.asarray(single(WEIGHTS))
    mapped = jax.vmap(utility.weighted_sum, (0, None))(rates, weights)
    assert_close(mapped, np.asarray(utility.weighted_sum(rates, weights)), 8 * EPS32)
