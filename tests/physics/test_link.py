"""Cascaded channels, SINR and rates against explicit sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import link as ref
from reference.tools import EPS32, assert_close, assert_near, complex_normal, single

from thzjax.physics import link

# Compiled once per shape here; test_habits.py holds them against their eager selves.
cascaded_channel = jax.jit(link.cascaded_channel)
per_antenna_power = jax.jit(link.per_antenna_power)
rates = jax.jit(link.rates)
sinr = jax.jit(link.sinr)
sum_rate = jax.jit(link.sum_rate)

K, M, N = 3, 4, 5
seeds = st.integers(0, 10_000)


def channel_parts(seed):
    return (
        complex_normal(seed, K, M),
        complex_normal(seed + 1, K, N),
        complex_normal(seed + 2, N),
        complex_normal(seed + 3, N, M),
    )


def draw(seed, streams=K):
    return jnp.asarray(single(complex_normal(seed, K, M))), jnp.asarray(single(complex_normal(seed + 1, M, streams)))


def test_cascaded_channel_matches_reference(x64):
    parts = [np.stack(p) for p in zip(channel_parts(0), channel_parts(10), strict=True)]
    actual = cascaded_channel(*(jnp.asarray(p) for p in parts))
    assert actual.dtype == jnp.complex128
    assert_near(actual, np.stack([ref.cascaded_channel(*channel_parts(s)) for s in (0, 10)]), 1e-10)


def test_cascaded_channel_float32():
    parts = [single(p) for p in channel_parts(4)]
    actual = cascaded_channel(*(jnp.asarray(p) for p in parts))
    assert actual.dtype == jnp.complex64
    # Sums of N + 1 complex products: at most 2 (N + 1) roundings of terms near the largest entry's size.
    assert_near(actual, ref.cascaded_channel(*parts), 2 * (N + 1) * EPS32)


def test_one_reflection_serves_a_batch_of_channels():
    direct, to_user, psi, to_surface = (jnp.asarray(single(p)) for p in channel_parts(5))
    batch = cascaded_channel(jnp.stack([direct, -direct]), to_user, psi, to_surface)
    assert batch.shape == (2, K, M)
    assert_near(batch[1], np.asarray(cascaded_channel(-direct, to_user, psi, to_surface)), 2 * EPS32)
    sweep = cascaded_channel(direct, to_user, jnp.stack([psi, 0 * psi]), to_surface)
    np.testing.assert_array_equal(sweep[1], direct)  # a dark surface leaves the direct channel


def test_cascade_has_no_hidden_conjugate(x64):
    # One element, one antenna, one user: the product itself.
    one = [jnp.asarray(x) for x in (np.zeros((1, 1), complex), np.array([[1j]]), np.array([1j]), np.array([[1j]]))]
    assert complex(cascaded_channel(*one)[0, 0]) == -1j


@pytest.mark.parametrize("streams", [K, K + 2])
@pytest.mark.parametrize("noise", [0.3, np.array([0.3, 1.0, 2.0])])
def test_sinr_and_rates_match_reference(x64, streams, noise):
    H, W = complex_normal(0, 2, K, M), complex_normal(1, 2, M, streams)
    arguments = jnp.asarray(H), jnp.asarray(W), jnp.asarray(noise)
    for function, reference in ((sinr, ref.sinr), (rates, ref.rates)):
        actual = function(*arguments)
        assert actual.dtype == jnp.float64
        assert_close(actual, np.stack([reference(H[b], W[b], noise) for b in range(2)]), 1e-10)
    total = sum_rate(*arguments)
    assert total.dtype == jnp.float64
    assert_close(total, [ref.sum_rate(H[b], W[b], noise) for b in range(2)], 1e-10)


def test_batched_noise_stands_in_a_trailing_axis_of_one(x64):
    H, W, noise = complex_normal(2, 3, K, M), complex_normal(3, 3, M, K), np.array([0.1, 1.0, 10.0])
    actual = sinr(jnp.asarray(H), jnp.asarray(W), jnp.asarray(noise)[:, None])
    assert_close(actual, np.stack([ref.sinr(H[b], W[b], noise[b]) for b in range(3)]), 1e-10)
    sweep = sum_rate(jnp.asarray(H[0]), jnp.asarray(W[0]), jnp.asarray(noise)[:, None])
    assert_close(sweep, [ref.sum_rate(H[0], W[0], n) for n in noise], 1e-10)


def test_sinr_and_rates_float32():
    for seed in range(5):
        H, W = single(complex_normal(seed, K, M)), single(complex_normal(seed + 50, M, K))
        actual = sinr(jnp.asarray(H), jnp.asarray(W), jnp.float32(0.5))
        assert actual.dtype == jnp.float32
        powers = ref.received_powers(H.astype(complex), W.astype(complex))
        # A sum of M products can cancel: its error is 2 M eps of the sum of moduli, its power's twice that.
        moduli = np.abs(H).astype(float) @ np.abs(W).astype(float)
        amplification = np.diag(moduli) / np.sqrt(np.diag(powers))
        expected = ref.sinr(H.astype(complex), W.astype(complex), 0.5)
        disturbance = np.diag(powers) / expected
        spread = np.array([sum(2 * moduli[k, s] * powers[k, s] ** 0.5 for s in range(K) if s != k) for k in range(K)])
        bound = 2 * M * EPS32 * (2 * amplification + spread / disturbance + 2)
        assert np.all(np.abs(np.asarray(actual, float) / expected - 1) < bound)
        per_user = rates(jnp.asarray(H), jnp.asarray(W), jnp.float32(0.5))
        assert per_user.dtype == jnp.float32
        wanted = np.log2(1 + expected)
        assert np.all(np.abs(np.asarray(per_user, float) - wanted) < bound / np.log(2) + 4 * EPS32 * (1 + wanted))


def test_rates_of_weak_links_keep_their_digits():
    # At -80 dB, 1 + SINR loses all of the SINR in float32 and log2(1 + x) would return 0 or 1.2e-7.
    H, W = jnp.full((1, 1), 1e-4, jnp.complex64), jnp.ones((1, 1), jnp.complex64)
    weak = rates(H, W, jnp.float32(1.0))
    assert float(weak[0]) == pytest.approx(1e-8 / np.log(2), rel=1e-5)


@given(seeds, st.lists(st.floats(-3.1, 3.1), min_size=K, max_size=K))
def test_sinr_ignores_the_phase_of_each_beam(seed, phases):
    H, W = draw(seed)
    turned = W * jnp.asarray(np.exp(1j * np.array(phases)), jnp.complex64)
    before, after = (np.asarray(sinr(H, w, jnp.float32(0.5))) for w in (W, turned))
    # Fields of size up to about 4 carry errors of some 10 eps; the greatest SINR sets the scale here.
    assert_near(after, before, 200 * EPS32)


@given(seeds, st.floats(1e-3, 1e3))
def test_sinr_ignores_a_common_scale_of_signal_and_noise(seed, scale):
    H, W = draw(seed)
    before = sinr(H, W, jnp.float32(0.5))
    after = sinr(H, W * jnp.asarray(scale, jnp.complex64), jnp.float32(0.5 * scale**2))
    assert_near(after, np.asarray(before), 200 * EPS32)


@given(seeds, st.floats(0.01, 10.0), st.floats(1.01, 10.0))
def test_rates_fall_with_noise(seed, noise, factor):
    H, W = draw(seed)
    quiet, loud = (np.asarray(rates(H, W, jnp.float32(n))) for n in (noise, factor * noise))
    assert np.all(loud < quiet)
    assert np.all(loud > 0)


@given(seeds)
def test_a_sensing_stream_disturbs_everyone(seed):
    H, W = draw(seed, K + 1)
    without, along = (np.asarray(sinr(H, w, jnp.float32(0.1))) for w in (W[:, :K], W))
    assert along.shape == (K,)
    assert np.all(along < without)
    # 1/SINR grows by exactly the stream's power over the user's own.
    powers = ref.received_powers(np.asarray(H, complex), np.asarray(W, complex))
    growth = powers[:, K] / np.diag(powers)
    np.testing.assert_allclose(1 / along - 1 / without, growth, rtol=1e-3, atol=1e-4 * np.max(1 / along))


def test_alone_and_without_interference_the_rate_is_capacity(x64):
    h = complex_normal(7, 1, M)
    w = h.conj().T / np.linalg.norm(h) * np.sqrt(2.0)
    actual = sum_rate(jnp.asarray(h), jnp.asarray(w), jnp.asarray(0.1))
    assert float(actual) == pytest.approx(np.log2(1 + 2.0 * np.linalg.norm(h) ** 2 / 0.1), rel=1e-12)


def test_collinear_users_share_one_degree_of_freedom(x64):
    # With a channel of rank one, sum_k SINR_k / (1 + SINR_k) <= 1 whatever the beams.
    H = complex_normal(0, 4, 1) @ complex_normal(1, 1, M)
    for seed in range(20):
        gamma = np.asarray(sinr(jnp.asarray(H), jnp.asarray(complex_normal(seed, M, 4)), jnp.asarray(1e-6)))
        assert np.sum(gamma / (1 + gamma)) <= 1.0


def test_gradient_at_silence_is_finite():
    H, W = draw(3)
    slope = jax.grad(lambda w: sum_rate(H, w, jnp.float32(0.5)))(0 * W)
    np.testing.assert_array_equal(slope, 0 * W)


def test_per_antenna_power_matches_reference(x64):
    W = complex_normal(0, 2, M, K)
    actual = per_antenna_power(jnp.asarray(W))
    assert actual.dtype == jnp.float64
    assert_close(actual, np.stack([ref.per_antenna_power(w) for w in W]), 1e-10)


@given(seeds)
def test_per_antenna_power_adds_up_and_ignores_rotation_of_streams(seed):
    _, W = draw(seed)
    power = per_antenna_power(W)
    assert power.dtype == jnp.float32
    assert float(jnp.sum(power)) == pytest.approx(np.sum(np.abs(np.asarray(W, complex)) ** 2), rel=8 * EPS32)
    unitary = np.linalg.qr(complex_normal(seed + 2, K, K))[0]
    rotated = per_antenna_power(jnp.asarray(single(np.asarray(W) @ unitary)))
    assert_close(rotated, np.asarray(power), 40 * EPS32)
