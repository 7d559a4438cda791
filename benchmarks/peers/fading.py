"""Rayleigh block fading: thzjax beside Sionna, realisations `[K, M]` per second."""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from sionna.phy.channel import RayleighBlockFading

from benchmarks.peers.record import emit, ratios, speed
from thzjax.physics.fading import gauss_markov

USERS, ANTENNAS = 4, (5, 16, 64)
BATCHES = (1 << 8, 1 << 10, 1 << 13, 1 << 16)
"""A small batch fits the cache, a large one spreads the overhead: the fastest counts, for each library."""

KEYS = ("threefry2x32", "rbg")
"""jax's key implementations: the default, whose streams are the same on every device, and the quick one."""


def of_thzjax(antennas: int, batch: int, implementation: str) -> Callable[[], Any]:
    """Gauss-Markov fading at correlation 0 is block fading: every block a fresh channel."""
    key = jax.random.key(0, impl=implementation)
    before = jnp.zeros((batch, USERS, antennas), jnp.complex64)
    draw = jax.jit(gauss_markov).lower(key, before, 0.0).compile()
    return lambda: jax.block_until_ready(draw(key, before, 0.0))


def of_sionna(antennas: int, batch: int) -> Callable[[], Any]:
    """One transmitter of M antennas and K receivers of one, one time step a block."""
    channel = RayleighBlockFading(
        num_rx=USERS, num_rx_ant=1, num_tx=1, num_tx_ant=antennas, precision="single", device="cpu"
    )

    def draw() -> Any:
        with torch.inference_mode():
            return channel(batch, 1)[0]

    return draw


def check(h: np.ndarray) -> None:
    """Circular normals of unit power: |h|^2 has mean 1 and deviation 1, h^2 mean 0 and E |h^2|^2 = 2."""
    h = h.reshape(-1)
    assert abs(np.mean(np.abs(h) ** 2) - 1) < 5 / h.size**0.5
    assert abs(np.mean(h**2)) < 5 * (2 / h.size) ** 0.5


def run(peer: str, given: argparse.Namespace, peaks: dict[str, float]) -> None:
    """Every number of antennas."""
    torch.set_num_threads(given.cores)
    makers = {f"thzjax, {keys} keys": lambda m, b, keys=keys: of_thzjax(m, b, keys) for keys in KEYS}
    makers[peer] = of_sionna
    for antennas in ANTENNAS[:1] if given.quick else ANTENNAS:
        best = {}
        for who, make in makers.items():
            speeds = {}
            for batch in BATCHES:
                draw = make(antennas, batch)
                check(np.asarray(draw()))
                calls = max(BATCHES[-1] // batch // 8, 1)
                speeds[batch] = speed(
                    "realisations", batch * calls, lambda draw=draw, calls=calls: [draw() for _ in range(calls)],
                    given.repeats,
                )  # fmt: skip
            batch = max(speeds, key=lambda b: speeds[b]["realisations_per_s"])
            best[who] = speeds[batch] | {"batch": batch}
        for who, found in best.items():
            written = found["realisations_per_s"] * USERS * antennas * 8 / 1e9 / peaks["copy_gb_s"]
            record = {"what": "rayleigh fading", "users": USERS, "antennas": antennas} | found
            record["share_of_copy_peak"] = written
            if who == peer:
                for keys in KEYS:
                    record |= ratios("realisations", best[f"thzjax, {keys} keys"], found, f"ratio_{keys}")
            emit(peer, who, record | peaks)
