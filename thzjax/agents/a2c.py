"""Primal-dual advantage actor-critic: one policy-gradient step per rollout."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from thzjax.agents import chunks
from thzjax.agents.base import Agent, check_settings, descend
from thzjax.agents.on_policy import (
    VALUE_WEIGHT,
    OnPolicyConfig,
    TrainState,
    advantages,
    finish_update,
    initial_state,
    make_optimiser,
    roll_out,
    standardised,
    with_normaliser,
)
from thzjax.agents.policies import Policy, Transition
from thzjax.envs.environment import Environment


@dataclasses.dataclass(frozen=True)
class A2CConfig(OnPolicyConfig):
    """Hyper-parameters: those of every on-policy learner, and

    Attributes:
      lam: trace decay; at 1 the advantage is the L-step one, to the rollout's end.
      standardise: scale a batch's advantages to zero mean and unit deviation.
    """

    lam: float = 1.0
    standardise: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self, shares=("lam",))


def make_a2c(
    env: Environment, policy: Policy, config: A2CConfig, total_updates: int, axes: tuple[str, ...] = ()
) -> Agent:
    """Primal-dual A2C for an environment.

    Args:
      env: the environment; its system names the constraints.
      policy: fits the environment's action and observation maps.
      config: hyper-parameters.
      total_updates: length of the run, over which the learning rates fall.
      axes: named axes that a batch is spread over (`thzjax.parallel`).

    Source: Mnih et al., 2016, with its workers in step; paper A, (44) and (52)-(53).
    """
    policy = with_normaliser(policy, config)
    optimiser = make_optimiser(config, total_updates)

    def init(key: Array, params: Any) -> TrainState:
        return initial_state(env, policy, config, optimiser, key, params, axes)

    def update(state: TrainState, params: Any) -> tuple[TrainState, dict[str, Array]]:
        key_rollout, key = jax.random.split(state.key)
        start = (state.env_states, state.obs)
        # The key of worker 0: A3C with one worker is then this very learner.
        rolled = roll_out(
            env, policy, config, state.params, state.duals, start, params, jax.random.fold_in(key_rollout, 0)
        )
        gradient, losses = actor_critic_gradient(policy, config, state.params, rolled.batch, axes)
        weights, opt_state = descend(optimiser, gradient, state.optimiser, state.params, axes)
        return finish_update(state, config, rolled, weights, opt_state, key, losses, axes)

    return Agent(init, update, policy, config.steps_per_update)


def actor_critic_gradient(
    policy: Policy, config: A2CConfig, weights: Any, batch: Transition, axes: tuple[str, ...] = ()
) -> tuple[Any, dict[str, Array]]:
    """Gradient at the weights that collected the batch `[T, E]`, and the parts of the loss.

    The loss is mean(-A log pi(a|s)) + (v(s) - R)^2/2 - entropy bonus, with R = A + v held still, and the policy's
    own extra loss; of what lies on other `axes`, only the advantages' moments know. Source: paper A, (52)-(53).
    """
    advantage = advantages(policy, config, weights, batch)
    target = advantage + batch.value
    score_weight = standardised(advantage, axes) if config.standardise else advantage

    def loss(weights: Any, piece: Any) -> tuple[Array, dict[str, Array]]:
        batch, score_weight, target = piece
        log_prob, entropy = policy.log_prob_entropy(weights, batch.obs, batch.action)
        policy_loss = -jnp.mean(log_prob * score_weight)
        value_loss = jnp.mean((policy.value(weights, batch.obs) - lax.stop_gradient(target)) ** 2)
        auxiliary = policy.auxiliary_loss(weights, batch, config.gamma)
        total = policy_loss + VALUE_WEIGHT * value_loss + auxiliary - config.entropy * jnp.mean(entropy)
        metrics = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "auxiliary_loss": auxiliary,
            "entropy": jnp.mean(entropy),
        }
        return total, metrics

    pieces = chunks.num_pieces(batch.reward.shape[1], config.env_chunk)
    gradient, losses = chunks.gradient(loss, weights, (batch, score_weight, target), pieces, axis=1)
    return gradient, jax.tree.map(jnp.mean, losses)
