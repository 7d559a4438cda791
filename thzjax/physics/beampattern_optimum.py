"""The best beam pattern that any transmit covariance can make: the anchor beside every beam-pattern error.

min L_r(R) over R >= 0 with at most P/M per antenna is convex. It is solved here without a solver, by descent on a
square root of R, and by cvxpy (extra `baselines`) as the check; cvxpy's answers for the presets ship as a table.
"""

import functools
import json
from importlib import resources

import numpy as np

from thzjax.errors import ConfigError
from thzjax.physics.beampattern import PatternGram


def _host(gram: PatternGram) -> tuple[np.ndarray, np.ndarray, float]:
    return np.asarray(gram.quadratic, np.float64), np.asarray(gram.linear, np.float64), float(gram.constant)


def least_pattern_error(gram: PatternGram, num: int, power_w: float, p_ref_w: float = 1.0) -> float:
    """Least error that any covariance with at most P/M per antenna can reach, on the host.

    Args:
      gram: from `beampattern.pattern_gram`.
      num: M, antennas.
      power_w: P, total power [W]; each antenna has at most P/M.
      p_ref_w: power that counts as 1 [W].

    Returns:
      The least error. For M = 5 and P >= 5 p_ref: 0.0763 (width 10 degrees), 0.0598 (5 degrees).
    """
    return optimal_covariance(gram, num, power_w, p_ref_w)[1]


def optimal_covariance(gram: PatternGram, num: int, power_w: float, p_ref_w: float = 1.0) -> tuple[np.ndarray, float]:
    """(R `[M, M]` [W], its error): the covariance of least error with at most P/M per antenna, on the host.

    R = V V^H with square V turns the set into row norms, on which accelerated projected descent with backtracking
    is exact enough (1e-9 against cvxpy) and takes 10 ms. Arguments as in `least_pattern_error`.
    """
    quadratic, linear, constant = _host(gram)
    v, error = _descend(quadratic.tobytes(), linear.tobytes(), constant, num, float(power_w) / float(p_ref_w))
    return v @ v.conj().T * float(p_ref_w), error


def convex_optimum(
    gram: PatternGram, num: int, power_w: float, p_ref_w: float = 1.0, equality: bool = False
) -> tuple[np.ndarray, float]:
    """`optimal_covariance` by cvxpy; with `equality` every antenna radiates exactly P/M.

    Raises:
      ConfigError: cvxpy is not installed.
    """
    try:
        import cvxpy as cp
    except ImportError:
        raise ConfigError("convex_optimum needs cvxpy: pip install 'thzjax[baselines]'") from None
    quadratic, linear, constant = _host(gram)
    R = cp.Variable((num, num), hermitian=True)
    lags = [sum(R[n + q, n] for n in range(num - q)) for q in range(num)]
    t = cp.hstack([cp.real(lag) for lag in lags] + [cp.imag(lag) for lag in lags[1:]])
    values, vectors = np.linalg.eigh(quadratic)
    root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    budget = float(power_w) / float(p_ref_w) / num
    diagonal = cp.real(cp.diag(R))
    power = diagonal == budget if equality else diagonal <= budget
    problem = cp.Problem(cp.Minimize(cp.sum_squares(root @ t) - 2 * linear @ t + constant), [R >> 0, power])
    problem.solve(solver=cp.CLARABEL)
    return np.asarray(R.value) * float(p_ref_w), float(problem.value)


@functools.cache
def tabulated_optimum() -> tuple[dict, ...]:
    """cvxpy's optimum for the presets: rows of `num`, `targets_deg`, `width_deg`, `power_ratio` (P/p_ref),
    `equality` (every antenna at exactly P/M) and `error`. No solver is needed to read them.

    Made by `python -m thzjax.physics.beampattern_optimum`.
    """
    text = resources.files("thzjax.physics").joinpath("data", "beampattern_optimum.json").read_text()
    return tuple(json.loads(text))


@functools.lru_cache(maxsize=64)
def _descend(quadratic: bytes, linear: bytes, constant: float, num: int, power: float) -> tuple[np.ndarray, float]:
    size = 2 * num - 1
    q_matrix = np.frombuffer(quadratic).reshape(size, size)
    q_vector = np.frombuffer(linear)
    lag = np.arange(num)[:, None] - np.arange(num)
    budget = power / num

    def error_and_gradient(v: np.ndarray) -> tuple[float, np.ndarray]:
        r = v @ v.conj().T
        lags = np.array([np.trace(r, -q) for q in range(num)])
        t = np.concatenate([lags.real, lags.imag[1:]])
        g = 2 * (q_matrix @ t - q_vector)
        # dE/dr_q spread back over the diagonals; Im r_q enters as Im R_mn with m - n = q.
        toeplitz = np.concatenate([[g[0]], (g[1:num] + 1j * g[num:]) / 2])
        slope = np.where(lag >= 0, toeplitz[np.abs(lag)], toeplitz[np.abs(lag)].conj())
        return float(t @ q_matrix @ t - 2 * q_vector @ t + constant), 2 * slope @ v

    def project(v: np.ndarray) -> np.ndarray:
        norm2 = np.sum(np.abs(v) ** 2, axis=1, keepdims=True)
        return v * np.sqrt(np.minimum(1, budget / np.maximum(norm2, 1e-300)))

    rng = np.random.default_rng(0)
    start = rng.standard_normal((num, num)) + 1j * rng.standard_normal((num, num))
    v = project(start * np.sqrt(min(budget, 1.0) / num))
    error, gradient = error_and_gradient(v)
    step, momentum, previous = 1.0, 1.0, v
    for _ in range(4000):
        grown = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        point = v + (momentum - 1) / grown * (v - previous)
        point_error, gradient = error_and_gradient(point)
        while True:
            trial = project(point - step * gradient)
            move = trial - point
            trial_error, _ = error_and_gradient(trial)
            bound = point_error + np.sum((gradient.conj() * move).real) + np.sum(np.abs(move) ** 2) / (2 * step)
            if trial_error <= bound + 1e-15 or step < 1e-9:
                break
            step /= 2
        if trial_error > error:  # momentum overshot: start it again from the best point
            if momentum == 1.0:
                break
            previous, momentum = v, 1.0
            continue
        done = error - trial_error < 1e-12 and momentum > 20
        previous, v, error, momentum = v, trial, trial_error, grown
        step *= 1.1
        if done:
            break
    return v, error


def _tabulate() -> list[dict]:
    """Rows of `tabulated_optimum` for 5 antennas, three beams, both widths of paper A, over the power."""
    import jax
    import jax.numpy as jnp

    from thzjax.physics.beampattern import desired_pattern, pattern_gram, pattern_grid

    targets_deg, rows = (-40.0, 0.0, 40.0), []
    with jax.enable_x64(True):
        grid = pattern_grid()
        for width_deg in (10.0, 5.0):
            desired = desired_pattern(grid, jnp.deg2rad(jnp.asarray(targets_deg)), jnp.deg2rad(width_deg))
            gram = pattern_gram(5, desired, grid)
            for power_ratio in (0.02, 1.0, 1.25, 5.0, 10.0, 20.0, 80.0):
                for equality in (False, True):
                    error = convex_optimum(gram, 5, power_ratio, equality=equality)[1]
                    row = {"num": 5, "targets_deg": targets_deg, "width_deg": width_deg, "power_ratio": power_ratio}
                    rows.append({**row, "equality": equality, "error": round(error, 8)})
    return rows


if __name__ == "__main__":
    print("[\n" + ",\n".join(json.dumps(row) for row in _tabulate()) + "\n]")
