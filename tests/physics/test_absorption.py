"""Absorption models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.physics.absorption import constant_absorption


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_constant_absorption_is_the_coefficient_it_is_given(x64, shape):
    k = np.full(shape, 6.7141e-4)
    actual = constant_absorption(k)
    assert actual.dtype == jnp.float64
    np.testing.assert_array_equal(actual, k)


def test_constant_absorption_keeps_float32_and_may_be_traced():
    k = jnp.asarray([1e-4, 0.7], jnp.float32)
    assert constant_absorption(k).dtype == jnp.float32
    np.testing.assert_array_equal(jax.jit(jax.vmap(constant_absorption))(k), k)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(3 * constant_absorption(x)))(k), [3, 3])
