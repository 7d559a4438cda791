"""Run folders that nobody trained: configurations as they are resolved, and records of made-up numbers."""

import json

from thzjax.experiment.config import config_json, resolve
from thzjax.experiment.learned import write_together

SMALL = ("num_envs=32", "minibatches=2", "epochs=1", "hidden=8,8", "updates_per_record=2", "validation_channels=16")
STEPS = 64
"""Environment steps of a record."""


def record(number, rate=None):
    """A record as training writes it; the first is of the untrained policy."""
    seen = {
        "validation/rate_feasible": 2.0 + 0.1 * number if rate is None else rate,
        "validation/violation_rate": 0.25,
        "validation/violation_rate_feasible": 0.0,
    }
    counts = {"record": number, "updates": 2 * number, "env_steps": STEPS * number, "episodes": STEPS * number}
    if number == 0:
        return counts | seen
    trained = {"episode_return": 3.0, "sum_rate": 3.25, "pattern_error": 1.9, "mu/beam_pattern": 0.7}
    return counts | trained | {"lambda_mean": 1.0, "x_sum": 3.0} | seen


def run_folder(folder, done, records=10, seed=0, seconds=0.5, side_by_side=1, options=()):
    """A run of so many records, of which so many are done; with none begun, `done` is -1."""
    config = resolve("paper-a", steps=records * STEPS, seed=seed, overrides=(*SMALL, *options))
    assert config.records == records
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config_json(config))
    if done >= 0:
        lines = [json.dumps(record(n, 2.0 + 0.1 * n + 0.01 * seed)) for n in range(done + 1)]
        (folder / "metrics.jsonl").write_text("".join(line + "\n" for line in lines))
        took = [{"record": 0, "compile_s": 1.0}]
        many = {"runs": side_by_side} if side_by_side > 1 else {}
        took += [{"record": n, "seconds": seconds, "env_steps_per_s": round(STEPS / seconds)} | many
                 for n in range(1, done + 1)]  # fmt: skip
        (folder / "timing.jsonl").write_text("".join(json.dumps(line) + "\n" for line in took))
    return config


def group(root, done, seeds=3, label=""):
    """Runs side by side."""
    names = [f"seed-{seed}" for seed in range(seeds)]
    for seed, name in enumerate(names):
        run_folder(root / name, done, seed=seed, side_by_side=seeds)
    write_together(root, {label: names})
