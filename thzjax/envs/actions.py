"""Action maps: what an agent's numbers mean. Each is a pure function of one channel; callers `vmap`.

An action map is a frozen dataclass with `zeros(spec)`, the action an untrained policy hovers about;
`context(system, params, channels)`, whatever the maps derive once from a drop; and `__call__(system, params, channels,
context, action) -> Design`. One that sets `within_hardware` promises designs that `System.project` would leave alone.
"""

import dataclasses
import itertools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array, lax

from thzjax.beamforming.designs import get_design
from thzjax.beamforming.sensing_stream import LARGEST_SHARE, with_sensing_stream
from thzjax.beamforming.subspace import lift
from thzjax.envs.view import View, is_hybrid, num_directions, path_sum, stream_order, user_beams, view
from thzjax.errors import ConfigError
from thzjax.numeric import abs2, as_complex, cis, hermitian, matmul
from thzjax.physics.surface import quantised_phase
from thzjax.systems.base import Design, Spec, System

# The users' noise and the sensing share depend on the amplifiers' gains, and those on the beams.
PASSES = 2

# --- structured -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Structured:
    """Powers, weights and phases in the form that good designs have; an action of zeros is a sound design.

    The action holds, for the users from strongest to weakest: K log powers, K log weights l_k, real and imaginary parts
    of the surface weights, and one log level e. Then

        psi_n = exp(-j arg(sum_k z_k c_kn)), snapped to the hardware's levels,
        W = H^H (H H^H + (K noise/P) diag(exp(-l)))^-1 with columns of power softmax(log powers),

    scaled by one scalar to the antenna budget and then so that the beam-pattern error is at most exp(e) times its
    threshold: under a long-term constraint the level says how to spend it over channels; the multiplier prices
    it. No iteration anywhere. On a passive surface without a sensing stream there are K - 1 weights (z_0 = 1).

    On a hybrid surface the sum runs over users and directions of departure (`Paths`), and the action's K D weights are
    added to a start (`one_direction_each`). More numbers follow: where a stream senses it takes exp(e) times its least
    share of the power (`with_sensing_stream`), and two give the target's weight in the sum; where elements amplify, two
    give the level a and contrast b of amplitudes exp(a + b log(|sum|_n/mean)), at most a_max. The beams live in the few
    dimensions that reach anything. On 32 drops of `paper-b` a search of the action reaches what the gradient reference
    does, 23.4 bit/s/Hz with 57 numbers (200 steps of Adam; 23.5 with amplitudes and `elements`; alternating 22.6).

    Source: the optimal beamformer has this form under a sum power constraint (Bjornson, Bengtsson and Ottersten,
    2014); see `beamforming.frame.surface_direction` and `Paths` for the surface.

    Attributes:
      power_scale, weight_scale, level_scale: what one unit of action means in the logarithms, chosen so that a unit of
        exploration moves each part of the design by a like amount.
      path_scale: the same for the surface weights of a hybrid surface.
      elements: also one phase offset [rad] for every element, and where some amplify one log amplitude.
      element_scale: what one unit of action means in those.
    """

    within_hardware: ClassVar[bool] = True
    power_scale: float = 2.0
    weight_scale: float = 2.0
    level_scale: float = 0.5
    path_scale: float = 0.2
    elements: bool = False
    element_scale: float = 0.5

    def sizes(self, spec: Spec) -> dict[str, int]:
        """Numbers in each part of the action, in order."""
        weights = spec.users * num_directions(spec) if is_hybrid(spec) else spec.users - 1
        return {
            "log_power": spec.data_streams,
            "log_weight": spec.data_streams,
            "real": weights,
            "imag": weights,
            "level": 1,
            "light": 2 if spec.sensing_streams else 0,
            "amplitude": 2 if spec.active else 0,
            "phase": spec.elements if self.elements else 0,
            "gain": spec.elements if self.elements and spec.active else 0,
        }

    def zeros(self, spec: Spec) -> Array:
        """The action that shares power equally; the surface serves the strongest user, or a hybrid one each alike."""
        return jnp.zeros((sum(self.sizes(spec).values()),))

    def context(self, system: System, params: Any, channels: Any) -> View:
        """The view of the drop."""
        return view(system, params, channels)

    def __call__(self, system: System, params: Any, channels: Any, context: View, action: Array) -> Design:
        """The design of one action, `[4K - 1]` on a passive surface (see `sizes`), on one channel."""
        sizes = self.sizes(system.spec)
        ends = list(itertools.accumulate(sizes.values()))
        part = dict(zip(sizes, jnp.split(action, ends[:-1]), strict=True))
        channels = channels if context.small is None else context.small
        reflection = self._surface(system, params, channels, context, part)
        weight = jnp.exp(-self.weight_scale * jnp.clip(part["log_weight"], -4, 4))
        power = jax.nn.softmax(self.power_scale * part["log_power"])
        budget = jnp.exp(self.level_scale * jnp.clip(part["level"][0], -8, 8))

        def beams(acting: Array) -> Array:
            W = user_beams(system, params, channels, acting, context.order, weight, power)
            return _with_share(system.spec, with_sensing_stream(system, params, channels, acting, W), budget)

        def step(acting: Array, _: None) -> tuple[Array, Array]:
            design = system.project(params, channels, Design(beams(acting), reflection))
            return design.reflection, design.beamformer

        if is_hybrid(system.spec):
            acting, W = lax.scan(step, reflection, None, length=PASSES)
            design = Design(W[-1], acting)
        else:
            design = Design(beams(reflection), reflection)
        design = design.replace(beamformer=lift(context.basis, design.beamformer))
        return system.meet(params, channels, design, budget)

    def _surface(self, system: System, params: Any, channels: Any, context: View, part: dict[str, Array]) -> Array:
        """The reflection `[N]`."""
        spec = system.spec
        if context.paths is None:
            one = jnp.ones((1,), part["real"].dtype)
            weights = lax.complex(jnp.concatenate([one, part["real"]]), jnp.concatenate([0 * one, part["imag"]]))
            total = jnp.sum(weights[..., None] * context.frame.paths, axis=-2)
        else:
            weights = lax.complex(part["real"], part["imag"]).reshape(spec.users, num_directions(spec))
            light = part["light"] if part["light"].size else jnp.zeros((2,), part["real"].dtype)
            scale = as_complex(jnp.asarray(self.path_scale, light.dtype))
            total = path_sum(context.paths, scale * weights, scale * lax.complex(light[0], light[1]))
        direction = jnp.conj(total)
        if self.elements:
            direction = direction * cis(self.element_scale * part["phase"])
        reflection = system.aim(params, channels, direction)
        if not spec.active:
            return reflection
        # The logarithm of a sum that vanishes has no gradient.
        norm2 = abs2(total)
        norm2 = jnp.maximum(norm2, 1e-6 * jnp.mean(norm2) + jnp.finfo(norm2.dtype).tiny)
        log_gain = part["amplitude"][0] + part["amplitude"][1] * jnp.log(norm2 / jnp.mean(norm2)) / 2
        log_gain = self.level_scale * log_gain
        if self.elements:
            log_gain = log_gain + self.element_scale * part["gain"]
        gain = jnp.exp(jnp.clip(log_gain, -8, 0))
        return reflection * as_complex(jnp.where(system.active(channels), gain, 1))


def _with_share(spec: Spec, beamformer: Array, factor: Array) -> Array:
    """The beams with the sensing stream's share of the power multiplied, at the same power, `[M, S]`."""
    if not spec.sensing_streams:
        return beamformer
    power = jnp.sum(abs2(beamformer), axis=0)
    stream, total = jnp.sum(power[spec.users :]), jnp.sum(power)
    share = stream / jnp.where(total > 0, total, 1)
    wanted = jnp.clip(factor * share, 0, LARGEST_SHARE)
    # Beside a share of all or nothing there is nothing to scale, and roots of 0 would have no gradient.
    both = (share > 0) & (share < 1)
    more = jnp.sqrt(jnp.where(both, wanted / jnp.where(both, share, 1), 1))
    less = jnp.sqrt(jnp.where(both, (1 - wanted) / jnp.where(both, 1 - share, 1), 1))
    scale = jnp.where(jnp.arange(spec.streams) < spec.users, less, more)
    return beamformer * as_complex(scale)[None, :]


# --- a correction to a classical design -----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Residual:
    """A classical design, computed once per drop, and a correction to it: zeros are the design itself.

    The action holds real and imaginary parts of a correction to W, in the few dimensions that reach anything and in
    units of sqrt(P/(r S)), user by user from the strongest on and then the sensing stream; a correction to every phase;
    and where elements amplify one to every log amplitude. The result is projected onto the powers, amplitudes and
    levels that the hardware has.

    Attributes:
      method, surface: of the design, by name (`beamforming.designs`); one that needs no random key.
      beam_scale, phase_scale, gain_scale: what one unit of action means.
    """

    within_hardware: ClassVar[bool] = True
    method: str = "rzf"
    surface: str = "focused_sum"
    beam_scale: float = 0.3
    phase_scale: float = 0.5
    gain_scale: float = 0.3

    def __post_init__(self) -> None:
        get_design(self.method, self.surface)
        if "random" in (self.method, self.surface) or self.method == "best_of_random":
            raise ConfigError(f"design {self.method}/{self.surface} is drawn at random: a residual needs a fixed one")

    def zeros(self, spec: Spec) -> Array:
        """The design as it is."""
        gains = spec.elements if spec.active else 0
        return jnp.zeros((2 * spec.rank * spec.streams + spec.elements + gains,))

    def context(self, system: System, params: Any, channels: Any) -> View:
        """The view of the drop, with the design."""
        seen = view(system, params, channels)
        solve = get_design(self.method, self.surface)
        base = solve(system, params, channels, jax.random.key(0))
        if seen.basis is not None:
            base = base.replace(beamformer=matmul(hermitian(seen.basis), base.beamformer))
        return seen.replace(base=base)

    def __call__(self, system: System, params: Any, channels: Any, context: View, action: Array) -> Design:
        """The design of one action on one channel."""
        spec = system.spec
        beams = spec.rank * spec.streams
        real, imag, phase, gain = jnp.split(action, [beams, 2 * beams, 2 * beams + spec.elements])
        correction = lax.complex(real, imag).reshape(spec.rank, spec.streams)
        data = jnp.argsort(stream_order(spec, context.order))
        columns = jnp.concatenate([data, jnp.arange(spec.data_streams, spec.streams)])
        unit = self.beam_scale * jnp.sqrt(params.power_w / beams)
        W = context.base.beamformer + as_complex(unit) * correction[:, columns]
        psi = context.base.reflection * cis(self.phase_scale * phase)
        if spec.active:
            psi = psi * as_complex(jnp.exp(jnp.clip(self.gain_scale * gain, -8, 8)))
        design = Design(beamformer=lift(context.basis, W), reflection=psi)
        return system.meet(params, channels, system.project(params, channels, design))


# --- the papers' literal actions ------------------------------------------------------------------------------------


@struct.dataclass
class PaperAction:
    """Paper A's raw action.

    Attributes:
      beam: real and imaginary parts of each user's w_k over sqrt(P/(M K)), in [-1, 1], `[K, 2M]`; with several
        streams stream by stream, over sqrt(P/(M S)), `[K, 2 D M]`. In that unit random beams stay inside the antenna
        budget; over sqrt(P/M) every row is clipped, and the policy never meets a lower power.
      level: phase level of every element, `[N]`, int32.
    """

    beam: Array
    level: Array


@dataclasses.dataclass(frozen=True)
class Paper:
    """Paper A's literal action: raw beams, and one discrete phase level per element. Source: (30), Section VI."""

    def zeros(self, spec: Spec) -> PaperAction:
        """Silent beams and every element at level 0."""
        return PaperAction(
            beam=jnp.zeros((spec.users, 2 * spec.antennas * spec.user_streams)),
            level=jnp.zeros((spec.elements,), jnp.int32),
        )

    def context(self, system: System, params: Any, channels: Any) -> tuple[()]:
        """Nothing."""
        del system, params, channels
        return ()

    def __call__(self, system: System, params: Any, channels: Any, context: tuple[()], action: PaperAction) -> Design:
        """The design of one action on one channel."""
        del context
        real, imag = jnp.split(action.beam, 2, axis=-1)
        spec = system.spec
        unit = jnp.sqrt(params.power_w / (spec.antennas * spec.streams))
        W = as_complex(unit) * lax.complex(real, imag).reshape(spec.streams, spec.antennas).T
        phase = quantised_phase(action.level, system.spec.phase_bits, system.phase_levels)
        return Design(beamformer=W, reflection=system.snap(params, channels, phase.astype(real.dtype)))


@dataclasses.dataclass(frozen=True)
class PaperB:
    """Paper B's literal action: W over sqrt(P/(M S)) and psi over its largest amplitudes, as real and imaginary parts.

    `[2(M S + N)]`: re W, im W (row by row), re psi, im psi; 800 numbers at K = 4, M = 64 and N = 80. In that unit
    numbers of about 1/sqrt(2) have full power; what is above the powers and amplitudes is projected onto them, and
    passive elements keep their phases only. Source: paper B, the deep deterministic policy gradient's action.
    """

    within_hardware: ClassVar[bool] = True

    def zeros(self, spec: Spec) -> Array:
        """Silent beams; passive elements at phase 0, active ones off."""
        return jnp.zeros((2 * (spec.antennas * spec.streams + spec.elements),))

    def context(self, system: System, params: Any, channels: Any) -> tuple[()]:
        """Nothing."""
        del system, params, channels
        return ()

    def __call__(self, system: System, params: Any, channels: Any, context: tuple[()], action: Array) -> Design:
        """The design of one action on one channel."""
        del context
        spec = system.spec
        beams = spec.antennas * spec.streams
        real, imag, psi_real, psi_imag = jnp.split(action, [beams, 2 * beams, 2 * beams + spec.elements])
        unit = jnp.sqrt(params.power_w / beams)
        W = as_complex(unit) * lax.complex(real, imag).reshape(spec.antennas, spec.streams)
        largest = system.snap(params, channels, jnp.zeros_like(psi_real))
        psi = lax.complex(psi_real, psi_imag) * as_complex(jnp.abs(largest))
        return system.project(params, channels, Design(beamformer=W, reflection=psi))


# --- whole designs --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Whole:
    """The action is the design: for policies that compute one themselves, such as unfolded solvers."""

    def zeros(self, spec: Spec) -> Design:
        """Silent beams and a surface at phase 0."""
        real = jnp.zeros((spec.antennas, spec.streams))
        return Design(beamformer=as_complex(real), reflection=as_complex(jnp.ones((spec.elements,))))

    def context(self, system: System, params: Any, channels: Any) -> tuple[()]:
        """Nothing."""
        del system, params, channels
        return ()

    def __call__(self, system: System, params: Any, channels: Any, context: tuple[()], action: Design) -> Design:
        """The action as it is; the environment projects it."""
        del system, params, channels, context
        return action
