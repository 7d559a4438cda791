"""Policies: how a network's output becomes a random action, its density, and the action used after training.

A policy is a frozen dataclass of pure functions. `params` is {"actor": .., "critic": ..}, so that each has its own
learning rate. Observations may carry any leading batch axes.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.stats import truncnorm

from thzjax.agents.networks import GaussianActor, PaperActor, PaperCritic, ValueNetwork
from thzjax.envs.actions import PaperAction

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
        return self._distribution(params, obs).sample_and_log_prob(seed=key)

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


@dataclasses.dataclass(frozen=True)
class PaperPolicy:
    """Paper A's: per-user actors emit raw beams, per-user critics choose the phases by their Q heads.

    The users' log densities add up and their values are averaged. Their Q heads are averaged too, so that one
    set of phases results; an element takes the greedy level with probability `greedy`, else a uniform one
    (the paper's wording would make 95 % of the phases random).

    Source: paper A, (30)-(31), Algorithm 1 and Section VI.
    """

    users: int
    antennas: int
    elements: int
    levels: int
    greedy: float = 0.95

    def _modules(self) -> tuple[PaperActor, PaperCritic]:
        return PaperActor(2 * self.antennas), PaperCritic(self.elements, self.levels)

    def _per_user(self, module: Any, params: Any, obs: Array) -> Any:
        """Apply each user's own parameters to that user's row: `obs [..., K, F]`."""
        return jax.vmap(module.apply, in_axes=(0, -2), out_axes=0)(params, obs)

    def init(self, key: Array, obs: Array) -> Params:
        """Each user's own actor and critic."""
        keys = jax.random.split(key, (2, self.users))
        actor, critic = self._modules()
        rows = jnp.moveaxis(obs, -2, 0)
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
