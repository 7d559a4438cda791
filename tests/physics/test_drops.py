"""Spatially correlated fields against their kernels, averaged over independent draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.tools import EPS32, double
from scipy import stats

from thzjax.errors import ConfigError
from thzjax.physics import drops

KEYS, NUM, CORRELATION_M = 4000, 4, 8.0
both_kernels = pytest.mark.parametrize("kernel", ["exponential", "gaussian"])

# A start far from the origin, then steps along every axis and across them.
STEPS = CORRELATION_M * np.array(
    [[0, 0, 0], [0.1, 0, 0], [0.5, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, -0.6, 0.3], [0, 2, 0], [0, -6, 8]], float
)
PLACES = STEPS + np.array([100.0, -40.0, 1.5])


def kernel_of(name, distance_m):
    if name == "exponential":
        return np.exp(-distance_m / CORRELATION_M)
    return np.exp(-(distance_m**2) / (2 * CORRELATION_M**2))


@functools.cache
def drawn(kernel):
    """Values [KEYS, places, NUM] of independent fields at the places."""

    def values(key):
        field = drops.random_field(key, NUM, CORRELATION_M, kernel)
        return drops.field_values(field, jnp.asarray(PLACES, jnp.float32))

    return np.asarray(jax.jit(jax.vmap(values))(jax.random.split(jax.random.key(0), KEYS)), float)


@both_kernels
def test_fields_are_correlated_as_their_kernel(kernel):
    values = drawn(kernel)
    assert values.shape == (KEYS, len(PLACES), NUM)
    # Sums of many waves: the fourth moment is below the normal law's 3, so a product of two values has a variance
    # below 2 and its mean over n draws deviates by less than sqrt(2 / n); five of them.
    slack = 5 * np.sqrt(2 / (KEYS * NUM))
    measured = np.mean(values[:, :1] * values, axis=(0, 2))
    wanted = kernel_of(kernel, np.linalg.norm(STEPS, axis=-1))
    assert np.max(np.abs(measured - wanted)) < slack
    # The other kernel would be told apart.
    other = kernel_of("gaussian" if kernel == "exponential" else "exponential", np.linalg.norm(STEPS, axis=-1))
    assert np.max(np.abs(measured - other)) > 2 * slack
    assert np.max(np.abs(np.mean(values**2, axis=(0, 2)) - 1.0)) < slack
    assert np.max(np.abs(np.mean(values, axis=(0, 2)))) < 5 / np.sqrt(KEYS * NUM)


@both_kernels
def test_fields_of_one_draw_are_independent(kernel):
    values = drawn(kernel)
    for place in (0, 3):
        covariance = values[:, 0].T @ values[:, place] / KEYS
        np.fill_diagonal(covariance, 0.0)
        # Each entry has unit deviation over sqrt(KEYS).
        assert np.max(np.abs(covariance)) < 5 / np.sqrt(KEYS)


@both_kernels
def test_one_point_values_are_close_to_normal(kernel):
    # 64 waves: a fourth cumulant of -1.5/64 moves the distribution by less than 1e-3.
    sample = np.sort(drawn(kernel)[:, 0].ravel())
    gap = np.max(np.abs(stats.norm.cdf(sample) - (np.arange(sample.size) + 0.5) / sample.size))
    assert gap < 1e-3 + 2.5 / np.sqrt(sample.size)  # the Kolmogorov-Smirnov level of one in 1e5


@both_kernels
def test_uniform_values_are_the_normal_distribution_function(kernel):
    field = drops.random_field(jax.random.key(3), NUM, CORRELATION_M, kernel)
    places = jnp.asarray(np.random.default_rng(0).uniform(-200.0, 200.0, (50, 2, 3)), jnp.float32)
    values, uniform = drops.field_values(field, places), drops.uniform_values(field, places)
    assert values.shape == uniform.shape == (50, 2, NUM)
    assert values.dtype == uniform.dtype == jnp.float32
    assert np.all((np.asarray(uniform) > 0.0) & (np.asarray(uniform) < 1.0))
    np.testing.assert_allclose(uniform, stats.norm.cdf(double(values)), atol=8 * EPS32)


@both_kernels
def test_the_key_and_the_place_decide(kernel):
    build = functools.partial(drops.random_field, num=NUM, correlation_m=CORRELATION_M, kernel=kernel)
    place = jnp.asarray(PLACES, jnp.float32)
    first, again, other = (np.asarray(drops.field_values(build(jax.random.key(k)), place)) for k in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.max(np.abs(first - other)) > 0.5
    np.testing.assert_array_equal(first[0], drops.field_values(build(jax.random.key(5)), place)[0])
    # Neighbours in place are neighbours in value: a millimetre is far below the correlation distance.
    near = np.asarray(drops.field_values(build(jax.random.key(5)), place + 1e-3))
    assert np.max(np.abs(near - first)) < 0.5


@both_kernels
def test_fields_pass_through_jit_and_vmap(kernel):
    field = drops.random_field(jax.random.key(7), NUM, CORRELATION_M, kernel)
    place = jnp.asarray(PLACES[:4], jnp.float32)
    eager = np.asarray(drops.field_values(field, place))
    # One field in a hundred has a wave 1e4 times shorter than the correlation distance: 1e5 rad from the origin,
    # rounded to 4e-3 rad, times sqrt(2/64).
    np.testing.assert_allclose(jax.jit(drops.field_values)(field, place), eager, atol=1e-3)
    mapped = jax.jit(jax.vmap(drops.field_values, in_axes=(None, 0)))(field, place)
    np.testing.assert_allclose(mapped, eager, atol=1e-3)


@both_kernels
def test_slopes_by_place_and_range_are_finite(kernel):
    place = jnp.asarray([3.0, -1.0, 1.5])

    def total(p, correlation_m):
        field = drops.random_field(jax.random.key(8), NUM, correlation_m, kernel)
        return jnp.sum(drops.uniform_values(field, p))

    by_place, by_range = jax.jit(jax.grad(total, (0, 1)))(place, jnp.float32(CORRELATION_M))
    assert np.all(np.isfinite(np.asarray(by_place)))
    assert np.any(np.asarray(by_place) != 0.0)
    assert np.isfinite(float(by_range))


def test_float64_fields(x64):
    field = drops.random_field(jax.random.key(9), 2, 5.0)
    values = drops.field_values(field, jnp.asarray([1.0, 2.0, 3.0]))
    assert values.dtype == jnp.float64
    # The slope against differences of the field itself.
    slope = jax.jacfwd(lambda p: drops.field_values(field, p))(jnp.asarray([1.0, 2.0, 3.0]))
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 1e-7
        ends = [drops.field_values(field, jnp.asarray([1.0, 2.0, 3.0] + s * step)) for s in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-7, slope[:, axis], rtol=1e-4, atol=1e-5)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ConfigError, match="box"):
        drops.random_field(jax.random.key(0), 1, 5.0, kernel="box")
