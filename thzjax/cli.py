"""The command line: arguments in, an exit status out, every complaint one line."""

import contextlib
import difflib
import errno
import functools
import gc
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from thzjax import __version__
from thzjax.commands import COMMANDS
from thzjax.commands.cache import keep_compiled
from thzjax.commands.extensions import import_extensions
from thzjax.commands.help import example_text, overview, paragraphs
from thzjax.commands.shared import BAD_INPUT, FAILED, INTERRUPTED, OK, say
from thzjax.errors import ConfigError

READER_GONE = 141
"""What a shell calls the end by SIGPIPE."""
CURES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
    errno.EACCES: "choose a place that you may use",
    errno.EPERM: "choose a place that you may use",
    errno.EROFS: "choose a place that can be written",
    errno.ENOENT: "see whether it is written right",
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""What to do about an error of the operating system."""
NOT_THE_NAME = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors that no other file name would have spared."""


def _parse(args: Sequence[str] | None) -> Callable[[], int]:
    """The command to run; a bad argument is one line and status 2."""
    name, *rest = import_extensions(sys.argv[1:] if args is None else args) or [""]
    if name in ("-h", "--help"):
        print(overview(COMMANDS))
        raise SystemExit(OK)
    if name == "--version":
        print(f"thzjax {__version__}")
        raise SystemExit(OK)
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        begin = f"command {name!r} is unknown" if name else "no command is given"
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(COMMANDS)}, or see thzjax --help"
        raise ConfigError(f"{begin}: {hint}")
    command = COMMANDS[name]
    bound: dict[str, Callable[[], int]] = {}

    @functools.wraps(command)
    def defer(*args: Any, **kwargs: Any) -> int:
        bound["run"] = lambda: command(*args, **kwargs)
        return OK

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            tyro.cli(defer, prog=f"thzjax {name}", description=paragraphs(command), args=rest)
    except SystemExit as stop:
        if stop.code not in (OK, None):
            raise ConfigError(_one_line(complaint.getvalue(), name)) from None
        print(example_text(command))
        raise
    return bound["run"]


def _one_line(complaint: str, name: str) -> str:
    """A complaint of the parser, which draws boxes, in one line and without the box's title."""
    lines = [re.sub(r"[\u2500-\u257f]", " ", line).strip(" |") for line in complaint.splitlines()]
    lines = [line for line in lines if line.strip("-+ ")]
    body = " ".join(" ".join(lines[1:] or lines).split())
    body = re.split(r"Argument helptext:|For full helptext", body)[0].rstrip(" .")
    return f"{body or 'the arguments do not fit'}: see thzjax {name} --help"


def _system_error(error: OSError) -> str:
    """What the operating system refused, in one line, and what to do."""
    what = f"{error.filename}: " if error.filename else ""
    cure = CURES.get(error.errno or 0, "mend that")
    return f"{what}{error.strerror or error}: {cure}, then run the command again"


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; `commands.help.STATUSES` has what it returns."""
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
        say(f"thzjax: {_visible(_system_error(error))}")
        return FAILED if error.errno in NOT_THE_NAME else BAD_INPUT
    except MemoryError:
        say("thzjax: not enough memory is free: choose smaller sizes, or fewer channels or environments")
        return FAILED
    except KeyboardInterrupt:
        say("thzjax: interrupted")
        return INTERRUPTED


def _visible(text: str) -> str:
    """Text on one line: what a path or an option may have of line ends and codes for terminals is written out."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: repr(found[0])[1:-1], text)


def run() -> None:
    """Console entry point; a reader that leaves, as in `thzjax info | head`, ends it with SIGPIPE's status."""
    keep_compiled()
    # Tracing makes hundreds of thousands of objects that stay: looked through every 700, as Python does it by default,
    # the unfolded optimiser's program took 6.7 s to trace, and 4.3 s so (without any collection as long).
    gc.set_threshold(100_000, 10, 10)
    # A path may have bytes that are no text, and a terminal less than all letters: neither ends a command.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed, as by >&-)
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has nowhere to go
        status = READER_GONE
    sys.exit(status)
