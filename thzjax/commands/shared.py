"""What commands share: the types of their arguments, exit statuses, and where they speak."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from thzjax.experiment.config import RunConfig

OK, FAILED, BAD_INPUT = 0, 1, 2

Overrides = Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="NAME=VALUE ...")]
Preset = Annotated[str, tyro.conf.Positional]
Runs = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...")]
Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def say(text: str) -> None:
    """Print on the standard error, where progress and complaints go."""
    print(text, file=sys.stderr, flush=True)


def progress(what: str) -> Callable[[str], None]:
    """Lines of progress under a title."""
    return lambda text: say(f"{what}: {text}")


def first_config(folder: Path) -> "RunConfig":
    """The configuration of a run, or of the first of several side by side."""
    from thzjax.experiment.config import read_config
    from thzjax.experiment.learned import runs_in

    first = next(iter(runs_in(folder).values()))[0]
    return read_config(first / "config.json")


def channels_for(run: "RunConfig") -> int:
    """How many held-out channels judge a run: fewer after a shortened one."""
    from thzjax.experiment.compare import default_channels
    from thzjax.experiment.config import default_run

    shortened = run.steps < default_run(run.agent, run.scenario).steps
    return min(default_channels(run.scenario), 512 if shortened else 2048)
