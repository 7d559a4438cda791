"""Primal-dual asynchronous actor-critic: workers push gradients that are several updates old.

Real A3C runs on threads, whose order no seed can fix. What matters to learning is that a worker collects data and
takes its gradient on the parameters of its last pull while the others go on updating. That is what runs here, with
the age of the parameters prescribed: one compiled program, the same on every machine.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array, lax

from thzjax.agents import chunks
from thzjax.agents.a2c import A2CConfig, actor_critic_gradient
from thzjax.agents.base import Agent, check_settings, descend
from thzjax.agents.on_policy import (
    Rollout,
    TrainState,
    finish_update,
    initial_state,
    joined,
    make_optimiser,
    roll_out,
    with_normaliser,
)
from thzjax.agents.policies import Policy
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class A3CConfig(A2CConfig):
    """Hyper-parameters: those of A2C, and

    Attributes:
      workers: W; each has num_envs/W environments, and pushes one gradient per update.
      staleness: age d of the parameters a worker acts and differentiates on, in pushes of whichever worker; or
        "round_robin": each worker pulls right after its own push, as threads of one speed do, which is d = W - 1.
    """

    workers: int = 4
    staleness: str | int = "round_robin"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self, counts=("workers",))
        if self.num_envs % self.workers:
            raise ConfigError(f"num_envs={self.num_envs} is not divisible by workers={self.workers}: choose a divisor")
        # Digits may come as text, from a command line.
        if self.staleness != "round_robin" and not str(self.staleness).isdecimal():
            raise ConfigError(f"staleness={self.staleness!r} must be 0, 1, 2, .. or 'round_robin'")

    @property
    def delay(self) -> int:
        """d, a number."""
        return self.workers - 1 if self.staleness == "round_robin" else int(self.staleness)


@struct.dataclass
class A3CState(TrainState):
    """The carry, and the last d versions of the parameters: version n stands in slot n % d. None at d = 0."""

    ring: Any = None


def make_a3c(
    env: Environment, policy: Policy, config: A3CConfig, total_updates: int, axes: tuple[str, ...] = ()
) -> Agent:
    """Primal-dual A3C for an environment.

    Push n, by worker n mod W, is theta_{n+1} = theta_n - step(g(theta_{max(n-d, 0)})): data and gradient g belong to
    the old parameters, the step (Adam with moments shared by all workers) is applied to the present ones. An update
    is one push of every worker; the multipliers move once per update.

    Args:
      env: the environment; its system names the constraints.
      policy: fits the environment's action and observation maps.
      config: hyper-parameters.
      total_updates: length of the run, over which the learning rates fall.
      axes: named axes that a batch is spread over (`thzjax.parallel`).

    Source: Mnih et al., 2016; paper A, appendix B, (52)-(53).
    """
    policy = with_normaliser(policy, config)
    optimiser = make_optimiser(config, total_updates * config.workers)
    delay = config.delay

    def init(key: Array, params: Any) -> A3CState:
        start = initial_state(env, policy, config, optimiser, key, params, axes)
        ring = jax.tree.map(lambda x: jnp.stack([x] * delay), start.params) if delay else None
        return A3CState(**vars(start), ring=ring)

    def update(state: A3CState, params: Any) -> tuple[A3CState, dict[str, Array]]:
        key_rollout, key = jax.random.split(state.key)

        def push(carry: tuple[Any, Any, Any], x: tuple[Array, Any]) -> tuple[tuple[Any, Any, Any], tuple[Rollout, Any]]:
            weights, opt_state, ring = carry
            worker, start = x
            pulled, ring = exchange(ring, state.updates * config.workers + worker, weights, delay)
            key_worker = jax.random.fold_in(key_rollout, worker)
            rolled = roll_out(env, policy, config, pulled, state.duals, start, params, key_worker)
            gradient, losses = actor_critic_gradient(policy, config, pulled, rolled.batch, axes)
            weights, opt_state = descend(optimiser, gradient, opt_state, weights, axes)
            return (weights, opt_state, ring), (rolled, losses)

        carry = (state.params, state.optimiser, state.ring)
        starts = chunks.split((state.env_states, state.obs), config.workers)
        (weights, opt_state, ring), (rolled, losses) = lax.scan(
            push, carry, (jnp.arange(config.workers, dtype=jnp.int32), starts)
        )
        losses = jax.tree.map(jnp.mean, losses)
        state = state.replace(ring=ring)
        return finish_update(state, config, joined(rolled), weights, opt_state, key, losses, axes)

    return Agent(init, update, policy, config.steps_per_update)


def exchange(ring: Any, tick: Array, weights: Any, delay: int) -> tuple[Any, Any]:
    """Version `tick - delay` of the parameters out of the ring, and the present version, `tick`, in its place."""
    if not delay:
        return weights, ring
    slot = tick % delay
    pulled = jax.tree.map(lambda old: lax.dynamic_index_in_dim(old, slot, keepdims=False), ring)
    return pulled, jax.tree.map(lambda old, new: lax.dynamic_update_index_in_dim(old, new, slot, 0), ring, weights)
