"""Public names that are imported when they are first asked for, so that importing a package is instant."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose public names live in modules below it.

    Args:
      package: its `__name__`.
      names: public name -> the module below the package that defines it; "" where the name is a module itself.

    Source: PEP 562.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{names[name] or name}")
        value = getattr(module, name) if names[name] else module
        setattr(sys.modules[package], name, value)  # asked for once
        return value

    def listed() -> list[str]:
        return sorted(names.keys() | vars(sys.modules[package]).keys())

    return find, listed
