"""A trained policy as a plain function of channels, from Python or from files."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array

from thzjax import __version__
from thzjax.data.drops import read_arrays
from thzjax.data.sources import opened
from thzjax.errors import ConfigError
from thzjax.experiment.config import read_config
from thzjax.experiment.evaluation import PolicyRule
from thzjax.experiment.learner import Learner, load_weights, make_learner
from thzjax.exported import checked_arrays, export_program, load_exported, refuse_richer
from thzjax.systems.base import Design

BATCH = 4096
"""Channels of a file that are designed for at once."""
PLATFORMS = ("cpu", "cuda", "tpu")
"""What an exported policy runs on."""


def load_policy(folder: str | Path, trained: bool = True, checkpoint: str = "last") -> Callable[..., Design]:
    """The policy of a run folder as `design(channels, params=None, key=None) -> Design`.

    The function takes a batch of channels, `[C, ...]` in every leaf, or its arrays by name in a dictionary
    (`channel_arrays`; NumPy arrays serve as well), and is compiled once for each batch size. `params` are the system's
    physical parameters, by default those the run was trained with; `key` matters only where the designer sees estimated
    channels or phases act a step late. Designs are within all powers and on the surface's levels; with the handler
    `projection` they also meet what has a closed-form scaling.

    Args:
      folder: a run folder of `thzjax train`.
      trained: False gives the policy before training.
      checkpoint: "last", "best" (by its rate on the validation channels) or a record's number.

    Raises:
      ConfigError: no run folder, or a checkpoint that cannot be used.
    """
    folder = Path(folder)
    learner, before, after = load_weights(read_config(folder / "config.json"), folder, checkpoint)
    rule = jax.jit(PolicyRule(learner.env, learner.agent.policy, after if trained else before))

    wanted = _arrays(learner)

    def design(channels: Any, params: Any = None, key: Array | None = None) -> Design:
        if isinstance(channels, Mapping):
            channels = _channels_type(learner)(**checked_arrays(channels, wanted, "channels"))
        channels = jax.tree.map(jax.numpy.asarray, channels)
        return rule(learner.params if params is None else params, channels, jax.random.key(0) if key is None else key)

    return design


def export_policy(
    folder: str | Path, target: str | Path, checkpoint: str = "last", platforms: tuple[str, ...] = PLATFORMS
) -> None:
    """Write the trained policy of a run folder to one file for `thzjax.exported.load_exported`.

    The file has the weights, the physical parameters and the program for any number of channels; where it is loaded
    neither the run nor flax is needed.

    Raises:
      ConfigError: no run folder, a checkpoint that cannot be used, or an unknown platform.
    """
    folder, target = Path(folder), Path(target)
    if unknown := set(platforms) - {*PLATFORMS, "rocm"}:
        raise ConfigError(
            f"platforms {', '.join(sorted(unknown))} are unknown: use some of {', '.join(PLATFORMS)}, rocm"
        )
    config = read_config(folder / "config.json")
    learner, _, weights = load_weights(config, folder, checkpoint)
    rule = PolicyRule(learner.env, learner.agent.policy, weights)

    def design(arrays: dict[str, Array]) -> tuple[Array, Array]:
        chosen = rule(learner.params, _channels_type(learner)(**arrays), jax.random.key(0))
        return chosen.beamformer, chosen.reflection

    about = {
        "thzjax": __version__, "preset": config.preset, "agent": config.agent, "policy": config.policy,
        "steps": config.steps, "seed": config.seed, "rank": learner.env.system.spec.rank,
        "scenario": dataclasses.asdict(config.scenario),
    }  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    export_program(target, design, _arrays(learner), about, platforms)


def _one_channel(learner: Learner) -> Any:
    return jax.eval_shape(learner.env.system.sample, jax.random.key(0), learner.params)


def _channels_type(learner: Learner) -> Callable[..., Any]:
    return type(_one_channel(learner))


def _arrays(learner: Learner) -> dict[str, jax.ShapeDtypeStruct]:
    one = _one_channel(learner)
    return {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}


def channel_arrays(run: Path) -> dict[str, jax.ShapeDtypeStruct]:
    """What the policy of a run folder or exported file takes, by name: shape and type of one channel's arrays."""
    if run.is_file():
        return load_exported(run).arrays
    return _arrays(make_learner(read_config(run / "config.json")))


def policy_rank(run: Path) -> int:
    """The rank of the channels that the policy of a run folder or exported file is made for."""
    if run.is_file():
        return load_exported(run).about["rank"]
    return make_learner(read_config(run / "config.json")).env.system.spec.rank


def read_channels(wanted: dict[str, jax.ShapeDtypeStruct], source: Path) -> dict[str, Any]:
    """A batch of channels from an `.npz`, HDF5 or `.mat` file of the arrays that `channel_arrays` names.

    Raises:
      ConfigError: no such file, or an array that is missing, of another shape, not finite or of too few channels.
    """
    with opened(source) as file:
        return read_arrays(file, wanted)


def design_file(run: Path, source: Path, target: Path, say: Callable[[str], None], checkpoint: str = "last") -> int:
    """Design for every channel of a file and write `beamformer [C, M, S]` and `reflection [C, N]` to an `.npz`.

    Args:
      run: a run folder, or a file that `export_policy` wrote.
      source, target: files to read and write.
      say: takes lines of progress.
      checkpoint: of a run folder.

    Returns:
      C.

    Raises:
      ConfigError: as `load_policy` and `read_channels`.
    """
    channels = read_channels(channel_arrays(run), source)
    refuse_richer(channels, policy_rank(run), source)
    policy = load_exported(run) if run.is_file() else load_policy(run, checkpoint=checkpoint)
    total = len(next(iter(channels.values())))
    size = min(BATCH, total)
    parts = []
    for start in range(0, total, size):
        # The last batch is filled up, so that one compiled program serves all.
        index = np.minimum(np.arange(start, start + size), total - 1)
        design = policy({name: array[index] for name, array in channels.items()})
        arrays = np.asarray(design.beamformer), np.asarray(design.reflection)
        parts.append(tuple(array[: total - start] for array in arrays))
        say(f"{min(start + size, total)} of {total} channels")
    beamformer, reflection = (np.concatenate(part) for part in zip(*parts, strict=True))
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        np.savez(file, beamformer=beamformer, reflection=reflection)
    return total
