"""Where cost bends: environment steps and bounds against batch, antennas, users, elements; `paper-a` and `paper-b`.

    python -m benchmarks.scaling [--cores 2] [--only batch elements antennas users bound] [--quick]

One JSON line for each point: microseconds for one realisation, compile seconds, most memory so far, and the slope of
log time against log size from the point before, which is the power that cost grows with there.
"""

import argparse
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

from . import frame


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=None, metavar="NAME", help="sweeps to run (default all)")
    parser.add_argument("--cores", type=int, default=2, help="CPU cores to run on (default 2)")
    parser.add_argument("--quick", action="store_true", help="every other size, and none of the largest")
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    frame.pin(options.cores)

import jax  # noqa: E402

from thzjax.systems.base import Design  # noqa: E402
from thzjax.systems.scenario import build, preset  # noqa: E402

ENTRIES = 1 << 22
"""Complex numbers in the largest channels of a batch: larger systems take smaller batches, to stay within memory."""


def one_outcome(scenario: Any) -> Callable[[jax.Array], Any]:
    """Compiled `keys -> outcome`: a fresh drop, a random design within power, rates and every constraint."""
    system, params = build(scenario)

    def one(key: jax.Array) -> Any:
        key_drop, key_design = jax.random.split(key)
        channels = system.sample(key_drop, params)
        design = system.project(params, channels, system.random_design(key_design, params, channels))
        return system.outcome(params, channels, design)

    return jax.jit(jax.vmap(one))


def cascade(scenario: Any) -> Callable[[jax.Array], Any]:
    """Compiled `keys -> rates` on a channel that is given: what a step costs apart from its drop."""
    system, params = build(scenario)
    channels = jax.jit(system.sample)(jax.random.key(0), params)

    def one(key: jax.Array) -> Any:
        design = system.random_design(key, params, channels)
        return system.rates(params, channels, Design(design.beamformer, design.reflection))

    return jax.jit(jax.vmap(one))


def square(elements: int) -> tuple[int, int]:
    """(rows, columns) of a surface as square as powers of 2 allow."""
    rows = 1 << (elements.bit_length() - 1) // 2
    return rows, elements // rows


def batch_for(scenario: Any) -> int:
    """Realisations at once: 1024, or fewer where channels are large."""
    spec = build(scenario)[0].spec
    return max(1, min(1024, ENTRIES // (spec.elements * (spec.antennas + spec.users) + 1)))


def sweeps() -> dict[str, Iterator[tuple[int, Callable[[jax.Array], Any], int]]]:
    """By name: (size, program of keys, realisations at once)."""
    a, b = functools.partial(preset, "paper-a"), functools.partial(preset, "paper-b")

    def sized(program: Callable, scenarios: Iterator[tuple[int, Any]]) -> Iterator:
        for size, scenario in scenarios:
            yield size, program(scenario), batch_for(scenario)

    return {
        "batch": ((size, one_outcome(a()), size) for size in (1, 10, 100, 1000, 10_000, 100_000)),
        "elements": sized(one_outcome, ((4**i, with_options(a(), surface_shape=square(4**i))) for i in range(2, 7))),
        "elements, given channel": sized(
            cascade, ((4**i, with_options(a(), surface_shape=square(4**i))) for i in range(2, 7))
        ),
        "antennas": sized(
            one_outcome, ((m, with_options(a(), num_antennas=m, num_users=4)) for m in (5, 16, 64, 128, 256))
        ),
        "users": sized(
            one_outcome, ((k, with_options(a(), num_antennas=64, num_users=k)) for k in (2, 4, 8, 16, 32, 64))
        ),
        "bound": sized(
            one_outcome,
            (
                (n, with_options(b(), surface_shape=square(n), num_active=n // 4, sensor_shape=(4, 5)))
                for n in (64, 256, 1024, 4096)
            ),
        ),
    }


def with_options(scenario: Any, **options: Any) -> Any:
    """A scenario with other sizes, and without the limits that those sizes could not meet."""
    free = {"pattern_threshold": None} if hasattr(scenario, "pattern_threshold") else {}
    return dataclasses.replace(scenario, **(free | options))


def main(given: argparse.Namespace) -> None:
    """Every sweep, small to large."""
    machine = frame.environment()
    for name, points in sweeps().items():
        if given.only is not None and name.split(",")[0] not in given.only:
            continue
        before = None
        for i, (size, program, batch) in enumerate(points):
            if given.quick and i % 2:
                continue
            keys = jax.random.split(jax.random.key(1), batch)
            compiled, compile_s = frame.compiled(program, keys)
            taken = frame.measure(functools.partial(compiled, keys), 5)
            each = 1e6 * taken.seconds / batch
            # Over batches the whole batch is what grows.
            cost = taken.seconds if name == "batch" else each
            record = {
                "benchmark": "scaling",
                "sweep": name,
                "size": size,
                "batch": batch,
                "us_each": each,
                "spread": taken.slowest / taken.fastest,
                "cpu_us_each": 1e6 * taken.cpu_seconds / batch,
                "compile_s": compile_s,
                "most_memory_mib": frame.peak_mib(),
                "power_from_before": math.log(cost / before[1]) / math.log(size / before[0]) if before else None,
            }
            before = size, cost
            frame.emit(record | machine)
            if given.quick and taken.seconds > 2:
                break


if __name__ == "__main__":
    main(options)
