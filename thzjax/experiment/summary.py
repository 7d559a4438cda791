"""Gathers what a run's report shows: its records, the comparison, and the pictures' data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thzjax import plotting
from thzjax.errors import ConfigError
from thzjax.experiment.compare import (
    HELD_OUT_SEED,
    Comparison,
    Say,
    compare,
    mean_patterns,
    user_patterns,
    validation_lines,
)
from thzjax.experiment.config import RunConfig, read_config
from thzjax.experiment.evaluation import Judgement
from thzjax.experiment.files import finite_numbers, json_text, read_json, read_metrics, read_records, write_atomically
from thzjax.experiment.learned import configs_of, policy_names, runs_in
from thzjax.experiment.live import seed_records
from thzjax.experiment.overrides import to_json
from thzjax.experiment.recorded import held_out
from thzjax.experiment.report import PatternData, ReportData, findings, write
from thzjax.experiment.sweep import curves
from thzjax.experiment.sweep_spec import axis_values
from thzjax.physics.beampattern import pattern_grid
from thzjax.physics.beampattern_optimum import least_pattern_error
from thzjax.systems.base import holds
from thzjax.systems.irs_scenario import IrsScenario, desired_beams
from thzjax.systems.scenario import Scenario, build

REPORTED = ("random", "mrt", "zf", "rzf", "wmmse", "wmmse_sum", "alternating")
"""Classical designs in a run's report: the searches take longer than the training, and are `thzjax compare`'s.

A design that does not exist on a system (zero forcing below full rank) is left out by the comparison."""
VERSIONS = ("thzjax", "jax", "flax", "optax", "python")
"""Whose versions a report tells."""


def write_rows(rows: list[dict[str, Any]], path: Path) -> None:
    """The rows of a comparison as a JSON list of objects."""
    write_atomically(path, json_text(rows) + "\n")


def write_figures(result: Comparison, folder: Path) -> list[Path]:
    """Draw the comparison, and its rates against the time they take, into a folder, as PNG and SVG."""
    points = {
        _label(row): (row["us_per_channel"], row["rate_feasible"], row["ci_low"], row["ci_high"]) for row in result.rows
    }
    learned = [_label(row) for row in result.rows if row["learned"]]
    labels = "time per channel in a batch [µs]", "feasible sum rate [bit/s/Hz]"
    figures = {
        "method_comparison": plotting.method_comparison(result.rows),
        "rate_against_time": plotting.pareto_front(points, *labels, learned),
    }
    return [path for name, figure in figures.items() for path in plotting.save(figure, folder / name)]


def write_sweep(rows: list[dict[str, Any]], name: str, values: Sequence[str], folder: Path) -> list[Path]:
    """Draw a sweep into a folder, as PNG and SVG, and keep its rows beside it as JSON."""
    drawn, lines = curves(rows, values)
    # The bound is many times every curve: it stands in the table.
    lines.pop("upper bound", None)
    x, labels = axis_values(values)
    folder.mkdir(parents=True, exist_ok=True)
    figure = plotting.sweep_curves(x, labels, drawn, name, anchors=lines)
    paths = plotting.save(figure, folder / f"sweep_{name}")
    write_rows(rows, folder / f"sweep_{name}.json")
    return list(paths)


def write_seed_curves(folder: Path) -> list[Path]:
    """Draw the learning curves of runs side by side into their folder, as PNG and SVG."""
    return list(plotting.save(plotting.seed_curves(seed_records(folder)), folder / "learning_curves"))


def judge_runs(folder: Path, num_channels: int, say: Say) -> tuple[list[Path], Comparison | None]:
    """Learning curves of runs side by side and, where they share a scenario, their policies on held-out channels.

    Returns:
      the figures' paths, and the comparison, whose rows the folder keeps as `comparison.json`.
    """
    figures = write_seed_curves(folder)
    configs = configs_of([folder])
    if any(config.scenario != configs[0].scenario for config in configs):
        return figures, None
    drops = None if configs[0].data is None else held_out(configs[0], num_channels)
    result = compare(configs[0].scenario, [folder], num_channels, HELD_OUT_SEED, say, classical=False, drops=drops)
    write_rows(result.rows, folder / "comparison.json")
    return figures, result


def report_run(folders: Sequence[Path], num_channels: int, say: Say) -> tuple[Path, Comparison, str]:
    """Judge a run, and further ones of its scenario beside it, and write the report into the first one's folder.

    Args:
      folders: runs; the first is the report's subject and gets `comparison.json`, the figures and `report.html`.
      num_channels: held-out channels.
      say: told about progress.

    Returns:
      the page's path, the comparison, and the sentence that says what came out.

    Raises:
      ConfigError: no run, the same one twice, or runs of different scenarios.
    """
    if not folders:
        raise ConfigError("name a run folder to report on")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ConfigError("a run folder is named twice: name each once")
    for folder in folders:
        if len(many := [run for runs in runs_in(folder).values() for run in runs]) > 1:
            raise ConfigError(f"{folder} holds {len(many)} runs: report on one of them, or `thzjax compare` them all")
    config = read_config(folders[0] / "config.json")
    drops = None if config.data is None else held_out(config, num_channels)
    result = compare(config.scenario, folders, num_channels, HELD_OUT_SEED, say, methods=REPORTED, drops=drops)
    write_rows(result.rows, folders[0] / "comparison.json")
    say("figures")
    data = _report_data(folders, config, result)
    return write(data, folders[0]), result, findings(data)[0]


def _report_data(folders: Sequence[Path], config: RunConfig, result: Comparison) -> ReportData:
    names = list(policy_names(folders))
    place = {row["method"]: i for i, row in enumerate(result.rows) if row["learned"]}
    learned, *beside = (place[name] for name in names)
    classical = [i for i, row in enumerate(result.rows) if not row["learned"]]
    best = max(classical, key=lambda i: result.rows[i]["rate_feasible"], default=None)
    shown = [learned, *beside, *([] if best is None else [best])]
    environment = read_environment(folders[0])
    return ReportData(
        title=f"{config.agent.upper()} on {config.preset}, seed {config.seed}",
        scenario={name: str(value) for name, value in to_json(config.scenario).items()},
        settings=run_settings(folders[0], config, environment)
        | {f"beside it: {name}": _in_short(folder) for name, folder in zip(names[1:], folders[1:], strict=True)},
        command=environment["command"],
        records=_metrics(folders[0]),
        rows=result.rows,
        lines=validation_lines(config, result),
        learned=result.rows[learned],
        untrained=result.rows[place[f"{names[0]}, untrained"]],
        beside=[result.rows[i] for i in beside],
        shares={_label(result.rows[i]): _shares(result.judgements[i]) for i in shown},
        handler=config.handler,
        pattern=_pattern_data(config.scenario, result, learned),
    )


def _label(row: dict[str, Any]) -> str:
    return row["method"] if row["learned"] else f"{row['method']}, {row['surface']}"


def _shares(judgement: Judgement) -> dict[str, tuple[float, float]]:
    """Share of channels that violate each constraint, as designed and after the scaling."""

    def share(slack: Any) -> float:
        return float(np.mean(~np.asarray(holds(slack))))

    return {name: (share(judgement.slack[name]), share(judgement.slack_feasible[name])) for name in judgement.slack}


def _pattern_data(scenario: Scenario, result: Comparison, learned: int) -> PatternData | None:
    """The beam pattern of the learned design beside focused zero forcing's, which knows nothing of the pattern."""
    if not isinstance(scenario, IrsScenario):
        return None
    _, params = build(scenario)
    patterns = {result.rows[learned]["method"]: result.designs[learned]}
    classical = [i for i, row in enumerate(result.rows) if not row["learned"]]
    if classical:
        # Where zero forcing does not exist, the best of the others.
        beside = max(
            classical,
            key=lambda i: (_label(result.rows[i]) == "zf, focused", result.rows[i]["rate_feasible"]),
        )
        patterns[_label(result.rows[beside])] = result.designs[beside]
    return PatternData(
        grid_deg=np.rad2deg(np.asarray(pattern_grid())),
        desired=np.asarray(desired_beams(scenario)),
        patterns=mean_patterns(scenario, patterns),
        p_ref_w=scenario.p_ref_w,
        channel_errors=result.judgements[learned].measures["pattern_error"],
        threshold=scenario.pattern_threshold if "beam_pattern" in scenario.constraints else None,
        silence_error=float(params.pattern.constant),
        users=user_patterns(scenario, result.designs[learned]),
        least_error=least_pattern_error(params.pattern, scenario.num_antennas, scenario.power_w, scenario.p_ref_w),
    )


def read_environment(folder: Path) -> dict[str, Any]:
    """What a run was made on, and by which command.

    Raises:
      ConfigError: it cannot be read, or lacks a text.
    """
    path = folder / "environment.json"
    found = read_json(path, "what a run was made on")
    for name in ("command", "device", *VERSIONS):
        if not isinstance(found, dict) or not isinstance(found.get(name), str):
            raise ConfigError(f"{path} has no text {name!r}, which every run writes there: put back a copy of it")
    return found


def run_settings(folder: Path, config: RunConfig, environment: dict[str, Any]) -> dict[str, str]:
    """What a report tells of a run beside its scenario, in words."""
    timing = read_records(folder / "timing.jsonl")
    speed, compiles = (finite_numbers(timing, name) for name in ("env_steps_per_s", "compile_s"))
    return {
        "agent": config.agent,
        "policy": config.policy,
        "constraint handler": config.handler,
        "seed": str(config.seed),
        "channels": "drawn anew" if config.data is None else f"those of {config.data}, the last tenth held out",
        "environment steps": f"{_steps(folder):,}",
        "environment steps per second": f"{np.median(speed):,.0f} (median)" if speed else "unknown",
        "training time": f"{sum(finite_numbers(timing, 'seconds')):.0f} s" if speed else "unknown",
        "compile time": f"{compiles[-1]:.1f} s" if compiles else "unknown",
        "device": environment["device"],
        "versions": ", ".join(f"{name} {environment[name]}" for name in VERSIONS),
    }


def _in_short(folder: Path) -> str:
    config = read_config(folder / "config.json")
    return (
        f"policy {config.policy}, constraint handler {config.handler}, seed {config.seed}, {_steps(folder):,} "
        f"environment steps; {read_environment(folder)['command']}"
    )


def _steps(folder: Path) -> int:
    return int(_metrics(folder)[-1]["env_steps"])


def _metrics(folder: Path) -> list[dict[str, float]]:
    """The records of a run that has some."""
    if not (records := read_metrics(folder / "metrics.jsonl")):
        raise ConfigError(f"{folder} holds no records of a training: go on with it by `thzjax train --resume {folder}`")
    return records
