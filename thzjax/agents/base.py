"""What every learner is, and the few steps that all of them take."""

import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from thzjax.errors import ConfigError


class Agent(NamedTuple):
    """A learner on one environment: `init(key, params) -> state`, `update(state, params) -> (state, metrics)`.

    `params` are the system's physical parameters, and may be traced. The state is the whole carry: saving it and
    loading it continues a run bit for bit; its field `params` holds what `policy` needs.

    Attributes:
      init, update: pure functions.
      policy: gives `mode(weights, obs) -> action`, the action used after training.
      steps_per_update: environment steps that one update consumes.
    """

    init: Any
    update: Any
    policy: Any
    steps_per_update: int


def descend(optimiser: optax.GradientTransformation, gradient: Any, opt_state: Any, weights: Any) -> tuple[Any, Any]:
    """One optimiser step: (weights, optimiser state)."""
    # optax raises floats to integer counts, which strict dtype promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        change, opt_state = optimiser.update(gradient, opt_state, weights)
    return optax.apply_updates(weights, change), opt_state


def is_number(value: Any) -> bool:
    """A number that is known now. Traced ones, as in a sweep of rates by `vmap`, cannot be checked."""
    return isinstance(value, numbers.Real)


RANGES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "counts": ("must be at least 1", lambda x: x >= 1),
    "positive": ("must be greater than 0", lambda x: x > 0),
    "not_negative": ("must be at least 0", lambda x: x >= 0),
    "shares": ("must lie in 0..1", lambda x: 0 <= x <= 1),
    "shares_above_0": ("must lie in 0..1, above 0", lambda x: 0 < x <= 1),
    "shares_below_1": ("must lie in 0..1, below 1", lambda x: 0 <= x < 1),
}
"""Where a setting must lie, by the names that `check_settings` takes."""


def check_settings(config: Any, **settings: tuple[str, ...]) -> None:
    """Refuse settings that are out of range; traced ones are let pass.

    Args:
      config: hyper-parameters.
      settings: names of fields by name of their range (`RANGES`), as in `positive=("actor_rate",)`.

    Raises:
      ConfigError: naming the setting, its value and the range.
    """
    for kind, names in settings.items():
        message, within = RANGES[kind]
        for name in names:
            value = getattr(config, name)
            if is_number(value) and not within(value):
                raise ConfigError(f"{name}={value:g} {message}")
