"""The training loop: compiled chunks with a thin host loop that logs, saves and can be interrupted between them."""

import contextlib
import json
import math
import platform
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import thzjax
from thzjax import distributed
from thzjax.errors import ConfigError
from thzjax.experiment.checkpoint import SCORE, Checkpoints
from thzjax.experiment.config import RunConfig, config_json
from thzjax.experiment.files import FULL, append_record, read_metrics, read_records, rewrite_records, write_atomically
from thzjax.experiment.learned import TOGETHER, write_together
from thzjax.experiment.lock import LOCK, hold
from thzjax.experiment.memory import check_fits
from thzjax.experiment.sweep_spec import parse_sweep
from thzjax.experiment.together import expand, make_together
from thzjax.parallel import all_rows, own_rows

STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit status after a signal that stops a run between two chunks: Ctrl-C, and what a scheduler sends."""


class Diverged(RuntimeError):
    """A metric is no longer finite; the last good state is saved."""


class Unwritable(RuntimeError):
    """A file of the run could not be written, as on a full disk; what was complete before still is."""


def environment_record(command: str | None = None) -> dict[str, Any]:
    """What this runs on, and the command that made it: by default this process's own."""
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
        "command": command or " ".join(["thzjax", *sys.argv[1:]]),
    }


def refuse_existing(folder: Path) -> None:
    """Refuse a folder that has something in it.

    Raises:
      ConfigError: it exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(path.name != LOCK for path in folder.iterdir())):
        begun = (folder / "config.json").exists() or (folder / TOGETHER).exists()
        way = f"go on with it by `thzjax train --resume {folder}`" if begun else "delete it (it holds no run)"
        raise ConfigError(f"{folder} exists: choose another --out, or {way}")


def create_run_folder(folder: Path, config: RunConfig, command: str | None = None) -> None:
    """Make a run folder with its configuration, and the command that a report names.

    Raises:
      ConfigError: it exists and is not empty.
    """
    refuse_existing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder):
        refuse_existing(folder)  # another process may have been quicker
        write_atomically(
            folder / "environment.json",
            json.dumps(environment_record(command) | {"seed": config.seed}, indent=2) + "\n",
        )
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
      TooLarge: training needs more memory than is free; nothing has begun.
      Diverged: a metric of some run stopped being finite; the others have gone on to the end.
    """
    if len(configs) > 1 and jax.process_count() > 1:
        raise ConfigError("several processes train one run of several workers: train runs side by side in one process")
    together = make_together(configs, devices)
    runs = [_Run(config, folder) for config, folder in zip(configs, folders, strict=True)]
    config, records = configs[0], configs[0].records
    with contextlib.ExitStack() as stack:
        interrupt = stack.enter_context(_Interrupt())
        distributed.first_does(lambda: _open(runs, stack))
        # Before anything is allocated: a program that does not fit is refused by what its compiler tells.
        start = jax.eval_shape(together.init)
        channels = together.validation_channels()
        # Numbers travel between processes as they are at least 0: 0 is "nothing begun".
        done = distributed.tell(distributed.first_does(lambda: _common_record(runs) + 1)) - 1
        if done >= 0:
            likes = jax.eval_shape(together.split, start)
            states = [run.load(like, done) for run, like in zip(runs, likes, strict=True)]
            distributed.first_does(lambda: _rewind(runs, done))
        if done == records:
            return 0
        if distributed.first():
            progress.start(config, max(done, 0), len(runs))
            stack.callback(progress.stop)
        begin = time.perf_counter()
        chunk = together.chunk.lower(start, channels).compile()
        compile_s = time.perf_counter() - begin
        check_fits(chunk, config.learner.num_envs, config.learner.env_chunk)
        if done < 0:
            states = together.split(together.init(channels))
            untrained = together.split(together.validate(together.join(states), channels))
            distributed.first_does(lambda: _begin(runs, states, [_numbers(metrics) for metrics in untrained]))
            done = 0
        state = own_rows(together.join(states))
        distributed.first_does(lambda: _note(runs, {"record": done, "compile_s": round(compile_s, 3)}))
        steps_per_record = config.updates_per_record * config.learner.steps_per_update
        for record in range(done + 1, records + 1):
            begin = time.perf_counter()
            state, metrics = chunk(state, channels)
            numbers = [_numbers(m) for m in together.split(metrics)]
            seconds = time.perf_counter() - begin
            rate = steps_per_record / seconds
            timing = {"record": record, "seconds": round(seconds, 4), "env_steps_per_s": round(rate)}
            timing |= {"runs": len(runs)} if len(runs) > 1 else {}
            for run, n in zip(runs, numbers, strict=True):
                run.look(record, n)
            shown = distributed.first_does(lambda r=record, n=numbers: _log(runs, r, n))
            distributed.first_does(lambda t=timing: _note(runs, t))
            if all(run.diverged for run in runs):
                break
            if distributed.first():
                mean = {name: sum(m[name] for m in shown) / len(shown) for name in shown[0]} if shown else numbers[0]
                progress.update(record, mean, len(runs) * rate, (records - record) * seconds)
            asked = distributed.agree(interrupt.asked)
            if asked or record == records or record % config.records_per_checkpoint == 0:
                whole = together.split(all_rows(state))
                distributed.first_does(lambda r=record, w=whole, n=numbers: _save(runs, r, w, n))
            if asked and record < records:
                return asked
    if complaints := [run.diverged for run in runs if run.diverged]:
        raise Diverged("; ".join(complaints))
    return 0


class _Run:
    """One run's files, of which process 0 keeps the books.

    Attributes:
      diverged: what to say, once a number is no longer finite; every process knows.
      saved: record of the last complete checkpoint.
    """

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.metrics, self.timing = folder / "metrics.jsonl", folder / "timing.jsonl"
        self.checkpoints: Any = None
        self.diverged = ""
        self.saved: int | None = None
        self._episodes = 0.0

    def begin(self, state: Any, untrained: dict[str, float]) -> None:
        """The first record and checkpoint, of the untrained policy."""
        if len(read_records(self.metrics)) > 1:
            raise ConfigError(f"{self.checkpoints.folder} holds no checkpoint: start the run again with a new --out")
        first = {"record": 0, "updates": 0, "env_steps": 0, "episodes": 0}
        rewrite_records(self.metrics, [first | untrained])
        self.save(0, state, untrained[SCORE])

    def load(self, like: Any, record: int) -> Any:
        """The carry at a record."""
        with Checkpoints(self.folder) as checkpoints:
            _, state = checkpoints.load(like, self.config, record)
        return state

    def rewind(self, record: int) -> None:
        """Forget the records after that one; they will be made again, to the same bits."""
        kept = [r for r in read_metrics(self.metrics) if r["record"] <= record]
        if [r["record"] for r in kept] != list(range(record + 1)):
            raise ConfigError(f"{self.metrics} lacks records before checkpoint {record}: put back a copy of it")
        rewrite_records(self.metrics, kept)
        self.saved, self._episodes = record, kept[-1]["episodes"]

    def look(self, record: int, numbers: dict[str, float]) -> None:
        """Complete a record's numbers, and note whether the run has diverged."""
        threshold = getattr(self.config.scenario, "pattern_threshold", None)
        if threshold is not None and "slack/beam_pattern" in numbers:
            numbers["pattern_error"] = threshold * (1 - numbers["slack/beam_pattern"])
        if bad := [name for name, value in numbers.items() if not math.isfinite(value)]:
            good = "" if self.saved is None else f"; checkpoint {self.saved} is the last good one"
            self.diverged = self.diverged or (
                f"training of {self.folder} diverged by update {record * self.config.updates_per_record}: {bad[0]} is "
                f"not finite{good}; start anew with a lower actor_rate"
            )

    def log(self, record: int, numbers: dict[str, float]) -> dict[str, float]:
        """Append a record."""
        self._episodes += numbers["episodes"]
        updates = record * self.config.updates_per_record
        counts = {
            "record": record,
            "updates": updates,
            "env_steps": updates * self.config.learner.steps_per_update,
            "episodes": int(self._episodes),
        }
        line = counts | {name: value for name, value in numbers.items() if name != "episodes"}
        append_record(self.metrics, line)
        return line

    def save(self, record: int, state: Any, score: float) -> None:
        """Save the carry, by which it is safe."""
        self.checkpoints.save(record, state, self.config, score)
        self.saved = record


# --- what process 0 does with the files of all runs while the others wait


@contextlib.contextmanager
def _on_disk(runs: Sequence[_Run]) -> Iterator[None]:
    """Say in one line what cannot be written, and from where the runs can go on."""
    try:
        yield
    except OSError as error:
        where = runs[0].folder if len(runs) == 1 else runs[0].folder.parent
        cure = "free some space there" if error.errno in FULL else "mend that"
        safe = "nothing is saved yet" if runs[0].saved is None else f"all is safe up to checkpoint {runs[0].saved}"
        raise Unwritable(
            f"{error.filename or where} cannot be written ({error.strerror or error}): {safe}; {cure}, then go on "
            f"with: thzjax train --resume {where}"
        ) from error


def _open(runs: Sequence[_Run], stack: contextlib.ExitStack) -> None:
    with _on_disk(runs):
        for run in runs:
            stack.enter_context(hold(run.folder))
            run.checkpoints = stack.enter_context(Checkpoints(run.folder))


def _begin(runs: Sequence[_Run], states: Sequence[Any], untrained: Sequence[dict[str, float]]) -> None:
    with _on_disk(runs):
        for run, state, numbers in zip(runs, states, untrained, strict=True):
            run.begin(state, numbers)


def _rewind(runs: Sequence[_Run], record: int) -> None:
    with _on_disk(runs):
        for run in runs:
            run.rewind(record)


def _note(runs: Sequence[_Run], timing: dict[str, Any]) -> None:
    with _on_disk(runs):
        for run in runs:
            append_record(run.timing, timing)


def _log(runs: Sequence[_Run], record: int, numbers: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    with _on_disk(runs):
        return [run.log(record, n) for run, n in zip(runs, numbers, strict=True) if not run.diverged]


def _save(runs: Sequence[_Run], record: int, states: Sequence[Any], numbers: Sequence[dict[str, float]]) -> None:
    with _on_disk(runs):
        for run, state, n in zip(runs, states, numbers, strict=True):
            if not run.diverged:
                run.save(record, state, n[SCORE])


def _common_record(runs: Sequence[_Run]) -> int:
    """The newest record that every run has a checkpoint of; -1 where nothing was begun.

    Raises:
      ConfigError: runs that have checkpoints, but none in common.
    """
    if all(run.checkpoints.latest() is None for run in runs):
        return -1
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
