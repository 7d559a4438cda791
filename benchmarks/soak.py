"""A long training under watch: memory, threads, open files and memory maps of its process, and whether any grows.

    python -m benchmarks.soak [--minutes 30] [--agent ppo] [--every 10] [--out soak.jsonl]

JSON lines on standard output: every few seconds what the process holds, and at the end the growth per hour of each over
the second half, as a 95 % interval. Training logs every record and saves checkpoints all the while. Status 1 where
something grows: where a whole interval lies above `ALLOWED`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import stats

from . import frame
from .memory import slope, training_command

HELD = ("resident_mib", "threads", "files", "maps")
"""What is watched."""
ALLOWED = {"resident_mib": 20.0, "threads": 1.0, "files": 1.0, "maps": 20.0}
"""Growth per hour that is none: a leak on every record or checkpoint would be thousands an hour."""
BLOCKS = 8
"""Neighbouring samples are alike: their means over so many stretches are what the interval takes for independent."""


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long to watch (default 30)")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two looks (default 10)")
    parser.add_argument("--agent", default="ppo")
    parser.add_argument("--cores", type=int, default=2, help="CPU cores to run on (default 2)")
    parser.add_argument("--out", type=Path, help="keep the lines in this file as well")
    return parser.parse_args()


def look(process: int) -> dict[str, float]:
    """What a process holds now: MiB resident, threads, open files, memory maps; NaN where the system does not say."""
    found = {"resident_mib": frame.resident_mib(process)}
    folder = Path("/proc") / str(process)
    for name, count in {
        "threads": lambda: len(os.listdir(folder / "task")),
        "files": lambda: len(os.listdir(folder / "fd")),
        "maps": lambda: (folder / "maps").read_bytes().count(b"\n"),
    }.items():
        try:
            found[name] = float(count())
        except OSError:
            found[name] = float("nan")
    return found


def watch(agent: str, seconds: float, every: float, folder: Path) -> Iterator[dict[str, float]]:
    """Looks at a training, which is stopped when the time is over, each with its minutes and the records done.

    Raises:
      SystemExit: the training ended by itself.
    """
    timing = folder / "run" / "timing.jsonl"
    with subprocess.Popen(
        training_command(agent, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            begin = time.monotonic()
            while time.monotonic() - begin < seconds:
                time.sleep(every)
                if running.poll() is not None:
                    raise SystemExit(f"the training ended by itself, with status {running.returncode}")
                done = timing.read_bytes().count(b"\n") if timing.exists() else 0
                yield {"minutes": (time.monotonic() - begin) / 60, "records": done, **look(running.pid)}
        finally:
            running.terminate()
            running.wait(timeout=120)


def growth(minutes: np.ndarray, held: np.ndarray) -> tuple[float, float, float]:
    """(slope, lower and upper end of its 95 % interval) per hour, by least squares through means of `BLOCKS` stretches.

    Student's t with BLOCKS - 2 degrees of freedom; all NaN of fewer than two samples a stretch.
    """
    if len(held) < 2 * BLOCKS or not np.all(np.isfinite(held)):
        return (float("nan"),) * 3
    x, y = (np.array([part.mean() for part in np.array_split(values, BLOCKS)]) for values in (minutes / 60, held))
    rise, error = slope(x, y)
    half = float(stats.t.ppf(0.975, BLOCKS - 2)) * error
    return rise, rise - half, rise + half


def summary(looks: list[dict[str, float]]) -> dict[str, object]:
    """What the second half of the looks says: for everything held, the most, the last and its growth per hour."""
    minutes = np.array([each["minutes"] for each in looks])
    later = minutes > minutes[-1] / 2
    found: dict[str, object] = {"minutes": float(minutes[-1]), "records": looks[-1]["records"]}
    grows = []
    for name in HELD:
        values = np.array([each[name] for each in looks])
        rise, low, high = growth(minutes[later], values[later])
        found |= {f"{name}_most": float(values.max()), f"{name}_last": float(values[-1])}
        found |= {f"{name}_per_hour": rise, f"{name}_per_hour_low": low, f"{name}_per_hour_high": high}
        if low > ALLOWED[name]:
            grows.append(name)
    return found | {"grows": grows}


def main(given: argparse.Namespace) -> int:
    """One training, watched; the status says whether something grew."""

    def tell(record: dict[str, object]) -> None:
        frame.emit(record)
        if given.out is not None:
            given.out.parent.mkdir(parents=True, exist_ok=True)
            with given.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(frame.shortened(record)) + "\n")

    looks = []
    with tempfile.TemporaryDirectory() as scratch:
        for found in watch(given.agent, 60 * given.minutes, given.every, Path(scratch)):
            looks.append(found)
            tell({"benchmark": "soak", "agent": given.agent, **found})
    if not looks:
        raise SystemExit("nothing was looked at: choose --minutes longer than --every")
    last = summary(looks)
    what = " ".join(training_command(given.agent, Path("OUT"))[2:])
    tell({"benchmark": "soak", "what": what, **last, **frame.environment()})
    if last["grows"]:
        print(f"grows: {', '.join(last['grows'])}", file=sys.stderr)
    return 1 if last["grows"] else 0


if __name__ == "__main__":
    options = parse()
    frame.pin(options.cores)
    sys.exit(main(options))
