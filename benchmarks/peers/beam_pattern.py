"""The convex problem of the least beam-pattern error: thzjax's own descent beside cvxpy, seconds per problem."""

import argparse
from collections.abc import Callable

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.record import emit, ratios, speed
from thzjax.physics.beampattern import PatternGram, desired_pattern, pattern_gram, pattern_grid
from thzjax.physics.beampattern_optimum import convex_optimum, optimal_covariance

ANTENNAS, TARGETS_DEG, WIDTH_DEG = (5, 16), (-40.0, 0.0, 40.0), 10.0
POWERS = (1.0, 20.0)
"""Total power over the reference power, drawn anew for every problem: no answer is there already."""

ALIKE = 6
"""Problems on which both answers are compared."""


def gram_of(antennas: int) -> PatternGram:
    """Paper A's three beams, in double precision."""
    with jax.enable_x64(True):
        grid = pattern_grid()
        targets = jnp.deg2rad(jnp.asarray(TARGETS_DEG))
        gram = pattern_gram(antennas, desired_pattern(grid, targets, jnp.deg2rad(WIDTH_DEG)), grid)
        return jax.tree.map(np.asarray, gram)


def built_once(gram: PatternGram, antennas: int) -> Callable[[float], float]:
    """cvxpy at its best: one problem whose power is a parameter, so that only the solver works again."""
    R = cp.Variable((antennas, antennas), hermitian=True)
    lags = [sum(R[n + q, n] for n in range(antennas - q)) for q in range(antennas)]
    t = cp.hstack([cp.real(lag) for lag in lags] + [cp.imag(lag) for lag in lags[1:]])
    values, vectors = np.linalg.eigh(gram.quadratic)
    root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    budget = cp.Parameter(nonneg=True)
    error = cp.sum_squares(root @ t) - 2 * gram.linear @ t + float(gram.constant)
    problem = cp.Problem(cp.Minimize(error), [R >> 0, cp.real(cp.diag(R)) <= budget])

    def solve(power: float) -> float:
        budget.value = power / antennas
        problem.solve(solver=cp.CLARABEL)
        return float(problem.value)

    return solve


def run(peer: str, given: argparse.Namespace, peaks: dict[str, float]) -> None:
    """Every number of antennas."""
    for antennas in ANTENNAS[:1] if given.quick else ANTENNAS:
        gram, rng = gram_of(antennas), np.random.default_rng(0)
        solvers = {
            "thzjax": lambda power, gram=gram, m=antennas: optimal_covariance(gram, m, power)[1],
            f"{peer}, built for each problem": lambda power, gram=gram, m=antennas: convex_optimum(gram, m, power)[1],
            f"{peer}, built once": built_once(gram, antennas),
        }
        powers = rng.uniform(*POWERS, ALIKE)
        answers = {who: np.array([solve(power) for power in powers]) for who, solve in solvers.items()}
        problems, own = 2 if given.quick else 8, None
        for who, solve in solvers.items():

            def work(solve=solve, rng=rng, problems=problems) -> None:
                for power in rng.uniform(*POWERS, problems):
                    solve(power)

            speeds = speed("problems", problems, work, given.repeats)
            record = {"what": "convex beam pattern", "antennas": antennas} | speeds
            record["ms_per_problem"] = 1e3 / speeds["problems_per_s"]
            if own is None:
                own = speeds
            else:
                record |= ratios("problems", own, speeds)
                record["largest_difference_of_the_optimum"] = float(np.max(np.abs(answers[who] - answers["thzjax"])))
            emit(peer, who, record | peaks)
