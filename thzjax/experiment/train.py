"""The training loop: compiled chunks with a thin host loop that logs, saves and can be interrupted between them."""

import contextlib
import json
import math
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import thzjax
from thzjax.errors import ConfigError
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import RunConfig, config_json
from thzjax.experiment.files import append_record, read_records, rewrite_records, write_atomically
from thzjax.experiment.learned import write_together
from thzjax.experiment.sweep_spec import parse_sweep
from thzjax.experiment.together import expand, make_together

STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit status after a signal that stops a run between two chunks: Ctrl-C, and what a scheduler sends."""


class Diverged(RuntimeError):
    """A metric is no longer finite; the last good state is saved."""


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


def refuse_existing(folder: Path) -> None:
    """Refuse a folder that has something in it.

    Raises:
      ConfigError: it exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"{folder} exists: choose another --out, or go on with it by `thzjax train --resume {folder}`"
        )


def create_run_folder(folder: Path, config: RunConfig) -> None:
    """Make a run folder with its configuration.

    Raises:
      ConfigError: it exists and is not empty.
    """
    refuse_existing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "environment.json", json.dumps(environment_record(config), indent=2) + "\n")
    write_atomically(folder / "config.json", config_json(config))


def create_runs(
    folder: Path, config: RunConfig, seeds: int, sweep: Sequence[str], devices: int | None = None
) -> dict[Path, RunConfig]:
    """Make the folders of runs side by side in one folder: `seeds` of each value that `--sweep` texts list.

    Raises:
      ConfigError: the folder is not empty, a sweep that cannot be, or runs that cannot share a program.
    """
    labels = expand(config, seeds, [parse_sweep(text) for text in sweep])
    runs = {folder / name: run for named in labels.values() for name, run in named.items()}
    refuse_existing(folder)
    make_together(list(runs.values()), devices)
    for path, run in runs.items():
        create_run_folder(path, run)
    write_together(folder, {label: list(named) for label, named in labels.items()})
    return runs


def run_training(config: RunConfig, folder: Path, progress: Any, devices: int | None = None) -> int:
    """Train one run to the end; see `run_together`, which does the same for several at once."""
    return run_together([config], [folder], progress, devices)


def run_together(
    configs: Sequence[RunConfig], folders: Sequence[Path], progress: Any, devices: int | None = None
) -> int:
    """Train runs side by side to the end from wherever their folders stand; the status is 0, or one of `STOPS`.

    Several runs are one program, `vmap`ped over what tells them apart (`experiment.together`). Every number in
    `metrics.jsonl` follows from the configurations alone, so two runs agree to the byte, and so does a run that was
    killed and resumed; clock times go to `timing.jsonl`.

    Args:
      configs: the resolved configurations, already in the folders.
      folders: the run folders.
      progress: `start(config, done, runs)`, `update(record, metrics, steps_per_second, seconds_left)` with the mean
        metrics of the runs, `stop()`.
      devices: how many local ones the workers of a single run are spread over; by default as many as divide them. A
        run may go on with another number, and then agrees to rounding.

    Raises:
      ConfigError: a checkpoint that cannot be used, or runs that differ in more than one program can hold.
      Diverged: a metric of some run stopped being finite; the others have gone on to the end.
    """
    together = make_together(configs, devices)
    runs = [_Run(config, folder) for config, folder in zip(configs, folders, strict=True)]
    config, records = configs[0], configs[0].records
    with contextlib.ExitStack() as stack:
        for run in runs:
            stack.enter_context(run.checkpoints)
        interrupt = stack.enter_context(_Interrupt())
        states = together.split(together.init())
        channels = together.validation_channels()
        done = _common_record(runs)
        if done is None:
            untrained = together.validate(together.join(states), channels)
            for run, state, metrics in zip(runs, states, together.split(untrained), strict=True):
                run.begin(state, _numbers(metrics))
            done = 0
        else:
            states = [run.resume(state, done) for run, state in zip(runs, states, strict=True)]
        if done == records:
            return 0
        progress.start(config, done, len(runs))
        begin = time.perf_counter()
        state = together.join(states)
        chunk = together.chunk.lower(state, channels).compile()
        for run in runs:
            append_record(run.timing, {"record": done, "compile_s": round(time.perf_counter() - begin, 3)})
        stack.callback(progress.stop)
        steps_per_record = config.updates_per_record * config.learner.steps_per_update
        for record in range(done + 1, records + 1):
            begin = time.perf_counter()
            state, metrics = chunk(state, channels)
            numbers = [_numbers(m) for m in together.split(metrics)]
            seconds = time.perf_counter() - begin
            shown = [run.log(record, n) for run, n in zip(runs, numbers, strict=True) if not run.diverged]
            rate = steps_per_record / seconds
            for run in runs:
                timing = {"record": record, "seconds": round(seconds, 4), "env_steps_per_s": round(rate)}
                append_record(run.timing, timing | ({"runs": len(runs)} if len(runs) > 1 else {}))
            if all(run.diverged for run in runs):
                break
            shown = [metrics for metrics in shown if metrics is not None]
            mean = {name: sum(m[name] for m in shown) / len(shown) for name in shown[0]} if shown else numbers[0]
            progress.update(record, mean, len(runs) * rate, (records - record) * seconds)
            last = record == records or interrupt.asked
            if last or record % config.records_per_checkpoint == 0:
                for run, one in zip(runs, together.split(state), strict=True):
                    if not run.diverged:
                        run.checkpoints.save(record, one, run.config)
            if interrupt.asked and record < records:
                return interrupt.asked
    if complaints := [run.diverged for run in runs if run.diverged]:
        raise Diverged("; ".join(complaints))
    return 0


class _Run:
    """One run's files."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.metrics, self.timing = folder / "metrics.jsonl", folder / "timing.jsonl"
        self.checkpoints = Checkpoints(folder)
        self.diverged = ""
        self._episodes = 0.0

    def begin(self, state: Any, untrained: dict[str, float]) -> None:
        """The first record and checkpoint, of the untrained policy."""
        if len(read_records(self.metrics)) > 1:
            raise ConfigError(f"{self.checkpoints.folder} holds no checkpoint: start the run again with a new --out")
        first = {"record": 0, "updates": 0, "env_steps": 0, "episodes": 0}
        rewrite_records(self.metrics, [first | untrained])
        self.checkpoints.save(0, state, self.config)

    def resume(self, like: Any, record: int) -> Any:
        """The carry at a record; later records will be made again, to the same bits."""
        _, state = self.checkpoints.load(like, self.config, record)
        rewrite_records(self.metrics, [r for r in read_records(self.metrics) if r["record"] <= record])
        self._episodes = read_records(self.metrics)[-1]["episodes"]
        return state

    def log(self, record: int, numbers: dict[str, float]) -> dict[str, float] | None:
        """Append a record, or note that the run has diverged and return nothing."""
        threshold = getattr(self.config.scenario, "pattern_threshold", None)
        if threshold is not None and "slack/beam_pattern" in numbers:
            numbers["pattern_error"] = threshold * (1 - numbers["slack/beam_pattern"])
        bad = [name for name, value in numbers.items() if not math.isfinite(value)]
        if bad:
            self.diverged = (
                f"training of {self.folder} diverged by update {record * self.config.updates_per_record}: {bad[0]} is "
                f"not finite; checkpoint {self.checkpoints.latest()} is the last good one; start anew with a lower "
                "actor_rate"
            )
            return None
        self._episodes += numbers.pop("episodes")
        updates = record * self.config.updates_per_record
        counts = {
            "record": record,
            "updates": updates,
            "env_steps": updates * self.config.learner.steps_per_update,
            "episodes": int(self._episodes),
        }
        append_record(self.metrics, counts | numbers)
        return counts | numbers


def _common_record(runs: Sequence[_Run]) -> int | None:
    """The newest record that every run has a checkpoint of; none where nothing was begun.

    Raises:
      ConfigError: runs that have checkpoints, but none in common.
    """
    if all(run.checkpoints.latest() is None for run in runs):
        return None
    common = set.intersection(*(set(run.checkpoints.records()) for run in runs))
    if not common:
        raise ConfigError(f"the runs in {runs[0].folder.parent} share no checkpoint: resume them one by one")
    return max(common)


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """Host floats."""
    return {name: float(np.asarray(value)) for name, value in jax.device_get(metrics).items()}


class _Interrupt:
    """Turns the first signal of `STOPS` into a request to stop after the present chunk; a second Ctrl-C stops at once.

    `asked` is the status to end with, 0 while nothing was asked.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[signal.Signals, Any] = {}

    def _handle(self, number: int, frame: Any) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = self.asked or STOPS[signal.Signals(number)]

    def __enter__(self) -> "_Interrupt":
        try:
            self._before = {number: signal.signal(number, self._handle) for number in STOPS}
        except ValueError:  # not the main thread: a notebook's kernel handles Ctrl-C itself
            self._before = {}
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
