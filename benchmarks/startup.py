"""Seconds until a user sees something: imports, help, and a first and a second training, each in a fresh process.

    python -m benchmarks.startup [--repeats 5] [--quick]

JSON lines on standard output. The first training starts with an empty store of compiled programs, the second with what
the first left there; `compile_s` is what each says that it spent compiling its training program.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import frame

THZJAX = [sys.executable, "-m", "thzjax"]
QUICK = {
    "thzjax --help": [*THZJAX, "--help"],
    "thzjax train --help": [*THZJAX, "train", "--help"],
    "import thzjax": [sys.executable, "-c", "import thzjax"],
    "import thzjax.physics.link": [sys.executable, "-c", "import thzjax.physics.link"],
    "import jax": [sys.executable, "-c", "import jax"],
    "thzjax info": [*THZJAX, "info"],
}


def seconds(command: list[str], settings: dict[str, str] | None = None) -> float:
    """Wall seconds of a command, which must succeed."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | (settings or {}))
    return time.perf_counter() - begin


def training(agent: str) -> None:
    """The same short training twice: without and with compiled programs from before."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"THZJAX_CACHE": f"{folder}/compiled"}
        for store in ("empty", "filled"):
            out = Path(folder) / store
            command = [*THZJAX, "train", "paper-a", "--agent", agent, "--quick", "--no-report", "--out", str(out)]
            wall = seconds(command, settings)
            compile_s = json.loads((out / "timing.jsonl").read_text().splitlines()[0])["compile_s"]
            frame.emit(
                {
                    "benchmark": "startup",
                    "what": f"thzjax train paper-a --agent {agent} --quick --no-report",
                    "compiled_programs": store,
                    "seconds": wall,
                    "compile_s": compile_s,
                    **frame.environment(),
                }
            )


def main() -> None:
    """What is quick several times over, trainings once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="no training")
    given = parser.parse_args()
    for what, command in QUICK.items():
        taken = frame.measure(lambda c=command: seconds(c), given.repeats)
        record = {"benchmark": "startup", "what": what, "seconds": taken.seconds}
        record |= {"fastest": taken.fastest, "slowest": taken.slowest}
        frame.emit(record | frame.environment())
    if not given.quick:
        training("ppo")
        training("apg")


if __name__ == "__main__":
    main()
