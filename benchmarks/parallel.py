"""What workers and devices cost: environment steps per second of one learner in several layouts, as JSON lines.

python -m benchmarks.parallel

The total of environments is the same in all of them. Layouts take turns, one chunk each, so that whatever else the
machine does meets them alike; the overhead is the median over turns of each layout's time to that of the plain learner
in the same turn. Two virtual devices of a CPU share its cores, so they show the cost of the path and not its gain; they
run in a process of their own, whose one device is half the machine, beside the same workers on one device there. Two
processes, which meet on this machine, run the same workers after that.

Rows tell what goes over the wire as well, counted in the program: how many sums over the devices an update takes, and
of how many bytes in all. docs/cluster.md works out larger machines from them.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import jax

from thzjax import distributed
from thzjax.experiment.config import resolve
from thzjax.experiment.evaluation import VALIDATION, draw_channels
from thzjax.experiment.learner import make_chunk, make_learner
from thzjax.parallel import DEVICES, on_devices, own_rows

TURNS = 24
VIRTUAL = "--xla_force_host_platform_device_count=2 --xla_cpu_collective_call_terminate_timeout_seconds=600"
LIMIT_S = 900


def sums_over_devices(jaxpr: Any) -> tuple[int, int]:
    """(how many sums over devices a program takes, bytes they are of), loops counted out."""
    count, size = 0, 0
    for equation in jaxpr.eqns:
        if DEVICES in str(equation.params.get("axes")):
            count += len(equation.outvars)
            size += sum(x.aval.size * x.aval.dtype.itemsize for x in equation.outvars)
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                more, bytes_more = sums_over_devices(inner)
                count, size = count + times * more, size + times * bytes_more
    return count, size


class Layout:
    """One compiled chunk and its carry."""

    def __init__(self, agent: str, workers: int, devices: int) -> None:
        processes = jax.process_count()
        self.name = f"{agent}, {workers} workers on {devices} devices" + f" of {processes} processes" * (processes > 1)
        config = resolve("paper-a", agent, workers=workers)
        learner = make_learner(config, devices)
        channels = draw_channels(learner.env.system, learner.params, config.validation_channels, 1, VALIDATION)
        chunk, whole = make_chunk(learner), learner.init()
        self.updates = config.updates_per_record
        self.sums, self.bytes = 0, 0
        if devices > 1:
            mapped = on_devices(chunk, devices)
            apart = mapped._apart(own_rows(whole))
            self.sums, self.bytes = sums_over_devices(jax.make_jaxpr(mapped.mapped)(*apart, channels).jaxpr)
        self.state, self.channels = own_rows(whole), channels
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


def measure(agent: str, layouts: list[tuple[int, int]], count: int = TURNS) -> list[dict[str, object]]:
    """Rows of (workers, devices) layouts; overheads are to the first."""
    built = [Layout(agent, *layout) for layout in layouts]
    for layout in built:
        layout.seconds()
    turns = []
    for turn in range(count):
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
                "overhead_quartiles": [round(100 * (ratios[j * count // 4] - 1), 1) for j in (1, 3)],
                "sums_per_update": layout.sums / layout.updates,
                "summed_bytes_per_update": layout.bytes / layout.updates,
                "env_steps_per_update": layout.steps // layout.updates,
                "device": jax.devices()[0].device_kind,
                "jax": jax.__version__,
            }
        )
    return rows


def in_processes(agent: str, extra: list[str]) -> None:
    """The same workers on two devices, one in each of two processes of this machine; process 0 prints the row."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{server.getsockname()[1]}"
    command = [sys.executable, "-m", __spec__.name, "--agent", agent, "--coordinator", where, *extra, "--process"]
    other = subprocess.Popen([*command, "1"], stdout=subprocess.DEVNULL)
    done = subprocess.run([*command, "0"], timeout=LIMIT_S, check=True, stdout=subprocess.PIPE, text=True)
    print(done.stdout[done.stdout.index("{") :], end="", flush=True)  # Gloo's own lines come before
    other.wait(timeout=60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", default="ppo")
    parser.add_argument("--virtual", action="store_true", help="the layouts of two virtual devices, in this process")
    parser.add_argument("--quick", action="store_true", help="a quarter of the turns")
    parser.add_argument("--coordinator", help="HOST:PORT of process 0, of two processes of which this is one")
    parser.add_argument("--process", type=int)
    arguments = parser.parse_args()
    if arguments.coordinator:
        distributed.join(arguments.coordinator, 2, arguments.process, 60)
        layouts = [(4, 2)]
    else:
        layouts = [(4, 1), (4, 2)] if arguments.virtual else [(1, 1), (4, 1)]
    for row in measure(arguments.agent, layouts, TURNS // 4 if arguments.quick else TURNS):
        if distributed.first():
            print(json.dumps(row), flush=True)
    distributed.part()
    if not arguments.virtual and not arguments.coordinator:
        extra = ["--quick"] if arguments.quick else []
        command = [sys.executable, "-m", __spec__.name, "--agent", arguments.agent, "--virtual", *extra]
        subprocess.run(command, env=os.environ | {"XLA_FLAGS": VIRTUAL}, timeout=LIMIT_S, check=True)
        in_processes(arguments.agent, extra)
