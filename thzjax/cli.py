"""The command line: arguments in, an exit status out, every complaint one line."""

import contextlib
import errno
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
from thzjax.commands.shared import BAD_INPUT, FAILED, OK, say
from thzjax.errors import ConfigError

PATHS = (
    errno.EACCES, errno.EEXIST, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.ENOTDIR, errno.EPERM, errno.EROFS,
)  # fmt: skip
"""What a path that was given may be to blame for; other errors of files, as a full disk, are no bad input."""


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

    try:
        with contextlib.redirect_stderr(complaint):
            tyro.extras.subcommand_cli_from_dict(
                {name: defer(command) for name, command in COMMANDS.items()},
                prog="thzjax",
                description="Terahertz links that communicate and sense at once, with a reflecting surface.",
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
        say(f"thzjax: {_visible(str(error))}")
        return BAD_INPUT
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"thzjax: {_visible(where)}{error.strerror or error}")
        return BAD_INPUT if error.errno in PATHS else FAILED
    except MemoryError:
        say("thzjax: not enough memory is free: choose smaller sizes, or fewer channels or environments")
        return FAILED
    except KeyboardInterrupt:
        say("thzjax: interrupted")
        return 130


def _visible(text: str) -> str:
    """Text on one line: what a path or an option may have of line ends and codes for terminals is written out."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: repr(found[0])[1:-1], text)


def run() -> None:
    """Console entry point; a reader that leaves, as in `thzjax info | head`, ends it with SIGPIPE's status."""
    keep_compiled()
    # A path may have bytes that are no text, and a terminal less than all letters: neither ends a command.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed, as by >&-)
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has nowhere to go
        status = 141
    sys.exit(status)
