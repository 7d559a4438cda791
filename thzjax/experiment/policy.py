"""A trained policy as a plain function of channels, from Python or from files."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array

from thzjax.errors import ConfigError
from thzjax.experiment.config import read_config
from thzjax.experiment.evaluation import PolicyRule
from thzjax.experiment.learner import Learner, load_weights, make_learner
from thzjax.systems.base import Design

BATCH = 4096
"""Channels of a file that are designed for at once."""
OPTIONAL = ("user_position_m",)
"""What no design looks at."""


def load_policy(folder: str | Path, trained: bool = True, checkpoint: str = "last") -> Callable[..., Design]:
    """The policy of a run folder as `design(channels, params=None, key=None) -> Design`.

    The function takes a batch of channels, `[C, ...]` in every leaf (NumPy arrays serve as well), and is compiled once
    for each batch size. `params` are the system's physical parameters, by default those the run was trained with; `key`
    matters only where the designer sees estimated channels or phases act a step late. Designs are within all powers and
    on the surface's levels; with the handler `projection` they also meet what has a closed-form scaling.

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

    def design(channels: Any, params: Any = None, key: Array | None = None) -> Design:
        channels = jax.tree.map(jax.numpy.asarray, channels)
        return rule(learner.params if params is None else params, channels, jax.random.key(0) if key is None else key)

    return design


def channel_arrays(folder: Path) -> dict[str, jax.ShapeDtypeStruct]:
    """What a run's policy takes, by name, and the shape and type of each for one channel."""
    return _arrays(make_learner(read_config(folder / "config.json")))


def _arrays(learner: Learner) -> dict[str, jax.ShapeDtypeStruct]:
    one = jax.eval_shape(learner.env.system.sample, jax.random.key(0), learner.params)
    return {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}


def read_channels(folder: Path, source: Path) -> Any:
    """A batch of channels for a run's policy, from an `.npz` of the arrays that `channel_arrays` names.

    Raises:
      ConfigError: no such file, or an array that is missing, of another shape, not finite or of too few channels.
    """
    learner = make_learner(read_config(folder / "config.json"))
    wanted = _arrays(learner)
    try:
        with np.load(source) as file:
            arrays = dict(file)
    except FileNotFoundError:
        raise ConfigError(f"{source} does not exist") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{source} is not readable as .npz ({error})") from None
    if missing := [name for name in wanted if name not in arrays and name not in OPTIONAL]:
        raise ConfigError(f"{source} lacks {', '.join(missing)}: it needs {', '.join(wanted)}")
    count = len(next(arrays[name] for name in wanted if name in arrays))
    leaves = {}
    for name, like in wanted.items():
        array = arrays.get(name, np.zeros((count, *like.shape)))
        if array.shape != (count, *like.shape) or not count:
            shape = ", ".join(map(str, ("C", *like.shape)))
            raise ConfigError(
                f"{source}: {name} has shape {array.shape}, the policy needs [{shape}] with C={count} >= 1"
            )
        if not np.all(np.isfinite(array)):
            raise ConfigError(f"{source}: {name} holds numbers that are not finite")
        if np.iscomplexobj(array) and not np.issubdtype(like.dtype, np.complexfloating):
            raise ConfigError(f"{source}: {name} is complex, the policy needs {like.dtype}")
        leaves[name] = array.astype(like.dtype)
    example = jax.eval_shape(learner.env.system.sample, jax.random.key(0), learner.params)
    return type(example)(**leaves)


def design_file(folder: Path, source: Path, target: Path, say: Callable[[str], None], checkpoint: str = "last") -> int:
    """Design for every channel of an `.npz` and write `beamformer [C, M, S]` and `reflection [C, N]` to another.

    Returns:
      C.

    Raises:
      ConfigError: as `read_channels`.
    """
    channels = read_channels(folder, source)
    policy = load_policy(folder, checkpoint=checkpoint)
    total = len(channels.direct)
    size = min(BATCH, total)
    parts = []
    for start in range(0, total, size):
        # The last batch is filled up, so that one compiled program serves all.
        index = np.minimum(np.arange(start, start + size), total - 1)
        design = policy(jax.tree.map(lambda x, index=index: x[index], channels))
        parts.append(jax.tree.map(lambda x, start=start: np.asarray(x)[: total - start], design))
        say(f"{min(start + size, total)} of {total} channels")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        np.savez(
            file,
            beamformer=np.concatenate([part.beamformer for part in parts]),
            reflection=np.concatenate([part.reflection for part in parts]),
        )
    return total
