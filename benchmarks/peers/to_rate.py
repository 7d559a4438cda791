"""Seconds of PPO until a feasible rate on the same held-out channels: thzjax beside stable-baselines3 or sbx.

Training alone is timed; the looks at the held-out channels between updates are not, nor is compilation, which has a
column of its own. Every policy is judged alike, by thzjax: its mean actions, scaled down on each channel until
every constraint holds. The peer is given each of a few settings, and the ratio is to the one that gets there first.
"""

import argparse
import dataclasses
import importlib
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.baselines import PACKAGES
from benchmarks.peers.record import emit
from benchmarks.peers.sizes import BATCH, ENVS, EPOCHS, HIDDEN
from benchmarks.peers.vec_env import SCALE, NumpyVecEnv
from thzjax.agents.ppo import PPOConfig
from thzjax.envs.actions import Structured
from thzjax.envs.environment import Environment
from thzjax.envs.observations import StructuredObservation
from thzjax.experiment.config import resolve
from thzjax.experiment.evaluation import draw_channels, judge, stream_key
from thzjax.experiment.learner import make_learner
from thzjax.systems.scenario import build, preset

RATE, CHANNELS, CHANNELS_SEED = 3.6, 512, 7
"""Feasible bit/s/Hz to reach, and the channels to reach it on."""
UPDATE = 2048
"""Environment steps between two looks, of everyone."""
SEEDS, PATIENCE_S = 5, 60.0
OURS = {"1 epoch of 2 minibatches": (1, 2), "2 epochs of 4 minibatches": (2, 4)}
OUR_LOG_STD = -1.2 - math.log(SCALE)
"""thzjax's first log deviation of the policy, in the units of the peers' actions; theirs is 0."""
THEIRS = ((3e-4, 1, 0.0), (3e-4, 1, OUR_LOG_STD), (2e-3, 1, OUR_LOG_STD), (2e-3, 50, OUR_LOG_STD))
"""Learning rate (their default, thzjax's), steps on one drop, first log deviation (their default, thzjax's)."""


@dataclasses.dataclass(frozen=True)
class Course:
    """One training: seconds by the clock and of the processor, steps, and the rate at the end."""

    seconds: float
    cpu_seconds: float
    steps: int
    rate: float


def compare(peer: str, given: argparse.Namespace) -> None:
    """A line for every setting of thzjax and the peer, and one with the ratios of the best ones."""
    seeds = range(1 if given.quick else SEEDS)
    seen, rate_of = held_out()
    medians: dict[str, dict[str, float]] = {}

    def line(who: str, setting: str, courses: list[Course], extra: dict[str, Any]) -> None:
        reached = all(course.rate >= RATE for course in courses)
        record = {
            "what": "ppo, seconds to a rate", "setting": setting, "target": RATE, "seeds": len(courses),
            "reached_by": sum(course.rate >= RATE for course in courses),
            "seconds": statistics.median(c.seconds for c in courses),
            "fastest": min(c.seconds for c in courses), "slowest": max(c.seconds for c in courses),
            "cpu_seconds": statistics.median(c.cpu_seconds for c in courses),
            "env_steps": statistics.median(c.steps for c in courses),
            "rate": statistics.median(c.rate for c in courses),
        }  # fmt: skip
        emit(peer, who, record | extra)
        best = medians.get(who.split()[0])
        if reached and (best is None or record["cpu_seconds"] < best["cpu_seconds"]):
            medians[who.split()[0]] = record

    for setting, (epochs, minibatches) in list(OURS.items())[: 1 if given.quick else None]:
        begin, (start, more) = time.perf_counter(), own_ppo(epochs, minibatches)
        compile_s = time.perf_counter() - begin
        courses = [until(*ours(start, more, seed), lambda mean: rate_of(mean(seen))) for seed in seeds]
        line("thzjax", setting, courses, {"compile_s": compile_s})
    for rate, horizon, log_std in THEIRS[: 1 if given.quick else None]:
        setting = f"{EPOCHS} epochs of minibatches of {BATCH}, learning rate {rate:g}, {horizon} steps on a drop"
        setting += f", log deviation {log_std:.2g}"
        courses = [
            until(*theirs(peer, rate, horizon, log_std, seed), lambda mean: rate_of(mean(np.asarray(seen))))
            for seed in seeds
        ]
        line(peer, setting, courses, {})
    if {"thzjax", peer} <= set(medians):
        ours_, theirs_ = medians["thzjax"], medians[peer]
        ratios = {f"ratio_{unit}": theirs_[unit] / ours_[unit] for unit in ("seconds", "cpu_seconds", "env_steps")}
        emit(peer, "thzjax", {"what": "ppo, seconds to a rate", "setting": "best of each", "target": RATE} | ratios)


def held_out() -> tuple[jax.Array, Callable[[Any], float]]:
    """(observations of the held-out channels `[C, F]`, mean feasible rate of actions on them `[C, A]`)."""
    system, params = build(preset("paper-a"))
    env = Environment(system, Structured(), StructuredObservation())
    channels = draw_channels(system, params, CHANNELS, CHANNELS_SEED)
    silent = jnp.ones((CHANNELS, system.spec.elements), channels.direct.dtype)
    states = jax.jit(jax.vmap(env.begin, in_axes=(None, 0, 0)))(params, channels, silent)

    @jax.jit
    def rate_of(action: jax.Array) -> jax.Array:
        design, _ = jax.vmap(env.design, in_axes=(None, 0, 0))(params, states, action)
        return jnp.mean(judge(system, params, channels, design).rate_feasible)

    return states.obs, lambda action: float(rate_of(jnp.asarray(action, jnp.float32)))


def until(
    train: Callable[[], None], mean: Callable[[Any], Any], rate_of: Callable[[Callable[[Any], Any]], float]
) -> Course:
    """Train, an update at a time, until the mean policy has the rate or patience ends."""
    seconds, cpu_seconds, steps, rate = 0.0, 0.0, 0, 0.0
    while rate < RATE and seconds < PATIENCE_S:
        begin, cpu = time.perf_counter(), time.process_time()
        train()
        seconds += time.perf_counter() - begin
        cpu_seconds += time.process_time() - cpu
        steps += UPDATE
        rate = rate_of(mean)
    return Course(seconds, cpu_seconds, steps, rate)


def own_ppo(epochs: int, minibatches: int) -> tuple[Any, Any]:
    """(compiled start, compiled update) of thzjax's PPO; primal-dual, a fresh drop for every step."""
    learner = PPOConfig(num_envs=UPDATE, epochs=epochs, minibatches=minibatches, hidden=HIDDEN)
    made = make_learner(dataclasses.replace(resolve("paper-a", "ppo", steps=1_000_000), learner=learner))
    key = stream_key(0, 1)
    start = jax.jit(lambda key: made.agent.init(key, made.params)).lower(key).compile()
    update = jax.jit(lambda state: made.agent.update(state, made.params)[0], donate_argnums=0)
    state = jax.eval_shape(lambda key: made.agent.init(key, made.params), key)
    policy = made.agent.policy
    return (start, jax.jit(policy.mode)), update.lower(state).compile()


def ours(start: tuple[Any, Any], more: Any, seed: int) -> tuple[Callable[[], None], Callable[[Any], Any]]:
    """(train one update, mean actions) of a seed."""
    begin, mode = start
    state = begin(stream_key(seed, 1))

    def train() -> None:
        nonlocal state
        state = jax.block_until_ready(more(state))

    return train, lambda obs: mode(state.params, obs)


def theirs(
    peer: str, rate: float, horizon: int, log_std: float, seed: int
) -> tuple[Callable[[], None], Callable[[Any], Any]]:
    """(train one update, mean actions) of a seed of the peer's PPO, on the NumPy environment."""
    learner = importlib.import_module(PACKAGES[peer]).PPO(
        "MlpPolicy", NumpyVecEnv(ENVS, horizon, seed), learning_rate=rate, n_steps=UPDATE // ENVS, batch_size=BATCH,
        n_epochs=EPOCHS, gamma=0.0, policy_kwargs={"net_arch": list(HIDDEN), "log_std_init": log_std}, device="cpu",
        seed=seed,
    )  # fmt: skip

    def train() -> None:
        learner.learn(UPDATE, log_interval=None, reset_num_timesteps=False)

    return train, lambda obs: SCALE * learner.predict(obs, deterministic=True)[0]
