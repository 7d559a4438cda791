"""What each command of the command line does. Nothing heavy is imported until one needs it: --help is instant."""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from thzjax.errors import ConfigError

if TYPE_CHECKING:
    from thzjax.experiment.config import RunConfig

OK, FAILED, BAD_INPUT = 0, 1, 2

Overrides = Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="NAME=VALUE ...")]
Preset = Annotated[str, tyro.conf.Positional]
Runs = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...")]
Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def train(
    preset: Annotated[str | None, tyro.conf.Positional] = None,
    /,
    agent: str = "ppo",
    configuration: str = "default",
    policy: str | None = None,
    handler: str | None = None,
    seed: int = 0,
    steps: int | None = None,
    out: Path | None = None,
    quick: bool = False,
    resume: Path | None = None,
    config: Path | None = None,
    overrides: Overrides = (),
    seeds: int = 1,
    sweep: tuple[str, ...] = (),
    workers: int | None = None,
    devices: int | None = None,
    report: bool = True,
    distributed: bool = False,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    initialization_timeout: int = 300,
    env_chunk: int | None = None,
) -> int:
    """Train a learner on a preset, then judge it beside the classical designs and write a report.

    Examples:
      thzjax train paper-a --agent ppo --seed 0 --out runs/demo
      thzjax train paper-a --agent apg
      thzjax train paper-a --agent ppo --policy unfolded
      thzjax train paper-b --agent apg --seed 1
      thzjax train paper-a --quick
      thzjax train paper-a --handler projection --set pattern_threshold=3 num_users=3
      thzjax train paper-a --agent apg --seeds 5
      thzjax train paper-a --seeds 3 --sweep actor_rate=1e-2,1e-3,1e-4 critic_rate=2e-2,2e-3,2e-4
      thzjax train paper-a --agent dppo
      thzjax train paper-a --agent apg --set num_envs=16384 --env-chunk 1024
      thzjax train --resume runs/demo
      thzjax train paper-a --workers 4 --distributed --coordinator 10.0.0.1:29500 --num-processes 2 --process-id 0

    Ctrl-C saves and stops with status 130, SIGTERM (what a scheduler sends before it takes the machine back) with 143;
    --resume goes on to the same final numbers. Status 1: training failed, as on a full disk; 2: bad input.

    Args:
      preset: scenario to train on; `thzjax info` lists them.
      agent: learner: ppo, dppo (ppo with a worker for each user), a2c, a3c, reinforce, ddpg, td3, sac or apg.
      configuration: "default" or "paper" (paper A's networks and raw action).
      policy: "structured", "residual", "equivariant" (a network for any number of users and elements) or "unfolded"
        (layers of an optimiser); default unfolded for apg, else structured.
      handler: "primal_dual" (constraints hold on average), "projection" (on every single channel) or "penalty" (a
        fixed price); default projection for apg, else primal_dual.
      seed: fixes everything random.
      steps: environment steps; default by configuration.
      out: run folder to make; default runs/PRESET-AGENT-SEED, or runs/PRESET-AGENT of several runs.
      quick: a run of about a minute, report included, for trying things.
      resume: run folder to go on with; takes no other option but --devices, --report and those of several
        processes.
      config: a config.json to start from instead of a preset.
      overrides: options of the scenario or learner, such as power_w=0.01 learner.clip=0.1.
      seeds: train so many seeds side by side in one program, from --seed on.
      sweep: NAME=A,B,C: train these values of a learning rate, or of any other real number, side by side; further
        ones change with it.
      workers: how many share the environments and learn one policy, each with random numbers of its own; default 1, of
        dppo the number of users.
      devices: local devices to spread the workers over, which changes no number beyond rounding; default as many as
        divide the workers.
      report: evaluate and write the report when training ends.
      distributed: this is one of several processes that train one run of several workers; all share a file system.
      coordinator: HOST:PORT of process 0, the same for all; where Slurm, Open MPI or a TPU pod tells, leave it out.
      num_processes: how many processes.
      process_id: which of them this is, from 0; process 0 writes the run folder.
      initialization_timeout: seconds to wait for the other processes.
      env_chunk: simulate and differentiate at most so many environments at a time, the others after them, where a
        batch is larger than memory; default all at once.
    """
    from thzjax.distributed import Elsewhere, first, member, part

    with member(distributed, coordinator, num_processes, process_id, initialization_timeout):
        from thzjax.experiment.memory import TooLarge
        from thzjax.experiment.progress import TrainingProgress
        from thzjax.experiment.train import STOPS, Diverged, Unwritable, run_together

        if env_chunk is not None:
            overrides = (*overrides, f"learner.env_chunk={env_chunk}")
        given = (agent, configuration, handler, seed, steps, quick, policy, workers)
        folder, runs = _runs_to_train(preset, given, out, resume, config, overrides, seeds, sweep, devices)
        try:
            status = run_together(list(runs.values()), list(runs), TrainingProgress(), devices)
        except TooLarge:
            if resume is None:
                shutil.rmtree(folder)  # made a moment ago, and nothing in it has begun
            raise
        except (Diverged, Unwritable, Elsewhere) as error:
            if first() or isinstance(error, Elsewhere):
                say(f"thzjax: {error}")
            status = FAILED
        part()
    if not first():
        return status
    if status in STOPS.values():
        say(f"stopped and saved; go on with: thzjax train --resume {folder}")
    if status:
        return status
    say(f"trained: {folder}")
    if report and len(runs) == 1:
        _write_report([folder], _default_channels(runs[folder]))
    elif report:
        _judge_runs(folder, _default_channels(next(iter(runs.values()))))
    return OK


def _runs_to_train(
    preset: str | None,
    given: tuple[Any, ...],
    out: Path | None,
    resume: Path | None,
    config: Path | None,
    overrides: tuple[str, ...],
    seeds: int,
    sweep: tuple[str, ...],
    devices: int | None,
) -> tuple[Path, dict[Path, "RunConfig"]]:
    """(folder, runs in it): those to go on with, or new ones, whose folders are made."""
    from thzjax.distributed import first_does
    from thzjax.experiment.config import read_config, resolve
    from thzjax.experiment.learned import runs_in
    from thzjax.experiment.learner import make_learner
    from thzjax.experiment.overrides import apply_overrides
    from thzjax.experiment.train import create_run_folder, create_runs
    from thzjax.parallel import choose_devices

    agent, configuration, handler, seed, steps, quick, policy, workers = given
    untouched = ("ppo", "default", None, 0, None, False, None, None)
    if resume is not None:
        others = (preset, out, config, overrides, seeds, sweep)
        if given != untouched or others != (None, None, None, (), 1, ()):
            raise ConfigError("--resume takes the run's own configuration: give no preset and no other option")
        return resume, {run: read_config(run / "config.json") for each in runs_in(resume).values() for run in each}
    if (preset is None) == (config is None):
        raise ConfigError("name a preset (such as paper-a), or give --config FILE or --resume RUN")
    if config is not None:
        if given != untouched:
            raise ConfigError("--config FILE holds every option: change some of them with --set NAME=VALUE")
        run = apply_overrides(read_config(config), overrides)
    else:
        run = resolve(preset, agent, configuration, handler, seed, steps, quick, overrides, policy, workers)
    make_learner(run)
    choose_devices(run.workers, devices)
    if seeds == 1 and not sweep:
        folder = out or Path("runs") / f"{run.preset}-{run.agent}-{run.seed}"
        first_does(lambda: create_run_folder(folder, run))
        return folder, {folder: run}
    folder = out or Path("runs") / f"{run.preset}-{run.agent}"
    return folder, create_runs(folder, run, seeds, sweep, devices)


def _judge_runs(folder: Path, channels: int) -> None:
    from thzjax.experiment.summary import judge_runs
    from thzjax.experiment.tables import comparison_table

    figures, result = judge_runs(folder, channels, _progress("judging"))
    for path in figures:
        print(f"figure: {path}")
    if result is not None:
        print(comparison_table(result.rows))


def _first_config(folder: Path) -> "RunConfig":
    """The configuration of a run, or of the first of several side by side."""
    from thzjax.experiment.config import read_config
    from thzjax.experiment.learned import runs_in

    first = next(iter(runs_in(folder).values()))[0]
    return read_config(first / "config.json")


def _default_channels(run: "RunConfig") -> int:
    from thzjax.experiment.compare import default_channels
    from thzjax.experiment.config import default_run

    shortened = run.steps < default_run(run.agent, run.scenario).steps
    return min(default_channels(run.scenario), 512 if shortened else 2048)


def _write_report(folders: Sequence[Path], channels: int) -> None:
    from thzjax.experiment.summary import report_run
    from thzjax.experiment.tables import comparison_table

    page, result, opening = report_run(folders, channels, _progress("judging"))
    print(comparison_table(result.rows))
    print(opening)
    print(f"report: {page}")


def report(runs: Runs = (), /, channels: int | None = None) -> int:
    """Judge a run on held-out channels and write its report.html, comparison.json and figures again.

    Policies of further runs of the same scenario join the report, which the first run's folder keeps.

    Examples:
      thzjax report runs/demo
      thzjax report runs/apg runs/ppo

    Args:
      runs: run folders; the first is the report's subject.
      channels: held-out channels; default 2048 on paper A's system, 256 on paper B's, 512 after a shortened run.
    """
    if not runs:
        raise ConfigError("name a run folder, such as runs/demo")
    if channels is None:
        channels = _default_channels(_first_config(runs[0]))
    _write_report(runs, channels)
    return OK


def evaluate(run: Run, /, channels: int | None = None, refine: int = 0, json: Path | None = None) -> int:
    """Judge a run's trained and untrained policy on held-out channels.

    Example:
      thzjax evaluate runs/demo --channels 4096 --refine 100

    Args:
      run: run folder, or folder of runs side by side, whose seeds are pooled.
      channels: held-out channels; default 2048 on paper A's system, 256 on paper B's.
      refine: judge the trained policy also with so many steps of gradient ascent after it: more rate for more time.
      json: write the rows there as a JSON list.
    """
    from thzjax.experiment.compare import HELD_OUT_SEED, compare, default_channels
    from thzjax.experiment.summary import write_rows
    from thzjax.experiment.tables import comparison_table

    config = _first_config(run)
    channels = default_channels(config.scenario) if channels is None else channels
    result = compare(
        config.scenario, [run], channels, HELD_OUT_SEED, _progress("judging"), classical=False, refine=refine
    )
    print(comparison_table(result.rows))
    if json:
        write_rows(result.rows, json)
    return OK


def compare(
    preset: Preset,
    runs: Runs = (),
    /,
    channels: int | None = None,
    methods: tuple[str, ...] = (),
    sweep: tuple[str, ...] = (),
    refine: int = 0,
    json: Path | None = None,
    out: Path | None = None,
    overrides: Overrides = (),
) -> int:
    """Judge every method on the same held-out channels, as a table and as figures; or along one parameter, as curves.

    Examples:
      thzjax compare paper-a
      thzjax compare paper-b --channels 64 --methods rzf wmmse_sum/focused alternating gradient
      thzjax compare paper-b --sweep p_bs_dbm=30:45:5 --out figures
      thzjax compare paper-b --sweep "surface_shape=4,5;5,8;6,10;8,10" "num_active=7,15,22,30" --methods gradient
      thzjax compare paper-a runs/demo --json rows.json --out figures
      thzjax compare paper-a runs/apg --sweep num_users=2:6:1 --methods gradient

    With one run, its folder keeps the rows as comparison.json.

    Args:
      preset: scenario.
      runs: run folders, or folders of runs side by side, whose policies join in. They were trained on this scenario,
        but for policies that serve any size (unfolded, equivariant).
      channels: held-out channels; default 2048 on paper A's system, 256 on paper B's.
      methods: only these, each METHOD or METHOD/SURFACE.
      sweep: NAME=START:STOP:STEP or NAME=A,B,C: any option of the scenario; further ones change with it.
      refine: judge the policies of runs also with so many steps of gradient ascent after them.
      json: write the rows there as a JSON list.
      out: folder for the figures; a sweep's default is sweeps/PRESET-NAME.
      overrides: options of the scenario, such as pattern_threshold=3.
    """
    from thzjax.experiment.compare import HELD_OUT_SEED, anchors, default_channels
    from thzjax.experiment.compare import compare as judge_all
    from thzjax.experiment.overrides import apply_overrides
    from thzjax.experiment.summary import write_figures, write_rows
    from thzjax.experiment.tables import comparison_table
    from thzjax.systems.scenario import preset as find

    scenario = apply_overrides(find(preset), overrides)
    channels = default_channels(scenario) if channels is None else channels
    if sweep:
        if refine:
            raise ConfigError("--refine is for a single point: leave out --sweep")
        return _sweep(preset, scenario, sweep, channels, methods, json, out, runs)
    result = judge_all(scenario, runs, channels, HELD_OUT_SEED, _progress("judging"), methods=methods, refine=refine)
    print(comparison_table(result.rows))
    for name, rate in anchors(scenario, channels, HELD_OUT_SEED).items():
        print(f"{name}: {rate:.3f}")
    if json:
        write_rows(result.rows, json)
    # A comparison on another scenario than its own is not the run's.
    own = len(runs) == 1 and not any("trained elsewhere" in row["method"] for row in result.rows)
    if own:
        write_rows(result.rows, runs[0] / "comparison.json")
    folder = out or (runs[0] / "figures" if own else None)
    if folder:
        for path in write_figures(result, folder):
            print(f"figure: {path}")
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
    from thzjax.experiment.summary import write_rows, write_sweep
    from thzjax.experiment.sweep import sweep
    from thzjax.experiment.sweep_spec import parse_sweep
    from thzjax.experiment.tables import sweep_table

    (name, values), *others = (parse_sweep(text) for text in texts)
    along = dict(others)
    if len({name, *along}) < len(texts):
        raise ConfigError("--sweep names one option twice: list all its values at once")
    rows = sweep(scenario, name, values, channels, HELD_OUT_SEED, _progress("judging"), methods, along, runs)
    print(sweep_table(rows, name, values))
    folder = out or Path("sweeps") / f"{preset}-{name}"
    for path in write_sweep(rows, name, values, folder):
        print(f"figure: {path}")
    if json:
        write_rows(rows, json)
    return OK


def policy(run: Run, /, channels: Path | None = None, out: Path = Path("designs.npz"), checkpoint: str = "last") -> int:
    """Use a trained policy on channels of your own; without --channels, say what it takes.

    Examples:
      thzjax policy runs/demo
      thzjax policy runs/demo --channels channels.npz --out designs.npz
      thzjax policy runs/demo --channels channels.npz --checkpoint best

    From Python: thzjax.experiment.policy.load_policy.

    Args:
      run: run folder.
      channels: .npz of complex amplitudes, all gains in them, one channel per leading index.
      out: .npz to write: beamformer [C, M, S], reflection [C, N].
      checkpoint: "last", "best" (by its rate on the validation channels) or a record's number; the last three and the
        best are kept.
    """
    from thzjax.experiment.policy import channel_arrays, design_file

    if channels is None:
        for name, like in channel_arrays(run).items():
            print(f"{name}[{', '.join(map(str, ('C', *like.shape)))}] {like.dtype}")
        return OK
    count = design_file(run, channels, out, _progress("designing"), checkpoint)
    print(f"{count} designs: {out}")
    return OK


def reproduce(
    figures: tyro.conf.Positional[tuple[str, ...]] = (),
    budget: Literal["quick", "full"] = "quick",
    out: Path = Path("reproduction"),
    list: bool = False,
) -> int:
    """Run figures, published ones and further ones, draw them, and judge what is claimed about them.

    Examples:
      thzjax reproduce --list
      thzjax reproduce liu-fig9
      thzjax reproduce all --budget quick --out reproduction
      thzjax reproduce beyond

    Every run and every judged point is kept in OUT under the hash of its configuration: repeated or interrupted, a
    reproduction goes on where it was. OUT/REPRODUCTION.md and reproduction.html show figures, claims, verdicts and
    numbers; verdicts.json holds the verdicts, ID/ID.csv what is behind the curves.

    Args:
      figures: ids; all for every published figure, beyond for those that go beyond the papers.
      budget: "quick" takes 3 seeds and minutes a figure on 2 CPU cores; "full" 10 seeds, five times the training, and
        hours.
      out: folder for the results.
      list: say what there is, and do nothing.
    """
    from thzjax.experiment.train import Diverged, Unwritable
    from thzjax.figures.catalogue import FIGURES, choose
    from thzjax.figures.frame import BUDGETS
    from thzjax.figures.pages import PAGE, reproduce_figure, result_lines
    from thzjax.figures.workshop import Stopped

    if list:
        for figure in FIGURES.values():
            print(f"{figure.id:14s} {figure.claim}")
        return OK
    chosen = choose(figures)
    status = OK
    for i, figure in enumerate(chosen):
        say(f"{figure.id} ({i + 1} of {len(chosen)})")
        try:
            result = reproduce_figure(figure, BUDGETS[budget], out, _progress(figure.id))
        except Stopped as stopped:
            say(f"stopped and saved; the same command goes on where it was: --out {out}")
            return stopped.args[0]
        except (Diverged, Unwritable) as error:
            say(f"thzjax: {figure.id} is left out: {error}")
            status = FAILED
            continue
        print("\n".join(result_lines(result)), flush=True)
    print(f"page: {out / PAGE}")
    return status


def info(preset: Annotated[str | None, tyro.conf.Positional] = None, /, feasibility: bool = True) -> int:
    """Show versions, devices and presets, or one preset: its options, and where its constraints bind.

    Examples:
      thzjax info
      thzjax info paper-b
      thzjax info paper-a --no-feasibility

    Args:
      preset: show this preset's scenario and learner options, by the names that --set takes.
      feasibility: also find out on 16 channels which constraints bind at which design, and what physics rules out;
        about a minute.
    """
    import jax

    import thzjax
    from thzjax.experiment.config import AGENTS, CONFIGURATION_NAMES, HANDLERS
    from thzjax.experiment.feasibility import report_lines
    from thzjax.experiment.tables import preset_lines
    from thzjax.systems.scenario import PRESETS

    if preset is None:
        devices = ", ".join(f"{d.device_kind} ({d.platform})" for d in jax.devices())
        print(f"thzjax {thzjax.__version__}, jax {jax.__version__}\ndevices: {devices}")
        for label, names in (
            ("presets", PRESETS), ("agents", AGENTS), ("configurations", CONFIGURATION_NAMES), ("handlers", HANDLERS)
        ):  # fmt: skip
            print(f"{label}: {', '.join(names)}")
        return OK
    print("\n".join(preset_lines(preset)), flush=True)
    if feasibility:
        for line in report_lines(preset, _progress("finding out")):
            print(line, flush=True)
    return OK


def _progress(what: str) -> Callable[[str], None]:
    return lambda text: say(f"{what}: {text}")


COMMANDS = {
    "train": train, "evaluate": evaluate, "compare": compare, "report": report, "policy": policy,
    "reproduce": reproduce, "info": info,
}  # fmt: skip
