"""Small batched Hermitian solves, factors and determinants."""

import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.linalg import cho_factor, cho_solve, solve_triangular

from thzjax.numeric import UNROLL_LIMIT, abs2, as_complex, hermitian, matmul

SQUARINGS = 6
"""2^6 = 64 power iterations for each singular vector."""


def solve_hermitian(a: Array, b: Array) -> Array:
    """x with a x = b for Hermitian (or real symmetric) positive definite `a[..., n, n]` and `b[..., n, r]`.

    Up to n = 8 by blocks: halves of the matrix and their Schur complement, down to 2 x 2, without pivoting (positive
    definite matrices need none); above that a Cholesky solve. A singular `a` gives large finite numbers, not NaN.

    4 x 4 complex with 5 right-hand sides on one CPU core: 5.6 M/s, against 2.7 M/s for Gauss-Jordan by rows and
    1.0 to 1.5 M/s for LAPACK. Rejected: entry by entry with the batch last (4.5 M/s alone, but 4 to 8 s of compiling
    in `zf`).
    """
    n = a.shape[-1]
    limits = jnp.finfo(a.real.dtype)
    diagonal = jnp.abs(jnp.real(jnp.diagonal(a, axis1=-2, axis2=-1)))
    if n > UNROLL_LIMIT:
        # Loaded by what Cholesky's own rounding amounts to, so that a singular matrix keeps its pivots positive.
        loading = 4 * n * limits.eps * diagonal + limits.tiny
        return cho_solve(cho_factor(a + loading[..., None].astype(a.dtype) * jnp.eye(n, dtype=a.dtype), lower=True), b)
    # A lost pivot is rounding of this size: from below by less, each would multiply the next by 1e7.
    floor = limits.eps * diagonal + limits.tiny
    return _solve_blocks(a, b, floor)


def _solve_blocks(a: Array, b: Array, floor: Array) -> Array:
    """`floor[..., n]` bounds the pivots from below."""
    n = a.shape[-1]
    if n == 1:
        return b / jnp.maximum(jnp.real(a), floor[..., None]).astype(a.dtype)
    if n == 2:
        first = jnp.maximum(jnp.real(a[..., 0, 0]), floor[..., 0])
        corner = a[..., 0, 1]
        share = corner / first.astype(a.dtype)
        second = jnp.maximum(jnp.real(a[..., 1, 1]) - abs2(corner) / first, floor[..., 1])
        x1 = (b[..., 1, :] - jnp.conj(share)[..., None] * b[..., 0, :]) / second.astype(a.dtype)[..., None]
        x0 = b[..., 0, :] / first.astype(a.dtype)[..., None] - share[..., None] * x1
        return jnp.stack([x0, x1], axis=-2)
    half = n // 2
    corner = a[..., :half, half:]
    b = jnp.broadcast_to(b, (*jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]))
    both = jnp.concatenate([jnp.broadcast_to(corner, (*b.shape[:-2], half, n - half)), b[..., :half, :]], axis=-1)
    solved = _solve_blocks(a[..., :half, :half], both, floor[..., :half])
    share, upper = solved[..., : n - half], solved[..., n - half :]
    adjoint = hermitian(corner)
    complement = a[..., half:, half:] - matmul(adjoint, share)
    lower = _solve_blocks(complement, b[..., half:, :] - matmul(adjoint, upper), floor[..., half:])
    return jnp.concatenate([upper - matmul(share, lower), lower], axis=-2)


def whiten(q: Array, x: Array) -> Array:
    """L^-1 x with q = L L^H: noise of covariance `q[..., n, n]` (positive definite) made white, `[..., n, r]`.

    Up to n = 8 unrolled, as `solve_hermitian`.
    """
    n = q.shape[-1]
    if n > UNROLL_LIMIT:
        return solve_triangular(jnp.linalg.cholesky(q), x, lower=True)
    columns = [q[..., :, j] for j in range(n)]
    rows = [x[..., i, :] for i in range(n)]
    for i in range(n):
        root = jnp.sqrt(jnp.real(columns[i][..., i])).astype(q.dtype)[..., None]
        columns[i] = columns[i] / root
        rows[i] = rows[i] / root
        for j in range(i + 1, n):
            rows[j] = rows[j] - columns[i][..., j, None] * rows[i]
            columns[j] = columns[j] - columns[i] * jnp.conj(columns[i][..., j, None])
    return jnp.stack(rows, axis=-2)


def log_det_one_plus(a: Array) -> Array:
    """ln det(I + a) for Hermitian positive semidefinite `a[..., n, n]`, `[...]`, exact also where a is tiny.

    Elimination on a itself gives the pivots of I + a less 1, whose log1p is summed: nothing is lost beside the 1.
    """
    n = a.shape[-1]
    if n > UNROLL_LIMIT:
        return jnp.sum(jnp.log1p(jnp.maximum(jnp.linalg.eigvalsh(a), 0)), axis=-1)
    columns = [a[..., :, j] for j in range(n)]
    total = jnp.zeros(a.shape[:-2], a.real.dtype)
    for i in range(n):
        excess = jnp.maximum(jnp.real(columns[i][..., i]), 0)
        total = total + jnp.log1p(excess)
        for j in range(i + 1, n):
            factor = jnp.conj(columns[i][..., j]) / (1 + excess).astype(a.dtype)
            columns[j] = columns[j] - columns[i] * factor[..., None]
    return total


def leading_directions(G: Array, num: int) -> Array:
    """The `num` leading right singular vectors of `G[..., n, m]`, up to their phases, `[..., m, num]`.

    By squaring the Gram matrix, its longest column, and deflation. Not `eigh`: see `beamforming.subspace.orthonormal`.
    Where two singular values are close the vectors may be any two of their plane; past the rank they are orthogonal to
    the others, or zero.
    """
    G = G / as_complex(_largest(G))
    gram = matmul(hermitian(G), G)
    gram = gram / as_complex(_largest(gram))
    size = gram.shape[-1]
    eye = jnp.eye(size, dtype=gram.dtype).reshape((1,) * (gram.ndim - 2) + (size, size))

    def direction(Q: Array, d: Array) -> tuple[Array, None]:
        rest = eye - matmul(Q, hermitian(Q))
        power = matmul(matmul(rest, gram), rest)
        for _ in range(SQUARINGS):
            power = power / as_complex(_largest(power))
            power = matmul(power, power)
        longest = jnp.argmax(jnp.sum(abs2(power), axis=-2), axis=-1)[..., None, None]
        # A Gram of lower rank leaves nothing but rounding here: once more out of the span of those before.
        v = matmul(rest, _unit(jnp.take_along_axis(power, longest, axis=-1)))
        return Q.at[..., d].set(_unit(v)[..., 0]), None

    return lax.scan(direction, jnp.zeros((*gram.shape[:-1], num), gram.dtype), jnp.arange(num))[0]


def _largest(x: Array) -> Array:
    """Largest modulus of each matrix, 1 where all are 0, `[..., 1, 1]`."""
    largest = jnp.sqrt(jnp.max(abs2(x), axis=(-2, -1), keepdims=True))
    return jnp.where(largest > 0, largest, 1)


def _unit(v: Array) -> Array:
    """A column `[..., m, 1]` at unit norm; zero stays zero."""
    v = v / as_complex(_largest(v))
    norm2 = jnp.sum(abs2(v), axis=-2, keepdims=True)
    return v / as_complex(jnp.sqrt(jnp.where(norm2 > 0, norm2, 1)))
