"""Utilities: what a network may want of its users' rates `[..., K]` [bit/s/Hz]."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def sum_utility(rates: Array) -> Array:
    """Sum of the rates, `[...]`. Source: paper A, eq. (23); paper B, eq. (15a)."""
    return jnp.sum(rates, axis=-1)


def weighted_sum(rates: Array, weights: ArrayLike) -> Array:
    """sum_k weight_k rate_k, `[...]`; weights broadcast against `[..., K]`."""
    return jnp.sum(jnp.asarray(weights, rates.dtype) * rates, axis=-1)


def min_rate(rates: Array) -> Array:
    """The worst user's rate, `[...]`: max-min fairness."""
    return jnp.min(rates, axis=-1)


def proportional_fair(rates: Array) -> Array:
    """sum_k ln(rate_k), `[...]`: proportional fairness. A rate of 0 counts as the smallest positive number.

    Source: Kelly, Maulloo and Tan, 1998.
    """
    return jnp.sum(jnp.log(jnp.maximum(rates, jnp.finfo(rates.dtype).tiny)), axis=-1)


UTILITIES: dict[str, Callable[[Array], Array]] = {
    "sum": sum_utility,
    "min": min_rate,
    "proportional_fair": proportional_fair,
}
"""Utilities of the rates alone, by name."""
