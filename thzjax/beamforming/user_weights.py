"""Rate weights that hold a least SINR: multipliers of the users' rate constraints."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array

from thzjax.systems.base import System

MARGIN = 1.1
STEP = 5.0


def user_weights(system: System, params: Any, sinr: Array, weights: Array) -> Array:
    """The next weights of sum_k weight_k rate_k, `[..., K]`: 1 plus a multiplier on SINR_k >= `params.min_sinr`.

    weight_k <- max(1, weight_k + step (log2(1 + 1.1 min_sinr) - rate_k)): dual ascent, aimed a little inside. Without
    the constraint `min_sinr` all stay at 1.
    """
    if "min_sinr" not in system.constraints:
        return weights
    lacking = (jnp.log1p(MARGIN * params.min_sinr) - jnp.log1p(sinr)) / math.log(2)
    return jnp.maximum(weights + STEP * lacking, 1)
