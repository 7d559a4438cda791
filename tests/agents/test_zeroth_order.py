"""The zeroth-order estimate: unbiased, and better with more directions."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import truncnorm

from thzjax.agents.zeroth_order import TRUNCATED_VARIANCE, zeroth_order_gradient


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_the_variance_is_that_of_the_truncated_normal():
    np.testing.assert_allclose(TRUNCATED_VARIANCE, truncnorm(-2, 2).var(), rtol=1e-9)


def test_the_estimate_is_unbiased_on_a_quadratic():
    target = jnp.asarray([1.0, -2.0, 0.5])
    params = {"a": jnp.zeros(2), "b": jnp.zeros(1)}

    def f(p):
        return -jnp.sum((jnp.concatenate([p["a"], p["b"]]) - target) ** 2)

    estimates = jax.vmap(lambda k: zeroth_order_gradient(f, params, k, alpha=0.1, directions=1))(
        jax.random.split(jax.random.key(0), 20_000)
    )
    flat = np.concatenate([estimates["a"], estimates["b"]], axis=-1)
    standard_error = flat.std(axis=0) / np.sqrt(len(flat))
    np.testing.assert_array_less(np.abs(flat.mean(axis=0) - 2 * np.asarray(target)), 5 * standard_error)


def test_antithetic_pairs_cancel_the_even_part():
    even = zeroth_order_gradient(lambda p: jnp.sum(p**2), jnp.zeros(4), jax.random.key(0), 0.5, 3)
    np.testing.assert_allclose(even, 0, atol=1e-6)


def test_more_directions_point_nearer_to_the_gradient():
    gradient = jax.random.normal(jax.random.key(1), (400,))

    def mean_cosine(directions):
        keys = jax.random.split(jax.random.key(2), 8)
        found = [
            zeroth_order_gradient(lambda p: jnp.vdot(gradient, p), jnp.zeros(400), k, 0.1, directions) for k in keys
        ]
        return np.mean([cosine(np.asarray(x), np.asarray(gradient)) for x in found])

    # For n isotropic directions in d dimensions the cosine is about sqrt(n/(n + d)): 0.05 and 0.37.
    assert mean_cosine(1) < 0.12
    assert 0.3 < mean_cosine(64) < 0.45
