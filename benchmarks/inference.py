"""Microseconds per channel of a trained policy beside the classical designs, from one channel to thousands at once.

    python -m benchmarks.inference [--run RUN] [--batches 1 64 4096] [--cores 2] [--quick]

Without a run folder the unfolded optimiser is trained first, on `paper-a`, as `thzjax train paper-a --agent apg` does.
JSON lines: rates are feasible means over the largest batch, times are medians of whole batches; a policy's start is its
file's way from a fresh process to the first design.
"""

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import frame

METHODS = {
    "random, random": "random/random", "rzf, focused": "rzf/focused", "wmmse_sum, focused": "wmmse_sum/focused",
    "wmmse, focused": "wmmse/focused", "alternating, joint": "alternating/joint", "gradient, joint": "gradient/joint",
}  # fmt: skip
SLOW = ("alternating, joint", "gradient, joint")
FIRST = """
import sys, time
begin = time.perf_counter()
import numpy as np
from thzjax.exported import load_exported
with np.load(sys.argv[2]) as file:
    arrays = dict(file)
policy = load_exported(sys.argv[1])
loaded = time.perf_counter()
np.asarray(policy(arrays).beamformer)
print(loaded - begin, time.perf_counter() - begin)
"""


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="run folder of a policy on paper-a (default: train one)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64, 4096], help="channels at once")
    parser.add_argument("--cores", type=int, default=2, help="CPU cores to run on (default 2)")
    parser.add_argument("--quick", action="store_true", help="a short training, and no slow designs")
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    frame.pin(options.cores)

import jax  # noqa: E402
import numpy as np  # noqa: E402

from thzjax.experiment.evaluation import (  # noqa: E402
    classical_rules,
    compile_rules,
    draw_channels,
    judge_compiled,
    stream_key,
)
from thzjax.experiment.learned import learned_rules  # noqa: E402
from thzjax.experiment.policy import export_policy  # noqa: E402
from thzjax.systems.scenario import build, preset  # noqa: E402

SEED = 2


def train(folder: Path, quick: bool) -> Path:
    """A run of the unfolded optimiser."""
    command = [
        sys.executable,
        "-m",
        "thzjax",
        "train",
        "paper-a",
        "--agent",
        "apg",
        "--no-report",
        "--out",
        str(folder),
    ]
    subprocess.run([*command, "--quick"] if quick else command, check=True, stdout=subprocess.DEVNULL)
    return folder


def first_answer(run: Path, arrays: dict[str, np.ndarray], folder: Path) -> None:
    """Seconds from a fresh process to the first design of an exported policy, without and with a compiled program."""
    export_policy(run, folder / "policy", platforms=(jax.export.default_export_platform(),))
    np.savez(folder / "one.npz", **{name: array[:1] for name, array in arrays.items()})
    for store in ("empty", "filled"):
        settings = {
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        command = [sys.executable, "-c", FIRST, str(folder / "policy"), str(folder / "one.npz")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | settings)
        loaded, answered = map(float, done.stdout.split())
        frame.emit(
            {
                "benchmark": "inference",
                "what": "exported policy, fresh process",
                "compiled_programs": store,
                "loaded_s": loaded,
                "first_design_s": answered,
                **frame.environment(),
            }
        )


def main(given: argparse.Namespace, folder: Path) -> None:
    """Every method at every batch size, then the exported policy's start."""
    run = given.run or train(folder / "apg", given.quick)
    scenario = preset("paper-a")
    system, params = build(scenario)
    chosen = {name: method for name, method in METHODS.items() if not (given.quick and name in SLOW)}
    rules = classical_rules(system, tuple(chosen.values()))
    rules |= {name: of_seeds[0] for name, of_seeds in learned_rules([run], scenario).items()}
    most = draw_channels(system, params, max(given.batches), SEED)
    key = stream_key(SEED, 3)
    for batch in sorted(given.batches, reverse=True):
        channels = jax.tree.map(lambda x, batch=batch: x[:batch], most)
        begin = time.perf_counter()
        compiled = compile_rules(rules, params, channels, key, lambda text: print(text, file=sys.stderr))
        compile_s = time.perf_counter() - begin
        for (method, surface), rule in compiled.items():
            slow = f"{method}, {surface}" in SLOW
            taken = frame.measure(functools.partial(rule, params, channels, key), 3 if slow else 9)
            record = {
                "benchmark": "inference",
                "what": f"{method}, {surface}",
                "batch": batch,
                "us_per_channel": 1e6 * taken.seconds / batch,
                "fastest": 1e6 * taken.fastest / batch,
                "slowest": 1e6 * taken.slowest / batch,
                "cpu_us_per_channel": 1e6 * taken.cpu_seconds / batch,
                "compile_all_s": compile_s,
            }
            if batch == max(given.batches):
                judged = judge_compiled(system, params, channels, rule(params, channels, key))
                record["rate_feasible"] = float(np.mean(judged.rate_feasible))
                record["channels_violated"] = float(np.mean(~np.asarray(judged.satisfied)))
            frame.emit(record | frame.environment())
    names = ("direct", "bs_to_surface", "surface_to_user")
    first_answer(run, {name: np.asarray(getattr(most, name)) for name in names}, folder)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(options, Path(scratch))
