"""Primal-dual plain policy gradient, without a critic: the reference that the other learners improve on."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from thzjax.agents import chunks
from thzjax.agents.advantages import generalised_advantages
from thzjax.agents.base import Agent, descend, mean_over
from thzjax.agents.on_policy import (
    OnPolicyConfig,
    TrainState,
    finish_update,
    initial_state,
    make_optimiser,
    roll_out,
    with_normaliser,
)
from thzjax.agents.policies import Policy, Transition
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class ReinforceConfig(OnPolicyConfig):
    """Hyper-parameters: those of every on-policy learner, and `baseline`.

    A return is cut at the rollout's end, so let `rollout` hold whole episodes where gamma > 0. `critic_rate` is for a
    policy whose critic chooses phases (`PaperPolicy`); nothing else learns a value.

    Attributes:
      baseline: subtract the mean return over the environments at each step.
    """

    baseline: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.baseline and self.num_envs == 1:
            raise ConfigError("num_envs=1 is its own baseline=true and leaves no gradient: use 2 or more")


def make_reinforce(
    env: Environment, policy: Policy, config: ReinforceConfig, total_updates: int, axes: tuple[str, ...] = ()
) -> Agent:
    """Primal-dual REINFORCE for an environment.

    Args:
      env: the environment; its system names the constraints.
      policy: fits the environment's action and observation maps; its value is not used.
      config: hyper-parameters.
      total_updates: length of the run, over which the learning rates fall.
      axes: named axes that a batch is spread over (`thzjax.parallel`).

    Source: paper A, (25), with the return in place of the advantage; Williams, 1992.
    """
    policy = with_normaliser(policy, config)
    optimiser = make_optimiser(config, total_updates)

    def init(key: Array, params: Any) -> TrainState:
        return initial_state(env, policy, config, optimiser, key, params, axes)

    def update(state: TrainState, params: Any) -> tuple[TrainState, dict[str, Array]]:
        key_rollout, key = jax.random.split(state.key)
        start = (state.env_states, state.obs)
        rolled = roll_out(env, policy, config, state.params, state.duals, start, params, key_rollout)
        gradient, losses = score_gradient(policy, config, state.params, rolled.batch, axes)
        weights, opt_state = descend(optimiser, gradient, state.optimiser, state.params, axes)
        return finish_update(state, config, rolled, weights, opt_state, key, losses, axes)

    return Agent(init, update, policy, config.steps_per_update)


def returns(batch: Transition, gamma: float) -> Array:
    """Discounted rewards from each step to its episode's or the rollout's end, `[T, E]`."""
    zero = jnp.zeros_like(batch.reward)
    # With values of 0 and a trace of 1 the advantage is the return.
    return generalised_advantages(batch.reward, zero, zero, batch.terminated, batch.truncated, gamma, 1.0)


def score_gradient(
    policy: Policy, config: ReinforceConfig, weights: Any, batch: Transition, axes: tuple[str, ...] = ()
) -> tuple[Any, dict[str, Array]]:
    """Gradient of mean(-G log pi(a|s)) - entropy bonus + the policy's own extra loss, and the parts of the loss.

    The baseline is the mean return over all of the batch, on other `axes` too.
    """
    score_weight = returns(batch, config.gamma)
    if config.baseline:
        # Holding a return in its own baseline shrinks the gradient by 1 - 1/E and turns it nowhere.
        score_weight = score_weight - mean_over(jnp.mean(score_weight, axis=1, keepdims=True), axes)

    def loss(weights: Any, piece: Any) -> tuple[Array, dict[str, Array]]:
        batch, score_weight = piece
        log_prob, entropy = policy.log_prob_entropy(weights, batch.obs, batch.action)
        policy_loss = -jnp.mean(log_prob * score_weight)
        auxiliary = policy.auxiliary_loss(weights, batch, config.gamma)
        total = policy_loss + auxiliary - config.entropy * jnp.mean(entropy)
        return total, {"policy_loss": policy_loss, "auxiliary_loss": auxiliary, "entropy": jnp.mean(entropy)}

    pieces = chunks.num_pieces(batch.reward.shape[1], config.env_chunk)
    gradient, losses = chunks.gradient(loss, weights, (batch, score_weight), pieces, axis=1)
    return gradient, jax.tree.map(jnp.mean, losses)
