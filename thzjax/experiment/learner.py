"""A run's parts, and one compiled record of its training."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from thzjax.agents.base import Agent
from thzjax.envs.environment import Environment
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import RunConfig, make_agent, make_environment
from thzjax.experiment.evaluation import TRAIN, VALIDATION, PolicyRule, draw_channels, judge, stream_key
from thzjax.experiment.recorded import Recorded, any_of, recorded
from thzjax.systems.scenario import build


@dataclasses.dataclass(frozen=True)
class Learner:
    """A run's parts, made from its configuration; `devices` is what its agent was made for."""

    config: RunConfig
    env: Environment
    params: Any
    agent: Agent
    devices: int = 1

    def begin(self, channels: Any = None) -> Any:
        """The carry at the start; `channels` as `make_chunk`'s, which matter for a run on those of a file."""
        return self.on(channels).agent.init(stream_key(self.config.seed, TRAIN), self.params)

    def init(self, channels: Any = None) -> Any:
        """The same, compiled."""
        return jax.jit(lambda given: self.begin(given))(channels)

    def on(self, channels: Any) -> "Learner":
        """The learner whose episodes are recorded channels, which may be traced; the same one if none are given."""
        if not isinstance(channels, Recorded):
            return self
        # Closed over where it is traced, a file of channels is an argument of the program: no constant, and not copied
        # for every environment, as parameters in an observation are.
        env = dataclasses.replace(self.env, drops=functools.partial(any_of, channels.training))
        return dataclasses.replace(self, env=env, agent=make_agent(self.config, env, self.devices))


def run_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function compiled for few calls: on a CPU without LLVM's optimisations, in half the time.

    The start of DDPG on `paper-b` and its first validation take 3.5 and 4.1 s to compile, not 6.8 and 8.1 s, and run as
    long as before, 0.5 and 0.1 s.
    """
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=options)


def make_learner(config: RunConfig, devices: int = 1) -> Learner:
    """Build a run's parts; a configuration that cannot work is refused here, before anything is traced.

    With several devices the agent's update runs inside `parallel.on_devices`; its state is the same.
    """
    system, params = build(config.scenario)
    env = make_environment(config, system)
    return Learner(config, env, params, make_agent(config, env, devices), devices)


def draw_validation(learner: Learner) -> Any:
    """The channels that the learning curve is drawn on, with those that train where they are a file's (`Recorded`)."""
    config = learner.config
    if config.data is not None:
        return recorded(config, learner.env.system, learner.params)
    return draw_channels(
        learner.env.system, learner.params, config.validation_channels, config.validation_seed, VALIDATION
    )


def make_chunk(learner: Learner) -> Callable[[Any, Any], tuple[Any, dict[str, jax.Array]]]:
    """`(state, channels) -> (state, metrics)`: the updates of one record and a look at the validation channels.

    The channels are what `draw_validation` gives.
    """
    config, params = learner.config, learner.params

    def chunk(state: Any, channels: Any) -> tuple[Any, dict[str, jax.Array]]:
        agent = learner.on(channels).agent
        state, history = jax.lax.scan(
            lambda s, _: agent.update(s, params), state, None, length=config.updates_per_record
        )
        metrics = {name: jnp.mean(value.astype(float)) for name, value in history.items()}
        # Multipliers and ergodic variables are states: their last value is what holds now.
        last = {name: history[name][-1] for name in history if name.split("/")[0] in ("mu", "x_sum", "lambda_mean")}
        metrics |= last | {"episodes": jnp.sum(history["episodes"]).astype(float)}
        return state, metrics | validate(learner, state, channels)

    return chunk


def validate(learner: Learner, state: Any, channels: Any) -> dict[str, jax.Array]:
    """The deterministic policy on the validation channels."""
    channels = channels.validation if isinstance(channels, Recorded) else channels
    rule = PolicyRule(learner.env, learner.agent.policy, state.params)
    system, params = learner.env.system, learner.params
    design = rule(params, channels, stream_key(learner.config.validation_seed, VALIDATION))
    result = judge(system, params, channels, design)
    return {
        "validation/rate": jnp.mean(result.rate),
        "validation/rate_feasible": jnp.mean(result.rate_feasible),
        "validation/violation_rate": jnp.mean((~result.satisfied).astype(float)),
        "validation/violation_rate_feasible": jnp.mean((~result.satisfied_feasible).astype(float)),
    } | {f"validation/{name}": jnp.mean(value) for name, value in result.measures.items()}


def load_weights(config: RunConfig, folder: Path, checkpoint: str = "last") -> tuple[Learner, Any, Any]:
    """(learner, untrained weights, trained weights) of a run folder, of the checkpoint "last", "best" or a number."""
    learner, trained = load_trained(config, folder, checkpoint)
    return learner, _start(_of_any_seed(config), jax.config.jax_enable_x64)[1](stream_key(config.seed, TRAIN)), trained


def load_trained(config: RunConfig, folder: Path, checkpoint: str = "last") -> tuple[Learner, Any]:
    """(learner, trained weights), without the seconds that compiling the start takes."""
    learner = make_learner(config)
    # The carry's shapes are enough to load it.
    like, _ = _start(_of_any_seed(config), jax.config.jax_enable_x64)
    with Checkpoints(folder) as checkpoints:
        _, carry = checkpoints.load(like, config, checkpoints.find(checkpoint))
    return learner, carry.params


def _of_any_seed(config: RunConfig) -> RunConfig:
    return dataclasses.replace(config, seed=0)


@functools.lru_cache(maxsize=16)
def _start(config: RunConfig, x64: bool) -> tuple[Any, Callable[[Array], Any]]:
    """(shapes of the carry, key -> untrained weights): the seconds they take to trace are spent once for all seeds."""
    del x64  # shapes have types
    learner = make_learner(config)
    # Of the carry's start only the weights are computed.
    untrained = run_once(lambda key: learner.agent.init(key, learner.params).params)
    return jax.eval_shape(learner.agent.init, stream_key(config.seed, TRAIN), learner.params), untrained
