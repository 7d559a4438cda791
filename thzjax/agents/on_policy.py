"""What the on-policy learners share: their carry, the rollout, the optimiser, and how an update ends."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array, lax

from thzjax.agents import chunks
from thzjax.agents.advantages import generalised_advantages
from thzjax.agents.base import central_moments, check_settings, is_number, mean_over
from thzjax.agents.metrics import settle
from thzjax.agents.normaliser import NormalisedPolicy, observed
from thzjax.agents.policies import Policy, Transition
from thzjax.agents.primal_dual import Duals, PrimalDualConfig, init_duals, lagrangian, priced
from thzjax.envs.environment import Environment

VALUE_WEIGHT = 0.5
"""Weight of the value loss. The critic has an optimiser of its own, so it matters only where gradients are clipped."""


@dataclasses.dataclass(frozen=True)
class OnPolicyConfig:
    """Hyper-parameters of every on-policy learner. Those that are floats may be traced, for sweeps by `vmap`.

    Attributes:
      num_envs, rollout: environments side by side, and steps of each per update.
      env_chunk: at most so many are simulated and differentiated at a time, the others after them (0: all at once);
        each chunk draws its actions by a key of its own.
      actor_rate, critic_rate: Adam learning rates.
      decay_rates: let both fall linearly to 0 over the run.
      gamma: discount.
      entropy: weight of the entropy bonus.
      max_grad_norm: global norm to which gradients are clipped.
      normalise_obs: scale observations by their running moments.
      hidden, log_std: the default policy's network and first deviation.
      primal_dual: the constraint layer.
    """

    num_envs: int = 256
    env_chunk: int = 0
    rollout: int = 1
    actor_rate: float = 2e-3
    critic_rate: float = 2e-3
    decay_rates: bool = True
    gamma: float = 0.0
    entropy: float = 3e-3
    max_grad_norm: float = 0.5
    normalise_obs: bool = False
    hidden: tuple[int, ...] = (64, 64)
    log_std: float = -1.2
    primal_dual: PrimalDualConfig = PrimalDualConfig()

    def __post_init__(self) -> None:
        check_settings(
            self,
            counts=("num_envs", "rollout", "hidden"),
            positive=("actor_rate", "critic_rate", "max_grad_norm"),
            not_negative=("env_chunk",),
            shares=("gamma",),
        )

    @property
    def steps_per_update(self) -> int:
        """Environment steps one update consumes."""
        return self.num_envs * self.rollout


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


def make_optimiser(config: OnPolicyConfig, steps: int) -> optax.GradientTransformation:
    """Adam for actor and critic, each with its own rate and its own clipping of the gradient's norm.

    Args:
      config: hyper-parameters.
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


def with_normaliser(policy: Policy, config: OnPolicyConfig) -> Policy:
    """The policy, on normalised observations where `config.normalise_obs` asks for them."""
    return NormalisedPolicy(policy) if config.normalise_obs else policy


def initial_state(
    env: Environment,
    policy: Policy,
    config: OnPolicyConfig,
    optimiser: optax.GradientTransformation,
    key: Array,
    params: Any,
    axes: tuple[str, ...] = (),
) -> TrainState:
    """Fresh environments, networks, optimiser and multipliers; of `axes`, only moments know."""
    key_env, key_policy, key = jax.random.split(key, 3)
    reset = chunks.over(lambda k: env.reset(k, params), config.env_chunk)
    obs, env_states = reset(jax.random.split(key_env, config.num_envs))
    weights = observed(policy.init(key_policy, jax.tree.map(lambda x: x[0], obs)), obs, 1, axes)
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
    env: Environment, policy: Policy, config: OnPolicyConfig, weights: Any, duals: Duals, start: tuple[Any, Any],
    params: Any, key: Array,
) -> Rollout:  # fmt: skip
    """`config.rollout` steps of every environment in `start` = (states, observations), rewarded by the Lagrangian."""
    num_envs = jax.tree.leaves(start[1])[0].shape[0]
    pieces = chunks.num_pieces(num_envs, config.env_chunk)
    if pieces > 1:
        whole = dataclasses.replace(config, env_chunk=0)

        def piece(x: tuple[Any, Array]) -> Rollout:
            return roll_out(env, policy, whole, weights, duals, x[0], params, x[1])

        return joined(lax.map(piece, (chunks.split(start, pieces), jax.random.split(key, pieces))))

    def step(carry: tuple[Any, Any], key_t: Array, begin_anew: bool = True) -> tuple[tuple[Any, Any], Any]:
        env_states, obs_t = carry
        key_action, key_env = jax.random.split(key_t)
        action, log_prob = policy.sample(weights, obs_t, key_action)
        if begin_anew:
            keys = jax.random.split(key_env, num_envs)
            result = jax.vmap(env.step, in_axes=(0, 0, 0, None))(keys, env_states, action, params)
        else:
            result = jax.vmap(env.advance, in_axes=(0, 0, None))(env_states, action, params)
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

    def episode(carry: tuple[Any, Any], keys: Array) -> tuple[tuple[Any, Any], Any]:
        _, seen = lax.scan(lambda c, k: step(c, k, begin_anew=False), carry, keys)
        keys = jax.random.split(jax.random.split(keys[-1])[1], num_envs)
        obs, env_states = jax.vmap(env.reset, in_axes=(0, None))(keys, params)
        return (env_states, obs), seen

    keys = jax.random.split(key, config.rollout)
    if env.horizon == 1 or env.stop_when_satisfied or config.rollout % env.horizon:
        (env_states, obs), (batch, info) = lax.scan(step, start, keys)
        return Rollout(env_states, obs, batch, info)
    # Whole episodes, which all end together: one drop for each instead of one at every step, of which all but the last
    # were thrown away.
    (env_states, obs), seen = lax.scan(episode, start, keys.reshape(-1, env.horizon))
    batch, info = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), seen)
    return Rollout(env_states, obs, batch, info)


def joined(rolled: Rollout) -> Rollout:
    """Rollouts of pieces of the environments, `[P, E/P, ...]` and `[P, T, E/P, ...]`, as one."""
    ends = chunks.join((rolled.env_states, rolled.obs))
    return Rollout(*ends, *chunks.join((rolled.batch, rolled.info), 1))


def advantages(policy: Policy, config: Any, weights: Any, batch: Transition) -> Array:
    """Generalised advantages of a rollout, `[T, E]`, with `config.gamma` and `config.lam`.

    Without a discount the next value is not asked for.
    """
    myopic = is_number(config.gamma) and config.gamma == 0
    value_next = jnp.zeros_like(batch.value) if myopic else policy.value(weights, batch.next_obs)
    return generalised_advantages(
        batch.reward, batch.value, value_next, batch.terminated, batch.truncated, config.gamma, config.lam
    )


def standardised(advantage: Array, axes: tuple[str, ...] = ()) -> Array:
    """Zero mean and unit deviation over the whole batch: step sizes then mean the same on every system.

    The moments are those over the named axes too: by their own, workers' gradients were up to 41 % off.
    """
    mean, var = central_moments(advantage, tuple(range(advantage.ndim)), axes)
    return (advantage - mean) / (jnp.sqrt(var) + 1e-8)


def flattened(tree: Any) -> Any:
    """Leaves `[T, E, ...]` as `[T*E, ...]`."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)


def finish_update(
    state: TrainState,
    config: OnPolicyConfig,
    rolled: Rollout,
    weights: Any,
    opt_state: Any,
    key: Array,
    losses: dict[str, Array],
    axes: tuple[str, ...] = (),
) -> tuple[TrainState, dict[str, Array]]:
    """Move the multipliers on the batch means, and gather the next state and the metrics, over all named axes."""
    done = rolled.batch.terminated | rolled.batch.truncated
    duals, metrics = settle(state.duals, rolled.info, config.primal_dual, done, axes)
    state = state.replace(
        # Last, as every log density of this update was taken under the old moments.
        params=observed(weights, rolled.batch.obs, 2, axes),
        optimiser=opt_state,
        duals=duals,
        env_states=rolled.env_states,
        obs=rolled.obs,
        key=key,
        updates=state.updates + 1,
    )
    return state, mean_over(losses, axes) | metrics
