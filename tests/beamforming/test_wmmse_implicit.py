"""Weighted MMSE without a multiplier: the noise grows with the power instead, and all the power is used."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import beamforming as ref
from reference.tools import EPS32, assert_near, complex_normal, double, single

from thzjax import beamforming
from thzjax.errors import ConfigError

implicit = functools.partial(beamforming.wmmse, multiplier="implicit")
# Compiled once per shape and count; one test holds it against the eager function.
wmmse = jax.jit(implicit, static_argnames=("iterations",))

K, M, NOISE, POWER = 3, 4, 1.0, 10.0
LONG = 400
WEIGHTS = np.array([0.5, 1.0, 2.0, 1.0, 0.3, 1.5])
NOISES = np.array([0.3, 1.0, 2.0, 0.5, 1.5, 0.7])
# Fewer users than antennas, as many, and more: then the users' Gram matrix is singular.
sizes = pytest.mark.parametrize(("users", "antennas"), [(2, 4), (4, 4), (6, 4)])


def setting(seeds, users=K, antennas=M):
    """Channels and matched starts of a third of the power, stacked."""
    H = np.stack([complex_normal(s, users, antennas) for s in seeds])
    return H, np.stack([ref.scale_total(ref.mrt(h), POWER / 3) for h in H])


def arrays(*values):
    return tuple(jnp.asarray(value) for value in values)


def power(W):
    return np.sum(np.abs(double(W)) ** 2, axis=(-2, -1))


@functools.cache
def long_run(weighted):
    """One compiled batch of long float64 runs that several tests look at."""
    H, W0 = setting(range(4))
    W, history = wmmse(*arrays(H, W0), NOISE, POWER, LONG, jnp.asarray(WEIGHTS[:K] if weighted else np.ones(K)))
    assert W.dtype == jnp.complex128
    assert history.dtype == jnp.float64
    assert history.shape == (4, LONG)
    return H, W0, np.asarray(W), np.asarray(history)


@sizes
def test_reference_is_the_rate_at_full_power_and_its_step_the_least(users, antennas):
    H, W0 = setting([0], users, antennas)
    weights, noise = WEIGHTS[:users], NOISES[:users]
    full = ref.weighted_sum_rate(H[0] / np.sqrt(noise)[:, None], ref.scale_total(W0[0], POWER), 1.0, weights)
    for factor in (1.0, 1e-3, 7.0):
        assert ref.full_power_rate(H[0], factor * W0[0], noise, POWER, weights) == pytest.approx(full, rel=1e-12)
    # Any direction away from the step raises the quadratic: the best multiple of the step is its minimiser.
    problem = ref.implicit_problem(H[0], W0[0], noise, POWER, weights)
    best = least_multiple(H[0], ref.implicit_wmmse_step(H[0], W0[0], noise, POWER, weights), problem)
    least = ref.implicit_objective(H[0], best, problem)
    for seed in range(5):
        away = best + 1e-2 * complex_normal(seed + 100, antennas, users)
        assert ref.implicit_objective(H[0], away, problem) > least + 1e-6


def least_multiple(H, X, problem):
    """t X with the real t of least objective, from the parabola through three values."""
    low, mid, high = (ref.implicit_objective(H, t * X, problem) for t in (-1.0, 0.0, 1.0))
    return X * (low - high) / (2 * (low + high - 2 * mid))


@pytest.mark.parametrize("weighted", [False, True])
@sizes
def test_one_step_is_the_closed_form(x64, users, antennas, weighted):
    H, W0 = setting([1, 2], users, antennas)
    weights, noise = WEIGHTS[:users] if weighted else np.ones(users), NOISES[:users]
    W, history = wmmse(*arrays(H, W0, noise), POWER, 1, jnp.asarray(weights))
    assert history.shape == (2, 1)
    for b in range(2):
        expected = ref.implicit_wmmse_step(H[b], W0[b], noise, POWER, weights)
        assert_near(W[b], expected, 1e-9)
        assert float(history[b, 0]) == pytest.approx(
            ref.full_power_rate(H[b], expected, noise, POWER, weights), rel=1e-10
        )
        assert np.linalg.norm(expected - ref.scale_total(W0[b], POWER)) > 0.1


@pytest.mark.parametrize("weighted", [False, True])
@sizes
def test_one_step_is_the_solvers(x64, users, antennas, weighted):
    cvxpy = pytest.importorskip("cvxpy")
    gap = 1e-8 * users  # of the solver, on objectives of about one per user
    H, W0 = setting([3], users, antennas)
    H, W0, weights = H[0], W0[0], WEIGHTS[:users] if weighted else np.ones(users)
    step = np.asarray(wmmse(*arrays(H[None], W0[None]), NOISE, POWER, 1, jnp.asarray(weights))[0][0])
    problem = ref.implicit_problem(H, W0, NOISE, POWER, weights)
    receivers, urgencies, noise = problem
    # The same sum as ||R H X - target||^2 + nu ||X||^2 + constant.
    magnitude = np.sqrt(urgencies) * np.abs(receivers)
    target = np.diag(np.sqrt(urgencies) * np.exp(1j * np.angle(receivers)))
    nu = np.sum(magnitude**2 * noise)
    X = cvxpy.Variable((antennas, users), complex=True)
    objective = cvxpy.sum_squares((magnitude[:, None] * H) @ X - target) + nu * cvxpy.sum_squares(X)
    solved = cvxpy.Problem(cvxpy.Minimize(objective))
    solved.solve(solver=cvxpy.CLARABEL)
    assert solved.status == "optimal"
    assert ref.implicit_objective(H, X.value, problem) == pytest.approx(solved.value, rel=1e-6)
    best = least_multiple(H, step, problem)
    assert ref.implicit_objective(H, best, problem) == pytest.approx(solved.value, abs=gap)
    # The quadratic bends by nu or more: a gap g leaves beams within sqrt(g/nu).
    assert np.linalg.norm(best - X.value) < np.sqrt(2 * gap / nu) < 0.1 * np.linalg.norm(best)


@pytest.mark.parametrize("weighted", [False, True])
def test_long_runs_use_all_power_climb_and_end_at_stationary_points(x64, weighted):
    H, W0, W, history = long_run(weighted)
    weights = WEIGHTS[:K] if weighted else None
    np.testing.assert_allclose(power(W), POWER, rtol=1e-13)
    for b in range(4):
        full = ref.scale_total(W0[b], POWER)
        assert np.min(np.diff(history[b])) >= -1e-12
        assert history[b, 0] > ref.weighted_sum_rate(H[b], full, NOISE, weights) + 1e-2
        assert history[b, -1] == pytest.approx(ref.weighted_sum_rate(H[b], W[b], NOISE, weights), rel=1e-12)
        # The start is far from stationary, so the measure can tell.
        assert ref.stationarity(H[b], full, NOISE, POWER, weights) > 1e-2
        assert ref.stationarity(H[b], W[b], NOISE, POWER, weights) < 1e-4


def test_weights_move_the_rates(x64):
    H, _, W, _ = long_run(False)
    heavy = long_run(True)[2]
    for b in range(4):
        plain = ref.weighted_sum_rate(H[b], W[b], NOISE, WEIGHTS[:K])
        assert ref.weighted_sum_rate(H[b], heavy[b], NOISE, WEIGHTS[:K]) > plain + 1e-3


@sizes
def test_every_round_is_the_references(x64, users, antennas):
    H, W0 = setting([11, 12], users, antennas)
    powers = np.array([POWER, 0.1 * POWER])
    W, history = wmmse(*arrays(H, W0), NOISE, jnp.asarray(powers), 40, jnp.asarray(WEIGHTS[:users]))
    np.testing.assert_allclose(power(W), powers, rtol=1e-13)
    for b in range(2):
        expected, rates = ref.implicit_wmmse(H[b], W0[b], NOISE, powers[b], 40, WEIGHTS[:users])
        # On the way past a saddle, differences of 1e-15 grow.
        assert_near(W[b], expected, 1e-9)
        assert_near(history[b], rates, 1e-9)
        assert np.min(np.diff(history[b])) >= -1e-12
        assert history[b, -1] > history[b, 0] + 1e-2


def test_one_user_has_capacity_after_one_step(x64):
    H, W0 = complex_normal(0, 3, 1, M), complex_normal(50, 3, M, 1)
    W, history = wmmse(*arrays(H, W0), NOISE, POWER, 1)
    gain = np.sum(np.abs(H[:, 0]) ** 2, axis=-1)
    np.testing.assert_allclose(history[:, -1], np.log2(1 + POWER * gain / NOISE), rtol=1e-12)
    np.testing.assert_allclose(power(W), POWER, rtol=1e-13)
    phase = np.exp(1j * np.angle(np.sum(H[:, 0] * W0[..., 0], axis=-1)))
    matched = np.sqrt(POWER / gain)[:, None] * phase[:, None] * np.conj(H[:, 0])
    assert_near(W[..., 0], matched, 1e-12)


def test_without_interference_it_fills_water_as_the_bisection_does(x64):
    # Orthogonal users of different strength: one maximum, that of water-filling, all users above the water.
    gains = np.array([1.0, 4.0])
    H = np.zeros((2, 3), complex)
    H[0, 0], H[1, 2] = np.sqrt(gains)
    level = (POWER + np.sum(1 / gains)) / 2
    W, history = wmmse(*arrays(H, np.full((3, 2), 0.1 + 0j)), NOISE, POWER, 100)
    expected = np.sum(np.log2(level * gains))
    assert float(history[-1]) == pytest.approx(expected, rel=1e-10)
    _, bisected = beamforming.wmmse(*arrays(H, np.full((3, 2), 0.1 + 0j)), NOISE, POWER, 100)
    assert float(bisected[-1]) == pytest.approx(expected, rel=1e-6)
    assert_near(np.sum(np.abs(np.asarray(W)) ** 2, axis=0), level - 1 / gains, 1e-5)


def test_only_the_direction_of_the_start_and_the_ratio_to_noise_count():
    # 107 dB per hop: in watts the products reach 1e-20.
    H, W0 = arrays(*(single(x) for x in setting([51])))
    W, history = wmmse(H, W0, NOISE, POWER, 10)
    # Rescaled inputs are rounded anew, in the last bit; ten rounds multiply that by their condition, below 100.
    small = wmmse(H * jnp.asarray(1e-6, H.dtype), W0 * jnp.asarray(1e-3, H.dtype), NOISE * 1e-12, POWER, 10)
    assert_near(small[0], np.asarray(W), 1e2 * EPS32)
    assert_near(small[1], np.asarray(history), 1e2 * EPS32)


def rounded_inputs(H, W0, draws=8):
    """The inputs, then copies with every entry off by up to half a float32 ulp either way."""
    rng = np.random.default_rng(0)

    def near(x):
        noise = rng.uniform(-0.5, 0.5, (2, draws, *x.shape)) * EPS32
        moved = x.real * (1 + noise[0]) + 1j * x.imag * (1 + noise[1])
        return np.concatenate([x[None], moved])

    return near(H), near(W0)


def float32_beside_float64(users, antennas, snr, iterations):
    """(H, W32, history32, W64, history64, what rounding the inputs alone does to both) of two channels."""
    H, W0 = (single(x) for x in setting([31, 32], users, antennas))
    W, history = (double(x) for x in wmmse(*arrays(H, W0), POWER / snr, POWER, iterations))
    with jax.enable_x64(True):
        wide = wmmse(*arrays(*rounded_inputs(double(H), double(W0))), POWER / snr, POWER, iterations)
        wide_W, wide_history = (np.asarray(x) for x in wide)
    move = (
        np.max(np.linalg.norm(wide_W[1:] - wide_W[0], axis=(-2, -1)), axis=0),
        np.max(np.abs(wide_history[1:, :, -1] - wide_history[0, :, -1]), axis=0),
    )
    return double(H), W, history, wide_W[0], wide_history[0], move


# At 4 antennas, from spare ones to more users than antennas.
single_cases = pytest.mark.parametrize(
    ("users", "snr"), [(users, snr) for users in (3, 4, 6) for snr in (1e2, 1e4, 1e6)]
)


@single_cases
def test_one_float32_step_is_as_near_as_its_inputs_rounding(users, snr):
    H, W, history, expected, rates, (move, rate_move) = float32_beside_float64(users, 4, snr, 1)
    # Some 4 K roundings follow one another, each no worse than one of the inputs.
    steps = 4 * users
    assert np.all(np.linalg.norm(W - expected, axis=(-2, -1)) <= steps * move)
    for b in range(2):
        allowed = steps * rate_move[b] + 8 * EPS32 * rates[b, 0]
        assert abs(history[b, 0] - rates[b, 0]) <= allowed
        assert abs(history[b, 0] - ref.weighted_sum_rate(H[b], W[b], POWER / snr)) <= allowed


@single_cases
def test_float32_runs_are_feasible_monotone_and_near_float64(users, snr):
    rounds = 30
    H, W, history, _, rates, (_, rate_move) = float32_beside_float64(users, 4, snr, rounds)
    # A sum of 24 squares and two roots.
    np.testing.assert_allclose(power(W), POWER, rtol=8 * EPS32)
    assert np.min(np.diff(history)) >= 0
    for b in range(2):
        start = ref.weighted_sum_rate(H[b], ref.scale_total(setting([31, 32], users)[1][b], POWER), POWER / snr)
        assert history[b, 0] > start
        # Steps that gain less than the rounding of a rate may be lost, and only rounds - 1 of them.
        allowed = 4 * users * rate_move[b] + 4 * rounds * EPS32 * rates[b, -1]
        reached = ref.weighted_sum_rate(H[b], W[b], POWER / snr)
        # On its way to another stationary point a run may end higher, not lower.
        assert reached >= rates[b, -1] - allowed
        assert abs(history[b, -1] - reached) <= allowed


def test_float32_never_steps_back_once_it_has_arrived():
    # Converged after some tens of rounds; steps that are all rounding lose as often as they gain.
    H, W0 = arrays(*(single(x) for x in setting(range(8))))
    _, history = wmmse(H, W0, NOISE, POWER, 300)
    gains = np.diff(np.asarray(history))
    assert np.min(gains) >= 0
    assert np.all(gains[:, :5] > 0)


def test_batch_jit_vmap_and_single_agree_in_one_trace():
    H, W0 = arrays(*(single(x) for x in setting([41, 42])))

    def run(h, w):
        return implicit(h, w, NOISE, POWER, 6)

    chex.clear_trace_counter()
    compiled = jax.jit(chex.assert_max_traces(run, n=1))
    W, history = compiled(H, W0)
    compiled(2 * H, W0)
    vmapped = jax.jit(jax.vmap(run))(H, W0)
    alone = run(H[1], W0[1])
    # The same operations in another order: a few ulp, times a condition below 10.
    assert_near(vmapped[0], np.asarray(W), 50 * EPS32)
    assert_near(vmapped[1], np.asarray(history), 50 * EPS32)
    assert_near(alone[0], np.asarray(W[1]), 50 * EPS32)
    assert_near(alone[1], np.asarray(history[1]), 50 * EPS32)


def test_batch_axes_broadcast(x64):
    H, W0 = setting([61, 62])
    noise = np.outer([0.5, 2.0, 1.0], NOISES[:K])[:, None]
    shared = np.broadcast_to(H[0], (3, 1, K, M))
    W, history = wmmse(*arrays(shared, W0[None], noise), POWER, 4)
    assert W.shape == (3, 2, M, K)
    assert history.shape == (3, 2, 4)
    for i in range(3):
        for b in range(2):
            expected, rates = ref.implicit_wmmse(H[0], W0[b], noise[i, 0], POWER, 4)
            assert_near(W[i, b], expected, 1e-9)
            assert_near(history[i, b], rates, 1e-9)


def dead(H, *users):
    H = np.array(H)
    H[..., list(users), :] = 0
    return H


@pytest.mark.parametrize("rounding", [single, double])
def test_silent_users_and_a_silent_start_give_finite_numbers(rounding):
    H, W0 = setting([71])
    with jax.enable_x64(rounding is double):
        half, none, still = (
            wmmse(*arrays(rounding(h), rounding(w)), NOISE, POWER, 40)
            for h, w in ((dead(H, 1), W0), (dead(H, 0, 1, 2), W0), (H, 0 * W0))
        )
        for W, history in (half, none, still):
            assert np.all(np.isfinite(W))
            assert np.all(np.isfinite(history))
        eps = float(jnp.finfo(half[1].dtype).eps)
        np.testing.assert_allclose(power(half[0]), POWER, rtol=16 * eps)
        # What reaches nobody is not sent, and the others have what they would have alone.
        np.testing.assert_array_equal(half[0][..., 1], 0)
        _, pair = ref.implicit_wmmse(H[0][[0, 2]], W0[0][:, [0, 2]], NOISE, POWER, 40)
        assert float(half[1][0, -1]) == pytest.approx(pair[-1], abs=1e-4)
        np.testing.assert_array_equal(none[1], 0)
        # Silence is a fixed point of the receivers: no signal, no receiver, no beam.
        np.testing.assert_array_equal(still[0], 0)
        np.testing.assert_array_equal(still[1], 0)


@pytest.mark.parametrize("name", ["multiplier", "constraint"])
def test_unknown_options_are_refused(name):
    assert issubclass(ConfigError, ValueError)
    H, W0 = arrays(*(single(x) for x in setting([81])))
    with pytest.raises(ConfigError, match=f"{name}='both' is unknown") as caught:
        beamforming.wmmse(H, W0, NOISE, POWER, 2, **{name: "both"})
    assert "\n" not in str(caught.value)
