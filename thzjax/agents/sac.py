"""Soft actor-critic: a random policy that is paid for its entropy, at a price that keeps the entropy where it is asked.

A run ends with the policy's centre, `mode`; the entropy only decides how actions are tried.
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array, lax

from thzjax.agents.actor_critic import ActorCritic, least
from thzjax.agents.base import Agent, check_settings
from thzjax.agents.off_policy import Method, OffPolicyConfig, make_off_policy, sizes
from thzjax.envs.environment import Environment

LOG_STD = (-5.0, 2.0)
"""Bounds of the log deviation before the tanh."""


@dataclasses.dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """Hyper-parameters.

    Attributes:
      temperature: price of entropy at the start, in units of the normalised reward.
      entropy_per_number: the entropy asked for is -entropy_per_number A [nat], for actions in [-1, 1]^A. At 1 a
        Gaussian number has deviation 0.09, at 2 it has 0.03.
    """

    temperature: float = 0.1
    entropy_per_number: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self, positive=("temperature",))

    def policy(self, env: Environment) -> "TanhGaussianPolicy":
        """The policy that fits an environment."""
        return TanhGaussianPolicy(
            **sizes(env, self, bonus=True),
            critics=2,
            hidden=self.hidden,
            layer_norm=self.layer_norm,
            action_scale=self.action_scale,
            temperature=self.temperature,
        )


@dataclasses.dataclass(frozen=True)
class TanhGaussianPolicy(ActorCritic):
    """u = tanh(m + s n), n standard normal, with m and log s from one network.

    Attributes:
      temperature: price of entropy at the start; learned beside the network as "log_temperature".
    """

    temperature: float = 0.1

    outputs_per_number: ClassVar[int] = 2

    def init(self, key: Array, obs: Array) -> dict[str, Any]:
        """Parameters for observations like `obs [F]`."""
        params = super().init(key, obs)
        log_temperature = jnp.log(jnp.asarray(self.temperature, dtype=float))
        return params | {"actor": params["actor"] | {"log_temperature": log_temperature}}

    def _split(self, params: Any, obs: Array) -> tuple[Array, Array]:
        mean, x = jnp.split(self.outputs(params, obs), 2, axis=-1)
        low, high = LOG_STD
        return mean, low + (high - low) * (jnp.tanh(x) + 1) / 2

    def centre(self, params: Any, obs: Array) -> Array:
        """m, `[..., F]` -> `[..., A]`."""
        return self._split(params, obs)[0]

    def sample(self, params: Any, obs: Array, key: Array) -> tuple[Array, Array]:
        """A random u `[..., A]` and its log density `[...]`."""
        import distrax  # 1.3 s to import, so only where a learner runs

        mean, log_std = self._split(params, obs)
        gaussian = distrax.MultivariateNormalDiag(mean, jnp.exp(log_std))
        return distrax.Transformed(gaussian, distrax.Block(distrax.Tanh(), 1)).sample_and_log_prob(seed=key)

    def mode(self, params: Any, obs: Array) -> Array:
        """The action used after training, `[..., F]` -> `[..., A]`: the squashed centre."""
        return self.action_scale * jnp.tanh(self.centre(params, obs))


def make_sac(
    env: Environment, policy: TanhGaussianPolicy, config: SACConfig, total_updates: int, axes: tuple[str, ...] = ()
) -> Agent:
    """SAC for an environment; arguments as in `off_policy.make_off_policy`. The policy has two critics.

    With the temperature alpha, the critics learn y = r + gamma (Q'_i(o', u') - alpha log pi(u'|o')), u' drawn from the
    present policy and i the critic whose priced sum is the lower; the entropy yet to come is a prediction of its own,
    beside rates and slack. The actor descends E[alpha log pi(u|o) - min_i Q_i(o, u)]; log alpha descends
    -log alpha (E log pi + H), which raises the price while the entropy is below H = -entropy_per_number A.

    Source: Haarnoja et al., 2018 ("Soft actor-critic algorithms and applications"), Algorithm 1.
    """
    wanted = -config.entropy_per_number * policy.size

    def explore(weights: Any, obs: Array, key: Array, progress: Array) -> Array:
        del progress
        return policy.sample(weights, obs, key)[0]

    def next_measures(weights: Any, targets: Any, next_obs: Array, prices: Array, key: Array) -> Array:
        action, log_prob = policy.sample(weights, next_obs, key)
        temperature = jnp.exp(weights["actor"]["log_temperature"])
        ahead = least(policy.predictions(targets, next_obs, action), prices)
        return ahead.at[:, -1].add(-temperature * log_prob)

    def actor_loss(weights: Any, obs: Array, prices: Array, key: Array) -> tuple[Array, dict[str, Array]]:
        action, log_prob = policy.sample(weights, obs, key)
        log_temperature = weights["actor"]["log_temperature"]
        temperature = jnp.exp(lax.stop_gradient(log_temperature))
        believed = jnp.min(policy.predictions(weights, obs, action) @ prices, axis=0)
        entropy = -jnp.mean(log_prob)
        loss = jnp.mean(temperature * log_prob - believed)
        loss = loss + config.action_penalty * jnp.mean(policy.centre(weights, obs) ** 2)
        price_loss = log_temperature * (lax.stop_gradient(entropy) - wanted)
        return loss + price_loss, {"entropy": entropy, "temperature": temperature}

    method = Method(explore, next_measures, actor_loss, targets=("critic",), bonus=True)
    return make_off_policy(env, policy, method, config, total_updates, axes)
