"""What a network that serves any K and N sees: users, elements and directions as sets, and what links them.

`EntityObservation` describes one drop by the design that the action of zeros gives on it (`actions.Structured`): how it
serves every user, and which way every element would have to turn for each of them. Every number is of order 1, the same
whatever the phase of a user's channel, and how many there are of one entity depends neither on K nor on N nor on M.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from thzjax.envs.actions import Structured
from thzjax.envs.view import View, one_direction_each, unit_rows
from thzjax.numeric import abs2, as_complex, hermitian, matmul, unit_phasor
from thzjax.systems.base import Design, System

FAINT = 1e-6
"""Ratios are told apart down to this."""
LARGEST = 8.0
"""No feature is larger."""


@struct.dataclass
class Entities:
    """Features of one drop, real. Users come from strongest to weakest, as in the action.

    Attributes:
      users: `[K, F]`.
      pairs: what links user k to user j, `[K, K, F]`.
      elements: of the surface, `[N, F]`.
      reach: what links user k to element n, `[K, N, F]`.
      whole: of the link as a whole, `[F]`.
      directions: of departure, `[D, F]`; none but on a hybrid surface.
      spread: what links user k to direction d, `[K, D, F]`; none but on a hybrid surface.
    """

    users: Array
    pairs: Array
    elements: Array
    reach: Array
    whole: Array
    directions: Array | None = None
    spread: Array | None = None


@struct.dataclass
class Heard:
    """What the ordered users hear of a design, powers in units of their noise.

    Attributes:
      rows: effective rows, of unit noise, complex `[K, M]`.
      surface: surface to user, of unit noise, complex `[K, N]`.
      field: what every stream lays on the surface, complex `[N, S]`.
      received: T = H W, complex `[K, S]`.
      own: power of its own stream, `[K]`.
      rest: power of all others, and 1 of noise, `[K]`.
      noise: [W], `[K]`.
    """

    rows: Array
    surface: Array
    field: Array
    received: Array
    own: Array
    rest: Array
    noise: Array


@dataclasses.dataclass(frozen=True)
class EntityObservation:
    """A drop as `Entities`, about the design of the zero action on a surface of continuous phases.

    Of user k, with T = H W of that design and c_kn as in `Frame`: logarithms of gain, row norm, SINR, interference and
    noise; of a pair the overlaps <c_k, c_j> and <H_k, H_j>, and the power of beam j at k; of user k at element n

        sqrt(N) c_kn psi_n/|psi_n|,   N psi_n h_kn (G w_k)_n T_kk^*/|T_k|^2,
        N psi_n h_kn sum_{s != k} (G w_s)_n T_ks^*/(|T_k|^2 - |T_kk|^2)

    with the noise in both |T_k|^2: the imaginary parts of the last two are the derivatives of the logarithms of signal
    and interference by the element's phase. On a hybrid surface the directions of `Paths`, in which the action holds
    its weights, are entities too. No iteration beside that design's; the constraints enter by their slack under it.
    """

    sees_phases: ClassVar[bool] = False

    def __call__(self, system: System, params: Any, channels: Any, context: View, reflection: Array) -> Entities:
        """The features."""
        del reflection
        system, start = system.continuous, Structured()
        design = start(system, params, channels, context, start.zeros(system.spec))
        heard = _listen(system, params, channels, context, design)
        directions, spread = (None, None) if context.paths is None else _directions(context, design.reflection)
        features = Entities(
            users=_users(system, params, channels, context, heard),
            pairs=_pairs(context, heard),
            elements=_elements(system, params, channels, context, design, heard),
            reach=_reach(context, design.reflection, heard),
            whole=_whole(system, params, channels, design),
            directions=directions,
            spread=spread,
        )
        return jax.tree.map(lambda x: jnp.clip(jnp.nan_to_num(x), -LARGEST, LARGEST), features)


def _listen(system: System, params: Any, channels: Any, context: View, design: Design) -> Heard:
    order, W = context.order, design.beamformer
    noise = system.user_noise(params, channels, design.reflection)[order]
    unit = as_complex(jnp.sqrt(noise))[:, None]
    rows = system.effective_channel(channels, design.reflection)[order] / unit
    # Streams in the users' order, those that sense behind them.
    W = jnp.concatenate([W[:, order], W[:, order.shape[0] :]], axis=-1)
    received = matmul(rows, W)
    own = abs2(jnp.diagonal(received))
    return Heard(
        rows=rows,
        surface=channels.surface_to_user[order] / unit,
        field=matmul(channels.bs_to_surface, W),
        received=received,
        own=own,
        rest=jnp.sum(abs2(received), axis=-1) - own + 1,
        noise=noise,
    )


def _users(system: System, params: Any, channels: Any, context: View, heard: Heard) -> Array:
    """`[K, 7]`; four numbers more on a hybrid surface."""
    frame = context.frame
    first = jnp.arange(heard.own.shape[0]) == 0
    # The gauge of the frame and of the action: everything is told relative to the strongest.
    overlap = jnp.sum(jnp.conj(frame.paths[:1]) * frame.paths, axis=-1)
    features = [
        jnp.log1p(frame.gain * params.power_w / heard.noise) / 2,
        jnp.log1p(jnp.sum(abs2(heard.rows), axis=-1) * params.power_w) / 2,
        jnp.log1p(heard.own / heard.rest) / 2,
        jnp.log1p(heard.own) / 2,
        jnp.log(heard.rest) / 2,
        jnp.real(overlap),
        first.astype(heard.own.dtype),
    ]
    if context.paths is not None:
        active = system.active(channels).astype(heard.own.dtype)
        seen = jnp.sum(jnp.conj(frame.paths) * context.paths.light[None, :], axis=-1)
        features += [
            jnp.sum(abs2(frame.paths) * active[None, :], axis=-1),
            jnp.log(heard.noise / params.noise_w),
            jnp.real(seen),
            jnp.imag(seen),
        ]
    return jnp.stack(features, axis=-1)


def _pairs(context: View, heard: Heard) -> Array:
    """`[K, K, 5]`."""
    rows = unit_rows(heard.rows)
    # A user's own phase goes with that of its path: each row is turned towards the strongest user's.
    rows = rows * jnp.conj(unit_phasor(jnp.sum(jnp.conj(rows[:1]) * rows, axis=-1, keepdims=True)))
    paths = context.frame.paths
    of_paths, of_rows = matmul(paths, hermitian(paths)), matmul(rows, hermitian(rows))
    power = jnp.log1p(abs2(heard.received[:, : rows.shape[0]])) / 2
    return jnp.stack([jnp.real(of_paths), jnp.imag(of_paths), jnp.real(of_rows), jnp.imag(of_rows), power], axis=-1)


def _elements(system: System, params: Any, channels: Any, context: View, design: Design, heard: Heard) -> Array:
    """`[N, 3]`; two numbers more on a hybrid surface."""
    psi = design.reflection
    field = jnp.sum(abs2(heard.field), axis=-1)
    features = [
        system.active(channels).astype(field.dtype),
        jnp.log(jnp.maximum(jnp.abs(psi), FAINT)) / 2,
        _log_of_mean(field) / 2,
    ]
    if context.paths is not None:
        light = context.paths.light * unit_phasor(psi) * as_complex(jnp.sqrt(jnp.asarray(psi.shape[0], field.dtype)))
        features += [jnp.real(light), jnp.imag(light)]
    return jnp.stack(features, axis=-1)


def _reach(context: View, psi: Array, heard: Heard) -> Array:
    """`[K, N, 6]`."""
    elements = jnp.asarray(psi.shape[0], heard.own.dtype)
    through = as_complex(elements) * heard.surface * psi[None, :]
    users = heard.own.shape[0]
    signal = jnp.diagonal(heard.received)
    mine = heard.field[:, :users].T * jnp.conj(signal)[:, None]
    others = matmul(jnp.conj(heard.received), heard.field.T) - mine
    path = jnp.sqrt(elements).astype(psi.dtype) * context.frame.paths * unit_phasor(psi)[None, :]
    total = heard.own + heard.rest
    # The path's square has mean 1; the others may be far from it, where a user hears little but noise.
    parts = [jnp.real(path), jnp.imag(path)]
    for x in (through * mine / as_complex(total)[:, None], through * others / as_complex(heard.rest)[:, None]):
        parts += [_squashed(jnp.real(x)), _squashed(jnp.imag(x))]
    return jnp.stack(parts, axis=-1)


def _directions(context: View, psi: Array) -> tuple[Array, Array]:
    """Of the directions `[D, 2]`, and of users over them `[K, D, 4]`."""
    paths = context.paths
    users, directions = paths.rows.shape[0], paths.fields.shape[1]
    strength = jnp.sum(abs2(paths.fields), axis=0)
    start = one_direction_each(users, directions, strength.dtype)
    own = jnp.stack([jnp.log(jnp.maximum(strength, FAINT)) / 4, jnp.sum(start, axis=0)], axis=-1)
    over = unit_rows(matmul(paths.rows * unit_phasor(psi)[None, :], paths.fields))
    return own, jnp.stack([jnp.real(over), jnp.imag(over), jnp.abs(over), start], axis=-1)


def _whole(system: System, params: Any, channels: Any, design: Design) -> Array:
    """`[1 + C + B]` for C constraints and B budgets of the amplifiers."""
    slack = system.outcome(params, channels, design).slack
    slack = jnp.stack([jnp.nan_to_num(slack[name], nan=-1 / FAINT) for name in sorted(slack)] or [jnp.zeros(())])
    costs = system.amplifier_costs(params, channels, design.beamformer) * abs2(design.reflection)[None, :]
    costs = jnp.sum(costs, axis=-1)
    used = jnp.sum(abs2(design.beamformer))[None] / params.power_w
    spent = jnp.log(jnp.clip(jnp.concatenate([used, costs]), FAINT, 1 / FAINT)) / 4
    return jnp.concatenate([spent, _squashed(slack)])


def _log_of_mean(x: Array) -> Array:
    """Logarithm of positive numbers over their mean, `[X]`."""
    mean = jnp.sum(x) / max(x.shape[0], 1)
    return jnp.log(jnp.maximum(x / jnp.where(mean > 0, mean, 1), FAINT))


def _squashed(x: Array) -> Array:
    """Odd, within (-1, 1)."""
    return x / (1 + jnp.abs(x))
