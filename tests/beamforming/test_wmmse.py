"""Weighted MMSE: feasible, monotone, stationary, and right where the answer is known."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import beamforming as ref
from reference.tools import assert_near, complex_normal, single

from thzjax import beamforming

# Compiled once per shape, constraint and count; the last tests hold it against the eager function.
wmmse = jax.jit(beamforming.wmmse, static_argnames=("iterations", "constraint"))

K, M, NOISE, POWER = 3, 4, 1.0, 10.0
LONG = 400
WEIGHTS = np.array([0.5, 1.0, 2.0])
both_constraints = pytest.mark.parametrize("constraint", ["sum", "per_antenna"])


def setting(seeds, users=K, antennas=M):
    """Channels and feasible starts under either constraint, stacked."""
    H = np.stack([complex_normal(s, users, antennas) for s in seeds])
    return H, np.stack([ref.scale_per_antenna(ref.mrt(h), POWER) for h in H])


@functools.cache
def long_run(constraint, weighted):
    """One compiled batch of long float64 runs that several tests look at."""
    H, W0 = setting(range(4))
    weights = jnp.asarray(WEIGHTS) if weighted else None
    W, history = wmmse(jnp.asarray(H), jnp.asarray(W0), NOISE, POWER, LONG, weights, constraint)
    assert W.dtype == jnp.complex128
    assert history.dtype == jnp.float64
    assert history.shape == (4, LONG)
    return H, W0, np.asarray(W), np.asarray(history)


def test_reference_gradient_matches_differences():
    H, W0 = setting([0])
    gradient = ref.rate_gradient(H[0], W0[0], NOISE, WEIGHTS)
    for seed in range(5):
        step = 1e-6 * complex_normal(seed + 100, M, K)
        rise = ref.weighted_sum_rate(H[0], W0[0] + step, NOISE, WEIGHTS)
        rise -= ref.weighted_sum_rate(H[0], W0[0] - step, NOISE, WEIGHTS)
        predicted = 2 * np.sum(np.real(np.conj(gradient) * step))
        assert rise == pytest.approx(predicted, rel=1e-6, abs=1e-11)


@both_constraints
@pytest.mark.parametrize("weighted", [False, True])
def test_long_runs_are_feasible_monotone_and_stationary(x64, constraint, weighted):
    H, W0, W, history = long_run(constraint, weighted)
    weights = WEIGHTS if weighted else None
    for b in range(len(H)):
        rows = np.sum(np.abs(W[b]) ** 2, axis=1)
        if constraint == "sum":
            assert np.sum(rows) <= POWER * (1 + 1e-9)
        else:
            assert np.max(rows) <= POWER / M * (1 + 1e-9)
        assert np.min(np.diff(history[b])) >= -1e-9
        assert history[b, 0] >= ref.weighted_sum_rate(H[b], W0[b], NOISE, weights) - 1e-9
        assert history[b, -1] == pytest.approx(ref.weighted_sum_rate(H[b], W[b], NOISE, weights), rel=1e-10)
        # The start is far from stationary, so the measure can tell.
        assert ref.stationarity(H[b], W0[b], NOISE, POWER, weights, constraint) > 1e-2
        assert ref.stationarity(H[b], W[b], NOISE, POWER, weights, constraint) < 1e-4


def test_weights_move_the_rates(x64):
    H, _, W, _ = long_run("sum", False)
    heavy = long_run("sum", True)[2]
    for b in range(len(H)):
        plain = ref.weighted_sum_rate(H[b], W[b], NOISE, WEIGHTS)
        assert ref.weighted_sum_rate(H[b], heavy[b], NOISE, WEIGHTS) > plain + 1e-3


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_rounds_under_a_total_power_match_reference(x64, weights):
    H, W0 = setting([11, 12])
    W, history = wmmse(
        jnp.asarray(H), jnp.asarray(W0), NOISE, POWER, 5, None if weights is None else jnp.asarray(weights)
    )
    for b in range(2):
        expected, rates = ref.wmmse(H[b], W0[b], NOISE, POWER, 5, weights)
        # The multiplier is bisected: 1e-8 is some 27 halvings of its bracket, over five rounds.
        assert_near(W[b], expected, 1e-8)
        assert_near(history[b], rates, 1e-8)


def test_a_slack_total_power_is_found(x64):
    # Users on orthogonal antennas and so much power that noise hardly matters still use it all: log grows.
    H = np.eye(2, 3).astype(complex)
    W, history = wmmse(jnp.asarray(H), jnp.asarray(0.1 * np.ones((3, 2), complex)), NOISE, POWER, 200)
    assert np.sum(np.abs(np.asarray(W)) ** 2) == pytest.approx(POWER, rel=1e-6)
    assert float(history[-1]) == pytest.approx(2 * np.log2(1 + POWER / 2), rel=1e-6)


@both_constraints
def test_one_user_reaches_capacity(x64, constraint):
    H, W0 = complex_normal(0, 3, 1, M), 0.3 * complex_normal(50, 3, M, 1)
    rows = np.abs(H[:, 0])
    gains = {"sum": np.sum(rows**2, axis=1), "per_antenna": np.sum(rows, axis=1) ** 2 / M}[constraint]
    capacity = np.log2(1 + POWER * gains / NOISE)
    W, history = wmmse(jnp.asarray(H), jnp.asarray(W0), NOISE, POWER, LONG, constraint=constraint)
    assert_near(history[:, -1], capacity, 1e-6)
    assert np.all(np.asarray(history[:, -1]) <= capacity * (1 + 1e-9))
    assert_near([ref.weighted_sum_rate(h, w, NOISE) for h, w in zip(H, np.asarray(W), strict=True)], capacity, 1e-6)


def test_as_many_users_as_antennas_and_more(x64):
    for users in (4, 6):
        H, W0 = setting([21], users)
        W, history = wmmse(jnp.asarray(H[0]), jnp.asarray(W0[0]), NOISE, POWER, 50)
        assert np.min(np.diff(np.asarray(history))) >= -1e-9
        assert np.sum(np.abs(np.asarray(W)) ** 2) <= POWER * (1 + 1e-9)
        _, rates = ref.wmmse(H[0], W0[0], NOISE, POWER, 50)
        assert_near(history, rates, 1e-6)
        assert float(history[-1]) > rates[0] + 1e-2


@both_constraints
def test_float32_is_feasible_and_near_float64(constraint):
    H, W0 = setting([31, 32])
    arguments = jnp.asarray(single(H)), jnp.asarray(single(W0))
    W, history = wmmse(*arguments, NOISE, POWER, 30, constraint=constraint)
    assert W.dtype == jnp.complex64
    assert history.dtype == jnp.float32
    rows = np.sum(np.abs(np.asarray(W, np.complex128)) ** 2, axis=-1)
    limit = (np.sum(rows, axis=-1), POWER) if constraint == "sum" else (rows, POWER / M)
    assert np.max(limit[0]) <= limit[1] * (1 + 1e-5)
    assert np.min(np.diff(np.asarray(history))) > -1e-4
    for b in range(2):
        reached = ref.weighted_sum_rate(H[b], np.asarray(W[b], np.complex128), NOISE)
        assert float(history[b, -1]) == pytest.approx(reached, rel=1e-5)
        if constraint == "sum":
            # Thirty rounds end near a fixed point that draws rounding errors in: 1e-4 is 800 ulp.
            assert_near(history[b], ref.wmmse(H[b], W0[b], NOISE, POWER, 30)[1], 1e-4)


@both_constraints
@pytest.mark.parametrize("snr", [1e2, 1e4, 1e6])
def test_float32_keeps_to_its_power_also_where_noise_is_weak(constraint, snr):
    # As many users as antennas and little noise: the multiplier is small beside the matrix it regularises.
    H, W0 = setting(range(4), users=4)
    W, history = wmmse(jnp.asarray(single(H)), jnp.asarray(single(W0)), POWER / snr, POWER, 300, constraint=constraint)
    rows = np.sum(np.abs(np.asarray(W, np.complex128)) ** 2, axis=-1)
    if constraint == "sum":
        assert np.max(np.sum(rows, axis=-1)) <= POWER * (1 + 1e-5)
    else:
        assert np.max(rows) <= POWER / M * (1 + 1e-5)
    for b in range(4):
        start = ref.weighted_sum_rate(H[b], W0[b], POWER / snr)
        assert float(history[b, -1]) > start


@both_constraints
def test_batch_jit_vmap_and_single_agree_in_one_trace(constraint):
    H, W0 = (jnp.asarray(single(x)) for x in setting([41, 42]))

    def run(h, w):
        return beamforming.wmmse(h, w, NOISE, POWER, 6, constraint=constraint)

    chex.clear_trace_counter()
    compiled = jax.jit(chex.assert_max_traces(run, n=1))
    W, history = compiled(H, W0)
    compiled(2 * H, W0)
    vmapped = jax.jit(jax.vmap(run))(H, W0)
    assert_near(vmapped[0], np.asarray(W), 1e-4)
    assert_near(vmapped[1], np.asarray(history), 1e-5)
    alone = run(H[1], W0[1])
    assert_near(alone[0], np.asarray(W[1]), 1e-4)
    assert_near(alone[1], np.asarray(history[1]), 1e-5)


def test_small_channels_and_noise_give_the_same_design():
    # 107 dB per hop: in watts the products reach 1e-20, and only the ratio to the noise may count.
    H, W0 = (jnp.asarray(single(x)) for x in setting([51]))
    W, history = wmmse(H, W0, NOISE, POWER, 10)
    small = wmmse(H * jnp.asarray(1e-6, H.dtype), W0, NOISE * 1e-12, POWER, 10)
    assert_near(small[0], np.asarray(W), 1e-3)
    assert_near(small[1], np.asarray(history), 1e-4)


def test_unknown_constraint_is_refused():
    H, W0 = (jnp.asarray(single(x)) for x in setting([61]))
    with pytest.raises(ValueError, match="constraint"):
        wmmse(H, W0, NOISE, POWER, 2, constraint="both")
