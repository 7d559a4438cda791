"""The command line. Nothing heavy is imported until a command needs it, so that --help is instant."""

import contextlib
import io
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from thzjax.errors import ConfigError

if TYPE_CHECKING:
    from thzjax.experiment.config import RunConfig

OK, FAILED, BAD_INPUT = 0, 1, 2

Overrides = Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="NAME=VALUE ...")]
Preset = Annotated[str, tyro.conf.Positional]
Runs = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...")]
Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def train(
    preset: Annotated[str | None, tyro.conf.Positional] = None,
    /,
    agent: str = "ppo",
    configuration: str = "default",
    handler: str = "primal_dual",
    seed: int = 0,
    steps: int | None = None,
    out: Path | None = None,
    quick: bool = False,
    resume: Path | None = None,
    config: Path | None = None,
    overrides: Overrides = (),
    report: bool = True,
) -> int:
    """Train a learner on a preset, then judge it beside the classical designs and write a report.

    Examples:
      thzjax train paper-a --agent ppo --seed 0 --out runs/demo
      thzjax train paper-a --quick
      thzjax train paper-a --handler projection --set pattern_threshold=3 num_users=3
      thzjax train --resume runs/demo

    Ctrl-C saves and stops with status 130; --resume goes on to the same final numbers.

    Args:
      preset: scenario to train on; `thzjax info` lists them.
      agent: learner.
      configuration: "default" (structured action) or "paper" (paper A's networks and raw action).
      handler: "primal_dual" (constraints hold on average) or "projection" (on every single channel).
      seed: fixes everything random.
      steps: environment steps; default by configuration.
      out: run folder to make; default runs/PRESET-AGENT-SEED.
      quick: a run of about a minute, report included, for trying things.
      resume: run folder to go on with; takes no other option but --report.
      config: a config.json to start from instead of a preset.
      overrides: options of the scenario or learner, such as power_w=0.01 ppo.clip=0.1.
      report: evaluate and write the report when training ends.
    """
    from thzjax.experiment.config import read_config, resolve
    from thzjax.experiment.overrides import apply_overrides
    from thzjax.experiment.progress import TrainingProgress
    from thzjax.experiment.train import INTERRUPTED, Diverged, create_run_folder, make_learner, run_training

    given = (agent, configuration, handler, seed, steps, out, quick, config, overrides)
    untouched = ("ppo", "default", "primal_dual", 0, None, None, False, None, ())
    if resume is not None:
        if preset is not None or given != untouched:
            raise ConfigError("--resume takes the run's own configuration: give no preset and no other option")
        folder, run = resume, read_config(resume / "config.json")
    else:
        if (preset is None) == (config is None):
            raise ConfigError("name a preset (such as paper-a), or give --config FILE or --resume RUN")
        if config is not None:
            if (agent, configuration, handler, seed, steps, quick) != (*untouched[:5], False):
                raise ConfigError("--config FILE holds every option: change some of them with --set NAME=VALUE")
            run = apply_overrides(read_config(config), overrides)
        else:
            run = resolve(preset, agent, configuration, handler, seed, steps, quick, overrides)
        folder = out or Path("runs") / f"{run.preset}-{run.agent}-{run.seed}"
        make_learner(run)
        create_run_folder(folder, run)
    try:
        status = run_training(run, folder, TrainingProgress())
    except Diverged as error:
        _say(f"thzjax: {error}")
        return FAILED
    if status == INTERRUPTED:
        _say(f"stopped and saved; go on with: thzjax train --resume {folder}")
        return status
    _say(f"trained: {folder}")
    if report:
        _write_report(folder, _default_channels(run))
    return OK


def _default_channels(run: "RunConfig") -> int:
    from thzjax.experiment.config import QUICK_STEPS

    return 512 if run.steps <= QUICK_STEPS else 2048


def _write_report(folder: Path, channels: int) -> None:
    from thzjax.experiment.summary import report_run

    page, result = report_run(folder, channels, _progress("judging"))
    print(_table(result.rows))
    print(f"report: {page}")


def report(run: Run, /, channels: int = 2048) -> int:
    """Judge a run on held-out channels and write its report.html, comparison.json and figures again.

    Example:
      thzjax report runs/demo

    Args:
      run: run folder.
      channels: held-out channels.
    """
    _write_report(run, channels)
    return OK


def evaluate(run: Run, /, channels: int = 2048, json: Path | None = None) -> int:
    """Judge a run's trained and untrained policy on held-out channels.

    Example:
      thzjax evaluate runs/demo --channels 4096

    Args:
      run: run folder.
      channels: held-out channels.
      json: write the rows there as a JSON list.
    """
    from thzjax.experiment.compare import HELD_OUT_SEED, compare
    from thzjax.experiment.config import read_config
    from thzjax.experiment.summary import write_rows

    config = read_config(run / "config.json")
    result = compare(config.scenario, [run], channels, HELD_OUT_SEED, _progress("judging"), classical=False)
    print(_table(result.rows))
    if json:
        write_rows(result.rows, json)
    return OK


def compare(
    preset: Preset,
    runs: Runs = (),
    /,
    channels: int = 2048,
    json: Path | None = None,
    out: Path | None = None,
    overrides: Overrides = (),
) -> int:
    """Judge every method on the same held-out channels, as a table and as figures.

    Examples:
      thzjax compare paper-a
      thzjax compare paper-a runs/demo --json rows.json --out figures

    With one run, its folder keeps the rows as comparison.json.

    Args:
      preset: scenario.
      runs: run folders whose policies join in; they must have been trained on this scenario.
      channels: held-out channels.
      json: write the rows there as a JSON list.
      out: folder for the figures.
      overrides: options of the scenario, such as pattern_threshold=3.
    """
    from thzjax.experiment.compare import HELD_OUT_SEED
    from thzjax.experiment.compare import compare as judge_all
    from thzjax.experiment.overrides import apply_overrides
    from thzjax.experiment.summary import write_figures, write_rows
    from thzjax.systems.scenario import preset as find

    scenario = apply_overrides(find(preset), overrides)
    result = judge_all(scenario, runs, channels, HELD_OUT_SEED, _progress("judging"))
    print(_table(result.rows))
    if json:
        write_rows(result.rows, json)
    if len(runs) == 1:
        write_rows(result.rows, runs[0] / "comparison.json")
    folder = out or (runs[0] / "figures" if len(runs) == 1 else None)
    if folder:
        for path in write_figures(result, folder):
            print(f"figure: {path}")
    return OK


def info(preset: Annotated[str | None, tyro.conf.Positional] = None, /) -> int:
    """Show versions, devices and presets, or every option of one preset.

    Examples:
      thzjax info
      thzjax info paper-a

    Args:
      preset: show this preset's scenario and learner options, by the names that --set takes.
    """
    import jax

    import thzjax
    from thzjax.experiment.config import AGENTS, CONFIGURATION_NAMES, HANDLERS, resolve
    from thzjax.experiment.overrides import flatten, to_json
    from thzjax.systems.scenario import PRESETS, absorption_per_m, noise_w, standard_absorption_per_m

    if preset is None:
        devices = ", ".join(f"{d.device_kind} ({d.platform})" for d in jax.devices())
        print(f"thzjax {thzjax.__version__}, jax {jax.__version__}\ndevices: {devices}")
        for label, names in (
            ("presets", PRESETS), ("agents", AGENTS), ("configurations", CONFIGURATION_NAMES), ("handlers", HANDLERS)
        ):  # fmt: skip
            print(f"{label}: {', '.join(names)}")
        return OK
    config = resolve(preset)
    for name, value in flatten(to_json(config)).items():
        print(f"{name} = {'none' if value is None else value}")
    scenario = config.scenario
    print(f"# noise power: {noise_w(scenario):.3e} W")
    standard = standard_absorption_per_m(scenario.freq_hz)
    beside = "" if standard is None else f"; ITU-R P.676-13 in standard air: {standard:.4g} 1/m"
    print(f"# absorption at the carrier: {absorption_per_m(scenario):.4g} 1/m ({scenario.absorption}){beside}")
    return OK


def _progress(what: str) -> Callable[[str], None]:
    return lambda text: _say(f"{what}: {text}")


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows as text, best feasible rate first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    heads = (
        "method",
        "surface",
        "feasible",
        "95 % interval",
        "as designed",
        "violations",
        "pattern error",
        "us/channel",
    )
    for name in heads:
        table.add_column(name, justify="left" if name in ("method", "surface") else "right")
    for row in sorted(rows, key=lambda r: -r["rate_feasible"]):
        table.add_row(
            escape(row["method"]),
            escape(row["surface"]),
            f"{row['rate_feasible']:.3f}",
            f"{row['ci_low']:.3f} .. {row['ci_high']:.3f}",
            f"{row['rate']:.3f}",
            f"{100 * row['violation_rate']:.1f} %",
            f"{row['pattern_error']:.3f}",
            f"{row['us_per_channel']:.1f}",
        )
    buffer = io.StringIO()
    Console(file=buffer, width=130).print(table)
    return buffer.getvalue() + f"sum rates in bit/s/Hz, mean over {rows[0]['num_channels']} held-out channels"


COMMANDS = {"train": train, "evaluate": evaluate, "compare": compare, "report": report, "info": info}


def _parse(args: list[str] | None) -> Callable[[], int]:
    """The command to run; a bad argument is one line and status 2."""
    complaint = io.StringIO()
    bound: dict[str, Callable[[], int]] = {}

    def defer(command: Callable[..., int]) -> Callable[..., int]:
        import functools

        @functools.wraps(command)
        def wrapper(*args: Any, **kwargs: Any) -> int:
            bound["run"] = lambda: command(*args, **kwargs)
            return OK

        return wrapper

    try:
        with contextlib.redirect_stderr(complaint):
            tyro.extras.subcommand_cli_from_dict(
                {name: defer(command) for name, command in COMMANDS.items()},
                prog="thzjax",
                description="Terahertz links that communicate and sense at once, with a reflecting surface.",
                args=args,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        text = re.sub(r"[\u2500-\u257f]", " ", complaint.getvalue())
        line = " ".join(text.split())
        raise ConfigError(line or "the arguments do not fit: see `thzjax --help`") from None
    return bound["run"]


def main(args: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, category, *_: _say(f"thzjax: warning: {message}")
            return _parse(args)()
    except ConfigError as error:
        _say(f"thzjax: {error}")
        return BAD_INPUT
    except KeyboardInterrupt:
        _say("thzjax: interrupted")
        return 130


def run() -> None:
    """Console entry point."""
    sys.exit(main())
