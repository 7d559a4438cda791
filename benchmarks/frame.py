"""What every benchmark shares: timing on pinned cores, the machine's measured peaks, JSON lines out."""

import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Timing(NamedTuple):
    """Wall seconds of one run, and the CPU seconds that all threads spent on it (median)."""

    seconds: float
    fastest: float
    slowest: float
    cpu_seconds: float


def pin(cores: int) -> None:
    """Keep this process to its first `cores` CPU cores; call before importing jax."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def measure(function: Callable[[], Any], repeats: int = 9) -> Timing:
    """Median, fastest and slowest run of `function`, after one run to warm up; JAX arrays it returns are waited for."""

    def run() -> None:
        result = function()
        if "jax" in sys.modules:
            sys.modules["jax"].block_until_ready(result)

    run()
    walls, cpus = [], []
    for _ in range(repeats):
        cpu, begin = time.process_time(), time.perf_counter()
        run()
        walls.append(time.perf_counter() - begin)
        cpus.append(time.process_time() - cpu)
    return Timing(statistics.median(walls), min(walls), max(walls), statistics.median(cpus))


def compiled(function: Any, *args: Any) -> tuple[Any, float]:
    """(a jitted function compiled for these arguments, the seconds that tracing and compiling took)."""
    begin = time.perf_counter()
    program = function.lower(*args).compile()
    return program, time.perf_counter() - begin


def resident_mib(process: int | None = None) -> float:
    """Memory that a process holds now, by default this one [MiB]; NaN where the system does not say."""
    try:
        with open(f"/proc/{process or os.getpid()}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except (OSError, ValueError, IndexError):
        return float("nan")


def peak_mib() -> float:
    """The most memory this process has held [MiB]."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / 2**20 if sys.platform == "darwin" else largest / 2**10


def peaks() -> dict[str, float]:
    """Measured float32 matrix product [GFLOP/s] and copy, read plus write [GB/s], of the default device."""
    import jax
    import jax.numpy as jnp

    size = 2048 if jax.default_backend() == "cpu" else 8192
    a = jnp.ones((size, size))
    product = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))
    seconds = measure(lambda: product(a, a)).fastest
    block = jnp.ones((1 << 26,))
    copy = jax.jit(lambda x: x + 1)
    copied = measure(lambda: copy(block)).fastest
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
    """One JSON line on standard output, numbers to four digits, null for what is not a number."""
    print(json.dumps(shortened(record)), flush=True)


def shortened(record: dict[str, Any]) -> dict[str, Any]:
    """A record with its numbers to four digits, and none for what is not a number."""
    short = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in record.items()}
    return {k: None if isinstance(v, float) and v != v else v for k, v in short.items()}
