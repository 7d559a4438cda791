"""`result.json` of a figure, read with suspicion: its texts go into pages, and its names into paths."""

import re
from pathlib import Path
from typing import Any

from thzjax.errors import ConfigError
from thzjax.experiment.files import is_finite, read_json

NAME = re.compile(r"[a-z0-9-]+")
TEXTS = ("id", "source", "claim", "verdict", "budget", "notes", "command", "date")
NUMBERS = ("seeds", "channels", "searches", "seconds")
FINDING = ("statement", "verdict", "unit", "regime")
STATISTIC = ("value", "low", "high")
MADE_ON = ("thzjax", "jax", "python", "device")


def read_result(path: Path) -> dict[str, Any]:
    """What a figure's `result.json` holds.

    Raises:
      ConfigError: it cannot be read, a part is missing or of another kind, or it names files outside its own folder.
    """
    result = read_json(path, "a figure's result")
    if complaint := _complaint(result, path.parent.name):
        raise ConfigError(f"{path} is no figure's result ({complaint}): delete it, and reproduce the figure again")
    return result


def _complaint(result: Any, folder: str) -> str:
    """What is wrong, or nothing."""
    if not isinstance(result, dict):
        return "it is no JSON object"
    parts = {
        **{name: _is_text(result.get(name)) for name in TEXTS},
        **{name: is_finite(result.get(name)) for name in NUMBERS},
        "findings": _all(result.get("findings"), lambda f: _texts(f, FINDING) and _numbers(f)),
        "pictures": _all(result.get("pictures"), lambda p: _texts(p, ("name", "shows")) and _plain(p["name"])),
        "environment": _texts(result.get("environment"), MADE_ON),
        "work": isinstance(result.get("work"), dict) and all(map(is_finite, result["work"].values())),
    }
    if wrong := next((name for name, sound in parts.items() if not sound), ""):
        return f"its {wrong!r} is missing or of another kind"
    return "" if result["id"] == folder and _plain(folder) else f"its id is not {folder!r}, the name of its folder"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _plain(name: str) -> bool:
    return NAME.fullmatch(name) is not None


def _texts(part: Any, names: tuple[str, ...]) -> bool:
    return isinstance(part, dict) and all(_is_text(part.get(name)) for name in names)


def _numbers(finding: dict[str, Any]) -> bool:
    return all(name in finding and (finding[name] is None or is_finite(finding[name])) for name in STATISTIC)


def _all(parts: Any, sound: Any) -> bool:
    return isinstance(parts, list) and all(map(sound, parts))
