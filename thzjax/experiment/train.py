"""The training loop: compiled chunks with a thin host loop that logs, saves and can be interrupted between them."""

import dataclasses
import json
import math
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thzjax
from thzjax.agents.base import Agent
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import RunConfig, config_json, make_agent, make_environment
from thzjax.experiment.evaluation import TRAIN, VALIDATION, draw_channels, judge, policy_rule, stream_key
from thzjax.experiment.files import append_record, read_records, rewrite_records, write_atomically
from thzjax.systems.scenario import build

INTERRUPTED = 130


class Diverged(RuntimeError):
    """A metric is no longer finite; the last good state is saved."""


@dataclasses.dataclass(frozen=True)
class Learner:
    """A run's parts, made from its configuration."""

    config: RunConfig
    env: Environment
    params: Any
    agent: Agent

    def init(self) -> Any:
        """The carry at the start."""
        return jax.jit(self.agent.init)(stream_key(self.config.seed, TRAIN), self.params)


def make_learner(config: RunConfig) -> Learner:
    """Build a run's parts; a configuration that cannot work is refused here, before anything is traced."""
    system, params = build(config.scenario)
    env = make_environment(config, system)
    return Learner(config, env, params, make_agent(config, env))


def make_chunk(learner: Learner) -> Callable[[Any, Any], tuple[Any, dict[str, jax.Array]]]:
    """`(state, validation channels) -> (state, metrics)`: the updates of one record and a look at validation."""
    config, params, agent = learner.config, learner.params, learner.agent

    def chunk(state: Any, channels: Any) -> tuple[Any, dict[str, jax.Array]]:
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
    rule = policy_rule(learner.env, learner.agent.policy, state.params)
    system, params = learner.env.system, learner.params
    design = rule(params, channels, stream_key(learner.config.validation_seed, VALIDATION))
    result = judge(system, params, channels, design)
    return {
        "validation/rate": jnp.mean(result.rate),
        "validation/rate_feasible": jnp.mean(result.rate_feasible),
        "validation/violation_rate": jnp.mean((~result.satisfied).astype(float)),
        "validation/violation_rate_feasible": jnp.mean((~result.satisfied_feasible).astype(float)),
    } | {f"validation/{name}": jnp.mean(value) for name, value in result.measures.items()}


def environment_record(config: RunConfig) -> dict[str, Any]:
    """What the run ran on."""
    import flax
    import optax

    return {
        "thzjax": thzjax.__version__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "flax": flax.__version__,
        "optax": optax.__version__,
        "device": f"{jax.devices()[0].device_kind} ({jax.default_backend()})",
        "platform": platform.platform(),
        "seed": config.seed,
        "command": " ".join(["thzjax", *sys.argv[1:]]),
    }


def create_run_folder(folder: Path, config: RunConfig) -> None:
    """Make a run folder with its configuration.

    Raises:
      ConfigError: it exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"{folder} exists: choose another --out, or go on with it by `thzjax train --resume {folder}`"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "environment.json", json.dumps(environment_record(config), indent=2) + "\n")
    write_atomically(folder / "config.json", config_json(config))


def run_training(config: RunConfig, folder: Path, progress: Any) -> int:
    """Train to the end from wherever the folder stands; the exit status is 0, or 130 after Ctrl-C.

    Every number in `metrics.jsonl` follows from the configuration alone, so two runs agree to the byte, and so does
    a run that was killed and resumed; clock times go to `timing.jsonl`.

    Args:
      config: the resolved configuration, already in the folder.
      folder: the run folder.
      progress: `start(config, done)`, `update(record, metrics, steps_per_second, seconds_left)`, `stop()`.

    Raises:
      ConfigError: a checkpoint that cannot be used.
      Diverged: a metric stopped being finite.
    """
    learner = make_learner(config)
    metrics_file, timing_file = folder / "metrics.jsonl", folder / "timing.jsonl"
    state = learner.init()
    channels = draw_channels(learner.env.system, learner.params, config.validation_channels,
                             config.validation_seed, VALIDATION)  # fmt: skip
    with Checkpoints(folder) as checkpoints, _Interrupt() as interrupt:
        done = 0
        if checkpoints.latest() is not None:
            done, state = checkpoints.load(state, config)
            # Records past the checkpoint will be made again, to the same bits.
            rewrite_records(metrics_file, [r for r in read_records(metrics_file) if r["record"] <= done])
        elif len(read_records(metrics_file)) > 1:
            raise ConfigError(f"{checkpoints.folder} holds no checkpoint: start the run again with a new --out")
        else:
            first = {"record": 0, "updates": 0, "env_steps": 0, "episodes": 0}
            untrained = jax.jit(lambda s, c: validate(learner, s, c))(state, channels)
            rewrite_records(metrics_file, [first | _numbers(untrained)])
            checkpoints.save(0, state, config)
        if done == config.records:
            return 0
        progress.start(config, done)
        begin = time.perf_counter()
        chunk = jax.jit(make_chunk(learner), donate_argnums=0).lower(state, channels).compile()
        append_record(timing_file, {"record": done, "compile_s": round(time.perf_counter() - begin, 3)})
        episodes = read_records(metrics_file)[-1]["episodes"]
        steps_per_record = config.updates_per_record * config.learner.steps_per_update
        try:
            for record in range(done + 1, config.records + 1):
                begin = time.perf_counter()
                state, metrics = chunk(state, channels)
                numbers = _numbers(metrics)
                threshold = getattr(config.scenario, "pattern_threshold", None)
                if threshold is not None and "slack/beam_pattern" in numbers:
                    numbers["pattern_error"] = threshold * (1 - numbers["slack/beam_pattern"])
                seconds = time.perf_counter() - begin
                bad = [name for name, value in numbers.items() if not math.isfinite(value)]
                if bad:
                    raise Diverged(
                        f"training diverged by update {record * config.updates_per_record}: {bad[0]} is not finite; "
                        f"checkpoint {checkpoints.latest()} is the last good one; start anew with a lower actor_rate"
                    )
                episodes += numbers.pop("episodes")
                counts = {
                    "record": record,
                    "updates": record * config.updates_per_record,
                    "env_steps": record * steps_per_record,
                    "episodes": int(episodes),
                }
                append_record(metrics_file, counts | numbers)
                rate = steps_per_record / seconds
                timing = {"record": record, "seconds": round(seconds, 4), "env_steps_per_s": round(rate)}
                append_record(timing_file, timing)
                progress.update(record, counts | numbers, rate, (config.records - record) * seconds)
                last = record == config.records or interrupt.asked
                if last or record % config.records_per_checkpoint == 0:
                    checkpoints.save(record, state, config)
                if interrupt.asked and record < config.records:
                    return INTERRUPTED
        finally:
            progress.stop()
    return 0


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """Host floats."""
    return {name: float(np.asarray(value)) for name, value in jax.device_get(metrics).items()}


class _Interrupt:
    """Turns the first Ctrl-C into a request to stop after the present chunk; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def _handle(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> "_Interrupt":
        try:
            self._before = signal.signal(signal.SIGINT, self._handle)
        except ValueError:  # not the main thread: a notebook's kernel handles Ctrl-C itself
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def load_weights(config: RunConfig, folder: Path) -> tuple[Learner, Any, Any]:
    """(learner, untrained weights, trained weights) of a run folder."""
    learner = make_learner(config)
    # The carry's shapes are enough to load it; of its start only the weights are computed.
    like = jax.eval_shape(learner.agent.init, stream_key(config.seed, TRAIN), learner.params)
    untrained = jax.jit(lambda key: learner.agent.init(key, learner.params).params)(stream_key(config.seed, TRAIN))
    with Checkpoints(folder) as checkpoints:
        _, trained = checkpoints.load(like, config)
    return learner, untrained, trained.params
