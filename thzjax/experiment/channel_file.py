"""What a file of channels holds, as numbers and as text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thzjax.data.drops import MEANINGS
from thzjax.data.sources import opened
from thzjax.errors import ConfigError
from thzjax.experiment.evaluation import draw_channels
from thzjax.experiment.overrides import from_json
from thzjax.experiment.recorded import LEAST, parts_of
from thzjax.experiment.traced import LINKS
from thzjax.systems.scenario import build
from thzjax.systems.scenario import preset as find

LOOKED_AT = 256
"""Channels that levels are taken of."""


def describe(path: Path) -> dict[str, Any]:
    """What a file says of itself, its arrays, and the mean power of each link beside that of its scenario [dB].

    Raises:
      ConfigError: a file that cannot be read.
    """
    with opened(path) as source:
        arrays = {
            name: {"shape": list(x.shape), "units": x.units, "meaning": MEANINGS.get(name, ("", "", ""))[1]}
            for name, x in source.arrays.items()
        }
        levels = {
            name: _level_db(source.arrays[name].take(0, LOOKED_AT, 0))
            for name in LINKS
            if name in source.arrays and 0 not in source.arrays[name].shape and source.arrays[name].shape
        }
        found = {"file": str(path), "about": dict(source.about), "arrays": arrays, "level_db": levels}
        found |= {"refused": dict(source.refused)} if source.refused else {}
    if beside := _scenario_levels(source.about, path):
        found["scenario_level_db"] = beside
    count = next((x["shape"][0] for name, x in arrays.items() if name in LINKS and x["shape"]), 0)
    return found | ({"parts": parts_of(count)._asdict()} if count >= LEAST else {})


def _level_db(array: np.ndarray) -> float | None:
    """Mean power of a link's entries [dB]; none of one that is zero."""
    power = float(np.mean(np.abs(array.astype(np.complex128)) ** 2)) if array.size else 0.0
    return float(10 * np.log10(power)) if power > 0 else None


def _scenario_levels(about: Mapping[str, Any], path: Path) -> dict[str, float | None]:
    """The same of drawn channels of the scenario that a file names."""
    if "preset" not in about or not isinstance(about.get("scenario"), dict):
        return {}
    try:
        system, params = build(from_json(find(about["preset"]), about["scenario"], str(path)))
    except (ConfigError, TypeError, ValueError, AttributeError):
        return {}  # of another version, or a table of lines that is elsewhere
    drawn = draw_channels(system, params, LOOKED_AT, 0)
    return {name: _level_db(np.asarray(getattr(drawn, name))) for name in LINKS}


def lines(found: Mapping[str, Any]) -> list[str]:
    """The same as text."""

    def level(value: float | None) -> str:
        return "nothing" if value is None else f"{value:.1f} dB"

    about = {k: v for k, v in found["about"].items() if k not in ("arrays", "scenario", "options") and v is not None}
    text = [f"{found['file']}: " + (", ".join(f"{k} {v}" for k, v in about.items()) or "says nothing of itself")]
    for name, array in found["arrays"].items():
        shape = " x ".join(map(str, array["shape"]))
        text.append(f"  {name} {shape}" + (f" [{array['units']}]" if array["units"] else "") + f"  {array['meaning']}")
    text += [f"  {name} is {why}: not read" for name, why in found.get("refused", {}).items()]
    drawn = found.get("scenario_level_db", {})
    for name, value in found["level_db"].items():
        beside = f" ({level(drawn[name])} of channels drawn from the scenario)" if name in drawn else ""
        text.append(f"mean power of {name}: {level(value)}{beside}")
    if "parts" in found:
        said = ", ".join(f"{name.replace('_', ' ')} {a} to {b - 1}" for name, (a, b) in found["parts"].items())
        text.append(f"training would use: {said}")
    return text
