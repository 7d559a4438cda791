"""One number that ranks designs: what a search over designs climbs."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from thzjax.systems.base import Design, Outcome, System, satisfied


def score(outcome: Outcome) -> Array:
    """The sum rate where every constraint holds; else the worst slack, which is negative, `[...]`."""
    rate = jnp.sum(outcome.rates, axis=-1)
    if not outcome.slack:
        return rate
    worst = jnp.min(jnp.stack(jnp.broadcast_arrays(*outcome.slack.values())), axis=0)
    return jnp.where(satisfied(outcome.slack), rate, jnp.minimum(worst, 0))


def finished(system: System, params: Any, channels: Any, design: Design) -> tuple[Design, Array]:
    """A design as it would be judged, projected and scaled to the constraints, and its score."""
    design = system.meet(params, channels, system.project(params, channels, design))
    return design, score(system.outcome(params, channels, design))


def better_of(first: tuple[Design, Array], second: tuple[Design, Array]) -> tuple[Design, Array]:
    """Channel by channel the (design, score) of the higher score; of the first where they are level."""
    take = second[1] > first[1]

    def pick(a: Array, b: Array) -> Array:
        return jnp.where(take.reshape(take.shape + (1,) * (a.ndim - take.ndim)), b, a)

    return jax.tree.map(pick, first, second)
