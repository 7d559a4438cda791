"""Rates of users with several antennas against explicit determinants; subcarriers; bits per joule."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import mimo as ref
from reference.tools import EPS32, assert_close, assert_near, complex_normal, double, single

from thzjax.physics import link

# Compiled once per shape here; the batch test holds them against vmap and their eager selves.
cascaded_channel_mimo = jax.jit(link.cascaded_channel_mimo)
mimo_rates = jax.jit(link.mimo_rates)
ofdm_sum_rate = jax.jit(link.ofdm_sum_rate)

K, M, N, F = 3, 4, 5, 3
SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (4, 2), (2, 4), (4, 4)]
seeds = st.integers(0, 10_000)


def draw(seed, receivers=2, streams=2, users=K):
    return complex_normal(seed, users, receivers, M), complex_normal(seed + 1, users, M, streams)


def wide(*arrays):
    return tuple(jnp.asarray(double(a)) for a in arrays)


def narrow(*arrays):
    return tuple(jnp.asarray(single(a)) for a in arrays)


def unitaries(seed, num):
    return np.stack([np.linalg.qr(complex_normal(seed + 100 + k, num, num))[0] for k in range(K)])


def rounding(H, W, noise):
    """What float32 may move each user's rate by: five deviations of independent roundings by EPS32/2.

    The rate is ln det T - ln det Q over ln 2, T and Q sums of products of fields. d ln det T = tr(T^-1 dT): fields
    cost 2 M roundings of their sums of moduli, twice in a product, the sum K D more, factors of size R 4 R.
    """
    out = []
    for k in range(len(H)):
        Q = ref.disturbance(H, W, k, noise)
        moduli = noise * np.eye(len(Q))
        for beams in W:
            fields = np.abs(H[k]) @ np.abs(beams)
            moduli = moduli + fields @ fields.T
        weights = [np.linalg.norm(np.linalg.inv(x) * moduli) for x in (Q, Q + ref.heard(H[k], W[k]))]
        count = 4 * M + W.shape[0] * W.shape[2] + 4 * len(Q)
        out.append(5 * math.sqrt(count) * EPS32 / 2 * math.hypot(*weights) / math.log(2))
    return np.array(out)


def test_cascaded_channel_mimo_matches_reference(x64):
    psi, to_surface = complex_normal(2, N), complex_normal(3, N, M)
    for receivers in (1, 2):
        direct, to_user = complex_normal(0, K, receivers, M), complex_normal(1, K, receivers, N)
        H = cascaded_channel_mimo(*wide(direct, to_user, psi, to_surface))
        assert H.dtype == jnp.complex128
        assert_near(H, ref.cascaded_channel_mimo(direct, to_user, psi, to_surface), 1e-10)
    # With one antenna it is the channel of one antenna.
    direct, to_user = complex_normal(0, K, 1, M), complex_normal(1, K, 1, N)
    flat = link.cascaded_channel(*wide(direct[:, 0], to_user[:, 0], psi, to_surface))
    assert_near(cascaded_channel_mimo(*wide(direct, to_user, psi, to_surface))[:, 0], np.asarray(flat), 1e-12)


def test_cascaded_channel_mimo_float32_and_batches():
    parts = complex_normal(0, 2, K, 2, M), complex_normal(1, K, 2, N), complex_normal(2, 2, N), complex_normal(3, N, M)
    direct, to_user, psi, to_surface = (single(p) for p in parts)
    H = cascaded_channel_mimo(*narrow(direct, to_user, psi, to_surface))
    assert H.dtype == jnp.complex64
    assert H.shape == (2, K, 2, M)
    for b in range(2):
        # Sums of N + 1 complex products: at most 2 (N + 1) roundings of terms near the largest entry's size.
        expected = ref.cascaded_channel_mimo(direct[b], to_user, psi[b], to_surface)
        assert_near(H[b], expected, 2 * (N + 1) * EPS32)


@pytest.mark.parametrize(("receivers", "streams"), SIZES)
def test_rates_match_reference(x64, receivers, streams):
    for seed, noise in ((0, 0.3), (4, np.array([0.05, 1.0, 20.0]))):
        H, W = draw(seed, receivers, streams)
        rates = mimo_rates(*wide(H, W), jnp.broadcast_to(jnp.asarray(noise), (K,)))
        assert rates.dtype == jnp.float64
        assert_close(rates, ref.mimo_rates(H, W, noise), 1e-10)


@pytest.mark.parametrize(("receivers", "streams"), SIZES)
def test_rates_float32(receivers, streams):
    for seed in range(3):
        H, W = (single(x) for x in draw(seed, receivers, streams))
        rates = mimo_rates(*narrow(H, W), jnp.full(K, 0.5, jnp.float32))
        assert rates.dtype == jnp.float32
        expected, bound = ref.mimo_rates(double(H), double(W), 0.5), rounding(double(H), double(W), 0.5)
        assert np.max(bound) < 1e-3
        assert np.all(np.abs(double(rates) - expected) < bound + 4 * EPS32 * expected)


def test_one_stream_to_one_antenna_is_the_scalar_rate(x64):
    H, W = draw(1, 1, 1)
    noise = jnp.asarray([0.1, 1.0, 10.0])
    scalar = link.rates(*wide(H[:, 0], W[:, :, 0].T), noise)
    assert_close(mimo_rates(*wide(H, W), noise), np.asarray(scalar), 1e-12)


@pytest.mark.parametrize(("receivers", "streams"), [(2, 2), (4, 2)])
def test_alone_the_rate_is_that_of_the_channel(x64, receivers, streams):
    H, W = draw(2, receivers, streams, users=1)
    field = H[0] @ W[0]
    expected = np.linalg.slogdet(np.eye(receivers) + field @ field.conj().T / 0.3)[1] / np.log(2)
    assert float(mimo_rates(*wide(H, W), 0.3)[0]) == pytest.approx(expected, rel=1e-12)


def test_alone_no_beams_beat_water_filling(x64):
    for power in (0.2, 3.0, 50.0):
        H = complex_normal(5, 1, 4, M)
        _, singular, right = np.linalg.svd(H[0])
        gains = singular**2 / 0.7
        powers = ref.water_filling(gains, power)
        assert np.sum(powers) == pytest.approx(power, rel=1e-12)
        best = right.conj().T * np.sqrt(powers)
        capacity = np.sum(np.log2(1 + gains * powers))
        assert float(mimo_rates(*wide(H, best[None]), 0.7)[0]) == pytest.approx(capacity, rel=1e-12)
        for seed in range(20):
            near = best + (0.03 if seed % 2 else 3.0) * np.sqrt(power) * complex_normal(seed, M, 4)
            near *= np.sqrt(power) / np.linalg.norm(near)
            assert float(mimo_rates(*wide(H, near[None]), 0.7)[0]) < capacity


@given(seeds)
def test_rotations_of_streams_and_of_receivers_change_nothing(x64, seed):
    H, W = draw(seed)
    rates = mimo_rates(*wide(H, W), 0.2)
    assert_close(mimo_rates(*wide(H, W @ unitaries(seed, 2)), 0.2), np.asarray(rates), 1e-10)
    assert_close(mimo_rates(*wide(unitaries(seed, 2) @ H, W), 0.2), np.asarray(rates), 1e-10)


@given(seeds, st.floats(1e-3, 1e3), st.floats(1.01, 10.0))
def test_rates_fall_with_noise(x64, seed, noise, factor):
    quiet, loud = (np.asarray(mimo_rates(*wide(*draw(seed)), n)) for n in (noise, factor * noise))
    assert np.all(loud < quiet)
    assert np.all(loud > 0)


@pytest.mark.parametrize(("receivers", "streams"), [(2, 2), (4, 4)])
def test_a_common_scale_of_signal_and_noise_changes_nothing(receivers, streams):
    # In watts noise is 1e-14, and its fourth power is no float32: determinants may not be formed from it.
    H, W = (single(x) for x in draw(3, receivers, streams))
    expected, bound = ref.mimo_rates(double(H), double(W), 0.25), rounding(double(H), double(W), 0.25)
    for exponent in (-60, -46, -20, 20, 60):  # powers of two: inputs scale without rounding
        scale = np.float32(2.0 ** (exponent // 2))
        rates = mimo_rates(*narrow(scale * H, W), jnp.float32(0.25 * scale * scale))
        assert np.all(np.abs(double(rates) - expected) < bound + 4 * EPS32 * expected)


@given(seeds, st.floats(0.05, 5.0))
def test_interfering_users_lower_rates(x64, seed, loudness):
    H, W = draw(seed)
    silent = W.copy()
    silent[2] = 0.0
    W[2] *= loudness
    rates, before = (np.asarray(mimo_rates(*wide(H, w), 0.5)) for w in (W, silent))
    assert np.all(rates[:2] < before[:2])
    assert abs(before[2]) < 1e-12
    # A silent user disturbs nobody: it might as well not be there.
    assert_close(before[:2], ref.mimo_rates(H[:2], W[:2], 0.5), 1e-10)


@pytest.mark.parametrize(("receivers", "streams"), [(1, 1), (2, 2), (4, 2), (4, 4)])
def test_rates_of_weak_links_keep_their_digits(receivers, streams):
    # A determinant 1 + 1e-6 holds 1e-6 to one digit in float32; the rate has to come without that sum.
    H, W = (single(x) for x in draw(6, receivers, streams))
    H = single(4e-4 * H)
    rates = mimo_rates(*narrow(H, W), jnp.float32(1.0))
    expected = ref.mimo_rates(double(H), double(W), 1.0)
    assert np.all((expected > 1e-7) & (expected < 3e-5))
    # To first order the rate is the fields' power over the noise: 2 M roundings of each sum of moduli, doubled by
    # the square, over the fields; the rest (products, noise, interference of 1e-6) costs a few roundings of it.
    fields, moduli = np.abs(double(H) @ double(W)), np.abs(double(H)) @ np.abs(double(W))
    amplification = np.sum(fields * moduli, axis=(1, 2)) / np.sum(fields**2, axis=(1, 2))
    bound = (4 * M * amplification + 8 + receivers * streams) * EPS32
    assert np.all(bound < 1e-4)
    assert np.all(np.abs(double(rates) - expected) < bound * expected)


def test_gradients_are_those_of_finite_differences(x64):
    H, W = draw(7)

    @jax.jit
    def loss(h, w):
        return jnp.sum(link.mimo_rates(h, w, 0.4) * jnp.asarray([1.0, -0.5, 2.0]))

    slopes = jax.jit(jax.grad(loss, (0, 1)))
    for place in (W, 0 * W):
        by_h, by_w = slopes(*wide(H, place))
        for seed in range(3):
            moves = 1e-6 * complex_normal(seed, *H.shape), 1e-6 * complex_normal(seed + 9, *W.shape)
            ends = [loss(*wide(H + sign * moves[0], place + sign * moves[1])) for sign in (1, -1)]
            # jax.grad by a complex argument is the conjugate of the ascent direction.
            predicted = sum(float(np.sum(np.real(double(s) * m))) for s, m in zip((by_h, by_w), moves, strict=True))
            # Rates near 10 round to 1e-15; the step is 1e-6.
            assert float(ends[0] - ends[1]) / 2 == pytest.approx(predicted, rel=1e-6, abs=1e-13)
    np.testing.assert_array_equal(by_w, 0.0)  # silence is a saddle, not a NaN


def test_batch_vmap_and_eager_agree():
    H, W = narrow(*(np.stack(x) for x in zip(*(draw(seed) for seed in range(4)), strict=True)))
    noise = jnp.asarray([0.5, 1.0, 2.0, 4.0], jnp.float32)
    batch = np.asarray(link.mimo_rates(H, W, noise[:, None]))
    assert batch.shape == (4, K)
    bound = 2 * max(np.max(rounding(double(h), double(w), 0.5)) for h, w in zip(H, W, strict=True))
    assert bound < 1e-3
    vmapped = jax.jit(jax.vmap(link.mimo_rates))(H, W, noise)
    assert np.max(np.abs(vmapped - batch)) < bound
    for b in range(4):
        assert np.max(np.abs(mimo_rates(H[b], W[b], noise[b]) - batch[b])) < bound
    assert np.max(np.abs(link.mimo_rates(H, W[0], noise[0])[0] - batch[0])) < bound


@functools.cache
def carriers():
    return complex_normal(0, 2, F, K, M), complex_normal(1, 2, M, K + 1), complex_normal(2, 2, F, M, K + 1)


@pytest.mark.parametrize("noise", [0.3, np.linspace(0.1, 1.0, F)[:, None], np.linspace(0.1, 1.0, F * K).reshape(F, K)])
def test_ofdm_sum_rate_matches_reference(x64, noise):
    H, common, own = carriers()
    for W in (common, own):
        alone = ofdm_sum_rate(*wide(H[0], W[0]), jnp.asarray(noise))
        assert alone.dtype == jnp.float64
        assert_close(alone, ref.ofdm_sum_rate(H[0], W[0], noise), 1e-10)
        batch = ofdm_sum_rate(*wide(H, W), jnp.asarray(noise))
        assert_close(batch, [ref.ofdm_sum_rate(H[b], W[b], noise) for b in range(2)], 1e-10)
    # One set of beams for all subcarriers of all channels.
    shared = ofdm_sum_rate(*wide(H, common[0]), jnp.asarray(noise))
    assert_close(shared, [ref.ofdm_sum_rate(h, common[0], noise) for h in H], 1e-10)


def test_ofdm_float32_and_its_relation_to_one_carrier():
    H, common, own = (narrow(x)[0] for x in carriers())
    sum_rate = ofdm_sum_rate(H, own, jnp.float32(0.3))
    assert sum_rate.dtype == jnp.float32
    # The mean over subcarriers of what link.sum_rate gives: F + 1 more roundings, 40 for another order of sums.
    per_carrier = np.asarray(link.sum_rate(H, own, jnp.float32(0.3)))
    assert_close(sum_rate, np.mean(double(per_carrier), axis=-1), (40 + F + 1) * EPS32)
    # A flat channel has the sum rate of any of its subcarriers, whichever way the beams are given.
    flat = jnp.broadcast_to(H[:, :1], H.shape)
    single_rate = np.asarray(link.sum_rate(H[:, 0], common, jnp.float32(0.3)))
    assert_close(ofdm_sum_rate(flat, common, jnp.float32(0.3)), single_rate, 80 * EPS32)
    repeated = jnp.broadcast_to(common[:, None], (2, F, M, K + 1))
    assert_close(ofdm_sum_rate(flat, repeated, jnp.float32(0.3)), single_rate, 80 * EPS32)
    vmapped = jax.vmap(lambda h, w: link.ofdm_sum_rate(h, w, jnp.float32(0.3)))(H, common)
    assert_close(vmapped, np.asarray(ofdm_sum_rate(H, common, jnp.float32(0.3))), 80 * EPS32)


def test_energy_efficiency_matches_reference(x64):
    rate, radiated = np.array([0.5, 3.0, 20.0]), np.array([0.01, 1.0, 4.0])
    for efficiency in (1.0, 0.35):
        actual = link.energy_efficiency(*wide(rate), 1e9, *wide(radiated), 2.0, efficiency)
        assert actual.dtype == jnp.float64
        expected = [ref.energy_efficiency(r, 1e9, p, 2.0, efficiency) for r, p in zip(rate, radiated, strict=True)]
        assert_close(actual, expected, 1e-10)
    # By default every watt that the amplifiers draw is radiated.
    assert_close(link.energy_efficiency(jnp.asarray(3.0), 2e9, 1.0, 5.0), 1e9, 1e-15)
    slopes = jax.grad(link.energy_efficiency, (0, 2, 3, 4))(*wide(3.0), 1e9, *wide(1.0, 2.0, 0.5))
    np.testing.assert_allclose(slopes, [1e9 / 4, -2 * 3e9 / 16, -3e9 / 16, 4 * 3e9 / 16], rtol=1e-12)


@given(st.floats(1e-3, 30.0), st.floats(1e-3, 10.0), st.floats(1e-2, 50.0), st.floats(0.05, 1.0))
def test_energy_efficiency_float32(rate, radiated, circuit, efficiency):
    rate, radiated, circuit, efficiency = (np.float32(x) for x in (rate, radiated, circuit, efficiency))
    actual = link.energy_efficiency(*narrow(rate), jnp.float32(1e10), *narrow(radiated, circuit, efficiency))
    assert actual.dtype == jnp.float32
    numbers = float(rate), 1e10, float(radiated), float(circuit), float(efficiency)
    assert_close(actual, ref.energy_efficiency(*numbers), 4 * EPS32)
    assert float(actual) <= float(link.energy_efficiency(*narrow(rate), 1e10, *narrow(radiated, circuit)))
