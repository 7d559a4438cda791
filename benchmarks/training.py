"""Training programs on this machine: seconds to compile, environment steps a second, seconds to a rate.

    python -m benchmarks.training [--only NAME ...] [--cores 2] [--quick]

JSON lines. `compile_s` starts with an empty store of compiled programs and `compile_again_s` with what that left; the
share of the matrix-product peak counts the networks alone: 2 operations a weight and sample forwards, 6 for a gradient.
Updates of the learners with replay are timed with networks of 64, 64 and 256, 256 units (batches of 64 and 256).
"""

import argparse
import tempfile
import time
from typing import Any

from . import frame


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=None, metavar="NAME", help="programs whose name begins so")
    parser.add_argument("--cores", type=int, default=2, help="CPU cores to run on (default 2)")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, and no learner with replay")
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    frame.pin(options.cores)

import jax  # noqa: E402
from jax.experimental.compilation_cache import compilation_cache  # noqa: E402

from thzjax.experiment.config import resolve  # noqa: E402
from thzjax.experiment.learner import Learner, draw_validation, make_chunk, make_learner  # noqa: E402

TARGET = 3.6
"""Feasible bit/s/Hz on `paper-a` that the time to a rate is taken to."""
PATIENCE_S = 120.0
FEW_RECORDS = ("updates_per_record=2",)

PPO = {
    "ppo": {},
    "ppo, projection": {"handler": "projection"},
    "ppo, paper": {"configuration": "paper"},
    "ppo, 10 seeds": {"seeds": 10},
    "apg, unfolded": {"agent": "apg"},
}
REPLAY = {
    f"{agent}, {units} units, batch {batch}": {
        "preset": "paper-b",
        "agent": agent,
        "overrides": (f"hidden={units},{units}", f"batch={batch}"),
    }
    for agent in ("ddpg", "td3", "sac")
    for units, batch in ((64, 64), (256, 256))
}


def make(preset: str = "paper-a", seeds: int = 1, **choices: Any) -> tuple[Learner, Any, int]:
    """(learner, its compiled-to-be chunk, seeds side by side)."""
    learner = make_learner(resolve(preset, **choices))
    chunk = make_chunk(learner)
    return learner, chunk if seeds == 1 else jax.vmap(chunk, in_axes=(0, None)), seeds


def begin_state(learner: Learner, seeds: int) -> Any:
    """The carry at the start, one for each seed."""
    if seeds == 1:
        return learner.init()
    keys = jax.random.split(jax.random.key(0), seeds)
    return jax.jit(jax.vmap(lambda key: learner.agent.init(key, learner.params)))(keys)


def compile_twice(chunk: Any, state: Any, channels: Any) -> tuple[Any, float, float]:
    """(the program, seconds with an empty store of compiled programs, seconds with a filled one)."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"jax_compilation_cache_dir": folder, "jax_persistent_cache_min_compile_time_secs": 0.0}
        before = {name: getattr(jax.config, name) for name in settings}
        for name, value in settings.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        _, cold = frame.compiled(jax.jit(chunk, donate_argnums=0), state, channels)
        jax.clear_caches()
        program, again = frame.compiled(jax.jit(chunk, donate_argnums=0), state, channels)
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
    return program, cold, again


def network_flops(learner: Learner, state: Any, updates: int) -> float:
    """Operations of PPO's networks in so many updates: forwards for each step, a gradient for each in every epoch."""
    settings = learner.config.learner
    weights = sum(leaf.size for leaf in jax.tree.leaves(state.params) if leaf.ndim == 2)
    if not hasattr(settings, "epochs"):
        return float("nan")
    return updates * settings.steps_per_update * weights * (2 + 6 * settings.epochs)


def speed(name: str, choices: dict[str, Any], repeats: int, peaks: dict[str, float]) -> None:
    """One program: compiled twice, then run."""
    learner, chunk, seeds = make(**choices)
    config = learner.config
    channels, state = draw_validation(learner), begin_state(learner, seeds)
    program, cold, again = compile_twice(chunk, state, channels)
    held = [state]

    def run() -> Any:
        held[0], metrics = program(held[0], channels)
        return metrics

    taken = frame.measure(run, repeats)
    steps = seeds * config.updates_per_record * config.learner.steps_per_update
    record = {
        "benchmark": "training",
        "program": name,
        "preset": config.preset,
        "steps_per_s": steps / taken.seconds,
        "slowest": steps / taken.slowest,
        "fastest": steps / taken.fastest,
        "cpu_us_per_step": 1e6 * taken.cpu_seconds / steps,
        "compile_s": cold,
        "compile_again_s": again,
        "most_memory_mib": frame.peak_mib(),
    }
    if gradients := getattr(config.learner, "gradient_steps", None):
        record["updates_per_s"] = config.updates_per_record * gradients / taken.seconds
    flops = seeds * network_flops(learner, learner.init(), config.updates_per_record)
    record["share_of_matmul_peak"] = flops / taken.seconds / 1e9 / peaks["matmul_gflops"]
    frame.emit(record | peaks | frame.environment())


def seconds_to_rate(name: str, choices: dict[str, Any]) -> None:
    """Seconds of training until the validation channels have the target's feasible rate, compilation apart."""
    learner, chunk, _ = make(**choices)
    config = learner.config
    channels, state = draw_validation(learner), learner.init()
    program, compile_s = frame.compiled(jax.jit(chunk, donate_argnums=0), state, channels)
    begin, records, rate = time.perf_counter(), 0, 0.0
    while rate < TARGET and time.perf_counter() - begin < PATIENCE_S:
        state, metrics = program(state, channels)
        rate, records = float(metrics["validation/rate_feasible"]), records + 1
    seconds = time.perf_counter() - begin
    frame.emit(
        {
            "benchmark": "training",
            "program": f"{name}, to {TARGET} bit/s/Hz",
            "preset": config.preset,
            "reached": rate,
            "seconds": seconds,
            "seconds_with_compilation": seconds + compile_s,
            "env_steps": records * config.updates_per_record * config.learner.steps_per_update,
            **frame.environment(),
        }
    )


def main(given: argparse.Namespace) -> None:
    """Speeds, then times to a rate."""

    def wanted(name: str) -> bool:
        return given.only is None or any(name.startswith(start) for start in given.only)

    peaks = frame.peaks()
    for name, choices in (PPO if given.quick else PPO | REPLAY).items():
        if wanted(name):
            speed(name, choices, 3 if given.quick else 9, peaks)
    for name, choices in {"ppo": {"overrides": FEW_RECORDS}, "apg, unfolded": {"agent": "apg"}}.items():
        if wanted(name):
            seconds_to_rate(name, choices)


if __name__ == "__main__":
    main(options)
