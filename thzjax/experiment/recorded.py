"""Channels of a file in place of drawn ones: which of them train, which are looked at, and which are held out."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.data.drops import channel_arrays, check_channels, count_channels, read_arrays
from thzjax.data.sources import fingerprint, opened
from thzjax.data.store import bytes_of
from thzjax.errors import ConfigError
from thzjax.experiment.config import RunConfig
from thzjax.experiment.memory import MARGIN, free_bytes
from thzjax.systems.scenario import Scenario, build

LEAST = 10
"""Channels that a file needs for its parts."""
CHECKED_AT_ONCE = 8192


class Parts(NamedTuple):
    """The channels of a file by what they are for, each (first, behind the last): tenths 1 to 8, 9 and 10.

    Neighbours stay together: of a file in which they are alike, as on a grid, the parts are then different places.
    """

    training: tuple[int, int]
    validation: tuple[int, int]
    held_out: tuple[int, int]


class Recorded(NamedTuple):
    """Channels of a file, `[C, ...]` in every leaf: those of the learning curve, and those that train."""

    validation: Any
    training: Any


def parts_of(count: int) -> Parts:
    """The parts of a file of so many channels.

    Raises:
      ConfigError: fewer than `LEAST`.
    """
    if count < LEAST:
        raise ConfigError(f"training needs at least {LEAST} channels, there are {count}")
    tenth = count // 10
    return Parts((0, count - 2 * tenth), (count - 2 * tenth, count - tenth), (count - tenth, count))


def any_of(channels: Any, key: Array, params: Any) -> Any:
    """One of recorded channels, each as likely: what `Environment.drops` asks for."""
    del params
    row = jax.random.randint(key, (), 0, channels.direct.shape[0])
    return jax.tree.map(lambda x: x[row], channels)


def with_data(config: RunConfig, path: Path) -> RunConfig:
    """A run's configuration with the channels of a file to train on, every one of which is looked at first.

    Raises:
      ConfigError: a file that cannot be read, held-out channels, too few, or such as are not the scenario's.
    """
    system, params = build(config.scenario)
    _, like = channel_arrays(system, params)
    with opened(path) as source:
        if source.about.get("channels") == "held out":
            raise ConfigError(f"{path} holds the channels that methods are judged on: train on others")
        count = count_channels(source, like)
        parts_of(count)
        for start in range(0, count, CHECKED_AT_ONCE):
            check_channels(read_arrays(source, like, start, start + CHECKED_AT_ONCE), system, path, start)
    return dataclasses.replace(config, data=str(path), data_sha256=fingerprint(path))


def recorded(config: RunConfig, system: Any, params: Any) -> Recorded:
    """The channels that a run with `config.data` trains on, and at most `validation_channels` of its learning curve.

    Raises:
      ConfigError: a file that is gone or no longer the one that the run was begun with, or more than the memory holds.
    """
    path, parts = _own_file(config, system, params)
    return Recorded(_validation(config, path, parts, system, params), _load(path, system, params, *parts.training))


def _validation(config: RunConfig, path: Path, parts: Parts, system: Any, params: Any) -> Any:
    first, end = parts.validation
    return _load(path, system, params, first, min(end, first + config.validation_channels))


def held_out(config: RunConfig, num: int) -> Any:
    """At most `num` of the channels that a run with `config.data` never sees; see `recorded`."""
    system, params = build(config.scenario)
    path, parts = _own_file(config, system, params)
    first, end = parts.held_out
    return _load(path, system, params, first, min(end, first + num))


def validation_batch(config: RunConfig, num: int) -> tuple[Any, int]:
    """(`num` channels, how many of them are different): those of a run's learning curve, again and again if need be."""
    system, params = build(config.scenario)
    channels = _validation(config, *_own_file(config, system, params), system, params)
    count = channels.direct.shape[0]
    index = np.arange(num) % count
    return jax.tree.map(lambda x: x[index], channels), min(num, count)


def judged_on(
    scenario: Scenario, data: Path | None, runs: Sequence[RunConfig], num: int, say: Callable[[str], None]
) -> Any | None:
    """The channels of a file that methods are to be judged on; none where no file is named.

    They are the first `num`, or as many as there are; where one of `runs` was trained on the file, those of the part
    that it held out.

    Raises:
      ConfigError: a file that cannot be read, or whose channels are not the scenario's.
    """
    if data is None:
        return None
    system, params = build(scenario)
    _, like = channel_arrays(system, params)
    with opened(data) as source:
        count = count_channels(source, like)
    first, end, why = 0, count, ""
    trained_on = {run.data_sha256 for run in runs if run.data is not None}
    if trained_on and fingerprint(data) in trained_on:
        (first, end), why = parts_of(count).held_out, ", held out from the training on the others"
    end = min(end, first + num)
    say(f"channels {first} to {end - 1} of the {count} in {data}{why}")
    channels = _load(data, system, params, first, end)
    check_channels(dataclasses.asdict(channels), system, data, first)
    return channels


def _own_file(config: RunConfig, system: Any, params: Any) -> tuple[Path, Parts]:
    """A run's file, and its parts."""
    path = Path(config.data)
    _, like = channel_arrays(system, params)
    if not path.exists():
        raise ConfigError(f"{path}, the file of channels that the run was begun with, is gone: put it back")
    with opened(path) as source:
        parts = parts_of(count_channels(source, like))
    if config.data_sha256 is not None and fingerprint(path) != config.data_sha256:
        raise ConfigError(f"{path} is not the file that the run was begun with: put that back")
    return path, parts


def _load(path: Path, system: Any, params: Any, first: int, end: int) -> Any:
    """Channels `first` to `end` of a file on the device."""
    kind, like = channel_arrays(system, params)
    free = free_bytes(jax.local_devices()[0])
    # On the host as they are read, in their types, and on the device.
    needed = 3 * bytes_of(like) * (end - first)
    if free is not None and needed > MARGIN * free:
        raise ConfigError(
            f"{path}: {end - first} channels need {needed / 2**30:.1f} GiB while they are read and "
            f"{free / 2**30:.1f} GiB are free: take a file of fewer"
        )
    with opened(path) as source:
        return kind(**{name: jnp.asarray(x) for name, x in read_arrays(source, like, first, end).items()})
