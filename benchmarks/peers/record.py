"""One JSON line of a comparison."""

import os
from collections.abc import Callable
from importlib import metadata
from typing import Any

from benchmarks import frame

PACKAGES = {"sb3": "stable-baselines3", "sbx": "sbx-rl", "sionna": "sionna-no-rt", "cvxpy": "cvxpy"}


def speed(unit: str, work: float, function: Callable[[], Any], repeats: int) -> dict[str, float]:
    """`work` per second of a call: median, slowest and fastest; and per second of the processor's time.

    On a machine that others use too, the processor's time tells what the clock does not: whose turn it was. It is that
    of all threads, and on several cores the more the more of them work.
    """
    taken = frame.measure(function, repeats)
    return {
        f"{unit}_per_s": work / taken.seconds,
        "slowest": work / taken.slowest,
        "fastest": work / taken.fastest,
        "per_cpu_s": work / taken.cpu_seconds,
        "cores_used": taken.cpu_seconds / taken.seconds,
    }


def ratios(unit: str, own: dict[str, float], other: dict[str, float], name: str = "ratio") -> dict[str, float]:
    """thzjax's speed over the peer's, by the clock and by the processor's time."""
    return {
        name: own[f"{unit}_per_s"] / other[f"{unit}_per_s"],
        f"{name}_cpu": own["per_cpu_s"] / other["per_cpu_s"],
    }


def emit(peer: str, who: str, record: dict[str, Any]) -> None:
    """A line of `who` (thzjax, or what the peer is called) in the comparison with a peer.

    The load is that of the last minute, this process included: above the number of cores, others ran beside it.
    """
    package = PACKAGES[peer]
    versions = {package: metadata.version(package)}
    if package != "cvxpy":
        versions["torch"] = metadata.version("torch")
    load = {"load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}
    frame.emit({"benchmark": "peers", "peer": peer, "who": who} | record | frame.environment() | versions | load)
