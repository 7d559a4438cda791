"""Channels of one's own into a file of channels: arrays under other names and axes, and ray tracers' path lists."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import thzjax
from thzjax.data.drops import BLOCK, channel_arrays, check_channels, check_units
from thzjax.data.sources import Source, fingerprint, opened
from thzjax.data.store import Store
from thzjax.errors import ConfigError
from thzjax.experiment.overrides import to_json
from thzjax.experiment.traced import LINKS, Blocks, Options, of_paths
from thzjax.exported import OPTIONAL, checked_arrays
from thzjax.systems.scenario import Scenario, build


def import_channels(
    source: Path, scenario: Scenario, target: Path, say: Callable[[str], None], preset: str, options: Options
) -> int:
    """Make a file of channels of a scenario from arrays in a file, or from the path lists in a folder.

    Args:
      source: an `.npz`, HDF5 or `.mat` file of arrays (an array without the axis of channels is the same for all); or a
        folder with a file or folder of paths for each of `LINKS` (`tracers.read_paths`).
      scenario: what they are channels of: its sizes, carrier and, where asked for, gains and absorption.
      target: file to write (`Store`).
      say: told about progress.
      preset: the preset that the scenario came from.
      options: how the source is read.

    Returns:
      how many channels were written.

    Raises:
      ConfigError: a source that cannot be read, or what cannot be channels of the scenario (`check_channels`).
    """
    if options.num is not None and options.num < 1:
        raise ConfigError(f"num={options.num} must be at least 1")
    if not source.exists():
        raise ConfigError(f"{source} does not exist")
    system, params = build(scenario)
    _, like = channel_arrays(system, params)
    if source.is_dir():
        total, blocks = of_paths(source, scenario, system, float(params.k_abs), like, options, say)
    else:
        total, blocks = _of_arrays(source, system, like, options)
    about = {
        "thzjax": thzjax.__version__,
        "preset": preset,
        "scenario": to_json(scenario),
        "channels": "imported",
        "source": str(source),
        "source_sha256": fingerprint(source),
        "options": dataclasses.asdict(options) | {"names": dict(options.names)},
    }
    with Store(target, like, total, about) as store:
        for start in range(store.done, total, BLOCK):
            arrays = checked_arrays(blocks(start, min(start + BLOCK, total)), like, source)
            check_channels(arrays, system, source, start)
            store.write(arrays)
            say(f"{store.done} of {total} channels")
        store.finish()
    return total


def _of_arrays(source: Path, system: Any, like: Mapping[str, Any], options: Options) -> tuple[int, Blocks]:
    """(number of channels, what reads some of them) of arrays in a file."""
    if unknown := sorted(set(options.names) - set(like)):
        raise ConfigError(f"{unknown[0]} is no array of this system: it has {', '.join(like)}")
    with opened(source) as file:
        given = dict(_given(file, system, like, options))
        counts = {name: count for name in given if (count := _count(file, name, like[name].shape, options)) is not None}
    if len(set(counts.values())) > 1:
        text = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ConfigError(f"{source}: as many channels are needed in every array: {text}")
    total = next(iter(counts.values()), 1)
    if options.num is not None and options.num > total:
        raise ConfigError(f"num={options.num} but {source} holds {total} channels")
    total = total if options.num is None else options.num
    scale = 10 ** (options.scale_db / 20)

    def block(start: int, stop: int) -> dict[str, np.ndarray]:
        arrays = {}
        with opened(source) as file:
            for name, x in like.items():
                if name not in given:
                    arrays[name] = np.zeros((stop - start, *x.shape), x.dtype)
                    continue
                stored = file.need(given[name])
                if name in counts:
                    rows = stored.take(start, stop, -1 if options.last else 0).reshape(stop - start, *x.shape)
                else:
                    rows = np.broadcast_to(stored.take(0, None, 0).reshape(x.shape), (stop - start, *x.shape))
                arrays[name] = rows * scale if name in LINKS else rows
        return arrays

    return total, block


def _given(file: Source, system: Any, like: Mapping[str, Any], options: Options) -> Iterator[tuple[str, str]]:
    """(name, what it is called in the file) of the arrays that the file must have, or has."""
    hybrid = hasattr(system, "num_active")
    for name, x in like.items():
        called = options.names.get(name, name)
        absent = called not in file.arrays and called not in file.refused
        # What there is nothing of need not be stored: users nobody looks at, links of no surface or of none at all.
        spare = name in OPTIONAL or 0 in x.shape or (hybrid and name == "direct")
        spare = spare or (name == "active" and system.num_active == 0)
        if not (absent and spare and name not in options.names):
            file.need(called, tuple(options.names.get(each, each) for each in like))
            if called == name:
                check_units(file, name)
            yield name, called


def _count(file: Source, name: str, shape: tuple[int, ...], options: Options) -> int | None:
    """How many channels an array holds; none of one that is the same for all."""
    called = options.names.get(name, name)
    there = file.arrays[called].shape
    if there == shape:
        return None
    # MATLAB drops trailing axes of length 1.
    full = there + (1,) * (len(shape) + 1 - len(there))
    if full == (*shape, full[-1]) and options.last:
        return full[-1]
    if full == (full[0], *shape) and not options.last:
        return full[0]
    wanted = ("C",) if not shape else (*shape, "C") if options.last else ("C", *shape)
    turned = full == ((full[0], *shape) if options.last else (*shape, full[-1]))
    hint = f" (with{'out' if options.last else ''} --last it is)" if turned else ""
    raise ConfigError(
        f"{file.path}: {called} has shape {there}, [{', '.join(map(str, wanted))}] is needed{hint}, or "
        f"[{', '.join(map(str, shape))}] for all channels"
    )
