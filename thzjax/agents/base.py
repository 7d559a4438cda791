"""What every learner is, and the few steps that all of them take."""

from typing import Any, NamedTuple

import jax
import optax


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
