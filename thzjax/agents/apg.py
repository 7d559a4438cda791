"""Analytic policy gradient: climb the Lagrangian by its gradient through the simulator, on fresh channels every update.

No sampled action, no value estimate: the channel, the design and the rates are one differentiable program. One network,
trained once, amortises the optimisation over all channels.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array

from thzjax.agents import chunks
from thzjax.agents.base import Agent, check_settings, descend, mean_over
from thzjax.agents.metrics import settle
from thzjax.agents.primal_dual import Duals, PrimalDualConfig, init_duals, lagrangian, priced
from thzjax.agents.unfolded import UnfoldedConfig
from thzjax.envs.environment import Environment


@dataclasses.dataclass(frozen=True)
class APGConfig:
    """Hyper-parameters.

    Attributes:
      num_envs: fresh channels in every update.
      env_chunk: at most so many are drawn and differentiated at a time, the others after them (0: all at once).
      actor_rate: Adam learning rate at the start; it falls along half a cosine to 0 over the run.
      max_grad_norm: global norm to which gradients are clipped.
      hidden, log_std: network of a policy that is no `unfolded` one (the deviation is not used).
      unfolded: layers of the unfolded policy.
      primal_dual: prices of the constraints that the design does not meet in closed form.
    """

    num_envs: int = 256
    env_chunk: int = 0
    actor_rate: float = 5e-3
    max_grad_norm: float = 1.0
    hidden: tuple[int, ...] = (64, 64)
    log_std: float = -1.2
    unfolded: UnfoldedConfig = UnfoldedConfig()
    primal_dual: PrimalDualConfig = PrimalDualConfig(kind="per_realisation", margin=0.0, step_mu=0.5)

    def __post_init__(self) -> None:
        check_settings(
            self, counts=("num_envs", "hidden"), not_negative=("env_chunk",), positive=("actor_rate", "max_grad_norm")
        )

    @property
    def steps_per_update(self) -> int:
        """Environment steps one update consumes."""
        return self.num_envs


@struct.dataclass
class APGState:
    """The whole carry.

    Attributes:
      params: {"actor": ..} and whatever else the policy has.
      optimiser: state of the optimiser.
      duals: multipliers.
      key: random key.
      updates: updates done, int32.
    """

    params: Any
    optimiser: Any
    duals: Duals
    key: Array
    updates: Array


def make_apg(env: Environment, policy: Any, config: APGConfig, total_updates: int, axes: tuple[str, ...] = ()) -> Agent:
    """Gradient ascent on E Lagrangian(outcome(channels, policy(channels))).

    Discrete phases have no gradient: the training designs are those of the continuous surface, which a policy with a
    `relaxed` action (`UnfoldedPolicy`) blurs by as much as the levels round. What is judged is on the levels.

    Args:
      env: the environment.
      policy: `mode(weights, obs)`, differentiable, and perhaps `relaxed(weights, obs, key)`.
      config: hyper-parameters.
      total_updates: length of the run, over which the learning rate falls.
      axes: named axes that a batch is spread over (`thzjax.parallel`).
    """
    smooth = dataclasses.replace(env, system=env.system.continuous)
    schedule = optax.cosine_decay_schedule(config.actor_rate, total_updates)
    optimiser = optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.adam(schedule))
    # A channel whose gradient is not finite costs one update, not the run.
    optimiser = optax.apply_if_finite(optimiser, max_consecutive_errors=5)

    def init(key: Array, params: Any) -> APGState:
        key_env, key_policy, key = jax.random.split(key, 3)
        obs, _ = smooth.reset(key_env, params)
        weights = policy.init(key_policy, obs)
        return APGState(
            params=weights,
            optimiser=optimiser.init(weights),
            duals=init_duals(env.system.spec.users, env.system.constraints, config.primal_dual),
            key=key,
            updates=jnp.zeros((), jnp.int32),
        )

    def update(state: APGState, params: Any) -> tuple[APGState, dict[str, Array]]:
        key_env, key_action, key = jax.random.split(state.key, 3)
        pieces = chunks.num_pieces(config.num_envs, config.env_chunk)
        # Phases are blurred by a key for each piece; a single one has the run's.
        blurs = jax.random.split(key_action, pieces) if pieces > 1 else key_action[None]
        drops = jax.random.split(key_env, config.num_envs)

        def loss(weights: Any, piece: tuple[Array, Array]) -> tuple[Array, Any]:
            keys, (blur,) = piece
            obs, env_states = jax.vmap(smooth.reset, in_axes=(0, None))(keys, params)
            relaxed = hasattr(policy, "relaxed")
            action = policy.relaxed(weights, obs, blur) if relaxed else policy.mode(weights, obs)
            design, _ = jax.vmap(smooth.design, in_axes=(None, 0, 0))(params, env_states, action)
            outcome = jax.vmap(smooth.system.outcome, in_axes=(None, 0, 0))(params, env_states.channels, design)
            value = lagrangian(state.duals, outcome.rates, priced(outcome.slack, config.primal_dual))
            return -jnp.mean(value), ({"rates": outcome.rates, "slack": outcome.slack}, -jnp.mean(value))

        gradient, (info, values) = chunks.gradient(loss, state.params, (drops, blurs), pieces)
        value, gradient = mean_over((jnp.mean(values), gradient), axes)
        weights, opt_state = descend(optimiser, gradient, state.optimiser, state.params)
        duals, metrics = settle(state.duals, chunks.join(info), config.primal_dual, axes=axes)
        metrics |= {
            "policy_loss": value,
            "gradient_norm": jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(gradient))),
        }
        state = state.replace(params=weights, optimiser=opt_state, duals=duals, key=key, updates=state.updates + 1)
        return state, metrics

    return Agent(init, update, policy, config.steps_per_update)
