"""Event files for TensorBoard, made from what runs record, and so neither part of a run nor a change to it."""

import contextlib
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thzjax.errors import ConfigError
from thzjax.experiment.files import read_records

FOLDER = "tensorboard"
COUNTS = ("record", "updates", "env_steps")
"""Fields of a record that count it; environment steps are TensorBoard's steps."""


def require_tensorboard() -> Any:
    """(Event, Summary, RecordWriter) of the package `tensorboard`, which brings no TensorFlow.

    Raises:
      ConfigError: it is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise ConfigError(
            f"TensorBoard is not installed here ({error}): pip install 'thzjax[tensorboard]', or leave it out"
        ) from None
    return Event, Summary, RecordWriter


class EventFiles:
    """Follows runs and keeps `tensorboard/` of each run's folder up to date: `tensorboard --logdir RUN` shows it.

    What is there from before is replaced, as a resumed run makes the same records again. Of a full disk it is said once
    that there are no more events; the run says for itself what that means to it.
    """

    def __init__(self, runs: Sequence[Path]) -> None:
        require_tensorboard()
        self._runs = runs
        self._open = contextlib.ExitStack()
        self._writers: dict[Path, Any] = {}
        self._written = dict.fromkeys(runs, -1)
        self._failed = False

    def start(self, config: Any, done: int, runs: int = 1) -> None:
        """Write what there is already."""
        self.write()

    def update(self, *record: Any) -> None:
        """Write what is new."""
        self.write()

    def stop(self) -> None:
        """Write what is left, and close the files."""
        self.write()
        self._open.close()

    def write(self) -> None:
        """Write the records that are not in the event files yet."""
        if self._failed:
            return
        try:
            for run in self._runs:
                self._write(run)
        except OSError as error:
            self._failed = True
            warnings.warn(f"no more events are written for TensorBoard ({error})", stacklevel=2)

    def _write(self, run: Path) -> None:
        new = [record for record in read_records(run / "metrics.jsonl") if record["record"] > self._written[run]]
        if not new:
            return
        Event, Summary, RecordWriter = require_tensorboard()
        clock = _clock(run)
        if run not in self._writers:
            self._writers[run] = RecordWriter(self._open.enter_context(_fresh(run / FOLDER)))
            opening = Event(wall_time=clock.get(0, time.time()), file_version="brain.Event:2")
            self._writers[run].write(opening.SerializeToString())
        for record in new:
            values = [Summary.Value(tag=name, simple_value=x) for name, x in record.items() if name not in COUNTS]
            event = Event(step=record["env_steps"], summary=Summary(value=values))
            event.wall_time = clock.get(record["record"], time.time())
            self._writers[run].write(event.SerializeToString())
            self._written[run] = record["record"]
        self._writers[run].flush()


def _fresh(folder: Path) -> Any:
    """A new event file in a folder, instead of those that are there."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.tfevents.*"):
        old.unlink()
    return (folder / f"events.out.tfevents.{int(time.time()):010d}.thzjax").open("wb")


def _clock(run: Path) -> dict[int, float]:
    """When each record was made [s since 1970], as if the run had gone on without a break from when its folder was."""
    took = {line["record"]: line["seconds"] for line in read_records(run / "timing.jsonl") if "seconds" in line}
    now, clock = (run / "config.json").stat().st_mtime, {}
    for record in range(max(took, default=0) + 1):
        now += took.get(record, 0.0)
        clock[record] = now
    return clock
