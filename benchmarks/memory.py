"""Memory of a training at batch 1024, from its start on: what it holds at most, and whether it grows.

    python -m benchmarks.memory [--minutes 10] [--agent ppo] [--cores 2] [--quick]

One JSON line: the most that was resident, and the slope of what was resident over the second half, by least squares,
with its standard error [MiB a minute].
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from . import frame

EVERY_S = 1.0


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to watch (default 10)")
    parser.add_argument("--agent", default="ppo")
    parser.add_argument("--cores", type=int, default=2, help="CPU cores to run on (default 2)")
    parser.add_argument("--quick", action="store_true", help="two minutes")
    return parser.parse_args()


def training_command(agent: str, folder: Path) -> list[str]:
    """A training that goes on for longer than anybody watches, into `folder/run`."""
    command = [sys.executable, "-m", "thzjax", "train", "paper-a", "--agent", agent, "--no-report"]
    return [*command, "--set", "num_envs=1024", "--steps", str(1 << 32), "--out", str(folder / "run")]


def watch(agent: str, minutes: float, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(minutes since the start, MiB resident) of a training that is stopped when the time is over."""
    times, held = [], []
    with subprocess.Popen(
        training_command(agent, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        begin = time.monotonic()
        while time.monotonic() - begin < 60 * minutes:
            time.sleep(EVERY_S)
            if running.poll() is not None:
                raise SystemExit(f"the training ended by itself, with status {running.returncode}")
            times.append((time.monotonic() - begin) / 60)
            held.append(frame.resident_mib(running.pid))
        running.terminate()
        running.wait(timeout=120)
    return np.asarray(times), np.asarray(held)


def slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """(slope, its standard error) of the least-squares line."""
    centred = x - x.mean()
    rise = float(centred @ y / (centred @ centred))
    rest = y - y.mean() - rise * centred
    return rise, float(np.sqrt(rest @ rest / (len(x) - 2) / (centred @ centred)))


def main(given: argparse.Namespace) -> None:
    """One training, watched."""
    minutes = 2.0 if given.quick else given.minutes
    with tempfile.TemporaryDirectory() as scratch:
        times, held = watch(given.agent, minutes, Path(scratch))
    later = times > times[-1] / 2
    rise, error = slope(times[later], held[later])
    frame.emit(
        {
            "benchmark": "memory",
            "what": f"thzjax train paper-a --agent {given.agent} --set num_envs=1024",
            "minutes": minutes,
            "most_resident_mib": float(held.max()),
            "resident_at_half_mib": float(held[later][0]),
            "resident_at_end_mib": float(held[-1]),
            "growth_mib_per_minute": rise,
            "growth_standard_error": error,
            **frame.environment(),
        }
    )


if __name__ == "__main__":
    options = parse()
    frame.pin(options.cores)
    main(options)
