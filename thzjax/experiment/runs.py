"""How runs stand, from their folders alone: also those that another process trains, and those that nobody does."""

import dataclasses
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thzjax.errors import ConfigError
from thzjax.experiment.checkpoint import SCORE
from thzjax.experiment.config import read_config
from thzjax.experiment.files import read_records
from thzjax.experiment.learned import TOGETHER, runs_in
from thzjax.experiment.lock import holder

RUNNING, INTERRUPTED, FINISHED, NOT_BEGUN = "running", "interrupted", "finished", "not begun"
UNREADABLE = "unreadable"
DEEPEST = 3
"""Folders between the one that is searched and a run."""
RECENT = 5
"""Records whose median time says how long the next ones take."""


@dataclasses.dataclass(frozen=True)
class RunState:
    """How a run stands.

    Attributes:
      folder, label: the run's folder, and what tells it from others of its group that differ in more than the seed.
      state: "running" (a process holds the folder's lock), "finished", "interrupted" (`--resume` goes on with it),
        "not begun" or "unreadable".
      why: what holds it, or why it is unreadable.
      agent, policy, preset, seed: of its configuration; empty and 0 where it is unreadable.
      record, records: the last record and how many there will be.
      env_steps, steps: environment steps so far, and of the whole run.
      metrics: the last record.
      curve: feasible rate on the validation channels [bit/s/Hz], record by record.
      steps_per_second: environment steps a second lately; of runs side by side, of all of them.
      seconds_left: if it goes on like that; none where that is not known.
    """

    folder: Path
    label: str
    state: str
    why: str = ""
    agent: str = ""
    policy: str = ""
    preset: str = ""
    seed: int = 0
    record: int = 0
    records: int = 0
    env_steps: int = 0
    steps: int = 0
    metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
    curve: tuple[float, ...] = ()
    steps_per_second: float | None = None
    seconds_left: float | None = None

    def numbers(self) -> dict[str, Any]:
        """What JSON says of it: everything but the curve."""
        row = dataclasses.asdict(self) | {"folder": str(self.folder), "feasible_rate": self.metrics.get(SCORE)}
        return {name: value for name, value in row.items() if name != "curve"}


def run_state(folder: Path, label: str = "") -> RunState:
    """How one run stands; of one that cannot be read it says why."""
    try:
        config = read_config(folder / "config.json")
        lines = [r for r in read_records(folder / "metrics.jsonl") if isinstance(r, dict) and SCORE in r]
        took = [r for r in read_records(folder / "timing.jsonl") if isinstance(r, dict) and "seconds" in r]
        seen = {int(r["record"]): (float(r[SCORE]), int(r["env_steps"]), r) for r in lines}
        lately = statistics.median(float(r["seconds"]) for r in took[-RECENT:]) if took else None
    except (ConfigError, OSError, ValueError, KeyError, TypeError) as error:
        return RunState(folder, label, UNREADABLE, str(error))
    record = max(seen, default=0)
    by = holder(folder)
    if by is not None:
        state = RUNNING
    elif not seen:
        state = NOT_BEGUN
    else:
        state = FINISHED if record >= config.records else INTERRUPTED
    per_record = config.learner.steps_per_update * config.updates_per_record
    return RunState(
        folder=folder,
        label=label,
        state=state,
        why="" if by is None else str(by),
        agent=config.agent,
        policy=config.policy,
        preset=config.preset,
        seed=config.seed,
        record=record,
        records=config.records,
        env_steps=seen[record][1] if seen else 0,
        steps=config.records * per_record,
        metrics=seen[record][2] if seen else {},
        curve=tuple(seen[n][0] for n in sorted(seen)),
        steps_per_second=per_record * took[-1].get("runs", 1) / lately if lately else None,
        seconds_left=lately * (config.records - record) if lately and state == RUNNING else None,
    )


def states_in(folder: Path) -> list[RunState]:
    """How the runs of a folder stand: of one trained alone, itself.

    Raises:
      ConfigError: it holds no run.
    """
    if not (folder / "config.json").exists() and not (folder / TOGETHER).exists():
        raise ConfigError(f"{folder} is no run folder: it has neither config.json nor {TOGETHER}")
    return [run_state(run, label) for label, runs in runs_in(folder).items() for run in runs]


def find_runs(root: Path) -> list[RunState]:
    """The runs in and under a folder, in the order of their names; none where there is no such folder."""
    found: list[RunState] = []
    for place, folders, files in os.walk(root):
        path = Path(place)
        folders.sort()
        if TOGETHER in files:
            try:
                found += states_in(path)
            except ConfigError as error:
                found.append(RunState(path, "", UNREADABLE, str(error)))
        elif "config.json" in files:
            found.append(run_state(path))
        elif len(path.relative_to(root).parts) < DEEPEST:
            continue
        folders.clear()
    return found


def pooled(states: Sequence[RunState]) -> RunState:
    """Runs side by side as one: the means of their last common record, and the state that is least done."""
    readable = [state for state in states if state.state != UNREADABLE]
    if len(readable) < 2:
        return readable[0] if readable else states[0]
    behind = min(readable, key=lambda state: state.record)
    order = (RUNNING, NOT_BEGUN, INTERRUPTED, FINISHED)
    worst = min(readable, key=lambda state: order.index(state.state))
    length = min(len(state.curve) for state in readable)
    names = set.intersection(*(set(state.metrics) for state in readable))
    means = {
        name: statistics.fmean(float(state.metrics[name]) for state in readable)
        for name in readable[0].metrics
        if name in names
    }
    return dataclasses.replace(
        behind,
        state=worst.state,
        why=worst.why,
        metrics=means,
        curve=tuple(statistics.fmean(s.curve[i] for s in readable) for i in range(length)),
        seconds_left=worst.seconds_left,
    )
