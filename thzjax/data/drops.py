"""What a channel of a system is in a file: its arrays by name, what they mean, and what no channel can be."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from thzjax.data.sources import Source, opened
from thzjax.errors import ConfigError
from thzjax.exported import OPTIONAL, checked_arrays, refuse_richer
from thzjax.systems.hris_isac import HrisIsac

BLOCK = 1024
"""Channels that are looked at together."""
AMPLITUDE = ("", "1", "amplitude", "linear", "dimensionless")
UNITS = {
    "direct": AMPLITUDE,
    "bs_to_surface": AMPLITUDE,
    "surface_to_user": AMPLITUDE,
    "active": ("", "1", "dimensionless"),
    "user_position_m": ("", "m", "metre", "meter", "metres", "meters"),
}
"""What a file may call the units of an array."""
MEANINGS = {
    "direct": ("1", "base station to users: complex amplitude, all gains in it", "channel, user, antenna"),
    "bs_to_surface": ("1", "base station to surface: complex amplitude, all gains in it", "channel, element, antenna"),
    "surface_to_user": ("1", "surface to users: complex amplitude, all gains in it", "channel, user, element"),
    "active": ("1", "1 where an element amplifies, else 0", "channel, element"),
    "user_position_m": ("m", "where the users stand", "channel, user, x y z"),
}
"""Units, meaning and axes of each array."""


def channel_arrays(system: Any, params: Any) -> tuple[type, dict[str, jax.ShapeDtypeStruct]]:
    """(type of a system's channels, shape and type of one channel's arrays by name)."""
    one = jax.eval_shape(system.sample, jax.random.key(0), params)
    return type(one), {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}


def notes_on(like: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Units, meaning and axes of the arrays, by name, as a file keeps them."""
    notes = {}
    for name, x in like.items():
        units, meaning, axes = MEANINGS.get(name, ("1", name, ""))
        if len(x.shape) == 3:  # several antennas at each user
            axes = axes.replace("user, ", "user, its antenna, ")
        notes[name] = {"units": units, "meaning": meaning, "axes": axes}
    return notes


def read_channels(path: str | Path, system: Any, params: Any, start: int = 0, stop: int | None = None) -> Any:
    """Channels `start` to `stop` of a file, checked against a system: its channels, `[C, ...]` NumPy in every leaf.

    Args:
      path: an `.npz`, HDF5 or `.mat` file of the arrays that `channel_arrays` names, each with a leading axis.
      system, params: what they are channels of.
      start, stop: which of them.

    Raises:
      ConfigError: as `read_arrays` and `check_channels`.
    """
    kind, like = channel_arrays(system, params)
    with opened(path) as source:
        arrays = read_arrays(source, like, start, stop)
    check_channels(arrays, system, path, start)
    return kind(**arrays)


def read_arrays(
    source: Source, like: Mapping[str, jax.ShapeDtypeStruct], start: int = 0, stop: int | None = None
) -> dict[str, ArrayLike]:
    """Rows of the arrays of an open file, in their types.

    Raises:
      ConfigError: an array that is missing, linked, of another shape or in other units, not finite, or of no row.
    """
    count_channels(source, like)
    given = [name for name in like if name in source.arrays or name not in OPTIONAL]
    arrays = {name: source.need(name, tuple(like)).take(start, stop, 0) for name in given}
    return checked_arrays(arrays, like, source.path)


def count_channels(source: Source, like: Mapping[str, jax.ShapeDtypeStruct]) -> int:
    """How many channels an open file holds; nothing but shapes and units is looked at.

    Raises:
      ConfigError: an array that is missing, of another shape, or in other units.
    """
    counts = {}
    for name, x in like.items():
        if name in OPTIONAL and name not in source.arrays:
            continue
        stored = source.need(name, tuple(like))
        check_units(source, name)
        if stored.shape[1:] != x.shape or not stored.shape:
            shape = ", ".join(map(str, ("C", *x.shape)))
            raise ConfigError(f"{source.path}: {name} has shape {stored.shape}, [{shape}] is needed")
        counts[name] = stored.shape[0]
    if len(set(counts.values())) > 1:
        text = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ConfigError(f"{source.path}: as many channels are needed in every array: {text}")
    if not (count := next(iter(counts.values()))):
        raise ConfigError(f"{source.path} holds no channel")
    return count


def check_units(source: Source, name: str) -> None:
    """Refuse an array in units that are not those of its name."""
    units = source.arrays[name].units
    if units is not None and units.strip().lower() not in UNITS.get(name, (units,)):
        raise ConfigError(f"{source.path}: {name} is in {units!r}, {MEANINGS[name][0]!r} is needed: convert it")


def check_channels(arrays: Mapping[str, ArrayLike], system: Any, source: object, first: int = 0) -> None:
    """Refuse what cannot be channels of a system.

    Args:
      arrays: as `read_arrays` returns them.
      system: what they are channels of.
      source: what to call them.
      first: number of the first one.

    Raises:
      ConfigError: an entry above 0 dB, as no link delivers more than was sent; another number of amplifying elements;
        direct links where the system has none; or more paths than the scenario has.
    """
    total = len(np.asarray(arrays["bs_to_surface"]))
    for start in range(0, total, BLOCK):
        block = {name: np.asarray(x)[start : start + BLOCK] for name, x in arrays.items()}
        for name in ("direct", "bs_to_surface", "surface_to_user"):
            _check_passive(block[name], name, source, first + start)
        if isinstance(system, HrisIsac):
            _check_hybrid(block, system.num_active, source, first + start)
        refuse_richer(block, system.spec.rank, source, first + start)


def _check_passive(array: np.ndarray, name: str, source: object, first: int) -> None:
    largest = np.abs(array).max(axis=tuple(range(1, array.ndim)), initial=0)
    if largest.max(initial=0) > 1:
        worst = int(largest.argmax())
        raise ConfigError(
            f"{source}: {name} of channel {first + worst} has an entry of {20 * np.log10(largest[worst]):+.1f} dB, "
            "more than was sent: amplitudes must hold path loss and gains, and be linear (--scale-db changes all)"
        )


def _check_hybrid(arrays: Mapping[str, np.ndarray], num_active: int, source: object, first: int) -> None:
    active = arrays["active"]
    if not np.isin(active, (0, 1)).all():
        raise ConfigError(f"{source}: active holds other numbers than 0 and 1")
    counts = active.sum(axis=-1)
    if np.any(counts != num_active):
        worst = int(np.argmax(counts != num_active))
        raise ConfigError(
            f"{source}: channel {first + worst} has {counts[worst]:.0f} amplifying elements, the scenario has "
            f"num_active={num_active}: change that"
        )
    if np.any(arrays["direct"]):
        worst = int(np.argmax(np.abs(arrays["direct"]).max(axis=(-2, -1)) > 0))
        raise ConfigError(
            f"{source}: channel {first + worst} has direct links, of which this system has none: make them 0"
        )
