"""What the off-policy learners share: what the replay holds, and one update; `measures` has what critics predict."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array, lax

from thzjax.agents import chunks, replay
from thzjax.agents.actor_critic import ActorCritic
from thzjax.agents.base import Agent, check_settings, descend, is_number, mean_over
from thzjax.agents.measures import measures_of, prices_of, td_target, unit_of
from thzjax.agents.metrics import settle
from thzjax.agents.normaliser import Moments, add_moments, init_moments, observed
from thzjax.agents.primal_dual import Duals, PrimalDualConfig, init_duals
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError

MAX_SKIPPED = 20
"""Gradients that are not finite and skipped in a row, before one is let through for the run to stop on."""


@dataclasses.dataclass(frozen=True)
class OffPolicyConfig:
    """Hyper-parameters of every off-policy learner. Those that are floats may be traced, for sweeps by `vmap`.

    Attributes:
      num_envs, rollout: environments side by side, and steps of each per update.
      env_chunk: at most so many are simulated at a time, the others after them (0: all at once).
      capacity: transitions in the replay.
      batch, gradient_steps: transitions in a minibatch, and critic steps per update.
      warmup: environment steps with uniform actions, before the first gradient step.
      actor_rate, critic_rate: Adam learning rates.
      decay_rates: let both fall linearly to 0 over the run.
      tau: share of the way that the target networks move to the learned ones per actor step.
      gamma: discount, in [0, 1). With the number 0 there are no target networks and no next observations at all.
      hidden, layer_norm: hidden layers (ReLU) of actor and critics; the widths are paper B's.
      action_scale: actions lie in [-action_scale, action_scale].
      action_penalty: weight of the mean square of the actor's numbers before the tanh, in the normalised unit of the
        reward. Without any, the tanh saturates wherever a longer action costs nothing; a large one keeps the actor near
        a zero action that is sound, where critics know what they say.
      normalise_reward: give the critics weighted rates and slack of zero mean and unit deviation.
      primal_dual: the constraint layer.
    """

    num_envs: int = 256
    env_chunk: int = 0
    rollout: int = 1
    capacity: int = 100_000
    batch: int = 256
    gradient_steps: int = 8
    warmup: int = 4096
    actor_rate: float = 1e-3
    critic_rate: float = 1e-3
    decay_rates: bool = True
    tau: float = 0.005
    gamma: float = 0.0
    hidden: tuple[int, ...] = (64, 64)
    layer_norm: bool = False
    action_scale: float = 2.0
    action_penalty: float = 0.03
    normalise_reward: bool = True
    primal_dual: PrimalDualConfig = PrimalDualConfig()

    def __post_init__(self) -> None:
        check_settings(
            self,
            counts=("num_envs", "rollout", "batch", "gradient_steps", "hidden"),
            not_negative=("env_chunk", "warmup", "action_penalty"),
            positive=("actor_rate", "critic_rate", "action_scale"),
            shares_above_0=("tau",),
            shares_below_1=("gamma",),
        )
        if self.capacity < self.steps_per_update:
            raise ConfigError(f"capacity={self.capacity} does not hold num_envs*rollout={self.steps_per_update}")

    @property
    def steps_per_update(self) -> int:
        """Environment steps one update consumes."""
        return self.num_envs * self.rollout

    @property
    def bootstraps(self) -> bool:
        """Whether anything beyond the next reward can count."""
        return not (is_number(self.gamma) and self.gamma == 0)


def soft_update(targets: Any, params: Any, tau: float | Array) -> Any:
    """targets <- (1 - tau) targets + tau params, leaf by leaf. Source: Lillicrap et al., 2016, Algorithm 1."""
    return jax.tree.map(lambda t, p: (1 - tau) * t + tau * p, targets, params)


# --- the learner


class Experience(NamedTuple):
    """One step as the replay holds it: observation, u, what was measured, and what followed (before any reset)."""

    obs: Array
    action: Array
    rates: Array
    slack: dict[str, Array]
    next_obs: Array | None
    terminated: Array


class Method(NamedTuple):
    """What tells one off-policy learner from another. `weights` is the policy's `params`.

    Prices are in normalised units and have length 1: w_c s_c/|w s|, so that the size of the rates does not matter to
    an actor.

    Attributes:
      explore: (weights, obs, key, progress in [0, 1]) -> u, how actions are tried.
      next_measures: (weights, targets, next_obs, prices, key) -> `[B, C]`, what the observation after a step is
        predicted to bring; `targets` is `weights` with the slow networks in their places.
      actor_loss: (weights, obs, prices, key) -> (loss, metrics), descended in `weights["actor"]`.
      targets: names of the networks that have slow copies.
      actor_every: critic steps per actor step; divides `gradient_steps`.
      bonus: one more measure, 0 when measured and of price 1, that `next_measures` may add to.
    """

    explore: Callable[[Any, Array, Array, Array], Array]
    next_measures: Callable[[Any, Any, Array, Array, Array], Array]
    actor_loss: Callable[[Any, Array, Array, Array], tuple[Array, dict[str, Array]]]
    targets: tuple[str, ...]
    actor_every: int = 1
    bonus: bool = False


class Learner(NamedTuple):
    """What a gradient step changes: fields of `OffPolicyState`."""

    params: Any
    targets: Any
    optimiser: Any


@struct.dataclass
class OffPolicyState:
    """The whole carry: saving it and loading it continues a run bit for bit.

    Attributes:
      params: what the policy's `mode` needs.
      targets: slow copies of some of its networks, by name.
      optimiser: of "actor" and "critic".
      measures: moments of what was measured.
      replay: what was tried and measured.
      duals, env_states, obs, key, updates: as in every learner.
    """

    params: Any
    targets: Any
    optimiser: Any
    measures: Moments
    replay: replay.Replay | None
    duals: Duals
    env_states: Any
    obs: Any
    key: Array
    updates: Array


class Rollout(NamedTuple):
    """What `rollout` steps give; leaves of `batch`, `done` and `info` are `[T, E, ...]`."""

    env_states: Any
    obs: Any
    batch: Experience
    done: Array
    info: dict[str, Any]


def sizes(env: Environment, config: OffPolicyConfig, bonus: bool = False) -> dict[str, int]:
    """The sizes that a policy takes from an environment, as keyword arguments of `ActorCritic`.

    Raises:
      ConfigError: the environment's action is no flat vector.
    """
    shapes = [jnp.shape(x) for x in jax.tree.leaves(env.actions.zeros(env.system.spec))]
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise ConfigError(f"off-policy learners need an action of one flat vector, the environment has shapes {shapes}")
    measures = 1 + len(env.system.constraints)
    return {"size": shapes[0][0], "measures": measures + (bonus and config.bootstraps)}


def make_off_policy(
    env: Environment, policy: ActorCritic, method: Method, config: OffPolicyConfig, total_updates: int,
    axes: tuple[str, ...] = (),
) -> Agent:  # fmt: skip
    """An off-policy learner: each update tries actions, stores what came of them, and learns from the replay.

    Args:
      env: the environment; its system names the constraints, its observation is a flat vector.
      policy: fits the environment; `config.policy(env)` makes one.
      method: what is particular to the learner.
      config: hyper-parameters.
      total_updates: length of the run, over which the learning rates fall.
      axes: named axes that a batch is spread over (`thzjax.parallel`).

    Raises:
      ConfigError: the policy does not fit the environment, or the gradient steps do not divide.
    """
    system = env.system
    fit = sizes(env, config, method.bonus)
    if fit != {"size": policy.size, "measures": policy.measures}:
        raise ConfigError(f"the policy has size={policy.size}, measures={policy.measures}; the environment needs {fit}")
    if config.gradient_steps % method.actor_every:
        raise ConfigError(
            f"gradient_steps={config.gradient_steps} is not divisible by actor_every={method.actor_every}"
        )
    optimiser = _optimisers(method, config, total_updates)
    learn = _learning(policy, method, config, optimiser, axes)
    collect = _collecting(env, policy, method, config, total_updates)

    def init(key: Array, params: Any) -> OffPolicyState:
        key_env, key_policy, key = jax.random.split(key, 3)
        reset = chunks.over(lambda k: env.reset(k, params), config.env_chunk)
        obs, env_states = reset(jax.random.split(key_env, config.num_envs))
        weights = policy.init(key_policy, obs[0])
        state = OffPolicyState(
            params=weights,
            targets={name: weights[name] for name in method.targets} if config.bootstraps else {},
            optimiser={name: optimiser[name].init(weights[name]) for name in optimiser},
            measures=init_moments(jnp.zeros((1 + len(system.constraints),))),
            replay=None,
            duals=init_duals(system.spec.users, system.constraints, config.primal_dual),
            env_states=env_states,
            obs=obs,
            key=key,
            updates=jnp.zeros((), jnp.int32),
        )
        batch = jax.eval_shape(collect, state, params, key).batch
        row = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), batch)
        return state.replace(replay=replay.init(row, config.capacity))

    def update(state: OffPolicyState, params: Any) -> tuple[OffPolicyState, dict[str, Array]]:
        key_rollout, key_learn, key = jax.random.split(state.key, 3)
        seen = collect(state, params, key_rollout)
        batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), seen.batch)
        buffer = replay.add(state.replay, batch)
        fresh = measures_of(state.duals, batch.rates, batch.slack, config.primal_dual)
        measures = add_moments(state.measures, fresh, over=axes)
        weights = observed(state.params, batch.obs, 1, axes)

        work = (Learner(weights, state.targets, state.optimiser), buffer, measures, state.duals, key_learn)
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(learn, *work)[1])
        ready = (state.updates + 1) * config.steps_per_update >= config.warmup
        learner, losses = lax.cond(ready, learn, lambda learner, *_: (learner, nothing), *work)

        duals, metrics = settle(state.duals, seen.info, config.primal_dual, seen.done, axes)
        state = state.replace(
            **learner._asdict(),
            measures=measures,
            replay=buffer,
            duals=duals,
            env_states=seen.env_states,
            obs=seen.obs,
            key=key,
            updates=state.updates + 1,
        )
        return state, losses | metrics

    return Agent(init, update, policy, config.steps_per_update)


def _collecting(
    env: Environment, policy: ActorCritic, method: Method, config: OffPolicyConfig, total_updates: int
) -> Callable[[OffPolicyState, Any, Array], Rollout]:
    """`rollout` steps of every environment, with uniform actions as long as the warm-up lasts."""

    def collect(state: OffPolicyState, params: Any, key: Array) -> Rollout:
        progress = state.updates.astype(state.duals.x.dtype) / total_updates

        def step(carry: tuple[Any, Array], x: tuple[Array, Array]) -> tuple[tuple[Any, Array], Any]:
            (env_states, obs_t), (key_t, t) = carry, x
            key_uniform, key_explore, key_env = jax.random.split(key_t, 3)
            uniform = jax.random.uniform(key_uniform, (config.num_envs, policy.size), obs_t.dtype, -1, 1)
            tried = method.explore(state.params, obs_t, key_explore, progress)
            warm = (state.updates * config.rollout + t) * config.num_envs < config.warmup
            action = jnp.where(warm, uniform, tried)
            keys = jax.random.split(key_env, config.num_envs)
            walk = chunks.over(lambda k, s, a: env.step(k, s, a, params), config.env_chunk)
            result = walk(keys, env_states, policy.action_scale * action)
            info = {name: result.info[name] for name in ("rates", "slack", "episode_return")}
            experience = Experience(
                obs=obs_t,
                action=action,
                rates=info["rates"],
                slack=info["slack"],
                next_obs=result.info["final_observation"] if config.bootstraps else None,
                terminated=result.terminated,
            )
            return (result.state, result.obs), (experience, result.terminated | result.truncated, info)

        steps = (jax.random.split(key, config.rollout), jnp.arange(config.rollout, dtype=jnp.int32))
        (env_states, obs), (batch, done, info) = lax.scan(step, (state.env_states, state.obs), steps)
        return Rollout(env_states, obs, batch, done, info)

    return collect


def _optimisers(method: Method, config: OffPolicyConfig, total_updates: int) -> dict[str, optax.GradientTransformation]:
    """Adam for the actor and for the critics; a step whose gradient is not finite is not taken."""

    def adam(rate: float | Array, steps: int) -> optax.GradientTransformation:
        # An array, so that a rate has one precision, traced or not: optax divides int32 counts, which gives float32.
        rate = jnp.asarray(rate, dtype=float)
        schedule = optax.linear_schedule(rate, 0.0, total_updates * steps) if config.decay_rates else rate
        return optax.apply_if_finite(optax.adam(schedule), MAX_SKIPPED)

    return {
        "actor": adam(config.actor_rate, config.gradient_steps // method.actor_every),
        "critic": adam(config.critic_rate, config.gradient_steps),
    }


def _learning(
    policy: ActorCritic, method: Method, config: OffPolicyConfig, optimiser: Any, axes: tuple[str, ...]
) -> Callable[..., Any]:
    """The gradient steps of one update: (learner, replay, moments, duals, key) -> (learner, metrics)."""

    def descended(learner: Learner, name: str, loss: Callable[[Any], Any]) -> tuple[Learner, dict[str, Array]]:
        """One step of the network `name`, on `loss` of all weights."""
        params = learner.params
        (value, metrics), gradient = jax.value_and_grad(lambda x: loss(params | {name: x}), has_aux=True)(params[name])
        network, opt_state = descend(optimiser[name], gradient, learner.optimiser[name], params[name], axes)
        learner = learner._replace(params=params | {name: network}, optimiser=learner.optimiser | {name: opt_state})
        return learner, metrics | {f"{name}_loss": value}

    def learn(
        learner: Learner, buffer: replay.Replay, moments: Moments, duals: Duals, key: Array
    ) -> tuple[Learner, dict[str, Array]]:
        mean, std = unit_of(moments, config.normalise_reward)
        prices = prices_of(duals) * std
        prices = prices / jnp.maximum(jnp.linalg.norm(prices), 1e-6)
        if method.bonus and config.bootstraps:
            one, zero = jnp.ones((1,), std.dtype), jnp.zeros((1,), std.dtype)
            mean, std, prices = (jnp.concatenate(x) for x in ((mean, zero), (std, one), (prices, one)))

        def target(learner: Learner, batch: Experience, key: Array) -> Array:
            reward = measures_of(duals, batch.rates, batch.slack, config.primal_dual)
            if not config.bootstraps:
                return (reward - mean) / std
            if method.bonus:
                reward = jnp.concatenate([reward, jnp.zeros((config.batch, 1), reward.dtype)], axis=-1)
            slow = learner.params | learner.targets
            ahead = method.next_measures(learner.params, slow, batch.next_obs, prices, key)
            return lax.stop_gradient(td_target(reward, ahead, batch.terminated, config.gamma, mean, std))

        def critic_step(learner: Learner, key: Array) -> tuple[Learner, tuple[dict[str, Array], Array]]:
            key_batch, key_next = jax.random.split(key)
            batch = replay.sample(buffer, key_batch, config.batch)
            wanted = target(learner, batch, key_next)

            def loss(weights: Any) -> tuple[Array, dict[str, Array]]:
                error = policy.predictions(weights, batch.obs, batch.action) - wanted[None]
                # Summed over critics and measures, none of which shares a last layer with another.
                return jnp.sum(jnp.mean(error**2, axis=1)), {}

            learner, metrics = descended(learner, "critic", loss)
            return learner, (metrics, batch.obs)

        def turn(learner: Learner, key: Array) -> tuple[Learner, dict[str, Array]]:
            key_critic, key_actor = jax.random.split(key)
            keys = jax.random.split(key_critic, method.actor_every)
            learner, (of_critic, obs) = lax.scan(critic_step, learner, keys)
            learner, of_actor = descended(
                learner, "actor", lambda weights: method.actor_loss(weights, obs[-1], prices, key_actor)
            )
            networks = {name: learner.params[name] for name in learner.targets}
            learner = learner._replace(targets=soft_update(learner.targets, networks, config.tau))
            return learner, jax.tree.map(jnp.mean, of_critic) | of_actor

        learner, metrics = lax.scan(turn, learner, jax.random.split(key, config.gradient_steps // method.actor_every))
        return learner, jax.tree.map(_mean_of_finite, mean_over(metrics, axes))

    return learn


def _mean_of_finite(values: Array) -> Array:
    """Mean of the finite numbers, the others' steps being skipped; not finite where none is."""
    finite = jnp.isfinite(values)
    return jnp.sum(jnp.where(finite, values, 0)) / jnp.sum(finite).astype(values.dtype)
