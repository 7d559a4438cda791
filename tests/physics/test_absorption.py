"""Absorption models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import absorption as ref
from reference.tools import assert_close

from thzjax.physics.absorption import constant_absorption


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_constant_absorption_takes_the_shape_of_the_frequency(x64, shape):
    freq_hz = np.full(shape, 0.55e12)
    actual = constant_absorption(6.7141e-4)(jnp.asarray(freq_hz))
    assert actual.dtype == jnp.float64
    assert_close(actual, ref.constant_absorption(6.7141e-4, freq_hz), 1e-15)


def test_constant_absorption_float32():
    absorption = constant_absorption(6.7141e-4)
    freq_hz = jnp.asarray([1e11, 1e12], jnp.float32)
    assert absorption(freq_hz).dtype == jnp.float32
    np.testing.assert_array_equal(absorption(freq_hz), np.full(2, 6.7141e-4, np.float32))
    np.testing.assert_array_equal(jax.jit(absorption)(freq_hz), absorption(freq_hz))
    np.testing.assert_array_equal(jax.vmap(absorption)(freq_hz), absorption(freq_hz))


def test_constant_absorption_has_no_slope():
    slope = jax.grad(lambda f: jnp.sum(constant_absorption(0.01)(f)))(jnp.asarray([1e11, 1e12], jnp.float32))
    np.testing.assert_array_equal(slope, np.zeros(2))


def test_constant_absorption_may_be_traced():
    slope = jax.grad(lambda k: jnp.sum(constant_absorption(k)(jnp.ones((2, 3), jnp.float32))))(jnp.float32(0.1))
    assert float(slope) == 6.0
