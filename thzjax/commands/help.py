"""What `--help` says beside the options: what commands do, examples of each, exit statuses. From their docstrings."""

import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

ABOUT = "Terahertz links that communicate and sense at once, with a reflecting surface."
STATUSES = {
    "0": "done",
    "1": "failed on the way: training diverged, the disk is full, a process of several was lost",
    "2": "refused: arguments, configurations or files that cannot work; one line says what to do",
    "130": "stopped by Ctrl-C; training has saved, and --resume goes on with it",
    "143": "stopped by SIGTERM, as schedulers send it; as 130",
    "141": "whoever read the output has gone, as in `thzjax info | head`",
}
"""Exit statuses and what they mean."""
WIDEST = 100


def width() -> int:
    """Columns that text is wrapped to."""
    return max(40, min(shutil.get_terminal_size().columns, WIDEST))


def summary(command: Callable[..., Any]) -> str:
    """The first sentence of a command's docstring."""
    return (inspect.getdoc(command) or "").partition("\n")[0]


def paragraphs(command: Callable[..., Any]) -> str:
    """What a command does, wrapped; tyro keeps the breaks before lines that begin with a space."""
    text = re.split(r"^(?:Examples|Args):$", inspect.getdoc(command) or "", flags=re.MULTILINE)[0]
    return "\n\n".join(
        textwrap.fill(" ".join(part.split()), width(), subsequent_indent="  ")
        for part in re.split(r"\n\s*\n", text.strip())
    )


def examples(command: Callable[..., Any]) -> list[str]:
    """The lines of a command's docstring under "Examples:"."""
    text = (inspect.getdoc(command) or "").partition("\nExamples:\n")[2].partition("\nArgs:\n")[0]
    return [line.strip() for line in text.splitlines() if line.strip()]


def example_text(command: Callable[..., Any]) -> str:
    """The examples under a heading; they are not wrapped, so that they can be copied."""
    return "\n".join(["examples:", *(f"  {line}" for line in examples(command))])


def overview(commands: Mapping[str, Callable[..., Any]]) -> str:
    """What `thzjax --help` prints."""

    def table(rows: Mapping[str, str]) -> list[str]:
        left = max(map(len, rows)) + 4
        hanging = " " * left
        return [
            textwrap.fill(f"  {name}".ljust(left) + text, width(), subsequent_indent=hanging)
            for name, text in rows.items()
        ]

    return "\n".join(
        [
            "usage: thzjax COMMAND [OPTIONS]",
            "",
            textwrap.fill(ABOUT, width()),
            "",
            "commands:",
            *table({name: summary(command) for name, command in commands.items()}),
            "",
            textwrap.fill(
                "thzjax COMMAND --help has a command's options and examples; thzjax --version; --import MODULE, "
                "anywhere: a module of yours that adds presets, constraints, designs, maps or learners; "
                "docs/commandline.md is the guide.",
                width(),
            ),
            "",
            "exit status:",
            *table(STATUSES),
        ]
    )
