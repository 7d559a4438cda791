"""Batches larger than memory, walked in equal pieces: what is computed on the way is held for one piece at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def num_pieces(batch: int, chunk: int) -> int:
    """The fewest equal pieces of at most `chunk` rows; 1 where `chunk` is 0, for all at once."""
    if not chunk:
        return 1
    return next(pieces for pieces in range(-(-batch // chunk), batch + 1) if batch % pieces == 0)


def split(tree: Any, pieces: int, axis: int = 0) -> Any:
    """Leaves `[.., B, ..]` as `[P, .., B/P, ..]`."""

    def parted(x: Any) -> Any:
        x = x.reshape(*x.shape[:axis], pieces, -1, *x.shape[axis + 1 :])
        return jnp.moveaxis(x, axis, 0)

    return jax.tree.map(parted, tree)


def join(tree: Any, axis: int = 0) -> Any:
    """Leaves `[P, .., B/P, ..]` as `[.., B, ..]`, the inverse of `split`."""

    def whole(x: Any) -> Any:
        x = jnp.moveaxis(x, 0, axis)
        return x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])

    return jax.tree.map(whole, tree)


def over(function: Callable[..., Any], chunk: int) -> Callable[..., Any]:
    """`jax.vmap` of a function over the first axis of every argument, at most `chunk` rows at a time (0: all)."""
    each = jax.vmap(function)

    def walked(*arguments: Any) -> Any:
        pieces = num_pieces(jax.tree.leaves(arguments)[0].shape[0], chunk)
        if pieces == 1:
            return each(*arguments)
        return join(lax.map(lambda piece: each(*piece), split(arguments, pieces)))

    return walked


def gradient(
    loss: Callable[[Any, Any], tuple[Any, Any]], weights: Any, batch: Any, pieces: int = 1, axis: int = 0
) -> tuple[Any, Any]:
    """(gradient, what comes with the loss `[P, ...]`) of the mean of `loss(weights, piece) -> (value, aux)`.

    Pieces are equal, so that the mean of their means is that of the batch; only one is differentiated at a time.
    """
    slope = jax.grad(loss, has_aux=True)
    if pieces == 1:
        total, aux = slope(weights, batch)
        return total, jax.tree.map(lambda x: x[None], aux)

    def add(total: Any, piece: Any) -> tuple[Any, Any]:
        more, aux = slope(weights, piece)
        return jax.tree.map(jnp.add, total, more), aux

    total, aux = lax.scan(add, jax.tree.map(jnp.zeros_like, weights), split(batch, pieces, axis))
    return jax.tree.map(lambda x: x / pieces, total), aux
