"""First weights of networks."""

import flax.linen as nn
import jax
from jax import Array
from jax.nn.initializers import Initializer


def orthogonal(scale: float) -> Initializer:
    """`nn.initializers.orthogonal`, one matrix after another under `vmap`, to the same bits.

    XLA's batched QR on a CPU waits for threads of the pool that it runs on: with 3 networks of 64 units side by side on
    2 cores, every other start hung for good (jaxlib 0.10.2).
    """
    initialise = nn.initializers.orthogonal(scale)

    def init(key: Array, shape: tuple[int, ...], dtype: jax.typing.DTypeLike = float) -> Array:
        one = jax.custom_batching.sequential_vmap(lambda k: initialise(k, shape, dtype))
        return one(key)

    return init
