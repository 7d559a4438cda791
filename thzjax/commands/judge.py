"""`thzjax report`, `evaluate` and `compare`: what judges."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thzjax.commands.shared import (
    OK,
    Config,
    Json,
    Overrides,
    Preset,
    Run,
    Runs,
    channels_for,
    check_writable,
    first_config,
    printer,
    progress,
    scenario_of,
    write_json,
)
from thzjax.errors import ConfigError


def write_report(folders: Sequence[Path], channels: int, json: Path | None = None) -> None:
    """Judge runs on held-out channels, print the table and write the page."""
    from thzjax.experiment.summary import report_run
    from thzjax.experiment.tables import comparison_table

    say = printer(json)
    page, result, opening = report_run(folders, channels, progress("judging"))
    say(comparison_table(result.rows))
    say(opening)
    say(f"report: {page}")
    write_json(result.rows, json)


def report(runs: Runs = (), /, channels: int | None = None, json: Json = None) -> int:
    """Judge a run on held-out channels and write its report.html, comparison.json and figures again.

    Policies of further runs of the same scenario join the report, which the first run's folder keeps.

    Examples:
      thzjax report runs/demo
      thzjax report runs/apg runs/ppo

    Args:
      runs: run folders; the first is the report's subject.
      channels: held-out channels; default 2048 on paper A's system, 256 on paper B's, 512 after a shortened run.
      json: write the rows of the table as a JSON list to this file; "-" is the standard output.
    """
    if not runs:
        raise ConfigError("name a run folder, such as runs/demo")
    check_writable(json)
    if channels is None:
        channels = channels_for(first_config(runs[0]))
    write_report(runs, channels, json)
    return OK


def evaluate(
    run: Run, /, channels: int | None = None, refine: int = 0, json: Json = None, data: Path | None = None
) -> int:
    """Judge a run's trained and untrained policy on held-out channels.

    Examples:
      thzjax evaluate runs/demo
      thzjax evaluate runs/demo --channels 4096 --refine 100
      thzjax evaluate runs/demo --data channels.h5
      thzjax evaluate runs/demo --json -

    Args:
      run: run folder, or folder of runs side by side, whose seeds are pooled.
      channels: held-out channels; default 2048 on paper A's system, 256 on paper B's.
      refine: judge the trained policy also with so many steps of gradient ascent after it: more rate for more time.
      json: write the rows of the table as a JSON list to this file; "-" is the standard output.
      data: judge on the channels of this file (docs/data.md), at most so many; of a run that was trained on a file, by
        default on those of it that were held out.
    """
    from thzjax.experiment.compare import HELD_OUT_SEED, compare, default_channels
    from thzjax.experiment.recorded import held_out, judged_on
    from thzjax.experiment.tables import comparison_table

    check_writable(json)
    config, say = first_config(run), progress("judging")
    channels = default_channels(config.scenario) if channels is None else channels
    if data is None and config.data is not None:
        drops = held_out(config, channels)
    else:
        drops = judged_on(config.scenario, data, [config], channels, say)
    result = compare(config.scenario, [run], channels, HELD_OUT_SEED, say, classical=False, refine=refine, drops=drops)
    printer(json)(comparison_table(result.rows))
    write_json(result.rows, json)
    return OK


def compare(
    preset: Preset = None,
    runs: Runs = (),
    /,
    channels: int | None = None,
    methods: tuple[str, ...] = (),
    sweep: tuple[str, ...] = (),
    refine: int = 0,
    config: Config = None,
    json: Json = None,
    out: Path | None = None,
    overrides: Overrides = (),
    data: Path | None = None,
) -> int:
    """Judge every method on the same held-out channels, as a table and as figures; or along one parameter, as curves.

    With one run, its folder keeps the rows as comparison.json.

    Examples:
      thzjax compare paper-a
      thzjax compare paper-b --channels 64 --methods rzf wmmse_sum/focused alternating gradient
      thzjax compare paper-b --sweep p_bs_dbm=30:45:5 --out figures
      thzjax compare paper-b --sweep "surface_shape=4,5;5,8;6,10;8,10" "num_active=7,15,22,30" --methods gradient
      thzjax compare paper-a runs/demo --json rows.json --out figures
      thzjax compare --config runs/demo/config.json runs/demo --set power_w=0.01 --json -
      thzjax compare paper-a runs/apg --sweep num_users=2:6:1 --methods gradient
      thzjax compare paper-b --data channels.h5 --channels 64

    Args:
      preset: scenario.
      runs: run folders, or folders of runs side by side, whose policies join in. They were trained on this scenario,
        but for policies that serve any size (unfolded, equivariant).
      channels: held-out channels; default 2048 on paper A's system, 256 on paper B's.
      methods: only these, each METHOD or METHOD/SURFACE.
      sweep: NAME=START:STOP:STEP or NAME=A,B,C: any option of the scenario; further ones change with it.
      refine: judge the policies of runs also with so many steps of gradient ascent after them.
      config: take the scenario of a run's config.json instead of a preset; every name is a run then.
      json: write the rows of the table as a JSON list to this file; "-" is the standard output.
      out: folder for the figures; a sweep's default is sweeps/PRESET-NAME.
      overrides: options of the scenario, such as pattern_threshold=3.
      data: judge on the first channels of this file (docs/data.md), at most so many, in place of drawn ones; of a file
        that one of the runs was trained on, on those that it held out.
    """
    from thzjax.experiment.compare import HELD_OUT_SEED, anchors, default_channels
    from thzjax.experiment.compare import compare as judge_all
    from thzjax.experiment.learned import configs_of
    from thzjax.experiment.recorded import judged_on
    from thzjax.experiment.summary import write_figures, write_rows
    from thzjax.experiment.tables import comparison_table

    check_writable(json, folder=out)
    if config is not None and preset is not None:
        preset, runs = None, (Path(preset), *runs)
    name, scenario = scenario_of(preset, config, overrides)
    channels = default_channels(scenario) if channels is None else channels
    if sweep:
        if refine:
            raise ConfigError("--refine is for a single point: leave out --sweep")
        if data is not None:
            raise ConfigError("--data holds the channels of one point: leave out --sweep")
        return _sweep(name, scenario, sweep, channels, methods, json, out, runs)
    say, tell = printer(json), progress("judging")
    drops = judged_on(scenario, data, configs_of(runs), channels, tell)
    result = judge_all(scenario, runs, channels, HELD_OUT_SEED, tell, methods=methods, refine=refine, drops=drops)
    say(comparison_table(result.rows))
    for anchor, rate in anchors(scenario, channels, HELD_OUT_SEED, drops).items():
        say(f"{anchor}: {rate:.3f}")
    write_json(result.rows, json)
    # A comparison on another scenario than its own is not the run's.
    own = len(runs) == 1 and data is None and not any("trained elsewhere" in row["method"] for row in result.rows)
    if own:
        write_rows(result.rows, runs[0] / "comparison.json")
    folder = out or (runs[0] / "figures" if own else None)
    if folder:
        for path in write_figures(result, folder):
            say(f"figure: {path}")
    return OK


def _sweep(
    preset: str,
    scenario: Any,
    texts: tuple[str, ...],
    channels: int,
    methods: tuple[str, ...],
    json: Path | None,
    out: Path | None,
    runs: Sequence[Path],
) -> int:
    from thzjax.experiment.compare import HELD_OUT_SEED
    from thzjax.experiment.summary import write_sweep
    from thzjax.experiment.sweep import sweep
    from thzjax.experiment.sweep_spec import parse_sweep
    from thzjax.experiment.tables import sweep_table

    (name, values), *others = (parse_sweep(text.removeprefix("scenario.")) for text in texts)
    along = dict(others)
    if len({name, *along}) < len(texts):
        raise ConfigError("--sweep names one option twice: list all its values at once")
    folder = out or Path("sweeps") / f"{preset}-{name}"
    check_writable(folder=folder)
    say = printer(json)
    rows = sweep(scenario, name, values, channels, HELD_OUT_SEED, progress("judging"), methods, along, runs)
    say(sweep_table(rows, name, values))
    for path in write_sweep(rows, name, values, folder):
        say(f"figure: {path}")
    write_json(rows, json)
    return OK
