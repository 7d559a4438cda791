"""What workers and devices cost: environment steps per second of one learner in several layouts, as JSON lines.

python benchmarks/parallel.py

The total of environments is the same in all of them. Layouts take turns, one chunk each, so that whatever else the
machine does meets them alike; the overhead is the median over turns of each layout's time to that of the plain learner
in the same turn. Two virtual devices of a CPU share its cores, so they show the cost of the path and not its gain; they
run in a process of their own, whose one device is half the machine, beside the same workers on one device there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import jax

from thzjax.experiment.config import resolve
from thzjax.experiment.evaluation import VALIDATION, draw_channels
from thzjax.experiment.learner import make_chunk, make_learner
from thzjax.parallel import on_devices

TURNS = 24
VIRTUAL = "--xla_force_host_platform_device_count=2 --xla_cpu_collective_call_terminate_timeout_seconds=600"
LIMIT_S = 900


class Layout:
    """One compiled chunk and its carry."""

    def __init__(self, agent: str, workers: int, devices: int) -> None:
        self.name = f"{agent}, {workers} workers on {devices} devices"
        config = resolve("paper-a", agent, workers=workers)
        learner = make_learner(config, devices)
        channels = draw_channels(learner.env.system, learner.params, config.validation_channels, 1, VALIDATION)
        self.state, self.channels = learner.init(), channels
        chunk = make_chunk(learner)
        program = jax.jit(chunk, donate_argnums=0) if devices == 1 else on_devices(chunk, devices)
        begin = time.perf_counter()
        self.chunk = program.lower(self.state, channels).compile()
        self.compile_s = time.perf_counter() - begin
        self.steps = config.updates_per_record * config.learner.steps_per_update

    def seconds(self) -> float:
        """Time of one chunk."""
        begin = time.perf_counter()
        self.state, metrics = self.chunk(self.state, self.channels)
        jax.block_until_ready((self.state, metrics))
        return time.perf_counter() - begin


def measure(agent: str, layouts: list[tuple[int, int]]) -> list[dict[str, object]]:
    """Rows of (workers, devices) layouts; overheads are to the first."""
    built = [Layout(agent, *layout) for layout in layouts]
    for layout in built:
        layout.seconds()
    turns = []
    for turn in range(TURNS):
        order = built if turn % 2 else built[::-1]
        seconds = {layout.name: layout.seconds() for layout in order}
        turns.append([seconds[layout.name] for layout in built])
    rows = []
    for i, layout in enumerate(built):
        speeds = [layout.steps / turn[i] for turn in turns]
        ratios = sorted(turn[i] / turn[0] for turn in turns)
        rows.append(
            {
                "program": layout.name,
                "compile_s": round(layout.compile_s, 2),
                "steps_per_s": round(statistics.median(speeds)),
                "slowest": round(min(speeds)),
                "fastest": round(max(speeds)),
                "overhead_percent": round(100 * (statistics.median(ratios) - 1), 1),
                "overhead_quartiles": [round(100 * (ratios[j * TURNS // 4] - 1), 1) for j in (1, 3)],
                "device": jax.devices()[0].device_kind,
                "jax": jax.__version__,
            }
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", default="ppo")
    parser.add_argument("--virtual", action="store_true", help="the layouts of two virtual devices, in this process")
    arguments = parser.parse_args()
    for row in measure(arguments.agent, [(4, 1), (4, 2)] if arguments.virtual else [(1, 1), (4, 1)]):
        print(json.dumps(row), flush=True)
    if not arguments.virtual:
        command = [sys.executable, __file__, "--agent", arguments.agent, "--virtual"]
        subprocess.run(command, env=os.environ | {"XLA_FLAGS": VIRTUAL}, timeout=LIMIT_S, check=True)
