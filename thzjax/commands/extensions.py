"""`--import MODULE`: modules of one's own that add presets, constraints, designs, maps or learners by name."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from thzjax.errors import ConfigError

FLAG = "--import"


def import_extensions(args: Sequence[str]) -> list[str]:
    """Import every module that `--import MODULE` names, wherever it stands, and return the other arguments.

    A module is found as Python finds it, and in the folder that the command runs in.

    Raises:
      ConfigError: no such module, or one that raises.
    """
    names, others = [], list(args)
    while (at := _position(others)) is not None:
        _, equals, name = others[at].partition("=")
        if not equals:
            if at + 1 == len(others):
                raise ConfigError(f"{FLAG} needs a module's name, as in {FLAG} my_systems")
            name = others.pop(at + 1)
        del others[at]
        names.append(name)
    here = str(Path.cwd())
    if names and here not in sys.path:
        sys.path.insert(0, here)
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever the module's own code raises
            what = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(f"{FLAG} {name}: {what}") from error
    return others


def _position(args: Sequence[str]) -> int | None:
    """Where the flag stands."""
    return next((i for i, text in enumerate(args) if text == FLAG or text.startswith(f"{FLAG}=")), None)
