"""Twin delayed DDPG: two critics of which the lower is believed, a slower actor, smoothed targets."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jax import Array

from thzjax.agents.actor_critic import least
from thzjax.agents.base import Agent, check_settings
from thzjax.agents.ddpg import DDPGConfig, DeterministicPolicy, first_critic_loss, gaussian_exploration
from thzjax.agents.off_policy import Method, make_off_policy, sizes
from thzjax.envs.environment import Environment
from thzjax.numeric import standard_normal


@dataclasses.dataclass(frozen=True)
class TD3Config(DDPGConfig):
    """Hyper-parameters.

    Attributes:
      actor_every: critic steps per step of the actor and of the slow copies; divides `gradient_steps`.
      target_noise, target_clip: deviation and bound of the noise on the actions in targets, in [-1, 1]; they matter
        only where gamma > 0.
    """

    actor_every: int = 2
    target_noise: float = 0.2
    target_clip: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self, counts=("actor_every",), not_negative=("target_noise", "target_clip"))

    def policy(self, env: Environment) -> DeterministicPolicy:
        """The policy that fits an environment."""
        return DeterministicPolicy(
            **sizes(env, self),
            critics=2,
            hidden=self.hidden,
            layer_norm=self.layer_norm,
            action_scale=self.action_scale,
        )


def smoothed(action: Array, key: Array, deviation: float | Array, bound: float | Array) -> Array:
    """clip(u + clip(deviation n, -bound, bound), -1, 1) with n standard normal. Source: Fujimoto et al., 2018, (14)."""
    noise = jnp.clip(deviation * standard_normal(key, action.shape, action.dtype), -bound, bound)
    return jnp.clip(action + noise, -1, 1)


def make_td3(
    env: Environment, policy: DeterministicPolicy, config: TD3Config, total_updates: int, axes: tuple[str, ...] = ()
) -> Agent:
    """TD3 for an environment; arguments as in `off_policy.make_off_policy`. The policy has two critics.

    The critics learn y = r + gamma Q'_i(o', u') with u' the slow actor's action, smoothed by clipped noise, and i the
    critic whose priced sum is the lower; the actor ascends the first one's, once in `actor_every` critic steps.

    Source: Fujimoto, van Hoof and Meger, 2018, Algorithm 1.
    """

    def next_measures(weights: Any, targets: Any, next_obs: Array, prices: Array, key: Array) -> Array:
        del weights
        action = smoothed(policy.act(targets, next_obs), key, config.target_noise, config.target_clip)
        return least(policy.predictions(targets, next_obs, action), prices)

    method = Method(
        explore=gaussian_exploration(policy, config.noise, config.final_noise),
        next_measures=next_measures,
        actor_loss=first_critic_loss(policy, config.action_penalty),
        targets=("actor", "critic"),
        actor_every=config.actor_every,
    )
    return make_off_policy(env, policy, method, config, total_updates, axes)
