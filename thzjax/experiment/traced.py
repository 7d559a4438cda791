"""Channels of a scenario made of ray tracers' path lists: which receivers are its users, and their links."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thzjax.data.rays import Paths, adjusted, ends, link_matrix
from thzjax.data.tracers import SUFFIXES, read_paths
from thzjax.errors import ConfigError
from thzjax.systems.scenario import Scenario

LINKS = {"bs_to_surface": ("surface", "bs"), "surface_to_user": ("user", "surface"), "direct": ("user", "bs")}
"""Receiving and transmitting end of each link."""


Blocks = Callable[[int, int], dict[str, np.ndarray]]
"""(first channel, behind the last) -> their arrays by name."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How a source is to be read.

    Attributes:
      num: channels to make; by default all that there are, of path lists one for every K receivers.
      seed: draws which receivers make a channel, and which elements amplify.
      names: what arrays are called in the source, by the names that they get.
      last: the source counts channels along the last axis, not the first.
      scale_db: added to every amplitude [dB].
      add_gains: paths are those of isotropic antennas: the scenario's gains are put on.
      add_absorption: paths know no absorption: the scenario's is put on, by their lengths.
      bs_yaw_deg, surface_yaw_deg: see `rays.ends`.
    """

    num: int | None = None
    seed: int = 0
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    last: bool = False
    scale_db: float = 0.0
    add_gains: bool = False
    add_absorption: bool = False
    bs_yaw_deg: float | None = None
    surface_yaw_deg: float | None = None


def of_paths(
    folder: Path, scenario: Scenario, system: Any, k_abs: float, like: Mapping[str, Any], options: Options,
    say: Callable[[str], None],
) -> tuple[int, Blocks]:  # fmt: skip
    """(number of channels, what makes some of them) of the path lists in a folder."""
    _refuse_unphysical(system)
    here = ends(scenario, system, options.bs_yaw_deg, options.surface_yaw_deg)
    links: dict[str, Paths] = {}
    for name, (receiver, transmitter) in LINKS.items():
        if (entry := _entry(folder, name)) is None or 0 in like[name].shape:
            continue
        gain = here.gains[receiver] * here.gains[transmitter] if options.add_gains else 1.0
        gain *= 10 ** (options.scale_db / 10)
        links[name] = adjusted(read_paths(entry, scenario.freq_hz), gain, k_abs if options.add_absorption else 0.0)
        say(f"{name}: {_counted(links[name])}")
    for name in ("bs_to_surface", "surface_to_user"):
        if name not in links and 0 not in like[name].shape:
            raise ConfigError(f"{folder} lacks {name}: a file or folder of its paths is needed")
    if "direct" in links and hasattr(system, "num_active"):
        raise ConfigError(f"{folder} has direct paths, which this system's base station has none of: take them out")
    if "bs_to_surface" in links and len(links["bs_to_surface"].amplitude) != 1:
        count = len(links["bs_to_surface"].amplitude)
        raise ConfigError(f"bs_to_surface has {count} receivers, the surface is one: keep that")
    users, rng = system.spec.users, np.random.default_rng(options.seed)
    groups = _groups(links, users, options.num, rng)
    several = system.spec.user_antennas > 1
    hop = None
    if "bs_to_surface" in links:
        hop = link_matrix(links["bs_to_surface"], here.mounts["surface"], here.mounts["bs"], "bs_to_surface")[0]
    mask = None
    if "active" in like:
        one = np.arange(system.spec.elements) < system.num_active
        mask = rng.permuted(np.tile(one, (len(groups), 1)), axis=1)

    def block(start: int, stop: int) -> dict[str, np.ndarray]:
        chosen = groups[start:stop]
        arrays = {name: np.zeros((len(chosen), *x.shape), x.dtype) for name, x in like.items()}
        for name in ("direct", "surface_to_user"):
            if name in links:
                of_users = links[name].receivers(chosen.ravel())
                matrix = link_matrix(of_users, here.mounts["user"], here.mounts[LINKS[name][1]], name)
                matrix = matrix.reshape(*chosen.shape, *matrix.shape[1:])
                arrays[name] = matrix if several else matrix[:, :, 0]
        if hop is not None:
            arrays["bs_to_surface"] = np.broadcast_to(hop, (len(chosen), *hop.shape))
        if mask is not None:
            arrays["active"] = mask[start:stop]
        return arrays

    return len(groups), block


def _refuse_unphysical(system: Any) -> None:
    if getattr(system, "channel_steering", "unit_modulus") != "unit_modulus":
        raise ConfigError("channel_steering=literal is no array that a wave meets: take paths with unit_modulus")
    if getattr(system, "departure", "physical") != "physical":
        raise ConfigError(f"departure={system.departure} mirrors angles: take paths with departure=physical")


def _entry(folder: Path, name: str) -> Path | None:
    """The file or folder of a link's paths."""
    there = [path for path in (folder / name, *(folder / f"{name}{suffix}" for suffix in SUFFIXES)) if path.exists()]
    if len(there) > 1:
        raise ConfigError(f"{folder} has {there[0].name} and {there[1].name}: keep one of them")
    return there[0] if there else None


def _counted(paths: Paths) -> str:
    there = np.count_nonzero(np.abs(paths.amplitude).max(axis=(1, 2)), axis=-1)
    if not there.any():
        raise ConfigError("a link has no path to any receiver: leave it out, or trace it again")
    return f"{len(there)} receivers, up to {there.max()} paths, {np.count_nonzero(there == 0)} receivers without any"


def _groups(links: Mapping[str, Paths], users: int, num: int | None, rng: np.random.Generator) -> np.ndarray:
    """Which receivers are the users of each channel, `[C, K]`: different ones, with a path to some transmitter."""
    of_users = {name: links[name].amplitude for name in ("surface_to_user", "direct") if name in links}
    if not of_users:
        raise ConfigError("no link reaches the users: paths of direct or of surface_to_user are needed")
    if len({len(a) for a in of_users.values()}) > 1:
        text = ", ".join(f"{name} has {len(a)}" for name, a in of_users.items())
        raise ConfigError(f"both links to the users need the same receivers, in one order: {text}")
    reached = np.flatnonzero(np.any([np.abs(a).max(axis=(1, 2, 3)) > 0 for a in of_users.values()], axis=0))
    if len(reached) < users:
        raise ConfigError(f"{len(reached)} receivers have a path, fewer than num_users={users}: set that to as many")
    apart = len(reached) // users
    if num is None or num <= apart:
        return rng.permutation(reached)[: (num or apart) * users].reshape(-1, users)
    return np.stack([rng.choice(reached, users, replace=False) for _ in range(num)])
