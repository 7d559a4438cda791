"""Advantages against a plain loop."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from thzjax.agents.advantages import generalised_advantages


def loop(reward, value, value_next, terminated, truncated, gamma, lam):
    advantage, later = np.zeros_like(reward), 0.0
    for t in reversed(range(len(reward))):
        bootstrap = 0.0 if terminated[t] else value_next[t]
        delta = reward[t] + gamma * bootstrap - value[t]
        later = delta + (0.0 if terminated[t] or truncated[t] else gamma * lam * later)
        advantage[t] = later
    return advantage


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0, 1), st.floats(0, 1))
def test_advantages_are_those_of_a_loop(seed, length, gamma, lam):
    rng = np.random.default_rng(seed)
    reward, value, value_next = rng.normal(size=(3, length)).astype(np.float32)
    terminated, truncated = rng.random((2, length)) < 0.3
    expected = loop(reward, value, value_next, terminated, truncated, gamma, lam)
    actual = generalised_advantages(
        *(jnp.asarray(x) for x in (reward, value, value_next, terminated, truncated)), gamma, lam
    )
    # At most 12 sums of numbers below 5: 60 rounding errors of 6e-8 each.
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_a_time_limit_bootstraps_and_an_end_does_not():
    one, zero = jnp.ones(1), jnp.zeros(1)
    no, yes = jnp.asarray([False]), jnp.asarray([True])
    limited = generalised_advantages(one, zero, 10 * one, no, yes, 0.5, 1.0)
    ended = generalised_advantages(one, zero, 10 * one, yes, no, 0.5, 1.0)
    assert float(limited[0]) == 6.0
    assert float(ended[0]) == 1.0
