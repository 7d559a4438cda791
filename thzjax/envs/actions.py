"""Action maps: what an agent's numbers mean. Each is a pure function of one channel; callers `vmap`.

An action map is a frozen dataclass with `zeros(spec)`, the action an untrained policy hovers about;
`context(system, params, channels)`, whatever the maps derive once from a drop; and `__call__(system, params, channels,
context, action) -> Design`.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array, lax

from thzjax.beamforming.frame import Frame, channel_frame, surface_phases
from thzjax.beamforming.linear import regularised
from thzjax.numeric import as_complex
from thzjax.physics.surface import quantised_phase
from thzjax.systems.base import Design, Spec, System


@dataclasses.dataclass(frozen=True)
class Structured:
    """Powers, weights and phases in the form that good designs have; an action of zeros is a sound design.

    The action holds, for the users from strongest to weakest: K log powers, K log weights l_k, 2(K - 1) real and
    imaginary parts of the surface weights z_k (z_0 = 1), and one log level e. Then

        psi_n = exp(-j arg(sum_k z_k c_kn)), snapped to the hardware's levels,
        W = H^H (H H^H + (K noise/P) diag(exp(-l)))^-1 with columns of power softmax(log powers),

    scaled by one scalar to the antenna budget and then so that the beam-pattern error is at most exp(e) times its
    threshold: under a long-term constraint the level says how to spend it over channels; the multiplier prices
    it. No iteration anywhere.

    Source: the optimal beamformer has this form under a sum power constraint (Bjornson, Bengtsson and Ottersten,
    2014); see `beamforming.frame.surface_phases` for the surface.

    Attributes:
      power_scale, weight_scale: what one unit of action means in the logarithms, chosen so that a unit of
        exploration moves each part of the design by a like amount.
    """

    power_scale: float = 2.0
    weight_scale: float = 2.0
    level_scale: float = 0.5

    def zeros(self, spec: Spec) -> Array:
        """The action that focuses the surface on the strongest user and shares power equally."""
        return jnp.zeros((4 * spec.users - 1,))

    def context(self, system: System, params: Any, channels: Any) -> Frame:
        """The channel's frame."""
        del system, params
        return channel_frame(channels)

    def __call__(self, system: System, params: Any, channels: Any, frame: Frame, action: Array) -> Design:
        """The design of one action `[4K - 1]` on one channel."""
        users = system.spec.users
        log_power, log_weight, real, imag, level = jnp.split(action, [users, 2 * users, 3 * users - 1, 4 * users - 2])
        one = jnp.ones((1,), action.dtype)
        weights = lax.complex(jnp.concatenate([one, real]), jnp.concatenate([0 * one, imag]))
        reflection = system.snap(params, channels, surface_phases(frame, weights))

        # Rows in units of the noise at full power, so the regularisation is K over the signal-to-noise ratio.
        unit = jnp.sqrt(params.power_w / params.noise_w)
        H = system.effective_channel(channels, reflection)[frame.order] * as_complex(unit)
        weight = jnp.exp(-self.weight_scale * jnp.clip(log_weight, -4, 4))
        W = regularised(H, jnp.asarray(users, H.real.dtype), weight)
        power = jax.nn.softmax(self.power_scale * log_power)
        W = W * as_complex(jnp.sqrt(power))
        W = system.fit_power(params, W[:, jnp.argsort(frame.order)])
        budget = jnp.exp(self.level_scale * jnp.clip(level[0], -8, 8))
        return system.meet(params, channels, Design(beamformer=W, reflection=reflection), budget)


@struct.dataclass
class PaperAction:
    """Paper A's raw action.

    Attributes:
      beam: real and imaginary parts of each user's w_k over sqrt(P/(M K)), in [-1, 1], `[K, 2M]`. In that
        unit random beams stay inside the antenna budget; over sqrt(P/M) every row is clipped, and the policy
        never meets a lower power.
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
            beam=jnp.zeros((spec.users, 2 * spec.antennas)), level=jnp.zeros((spec.elements,), jnp.int32)
        )

    def context(self, system: System, params: Any, channels: Any) -> tuple[()]:
        """Nothing."""
        del system, params, channels
        return ()

    def __call__(self, system: System, params: Any, channels: Any, context: tuple[()], action: PaperAction) -> Design:
        """The design of one action on one channel."""
        del context
        real, imag = jnp.split(action.beam, 2, axis=-1)
        W = lax.complex(real, imag).T * as_complex(
            jnp.sqrt(params.power_w / (system.spec.antennas * system.spec.users))
        )
        phase = quantised_phase(action.level, system.spec.phase_bits, system.phase_levels)
        return Design(beamformer=W, reflection=system.snap(params, channels, phase.astype(real.dtype)))


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
