"""Observation maps: what an agent sees of one channel.

An observation map is a frozen dataclass with `sees_phases`, whether the surface's present phases enter, and
`__call__(system, params, channels, context, reflection) -> obs`; `context` is the action map's. One that has
`sees_beams = True` is also given the beamformer that stands, after the reflection.
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import struct
from jax import Array

from thzjax.beamforming.frame import overlaps, surface_direction
from thzjax.beamforming.receive import stream_rows
from thzjax.envs.view import View, path_sum, stream_order, unit_rows, user_beams
from thzjax.numeric import abs2, as_complex, matmul, unit_phasor
from thzjax.physics.sensing.scene import departure_row
from thzjax.systems.base import Design, System

FAINT = 1e-6
"""Ratios are told apart down to this."""


@dataclasses.dataclass(frozen=True)
class StructuredObservation:
    """What decides a structured action, whatever the order and phase of the users: no iteration, no rates.

    For the users from strongest to weakest, with the surface as the action of zeros has it (focused on the first):
    overlaps of their cascaded paths, overlaps and directions of their effective rows, and the logarithms of both kinds
    of gain over noise. On a hybrid surface the rows are seen over D directions of departure, not over M antennas; added
    are the paths' share over amplifiers and the noise that these bring, the strength of the directions, what the
    amplifiers spend of their budgets, and, where a stream senses, overlaps with the target's path and the bound over
    its limit: 105 numbers on `paper-b`.
    """

    sees_phases: ClassVar[bool] = False

    def __call__(self, system: System, params: Any, channels: Any, context: View, reflection: Array) -> Array:
        """Features, real: `[2K(K-1) + 2K + 2KM]`, or those of `_hybrid`.

        With S = K D streams for several antennas: `[K(K-1) + S(S-1) + K + S + 2SM]`.
        """
        del reflection
        if context.paths is not None:
            return _hybrid(system, params, channels if context.small is None else context.small, context)
        frame = context.frame
        spec = system.spec
        first = jnp.eye(1, spec.users, dtype=frame.paths.dtype)[0]
        focused = system.aim(params, channels, surface_direction(frame, first))
        rows = stream_rows(system, system.effective_channel(channels, focused))[stream_order(spec, frame.order)]
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


def _hybrid(system: Any, params: Any, channels: Any, context: View) -> Array:
    """Features `[2K(K-1) + 2KD + 4K + D + B]` for B budgets of the amplifiers; `[2K + 1]` more with a sensing one."""
    spec, frame, paths = system.spec, context.frame, context.paths
    psi = system.aim(params, channels, jnp.conj(path_sum(paths)))
    noise = system.user_noise(params, channels, psi)
    equal = jnp.ones((spec.users,), noise.dtype)
    W = user_beams(system, params, channels, psi, frame.order, equal, equal / spec.users)
    noise = noise[frame.order]
    # Rows over directions of departure, in the phases of `Paths`; their size from the rows themselves.
    direction = unit_rows(matmul(paths.rows * psi[None, :], paths.fields))
    norm2 = jnp.sum(abs2(system.effective_channel(channels, psi)[frame.order]), axis=-1)
    strength = jnp.sum(abs2(paths.fields), axis=0)
    active = system.active(channels).astype(noise.dtype)
    features = [
        *overlaps(frame.paths),
        *overlaps(direction),
        jnp.log1p(frame.gain * params.power_w / noise) / 2,
        jnp.log1p(norm2 * params.power_w / noise) / 2,
        jnp.real(direction).ravel(),
        jnp.imag(direction).ravel(),
        jnp.sum(abs2(frame.paths) * active[None, :], axis=-1),
        jnp.log(noise / params.noise_w),
        jnp.log(jnp.maximum(strength, FAINT)) / 2,
        _log_of_limit(jnp.sum(system.amplifier_costs(params, channels, W) * abs2(psi)[None, :], axis=-1)),
    ]
    if spec.sensing_streams:
        overlap = jnp.sum(jnp.conj(frame.paths) * paths.light[None, :], axis=-1)
        features += [jnp.real(overlap), jnp.imag(overlap)]
        if "crb" in system.constraints:
            bound = system.crb_rad2(params, channels, Design(beamformer=W, reflection=psi)) / params.max_crb_rad2
            features.append(_log_of_limit(bound)[None])
    return jnp.concatenate(features)


def _log_of_limit(share: Array) -> Array:
    """log of a value over its limit, within what a network can use; a bound that does not exist is far above."""
    return jnp.log(jnp.clip(jnp.nan_to_num(share, nan=jnp.inf, posinf=1 / FAINT), FAINT, 1 / FAINT))


@dataclasses.dataclass(frozen=True)
class PaperObservation:
    """Paper A's state: each user's effective channel under the present phases, re/im, over the noise at full power."""

    sees_phases: ClassVar[bool] = True

    def __call__(self, system: System, params: Any, channels: Any, context: Any, reflection: Array) -> Array:
        """`[K, 2M]`, or `[K, 2 R M]`."""
        del context
        H = system.effective_channel(channels, reflection)
        H = H.reshape(system.spec.users, -1) * as_complex(jnp.sqrt(params.power_w / params.noise_w))
        return jnp.concatenate([jnp.real(H), jnp.imag(H)], axis=-1)


@dataclasses.dataclass(frozen=True)
class PaperBObservation:
    """Paper B's state: the design that stands, every channel and the target's row, as real and imaginary parts.

    `[2(M S + N + N M + K N + N)]`, 11 840 numbers at K = 4, M = 64 and N = 80: W over sqrt(P/(M S)), psi over its
    largest amplitudes, G over its root mean square g, the users' rows over sqrt(noise/P)/g, and the target's row.
    Channels are so scaled that numbers are near 1 and every user's signal-to-noise ratio can be told; as the paper
    states no scale, that is ours. Source: paper B, the state of its decision process.
    """

    sees_phases: ClassVar[bool] = True
    sees_beams: ClassVar[bool] = True

    def __call__(
        self, system: Any, params: Any, channels: Any, context: Any, reflection: Array, beamformer: Array
    ) -> Array:
        """Real and imaginary parts of all, part by part."""
        del context
        G = channels.bs_to_surface
        largest = jnp.abs(system.snap(params, channels, jnp.zeros(reflection.shape, G.real.dtype)))
        G_rms = jnp.max(jnp.abs(G))
        G_rms = jnp.where(G_rms > 0, G_rms, 1)
        G_rms = G_rms * jnp.sqrt(jnp.mean(abs2(G / as_complex(G_rms))))
        user = jnp.sqrt(params.power_w / params.noise_w) * G_rms
        parts = [
            beamformer * as_complex(jnp.sqrt(beamformer.size / params.power_w)),
            reflection / as_complex(largest),
            G / as_complex(jnp.where(G_rms > 0, G_rms, 1)),
            channels.surface_to_user * as_complex(user),
            departure_row(system.scene(params, channels)),
        ]
        return jnp.concatenate([x.ravel() for part in parts for x in (jnp.real(part), jnp.imag(part))])


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
