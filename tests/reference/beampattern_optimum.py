"""The convex problem of the least beam-pattern error, by a general solver."""

import math

import numpy as np
from reference.arrays import ula_steering


def pattern_rows(num, grid_rad):
    """a^H R a as one row of real numbers per angle over the entries of Re R, then of Im R, row by row."""
    rows = np.zeros((len(grid_rad), 2 * num * num))
    for g, angle in enumerate(grid_rad):
        a = ula_steering(angle, num)
        for m in range(num):
            for n in range(num):
                product = a[m].conjugate() * a[n]
                rows[g, m * num + n], rows[g, num * num + m * num + n] = product.real, -product.imag
    return rows


def least_error(num, desired, grid_rad, power_w, p_ref_w=1.0, equality=False):
    """(R, error): diagonal at most, or exactly, power_w/num. Needs cvxpy."""
    import cvxpy

    # In units of the error itself, or the solver's tolerances do not fit. Patterns fill 2 num - 1 dimensions; what
    # of the desired one lies beyond them cannot be changed.
    scale = math.sqrt(len(grid_rad))
    basis, sizes, rows = np.linalg.svd(pattern_rows(num, grid_rad) / scale, full_matrices=False)
    inside = sizes > 1e-9 * sizes[0]
    assert np.sum(inside) == 2 * num - 1
    basis, rows, desired = basis[:, inside], sizes[inside, None] * rows[inside], np.asarray(desired) / scale
    wanted = basis.T @ desired
    beyond = math.fsum((desired - basis @ wanted) ** 2)
    R = cvxpy.Variable((num, num), hermitian=True)
    entries = cvxpy.hstack([cvxpy.vec(part(R), order="C") for part in (cvxpy.real, cvxpy.imag)])
    diagonal, limit = cvxpy.real(cvxpy.diag(R)), power_w / num
    limits = [R >> 0, diagonal == limit if equality else diagonal <= limit]
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(wanted - rows @ entries / p_ref_w)), limits)
    problem.solve(solver=cvxpy.CLARABEL)
    assert problem.status == "optimal"
    return R.value, problem.value + beyond
