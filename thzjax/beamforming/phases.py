"""Closed-form surface phases on a channel with `direct`, `surface_to_user` and `bs_to_surface`."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from thzjax.beamforming.receive import one_antenna
from thzjax.numeric import abs2, as_complex, matmul, unit_phasor

MOST_DIRECT = 1e6
"""A direct link's amplitude over that of a path over one element, above which both are taken in units of the former."""


def aligned_reflections(channels: Any, sweeps: int = 2) -> tuple[Array, Array]:
    """Reflections that add every path of one user in phase, for each user in turn, without quantisation.

    A sweep points a beam w along the user's present row (MRT) and then turns each element so that its
    contribution h_kn (G w)_n meets the direct term d_k w in phase. The first sweep starts from the BS antenna
    that hears the surface best. A user's antennas count as one (`receive.one_antenna`).

    Args:
      channels: `direct[..., K, M]`, `surface_to_user[..., K, N]`, `bs_to_surface[..., N, M]`.
      sweeps: beam and phase alternations; on `paper-a` the strongest row's norm after 2 is within 0.5 % of 20.

    Returns:
      (unit-modulus reflections `[..., K, N]`, |row|^2 each user then has `[..., K]`).
    """
    channels = one_antenna(channels)
    # Each factor near 1: the squares of channel-sized numbers underflow float32.
    G, G_scale = _scaled(channels.bs_to_surface)
    h, h_scale = _scaled(channels.surface_to_user)
    reflected = G_scale * h_scale
    # Where the surface is next to nothing beside the direct links, they are near 1 instead: in units of the surface
    # their squares overflow, and the strength would be infinity times 0.
    direct = _scaled(channels.direct)[1]
    unit = jnp.where(direct > MOST_DIRECT * reflected, direct, reflected)
    share = as_complex(reflected / unit)
    d = channels.direct / as_complex(unit)
    hears = jnp.sum(abs2(G), axis=-2)
    first = (jnp.arange(G.shape[-1]) == jnp.argmax(hears, axis=-1)[..., None]).astype(G.real.dtype)
    w = jnp.broadcast_to(as_complex(first)[..., None, :], d.shape)
    for _ in range(sweeps):
        through = h * matmul(w, jnp.swapaxes(G, -1, -2))  # h_kn (G w_k)_n, `[..., K, N]`
        straight = jnp.sum(d * w, axis=-1)
        psi = unit_phasor(straight)[..., None] * jnp.conj(unit_phasor(through))
        row = d + share * matmul(h * psi, G)
        norm2 = jnp.sum(abs2(row), axis=-1)
        w = jnp.conj(row) / as_complex(jnp.sqrt(jnp.where(norm2 > 0, norm2, 1)))[..., None]
    return psi, norm2 * (unit**2)[..., 0]


def _scaled(x: Array) -> tuple[Array, Array]:
    """x over its largest modulus, and that modulus `[..., 1, 1]` (1 for an empty or zero x)."""
    largest = jnp.sqrt(jnp.max(abs2(x), axis=(-2, -1), keepdims=True, initial=0))
    largest = jnp.where(largest > 0, largest, 1)
    return x / as_complex(largest), largest


def focused(channels: Any, weakest: bool = False) -> Array:
    """Phases aligned to the strongest user, or to the weakest: by the row each has when the surface serves it alone.

    Returns phases `[..., N]` [rad].
    """
    psi, strength = aligned_reflections(channels)
    chosen = (jnp.argmin if weakest else jnp.argmax)(strength, axis=-1)[..., None, None]
    return jnp.angle(jnp.take_along_axis(psi, chosen, axis=-2)[..., 0, :])
