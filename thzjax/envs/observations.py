"""Observation maps: what an agent sees of one channel. Pure functions `(system, params, channels, reflection) -> obs`."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jax import Array

from thzjax.envs.frame import channel_frame, overlaps, surface_phases
from thzjax.numeric import abs2, angle_or_zero, as_complex, cis
from thzjax.systems.base import System


@dataclasses.dataclass(frozen=True)
class StructuredObservation:
    """What decides a structured action, whatever the order and phase of the users: no iteration, no rates.

    For the users from strongest to weakest, with the surface focused on the first: overlaps of their cascaded
    paths, overlaps and directions of their effective rows, and the logarithms of both kinds of gain over noise.
    """

    def __call__(self, system: System, params: Any, channels: Any, reflection: Array) -> Array:
        """Features `[2K(K-1) + 2K + 2KM]`, real."""
        del reflection  # the structured action does not depend on the phases before it
        frame = channel_frame(channels)
        first = jnp.eye(1, system.spec.users, dtype=frame.paths.dtype)[0]
        focused = system.snap(params, surface_phases(frame, first))
        rows = system.effective_channel(channels, focused)[frame.order]
        unit2 = params.power_w / params.noise_w
        norm2 = jnp.sum(abs2(rows), axis=-1)
        tiny = jnp.finfo(norm2.dtype).tiny
        direction = rows / as_complex(jnp.sqrt(jnp.maximum(norm2, tiny)))[:, None]
        direction = direction * cis(-angle_or_zero(direction[:, :1]))
        return jnp.concatenate(
            [
                *overlaps(frame.paths),
                *overlaps(rows),
                jnp.log1p(frame.gain * unit2) / 2,
                jnp.log1p(norm2 * unit2) / 2,
                jnp.real(direction).ravel(),
                jnp.imag(direction).ravel(),
            ]
        )


@dataclasses.dataclass(frozen=True)
class PaperObservation:
    """Paper A's state: each user's effective row under the present phases, re/im, over the noise at full power."""

    def __call__(self, system: System, params: Any, channels: Any, reflection: Array) -> Array:
        """`[K, 2M]`."""
        H = system.effective_channel(channels, reflection)
        H = H * as_complex(jnp.sqrt(params.power_w / params.noise_w))
        return jnp.concatenate([jnp.real(H), jnp.imag(H)], axis=-1)
