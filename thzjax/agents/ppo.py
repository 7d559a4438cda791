"""Primal-dual proximal policy optimisation.

Each update rolls the policy out, values it by the Lagrangian's present weights, improves it by policy gradients held
near the old policy (by clipping or by an adaptive penalty; or, as an option, by the paper's zeroth-order ascent), and
then moves the multipliers on the batch means.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array, lax

from thzjax.agents import chunks
from thzjax.agents.base import Agent, check_settings, descend, mean_over
from thzjax.agents.on_policy import (
    VALUE_WEIGHT,
    OnPolicyConfig,
    TrainState,
    advantages,
    finish_update,
    flattened,
    initial_state,
    make_optimiser,
    roll_out,
    standardised,
    with_normaliser,
)
from thzjax.agents.policies import Policy, Transition
from thzjax.agents.primal_dual import lagrangian, priced
from thzjax.agents.zeroth_order import zeroth_order_gradient
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError

KL_WEIGHT_RANGE = (1e-4, 1e4)
"""Bounds of the adaptive weight: rates that fall to 0 leave no divergence, and it would halve to 0 for ever."""

MOST_LOG_RATIO = 20.0
"""Of densities: a step that moves hundreds of raw numbers at once overflows a ratio, and its gradient is NaN."""


@dataclasses.dataclass(frozen=True)
class PPOConfig(OnPolicyConfig):
    """Hyper-parameters: those of every on-policy learner (actor_rate is the paper's tau_1), and

    Attributes:
      epochs, minibatches: passes over a batch, and pieces per pass; num_envs*rollout must divide by the latter.
      lam: trace decay.
      clip: epsilon of the clipped ratio.
      gradient: "first" (PPO) or "zeroth" (paper A's (37)-(39) on the mean policy's Lagrangian).
      zeroth_alpha, zeroth_directions: finite-difference step and antithetic pairs.
      objective: "clip" (paper A's PPO2) or "kl" (its PPO1): what holds a first-order update near the old policy.
      kl_target, kl_weight: divergence per update that "kl" steers to [nat], and its penalty's weight at the start.
    """

    num_envs: int = 2048
    epochs: int = 2
    minibatches: int = 4
    lam: float = 0.95
    clip: float = 0.2
    gradient: str = "first"
    zeroth_alpha: float = 1e-2
    zeroth_directions: int = 32
    objective: str = "clip"
    kl_target: float = 0.01
    kl_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(
            self,
            counts=("epochs", "minibatches", "zeroth_directions"),
            positive=("clip", "zeroth_alpha", "kl_target", "kl_weight"),
            shares=("lam",),
        )
        if self.steps_per_update % self.minibatches:
            raise ConfigError(
                f"num_envs*rollout={self.steps_per_update} is not divisible by minibatches={self.minibatches}: "
                "choose a divisor"
            )
        for name, known in (("gradient", ("first", "zeroth")), ("objective", ("clip", "kl"))):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name}={getattr(self, name)!r} is unknown: use {known[0]!r} or {known[1]!r}")
        if self.gradient == "zeroth" and self.objective == "kl":
            raise ConfigError("gradient='zeroth' takes one step and has no divergence for objective='kl' to hold")


@struct.dataclass
class PPOState(TrainState):
    """The carry, and the present weight beta of the divergence where the objective has one."""

    kl_weight: Array | None = None


def make_ppo(
    env: Environment, policy: Policy, config: PPOConfig, total_updates: int, axes: tuple[str, ...] = ()
) -> Agent:
    """Primal-dual PPO for an environment.

    Args:
      env: the environment; its system names the constraints.
      policy: fits the environment's action and observation maps.
      config: hyper-parameters.
      total_updates: length of the run, over which the learning rates fall.
      axes: named axes that a batch is spread over (`thzjax.parallel`).

    Source: paper A, (27)-(28) and Algorithm 1; Schulman et al., 2017.
    """
    policy = with_normaliser(policy, config)
    per_update = config.epochs * config.minibatches if config.gradient == "first" else 1
    optimiser = make_optimiser(config, total_updates * per_update)

    def init(key: Array, params: Any) -> PPOState:
        start = initial_state(env, policy, config, optimiser, key, params, axes)
        weight = jnp.asarray(config.kl_weight, float) if config.objective == "kl" else None
        return PPOState(**vars(start), kl_weight=weight)

    def update(state: PPOState, params: Any) -> tuple[PPOState, dict[str, Array]]:
        key_rollout, key_learn, key = jax.random.split(state.key, 3)
        start = (state.env_states, state.obs)
        rolled = roll_out(env, policy, config, state.params, state.duals, start, params, key_rollout)
        if config.gradient == "first":
            weights, opt_state, losses = _proximal_ascent(
                policy, config, optimiser, state, rolled.batch, key_learn, axes
            )
        else:
            weights, opt_state, losses = _zeroth_ascent(
                env, policy, config, optimiser, state, params, rolled.batch, key_learn, axes
            )
        state, metrics = finish_update(state, config, rolled, weights, opt_state, key, losses, axes)
        if config.objective == "kl":
            kl = mean_over(mean_kl(policy, weights, flattened(rolled.batch)), axes)
            metrics |= {"kl": kl, "kl_weight": state.kl_weight}
            state = state.replace(kl_weight=adapted_weight(state.kl_weight, kl, config.kl_target))
        return state, metrics

    return Agent(init, update, policy, config.steps_per_update)


def within_range(log_ratio: Array) -> Array:
    """Log ratios of densities whose exponential float32 can hold, with no gradient beyond."""
    return jnp.clip(log_ratio, -MOST_LOG_RATIO, MOST_LOG_RATIO)


def clipped_loss(ratio: Array, advantage: Array, epsilon: float | Array) -> Array:
    """-E min(q A, clip(q, 1 - epsilon, 1 + epsilon) A) of density ratios q and advantages A, `[B]`.

    Source: Schulman et al., 2017, (7); paper A, (28).
    """
    clipped = jnp.clip(ratio, 1 - epsilon, 1 + epsilon)
    return -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))


def mean_kl(policy: Policy, weights: Any, batch: Transition) -> Array:
    """Divergence KL(old || new) [nat] from the old policy's actions, `batch [B, ...]`: the mean of q - 1 - log q.

    With q = new/old density the mean of -log q is unbiased, and q - 1 has mean 0 and takes most of its variance
    away; the sum is never negative, and its gradient is unbiased too. No policy needs a closed form.
    """
    log_ratio = within_range(policy.log_prob_entropy(weights, batch.obs, batch.action)[0] - batch.log_prob)
    return jnp.mean(jnp.expm1(log_ratio) - log_ratio)


def adapted_weight(weight: Array, kl: Array, target: float) -> Array:
    """beta, doubled where the divergence exceeds 1.5 targets, halved below target/1.5.

    Source: Schulman et al., 2017, section 4.
    """
    factor = jnp.where(kl > 1.5 * target, 2.0, jnp.where(kl < target / 1.5, 0.5, 1.0))
    return jnp.clip(weight * factor.astype(weight.dtype), *KL_WEIGHT_RANGE)


def _proximal_ascent(
    policy: Policy, config: PPOConfig, optimiser: optax.GradientTransformation, state: PPOState, batch: Transition,
    key: Array, axes: tuple[str, ...],
) -> tuple[Any, Any, dict[str, Array]]:  # fmt: skip
    """Epochs of minibatch steps on the proximal objective, the value loss and the policy's own extra loss."""
    advantage = advantages(policy, config, state.params, batch)
    target = advantage + batch.value
    flat = flattened((batch, standardised(advantage, axes), target))

    def loss(weights: Any, piece: tuple[Transition, Array, Array]) -> tuple[Array, dict[str, Array]]:
        batch, advantage, target = piece
        log_prob, entropy = policy.log_prob_entropy(weights, batch.obs, batch.action)
        log_ratio = within_range(log_prob - batch.log_prob)
        ratio = jnp.exp(log_ratio)
        kl = jnp.mean(ratio - 1 - log_ratio)
        if config.objective == "clip":
            policy_loss = clipped_loss(ratio, advantage, config.clip)
        else:
            policy_loss = -jnp.mean(ratio * advantage) + state.kl_weight * kl
        value_loss = jnp.mean((policy.value(weights, batch.obs) - target) ** 2)
        auxiliary = policy.auxiliary_loss(weights, batch, config.gamma)
        total = policy_loss + VALUE_WEIGHT * value_loss + auxiliary - config.entropy * jnp.mean(entropy)
        metrics = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "auxiliary_loss": auxiliary,
            "entropy": jnp.mean(entropy),
            "kl": kl,
            "clip_fraction": jnp.mean((jnp.abs(ratio - 1) > config.clip).astype(ratio.dtype)),
        }
        return total, metrics

    def minibatch(carry: tuple[Any, Any], index: Array) -> tuple[tuple[Any, Any], dict[str, Array]]:
        weights, opt_state = carry
        piece = jax.tree.map(lambda x: x[index], flat)
        pieces = chunks.num_pieces(index.size, config.env_chunk * config.rollout)
        gradient, metrics = chunks.gradient(loss, weights, piece, pieces)
        return descend(optimiser, gradient, opt_state, weights, axes), metrics

    size = config.steps_per_update
    keys = jax.random.split(key, config.epochs)
    index = jax.vmap(lambda k: jax.random.permutation(k, size))(keys).reshape(-1, size // config.minibatches)
    (weights, opt_state), metrics = lax.scan(minibatch, (state.params, state.optimiser), index)
    return weights, opt_state, jax.tree.map(jnp.mean, metrics)


def _zeroth_ascent(
    env: Environment, policy: Policy, config: PPOConfig, optimiser: optax.GradientTransformation, state: PPOState,
    params: Any, batch: Transition, key: Array, axes: tuple[str, ...],
) -> tuple[Any, Any, dict[str, Array]]:  # fmt: skip
    """One Adam step along (39): the Lagrangian of the mean policy's designs on the rollout's first drops.

    Workers look along directions of their own, so that several of them see so many times as many.
    """

    def value(actor: Any) -> Array:
        action = policy.mode(state.params | {"actor": actor}, state.obs)

        def one(action: Any, env_state: Any) -> Array:
            design, _ = env.design(params, env_state, action)
            outcome = env.system.outcome(params, env_state.channels, design)
            return lagrangian(state.duals, outcome.rates, priced(outcome.slack, config.primal_dual))

        return jnp.mean(chunks.over(one, config.env_chunk)(action, state.env_states))

    ascent = zeroth_order_gradient(value, state.params["actor"], key, config.zeroth_alpha, config.zeroth_directions)

    def critic_loss(critic: Any) -> Array:
        weights = state.params | {"critic": critic}
        flat = flattened(batch)
        error = policy.value(weights, flat.obs) - flat.reward
        return VALUE_WEIGHT * jnp.mean(error**2) + policy.auxiliary_loss(weights, flat, config.gamma)

    value_loss, critic_gradient = jax.value_and_grad(critic_loss)(state.params["critic"])
    gradient = jax.tree.map(jnp.zeros_like, state.params)
    gradient |= {"actor": jax.tree.map(jnp.negative, ascent), "critic": critic_gradient}
    weights, opt_state = descend(optimiser, gradient, state.optimiser, state.params, axes)
    return weights, opt_state, {"value_loss": value_loss}
