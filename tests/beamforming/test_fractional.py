"""Fractional programming: a minorant climbed step by step, feasible, monotone, stationary, right where it is known."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import beamforming as ref
from reference import fractional as fp
from reference.tools import EPS32, assert_near, complex_normal, double, single

from thzjax import beamforming
from thzjax.beamforming.fractional import fractional_programming
from thzjax.errors import ConfigError

# Compiled once per shape, constraint and count; one test holds it against the eager function.
compiled = jax.jit(fractional_programming, static_argnames=("iterations", "constraint"))

K, M, NOISE, POWER = 3, 4, 1.0, 10.0
LONG = 400
WEIGHTS = np.array([0.5, 1.0, 2.0, 1.0, 0.3, 1.5])
both_constraints = pytest.mark.parametrize("constraint", ["sum", "per_antenna"])
either_weights = pytest.mark.parametrize("weighted", [False, True])
# Fewer users than antennas, as many, and more.
sizes = pytest.mark.parametrize(("users", "antennas"), [(2, 4), (4, 4), (6, 4)])


def setting(seeds, users=K, antennas=M):
    """Channels and starts that are feasible under either constraint, stacked."""
    H = np.stack([complex_normal(s, users, antennas) for s in seeds])
    return H, np.stack([ref.scale_per_antenna(ref.mrt(h), POWER) for h in H])


def arrays(*values):
    return tuple(jnp.asarray(value) for value in values)


def excess(W, power_w, constraint):
    """The largest power over its limit, less 1."""
    rows = np.sum(np.abs(double(W)) ** 2, axis=-1)
    if constraint == "sum":
        return np.max(np.sum(rows, axis=-1) / power_w) - 1
    return np.max(rows * W.shape[-2] / np.asarray(power_w)[..., None]) - 1


@functools.cache
def long_run(constraint, weighted):
    """One compiled batch of long float64 runs that several tests look at."""
    H, W0 = setting(range(4))
    weights = jnp.asarray(WEIGHTS[:K] if weighted else np.ones(K))
    W, history = compiled(*arrays(H, W0), NOISE, POWER, LONG, weights, constraint)
    assert W.dtype == jnp.complex128
    assert history.dtype == jnp.float64
    assert history.shape == (4, LONG)
    return H, W0, np.asarray(W), np.asarray(history)


@sizes
def test_reference_quadratic_lies_below_the_rate_and_touches_it(users, antennas):
    H, W = (x[0] for x in setting([0], users, antennas))
    weights = WEIGHTS[:users]
    rate = ref.weighted_sum_rate(H, W, NOISE, weights)
    assert fp.minorant(H, W, W, NOISE, weights) == pytest.approx(rate, rel=1e-12)
    for seed in range(10):
        X = W + 10.0 ** (seed % 3 - 1) * complex_normal(seed + 100, antennas, users)
        assert fp.minorant(H, X, W, NOISE, weights) <= ref.weighted_sum_rate(H, X, NOISE, weights)
    # A and B are of the same quadratic: B - A W is half the rate's gradient, in nats.
    A, B = fp.quadratic(H, W, NOISE, weights)
    assert_near(2 * (B - A @ W) / np.log(2), ref.rate_gradient(H, W, NOISE, weights), 1e-12)
    # The bound in use is one, and not a loose one.
    largest = np.linalg.eigvalsh(A)[-1]
    assert largest <= np.linalg.norm(A) <= np.sqrt(min(users, antennas)) * largest


@either_weights
@both_constraints
@sizes
def test_one_iteration_is_the_references(x64, users, antennas, constraint, weighted):
    H, W0 = setting([1, 2], users, antennas)
    weights = WEIGHTS[:users] if weighted else np.ones(users)
    W, history = compiled(*arrays(H, W0), NOISE, POWER, 1, jnp.asarray(weights), constraint)
    assert history.shape == (2, 1)
    for b in range(2):
        expected = fp.step(H[b], W0[b], NOISE, POWER, weights, constraint)
        # Sums of at most six terms each, in another order: a few ulp at a condition below 10.
        assert_near(W[b], expected, 1e-13)
        assert float(history[b, 0]) == pytest.approx(ref.weighted_sum_rate(H[b], expected, NOISE, weights), rel=1e-13)
        start = ref.weighted_sum_rate(H[b], W0[b], NOISE, weights)
        # The step climbs the minorant, and the rate at least as far.
        assert start + 1e-3 < fp.minorant(H[b], expected, W0[b], NOISE, weights) <= float(history[b, 0])


@both_constraints
@sizes
def test_every_iteration_is_the_references(x64, users, antennas, constraint):
    H, W0 = setting([11, 12], users, antennas)
    W, history = compiled(*arrays(H, W0), NOISE, POWER, 40, jnp.asarray(WEIGHTS[:users]), constraint)
    for b in range(2):
        expected, rates = fp.fractional_programming(H[b], W0[b], NOISE, POWER, 40, WEIGHTS[:users], constraint)
        # On the way past a saddle, differences of 1e-15 grow.
        assert_near(W[b], expected, 1e-9)
        assert_near(history[b], rates, 1e-9)
        assert history[b, -1] > history[b, 0] + 1e-2


@both_constraints
@either_weights
def test_long_runs_are_feasible_monotone_and_as_stationary_as_wmmse(x64, constraint, weighted):
    H, W0, W, history = long_run(constraint, weighted)
    weights = WEIGHTS[:K] if weighted else np.ones(K)
    assert excess(W, POWER, constraint) <= 1e-12
    assert np.min(np.diff(history, axis=-1)) >= 0
    wmmse = jax.jit(beamforming.wmmse, static_argnames=("iterations", "constraint"))
    other, _ = wmmse(*arrays(H, W0), NOISE, POWER, LONG, jnp.asarray(weights), constraint)
    for b in range(len(H)):
        assert history[b, 0] >= ref.weighted_sum_rate(H[b], W0[b], NOISE, weights)
        assert history[b, -1] == pytest.approx(ref.weighted_sum_rate(H[b], W[b], NOISE, weights), rel=1e-12)

        def far(beams, b=b):
            return ref.stationarity(H[b], beams, NOISE, POWER, weights, constraint)

        # The start is far from stationary, so the measure can tell. Below 1e-6 the rate is flat to its last digits.
        assert far(W0[b]) > 1e-2
        assert far(W[b]) < max(1e-6, far(np.asarray(other[b])))


def test_weights_move_the_rates(x64):
    H, _, W, _ = long_run("sum", False)
    heavy = long_run("sum", True)[2]
    for b in range(len(H)):
        plain = ref.weighted_sum_rate(H[b], W[b], NOISE, WEIGHTS[:K])
        assert ref.weighted_sum_rate(H[b], heavy[b], NOISE, WEIGHTS[:K]) > plain + 1e-3


@both_constraints
def test_one_user_reaches_capacity(x64, constraint):
    H, W0 = complex_normal(0, 3, 1, M), 0.3 * complex_normal(50, 3, M, 1)
    rows = np.abs(H[:, 0])
    gains = {"sum": np.sum(rows**2, axis=1), "per_antenna": np.sum(rows, axis=1) ** 2 / M}[constraint]
    capacity = np.log2(1 + POWER * gains / NOISE)
    W, history = compiled(*arrays(H, W0), NOISE, POWER, LONG, constraint=constraint)
    assert_near(history[:, -1], capacity, 1e-6)
    assert np.all(np.asarray(history[:, -1]) <= capacity * (1 + 1e-12))
    assert_near([ref.weighted_sum_rate(h, w, NOISE) for h, w in zip(H, np.asarray(W), strict=True)], capacity, 1e-6)


def test_without_interference_it_fills_water(x64):
    # Orthogonal users of different strength: one maximum, that of water-filling, all users above the water.
    gains = np.array([1.0, 4.0])
    H = np.zeros((2, 3), complex)
    H[0, 0], H[1, 2] = np.sqrt(gains)
    level = (POWER + np.sum(1 / gains)) / 2
    W, history = compiled(*arrays(H, np.full((3, 2), 0.1 + 0j)), NOISE, POWER, 200)
    assert float(history[-1]) == pytest.approx(np.sum(np.log2(level * gains)), rel=1e-10)
    # The rate is flat there: 1e-10 of it is 1e-5 of the powers.
    assert_near(np.sum(np.abs(np.asarray(W)) ** 2, axis=0), level - 1 / gains, 1e-5)


@both_constraints
@pytest.mark.parametrize("snr", [1e1, 1e4])
def test_float32_is_feasible_monotone_and_near_float64(constraint, snr):
    H, W0 = setting(range(8))
    W, history = compiled(*arrays(single(H), single(W0)), POWER / snr, POWER, 100, constraint=constraint)
    assert W.dtype == jnp.complex64
    assert history.dtype == jnp.float32
    # A sum of 12 squares, a root and a scaling.
    assert excess(W, POWER, constraint) <= 16 * EPS32
    assert np.min(np.diff(np.asarray(history), axis=-1)) >= 0
    with jax.enable_x64(True):
        _, wide = compiled(
            *arrays(double(single(H)), double(single(W0))), POWER / snr, POWER, 100, constraint=constraint
        )
        wide = np.asarray(wide)
    for b in range(8):
        reached = ref.weighted_sum_rate(double(single(H[b])), double(W[b]), POWER / snr)
        # Interference is K terms that cancel to the noise, 1/snr of them: an ulp of a field is sqrt(snr) of it.
        assert float(history[b, -1]) == pytest.approx(reached, rel=8 * K * EPS32 * np.sqrt(snr))
    # One step is the same; after that a step taken here and not there makes them part, so only the mean of the rest.
    assert_near(history[:, 0], wide[:, 0], 8 * K * EPS32 * np.sqrt(snr))
    assert np.mean(history[:, -1]) == pytest.approx(np.mean(wide[:, -1]), rel=1e-2)


@both_constraints
def test_an_infeasible_start_is_made_feasible(x64, constraint):
    H, W0 = setting([21, 22])
    project = ref.clip_total if constraint == "sum" else ref.clip_rows
    starts = np.stack([project(10 * w, POWER) for w in W0])
    W, history = compiled(*arrays(H, 10 * W0), NOISE, POWER, 3, constraint=constraint)
    expected, rates = compiled(*arrays(H, starts), NOISE, POWER, 3, constraint=constraint)
    assert_near(W, np.asarray(expected), 1e-12)
    assert_near(history, np.asarray(rates), 1e-12)
    assert excess(W, POWER, constraint) <= 1e-12


@both_constraints
def test_batch_jit_vmap_and_single_agree_in_one_trace(constraint):
    H, W0 = arrays(*(single(x) for x in setting([41, 42])))

    def run(h, w):
        return fractional_programming(h, w, NOISE, POWER, 6, constraint=constraint)

    chex.clear_trace_counter()
    once = jax.jit(chex.assert_max_traces(run, n=1))
    W, history = once(H, W0)
    once(2 * H, W0)
    vmapped = jax.jit(jax.vmap(run))(H, W0)
    alone = run(H[1], W0[1])
    # The same operations in another order: a few ulp, times a condition below 10.
    assert_near(vmapped[0], np.asarray(W), 50 * EPS32)
    assert_near(vmapped[1], np.asarray(history), 50 * EPS32)
    assert_near(alone[0], np.asarray(W[1]), 50 * EPS32)
    assert_near(alone[1], np.asarray(history[1]), 50 * EPS32)


def test_batch_axes_broadcast(x64):
    H, W0 = setting([61, 62])
    noise, powers = np.array([0.5, 2.0, 1.0]), np.array([[POWER], [POWER], [2 * POWER]])
    shared = np.broadcast_to(H[0], (3, 1, K, M))
    W, history = compiled(*arrays(shared, W0[None], noise[:, None, None], powers), 4)
    assert W.shape == (3, 2, M, K)
    assert history.shape == (3, 2, 4)
    for i in range(3):
        for b in range(2):
            expected, rates = fp.fractional_programming(H[0], W0[b], noise[i], powers[i, 0], 4)
            assert_near(W[i, b], expected, 1e-12)
            assert_near(history[i, b], rates, 1e-12)


def test_noise_of_each_user_counts(x64):
    # Noise n_k with channel h_k is noise 1 with h_k/sqrt(n_k).
    H, W0 = setting([71])
    noise = np.array([0.3, 1.0, 2.0])
    W, history = compiled(*arrays(H, W0, noise), POWER, 10)
    expected, rates = fp.fractional_programming(H[0] / np.sqrt(noise)[:, None], W0[0], 1.0, POWER, 10)
    assert_near(W[0], expected, 1e-11)
    assert_near(history[0], rates, 1e-11)


def test_small_channels_and_noise_give_the_same_design():
    # 107 dB per hop: in watts the products reach 1e-20, and only the ratio to the noise may count.
    H, W0 = arrays(*(single(x) for x in setting([51])))
    W, history = compiled(H, W0, NOISE, POWER, 10)
    small = compiled(H * jnp.asarray(1e-10, H.dtype), W0, NOISE * 1e-20, POWER, 10)
    # Rescaled inputs are rounded anew, in the last bit; ten rounds multiply that by their condition, below 100.
    assert_near(small[0], np.asarray(W), 1e2 * EPS32)
    assert_near(small[1], np.asarray(history), 1e2 * EPS32)


@both_constraints
@pytest.mark.parametrize("rounding", [single, double])
def test_silent_users_and_a_silent_start_give_finite_numbers(rounding, constraint):
    H, W0 = setting([81])
    deaf, none = np.array(H), np.zeros_like(H)
    deaf[:, 1] = 0
    with jax.enable_x64(rounding is double):
        half, nobody, still = (
            compiled(*arrays(rounding(h), rounding(w)), NOISE, POWER, 100, constraint=constraint)
            for h, w in ((deaf, W0), (none, W0), (H, 0 * W0))
        )
        for W, history in (half, nobody, still):
            assert np.all(np.isfinite(W))
            assert np.all(np.isfinite(history))
            assert excess(W, POWER, constraint) <= 16 * EPS32
    # The others have what they would have alone: a beam to nobody only disturbs, and is given up.
    with jax.enable_x64(True):
        pair = compiled(*arrays(H[:, [0, 2]], W0[..., [0, 2]]), NOISE, POWER, 100, constraint=constraint)[1]
        assert float(half[1][0, -1]) == pytest.approx(float(pair[0, -1]), abs=1e-4)
    np.testing.assert_array_equal(nobody[1], 0)
    # Silence is a fixed point: no signal, no receiver, no beam.
    np.testing.assert_array_equal(still[0], 0)
    np.testing.assert_array_equal(still[1], 0)


def test_unknown_constraint_is_refused():
    H, W0 = arrays(*(single(x) for x in setting([91])))
    with pytest.raises(ConfigError, match="constraint='both' is unknown") as caught:
        fractional_programming(H, W0, NOISE, POWER, 2, constraint="both")
    assert "\n" not in str(caught.value)
