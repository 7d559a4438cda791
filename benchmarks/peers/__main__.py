"""Training, updates, fading and convex beam patterns: thzjax beside its peers, in the same run.

    ./scripts/peers.sh [--only sb3 sbx sionna cvxpy] [--cores 1] [--repeats 5] [--quick]

which installs the peers in an environment of their own and runs `python -m benchmarks.peers` there, once for each. JSON
lines on standard output: speeds (median, slowest, fastest), the ratio of thzjax's to the peer's, and the share of the
machine's measured matrix-product peak that the networks' operations take (`flops.py` says how they are counted).
"""

import argparse
import importlib
import os
import sys

from benchmarks import frame

PEERS = {"sb3": "learners", "sbx": "learners", "sionna": "fading", "cvxpy": "beam_pattern"}
"""Peers, and the file that measures each."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--cores", type=int, default=1, help="CPU cores to run on (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each, after one untimed (default 5)")
    parser.add_argument("--quick", action="store_true", help="the smallest case of each, 2 repeats: does it run?")
    given = parser.parse_args(arguments)
    if given.quick:
        given.repeats = 2
    return given


def main() -> None:
    """Pin, then import what is measured."""
    given = parse()
    os.environ |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    frame.pin(given.cores)
    peaks = frame.peaks()
    for peer in given.only:
        try:
            importlib.import_module(f"benchmarks.peers.{PEERS[peer]}").run(peer, given, peaks)
        except ModuleNotFoundError as error:
            sys.exit(f"{peer} needs {error.name}: ./scripts/peers.sh --only {peer} installs it")


if __name__ == "__main__":
    main()
