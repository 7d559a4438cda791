"""`thzjax train`."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thzjax.commands.judge import write_report
from thzjax.commands.shared import (
    FAILED,
    OK,
    Config,
    Json,
    Overrides,
    Preset,
    channels_for,
    check_writable,
    printer,
    progress,
    say,
    write_json,
)
from thzjax.errors import ConfigError

if TYPE_CHECKING:
    from thzjax.experiment.config import RunConfig


def train(
    preset: Preset = None,
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
    config: Config = None,
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
    tensorboard: bool = False,
    json: Json = None,
    data: Path | None = None,
) -> int:
    """Train a learner on a preset, then judge it beside the classical designs and write a report.

    Ctrl-C saves and stops with status 130, SIGTERM (what a scheduler sends before it takes the machine back) with 143;
    --resume goes on to the same final numbers. While it goes on, `thzjax watch RUN` shows it in another terminal, and
    the learning curve is drawn in figures/learning.png.

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
      thzjax train --config runs/demo/config.json --set seed=1 --out runs/again
      thzjax train paper-b --agent apg --data channels.h5
      thzjax train --resume runs/demo
      thzjax train paper-a --workers 4 --distributed --coordinator 10.0.0.1:29500 --num-processes 2 --process-id 0

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
      resume: run folder to go on with; takes no other option but --devices, --report, --json, --tensorboard and those
        of several processes.
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
      tensorboard: also write event files for TensorBoard into the run folder; `thzjax watch RUN --tensorboard` does so
        for any run. Needs the extra: pip install "thzjax[tensorboard]".
      json: write the rows of the final table as a JSON list to this file; "-" is the standard output.
      data: train on the channels of this file (docs/data.md) in place of drawn ones: on its first eight tenths; the
        ninth is the learning curve's, the last is held out.
    """
    from thzjax.distributed import Elsewhere, first, member, part

    if json is not None and not report:
        raise ConfigError("--json writes what the report judges: leave out --no-report, or leave out --json")
    check_writable(json)
    with member(distributed, coordinator, num_processes, process_id, initialization_timeout):
        from thzjax.experiment.live import LearningPicture
        from thzjax.experiment.memory import TooLarge
        from thzjax.experiment.progress import Several, TrainingProgress
        from thzjax.experiment.tensorboard import EventFiles, require_tensorboard
        from thzjax.experiment.train import STOPS, Diverged, Unwritable, run_together

        if tensorboard:
            require_tensorboard()
        if env_chunk is not None:
            overrides = (*overrides, f"learner.env_chunk={env_chunk}")
        given = (agent, configuration, handler, seed, steps, quick, policy, workers)
        folder, runs = _runs_to_train(preset, given, out, resume, config, overrides, seeds, sweep, devices, data)
        followers = [TrainingProgress(), LearningPicture(folder), *([EventFiles(list(runs))] if tensorboard else [])]
        try:
            status = run_together(list(runs.values()), list(runs), Several(followers), devices)
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
        write_report([folder], channels_for(runs[folder]), json)
    elif report:
        _judge_runs(folder, channels_for(next(iter(runs.values()))), json)
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
    data: Path | None,
) -> tuple[Path, dict[Path, "RunConfig"]]:
    """(folder, runs in it): those to go on with, or new ones, whose folders are made."""
    from thzjax.distributed import first_does
    from thzjax.experiment.config import check_origin, read_config, resolve
    from thzjax.experiment.learned import runs_in
    from thzjax.experiment.learner import make_learner
    from thzjax.experiment.overrides import apply_overrides
    from thzjax.experiment.recorded import with_data
    from thzjax.experiment.train import create_run_folder, create_runs
    from thzjax.parallel import choose_devices

    agent, configuration, handler, seed, steps, quick, policy, workers = given
    untouched = ("ppo", "default", None, 0, None, False, None, None)
    if resume is not None:
        others = (preset, out, config, overrides, seeds, sweep, data)
        if given != untouched or others != (None, None, None, (), 1, (), None):
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
    check_origin(run)
    make_learner(run)
    if data is not None or (run.data is not None and run.data_sha256 is None):
        run = with_data(run, data or Path(run.data))
    choose_devices(run.workers, devices)
    if seeds == 1 and not sweep:
        folder = out or Path("runs") / f"{run.preset}-{run.agent}-{run.seed}"
        first_does(lambda: create_run_folder(folder, run))
        return folder, {folder: run}
    folder = out or Path("runs") / f"{run.preset}-{run.agent}"
    return folder, create_runs(folder, run, seeds, sweep, devices)


def _judge_runs(folder: Path, channels: int, json: Path | None) -> None:
    from thzjax.experiment.summary import judge_runs
    from thzjax.experiment.tables import comparison_table

    figures, result = judge_runs(folder, channels, progress("judging"))
    tell = printer(json)
    for path in figures:
        tell(f"figure: {path}")
    if result is not None:
        tell(comparison_table(result.rows))
    write_json([] if result is None else result.rows, json)
