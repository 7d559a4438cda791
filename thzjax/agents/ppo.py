"""Primal-dual proximal policy optimisation.

Each update rolls the policy out, values it by the Lagrangian's present weights, improves it by clipped policy
gradients (or, as an option, by the paper's zeroth-order ascent), and then moves the multipliers on the batch means.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array, lax

from thzjax.agents.advantages import generalised_advantages
from thzjax.agents.base import Agent, descend
from thzjax.agents.policies import GaussianPolicy, PaperPolicy, Transition
from thzjax.agents.primal_dual import Duals, PrimalDualConfig, init_duals, lagrangian, priced, update_duals
from thzjax.agents.zeroth_order import zeroth_order_gradient
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.systems.base import satisfied


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """Hyper-parameters.

    Attributes:
      num_envs, rollout: environments side by side, and steps of each per update.
      epochs, minibatches: passes over a batch, and pieces per pass; num_envs*rollout must divide by the latter.
      actor_rate, critic_rate: Adam learning rates (actor: tau_1).
      decay_rates: let both fall linearly to 0 over the run.
      clip: epsilon of the clipped ratio.
      gamma, lam: discount and trace decay.
      entropy: weight of the entropy bonus.
      max_grad_norm: global norm to which gradients are clipped.
      gradient: "first" (PPO) or "zeroth" (paper A's (37)-(39) on the mean policy's Lagrangian).
      zeroth_alpha, zeroth_directions: finite-difference step and antithetic pairs.
      hidden, log_std: the default policy's network and first deviation.
      primal_dual: the constraint layer.
    """

    num_envs: int = 2048
    rollout: int = 1
    epochs: int = 2
    minibatches: int = 4
    actor_rate: float = 2e-3
    critic_rate: float = 2e-3
    decay_rates: bool = True
    clip: float = 0.2
    gamma: float = 0.0
    lam: float = 0.95
    entropy: float = 3e-3
    max_grad_norm: float = 0.5
    gradient: str = "first"
    zeroth_alpha: float = 1e-2
    zeroth_directions: int = 32
    hidden: tuple[int, ...] = (64, 64)
    log_std: float = -1.2
    primal_dual: PrimalDualConfig = PrimalDualConfig()

    def __post_init__(self) -> None:
        batch = self.num_envs * self.rollout
        if min(self.num_envs, self.rollout, self.epochs, self.minibatches, self.zeroth_directions) < 1:
            raise ConfigError("num_envs, rollout, epochs, minibatches and zeroth_directions must be at least 1")
        if batch % self.minibatches:
            raise ConfigError(
                f"num_envs*rollout={batch} is not divisible by minibatches={self.minibatches}: choose a divisor"
            )
        for name in ("actor_rate", "critic_rate", "clip", "max_grad_norm", "zeroth_alpha"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name):g} must be greater than 0")
        for name in ("gamma", "lam"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name):g} must lie in 0..1")
        if self.gradient not in ("first", "zeroth"):
            raise ConfigError(f"gradient={self.gradient!r} is unknown: use 'first' or 'zeroth'")

    @property
    def steps_per_update(self) -> int:
        """Environment steps one update consumes."""
        return self.num_envs * self.rollout


@struct.dataclass
class TrainState:
    """The whole carry: saving it and loading it continues a run bit for bit."""

    params: Any
    optimiser: Any
    duals: Duals
    env_states: Any
    obs: Any
    key: Array
    updates: Array


def make_ppo(env: Environment, policy: GaussianPolicy | PaperPolicy, config: PPOConfig, total_updates: int) -> Agent:
    """Primal-dual PPO for an environment.

    Args:
      env: the environment; its system names the constraints.
      policy: fits the environment's action and observation maps.
      config: hyper-parameters.
      total_updates: length of the run, over which the learning rates fall.

    Source: paper A, Algorithm 1; Schulman et al., 2017.
    """
    system = env.system
    optimiser = _optimiser(config, total_updates)

    def init(key: Array, params: Any) -> TrainState:
        key_env, key_policy, key = jax.random.split(key, 3)
        obs, env_states = jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key_env, config.num_envs), params)
        weights = policy.init(key_policy, jax.tree.map(lambda x: x[0], obs))
        return TrainState(
            params=weights,
            optimiser=optimiser.init(weights),
            duals=init_duals(system.spec.users, system.constraints, config.primal_dual),
            env_states=env_states,
            obs=obs,
            key=key,
            updates=jnp.zeros((), jnp.int32),
        )

    def update(state: TrainState, params: Any) -> tuple[TrainState, dict[str, Array]]:
        key_rollout, key_learn, key = jax.random.split(state.key, 3)
        env_states, obs, batch, info = _rollout(env, policy, config, state, params, key_rollout)
        if config.gradient == "first":
            weights, opt_state, losses = _clipped_ascent(policy, config, optimiser, state, batch, key_learn)
        else:
            weights, opt_state, losses = _zeroth_ascent(env, policy, config, optimiser, state, params, batch, key_learn)
        mean_rates = jnp.mean(info["rates"], axis=(0, 1))
        mean_slack = {name: jnp.mean(value) for name, value in info["slack"].items()}
        mean_priced = jax.tree.map(jnp.mean, priced(info["slack"], config.primal_dual))
        duals = update_duals(state.duals, mean_rates, mean_priced, config.primal_dual)
        metrics = losses | _batch_metrics(info, batch, duals, mean_rates, mean_slack)
        state = state.replace(
            params=weights,
            optimiser=opt_state,
            duals=duals,
            env_states=env_states,
            obs=obs,
            key=key,
            updates=state.updates + 1,
        )
        return state, metrics

    return Agent(init, update, policy, config.steps_per_update)


def _optimiser(config: PPOConfig, total_updates: int) -> optax.GradientTransformation:
    per_update = config.epochs * config.minibatches if config.gradient == "first" else 1

    def adam(rate: float) -> optax.GradientTransformation:
        schedule = optax.linear_schedule(rate, 0.0, total_updates * per_update) if config.decay_rates else rate
        return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.adam(schedule, eps=1e-5))

    # Labels by the top-level key: the two networks share no parameter.
    labels = {"actor": "actor", "critic": "critic"}
    return optax.partition({"actor": adam(config.actor_rate), "critic": adam(config.critic_rate)}, labels)


def _rollout(
    env: Environment, policy: Any, config: PPOConfig, state: TrainState, params: Any, key: Array
) -> tuple[Any, Any, Transition, dict[str, Any]]:
    """`rollout` steps of every environment; leaves are `[T, E, ...]`."""

    def step(carry: tuple[Any, Any], key_t: Array) -> tuple[tuple[Any, Any], tuple[Transition, dict[str, Any]]]:
        env_states, obs_t = carry
        key_action, key_env = jax.random.split(key_t)
        action, log_prob = policy.sample(state.params, obs_t, key_action)
        keys = jax.random.split(key_env, config.num_envs)
        result = jax.vmap(env.step, in_axes=(0, 0, 0, None))(keys, env_states, action, params)
        reward = lagrangian(state.duals, result.info["rates"], priced(result.info["slack"], config.primal_dual))
        transition = Transition(
            obs=obs_t,
            next_obs=result.info["final_observation"],
            action=action,
            log_prob=log_prob,
            value=policy.value(state.params, obs_t),
            reward=reward,
            terminated=result.terminated,
            truncated=result.truncated,
        )
        info = {name: result.info[name] for name in ("rates", "slack", "episode_return")}
        return (result.state, result.obs), (transition, info)

    keys = jax.random.split(key, config.rollout)
    (env_states, obs), (batch, info) = lax.scan(step, (state.env_states, state.obs), keys)
    return env_states, obs, batch, info


def _clipped_ascent(
    policy: Any, config: PPOConfig, optimiser: optax.GradientTransformation, state: TrainState, batch: Transition,
    key: Array,
) -> tuple[Any, Any, dict[str, Array]]:  # fmt: skip
    """Epochs of minibatch steps on the clipped objective, the value loss and the policy's own extra loss."""
    value_next = policy.value(state.params, batch.next_obs) if config.gamma else jnp.zeros_like(batch.value)
    advantage = generalised_advantages(
        batch.reward, batch.value, value_next, batch.terminated, batch.truncated, config.gamma, config.lam
    )
    target = advantage + batch.value
    advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (batch, advantage, target))

    def loss(weights: Any, piece: tuple[Transition, Array, Array]) -> tuple[Array, dict[str, Array]]:
        batch, advantage, target = piece
        log_prob, entropy = policy.log_prob_entropy(weights, batch.obs, batch.action)
        log_ratio = log_prob - batch.log_prob
        ratio = jnp.exp(log_ratio)
        clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        policy_loss = -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))
        value_loss = jnp.mean((policy.value(weights, batch.obs) - target) ** 2)
        auxiliary = policy.auxiliary_loss(weights, batch, config.gamma)
        total = policy_loss + 0.5 * value_loss + auxiliary - config.entropy * jnp.mean(entropy)
        metrics = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "auxiliary_loss": auxiliary,
            "entropy": jnp.mean(entropy),
            "kl": jnp.mean(ratio - 1 - log_ratio),
            "clip_fraction": jnp.mean((jnp.abs(ratio - 1) > config.clip).astype(ratio.dtype)),
        }
        return total, metrics

    def minibatch(carry: tuple[Any, Any], index: Array) -> tuple[tuple[Any, Any], dict[str, Array]]:
        weights, opt_state = carry
        piece = jax.tree.map(lambda x: x[index], flat)
        gradient, metrics = jax.grad(loss, has_aux=True)(weights, piece)
        return descend(optimiser, gradient, opt_state, weights), metrics

    size = config.steps_per_update
    keys = jax.random.split(key, config.epochs)
    index = jax.vmap(lambda k: jax.random.permutation(k, size))(keys).reshape(-1, size // config.minibatches)
    (weights, opt_state), metrics = lax.scan(minibatch, (state.params, state.optimiser), index)
    return weights, opt_state, jax.tree.map(jnp.mean, metrics)


def _zeroth_ascent(
    env: Environment, policy: Any, config: PPOConfig, optimiser: optax.GradientTransformation, state: TrainState,
    params: Any, batch: Transition, key: Array,
) -> tuple[Any, Any, dict[str, Array]]:  # fmt: skip
    """One Adam step along (39): the Lagrangian of the mean policy's designs on the rollout's first drops."""

    def value(actor: Any) -> Array:
        action = policy.mode(state.params | {"actor": actor}, state.obs)

        def one(action: Any, env_state: Any) -> Array:
            design, _ = env.design(params, env_state, action)
            outcome = env.system.outcome(params, env_state.channels, design)
            return lagrangian(state.duals, outcome.rates, priced(outcome.slack, config.primal_dual))

        return jnp.mean(jax.vmap(one)(action, state.env_states))

    ascent = zeroth_order_gradient(value, state.params["actor"], key, config.zeroth_alpha, config.zeroth_directions)

    def critic_loss(critic: Any) -> Array:
        weights = state.params | {"critic": critic}
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)
        error = policy.value(weights, flat.obs) - flat.reward
        return 0.5 * jnp.mean(error**2) + policy.auxiliary_loss(weights, flat, config.gamma)

    value_loss, critic_gradient = jax.value_and_grad(critic_loss)(state.params["critic"])
    gradient = {"actor": jax.tree.map(jnp.negative, ascent), "critic": critic_gradient}
    weights, opt_state = descend(optimiser, gradient, state.optimiser, state.params)
    return weights, opt_state, {"value_loss": value_loss}


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
