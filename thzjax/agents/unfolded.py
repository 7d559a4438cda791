"""The unfolded policy: a few steps of an optimiser, decided by small networks that all users and elements share.

A layer makes one WMMSE-like solve for the beams and one step of the phases. The networks see what an optimiser sees:
rates, slack, and each user's rate gradient in the frame of each element's present reflection. So one set of weights
serves any K and N, in any order, whatever the phase of a user's channel.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from thzjax.agents.unfolded_layers import (
    ELEMENT_FEATURES,
    LAYER_NUMBERS,
    USER_FEATURES,
    Decided,
    Decisions,
    Heard,
    Point,
    Seen,
    listen,
    parts,
    rate_gradients,
    search_levels,
    squashed,
    user_features,
)
from thzjax.beamforming import linear
from thzjax.beamforming.designs import SURFACES
from thzjax.beamforming.gradient import best_start
from thzjax.beamforming.score import finished
from thzjax.beamforming.sensing_stream import sensing_direction, with_sensing_stream
from thzjax.beamforming.subspace import compact, lift
from thzjax.errors import ConfigError
from thzjax.linalg import solve_hermitian
from thzjax.numeric import abs2, angle_or_zero, as_complex, hermitian, matmul
from thzjax.systems.base import Design, System

MOST = 1024
"""Of layers, and of numbers in one."""


@dataclasses.dataclass(frozen=True)
class UnfoldedConfig:
    """Sizes of the unfolded policy.

    Attributes:
      layers: steps of beams and phases.
      beam_layers: steps of the beams alone, on the finished surface.
      rounds: after training, searches of the surface's levels, each followed by the beam layers; 0 rounds only.
      width, state: of the networks; an element remembers `state` numbers from layer to layer.
      starts: surfaces (of `beamforming.designs.SURFACES`) to start from; the best result is taken. Training starts from
        one of them at random.
      dither: in training, phases are blurred over this share of a level's width, as rounding does.
      second_order: train also through the slope of the slack. On `paper-a` it is worth 4.09 against 4.02 bit/s/Hz; on
        `paper-b` the bound's second derivative makes gradients of 1e4, and 21.2 in place of 22.0.
    """

    layers: int = 6
    beam_layers: int = 2
    rounds: int = 2
    width: int = 16
    state: int = 4
    starts: tuple[str, ...] = ("focused",)
    dither: float = 0.5
    second_order: bool = True

    def __post_init__(self) -> None:
        for name, least in {"layers": 1, "beam_layers": 1, "rounds": 0, "width": 1, "state": 0}.items():
            if not least <= getattr(self, name) <= MOST:
                raise ConfigError(f"unfolded.{name}={getattr(self, name)} must be at least {least}, and at most {MOST}")
        if isinstance(self.dither, float) and not 0 <= self.dither <= MOST:
            raise ConfigError(f"unfolded.dither={self.dither:g} must lie in 0..{MOST}")
        for name in self.starts or ("none",):
            if name not in SURFACES:
                raise ConfigError(f"unfolded.starts: surface {name!r} is unknown: use some of {', '.join(SURFACES)}")


class Step(NamedTuple):
    """What a layer does: its weights, and whether it first settles or searches the surface, and moves it."""

    weights: Any
    settle: Array
    search: Array
    move: Array


class Trace(NamedTuple):
    """What the networks saw and decided, layer after layer; leaves lead with the layers taken."""

    seen: Seen
    decided: Decided


class _Surface(NamedTuple):
    """The surface within a layer: phases, gains and memory of `Point`, its reflection, and what the users hear."""

    phase: Array
    gain: Array
    state: Array
    reflection: Array
    heard: Heard


@dataclasses.dataclass(frozen=True)
class UnfoldedPolicy:
    """Layers of beams and phases, then layers of beams alone, from one or several closed-form starts.

    Attributes:
      system: what is designed for; sizes are read off the channels, the constraints are fixed.
      config: sizes of the policy.
    """

    system: System
    config: UnfoldedConfig = UnfoldedConfig()

    @property
    def priced(self) -> tuple[str, ...]:
        """Constraints that the layers look at."""
        return tuple(name for name in self.system.constraints if name not in self.system.projected)

    def network(self) -> Decisions:
        """The networks of one layer."""
        return Decisions(len(self.priced), self.config.width, self.config.state)

    def init(self, key: Array, obs: Any) -> dict[str, Any]:
        """Weights of every layer; untrained ones take steps of WMMSE and gradient ascent."""
        del obs
        users, elements = 2, 3

        def touch(network: Decisions) -> Any:
            hidden, _, _ = network.users(jnp.zeros((users, USER_FEATURES)), jnp.zeros((len(self.priced) + 1,)))
            pairs, features = jnp.zeros((users, elements, 2)), jnp.zeros((elements, ELEMENT_FEATURES))
            return network.elements(pairs, hidden, features, jnp.zeros((elements, self.config.state)))

        keys = jax.random.split(key, self.config.layers + self.config.beam_layers)
        return {"actor": jax.vmap(lambda k: self.network().init(k, method=touch))(keys)}

    def mode(self, weights: Any, obs: Any) -> Design:
        """The design for `obs.channels` under `obs.params`, on the surface's levels, `[...]`."""
        if obs.channels.direct.ndim > 2:
            return jax.vmap(self.mode, in_axes=(None, 0))(weights, obs)
        return self._best(weights, obs)

    def relaxed(self, weights: Any, obs: Any, key: Array) -> Design:
        """As `mode` from one start at random, but differentiable: phases are blurred where `mode` rounds them.

        Leaves lead with the channels, `[E, ...]`.
        """
        phases = obs.channels.surface_to_user[..., 0, :]
        blur = jax.random.uniform(key, phases.shape, minval=-0.5, maxval=0.5)
        starts = len(self.config.starts)
        which = jax.random.randint(jax.random.fold_in(key, 1), phases.shape[:1], 0, starts)

        def one(obs: Any, blur: Array, which: Array) -> Design:
            system = self.system.continuous
            channels, basis = compact(system, obs.channels)
            phase = jnp.stack([_phases(system, channels, name) for name in self.config.starts])[which]
            design, _ = self._run(weights, obs.params, channels, phase, blur)
            return Design(lift(basis, design.beamformer), design.reflection)

        return jax.vmap(one)(obs, blur, which)

    def _best(self, weights: Any, obs: Any) -> Design:
        """The best result over the starts, one channel."""
        system = self.system
        channels, basis = compact(system, obs.channels)
        starts = [_phases(system, channels, name) for name in self.config.starts]
        designs = jax.vmap(lambda phase: self._run(weights, obs.params, channels, phase, None)[0])(jnp.stack(starts))
        if len(starts) == 1:
            design = jax.tree.map(lambda x: x[0], designs)
        else:
            designs, scores = jax.vmap(lambda d: finished(system, obs.params, channels, d))(designs)
            design, _ = best_start(designs, scores)
        return Design(lift(basis, design.beamformer), design.reflection)

    def explored(self, weights: Any, obs: Any, jitter: Decided) -> tuple[Design, Trace]:
        """As `mode` from the first start alone, with jitter added to what the networks decide, and what led to it.

        On one channel; `jitter` leads with the layers of `steps`.
        """
        channels, basis = compact(self.system, obs.channels)
        phase = _phases(self.system, channels, self.config.starts[0])
        design, trace = self._run(weights, obs.params, channels, phase, None, jitter)
        return Design(lift(basis, design.beamformer), design.reflection), trace

    def opening(self, obs: Any) -> Design:
        """What the first layer of the first start stands on, one channel."""
        channels, basis = compact(self.system, obs.channels)
        point = self._start(obs.params, channels, _phases(self.system, channels, self.config.starts[0]))
        return Design(lift(basis, point.beamformer), point.reflection)

    def steps(self, weights: Any, discrete: bool) -> Step:
        """The layers in the order they are taken, with their slices of any tree whose leaves lead with layers."""
        layers, beams = self.config.layers, self.config.beam_layers
        rounds = self.config.rounds if discrete else 0
        order = np.concatenate([np.arange(layers), np.tile(np.arange(layers, layers + beams), 1 + rounds)])
        index = np.arange(len(order))
        later = (index - layers) % beams == 0
        return Step(
            weights=jax.tree.map(lambda x: x[order], weights),
            settle=jnp.asarray(index == layers),
            search=jnp.asarray(later & (index > layers)),
            move=jnp.asarray(index < layers),
        )

    def _start(self, params: Any, channels: Any, phase: Array) -> Point:
        """Regularised zero forcing on a surface of the given phases."""
        system = self.system
        silent = system.spec.sensing_streams
        reflection = system.continuous.snap(params, channels, phase)
        H = system.effective_channel(channels, reflection)
        H = H / as_complex(jnp.sqrt(system.user_noise(params, channels, reflection)))[:, None]
        W = system.fit_power(params, linear.rzf(H, 1.0, params.power_w))
        W = jnp.concatenate([W, jnp.zeros((*W.shape[:-1], silent), W.dtype)], axis=-1)
        design = self._within(params, channels, W, reflection)
        state = jnp.zeros((phase.shape[0], self.config.state), phase.dtype)
        return Point(phase, jnp.ones_like(phase), state, design.beamformer, design.reflection)

    def _run(
        self, weights: Any, params: Any, channels: Any, phase: Array, blur: Array | None, jitter: Decided | None = None
    ) -> tuple[Design, Trace | None]:
        """All layers from one start; with jitter of the decisions also their trace."""
        system = self.system
        discrete = bool(system.spec.phase_bits) and blur is None
        users, silent = system.spec.users, system.spec.sensing_streams

        def settled(point: Point) -> Array:
            """The reflection that stays: on the levels, or blurred as if it were."""
            if discrete:
                psi = system.snap(params, channels, point.phase)
                return psi * as_complex(jnp.where(system.active(channels), point.gain, 1))
            if blur is None or not system.spec.phase_bits:
                return point.reflection
            width = self.config.dither * 2 * math.pi / 2**system.spec.phase_bits
            return self._reflection(params, channels, point.phase + width * blur, point.gain)

        def step(point: Point, taken: tuple[Step, Decided | None]) -> tuple[Point, Trace | None]:
            step, jitter = taken
            point = point.replace(reflection=jnp.where(step.settle, settled(point), point.reflection))
            if discrete:
                point = lax.cond(step.search, lambda p: search_levels(system, params, channels, p), lambda p: p, point)
            return self._layer(params, channels, point, step, jitter)

        start = self._start(params, channels, phase)
        point, trace = lax.scan(step, start, (self.steps(weights["actor"], discrete), jitter))
        W = point.beamformer
        if silent:
            W = system.fit_power(params, W[:, :users])
            W = with_sensing_stream(system, params, channels, point.reflection, W)
        return Design(W, point.reflection), trace

    def _reflection(self, params: Any, channels: Any, phase: Array, gain: Array) -> Array:
        psi = self.system.continuous.snap(params, channels, phase)
        return psi * as_complex(jnp.where(self.system.active(channels), gain, 1))

    def _within(self, params: Any, channels: Any, beamformer: Array, reflection: Array) -> Design:
        """The design within its powers; the continuous surface's rules, which leave a reflection on levels there."""
        smooth = self.system.continuous
        return smooth.meet(params, channels, smooth.project(params, channels, Design(beamformer, reflection)))

    def _layer(
        self, params: Any, channels: Any, point: Point, step: Step, jitter: Decided | None
    ) -> tuple[Point, Trace | None]:
        """One layer: look, decide, turn the surface, solve for the beams."""
        system, network = self.system, self.network()
        users = system.spec.users
        W, psi = point.beamformer, point.reflection
        noise = system.user_noise(params, channels, psi)
        heard = listen(system, channels, W, psi, noise)

        def merit(W: Array, psi: Array) -> Array:
            """Slack of each constraint, flat where there is plenty and logarithmic where it is violated, `[C]`."""
            slack = system.outcome(params, channels, Design(W, psi)).slack
            slack = jnp.stack([slack[name] for name in self.priced]) if self.priced else jnp.zeros((0,), W.real.dtype)
            return -jnp.log1p(jax.nn.softplus(-8 * slack) / 8)

        at = (W, psi) if self.config.second_order else lax.stop_gradient((W, psi))
        slack, pull = jax.vjp(merit, *at)
        power = jnp.sum(abs2(W))
        whole = jnp.concatenate([slack, jnp.log(power / params.power_w)[None] / 4])
        told = user_features(params.power_w, heard)
        hidden, log_weight, numbers = network.apply(step.weights, told, whole, method="users")
        if jitter is not None:
            log_weight, numbers = log_weight + jitter.weight, numbers + jitter.numbers
        # The offsets are what serves untrained layers best on `paper-a`, of a grid: 4.04 bit/s/Hz on 256 channels.
        weight = jnp.exp(jnp.clip(log_weight, -4, 4))
        ridge, prox = jnp.exp(jnp.clip(numbers[0] - 1.5, -6, 6)), jnp.exp(jnp.clip(numbers[1] + 1.5, -6, 6))
        damping = 15 * jnp.exp(jnp.clip(numbers[2], -4, 4))
        share = jax.nn.sigmoid(numbers[3] - 4)
        # d/dW^* and d/dpsi^* of the priced slack: jax gives twice the conjugate.
        toll_W, toll_psi = (jnp.conj(x) / 2 for x in pull(2.5 * jax.nn.softplus(numbers[LAYER_NUMBERS:])))

        def turned() -> tuple[_Surface, Seen, Decided]:
            """The surface after a step, what its networks saw and what they decided."""
            elements = as_complex(jnp.asarray(psi.shape[0], power.dtype))
            pulls = rate_gradients(system, params, channels, psi, W, heard)
            pulls = jnp.conj(psi) * elements * pulls
            toll = jnp.conj(psi) * elements * toll_psi
            ask = jnp.sum(as_complex(weight)[:, None] * pulls, axis=0) + toll
            off_level = self._reflection(params, channels, point.phase, point.gain) * jnp.conj(psi)
            active = system.active(channels).astype(power.dtype)
            features = [*parts(ask), *parts(toll), squashed(4 * angle_or_zero(off_level)), point.gain, active]
            pairs, features = jnp.stack(parts(pulls), axis=-1), jnp.stack(features, axis=-1)
            turn, louder, state = network.apply(step.weights, pairs, hidden, features, point.state, method="elements")
            if jitter is not None:
                turn, louder = turn + jitter.turn, louder + jitter.louder
            seen, decided = Seen(told, whole, pairs, features), Decided(log_weight, numbers, turn, louder)
            # A step of minorisation-maximisation, psi <- phasor(damping psi + gradient), and what the network adds.
            turn = jnp.arctan2(jnp.imag(ask), damping + jnp.maximum(jnp.real(ask), 0)) + math.pi / 4 * jnp.tanh(turn)
            phase = point.phase + turn
            gain = jnp.clip(point.gain * jnp.exp(jnp.clip(louder, -2, 2)), 1e-3, 1)
            moved = self._reflection(params, channels, phase, gain)
            return _Surface(phase, gain, state, moved, listen(system, channels, W, moved, noise)), seen, decided

        surface, trace = _Surface(point.phase, point.gain, point.state, psi, heard), None
        if jitter is None:
            # A branch and no selection: layers of beams alone take none of this time.
            surface = lax.cond(step.move, lambda: turned()[0], lambda: surface)
        else:
            moved, *trace = turned()
            surface = jax.tree.map(functools.partial(jnp.where, step.move), moved, surface)
            trace = Trace(*trace)

        # A damped step of weighted WMMSE, with the slack's gradient beside the rates'.
        psi, heard = surface.reflection, surface.heard
        H, own, W = heard.rows, heard.own, W[:, :users]
        curvature = weight * abs2(own) / (heard.rest * heard.total)
        A = matmul(hermitian(H) * as_complex(curvature)[None], H)
        eye = jnp.eye(A.shape[-1], dtype=A.dtype) * as_complex(jnp.sum(curvature) / power)
        A = A + as_complex(ridge) * eye
        B = hermitian(H) * (as_complex(weight / heard.rest) * own)[None]
        change = solve_hermitian(A + as_complex(prox) * eye, B + toll_W[:, :users] - matmul(A, W))
        W = system.fit_power(params, W + change)
        if system.spec.sensing_streams:
            direction = sensing_direction(system, params, channels, psi)[:, None]
            full = jnp.sqrt(jnp.sum(abs2(W)))
            W = W * as_complex(jnp.sqrt(1 - share))
            W = jnp.concatenate([W, direction * as_complex(full * jnp.sqrt(share))], axis=-1)
        design = self._within(params, channels, W, psi)
        return Point(surface.phase, surface.gain, surface.state, design.beamformer, design.reflection), trace


def _phases(system: System, channels: Any, name: str) -> Array:
    """Phases of a start `[N]`; a random one is the same on every channel."""
    return SURFACES[name](system, channels, jax.random.key(0))
