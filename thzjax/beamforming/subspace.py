"""The few dimensions of the transmitted vector that reach anything: a solver's work done in them is exact."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from thzjax.numeric import as_complex, hermitian, matmul
from thzjax.systems.base import System


def compact(system: System, channels: Any) -> tuple[Any, Array | None]:
    """Channels in an orthonormal basis of their rows' span, and that basis `[..., M, r]` (none where r = M).

    A beamformer only matters by its part in the span of the rows of `bs_to_surface` and `direct`, of dimension
    r = `spec.rank`: what lies outside costs power and reaches no one. On `paper-b` M = 64 becomes 6.
    """
    rank = system.spec.rank
    G, direct = channels.bs_to_surface, channels.direct
    if rank >= G.shape[-1]:
        return channels, None
    rows = jnp.concatenate([G, direct], axis=-2)
    largest = jnp.max(jnp.abs(rows), axis=(-2, -1), keepdims=True)
    rows = rows / jnp.where(largest > 0, largest, 1).astype(rows.dtype)
    # A fixed random mixture of the rows spans what they span, with probability one.
    mixture = np.random.default_rng(0).normal(size=(2, rows.shape[-2], rank))
    mixture = jnp.asarray(mixture[0] + 1j * mixture[1], dtype=rows.dtype)
    basis = orthonormal(matmul(hermitian(rows), mixture.reshape((1,) * (rows.ndim - 2) + mixture.shape)))
    return channels.replace(bs_to_surface=matmul(G, basis), direct=matmul(direct, basis)), basis


def orthonormal(columns: Array) -> Array:
    """An orthonormal basis of independent columns `[..., M, r]`, by Gram and Schmidt, each column twice.

    Not `jnp.linalg.qr`: on a CPU two independent batched LAPACK calls in one program were seen to wait for each other
    for ever (jax 0.10.2, 2 cores), and a user's program may hold another.
    """

    def column(Q: Array, j: Array) -> tuple[Array, None]:
        v = jnp.take(columns, j, axis=-1)[..., None]
        for _ in range(2):
            v = v - matmul(Q, matmul(hermitian(Q), v))
            norm = jnp.linalg.norm(v, axis=(-2, -1), keepdims=True)
            v = v / as_complex(jnp.where(norm > 0, norm, 1))
        return Q.at[..., j].set(v[..., 0]), None

    return lax.scan(column, jnp.zeros_like(columns), jnp.arange(columns.shape[-1]))[0]


def lift(basis: Array | None, beamformer: Array) -> Array:
    """The beamformer of all antennas from one in the basis, `[..., M, S]`."""
    return beamformer if basis is None else matmul(basis, beamformer)
