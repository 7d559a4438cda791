"""What every benchmark shares: timing on pinned cores, the machine's measured peaks, JSON lines out."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any


def pin(cores: int) -> None:
    """Keep this process to its first `cores` CPU cores; call before importing jax."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def measure(function: Callable[[], Any], repeats: int = 9) -> tuple[float, float, float]:
    """(median, fastest, slowest) wall seconds of `function`, after one run to warm up; it blocks itself."""
    function()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return statistics.median(times), min(times), max(times)


def peaks() -> dict[str, float]:
    """Measured float32 matrix product [GFLOP/s] and copy, read plus write [GB/s], of the default device."""
    import jax
    import jax.numpy as jnp

    size = 2048 if jax.default_backend() == "cpu" else 8192
    a = jnp.ones((size, size))
    product = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))
    seconds = measure(lambda: product(a, a).block_until_ready())[1]
    block = jnp.ones((1 << 26,))
    copy = jax.jit(lambda x: x + 1)
    copied = measure(lambda: copy(block).block_until_ready())[1]
    return {"matmul_gflops": 2 * size**3 / seconds / 1e9, "copy_gb_s": 2 * block.nbytes / copied / 1e9}


def environment() -> dict[str, Any]:
    """Device and versions, for every record."""
    import jax
    import numpy as np

    return {
        "device": jax.devices()[0].device_kind,
        "backend": jax.default_backend(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def emit(record: dict[str, Any]) -> None:
    """One JSON line on standard output, numbers to four digits."""
    short = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in record.items()}
    print(json.dumps(short), flush=True)
