"""The frame in which structured actions and observations speak: users by strength, phases relative to theirs."""

from typing import Any

import jax.numpy as jnp
from flax import struct
from jax import Array

from thzjax.beamforming.phases import aligned_reflections
from thzjax.beamforming.receive import one_antenna
from thzjax.numeric import abs2, as_complex, hermitian, matmul, unit_phasor


@struct.dataclass
class Frame:
    """A channel seen relative to itself, so that one network serves every rotation and order of the users.

    Attributes:
      order: users from strongest to weakest, `[..., K]`.
      paths: c_kn, unit-norm cascaded paths of the ordered users in the phase that the surface would undo,
        complex `[..., K, N]`; user k is rotated so that <c_0, c_k> is real and not negative.
      gain: each ordered user's row norm squared when the surface serves it alone, `[..., K]`.
    """

    order: Array
    paths: Array
    gain: Array


def channel_frame(channels: Any) -> Frame:
    """The frame of a channel; closed form, no search."""
    channels = one_antenna(channels)
    psi, gain = aligned_reflections(channels)
    order = jnp.argsort(-gain, axis=-1)
    magnitude2 = abs2(channels.surface_to_user)
    total = jnp.sum(magnitude2, axis=-1, keepdims=True)
    paths = as_complex(jnp.sqrt(magnitude2 / jnp.where(total > 0, total, 1))) * jnp.conj(psi)
    paths = jnp.take_along_axis(paths, order[..., None], axis=-2)
    overlap = jnp.sum(jnp.conj(paths[..., :1, :]) * paths, axis=-1, keepdims=True)
    return Frame(
        order=order,
        paths=paths * jnp.conj(unit_phasor(overlap)),
        gain=jnp.take_along_axis(gain, order, axis=-1),
    )


def surface_direction(frame: Frame, weights: Array) -> Array:
    """Phasors that serve the users with complex weights, not normalised: conj(sum_k z_k c_kn), complex `[..., N]`.

    Every stationary point of a utility has this form when the BS-to-surface channel has rank one, as it nearly
    has under a strong line of sight; z = (1, 0, ..) focuses on the strongest user.
    """
    return jnp.conj(jnp.sum(weights[..., None] * frame.paths, axis=-2))


def overlaps(rows: Array) -> tuple[Array, Array]:
    """Strict upper triangle of the Gram matrix of unit rows `[..., K, X]` as (real, imaginary) `[..., K(K-1)/2]`."""
    norm = jnp.sqrt(jnp.sum(abs2(rows), axis=-1, keepdims=True))
    rows = rows / as_complex(jnp.where(norm > 0, norm, 1))
    gram = matmul(rows, hermitian(rows))
    i, j = jnp.triu_indices(rows.shape[-2], 1)
    pairs = gram[..., i, j]
    return jnp.real(pairs), jnp.imag(pairs)
