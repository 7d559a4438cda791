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
from thzjax.errors import ConfigError, one_line
from thzjax.experiment.config import read_config
from thzjax.experiment.evaluation import PolicyRule
from thzjax.experiment.learner import load_weights, make_learner
from thzjax.experiment.memory import free_host_bytes
from thzjax.experiment.overrides import from_json
from thzjax.experiment.progress import paced
from thzjax.exported import checked_arrays, export_program, load_exported, refuse_richer
from thzjax.systems.base import Design, System
from thzjax.systems.scenario import Scenario, build, preset

BATCH = 4096
"""Channels of a file that are designed for at once."""
PLATFORMS = ("cpu", "cuda", "tpu")
"""What an exported policy runs on."""
ROOM = 0.3
"""Share of the free memory that channels of a file may take: they are converted, and designs follow."""


@dataclasses.dataclass(frozen=True, eq=False)
class Policy:
    """A policy as a function of channels: `policy(channels) -> Design`.

    Attributes:
      name: of its learner.
      scenario: what it was trained on.
      like: one channel of its system, of which it takes batches: shapes and types alone.
      rule: (parameters or None, channels, key) -> Design, on a batch of the system's channels.
    """

    name: str
    scenario: Scenario
    like: Any = dataclasses.field(repr=False)
    rule: Callable[[Any, Any, Array], Design] = dataclasses.field(repr=False)

    @property
    def arrays(self) -> dict[str, jax.ShapeDtypeStruct]:
        """What it takes, by name: shape and type of one channel's arrays."""
        return _arrays(self.like)

    def __call__(self, channels: Any, params: Any = None, key: Array | None = None) -> Design:
        """Designs for a batch of channels; compiled once for each number of them.

        Args:
          channels: as a system samples them, `[C, ...]` in every leaf, or the arrays by name in a dictionary, where
            NumPy arrays serve as well.
          params: the system's physical parameters, default those of the scenario.
          key: matters only where the designer sees estimated channels or phases act a step late.

        Raises:
          ConfigError: an array of the dictionary that is missing, of another shape, not finite, or of no channel.
        """
        if isinstance(channels, Mapping):
            channels = type(self.like)(**checked_arrays(channels, self.arrays, "channels"))
        channels = jax.tree.map(jax.numpy.asarray, channels)
        return self.rule(params, channels, jax.random.key(0) if key is None else key)


def load_policy(path: str | Path, trained: bool = True, checkpoint: str = "last") -> Policy:
    """The policy of a run folder, or of a file that `thzjax policy --export` wrote.

    Its designs are within all powers and on the surface's levels; with the handler `projection` they also meet what has
    a closed-form scaling.

    Args:
      path: a run folder of `train`, or an exported policy.
      trained: False gives a run's policy before training.
      checkpoint: of a run: "last", "best" (by its rate on the validation channels) or a record's number.

    Raises:
      ConfigError: no run folder or exported policy, or a checkpoint that cannot be used.
    """
    path = Path(path)
    if path.is_file():
        return _exported_policy(path, trained, checkpoint)
    config = read_config(path / "config.json")
    learner, before, after = load_weights(config, path, checkpoint)
    rule = jax.jit(PolicyRule(learner.env, learner.agent.policy, after if trained else before))

    def design(params: Any, channels: Any, key: Array) -> Design:
        return rule(learner.params if params is None else params, channels, key)

    return Policy(config.agent, config.scenario, _one_channel(learner.env.system, learner.params), design)


def _exported_policy(path: Path, trained: bool, checkpoint: str) -> Policy:
    if not trained or checkpoint != "last":
        raise ConfigError(f"{path} is an exported policy, which has one set of weights: name its run folder instead")
    exported = load_exported(path)
    try:
        scenario = from_json(preset(exported.about["preset"]), exported.about["scenario"], str(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} does not say which scenario it is for ({one_line(error)})") from None

    def design(params: Any, channels: Any, key: Array) -> Design:
        del key
        if params is not None:
            raise ConfigError(f"{path} holds the parameters it was exported with: give none")
        return Design(*exported.program({name: getattr(channels, name) for name in exported.arrays}))

    return Policy(exported.about["agent"], scenario, _one_channel(*build(scenario)), design)


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
    like = _one_channel(learner.env.system, learner.params)

    def design(arrays: dict[str, Array]) -> tuple[Array, Array]:
        chosen = rule(learner.params, type(like)(**arrays), jax.random.key(0))
        return chosen.beamformer, chosen.reflection

    about = {
        "thzjax": __version__, "preset": config.preset, "agent": config.agent, "policy": config.policy,
        "steps": config.steps, "seed": config.seed, "rank": learner.env.system.spec.rank,
        "scenario": dataclasses.asdict(config.scenario),
    }  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    export_program(target, design, _arrays(like), about, platforms)


def _one_channel(system: System, params: Any) -> Any:
    return jax.eval_shape(system.sample, jax.random.key(0), params)


def _arrays(like: Any) -> dict[str, jax.ShapeDtypeStruct]:
    return {field.name: getattr(like, field.name) for field in dataclasses.fields(like)}


def channel_arrays(run: Path) -> dict[str, jax.ShapeDtypeStruct]:
    """What the policy of a run folder or exported file takes, by name: shape and type of one channel's arrays."""
    if run.is_file():
        return load_exported(run).arrays
    learner = make_learner(read_config(run / "config.json"))
    return _arrays(_one_channel(learner.env.system, learner.params))


def policy_rank(run: Path) -> int:
    """The rank of the channels that the policy of a run folder or exported file is made for."""
    if run.is_file():
        return load_exported(run).about["rank"]
    return make_learner(read_config(run / "config.json")).env.system.spec.rank


def read_channels(wanted: dict[str, jax.ShapeDtypeStruct], source: Path) -> dict[str, Any]:
    """A batch of channels from an `.npz`, HDF5 or `.mat` file of the arrays that `channel_arrays` names.

    Raises:
      ConfigError: no such file, one larger than the memory, or an array that is missing, of another shape, not finite
        or of too few channels.
    """
    free = free_host_bytes()
    with opened(source, None if free is None else int(ROOM * free / len(wanted))) as file:
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
      ConfigError: as `load_policy` and `read_channels`, or a channel without a finite design.
    """
    channels = read_channels(channel_arrays(run), source)
    refuse_richer(channels, policy_rank(run), source)
    policy = load_exported(run) if run.is_file() else load_policy(run, checkpoint=checkpoint)
    total = len(next(iter(channels.values())))
    size = min(BATCH, total)
    parts, tell = [], paced(say, total, "channels")
    for start in range(0, total, size):
        # The last batch is filled up, so that one compiled program serves all.
        index = np.minimum(np.arange(start, start + size), total - 1)
        design = policy({name: array[index] for name, array in channels.items()})
        arrays = np.asarray(design.beamformer), np.asarray(design.reflection)
        parts.append(tuple(array[: total - start] for array in arrays))
        tell("designs", min(start + size, total))
    beamformer, reflection = (np.concatenate(part) for part in zip(*parts, strict=True))
    sound = np.isfinite(beamformer).all(axis=(1, 2)) & np.isfinite(reflection).all(axis=1)
    if not sound.all():
        worst = int(sound.argmin())
        raise ConfigError(
            f"{source}: channel {worst} has no finite design: its amplitudes are too large or too small for float32, "
            "or far from those that the policy was trained on"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(target.name + ".tmp")
    with aside.open("wb") as file:
        np.savez(file, beamformer=beamformer, reflection=reflection)
    aside.replace(target)
    return total
