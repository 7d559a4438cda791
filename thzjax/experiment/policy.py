"""A trained policy as a plain function of channels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax import Array

from thzjax.experiment.config import read_config
from thzjax.experiment.evaluation import PolicyRule
from thzjax.experiment.learner import load_weights
from thzjax.systems.base import Design


def load_policy(folder: str | Path, trained: bool = True) -> Callable[..., Design]:
    """The policy of a run folder as `design(channels, params=None, key=None) -> Design`.

    The function takes a batch of channels, `[C, ...]` in every leaf (NumPy arrays serve as well), and is compiled once
    for each batch size. `params` are the system's physical parameters, by default those the run was trained with; `key`
    matters only where the designer sees estimated channels or phases act a step late. Designs are within all powers and
    on the surface's levels; with the handler `projection` they also meet what has a closed-form scaling.

    Args:
      folder: a run folder of `thzjax train`.
      trained: False gives the policy before training.

    Raises:
      ConfigError: no run folder, or a checkpoint that cannot be used.
    """
    folder = Path(folder)
    learner, before, after = load_weights(read_config(folder / "config.json"), folder)
    rule = jax.jit(PolicyRule(learner.env, learner.agent.policy, after if trained else before))

    def design(channels: Any, params: Any = None, key: Array | None = None) -> Design:
        channels = jax.tree.map(jax.numpy.asarray, channels)
        return rule(learner.params if params is None else params, channels, jax.random.key(0) if key is None else key)

    return design
