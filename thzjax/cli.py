"""The command line: arguments in, an exit status out, every complaint one line."""

import contextlib
import functools
import io
import os
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import tyro

from thzjax.commands import COMMANDS
from thzjax.commands.cache import keep_compiled
from thzjax.commands.extensions import import_extensions
from thzjax.commands.shared import BAD_INPUT, OK, say
from thzjax.errors import ConfigError


def _parse(args: list[str] | None) -> Callable[[], int]:
    """The command to run; a bad argument is one line and status 2."""
    complaint = io.StringIO()
    bound: dict[str, Callable[[], int]] = {}

    def defer(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def wrapper(*args: Any, **kwargs: Any) -> int:
            bound["run"] = lambda: command(*args, **kwargs)
            return OK

        return wrapper

    args = import_extensions(sys.argv[1:] if args is None else args)
    try:
        with contextlib.redirect_stderr(complaint):
            tyro.extras.subcommand_cli_from_dict(
                {name: defer(command) for name, command in COMMANDS.items()},
                prog="thzjax",
                description="Terahertz links that communicate and sense at once, with a reflecting surface. "
                "--import MODULE, anywhere: a module of yours that adds presets, constraints, designs, maps, learners.",
                args=args,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        text = re.sub(r"[\u2500-\u257f]", " ", complaint.getvalue())
        line = " ".join(text.split())
        raise ConfigError(line or "the arguments do not fit: see `thzjax --help`") from None
    return bound["run"]


def main(args: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, category, *_: say(f"thzjax: warning: {message}")
            return _parse(args)()
    except ConfigError as error:
        say(f"thzjax: {error}")
        return BAD_INPUT
    except KeyboardInterrupt:
        say("thzjax: interrupted")
        return 130


def run() -> None:
    """Console entry point; a reader that leaves, as in `thzjax info | head`, ends it with SIGPIPE's status."""
    keep_compiled()
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has nowhere to go
        status = 141
    sys.exit(status)
