"""Policies: how a network's output becomes a random action, its density, and the action used after training.

A policy is a frozen dataclass of pure functions. `params` is {"actor": .., "critic": ..}, so that each has its own
learning rate. Observations may carry any leading batch axes.
"""

import dataclasses
import math
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.stats import norm, truncnorm

from thzjax.agents.networks import GaussianActor, MixedActor, PaperActor, PaperCritic, ValueNetwork
from thzjax.envs.actions import PaperAction
from thzjax.errors import ConfigError
from thzjax.numeric import standard_normal

Params = dict[str, Any]


class Transition(NamedTuple):
    """One step as the losses need it; leaves lead with the batch."""

    obs: Any
    next_obs: Any
    action: Any
    log_prob: Array
    value: Array
    reward: Array
    terminated: Array
    truncated: Array


class Policy(Protocol):
    """What the on-policy learners ask of a policy; `obs` may carry leading batch axes."""

    def init(self, key: Array, obs: Any) -> Params:
        """Parameters for observations like `obs`, one without batch axes."""

    def value(self, params: Params, obs: Any) -> Array:
        """State value, `[...]`."""

    def sample(self, params: Params, obs: Any, key: Array) -> tuple[Any, Array]:
        """A random action and its log density."""

    def log_prob_entropy(self, params: Params, obs: Any, action: Any) -> tuple[Array, Array]:
        """Log density of an action, and the policy's entropy, `[...]`."""

    def mode(self, params: Params, obs: Any) -> Any:
        """The action used after training."""

    def auxiliary_loss(self, params: Params, batch: Transition, gamma: float) -> Array:
        """A further loss of the critic's own, or 0."""


@dataclasses.dataclass(frozen=True)
class GaussianPolicy:
    """Diagonal Gaussian over a flat action, with a separate value network.

    Attributes:
      size: numbers in an action.
      hidden: hidden layers of actor and critic.
      log_std: log deviation at the start.
    """

    size: int
    hidden: tuple[int, ...] = (64, 64)
    log_std: float = -1.2

    def _modules(self) -> tuple[GaussianActor, ValueNetwork]:
        return GaussianActor(self.hidden, self.size, self.log_std), ValueNetwork(self.hidden)

    def _distribution(self, params: Params, obs: Array):
        import distrax  # 1.3 s to import, so only where a learner runs

        mean, log_std = self._modules()[0].apply(params["actor"], obs)
        return distrax.MultivariateNormalDiag(mean, jnp.exp(log_std))

    def init(self, key: Array, obs: Array) -> Params:
        """Parameters for observations like `obs`."""
        key_actor, key_critic = jax.random.split(key)
        actor, critic = self._modules()
        return {"actor": actor.init(key_actor, obs), "critic": critic.init(key_critic, obs)}

    def value(self, params: Params, obs: Array) -> Array:
        """State value, `[...]`."""
        return self._modules()[1].apply(params["critic"], obs)

    def sample(self, params: Params, obs: Array, key: Array) -> tuple[Array, Array]:
        """A random action and its log density."""
        distribution = self._distribution(params, obs)
        action = _drawn(distribution, key)
        return action, distribution.log_prob(action)

    def log_prob_entropy(self, params: Params, obs: Array, action: Array) -> tuple[Array, Array]:
        """Log density of an action, and the policy's entropy, `[...]`."""
        distribution = self._distribution(params, obs)
        return distribution.log_prob(action), distribution.entropy()

    def mode(self, params: Params, obs: Array) -> Array:
        """The action used after training: the mean."""
        return self._modules()[0].apply(params["actor"], obs)[0]

    def auxiliary_loss(self, params: Params, batch: Transition, gamma: float) -> Array:
        """None beside the value loss."""
        del params, batch, gamma
        return jnp.zeros(())


def _drawn(gaussian: Any, key: Array) -> Array:
    """A sample of distrax's diagonal Gaussian: the same numbers as its own, in a fifth of the time."""
    return gaussian.loc + gaussian.scale_diag * standard_normal(key, gaussian.loc.shape, gaussian.loc.dtype)


def tanh_log_slope(u: Array) -> Array:
    """log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)), elementwise and finite for every u."""
    return 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))


@dataclasses.dataclass(frozen=True)
class TanhGaussianPolicy(GaussianPolicy):
    """A Gaussian squashed into a box: a = scale tanh(u) with u ~ N(mean, diag(std^2)), for bounded actions.

    log pi(a) = log N(u) - sum_i [log(1 - tanh(u_i)^2) + log scale], where u = atanh(a/scale). Near the box's faces a
    float32 action no longer tells u (1 - tanh 9 is below its resolution), so samples stay a few roundings inside and
    the density is always taken at the action itself: both ways to it then agree to the bit.

    Source: Haarnoja et al., 2018, appendix C.

    Attributes:
      scale: half the width of the box.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ConfigError(f"scale={self.scale:g} must be greater than 0")

    def sample(self, params: Params, obs: Array, key: Array) -> tuple[Array, Array]:
        """A random action and its log density."""
        distribution = self._distribution(params, obs)
        squashed = jnp.tanh(_drawn(distribution, key))
        edge = 1 - 4 * jnp.finfo(squashed.dtype).eps
        action = self.scale * jnp.clip(squashed, -edge, edge)
        return action, self._log_prob(distribution, action)

    def _log_prob(self, distribution: Any, action: Array) -> Array:
        edge = 1 - 2 * jnp.finfo(action.dtype).eps  # dividing by the scale may round outwards
        squashed = jnp.clip(action / self.scale, -edge, edge)
        # log(1 - y^2) as log(1 - y) + log(1 + y), whose arguments are exact where y nears 1.
        log_slope = jnp.log1p(squashed) + jnp.log1p(-squashed)
        return distribution.log_prob(jnp.arctanh(squashed)) - jnp.sum(log_slope + math.log(self.scale), axis=-1)

    def log_prob_entropy(self, params: Params, obs: Array, action: Array) -> tuple[Array, Array]:
        """Log density of an action, and the entropy: the Gaussian's and the mean log slope, by quadrature."""
        distribution = self._distribution(params, obs)
        # Gauss-Hermite: with 32 nodes the mean log slope is within 6e-8 at a deviation of 1, and 2e-4 at 2.
        nodes, shares = np.polynomial.hermite_e.hermegauss(32)
        mean, std = distribution.loc[..., None], distribution.scale_diag[..., None]
        lead = (1,) * (mean.ndim - 1)
        nodes, shares = (
            jnp.asarray(x, mean.dtype).reshape(*lead, -1) for x in (nodes, shares / math.sqrt(2 * math.pi))
        )
        log_slope = jnp.sum(shares * tanh_log_slope(mean + std * nodes), axis=-1)
        entropy = distribution.entropy() + jnp.sum(log_slope + math.log(self.scale), axis=-1)
        return self._log_prob(distribution, action), entropy

    def mode(self, params: Params, obs: Array) -> Array:
        """The action used after training: the squashed mean, which is the median."""
        return self.scale * jnp.tanh(super().mode(params, obs))


@dataclasses.dataclass(frozen=True)
class TruncatedGaussianPolicy(GaussianPolicy):
    """Diagonal Gaussian truncated to the box [low, high]^A, its location in the box.

    The location is the centre plus half the width times the tanh of the network, as in paper A: were it far outside,
    samples would come from a tail that float32 does not resolve. Source: paper A, Section VI.

    Attributes:
      low, high: faces of the box.
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"low={self.low:g} must be below high={self.high:g}")

    def _law(self, params: Params, obs: Array) -> tuple[Array, Array, Array, Array]:
        """Location, deviation, and the faces in deviations from the location, `[..., A]`."""
        raw, log_std = self._modules()[0].apply(params["actor"], obs)
        mean = (self.high + self.low) / 2 + (self.high - self.low) / 2 * jnp.tanh(raw)
        std = jnp.exp(log_std)
        return mean, std, (self.low - mean) / std, (self.high - mean) / std

    def _log_prob(self, params: Params, obs: Array, action: Array) -> Array:
        mean, std, below, above = self._law(params, obs)
        return jnp.sum(truncnorm.logpdf(action, below, above, mean, std), axis=-1)

    def sample(self, params: Params, obs: Array, key: Array) -> tuple[Array, Array]:
        """A random action and its log density."""
        mean, std, below, above = self._law(params, obs)
        action = mean + std * jax.random.truncated_normal(key, below, above, dtype=mean.dtype)
        # Rounding may carry a draw past a face, where the density is 0.
        action = jnp.clip(action, self.low, self.high)
        return action, self._log_prob(params, obs, action)

    def log_prob_entropy(self, params: Params, obs: Array, action: Array) -> tuple[Array, Array]:
        """Log density of an action, and the entropy, `[...]`.

        With a, b the faces in deviations and Z = Phi(b) - Phi(a), the entropy of one number is
        log(sqrt(2 pi e) std Z) + (a phi(a) - b phi(b))/(2 Z). As a <= 0 <= b, nothing cancels in Z.
        """
        _, std, below, above = self._law(params, obs)
        inside = norm.cdf(above) - norm.cdf(below)
        edges = (below * norm.pdf(below) - above * norm.pdf(above)) / (2 * inside)
        entropy = jnp.log(std * inside) + 0.5 * math.log(2 * math.pi * math.e) + edges
        return self._log_prob(params, obs, action), jnp.sum(entropy, axis=-1)

    def mode(self, params: Params, obs: Array) -> Array:
        """The action used after training: the location, which is the density's maximum."""
        return self._law(params, obs)[0]


@dataclasses.dataclass(frozen=True)
class MixedPolicy:
    """Beams from a diagonal Gaussian and the level of every surface element from a categorical of its own.

    Both come from one network and both learn by the policy gradient, unlike `PaperPolicy`, whose phases follow Q
    heads: log densities and entropies of the two parts add up.

    Attributes:
      shape: of the Gaussian part of the action.
      elements, levels: N choices among so many levels.
      hidden, log_std: hidden layers of actor and critic, and log deviation at the start.
      obs_axes: axes of one observation, which is flattened.
    """

    shape: tuple[int, ...]
    elements: int
    levels: int
    hidden: tuple[int, ...] = (64, 64)
    log_std: float = -1.2
    obs_axes: int = 1

    def _modules(self) -> tuple[MixedActor, ValueNetwork]:
        actor = MixedActor(self.hidden, math.prod(self.shape), self.elements, self.levels, self.log_std)
        return actor, ValueNetwork(self.hidden)

    def _flat(self, obs: Array) -> Array:
        return obs.reshape(*obs.shape[: obs.ndim - self.obs_axes], -1)

    def _distributions(self, params: Params, obs: Array) -> tuple[Any, Any]:
        """Of the beams and of the levels."""
        import distrax

        mean, log_std, logits = self._modules()[0].apply(params["actor"], self._flat(obs))
        return distrax.MultivariateNormalDiag(mean, jnp.exp(log_std)), distrax.Categorical(logits)

    def _action(self, beam: Array, level: Array) -> PaperAction:
        return PaperAction(beam.reshape(*beam.shape[:-1], *self.shape), level)

    def init(self, key: Array, obs: Array) -> Params:
        """Parameters for observations like `obs`."""
        key_actor, key_critic = jax.random.split(key)
        actor, critic = self._modules()
        obs = self._flat(obs)
        return {"actor": actor.init(key_actor, obs), "critic": critic.init(key_critic, obs)}

    def value(self, params: Params, obs: Array) -> Array:
        """State value, `[...]`."""
        return self._modules()[1].apply(params["critic"], self._flat(obs))

    def sample(self, params: Params, obs: Array, key: Array) -> tuple[PaperAction, Array]:
        """A random action and its log density."""
        key_beam, key_level = jax.random.split(key)
        beams, levels = self._distributions(params, obs)
        beam, level = _drawn(beams, key_beam), levels.sample(seed=key_level).astype(jnp.int32)
        return self._action(beam, level), beams.log_prob(beam) + jnp.sum(levels.log_prob(level), axis=-1)

    def log_prob_entropy(self, params: Params, obs: Array, action: PaperAction) -> tuple[Array, Array]:
        """Log density of an action, and the policy's entropy, `[...]`."""
        beams, levels = self._distributions(params, obs)
        beam = action.beam.reshape(*action.level.shape[:-1], -1)
        log_prob = beams.log_prob(beam) + jnp.sum(levels.log_prob(action.level), axis=-1)
        return log_prob, beams.entropy() + jnp.sum(levels.entropy(), axis=-1)

    def mode(self, params: Params, obs: Array) -> PaperAction:
        """Mean beams and the likeliest levels."""
        mean, _, logits = self._modules()[0].apply(params["actor"], self._flat(obs))
        return self._action(mean, jnp.argmax(logits, axis=-1).astype(jnp.int32))

    def auxiliary_loss(self, params: Params, batch: Transition, gamma: float) -> Array:
        """None beside the value loss."""
        del params, batch, gamma
        return jnp.zeros(())


@dataclasses.dataclass(frozen=True)
class PaperPolicy:
    """Paper A's: per-user actors emit raw beams, per-user critics choose the phases by their Q heads.

    The users' log densities add up and their values are averaged. Their Q heads are averaged too, so that one
    set of phases results; an element takes the greedy level with probability `greedy`, else a uniform one
    (the paper's wording would make 95 % of the phases random).

    Attributes:
      users: K.
      antennas: complex numbers of a user's beams, M, or M D with several streams.
      elements, levels: N choices among so many levels.
      greedy: share of greedy choices.
      shared: one actor and one critic for all users, as in the multi-antenna scenario, where a chief learns one policy
        from every user's experience; else each has its own.

    Source: paper A, (30)-(31), Algorithms 1 and 2, and Section VI.
    """

    users: int
    antennas: int
    elements: int
    levels: int
    greedy: float = 0.95
    shared: bool = False

    def _modules(self) -> tuple[PaperActor, PaperCritic]:
        return PaperActor(2 * self.antennas), PaperCritic(self.elements, self.levels)

    def _per_user(self, module: Any, params: Any, obs: Array) -> Any:
        """Apply each user's parameters to that user's row: `obs [..., K, F]`."""
        return jax.vmap(module.apply, in_axes=(None if self.shared else 0, -2), out_axes=0)(params, obs)

    def init(self, key: Array, obs: Array) -> Params:
        """Each user's own actor and critic, or the shared ones."""
        actor, critic = self._modules()
        rows = jnp.moveaxis(obs, -2, 0)
        if self.shared:
            key_actor, key_critic = jax.random.split(key)
            return {"actor": actor.init(key_actor, rows[0]), "critic": critic.init(key_critic, rows[0])}
        keys = jax.random.split(key, (2, self.users))
        return {"actor": jax.vmap(actor.init)(keys[0], rows), "critic": jax.vmap(critic.init)(keys[1], rows)}

    def _gaussian(self, params: Params, obs: Array) -> tuple[Array, Array]:
        mean, std = self._per_user(self._modules()[0], params["actor"], obs)
        return jnp.moveaxis(mean, 0, -2), jnp.moveaxis(std, 0, -2)

    def _values(self, params: Params, obs: Array) -> tuple[Array, Array]:
        value, q = self._per_user(self._modules()[1], params["critic"], obs)
        return jnp.mean(value, axis=0), jnp.mean(q, axis=0)

    def value(self, params: Params, obs: Array) -> Array:
        """State value, `[...]`."""
        return self._values(params, obs)[0]

    def sample(self, params: Params, obs: Array, key: Array) -> tuple[PaperAction, Array]:
        """Beams from the truncated Gaussian, phases epsilon-greedy; the log density of the beams."""
        key_beam, key_explore, key_level = jax.random.split(key, 3)
        mean, std = self._gaussian(params, obs)
        low, high = (-1 - mean) / std, (1 - mean) / std
        beam = mean + std * jax.random.truncated_normal(key_beam, low, high, dtype=mean.dtype)
        beam = jnp.clip(beam, -1 + 1e-6, 1 - 1e-6)
        best = self._best_level(params, obs)
        explore = jax.random.bernoulli(key_explore, 1 - self.greedy, best.shape)
        level = jnp.where(explore, jax.random.randint(key_level, best.shape, 0, self.levels), best)
        return PaperAction(beam, level), self._beam_log_prob(beam, mean, std)

    def _best_level(self, params: Params, obs: Array) -> Array:
        return jnp.argmax(self._values(params, obs)[1], axis=-1).astype(jnp.int32)

    def _beam_log_prob(self, beam: Array, mean: Array, std: Array) -> Array:
        density = truncnorm.logpdf(beam, (-1 - mean) / std, (1 - mean) / std, mean, std)
        return jnp.sum(density, axis=(-2, -1))

    def log_prob_entropy(self, params: Params, obs: Array, action: PaperAction) -> tuple[Array, Array]:
        """Log density of the beams, and the entropy of the untruncated Gaussian (an upper bound), `[...]`."""
        mean, std = self._gaussian(params, obs)
        entropy = jnp.sum(jnp.log(std) + 0.5 * jnp.log(2 * jnp.pi * jnp.e), axis=(-2, -1))
        return self._beam_log_prob(action.beam, mean, std), entropy

    def mode(self, params: Params, obs: Array) -> PaperAction:
        """Mean beams and greedy phases."""
        return PaperAction(self._gaussian(params, obs)[0], self._best_level(params, obs))

    def auxiliary_loss(self, params: Params, batch: Transition, gamma: float) -> Array:
        """Mean square error of every element's Q against r + gamma max Q' (the element's own greedy value)."""
        _, q = self._values(params, batch.obs)
        _, q_next = self._values(params, batch.next_obs)
        ahead = jnp.where(batch.terminated[..., None], 0, jnp.max(q_next, axis=-1))
        target = jax.lax.stop_gradient(batch.reward[..., None] + gamma * ahead)
        taken = jnp.take_along_axis(q, batch.action.level[..., None], axis=-1)[..., 0]
        return jnp.mean((taken - target) ** 2)
