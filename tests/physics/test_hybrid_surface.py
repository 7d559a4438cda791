"""Hybrid surfaces: what their active elements add to noise and power; phase errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import hybrid_surface as ref
from reference.tools import EPS32, assert_close, assert_near, complex_normal, double, single

from thzjax.errors import ConfigError
from thzjax.physics import link, surface

# Compiled once per shape here; the last tests hold them against batches, vmap and their eager selves.
amplifier_power = jax.jit(surface.amplifier_power)
hybrid_reflection = jax.jit(surface.hybrid_reflection)
phase_errors = jax.jit(surface.phase_errors, static_argnames="kind")
target_noise = jax.jit(surface.target_noise)
user_noise = jax.jit(surface.user_noise)

K, M, N, S = 3, 4, 5, 3
ACTIVE = np.array([True, False, True, True, False])
AMPLITUDE = np.array([0.0, 3.0, 2.5, 7.0, 0.4])
PHASE = np.array([0.3, -2.0, 3.0, 1.0, 5.0])
LIMIT, NOISE, NOISE_V = 5.0, 0.3, 0.07
seeds = st.integers(0, 10_000)


def parts(seed):
    """surface_to_user, psi, G, W in complex128."""
    psi = 2.0 * complex_normal(seed + 1, N)
    return complex_normal(seed, K, N), psi, complex_normal(seed + 2, N, M), complex_normal(seed + 3, M, S)


def wide(*arrays):
    return tuple(jnp.asarray(double(a)) for a in arrays)


def narrow(*arrays):
    return tuple(jnp.asarray(single(a)) for a in arrays)


def test_hybrid_reflection_matches_reference(x64):
    psi = hybrid_reflection(*wide(AMPLITUDE, PHASE), jnp.asarray(ACTIVE), LIMIT)
    assert psi.dtype == jnp.complex128
    assert_near(psi, ref.hybrid_reflection(AMPLITUDE, PHASE, ACTIVE, LIMIT), 1e-10)
    np.testing.assert_allclose(np.abs(psi), [0.0, 1.0, 2.5, 5.0, 1.0], rtol=1e-12)


@given(st.lists(st.floats(-2.0, 9.0), min_size=N, max_size=N), st.floats(0.5, 6.0))
def test_hybrid_reflection_float32_cuts_active_and_ignores_passive_amplitudes(amplitude, limit):
    amplitude, limit = single(amplitude), np.float32(limit)
    phase, active = jnp.asarray(single(PHASE)), jnp.asarray(ACTIVE)
    psi = hybrid_reflection(jnp.asarray(amplitude), phase, active, jnp.asarray(limit))
    assert psi.dtype == jnp.complex64
    expected = ref.hybrid_reflection(amplitude.astype(float), single(PHASE).astype(float), ACTIVE, float(limit))
    # Cosine, sine and one product: each within 2 ulp of the modulus.
    assert np.all(np.abs(double(psi) - expected) <= 4 * EPS32 * np.abs(expected))
    other = jnp.asarray(np.where(ACTIVE, amplitude, np.float32(2.0)))
    np.testing.assert_array_equal(hybrid_reflection(other, phase, active, jnp.asarray(limit)), psi)


def test_unit_amplitudes_without_noise_are_the_passive_surface(x64):
    to_user, _, G, W = wide(*parts(0))
    psi = hybrid_reflection(jnp.ones(N), jnp.asarray(PHASE), jnp.asarray(ACTIVE), LIMIT)
    passive = surface.reflection(1.0, jnp.asarray(PHASE))
    assert_near(psi, np.asarray(passive), 1e-15)
    noise = user_noise(to_user, psi, jnp.asarray(ACTIVE), NOISE, 0.0)
    np.testing.assert_array_equal(noise, np.full(K, NOISE))
    direct = jnp.asarray(complex_normal(9, K, M))
    hybrid = link.rates(link.cascaded_channel(direct, to_user, psi, G), W, noise)
    assert_close(hybrid, np.asarray(link.rates(link.cascaded_channel(direct, to_user, passive, G), W, NOISE)), 1e-12)


@pytest.mark.parametrize("noise", [NOISE, np.array([0.1, 0.5, 2.0])])
def test_noises_and_power_match_reference(x64, noise):
    for seed in (0, 10):
        to_user, psi, G, W = parts(seed)
        active, given_noise = jnp.asarray(ACTIVE), jnp.asarray(noise)
        actual = user_noise(*wide(to_user, psi), active, given_noise, NOISE_V)
        assert actual.dtype == jnp.float64
        assert_close(actual, ref.user_noise(to_user, psi, ACTIVE, noise, NOISE_V), 1e-10)
        power = amplifier_power(*wide(psi), active, *wide(G, W), NOISE_V)
        assert power.dtype == jnp.float64
        assert_close(power, ref.amplifier_power(psi, ACTIVE, G, W, NOISE_V), 1e-10)
        for gain in (0.02, 0.02 * np.exp(2j)):
            sent = target_noise(*wide(psi), active, jnp.asarray(gain), NOISE_V)
            assert sent.dtype == jnp.float64
            assert_close(sent, ref.target_noise(psi, ACTIVE, gain, NOISE_V), 1e-10)


def test_noises_and_power_float32_in_watts():
    # Links of -107 dB and noise of 1e-13 W: sums of positive terms keep their digits at any size.
    to_user, psi, G, W = (single(p) for p in parts(4))
    to_user, G, gain = single(4e-6 * to_user), single(4e-6 * G), np.float32(4e-6)
    active = jnp.asarray(ACTIVE)
    noise = user_noise(*narrow(to_user, psi), active, jnp.float32(1e-13), jnp.float32(1e-3))
    assert noise.dtype == jnp.float32
    # A product of two squares, each of two terms, then N positive terms: 8 + N roundings.
    noises = float(np.float32(1e-13)), float(np.float32(1e-3))
    assert_close(noise, ref.user_noise(double(to_user), double(psi), ACTIVE, *noises), (8 + N) * EPS32)
    sent = target_noise(*narrow(psi), active, jnp.asarray(gain), jnp.float32(1e-13))
    assert sent.dtype == jnp.float32
    expected = ref.target_noise(double(psi), ACTIVE, float(gain), noises[0])
    assert expected < 1e-21
    assert_close(sent, expected, (8 + N) * EPS32)
    power = amplifier_power(*narrow(psi), active, *narrow(G, W), jnp.float32(1e-13))
    assert power.dtype == jnp.float32
    # (G W) cancels: 2 M roundings of the sum of moduli, doubled by the square, over what is left of it.
    fields, moduli = np.abs(double(G) @ double(W)), np.abs(double(G)) @ np.abs(double(W))
    share = np.where(ACTIVE, np.abs(double(psi)) ** 2, 0.0)[:, None]
    amplification = np.sum(share * fields * moduli) / np.sum(share * fields**2)
    bound = (4 * M * amplification + 8 + N * S) * EPS32
    assert bound < 1e-4
    assert_close(power, ref.amplifier_power(double(psi), ACTIVE, double(G), double(W), noises[0]), bound)


def test_masks_may_be_truth_values_or_zeros_and_ones():
    to_user, psi, G, W = narrow(*parts(6))
    results = []
    for mask in (ACTIVE, ACTIVE.astype(np.int32), single(ACTIVE)):
        active = jnp.asarray(mask)
        results.append(
            (
                hybrid_reflection(*narrow(AMPLITUDE, PHASE), active, LIMIT),
                user_noise(to_user, psi, active, NOISE, NOISE_V),
                amplifier_power(psi, active, G, W, NOISE_V),
                target_noise(psi, active, jnp.float32(0.1), NOISE_V),
            )
        )
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.dtype == b.dtype
            assert_near(b, np.asarray(a), 4 * EPS32)


@given(seeds, st.sampled_from([0, 2, 3]), st.floats(1.01, 4.0))
def test_active_elements_add_and_passive_elements_do_not(seed, element, growth):
    to_user, psi, G, W = narrow(*parts(seed))
    active, gain = jnp.asarray(ACTIVE), jnp.float32(0.1)

    def outputs(p):
        return (
            user_noise(to_user, p, active, NOISE, NOISE_V),
            amplifier_power(p, active, G, W, NOISE_V),
            target_noise(p, active, gain, NOISE_V),
        )

    before = outputs(psi)
    for a, b in zip(before, outputs(psi.at[element].multiply(jnp.asarray(growth, jnp.complex64))), strict=True):
        # The element has |psi|^2 > 0; where it is a sliver of the sum, rounding may hide its growth.
        assert np.all(np.asarray(b) >= np.asarray(a))
    loudest = jnp.asarray(100.0, jnp.complex64)
    for a, b in zip(before, outputs(psi.at[element].set(loudest)), strict=True):
        assert np.all(np.asarray(b) > np.asarray(a))
    for a, b in zip(before, outputs(psi.at[jnp.asarray([1, 4])].set(loudest)), strict=True):
        np.testing.assert_array_equal(a, b)


@given(seeds, st.floats(-3.1, 3.1))
def test_added_noise_and_power_know_no_phase(seed, phase):
    to_user, psi, G, W = narrow(*parts(seed))
    active, turns = jnp.asarray(ACTIVE), jnp.asarray(np.exp(1j * phase * np.arange(N)), jnp.complex64)
    # Turning rounds each |psi|^2 by some 4 eps; all three are positive sums of them.
    for function in (
        lambda p: target_noise(p, active, jnp.float32(0.1), NOISE_V),
        lambda p: amplifier_power(p, active, G, W, NOISE_V),
        lambda p: user_noise(to_user, p, active, NOISE, NOISE_V),
    ):
        assert_close(function(psi * turns), np.asarray(function(psi)), 16 * EPS32)


def test_user_noise_lowers_the_rates_as_the_amplifiers_get_noisier():
    to_user, psi, G, W = narrow(*parts(7))
    H = link.cascaded_channel(jnp.zeros((K, M), jnp.complex64), to_user, psi, G)
    before = np.full(K, np.inf)
    for noise_v in (0.0, 0.1, 1.0):
        noise = user_noise(to_user, psi, jnp.asarray(ACTIVE), NOISE, jnp.float32(noise_v))
        rates = np.asarray(link.rates(H, W, noise))
        assert np.all(rates < before)
        before = rates


def test_gradients_are_those_of_finite_differences(x64):
    to_user, _, G, W = wide(*parts(8))
    active = jnp.asarray(ACTIVE)
    # Elements 0 and 3 lie on the flat sides of the cut.
    amplitude, phase = jnp.asarray([-0.5, 3.0, 2.5, 7.0, 0.4]), jnp.asarray(PHASE)

    @jax.jit
    def loss(a, p):
        psi = surface.hybrid_reflection(a, p, active, LIMIT)
        noise = surface.user_noise(to_user, psi, active, NOISE, NOISE_V)
        H = link.cascaded_channel(jnp.zeros((K, M), complex), to_user, psi, G)
        power = surface.amplifier_power(psi, active, G, W, NOISE_V)
        return link.sum_rate(H, W, noise) + 0.1 * power + surface.target_noise(psi, active, 0.1, NOISE_V)

    by_amplitude, by_phase = jax.jit(jax.grad(loss, (0, 1)))(amplitude, phase)
    for n in range(N):
        step = 1e-6 * np.eye(N)[n]
        slopes = (
            (loss(amplitude + step, phase) - loss(amplitude - step, phase)) / 2e-6,
            (loss(amplitude, phase + step) - loss(amplitude, phase - step)) / 2e-6,
        )
        # Rounding of a loss near 10 over the step, and the third derivative times the step squared.
        for slope, actual in zip(slopes, (by_amplitude[n], by_phase[n]), strict=True):
            assert float(actual) == pytest.approx(float(slope), rel=1e-6, abs=1e-7)
    np.testing.assert_array_equal(np.asarray(by_amplitude)[[0, 1, 3, 4]], 0.0)
    assert abs(float(by_amplitude[2])) > 1e-2
    assert np.all(np.abs(np.asarray(by_phase)[1:]) > 1e-4)  # element 0 is dark


def test_batch_vmap_and_eager_agree():
    draws = [narrow(*parts(seed)) for seed in range(4)]
    masks = jnp.asarray(np.random.default_rng(0).random((4, N)) < 0.5)
    to_user, psi, G, W = (jnp.stack(p) for p in zip(*draws, strict=True))
    amplitude, phase = jnp.abs(psi), jnp.angle(psi)
    for function, arguments in (
        (lambda a, p, m: surface.hybrid_reflection(a, p, m, LIMIT), (amplitude, phase, masks)),
        (lambda h, p, m: surface.user_noise(h, p, m, NOISE, NOISE_V), (to_user, psi, masks)),
        (lambda p, m, g, w: surface.amplifier_power(p, m, g, w, NOISE_V), (psi, masks, G, W)),
        (lambda p, m: surface.target_noise(p, m, jnp.float32(0.1), NOISE_V), (psi, masks)),
    ):
        batch = np.asarray(function(*arguments))
        assert_near(jax.jit(jax.vmap(function))(*arguments), batch, 40 * EPS32)
        for b in range(4):
            assert_near(function(*(x[b] for x in arguments)), batch[b], 40 * EPS32)
    # One surface serves a batch of channels.
    shared = surface.user_noise(to_user, psi[0], masks[0], NOISE, NOISE_V)
    assert shared.shape == (4, K)
    assert_near(shared[2], np.asarray(surface.user_noise(to_user[2], psi[0], masks[0], NOISE, NOISE_V)), 8 * EPS32)


@pytest.mark.parametrize(("kind", "kurtosis"), [("gaussian", 3.0), ("uniform", 1.8)])
def test_phase_errors_have_their_distribution(kind, kurtosis):
    deviation, count = 0.3, 40_000
    psi = jnp.asarray(np.tile(single([2.0, 0.5j, -1.0, 1.0]), (count // 4, 1)))
    turned = phase_errors(jax.random.key(0), psi, deviation, kind=kind)
    assert turned.dtype == jnp.complex64
    assert turned.shape == psi.shape
    assert_close(np.abs(turned), np.abs(np.asarray(psi)), 4 * EPS32)
    error = np.angle(double(turned) / double(psi))
    # Standard errors of mean, variance and kurtosis of 40 000 draws (the last sqrt(24/n) for a Gaussian); five each.
    assert abs(np.mean(error)) < 5 * deviation / np.sqrt(count)
    assert abs(np.std(error) / deviation - 1) < 5 / np.sqrt(2 * count)
    assert abs(np.mean(error**4) / np.mean(error**2) ** 2 - kurtosis) < 5 * np.sqrt(24 / count)
    assert (np.max(np.abs(error)) <= np.sqrt(3) * deviation * (1 + 1e-5)) == (kind == "uniform")
    # Every element and every batch entry errs by itself.
    correlation = np.corrcoef(error, rowvar=False) - np.eye(4)
    assert np.max(np.abs(correlation)) < 5 / np.sqrt(count // 4)
    assert len(np.unique(error[:100, 0])) > 90
    np.testing.assert_array_equal(phase_errors(jax.random.key(0), psi, deviation, kind=kind), turned)
    assert np.max(np.abs(phase_errors(jax.random.key(1), psi, deviation, kind=kind) - turned)) > 0.1


def test_no_deviation_no_error_and_gaussian_is_the_default(x64):
    psi = jnp.asarray(complex_normal(3, 2, N))
    assert_near(phase_errors(jax.random.key(0), psi, 0.0, kind="uniform"), np.asarray(psi), 1e-15)
    turned = phase_errors(jax.random.key(2), psi, 0.5)
    assert turned.dtype == jnp.complex128
    np.testing.assert_array_equal(turned, phase_errors(jax.random.key(2), psi, 0.5, kind="gaussian"))


def test_unknown_kind_of_phase_error_is_refused():
    with pytest.raises(ConfigError, match=r"kind|laplace"):
        surface.phase_errors(jax.random.key(0), jnp.ones(3, jnp.complex64), 0.1, kind="laplace")
