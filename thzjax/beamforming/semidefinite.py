"""Surface phases by semidefinite relaxation, with a bound that no phases exceed: the anchor for small surfaces.

On the host, one channel at a time, by cvxpy (extra `baselines`).
"""

import warnings

import numpy as np

from thzjax.errors import ConfigError

SWEEPS = 50
"""At most so many rounds of coordinate ascent; it stops when one gains less than 1e-12."""


def semidefinite_phases(
    direct: np.ndarray,
    surface_to_user: np.ndarray,
    bs_to_surface: np.ndarray,
    weights: np.ndarray | None = None,
    randomisations: int = 100,
    seed: int = 0,
) -> tuple[np.ndarray, float]:
    """Phases for the largest sum_k a_k ||direct_k + surface_to_user_k diag(psi) bs_to_surface||^2, |psi_n| = 1.

    With v = (conj(psi), 1) this is v^H R v, R = sum_k a_k F_k F_k^H, where F_k stacks diag(surface_to_user_k)
    bs_to_surface on direct_k. The relaxation max tr(R V) over V >= 0 with unit diagonal drops the rank of V = v v^H;
    phases come back from it as those of complex normal draws of covariance V, and of V's leading eigenvector: the
    best of them, then improved one element at a time. R >= 0, so the mean draw has pi/4 of the relaxed value.

    The bound is weak duality's: v^H R v <= sum_n y_n for any y with diag(y) - R >= 0. The solver's y is shifted until
    that holds, so it is an upper bound whatever the solver's tolerance.

    Interior points: 0.15 s at N = 16, 12 s at 40, 110 s at 64 on one CPU core.

    Args:
      direct: base station to users, `[K, M]`.
      surface_to_user: `[K, N]`.
      bs_to_surface: `[N, M]`.
      weights: a_k >= 0, `[K]`; default 1.
      randomisations: number of draws.
      seed: of the draws; the same seed gives the same phases.

    Returns:
      (phases `[N]` [rad] in (-pi, pi], the bound on the objective).

    Raises:
      ConfigError: cvxpy is not installed; shapes that do not fit; negative weights or randomisations.

    Source: Wu and Zhang, 2019, "Intelligent reflecting surface enhanced wireless network via joint active and passive
    beamforming"; the rounding: Goemans and Williamson, 1995, and for complex phases Zhang and Huang, 2006, "Complex
    quadratic optimization and semidefinite programming".
    """
    try:
        import cvxpy as cp
    except ImportError:
        raise ConfigError("semidefinite_phases needs cvxpy: pip install 'thzjax[baselines]'") from None
    if randomisations < 0:
        raise ConfigError(f"randomisations={randomisations} must not be negative")
    R = _quadratic_form(direct, surface_to_user, bs_to_surface, weights)
    size = len(R)
    # The solver's tolerances are absolute; a channel's squares are 1e-10 and less.
    scale = np.trace(R).real / size
    if size == 1 or scale == 0:
        return np.zeros(size - 1), float(scale)
    R = R / scale

    V = cp.Variable((size, size), hermitian=True)
    unit_diagonal = cp.real(cp.diag(V)) == 1
    problem = cp.Problem(cp.Maximize(cp.real(cp.trace(R @ V))), [V >> 0, unit_diagonal])
    with warnings.catch_warnings():
        # A digit short of the solver's aim costs a digit of the bound's tightness, not its truth.
        warnings.filterwarnings("ignore", "Solution may be inaccurate", UserWarning)
        problem.solve(solver=cp.CLARABEL)

    candidates = _draws(V.value, randomisations, seed)
    values = np.sum((candidates.conj() @ R) * candidates, axis=1).real
    v = _ascend(R, candidates[np.argmax(values)])
    return np.angle(v[-1] * v[:-1].conj()), _dual_value(R, unit_diagonal.dual_value) * scale


def _quadratic_form(
    direct: np.ndarray, surface_to_user: np.ndarray, bs_to_surface: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """R `[N + 1, N + 1]`, the direct path last."""
    d, h, G = (np.asarray(x, np.complex128) for x in (direct, surface_to_user, bs_to_surface))
    if not (d.ndim == h.ndim == G.ndim == 2) or d.shape != (h.shape[0], G.shape[1]) or h.shape[1] != G.shape[0]:
        raise ConfigError(
            "direct [K, M], surface_to_user [K, N] and bs_to_surface [N, M] do not fit: "
            f"their shapes are {d.shape}, {h.shape} and {G.shape}"
        )
    a = np.ones(len(d)) if weights is None else np.asarray(weights, np.float64)
    if a.shape != (len(d),):
        raise ConfigError(f"weights has shape {a.shape}, not one for each of the {len(d)} users")
    if np.any(a < 0):
        raise ConfigError(f"weights must not be negative, not {np.min(a):g}")
    paths = np.concatenate([h[:, :, None] * G, d[:, None, :]], axis=1) * np.sqrt(a)[:, None, None]
    return np.einsum("knm,kjm->nj", paths, paths.conj())


def _draws(V: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Unit-modulus candidates `[count + 1, size]`: the leading eigenvector's phases, then those of draws ~ CN(0, V)."""
    values, vectors = np.linalg.eigh(V)
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((count, len(V))) + 1j * rng.standard_normal((count, len(V)))
    drawn = (normal * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return np.exp(1j * np.angle(np.concatenate([vectors[None, :, -1], drawn])))


def _ascend(R: np.ndarray, v: np.ndarray) -> np.ndarray:
    """v after each entry in turn has taken the phase that is best beside the others, until that no longer pays."""
    v, value = v.copy(), np.vdot(v, R @ v).real
    for _ in range(SWEEPS):
        for n in range(len(v)):
            others = R[n] @ v - R[n, n] * v[n]
            if others != 0:
                v[n] = others / abs(others)
        before, value = value, np.vdot(v, R @ v).real
        if value - before <= 1e-12 * value:
            break
    return v


def _dual_value(R: np.ndarray, y: np.ndarray) -> float:
    """sum(y) after one shift of all y that makes diag(y) - R >= 0, with room for the eigenvalue's own rounding."""
    excess = R - np.diag(y)
    rounding = 4 * len(R) * np.finfo(np.float64).eps * (np.linalg.norm(excess) + np.linalg.norm(R))
    return float(np.sum(y) + len(R) * (np.linalg.eigvalsh(excess)[-1] + rounding))
