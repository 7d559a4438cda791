"""Observation maps: what an agent sees of one channel.

An observation map is a frozen dataclass with `sees_phases`, whether the surface's present phases enter, and
`__call__(system, params, channels, context, reflection) -> obs`; `context` is the action map's.
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import struct
from jax import Array

from thzjax.beamforming.frame import Frame, overlaps, surface_phases
from thzjax.numeric import abs2, as_complex, unit_phasor
from thzjax.systems.base import System


@dataclasses.dataclass(frozen=True)
class StructuredObservation:
    """What decides a structured action, whatever the order and phase of the users: no iteration, no rates.

    For the users from strongest to weakest, with the surface focused on the first: overlaps of their cascaded
    paths, overlaps and directions of their effective rows, and the logarithms of both kinds of gain over noise.
    """

    sees_phases: ClassVar[bool] = False

    def __call__(self, system: System, params: Any, channels: Any, frame: Frame, reflection: Array) -> Array:
        """Features `[2K(K-1) + 2K + 2KM]`, real."""
        del reflection
        first = jnp.eye(1, system.spec.users, dtype=frame.paths.dtype)[0]
        focused = system.snap(params, channels, surface_phases(frame, first))
        rows = system.effective_channel(channels, focused)[frame.order]
        unit2 = params.power_w / params.noise_w
        norm2 = jnp.sum(abs2(rows), axis=-1)
        tiny = jnp.finfo(norm2.dtype).tiny
        direction = rows / as_complex(jnp.sqrt(jnp.maximum(norm2, tiny)))[:, None]
        direction = direction * jnp.conj(unit_phasor(direction[:, :1]))
        return jnp.concatenate(
            [
                *overlaps(frame.paths),
                *overlaps(direction),
                jnp.log1p(frame.gain * unit2) / 2,
                jnp.log1p(norm2 * unit2) / 2,
                jnp.real(direction).ravel(),
                jnp.imag(direction).ravel(),
            ]
        )


@dataclasses.dataclass(frozen=True)
class PaperObservation:
    """Paper A's state: each user's effective row under the present phases, re/im, over the noise at full power."""

    sees_phases: ClassVar[bool] = True

    def __call__(self, system: System, params: Any, channels: Any, context: Any, reflection: Array) -> Array:
        """`[K, 2M]`."""
        del context
        H = system.effective_channel(channels, reflection)
        H = H * as_complex(jnp.sqrt(params.power_w / params.noise_w))
        return jnp.concatenate([jnp.real(H), jnp.imag(H)], axis=-1)


@struct.dataclass
class Scene:
    """Everything a designer may know.

    Attributes:
      params: the system's parameters.
      channels: one drop, as the designer sees it.
    """

    params: Any
    channels: Any


@dataclasses.dataclass(frozen=True)
class WholeObservation:
    """Parameters and channels as they are: for policies that compute a design themselves, such as unfolded solvers."""

    sees_phases: ClassVar[bool] = False

    def __call__(self, system: System, params: Any, channels: Any, context: Any, reflection: Array) -> Scene:
        """The scene."""
        del system, context, reflection
        return Scene(params=params, channels=channels)
