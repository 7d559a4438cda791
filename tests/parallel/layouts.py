"""Learners of 4 workers on 1 device, on 2 by `pmap` and on 2 by `shard_map`; prints how far apart they end, as JSON.

Run in a process of its own, as the number of virtual devices is fixed when JAX starts.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from problem import chunk, learner

from thzjax.parallel import BACKENDS, on_devices


def leaves(tree):
    """By path, on the host; keys as their data."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    keys = {
        path: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x for path, x in flat
    }
    return {jax.tree_util.keystr(path): np.asarray(x, float) for path, x in keys.items()}


def distance(a, b):
    """Largest difference, relative where numbers exceed 1, and where it is."""
    a, b = leaves(a), leaves(b)
    assert {k: x.shape for k, x in a.items()} == {k: x.shape for k, x in b.items()}
    worst = {k: float(np.max(np.abs(a[k] - b[k]) / np.maximum(np.abs(a[k]), 1), initial=0)) for k in a}
    name = max(worst, key=worst.get)
    return worst[name], name


def compare(name, backends):
    """Distances of layouts of 2 devices from that of 1, and how far the actor's weights have come."""
    alone = learner(name)
    start = jax.jit(alone.init)(jax.random.key(0), None)
    ended = jax.jit(chunk(alone))(start, None)
    spread = chunk(learner(name, devices=2))
    result = {backend: distance(ended, on_devices(spread, 2, backend)(start, None)) for backend in backends}
    return result | {"moved": distance(start.params["actor"], ended[0].params["actor"])[0]}


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    wanted = (argument.partition("/") for argument in sys.argv[1:])  # LEARNER or LEARNER/BACKEND
    print(json.dumps({name: compare(name, [backend] if backend else BACKENDS) for name, _, backend in wanted}))
