"""thzjax's learners at given sizes, as calls that train a little more."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax

from benchmarks.peers.sizes import BATCH, CAPACITY, EPOCHS, FILL, GAMMA, HIDDEN
from thzjax.agents.ppo import PPOConfig
from thzjax.experiment.config import RunConfig, resolve
from thzjax.experiment.learner import make_learner

STEPS = 1_000_000
"""Length of the run over which the learning rates fall."""


def training(config: RunConfig, updates: int) -> tuple[Callable[[], None], float]:
    """(a call that takes `updates` more of a run, as its compiled chunks do; seconds to compile it)."""
    learner = make_learner(config)

    def more(state: Any) -> tuple[Any, Any]:
        return jax.lax.scan(lambda s, _: learner.agent.update(s, learner.params), state, None, length=updates)

    held = learner.init()
    begin = time.perf_counter()
    compiled = jax.jit(more, donate_argnums=0).lower(held).compile()
    compile_s = time.perf_counter() - begin

    def run() -> None:
        nonlocal held
        held, metrics = compiled(held)
        jax.block_until_ready((held, metrics))

    return run, compile_s


def ppo(num_envs: int, rollout: int, horizon: int) -> tuple[Callable[[], None], float]:
    """One PPO update of the default policy, without a discount as SB3 is run here; see `training`."""
    learner = PPOConfig(
        num_envs=num_envs, rollout=rollout, epochs=EPOCHS, minibatches=num_envs * rollout // BATCH, hidden=HIDDEN,
        gamma=0.0, entropy=0.0,
    )  # fmt: skip
    config = dataclasses.replace(resolve("paper-a", "ppo", steps=STEPS), horizon=horizon, learner=learner)
    return training(config, 1)


def off_policy(
    agent: str, hidden: tuple[int, ...], batch: int, num_envs: int, gradient_steps: int, horizon: int, updates: int
) -> tuple[Callable[[], None], float]:
    """`updates` of one step in `num_envs` environments and so many gradient steps, with the replay filled."""
    config = resolve("paper-a", agent, steps=STEPS)
    learner = dataclasses.replace(
        config.learner, num_envs=num_envs, rollout=1, capacity=CAPACITY, batch=batch, gradient_steps=gradient_steps,
        warmup=FILL, gamma=GAMMA, hidden=hidden,
    )  # fmt: skip
    run, compile_s = training(dataclasses.replace(config, horizon=horizon, learner=learner), updates)
    for _ in range(-(-FILL // (num_envs * updates))):
        run()
    return run, compile_s
