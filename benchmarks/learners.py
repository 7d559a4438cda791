"""Every learner on one preset, several seeds side by side: rates with intervals, time to learn, time per channel.

    python -m benchmarks.learners paper-a --seeds 5 --steps 400000 --out runs/learners-a
    python -m benchmarks.learners paper-b --seeds 5 --steps 200000 --out runs/learners-b
    python -m benchmarks.learners paper-a-mimo --seeds 5 --steps 400000 --only dppo ppo a3c --out runs/learners-mimo

One JSON line for each learner, on standard output and in OUT/learners.jsonl; a learner that is there already is passed
over, so an interrupted comparison goes on, and so is one that cannot learn on the preset, with the reason. Clock times
are those of all seeds together.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import jax
import numpy as np

from thzjax.errors import ConfigError
from thzjax.experiment.compare import HELD_OUT_SEED, compare
from thzjax.experiment.config import RunConfig, read_config, resolve
from thzjax.experiment.evaluation import HELD_OUT, compile_rules, draw_channels, stream_key, time_rule
from thzjax.experiment.files import append_record, read_records
from thzjax.experiment.learned import learned_rules, runs_in
from thzjax.experiment.progress import TrainingProgress
from thzjax.experiment.train import create_runs, run_together
from thzjax.systems.scenario import build

LEARNERS = {
    "apg, unfolded": {"agent": "apg", "policy": "unfolded"},
    "apg, equivariant": {"agent": "apg", "policy": "equivariant"},
    "apg, structured": {"agent": "apg", "policy": "structured"},
    **{name: {"agent": name} for name in ("ppo", "dppo", "a2c", "a3c", "reinforce", "ddpg", "td3", "sac")},
    "ppo, equivariant": {"agent": "ppo", "policy": "equivariant"},
    "ppo, unfolded": {"agent": "ppo", "policy": "unfolded"},
    **{f"{name}, paper": {"agent": name, "configuration": "paper"} for name in ("ppo", "dppo", "a2c", "a3c")},
}


def main() -> None:
    """Train, judge, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400_000, help="environment steps; apg's own stay as they are")
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--only", nargs="*", default=list(LEARNERS), help="learners by name")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    lines = given.out / "learners.jsonl"
    given.out.mkdir(parents=True, exist_ok=True)
    done = {record["learner"] for record in read_records(lines)}
    for name in given.only:
        options = LEARNERS[name]
        if name in done:
            continue
        try:
            config = resolve(given.preset, steps=None if options["agent"] == "apg" else given.steps, **options)
        except ConfigError as refusal:
            print(f"{name}: {refusal}", file=sys.stderr)
            continue
        record = measure(name, config, given)
        append_record(lines, record)
        print(json.dumps(record), flush=True)


def measure(name: str, config: RunConfig, given: argparse.Namespace) -> dict[str, object]:
    """One learner: all seeds trained in one program, judged on the held-out channels."""
    folder = given.out / name.replace(", ", "-")
    if not folder.exists():
        create_runs(folder, config, given.seeds, ())
    runs = {run: read_config(run / "config.json") for each in runs_in(folder).values() for run in each}
    begin, cpu = time.perf_counter(), time.process_time()
    run_together(list(runs.values()), list(runs), TrainingProgress())
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    result = compare(config.scenario, [folder], given.channels, HELD_OUT_SEED, print_nothing, classical=False)
    rows = {"untrained" in row["method"]: row for row in result.rows}
    timing = read_records(next(iter(runs)) / "timing.jsonl")
    curves = [read_records(run / "metrics.jsonl") for run in runs]
    reached = [first_at(curve, 0.95) for curve in curves]
    return {
        "learner": name,
        "preset": given.preset,
        "seeds": len(runs),
        "env_steps": curves[0][-1]["env_steps"],
        **{key: rows[False][key] for key in ("rate_feasible", "ci_low", "ci_high", "violation_rate_feasible")},
        "violates_as_designed": rows[False]["violations"],
        "seed_rates": rows[False].get("seed_rates", [rows[False]["rate_feasible"]]),
        "untrained": rows[True]["rate_feasible"],
        "compile_s": timing[0]["compile_s"],
        "train_s": round(wall, 1),
        "train_cpu_s": round(cpu, 1),
        "steps_to_95": statistics.median(reached),
        "seconds_to_95": round(
            sum(t.get("seconds", 0) for t in timing) * statistics.median(reached) / max(curves[0][-1]["env_steps"], 1),
            1,
        ),
        "us_per_channel": {size: us_per_channel(config.scenario, folder, size) for size in (1, 4096)},
        "channels": given.channels,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def first_at(curve: list[dict[str, float]], share: float) -> int:
    """Environment steps after which the validation rate stays at or above a share of its final value."""
    rates = np.array([record["validation/rate_feasible"] for record in curve])
    below = np.flatnonzero(rates < share * rates[-1])
    return int(curve[below[-1] + 1 if len(below) else 0]["env_steps"])


def us_per_channel(scenario: object, folder: Path, size: int) -> float:
    """Microseconds per channel of the first seed's policy in a batch of a size."""
    system, params = build(scenario)
    channels = draw_channels(system, params, size, HELD_OUT_SEED, HELD_OUT)
    rule = next(iter(learned_rules([folder], scenario).values()))[0]
    key = stream_key(HELD_OUT_SEED, HELD_OUT)
    return round(
        time_rule(compile_rules({0: rule}, params, channels, key, print_nothing)[0], params, channels, key)[1], 1
    )


def print_nothing(text: str) -> None:
    """No progress: the lines are the output."""
    del text


if __name__ == "__main__":
    main()
