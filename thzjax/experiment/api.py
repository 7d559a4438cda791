"""What scripts and notebooks call, `thzjax.train` and `thzjax.evaluate`: the commands of those names as functions."""

import dataclasses
import functools
import math
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thzjax.errors import ConfigError
from thzjax.experiment.compare import HELD_OUT_SEED, Comparison, compare, default_channels
from thzjax.experiment.config import RunConfig, read_config, resolve
from thzjax.experiment.evaluation import DesignRule, observed
from thzjax.experiment.files import read_records
from thzjax.experiment.learned import runs_in
from thzjax.experiment.learner import make_learner
from thzjax.experiment.overrides import Overrides, apply_overrides, as_assignments, differences
from thzjax.experiment.policy import Policy, load_policy
from thzjax.experiment.progress import TrainingProgress
from thzjax.experiment.train import STOPS, create_run_folder, run_training
from thzjax.parallel import choose_devices
from thzjax.systems.base import Design
from thzjax.systems.scenario import Scenario, build
from thzjax.systems.scenario import preset as find


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained run.

    Attributes:
      folder: run folder, which every command takes.
      config: its resolved configuration.
    """

    folder: Path
    config: RunConfig

    @functools.cached_property
    def policy(self) -> Policy:
        """The trained policy, a function of channels."""
        return load_policy(self.folder)

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """The learning curve: every number of `metrics.jsonl` by name, one for each record; NaN where it has none.

        Record 0 is the untrained policy: it has what `validation/` measures, and nothing of training.
        """
        records = read_records(self.folder / "metrics.jsonl")
        names = dict.fromkeys(name for record in records for name in record)
        return {name: np.array([record.get(name, math.nan) for record in records]) for name in names}


class Quiet:
    """Progress that is not shown."""

    def start(self, config: Any, done: int, runs: int = 1) -> None:
        """Nothing."""

    def update(self, record: int, metrics: dict[str, Any], steps_per_second: float, seconds_left: float) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


Judged = Run | Policy | str | Path | Callable[[Any], Design]
"""What can be judged: a run, its folder, a policy, its file, a function from channels to a design."""


def train(
    preset: str = "paper-a",
    *,
    agent: str = "ppo",
    steps: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    policy: str | None = None,
    handler: str | None = None,
    configuration: str = "default",
    overrides: Overrides = (),
    workers: int | None = None,
    devices: int | None = None,
    progress: bool = True,
) -> Run:
    """Train a learner on a preset, as `thzjax train` does; the same arguments give the same numbers.

    A folder that holds this very run is gone on with, to the same numbers: a finished run is returned as it is, so that
    a notebook may be run again. Ctrl-C saves before it is raised.

    Args:
      preset: scenario to train on, of `systems.PRESETS`.
      agent: learner, of `agents.AGENTS`.
      steps: environment steps; default by agent and preset.
      seed: fixes everything random.
      out: run folder; default runs/PRESET-AGENT-SEED.
      policy: what is learned; default "unfolded" for apg, else "structured".
      handler: "primal_dual", "projection" or "penalty"; default "projection" for apg, else "primal_dual".
      configuration: "default" or "paper".
      overrides: options of the scenario or the learner, as {"pattern_threshold": 3, "learner.clip": 0.1}.
      workers: how many share the environments; default 1, of dppo the number of users.
      devices: local ones that the workers are spread over; default as many as divide them.
      progress: show it on the standard error.

    Raises:
      ConfigError: anything unknown or impossible, or a folder that holds something else.
      thzjax.experiment.train.Diverged: a number of the run is no longer finite.
      KeyboardInterrupt: after Ctrl-C; what was learned is saved.
    """
    texts = as_assignments(overrides)
    config = resolve(preset, agent, configuration, handler, seed, steps, False, texts, policy, workers)
    make_learner(config)
    choose_devices(config.workers, devices)
    folder = Path("runs") / f"{preset}-{agent}-{seed}" if out is None else Path(out)
    kept = folder / "config.json"
    if not kept.exists() or read_config(kept) != config:
        create_run_folder(folder, config, f"thzjax train --config {kept}")
    status = run_training(config, folder, TrainingProgress() if progress else Quiet(), devices)
    if status == STOPS[signal.SIGINT]:
        raise KeyboardInterrupt(f"stopped and saved; the same call goes on where {folder} is")
    if status:
        raise SystemExit(status)
    return Run(folder, config)


def evaluate(
    policy: Judged | Sequence[Judged] | None = None,
    channels: int | None = None,
    *,
    preset: str | None = None,
    overrides: Overrides = (),
    methods: Sequence[str] = (),
    refine: int = 0,
    progress: bool = False,
) -> Comparison:
    """Judge policies and classical designs on the held-out channels of `thzjax evaluate` and `thzjax compare`.

    Args:
      policy: a run, its folder or that of runs side by side; a policy of `load_policy`, or an exported one's file; or a
        function of one's own that jax can compile, from a batch of channels to a `systems.Design`; or a list of such;
        none for classical designs alone.
      channels: how many; default 2048, or 256 of large arrays.
      preset: scenario to judge on; default the (first) policy's own.
      overrides: options of that scenario that differ, as {"num_users": 6}.
      methods: classical designs, each METHOD or METHOD/SURFACE; none named means none beside a policy, and all but the
        slowest without one.
      refine: of a run: judge the trained policy also with so many steps of gradient ascent after it.
      progress: say what is being done on the standard error.

    Returns:
      `rows` by method for a table (`print` shows it), `judgements` by channel, and the `designs`.

    Raises:
      ConfigError: no such run, preset or method, or a policy that does not fit the scenario.
    """
    policies = [] if policy is None else list(policy) if isinstance(policy, (list, tuple)) else [policy]
    policies = [_loaded(each) for each in policies]
    folders = [each for each in policies if isinstance(each, Path)]
    own = [each for each in policies if not isinstance(each, Path)]
    first = policies[0] if policies else None
    of_first = _first_config(first).scenario if isinstance(first, Path) else getattr(first, "scenario", None)
    scenario = _scenario(of_first, preset, overrides)
    if len({_name(each) for each in own}) < len(own):
        raise ConfigError("two policies have one name, and a table could not tell them apart: rename one's function")
    if refine and (own or not folders):
        raise ConfigError("refine is for run folders: name the run's")
    return compare(
        scenario,
        folders,
        default_channels(scenario) if channels is None else channels,
        HELD_OUT_SEED,
        (lambda text: print(f"judging: {text}", file=sys.stderr, flush=True)) if progress else lambda text: None,
        classical=bool(methods) or not policies,
        methods=methods,
        refine=refine,
        own={_name(each): _rule(each, scenario) for each in own},
    )


def _loaded(policy: Judged) -> Path | Callable[[Any], Design]:
    """A run's folder, or a function of channels."""
    if isinstance(policy, Run):
        return policy.folder
    if isinstance(policy, (str, Path)):
        return load_policy(policy) if Path(policy).is_file() else Path(policy)
    return policy


def _first_config(folder: Path) -> RunConfig:
    first = next(iter(runs_in(folder).values()))[0]
    return read_config(first / "config.json")


def _scenario(own: Scenario | None, preset: str | None, overrides: Overrides) -> Scenario:
    """The scenario to judge on: the one that was named, else the policy's own, with its options changed."""
    scenario = own if preset is None else find(preset)
    if scenario is None:
        raise ConfigError("no policy says which scenario is meant: name one, as preset='paper-a'")
    return apply_overrides(scenario, as_assignments(overrides))


def _name(policy: Callable[..., Design]) -> str:
    """What a table calls it."""
    return getattr(policy, "name", None) or getattr(policy, "__name__", type(policy).__name__)


def _rule(policy: Callable[..., Design], scenario: Scenario) -> DesignRule:
    """A policy, or a function of one's own, as a design rule."""
    if isinstance(policy, Policy):
        if clash := differences(policy.scenario, scenario):
            raise ConfigError(
                f"policy {policy.name} is judged here with its own parameters, and the scenario differs in "
                f"{', '.join(clash[:5])}: give its run folder, which is judged elsewhere if it serves any size"
            )
        return lambda params, channels, key: policy(channels, key=key)
    system, _ = build(scenario)
    return lambda params, channels, key: policy(observed(system, params, channels, key))
