"""Users with several antennas as closed forms see them: one antenna each for the surface, one row for each stream."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from thzjax.errors import ConfigError
from thzjax.linalg import leading_directions, solve_hermitian
from thzjax.numeric import abs2, as_complex, hermitian, matmul
from thzjax.systems.base import System


def one_antenna(channels: Any) -> Any:
    """The channels with each user's antennas combined into one: `direct[..., K, M]`, `surface_to_user[..., K, N]`.

    By the strongest left singular vector of all a user's paths, those over the surface as strong as it can make them:
    with a strong line of sight, the direction that it arrives from. Channels of users with one antenna stay as they
    are.
    """
    if channels.direct.ndim == channels.bs_to_surface.ndim:
        return channels
    d, h, G = channels.direct, channels.surface_to_user, channels.bs_to_surface
    if h.shape[-1]:
        reach = jnp.sqrt(h.shape[-1] * jnp.sum(abs2(_relative(G)), axis=-1)) * _largest(G)[..., 0]
        paths = jnp.concatenate([d, h * as_complex(reach)[..., None, None, :]], axis=-1)
    else:
        paths = d
    combine = hermitian(leading_directions(hermitian(paths), 1))  # `[..., K, 1, R]`
    combined = {"direct": matmul(combine, d)[..., 0, :]}
    combined["surface_to_user"] = matmul(combine, h)[..., 0, :] if h.shape[-1] else h[..., 0, :]
    return channels.replace(**combined)


def _largest(x: Array) -> Array:
    largest = jnp.max(jnp.abs(x), axis=(-2, -1), keepdims=True, initial=0)
    return jnp.where(largest > 0, largest, 1)


def _relative(x: Array) -> Array:
    """x over its largest modulus: squares of channel-sized numbers underflow float32."""
    return x / as_complex(_largest(x))


def stream_rows(system: System, H: Array) -> Array:
    """One row of the effective channel for each data stream, `[..., K D, M]`; `[..., K, M]` stays as it is.

    Of several antennas, `[..., K, R, M]`, a user's rows are U_k^H H_k with the D strongest left singular vectors: its
    best D ways to listen.
    """
    spec = system.spec
    if spec.user_antennas == 1:
        return H
    modes = leading_directions(hermitian(H), spec.user_streams)
    rows = matmul(hermitian(modes), H)
    return rows.reshape(*rows.shape[:-3], spec.data_streams, rows.shape[-1])


def block_diagonalisation(system: System, H: Array) -> Array:
    """Beams that no other user hears, along each user's strongest modes of what is left; equal powers, `[..., M, K D]`.

    W_k spans the D strongest right singular vectors of H_k (I - A^H (A A^H)^-1 A), A the other users' rows.

    Args:
      H: `[..., K, R, M]`.

    Raises:
      ConfigError: M - (K - 1) R < D: no such beams exist.

    Source: Spencer, Swindlehurst and Haardt, 2004.
    """
    users, antennas, num = H.shape[-3:]
    left = num - (users - 1) * antennas
    if left < system.spec.user_streams:
        raise ConfigError(
            f"zf (block diagonalisation) needs M - (K - 1) R >= D, {num} - {users - 1} * {antennas} = {left} are left "
            f"for D={system.spec.user_streams} streams; rzf and wmmse need none"
        )
    H = _relative(H)
    beams = []
    for k in range(users):
        mine = H[..., k, :, :]
        if users > 1:
            others = jnp.concatenate([H[..., :k, :, :], H[..., k + 1 :, :, :]], axis=-3)
            A = others.reshape(*others.shape[:-3], -1, num)
            mine = mine - matmul(matmul(mine, hermitian(A)), solve_hermitian(matmul(A, hermitian(A)), A))
        beams.append(leading_directions(mine, system.spec.user_streams))
    return jnp.concatenate(beams, axis=-1)
