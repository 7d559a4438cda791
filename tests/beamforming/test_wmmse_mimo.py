"""WMMSE for several antennas: the textbook's rounds, monotone, feasible, stationary, and capacity for one user."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import mimo as ref
from reference.tools import assert_near, complex_normal

from thzjax.beamforming import wmmse
from thzjax.beamforming.wmmse_mimo import wmmse_mimo
from thzjax.errors import ConfigError
from thzjax.physics.link import by_user, mimo_rates, side_by_side

K, R, M, D, NOISE, POWER = 3, 2, 4, 2, 0.5, 10.0
LONG = 600
WEIGHTS = np.array([0.5, 1.0, 2.0])
FORMS = [("sum", "bisection"), ("sum", "implicit"), ("per_antenna", "bisection")]
every_form = pytest.mark.parametrize(("constraint", "multiplier"), FORMS)
compiled = jax.jit(wmmse_mimo, static_argnames=("iterations", "constraint", "multiplier"))


def setting(seed, users=K, receive=R, antennas=M, streams=D):
    """A channel and a start with a quarter of the power."""
    H = complex_normal(seed, users, receive, antennas)
    W = complex_normal(seed + 100, users, antennas, streams)
    return H, W * np.sqrt(POWER / 4 / np.sum(np.abs(W) ** 2))


@functools.cache
def long_run(constraint, multiplier):
    settings = [setting(seed) for seed in range(3)]
    H, W0 = (np.stack(x) for x in zip(*settings, strict=True))
    W, history = compiled(
        jnp.asarray(H), jnp.asarray(W0), NOISE, POWER, LONG, jnp.asarray(WEIGHTS), constraint, multiplier
    )
    assert W.dtype == jnp.complex128
    assert W.shape == (3, K, M, D)
    assert history.shape == (3, LONG)
    return H, W0, np.asarray(W), np.asarray(history)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_rounds_under_a_total_power_match_the_textbook(x64, weights):
    H, W0 = setting(7)
    given = None if weights is None else jnp.asarray(weights)
    W, history = compiled(jnp.asarray(H), jnp.asarray(W0), NOISE, POWER, 5, given)
    expected, rates = ref.wmmse_mimo(H, W0, NOISE, POWER, 5, weights)
    # Two bisections of one multiplier, as in the test of `wmmse`.
    assert_near(W, expected, 1e-8)
    assert_near(history, rates, 1e-8)


@every_form
def test_long_runs_are_feasible_monotone_and_stationary(x64, constraint, multiplier):
    H, W0, W, history = long_run(constraint, multiplier)

    def rate(parts, h):
        beams = jax.lax.complex(parts[0], parts[1])
        return jnp.sum(jnp.asarray(WEIGHTS) * mimo_rates(jnp.asarray(h), beams, NOISE))

    def off(h, w):
        """Part of the gradient that no multiplier of the constraint explains, over its norm."""
        parts = jax.grad(rate)(jnp.stack([jnp.asarray(w.real), jnp.asarray(w.imag)]), h)
        slope = np.asarray(parts[0]) + 1j * np.asarray(parts[1])
        slope, rows = (np.moveaxis(x, -2, 0).reshape(M, -1) for x in (slope, w))
        powers = np.sum(np.abs(rows) ** 2, axis=1)
        if constraint == "sum":
            assert np.sum(powers) == pytest.approx(POWER, rel=1e-9)
            price = np.full(M, np.real(np.vdot(rows, slope)) / POWER)
        else:
            assert np.max(powers) <= POWER / M * (1 + 1e-9)
            tight = powers > POWER / M * (1 - 1e-6)
            price = np.where(tight, np.real(np.sum(np.conj(rows) * slope, axis=1)) / powers, 0)
        assert np.all(price >= 0)
        return np.linalg.norm(slope - price[:, None] * rows) / np.linalg.norm(slope)

    for b in range(len(H)):
        assert np.min(np.diff(history[b])) >= -1e-9
        final = np.sum(WEIGHTS * ref.mimo_rates(H[b], W[b], NOISE))
        assert history[b, -1] == pytest.approx(final, rel=1e-10)
        assert history[b, 0] > np.sum(WEIGHTS * ref.mimo_rates(H[b], W0[b], NOISE))
        assert off(H[b], W[b]) < 2e-3


@pytest.mark.parametrize(("constraint", "multiplier"), FORMS[:2])
def test_one_user_reaches_capacity(x64, constraint, multiplier):
    H, W0 = setting(3, users=1, receive=3, streams=3)
    W, history = compiled(jnp.asarray(H), jnp.asarray(W0), NOISE, POWER, LONG, None, constraint, multiplier)
    gains = np.linalg.svd(H[0], compute_uv=False) ** 2 / NOISE
    capacity = np.sum(np.log2(1 + ref.water_filling(gains, POWER) * gains))
    assert float(history[-1]) <= capacity * (1 + 1e-9)
    # Approached as 1/iterations where a weak mode fades out.
    assert float(history[-1]) == pytest.approx(capacity, rel=1e-3)
    assert np.sum(np.abs(np.asarray(W)) ** 2) <= POWER * (1 + 1e-9)


@every_form
def test_one_antenna_each_is_wmmse(x64, constraint, multiplier):
    H, W0 = setting(9, receive=1, streams=1)
    W, history = compiled(jnp.asarray(H), jnp.asarray(W0), NOISE, POWER, 4, None, constraint, multiplier)
    beams, rates = wmmse(
        jnp.asarray(H[:, 0]), side_by_side(jnp.asarray(W0)), NOISE, POWER, 4, None, constraint, multiplier
    )
    assert_near(history, rates, 1e-8)
    # The implicit form may keep another common phase of nothing: the beams themselves agree.
    assert_near(side_by_side(W), beams, 1e-7)


def test_float32_of_physical_size():
    H, W0 = setting(1)
    small = 1e-5
    W, history = compiled(
        jnp.asarray(small * H, jnp.complex64), jnp.asarray(W0, jnp.complex64), NOISE * small**2, POWER, 20
    )
    with jax.enable_x64(True):
        _, expected = compiled(jnp.asarray(H), jnp.asarray(W0), NOISE, POWER, 20)
        expected = np.asarray(expected)
    # Single precision through solves of condition 1e2 to 1e3.
    np.testing.assert_allclose(history, expected, rtol=1e-3)
    assert np.all(np.isfinite(W))


def test_refusals():
    H, W0 = (jnp.asarray(x) for x in setting(0))
    with pytest.raises(ConfigError, match="per_antenna"):
        wmmse_mimo(H, W0, NOISE, POWER, 1, constraint="each")
    with pytest.raises(ConfigError, match="implicit"):
        wmmse_mimo(H, W0, NOISE, POWER, 1, constraint="per_antenna", multiplier="implicit")


def test_side_by_side_and_back():
    W = jnp.asarray(complex_normal(0, 2, K, M, D))
    flat = side_by_side(W)
    assert flat.shape == (2, M, K * D)
    np.testing.assert_array_equal(flat[:, :, 2 * D + 1], W[:, 2, :, 1])
    np.testing.assert_array_equal(by_user(flat, K), W)
