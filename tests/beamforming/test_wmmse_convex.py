"""The transmit step of WMMSE is a convex quadratic problem: a general solver has to agree with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import beamforming as ref
from reference.link import received_powers
from reference.tools import complex_normal

from thzjax import beamforming

cvxpy = pytest.importorskip("cvxpy")
wmmse = jax.jit(beamforming.wmmse, static_argnames=("iterations", "constraint"))

NOISE, POWER = 1.0, 10.0
WEIGHTS = np.array([0.5, 1.0, 2.0, 1.0, 0.3, 1.5])
GAP = 1e-8  # of the solver, on objectives of about one per user


def setting(seed, users, antennas, power_w=POWER):
    H = complex_normal(seed, users, antennas)
    return H, ref.scale_per_antenna(ref.mrt(H), power_w)


def squares(H, W, weights):
    """C and D with sum_k alpha_k/e_k E|conj(u_k) y_k - s_k|^2 = ||C H X - D||^2 + constant for beams X.

    u and e are the receivers of least error and these errors at the beams W.
    """
    powers, gains, wanted = received_powers(H, W), np.zeros(len(H)), np.zeros((len(H),) * 2, complex)
    for k in range(len(H)):
        everything = sum(powers[k]) + NOISE
        receiver = (H[k] @ W[:, k]) / everything
        urgency = weights[k] / (1.0 - powers[k, k] / everything)
        gains[k] = np.sqrt(urgency) * abs(receiver)
        wanted[k, k] = np.sqrt(urgency) * np.exp(1j * np.angle(receiver))
    return gains, wanted


def objective(H, problem, X):
    gains, wanted = problem
    return np.sum(np.abs(gains[:, None] * (H @ X) - wanted) ** 2)


def solve(H, problem, power_w, constraint):
    """(beams, objective, the power limits' multipliers) by the general solver."""
    gains, wanted = problem
    X = cvxpy.Variable((H.shape[1], H.shape[0]), complex=True)
    if constraint == "sum":
        limits = [cvxpy.sum_squares(X) <= power_w]
    else:
        limits = [cvxpy.sum_squares(X[m]) <= power_w / H.shape[1] for m in range(H.shape[1])]
    distance = cvxpy.sum_squares((gains[:, None] * H) @ X - wanted)
    solved = cvxpy.Problem(cvxpy.Minimize(distance), limits)
    solved.solve(solver=cvxpy.CLARABEL)
    assert solved.status == "optimal"
    return X.value, solved.value, np.ravel([limit.dual_value for limit in limits])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("users", "antennas"), [(2, 4), (3, 3), (6, 4)])
def test_one_step_under_a_total_power_is_the_solvers(x64, users, antennas, weighted):
    for seed in (0, 1):
        H, W0 = setting(seed, users, antennas)
        weights = WEIGHTS[:users] if weighted else np.ones(users)
        step, _ = wmmse(*(jnp.asarray(x) for x in (H, W0)), NOISE, POWER, 1, jnp.asarray(weights), "sum")
        step, problem = np.asarray(step), squares(H, W0, weights)
        expected, least, multipliers = solve(H, problem, POWER, "sum")
        assert np.sum(np.abs(step) ** 2) <= POWER * (1 + 1e-9)
        assert objective(H, problem, step) == pytest.approx(least, abs=GAP * users)
        # The Lagrangian bends by the multiplier or more: a gap g leaves beams within sqrt(g/multiplier).
        assert multipliers[0] > 1e-3
        assert np.linalg.norm(step - expected) < np.sqrt(2 * GAP * users / multipliers[0])
        assert np.linalg.norm(step - W0) > 0.1


def test_one_step_with_power_to_spare_is_the_solvers(x64):
    H, W0 = setting(2, 6, 4, 1.0)
    step, _ = wmmse(*(jnp.asarray(x) for x in (H, W0)), NOISE, 1e3, 1)
    step, problem = np.asarray(step), squares(H, W0, np.ones(6))
    expected, least, _ = solve(H, problem, 1e3, "sum")
    assert np.sum(np.abs(step) ** 2) < 500.0
    assert objective(H, problem, step) == pytest.approx(least, abs=GAP * 6)
    bend = np.linalg.svd(problem[0][:, None] * H)[1][-1] ** 2
    assert bend > 1e-3
    assert np.linalg.norm(step - expected) < np.sqrt(2 * GAP * 6 / bend)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("users", "antennas"), [(2, 4), (3, 3), (6, 4)])
def test_one_step_under_antenna_powers_lies_between_start_and_solver(x64, users, antennas, weighted):
    # Rows in turn: no exact minimum after one step, but descent within the limits.
    H, W0 = setting(3, users, antennas)
    weights = WEIGHTS[:users] if weighted else np.ones(users)
    step, _ = wmmse(*(jnp.asarray(x) for x in (H, W0)), NOISE, POWER, 1, jnp.asarray(weights), "per_antenna")
    step, problem = np.asarray(step), squares(H, W0, weights)
    _, least, _ = solve(H, problem, POWER, "per_antenna")
    assert np.max(np.sum(np.abs(step) ** 2, axis=1)) <= POWER / antennas * (1 + 1e-9)
    start = objective(H, problem, W0)
    assert start > least + 1e-2
    assert least - GAP * users <= objective(H, problem, step) < start


@pytest.mark.parametrize("constraint", ["sum", "per_antenna"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("users", "antennas"), [(2, 4), (3, 3)])
def test_converged_beams_are_their_own_best_step(x64, users, antennas, weighted, constraint):
    H, W0 = setting(4, users, antennas)
    weights = WEIGHTS[:users] if weighted else np.ones(users)
    end, _ = wmmse(*(jnp.asarray(x) for x in (H, W0)), NOISE, POWER, 500, jnp.asarray(weights), constraint)
    end = np.asarray(end)
    problem, before = squares(H, end, weights), squares(H, W0, weights)
    # What is left to gain in the step from the end, beside what there was to gain in the step from the start.
    left = objective(H, problem, end) - solve(H, problem, POWER, constraint)[1]
    first = objective(H, before, W0) - solve(H, before, POWER, constraint)[1]
    assert first > 1e-2
    assert -GAP * users < left < 1e-6 * first + GAP * users
