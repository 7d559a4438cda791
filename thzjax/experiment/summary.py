"""Gathers what a run's report shows: its records, the comparison, and the pictures' data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thzjax import plotting
from thzjax.experiment.compare import (
    HELD_OUT_SEED,
    Comparison,
    Say,
    compare,
    mean_patterns,
    validation_lines,
)
from thzjax.experiment.config import read_config
from thzjax.experiment.files import read_records, write_atomically
from thzjax.experiment.overrides import to_json
from thzjax.experiment.report import ReportData, write
from thzjax.experiment.sweep import curves
from thzjax.experiment.sweep_spec import axis_values
from thzjax.physics.beampattern import pattern_grid
from thzjax.physics.beampattern_optimum import least_pattern_error
from thzjax.plotting_sweep import sweep_curves
from thzjax.systems.irs_scenario import desired_beams
from thzjax.systems.scenario import build

REPORTED = ("random", "mrt", "zf", "rzf", "wmmse", "wmmse_sum", "alternating")
"""Classical designs in a run's report: the searches take longer than the training, and are `thzjax compare`'s."""


def write_rows(rows: list[dict[str, Any]], path: Path) -> None:
    """The rows of a comparison as a JSON list of objects."""
    write_atomically(path, json.dumps(rows, indent=2) + "\n")


def write_figures(result: Comparison, folder: Path) -> list[Path]:
    """Draw the comparison into a folder, as PNG and SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    plotting.save(plotting.method_comparison(result.rows), folder / "method_comparison")
    return [folder / "method_comparison.png", folder / "method_comparison.svg"]


def write_sweep(rows: list[dict[str, Any]], name: str, values: Sequence[str], folder: Path) -> list[Path]:
    """Draw a sweep into a folder, as PNG and SVG, and keep its rows beside it as JSON."""
    drawn, lines = curves(rows, values)
    # The bound is many times every curve: it stands in the table.
    lines.pop("upper bound", None)
    x, labels = axis_values(values)
    folder.mkdir(parents=True, exist_ok=True)
    figure = sweep_curves(x, labels, drawn, name, anchors=lines)
    paths = plotting.save(figure, folder / f"sweep_{name}")
    write_rows(rows, folder / f"sweep_{name}.json")
    return list(paths)


def report_run(folder: Path, num_channels: int, say: Say) -> tuple[Path, Comparison]:
    """Evaluate a run on held-out channels and write `comparison.json`, the figures and `report.html` into it."""
    config = read_config(folder / "config.json")
    result = compare(config.scenario, [folder], num_channels, HELD_OUT_SEED, say, methods=REPORTED)
    write_rows(result.rows, folder / "comparison.json")
    say("figures")
    return write(_report_data(folder, config, result), folder), result


def _report_data(folder: Path, config: Any, result: Comparison) -> ReportData:
    _, params = build(config.scenario)
    records = read_records(folder / "metrics.jsonl")
    timing = [r["env_steps_per_s"] for r in read_records(folder / "timing.jsonl") if "env_steps_per_s" in r]
    compiles = [r["compile_s"] for r in read_records(folder / "timing.jsonl") if "compile_s" in r]
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    learned = next(i for i, row in enumerate(result.rows) if row["learned"] and "untrained" not in row["method"])
    untrained = next(row for row in result.rows if row["learned"] and "untrained" in row["method"])
    zf = next(i for i, row in enumerate(result.rows) if (row["method"], row["surface"]) == ("zf", "focused"))
    patterns = {result.rows[learned]["method"]: result.designs[learned], "zf, focused": result.designs[zf]}
    gram, scenario = params.pattern, config.scenario
    return ReportData(
        title=f"{config.agent.upper()} on {config.preset}, seed {config.seed}",
        scenario={name: str(value) for name, value in to_json(scenario).items()},
        settings={
            "agent": config.agent,
            "policy": config.policy,
            "constraint handler": config.handler,
            "seed": str(config.seed),
            "environment steps": f"{records[-1]['env_steps']:,}",
            "environment steps per second": f"{np.median(timing):,.0f} (median)" if timing else "unknown",
            "compile time": f"{compiles[-1]:.1f} s" if compiles else "unknown",
            "device": environment["device"],
            "versions": ", ".join(
                f"{name} {environment[name]}" for name in ("thzjax", "jax", "flax", "optax", "python")
            ),
        },
        command=environment["command"],
        records=records,
        rows=result.rows,
        lines=validation_lines(config, result),
        grid_deg=np.rad2deg(np.asarray(pattern_grid())),
        desired=np.asarray(desired_beams(scenario)),
        patterns=mean_patterns(scenario, patterns),
        p_ref_w=scenario.p_ref_w,
        channel_errors=result.judgements[learned].measures["pattern_error"],
        threshold=scenario.pattern_threshold if "beam_pattern" in scenario.constraints else None,
        silence_error=float(gram.constant),
        least_error=least_pattern_error(gram, scenario.num_antennas, scenario.power_w, scenario.p_ref_w),
        untrained=untrained,
        learned=result.rows[learned],
        handler=config.handler,
    )
