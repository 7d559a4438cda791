"""`thzjax watch`."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from thzjax.commands.shared import OK, Json, Run, check_writable, printer, write_json
from thzjax.errors import ConfigError

if TYPE_CHECKING:
    from thzjax.experiment.runs import RunState
    from thzjax.experiment.tensorboard import EventFiles

PATIENCE_S = 20.0
"""How long a run whose folder is there may take to begin."""
BETWEEN_LINES_S = 10.0


def watch(
    run: Run,
    /,
    once: bool = False,
    interval: float = 2.0,
    tensorboard: bool = False,
    json: Json = None,
) -> int:
    """Watch a run that another process trains: progress, rates, violations, multipliers, time left.

    It reads the run's folder alone, also over a shared file system, and changes nothing about the run; it ends when the
    run does. Of a finished or interrupted run it shows how it stands. Where the output is no terminal it writes a line
    now and then.

    Examples:
      thzjax watch runs/demo
      thzjax watch runs/demo --once
      thzjax watch runs/demo --json -
      thzjax watch runs/demo --tensorboard

    Args:
      run: run folder, or folder of runs side by side.
      once: show how it stands, and end.
      interval: seconds between two looks, 0.1 to 3600.
      tensorboard: write event files for TensorBoard into the folder of every run, from the beginning and as records
        come; `tensorboard --logdir RUN` shows them. Needs the extra: pip install "thzjax[tensorboard]".
      json: write how the runs stand as a JSON list, and end; "-" is the standard output.
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # nothing is computed here: the accelerator is the run's
    from thzjax.experiment.runs import RUNNING, states_in

    if not 0.1 <= interval <= 3600:
        raise ConfigError(f"interval={interval} must lie in 0.1..3600 seconds")
    check_writable(json)
    events = _events(run) if tensorboard else None
    states = states_in(run)
    if events:
        events.write()
    if once or json is not None:
        printer(json)("\n".join(_lines(run, states)))
        write_json([state.numbers() for state in states], json)
    else:
        show, leave = _screen(run)
        try:
            patient_until = time.monotonic() + PATIENCE_S
            show(states)
            while any(s.state == RUNNING for s in states) or _may_begin(states, patient_until):
                time.sleep(interval)
                states = states_in(run)
                if events:
                    events.write()
                show(states)
        finally:
            leave(states)
    if events:
        events.stop()
        printer(json)(f"events: tensorboard --logdir {run}")
    return OK


def _may_begin(states: Sequence["RunState"], until: float) -> bool:
    """Whether a run whose folder was made a moment ago may still begin."""
    from thzjax.experiment.runs import NOT_BEGUN

    return time.monotonic() < until and any(state.state == NOT_BEGUN and _new(state.folder) for state in states)


def _new(folder: Path) -> bool:
    return time.time() - (folder / "config.json").stat().st_mtime < 3 * PATIENCE_S


def _events(run: Path) -> "EventFiles":
    from thzjax.experiment.learned import runs_in
    from thzjax.experiment.tensorboard import EventFiles

    return EventFiles([folder for runs in runs_in(run).values() for folder in runs])


def _lines(run: Path, states: Sequence["RunState"]) -> list[str]:
    from thzjax.experiment.watching import view

    return view(run, states, min(shutil.get_terminal_size().columns, 100))


def _screen(run: Path) -> tuple[Callable[[Sequence["RunState"]], None], Callable[[Sequence["RunState"]], None]]:
    """(what shows the runs, what leaves the screen with them): in place on a terminal, else line by line."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        from rich.live import Live
        from rich.text import Text

        live = Live(console=console, auto_refresh=False)
        live.start()
        return lambda states: live.update(Text("\n".join(_lines(run, states))), refresh=True), lambda _: live.stop()
    return _in_lines(), lambda states: print("\n".join(_lines(run, states)), flush=True)


def _in_lines() -> Callable[[Sequence["RunState"]], None]:
    """Says a line now and then, where there is something new."""
    from thzjax.experiment.watching import one_line

    last, said = -BETWEEN_LINES_S, ""

    def show(states: Sequence["RunState"]) -> None:
        nonlocal last, said
        line = one_line(states)
        if line != said and time.monotonic() - last >= BETWEEN_LINES_S:
            last, said = time.monotonic(), line
            print(line, flush=True)

    return show
