"""`thzjax bench`."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

import thzjax
from thzjax.commands.shared import FAILED, OK, check_writable, progress
from thzjax.errors import ConfigError
from thzjax.experiment.progress import paced

BENCHMARKS = ("startup", "kernels", "environment", "training", "inference", "scaling", "memory", "parallel")


def _package() -> tuple[str, Path]:
    """(the package of the benchmarks, the folder it is found from): inside an installed wheel, or of a checkout."""
    root = Path(thzjax.__file__).parents[1]
    for name in ("thzjax.benchmarks", "benchmarks"):
        if (root.joinpath(*name.split(".")) / "frame.py").exists():
            return name, root
    raise ConfigError(f"no benchmarks beside {root}: this installation of thzjax came without them")


def bench(
    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NAME ...]")] = (),
    /,
    quick: bool = False,
    out: Path | None = None,
) -> int:
    """Measure thzjax on this machine: start-up, kernels, environment, training, policies, scaling, memory.

    JSON lines on standard output, each with device and versions; ratios within one run compare, as machines differ.

    In a checkout, `python -m benchmarks.report bench.jsonl` makes tables of them and a picture of what bounds each.

    Examples:
      thzjax bench environment
      thzjax bench --quick --out bench.jsonl

    Args:
      names: some of startup, kernels, environment, training, inference, scaling, memory, parallel; default all.
      quick: smaller sizes and fewer repeats, about five minutes for all of them on 2 CPU cores.
      out: keep the lines in this file as well, added to what is there.
    """
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise ConfigError(f"benchmark {unknown[0]!r} is unknown: use some of {', '.join(BENCHMARKS)}")
    package, root = _package()
    check_writable(out)
    say, status = progress("benchmark"), OK
    tell = paced(say, len(names or BENCHMARKS))
    for done, name in enumerate(names or BENCHMARKS):
        tell(name, done)
        if not run_one([sys.executable, "-m", f"{package}.{name}", *(["--quick"] if quick else [])], root, out):
            say(f"{name} failed")
            status = FAILED
    return status


def run_one(command: Sequence[str], root: Path, out: Path | None) -> bool:
    """Run one, pass its lines on as they come, and keep those that are JSON; whether it ended well."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    # A process of its own: it pins cores and counts memory, and must begin without jax.
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)
            if out is not None and is_json(line):
                with out.open("a", encoding="utf-8") as file:
                    file.write(line)
    return running.returncode == 0


def is_json(line: str) -> bool:
    """Whether a line is a JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
