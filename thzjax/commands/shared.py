"""What commands share: the types of their arguments, exit statuses, and where they speak."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from thzjax.errors import ConfigError

if TYPE_CHECKING:
    from thzjax.experiment.config import RunConfig
    from thzjax.systems.scenario import Scenario

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
STDOUT = Path("-")

Overrides = Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="NAME=VALUE ...")]
Preset = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[PRESET]")]
Config = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Json = Annotated[Path | None, tyro.conf.arg(metavar="FILE|-")]
Runs = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[RUN ...]")]
Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def say(text: str) -> None:
    """Print on the standard error, where progress and complaints go."""
    print(text, file=sys.stderr, flush=True)


def progress(what: str) -> Callable[[str], None]:
    """Lines of progress under a title."""
    return lambda text: say(f"{what}: {text}")


def printer(json: Path | None) -> Callable[[str], None]:
    """Where results in words go: to the standard output or, where that is kept for JSON, to the standard error."""
    return say if json == STDOUT else functools.partial(print, flush=True)


def write_json(data: Any, json: Path | None) -> None:
    """What `--json` asks for: JSON in a file, or with `-` on the standard output; nothing where it is not asked for."""
    from thzjax.experiment.files import json_text, write_atomically

    if json == STDOUT:
        print(json_text(data), flush=True)
    elif json is not None:
        write_atomically(json, json_text(data) + "\n")


def check_writable(*files: Path | None, folder: Path | None = None) -> None:
    """Refuse, before anything is computed, files and a folder that could not be written afterwards.

    Raises:
      ConfigError: the nearest folder that exists may not be written, or is a file.
    """
    wanted = [(path, path.absolute().parent) for path in files if path not in (None, STDOUT)]
    wanted += [] if folder is None else [(folder, folder.absolute())]
    for path, above in wanted:
        place = next(p for p in (above, *above.parents) if p.exists())
        if not place.is_dir():
            raise ConfigError(f"{path} cannot be written: {place} is a file; choose another place")
        if path is not folder and path.is_dir():
            raise ConfigError(f"{path} cannot be written: it is a folder; name a file in it")
        if not os.access(place, os.W_OK | os.X_OK):
            raise ConfigError(f"{path} cannot be written: {place} is read-only for you; choose another place")


def scenario_of(preset: str | None, config: Path | None, overrides: tuple[str, ...]) -> tuple[str, "Scenario"]:
    """(preset's name, scenario) of a preset or of a run's config.json, with options changed.

    Options are named as `thzjax info` names them, with `scenario.` before them or without.

    Raises:
      ConfigError: neither or both of the two, or options that cannot be.
    """
    from thzjax.experiment.config import read_config
    from thzjax.experiment.overrides import apply_overrides
    from thzjax.systems.scenario import preset as find

    if (preset is None) == (config is None):
        raise ConfigError("name a preset (such as paper-a), or give --config FILE instead of one")
    if config is None:
        name, scenario = preset, find(preset)
    else:
        run = read_config(config)
        name, scenario = run.preset, run.scenario
    return name, apply_overrides(scenario, [option.removeprefix("scenario.") for option in overrides])


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
