"""The unfolded policy made random, for the learners that see a reward and no gradient: PPO, A2C, A3C, REINFORCE.

The layers are an inner decision process: networks are shown numbers, decide numbers, and the physics shows the next
ones. Gaussian noise on every decision makes it a random policy whose action is the whole trace. Its density needs the
networks alone, over what they were shown, so no gradient is ever taken through the physics.
"""

import dataclasses
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jax import Array, lax

from thzjax.agents.policies import Params, Transition
from thzjax.agents.unfolded import Step, Trace, UnfoldedConfig, UnfoldedPolicy
from thzjax.agents.unfolded_layers import LAYER_NUMBERS, USER_FEATURES, Decided, listen, user_features
from thzjax.envs.actions import Whole
from thzjax.errors import ConfigError
from thzjax.systems.base import Design, Spec, System

DAMPING_OF_PHASES, SENSING_SHARE = 2, 3
"""Where these stand among the numbers of a layer."""
BASELINES = ("undisturbed", "start")
FINER = -1.5
"""Log deviation of an element's decisions against those of users and layers. On `paper-a`, of 4.07 bit/s/Hz without
noise and at a deviation of 0.37 each, turns alone cost 0.35, weights 0.012 and the numbers of the layers 0.004."""


@struct.dataclass
class Drawn:
    """A design, and what led to it.

    Attributes:
      design: what acts.
      trace: what the networks saw and decided, layer after layer; none where the design was not drawn.
    """

    design: Design
    trace: Trace | None = None


@dataclasses.dataclass(frozen=True)
class Traced:
    """The action holds a design and its trace; the environment takes the design."""

    def zeros(self, spec: Spec) -> Drawn:
        """Silent beams and a surface at phase 0, which nothing led to."""
        return Drawn(Whole().zeros(spec))

    def context(self, system: System, params: Any, channels: Any) -> tuple[()]:
        """Nothing."""
        del system, params, channels
        return ()

    def __call__(self, system: System, params: Any, channels: Any, context: tuple[()], action: Drawn) -> Design:
        """The design as it is; the environment projects it."""
        del system, params, channels, context
        return action.design


class RateCritic(nn.Module):
    """State value from what the users' networks see of a design: its sum rate, and what to add to it.

    Attributes:
      width: of the hidden layers.
    """

    width: int

    @nn.compact
    def __call__(self, users: Array) -> Array:
        """`[K, USER_FEATURES]` -> `[]`, whatever the order of the users."""
        dense = functools.partial(nn.Dense, param_dtype=users.dtype)
        hidden = nn.silu(dense(self.width)(users))
        hidden = jnp.concatenate([jnp.mean(hidden, axis=0), jnp.max(hidden, axis=0)])
        hidden = nn.silu(dense(self.width)(hidden))
        # The first feature is ln(1 + SINR)/2.
        rate = 2 / math.log(2) * jnp.sum(users[:, 0])
        return rate + dense(1, kernel_init=nn.initializers.normal(0.01))(hidden)[0]


@dataclasses.dataclass(frozen=True)
class StochasticUnfolded:
    """`UnfoldedPolicy` with Gaussian noise on what its networks decide.

    log pi(trace) = sum over layers and decisions of log N(decision; network(what was seen), std^2), over those that
    have an effect: passive elements have no loudness, the last layers turn no phase, and there is no share where no
    stream senses. What an element remembers is computed by the networks again, so it carries gradients too. As the
    noise of a layer changes what the next ones see, this is the density of a whole episode, and its score times the
    reward an unbiased policy gradient (Williams, 1992).

    An entropy bonus counts every decision of every layer, 158 on `paper-a`: keep its weight at or near 0.

    Attributes:
      system: what is designed for.
      config: of the layers.
      log_std: logarithm of the deviations at the start, of turns and loudness plus `FINER`; they are learned, one of
        each kind per layer.
      rounds: searches of the surface's levels while actions are drawn (`mode` makes `config.rounds`).
      baseline: design whose features the critic sees: "undisturbed", the layers' own without noise, at the price of one
        more run of them per value; or "start", what the first layer stands on. On 256 channels of `paper-a` rates
        differ by 0.98 bit/s/Hz, and noise moves them by 0.14 (in the median 0.03: now and then a design collapses). Of
        the rate without noise the untrained critic misses 0.003 with the former, and a fit 0.09 with the latter.
      critic_width: hidden width of the critic.
    """

    system: System
    config: UnfoldedConfig = UnfoldedConfig()
    log_std: float = -1.0
    rounds: int = 0
    baseline: str = "undisturbed"
    critic_width: int = 32

    def __post_init__(self) -> None:
        if self.rounds < 0 or self.critic_width < 1:
            name, least = ("rounds", 0) if self.rounds < 0 else ("critic_width", 1)
            raise ConfigError(f"{name}={getattr(self, name)} must be at least {least}")
        if self.baseline not in BASELINES:
            raise ConfigError(f"baseline={self.baseline!r} is unknown: use one of {', '.join(BASELINES)}")

    @property
    def unfolded(self) -> UnfoldedPolicy:
        """What is used after training, with the weights `{"actor": params["actor"]["network"]}`."""
        return UnfoldedPolicy(self.system, self.config)

    @property
    def _explorer(self) -> UnfoldedPolicy:
        """The layers as they are taken in training."""
        config = dataclasses.replace(self.config, rounds=self.rounds, starts=self.config.starts[:1])
        return UnfoldedPolicy(self.system, config)

    def _steps(self, actor: Any) -> Step:
        """The layers as they are taken in training, with their networks and deviations."""
        return self._explorer.steps(actor, discrete=bool(self.system.spec.phase_bits))

    def _counted(self, steps: Step, active: Array) -> Decided:
        """1 where a decision has an effect, else 0; leaves `[layers, 1 or the number of decisions]`."""
        dtype = steps.weights["log_std"].turn.dtype
        layers, size = steps.weights["log_std"].numbers.shape
        moves = steps.move[:, None].astype(dtype)
        numbers = jnp.ones((layers, size), dtype).at[:, DAMPING_OF_PHASES].set(moves[:, 0])
        if not self.system.spec.sensing_streams:
            numbers = numbers.at[:, SENSING_SHARE].set(0)
        return Decided(jnp.ones((layers, 1), dtype), numbers, moves, moves * active[None].astype(dtype))

    def init(self, key: Array, obs: Any) -> Params:
        """Networks and deviations of every layer, and the critic."""
        key_actor, key_critic = jax.random.split(key)
        layers = self.config.layers + self.config.beam_layers
        user, element = jnp.full((layers, 1), self.log_std), jnp.full((layers, 1), self.log_std + FINER)
        numbers = jnp.full((layers, LAYER_NUMBERS + len(self.unfolded.priced)), self.log_std)
        return {
            "actor": {
                "network": self.unfolded.init(key_actor, obs)["actor"],
                "log_std": Decided(user, numbers, element, element),
            },
            "critic": RateCritic(self.critic_width).init(key_critic, jnp.zeros((2, USER_FEATURES))),
        }

    def value(self, params: Params, obs: Any) -> Array:
        """State value, `[...]`."""
        if obs.channels.direct.ndim > 2:
            return jax.vmap(self.value, in_axes=(None, 0))(params, obs)
        system, channels = self.system, obs.channels
        if self.baseline == "start":
            design = self._explorer.opening(obs)
        else:
            design = lax.stop_gradient(self._explorer.mode({"actor": params["actor"]["network"]}, obs))
        noise = system.user_noise(obs.params, channels, design.reflection)
        heard = listen(system, channels, design.beamformer, design.reflection, noise)
        return RateCritic(self.critic_width).apply(params["critic"], user_features(obs.params.power_w, heard))

    def sample(self, params: Params, obs: Any, key: Array) -> tuple[Drawn, Array]:
        """A design by random decisions, with their trace, and the log density of these."""
        if obs.channels.direct.ndim > 2:
            keys = jax.random.split(key, obs.channels.direct.shape[0])
            return jax.vmap(self.sample, in_axes=(None, 0, 0))(params, obs, keys)
        steps, spec = self._steps(params["actor"]), self.system.spec
        log_std, counted = steps.weights["log_std"], self._counted(steps, self.system.active(obs.channels))
        layers, numbers = log_std.numbers.shape
        sizes = Decided(spec.users, numbers, spec.elements, spec.elements)
        drawn = jax.tree.map(
            lambda k, size: jax.random.normal(k, (layers, size), log_std.turn.dtype),
            Decided(*jax.random.split(key, len(sizes))),
            sizes,
        )
        jitter = jax.tree.map(lambda z, s, c: c * jnp.exp(s) * z, drawn, log_std, counted)
        design, trace = self._explorer.explored({"actor": params["actor"]["network"]}, obs, jitter)
        return Drawn(design, trace), _log_density(drawn, log_std, counted)

    def log_prob_entropy(self, params: Params, obs: Any, action: Drawn) -> tuple[Array, Array]:
        """Log density of an action that was drawn, and the entropy of the decisions given what is seen, `[...]`."""
        if obs.channels.direct.ndim > 2:
            return jax.vmap(self.log_prob_entropy, in_axes=(None, 0, 0))(params, obs, action)
        steps, network = self._steps(params["actor"]), self.unfolded.network()
        log_std, counted = steps.weights["log_std"], self._counted(steps, self.system.active(obs.channels))

        def layer(state: Array, at: tuple[Any, Trace]) -> tuple[Array, Decided]:
            weights, (seen, decided) = at
            hidden, weight, numbers = network.apply(weights, seen.users, seen.whole, method="users")
            turn, louder, state = network.apply(weights, seen.pairs, hidden, seen.elements, state, method="elements")
            return state, jax.tree.map(jnp.subtract, decided, Decided(weight, numbers, turn, louder))

        turn = action.trace.decided.turn
        state = jnp.zeros((turn.shape[-1], self.config.state), turn.dtype)
        _, off = lax.scan(layer, state, (steps.weights["network"], action.trace))
        standard = jax.tree.map(lambda x, s: x * jnp.exp(-s), off, log_std)
        entropy = jax.tree.map(
            lambda x, s, c: jnp.sum(jnp.broadcast_to(c * (s + 0.5 * math.log(2 * math.pi * math.e)), x.shape)),
            off, log_std, counted,
        )  # fmt: skip
        return _log_density(standard, log_std, counted), sum(entropy)

    def mode(self, params: Params, obs: Any) -> Drawn:
        """The unfolded policy's design, `[...]`, without a trace."""
        return Drawn(self.unfolded.mode({"actor": params["actor"]["network"]}, obs))

    def auxiliary_loss(self, params: Params, batch: Transition, gamma: float) -> Array:
        """None beside the value loss."""
        del params, batch, gamma
        return jnp.zeros(())


def _log_density(standard: Decided, log_std: Decided, counted: Decided) -> Array:
    """sum_i -z_i^2/2 - log std_i - log(2 pi)/2 over what counts; `standard` holds z, decisions in deviations."""
    return sum(
        jnp.sum(c * (-(z**2) / 2 - s - 0.5 * math.log(2 * math.pi)))
        for z, s, c in zip(standard, log_std, counted, strict=True)
    )
