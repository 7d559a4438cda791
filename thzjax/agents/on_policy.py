"""What the on-policy learners share: their carry, the rollout, the optimiser, and how an update ends."""

import dataclasses
import math
import numbers
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array, lax

from thzjax.agents.advantages import generalised_advantages
from thzjax.agents.policies import Params, Policy, Transition
from thzjax.agents.primal_dual import Duals, init_duals, lagrangian, priced, update_duals
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.systems.base import satisfied

VALUE_WEIGHT = 0.5
"""Weight of the value loss. The critic has an optimiser of its own, so it matters only where gradients are clipped."""


@struct.dataclass
class TrainState:
    """The whole carry: saving it and loading it continues a run bit for bit.

    Attributes:
      params: {"actor": .., "critic": ..}, and "moments" where observations are normalised.
      optimiser: state of the optimiser.
      duals: multipliers.
      env_states, obs: of every environment, `[E, ...]`.
      key: random key.
      updates: updates done, int32.
    """

    params: Any
    optimiser: Any
    duals: Duals
    env_states: Any
    obs: Any
    key: Array
    updates: Array


class Rollout(NamedTuple):
    """Steps of every environment: where they end (`[E, ...]`), and what was seen on the way (`[T, E, ...]`)."""

    env_states: Any
    obs: Any
    batch: Transition
    info: dict[str, Any]


@struct.dataclass
class Moments:
    """Running mean and variance of observations; leaves like one observation.

    Attributes:
      mean, var: of all that was seen; 0 and 1 before anything was.
      count: how many were seen, in floating point, as gradients are taken past it.
    """

    mean: Any
    var: Any
    count: Array


def add_moments(moments: Moments, obs: Any, axes: int) -> Moments:
    """Moments with a batch added, `obs [..., *observation]` with `axes` leading axes.

    With n seen before, b in the batch and the difference d of the means: mean += d b/(n + b), and
    var = (n var + b var_b + d^2 n b/(n + b))/(n + b). Source: Chan, Golub and LeVeque, 1983.
    """
    num = jnp.asarray(math.prod(jax.tree.leaves(obs)[0].shape[:axes]), moments.count.dtype)
    total = moments.count + num
    lead = tuple(range(axes))

    def merged(mean: Array, var: Array, x: Array) -> tuple[Array, Array]:
        seen, added = (moments.count / total).astype(x.dtype), (num / total).astype(x.dtype)
        change = jnp.mean(x, axis=lead) - mean
        return mean + change * added, seen * var + added * jnp.var(x, axis=lead) + change**2 * seen * added

    pairs = jax.tree.map(merged, moments.mean, moments.var, obs)
    mean, var = jax.tree.transpose(jax.tree.structure(obs), jax.tree.structure((0, 0)), pairs)
    return Moments(mean, var, total)


@dataclasses.dataclass(frozen=True)
class NormalisedPolicy:
    """A policy that sees (obs - mean)/deviation, clipped to `bound`; its `params` carry the "moments".

    Attributes:
      policy: sees normalised observations.
      bound: of a normalised number, so that one that hardly ever moves cannot explode when it does.
    """

    policy: Policy
    bound: float = 10.0

    def _seen(self, params: Params, obs: Any) -> Any:
        moments = lax.stop_gradient(params["moments"])

        def one(mean: Array, var: Array, x: Array) -> Array:
            mean, var = jnp.broadcast_to(mean, x.shape), jnp.broadcast_to(var, x.shape)
            return jnp.clip((x - mean) / jnp.sqrt(var + 1e-8), -self.bound, self.bound)

        return jax.tree.map(one, moments.mean, moments.var, obs)

    def init(self, key: Array, obs: Any) -> Params:
        """The policy's parameters, and the moments before anything was seen."""
        zeros, ones = jax.tree.map(jnp.zeros_like, obs), jax.tree.map(jnp.ones_like, obs)
        return self.policy.init(key, obs) | {"moments": Moments(zeros, ones, jnp.zeros(()))}

    def value(self, params: Params, obs: Any) -> Array:
        """State value, `[...]`."""
        return self.policy.value(params, self._seen(params, obs))

    def sample(self, params: Params, obs: Any, key: Array) -> tuple[Any, Array]:
        """A random action and its log density."""
        return self.policy.sample(params, self._seen(params, obs), key)

    def log_prob_entropy(self, params: Params, obs: Any, action: Any) -> tuple[Array, Array]:
        """Log density of an action, and the policy's entropy, `[...]`."""
        return self.policy.log_prob_entropy(params, self._seen(params, obs), action)

    def mode(self, params: Params, obs: Any) -> Any:
        """The action used after training."""
        return self.policy.mode(params, self._seen(params, obs))

    def auxiliary_loss(self, params: Params, batch: Transition, gamma: float) -> Array:
        """The policy's own extra loss."""
        seen = batch._replace(obs=self._seen(params, batch.obs), next_obs=self._seen(params, batch.next_obs))
        return self.policy.auxiliary_loss(params, seen, gamma)


def observed(weights: Params, obs: Any, axes: int) -> Params:
    """The parameters once their moments, if they carry any, have seen a batch with `axes` leading axes."""
    if "moments" not in weights:
        return weights
    return weights | {"moments": add_moments(weights["moments"], obs, axes)}


def is_number(value: Any) -> bool:
    """A number that is known now. Traced ones, as in a sweep of rates by `vmap`, cannot be checked."""
    return isinstance(value, numbers.Real)


def check_settings(config: Any, counts: tuple[str, ...], positive: tuple[str, ...], shares: tuple[str, ...]) -> None:
    """Refuse counts below 1, rates and widths that are not above 0, and discounts outside 0..1.

    Raises:
      ConfigError: naming the setting and its value.
    """
    for name in counts:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name}={getattr(config, name)} must be at least 1")
    for name in positive:
        if is_number(getattr(config, name)) and not getattr(config, name) > 0:
            raise ConfigError(f"{name}={getattr(config, name):g} must be greater than 0")
    for name in shares:
        if is_number(getattr(config, name)) and not 0 <= getattr(config, name) <= 1:
            raise ConfigError(f"{name}={getattr(config, name):g} must lie in 0..1")


def make_optimiser(config: Any, steps: int) -> optax.GradientTransformation:
    """Adam for actor and critic, each with its own rate and its own clipping of the gradient's norm.

    Args:
      config: has `actor_rate`, `critic_rate`, `decay_rates`, `max_grad_norm`, `normalise_obs`.
      steps: optimiser steps of the whole run, over which the rates fall to 0.

    Not wrapped in `optax.apply_if_finite`: its branch makes XLA fuse and round otherwise, and runs that never meet a
    NaN come out with other bits (all four that were compared: both PPO gradients, both configurations).
    """

    def adam(rate: float) -> optax.GradientTransformation:
        schedule = optax.linear_schedule(rate, 0.0, steps) if config.decay_rates else rate
        return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.adam(schedule, eps=1e-5))

    # Labels by the top-level key: the two networks share no parameter.
    parts = {"actor": adam(config.actor_rate), "critic": adam(config.critic_rate)}
    if config.normalise_obs:
        parts["moments"] = optax.set_to_zero()
    return optax.partition(parts, {name: name for name in parts})


def with_normaliser(policy: Policy, config: Any) -> Policy:
    """The policy, on normalised observations where `config.normalise_obs` asks for them."""
    return NormalisedPolicy(policy) if config.normalise_obs else policy


def initial_state(
    env: Environment, policy: Policy, config: Any, optimiser: optax.GradientTransformation, key: Array, params: Any
) -> TrainState:
    """Fresh environments, networks, optimiser and multipliers."""
    key_env, key_policy, key = jax.random.split(key, 3)
    obs, env_states = jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key_env, config.num_envs), params)
    weights = observed(policy.init(key_policy, jax.tree.map(lambda x: x[0], obs)), obs, axes=1)
    return TrainState(
        params=weights,
        optimiser=optimiser.init(weights),
        duals=init_duals(env.system.spec.users, env.system.constraints, config.primal_dual),
        env_states=env_states,
        obs=obs,
        key=key,
        updates=jnp.zeros((), jnp.int32),
    )


def roll_out(
    env: Environment, policy: Policy, config: Any, weights: Any, duals: Duals, start: tuple[Any, Any], params: Any,
    key: Array,
) -> Rollout:  # fmt: skip
    """`config.rollout` steps of every environment in `start` = (states, observations), rewarded by the Lagrangian."""
    num_envs = jax.tree.leaves(start[1])[0].shape[0]

    def step(carry: tuple[Any, Any], key_t: Array) -> tuple[tuple[Any, Any], tuple[Transition, dict[str, Any]]]:
        env_states, obs_t = carry
        key_action, key_env = jax.random.split(key_t)
        action, log_prob = policy.sample(weights, obs_t, key_action)
        keys = jax.random.split(key_env, num_envs)
        result = jax.vmap(env.step, in_axes=(0, 0, 0, None))(keys, env_states, action, params)
        reward = lagrangian(duals, result.info["rates"], priced(result.info["slack"], config.primal_dual))
        transition = Transition(
            obs=obs_t,
            next_obs=result.info["final_observation"],
            action=action,
            log_prob=log_prob,
            value=policy.value(weights, obs_t),
            reward=reward,
            terminated=result.terminated,
            truncated=result.truncated,
        )
        info = {name: result.info[name] for name in ("rates", "slack", "episode_return")}
        return (result.state, result.obs), (transition, info)

    (env_states, obs), (batch, info) = lax.scan(step, start, jax.random.split(key, config.rollout))
    return Rollout(env_states, obs, batch, info)


def advantages(policy: Policy, config: Any, weights: Any, batch: Transition) -> Array:
    """Generalised advantages of a rollout, `[T, E]`; without a discount the next value is not asked for."""
    myopic = is_number(config.gamma) and config.gamma == 0
    value_next = jnp.zeros_like(batch.value) if myopic else policy.value(weights, batch.next_obs)
    return generalised_advantages(
        batch.reward, batch.value, value_next, batch.terminated, batch.truncated, config.gamma, config.lam
    )


def standardised(advantage: Array) -> Array:
    """Zero mean and unit deviation over the whole batch: step sizes then mean the same on every system."""
    return (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)


def flattened(tree: Any) -> Any:
    """Leaves `[T, E, ...]` as `[T*E, ...]`."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)


def finish_update(
    state: TrainState, config: Any, rolled: Rollout, weights: Any, opt_state: Any, key: Array, losses: dict[str, Array]
) -> tuple[TrainState, dict[str, Array]]:
    """Move the multipliers on the batch means, and gather the next state and the metrics."""
    mean_rates = jnp.mean(rolled.info["rates"], axis=(0, 1))
    mean_slack = {name: jnp.mean(value) for name, value in rolled.info["slack"].items()}
    mean_priced = jax.tree.map(jnp.mean, priced(rolled.info["slack"], config.primal_dual))
    duals = update_duals(state.duals, mean_rates, mean_priced, config.primal_dual)
    state = state.replace(
        # Last, as every log density of this update was taken under the old moments.
        params=observed(weights, rolled.batch.obs, axes=2),
        optimiser=opt_state,
        duals=duals,
        env_states=rolled.env_states,
        obs=rolled.obs,
        key=key,
        updates=state.updates + 1,
    )
    return state, losses | _batch_metrics(rolled.info, rolled.batch, duals, mean_rates, mean_slack)


def _batch_metrics(
    info: dict[str, Any], batch: Transition, duals: Duals, mean_rates: Array, mean_slack: dict[str, Array]
) -> dict[str, Array]:
    done = batch.terminated | batch.truncated
    finished = jnp.maximum(jnp.sum(done), 1).astype(mean_rates.dtype)
    held = satisfied(info["slack"])
    metrics = {
        "sum_rate": jnp.sum(mean_rates),
        "episodes": jnp.sum(done),
        "episode_return": jnp.sum(jnp.where(done, info["episode_return"], 0)) / finished,
        "violation_rate": 1 - jnp.mean(held.astype(mean_rates.dtype)),
        "x_sum": jnp.sum(duals.x),
        "lambda_mean": jnp.mean(duals.lam),
    }
    metrics |= {f"slack/{name}": value for name, value in mean_slack.items()}
    return metrics | {f"mu/{name}": value for name, value in duals.mu.items()}
