"""Deep deterministic policy gradient: paper B's learner.

One critic learns what an action is worth; the actor climbs it. Actions are tried with Gaussian noise about the actor's.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from thzjax.agents.actor_critic import ActorCritic
from thzjax.agents.base import Agent, check_settings
from thzjax.agents.off_policy import Method, OffPolicyConfig, make_off_policy, sizes
from thzjax.envs.environment import Environment
from thzjax.numeric import standard_normal


@dataclasses.dataclass(frozen=True)
class DDPGConfig(OffPolicyConfig):
    """Hyper-parameters.

    Attributes:
      noise, final_noise: deviation of the exploration, falling linearly over the run, for actions in [-1, 1]. The
        multipliers weigh what the *tried* actions cost, so the last deviation should be small.
    """

    noise: float = 0.3
    final_noise: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self, not_negative=("noise", "final_noise"))

    def policy(self, env: Environment) -> "DeterministicPolicy":
        """The policy that fits an environment."""
        return DeterministicPolicy(
            **sizes(env, self),
            hidden=self.hidden,
            layer_norm=self.layer_norm,
            action_scale=self.action_scale,
        )


@dataclasses.dataclass(frozen=True)
class DeterministicPolicy(ActorCritic):
    """One action for an observation: u = tanh(network)."""

    def act(self, params: Any, obs: Array) -> Array:
        """u in (-1, 1), `[..., F]` -> `[..., A]`."""
        return jnp.tanh(self.outputs(params, obs))

    def mode(self, params: Any, obs: Array) -> Array:
        """The action used after training, `[..., F]` -> `[..., A]`."""
        return self.action_scale * self.act(params, obs)


def gaussian_exploration(
    policy: DeterministicPolicy, noise: float | Array, final_noise: float | Array
) -> Callable[[Any, Array, Array, Array], Array]:
    """The actor's action and Gaussian noise, clipped to [-1, 1]; the deviation goes from the first to the last."""

    def explore(weights: Any, obs: Array, key: Array, progress: Array) -> Array:
        action = policy.act(weights, obs)
        deviation = noise + (final_noise - noise) * progress
        return jnp.clip(action + deviation * standard_normal(key, action.shape, action.dtype), -1, 1)

    return explore


def first_critic_loss(
    policy: DeterministicPolicy, action_penalty: float | Array
) -> Callable[..., tuple[Array, dict[str, Array]]]:
    """-mean of the first critic's priced opinion of pi(o), and the penalty: what the actor descends."""

    def actor_loss(weights: Any, obs: Array, prices: Array, key: Array) -> tuple[Array, dict[str, Array]]:
        del key
        raw = policy.outputs(weights, obs)
        opinion = policy.predictions(weights, obs, jnp.tanh(raw))[0] @ prices
        return action_penalty * jnp.mean(raw**2) - jnp.mean(opinion), {}

    return actor_loss


def make_ddpg(
    env: Environment, policy: DeterministicPolicy, config: DDPGConfig, total_updates: int, axes: tuple[str, ...] = ()
) -> Agent:
    """DDPG for an environment; arguments as in `off_policy.make_off_policy`.

    The critic learns y = r + gamma Q'(o', pi'(o')) with slow copies Q' and pi' of critic and actor, where r is the
    weighted rates and every slack and so is Q; the actor ascends the priced sum of Q(o, pi(o)).

    Source: Lillicrap et al., 2016, Algorithm 1, with Gaussian noise for the Ornstein-Uhlenbeck process: an episode is
    one channel, on which correlated noise has nothing to carry through. Paper B's learner.
    """

    def next_measures(weights: Any, targets: Any, next_obs: Array, prices: Array, key: Array) -> Array:
        del weights, prices, key
        return policy.predictions(targets, next_obs, policy.act(targets, next_obs))[0]

    method = Method(
        explore=gaussian_exploration(policy, config.noise, config.final_noise),
        next_measures=next_measures,
        actor_loss=first_critic_loss(policy, config.action_penalty),
        targets=("actor", "critic"),
    )
    return make_off_policy(env, policy, method, config, total_updates, axes)
