"""Where figures get their data: runs and judged designs, each kept under the hash of what it follows from.

What is there already is not run again, so that an interrupted or repeated reproduction goes on; a change of any option
has another hash.
"""

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thzjax
from thzjax.errors import ConfigError, one_line
from thzjax.experiment.compare import HELD_OUT_SEED, compare
from thzjax.experiment.config import read_config, resolve
from thzjax.experiment.evaluation import (
    HELD_OUT,
    VALIDATION,
    PolicyRule,
    classical_rules,
    draw_channels,
    judge,
    stream_key,
)
from thzjax.experiment.files import read_metrics, write_atomically
from thzjax.experiment.learned import TOGETHER, runs_in
from thzjax.experiment.learner import load_trained, run_once
from thzjax.experiment.overrides import to_json
from thzjax.experiment.progress import TrainingProgress
from thzjax.experiment.sweep import points
from thzjax.experiment.train import create_runs, run_together
from thzjax.figures.frame import Budget, Curve, Trace
from thzjax.physics.beampattern import beam_pattern, pattern_grid, transmit_covariance
from thzjax.physics.link import by_user
from thzjax.systems.base import Design
from thzjax.systems.scenario import Scenario, build, preset

COARSER = 5
"""One direction of so many of the grid is kept of a beam pattern: every half degree."""
SECONDS = "seconds.txt"
"""How long the last call took that trained the runs of a folder."""
SLOW = ("gradient",)
"""Methods that are judged on `Budget.searches` channels alone."""


class Stopped(Exception):
    """A signal ended training between two chunks; what there is is saved. Its argument is the exit status."""


def digest(what: Any) -> str:
    """A short hash of something that JSON can hold, and of this version."""
    return hashlib.sha256(json.dumps([thzjax.__version__, what], sort_keys=True).encode()).hexdigest()[:12]


@dataclasses.dataclass(frozen=True)
class Workshop:
    """A folder of results, and the budget they are made within.

    Attributes:
      folder: holds `runs/` and `points/`.
      budget: how much is done.
      say: told about progress.
      spent: seconds that each run and each set of points took when it was made, which may have been earlier.
    """

    folder: Path
    budget: Budget
    say: Callable[[str], None]
    spent: dict[str, float] = dataclasses.field(default_factory=dict)

    def scenario(self, name: str, *overrides: str) -> Scenario:
        """A preset with options changed."""
        return resolve(name, overrides=overrides).scenario if overrides else preset(name)

    def train(
        self, preset_name: str, agent: str, steps: int, overrides: Sequence[str] = (), sweep: Sequence[str] = (),
        **options: Any,
    ) -> Path:  # fmt: skip
        """The folder of a learner's runs, `budget.seeds` of each value of `sweep`, trained if they are not there yet.

        Args:
          preset_name, agent, options: as `resolve` takes them: configuration, policy, handler.
          steps: environment steps of each run, before the budget's share.
          overrides, sweep: as `--set` and `--sweep` take them.

        Raises:
          Stopped: by Ctrl-C, or by a scheduler.
          Diverged: a run did; the others of its folder have gone on to their end.
        """
        config = resolve(preset_name, agent, steps=int(steps * self.budget.steps), overrides=overrides, **options)
        key = digest([to_json(config), list(sweep), self.budget.seeds])
        folder = self.folder / "runs" / f"{preset_name}-{agent}-{config.policy}-{key}"
        if not (folder / TOGETHER).exists():
            shutil.rmtree(folder, ignore_errors=True)  # a kill while it was made
            create_runs(folder, config, self.budget.seeds, sweep)
        runs = [run for each in runs_in(folder).values() for run in each]
        configs = [read_config(run / "config.json") for run in runs]
        took = folder / SECONDS
        if any(_records(run)[-1:] != [config.records] for run, config in zip(runs, configs, strict=True)):
            self.say(f"training {agent} ({config.policy}) on {preset_name}: {len(runs)} runs")
            begin = time.monotonic()
            if status := run_together(configs, runs, TrainingProgress()):
                raise Stopped(status)
            write_atomically(took, f"{time.monotonic() - begin:.1f}\n")
        self.spent[f"runs/{folder.name}"] = _seconds(took)
        return folder

    def traces(self, folder: Path, field: str, against: str = "episodes") -> dict[str, Trace]:
        """A number of `metrics.jsonl` over training, by label of the runs."""
        found = {}
        for label, runs in runs_in(folder).items():
            records = [[r for r in read_metrics(run / "metrics.jsonl") if field in r] for run in runs]
            x = np.array([record[against] for record in records[0]], float)
            found[label] = Trace(x, np.array([[record[field] for record in each] for each in records], float))
        return found

    def along(
        self,
        scenario: Scenario,
        name: str,
        values: Sequence[str],
        methods: Sequence[str],
        x: Sequence[float] | None = None,
        along: Mapping[str, Sequence[str]] | None = None,
        learned: Sequence[Path] = (),
    ) -> dict[str, Curve]:
        """Designs and anchors along an option of the scenario, by "method, surface".

        Args:
          scenario, name, values, methods, along: as `sweep.points` takes them.
          x: positions of the values, where they are not numbers.
          learned: folders of runs whose policies join in, at sizes and physics that they were not trained for.
        """
        found: dict[str, Curve] = {}
        slow = [m for m in methods if m.split("/")[0] in SLOW]
        fast = [m for m in methods if m not in slow]
        for chosen, channels, runs in (
            (fast, self.budget.channels, list(learned)),
            (slow, self.budget.searches, []),
        ):
            if not chosen:
                continue
            what = [to_json(scenario), name, list(values), chosen, channels, along and dict(along)]
            what += [folder.name for folder in runs]

            def compute(
                chosen: Sequence[str] = chosen, channels: int = channels, runs: Sequence[Path] = runs
            ) -> dict[str, np.ndarray]:
                kept: dict[str, np.ndarray] = {}
                for point in points(scenario, name, values, channels, HELD_OUT_SEED, self.say, chosen, along, runs):
                    label = f"{point.method}, {point.surface}"
                    kept[f"{label}|{point.value}|values"] = np.atleast_2d(point.rates)
                    kept[f"{label}|{point.value}|missed"] = np.atleast_2d(point.missed)
                return kept

            kept = self._kept(what, compute)
            for label in dict.fromkeys(key.split("|")[0] for key in kept):
                if label.endswith(", anchor") and label in found:
                    continue
                there = [v for v in values if f"{label}|{v}|values" in kept]
                at = np.array([float(v) if x is None else x[list(values).index(v)] for v in there])
                stacked = (np.stack([kept[f"{label}|{v}|{part}"] for v in there]) for part in ("values", "missed"))
                found[label] = Curve(at, *stacked)
        return found

    def beside(self, folder: Path, methods: Sequence[str]) -> dict[str, Curve]:
        """Classical designs on the channels that a folder's runs are validated on, by "method, surface".

        The slow ones are judged on the first `Budget.searches` of them.
        """
        config = read_config(next(iter(runs_in(folder).values()))[0] / "config.json")
        what = ["beside", to_json(config.scenario), config.validation_channels, config.validation_seed, list(methods)]
        what += [self.budget.searches] if any(m.split("/")[0] in SLOW for m in methods) else []

        def compute() -> dict[str, np.ndarray]:
            system, params = build(config.scenario)
            channels = draw_channels(system, params, config.validation_channels, config.validation_seed, VALIDATION)
            key = stream_key(config.validation_seed, VALIDATION)
            kept: dict[str, np.ndarray] = {}
            for (method, surface), rule in classical_rules(system, methods).items():
                label = f"{method}, {surface}"
                self.say(f"judging {label}")
                few = jax.tree.map(lambda x: x[: self.budget.searches], channels) if method in SLOW else channels
                result = jax.jit(lambda p, c, rule=rule: judge(system, p, c, rule(p, c, key)))(params, few)
                kept[f"{label}|values"] = np.asarray(result.rate_feasible)[None, None]
                kept[f"{label}|missed"] = ~np.asarray(result.satisfied_feasible)[None, None]
            return kept

        kept = self._kept(what, compute)
        labels = dict.fromkeys(key.split("|")[0] for key in kept)
        return {name: Curve(np.zeros(1), kept[f"{name}|values"], kept[f"{name}|missed"]) for name in labels}

    def learned(self, folder: Path, x: Sequence[float]) -> Curve:
        """Runs that were trained at every value of a sweep, each judged on held-out channels of its own scenario."""
        by_value = list(runs_in(folder).values())

        def compute() -> dict[str, np.ndarray]:
            compiled: dict[Any, Any] = {}
            judged = []
            for runs in by_value:
                self.say(f"judging {folder.name}, {runs[0].name} and its like")
                judged.append(self._judged(runs, compiled))
            return {"values": np.stack([r for r, _ in judged]), "missed": np.stack([m for _, m in judged])}

        kept = self._kept([folder.name, self.budget.channels], compute)
        return Curve(np.asarray(x, float), kept["values"], kept["missed"])

    def timed(self, scenario: Scenario, methods: Sequence[str], learned: Sequence[Path]) -> dict[str, Curve]:
        """Rate of each method at the time it takes for a channel [microseconds], in a batch, by "method, surface"."""
        what = ["timed", to_json(scenario), list(methods), [f.name for f in learned], self.budget.channels]

        def compute() -> dict[str, np.ndarray]:
            result = compare(scenario, learned, self.budget.channels, HELD_OUT_SEED, self.say, methods=methods)
            kept: dict[str, np.ndarray] = {}
            for row, judged in zip(result.rows, result.judgements, strict=True):
                label = f"{row['method']}, {row['surface']}"
                kept[f"{label}|time"] = np.array([row["us_per_channel"]])
                kept[f"{label}|values"] = np.atleast_2d(judged.rate_feasible)[None]
                kept[f"{label}|missed"] = ~np.atleast_2d(judged.satisfied_feasible)[None]
            return kept

        kept = self._kept(what, compute)
        labels = dict.fromkeys(key.split("|")[0] for key in kept)
        return {name: Curve(*(kept[f"{name}|{part}"] for part in ("time", "values", "missed"))) for name in labels}

    def patterns(self, scenario: Scenario, methods: Sequence[str], learned: Mapping[str, Path]) -> dict[str, Curve]:
        """What designs radiate, scaled to the constraints, over the direction [deg] in units of p_ref.

        Args:
          scenario: with a beam pattern.
          methods: classical designs.
          learned: folders of runs of that scenario, by label.

        Returns:
          By label the mean over time of the whole transmission, `[L, S, C]`; by "LABEL, user K" each user's own part.
        """
        runs = {label: [run for each in runs_in(folder).values() for run in each] for label, folder in learned.items()}
        what = ["patterns", to_json(scenario), list(methods), {k: str(f.name) for k, f in learned.items()}]

        def compute() -> dict[str, np.ndarray]:
            system, params = build(scenario)
            channels = draw_channels(system, params, self.budget.channels, HELD_OUT_SEED, HELD_OUT)
            key = stream_key(HELD_OUT_SEED, HELD_OUT)
            grid = pattern_grid()[::COARSER]

            @jax.jit
            def radiated(design: Design) -> jax.Array:
                met = system.meet(params, channels, system.project(params, channels, design))
                own = transmit_covariance(by_user(met.beamformer, system.spec.users))
                return jnp.moveaxis(beam_pattern(own, grid), 0, -1) / params.p_ref_w  # [K, L, C]

            rules = {f"{m}, {s}": [rule] for (m, s), rule in classical_rules(system, methods).items()}
            for label, folders in runs.items():
                rules[label] = []
                for run in folders:
                    learner, weights = load_trained(read_config(run / "config.json"), run)
                    rules[label].append(PolicyRule(learner.env, learner.agent.policy, weights))
            kept = {"grid": np.rad2deg(np.asarray(grid))}
            for label, of_seeds in rules.items():
                self.say(f"beam pattern of {label}")
                designs = (jax.jit(rule)(params, channels, key) for rule in of_seeds)
                kept[label] = np.stack([np.asarray(radiated(design)) for design in designs])
            return kept

        kept = self._kept([*what, self.budget.channels], compute)
        curves = {}
        for label in kept:
            if label == "grid":
                continue
            users = np.moveaxis(kept[label], 0, 2)  # [K, L, S, C]
            parts = {label: users.sum(0)} | {f"{label}, user {k + 1}": user for k, user in enumerate(users)}
            for name, values in parts.items():
                curves[name] = Curve(kept["grid"], values, np.zeros(values.shape, bool))
        return curves

    def _judged(self, runs: Sequence[Path], compiled: dict[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Rates and misses of runs that differ in their seeds alone, `[S, C]`; programs are kept for further runs."""
        system, params = build(read_config(runs[0] / "config.json").scenario)
        channels = draw_channels(system, params, self.budget.channels, HELD_OUT_SEED, HELD_OUT)
        rates, missed = [], []
        for run in runs:
            learner, weights = load_trained(read_config(run / "config.json"), run)
            rule = PolicyRule(learner.env, learner.agent.policy, weights)
            if rule.program not in compiled:
                compiled[rule.program] = run_once(
                    lambda weights, params, channels, key, rule=rule: judge(
                        system, params, channels, rule.design(weights, params, channels, key)
                    )
                )
            result = compiled[rule.program](rule.weights, params, channels, stream_key(HELD_OUT_SEED, HELD_OUT))
            rates.append(np.asarray(result.rate_feasible))
            missed.append(~np.asarray(result.satisfied_feasible))
        return np.stack(rates), np.stack(missed)

    def _kept(self, what: Any, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Arrays that are there already, or are computed and kept."""
        path = self.folder / "points" / f"{digest(what)}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_suffix(".tmp.npz")
            begin = time.monotonic()
            found = compute()
            np.savez_compressed(aside, **found, **{SECONDS: np.array(time.monotonic() - begin)})
            aside.replace(path)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                found = {name: kept[name] for name in kept.files}
            self.spent[f"points/{path.stem}"] = float(found.pop(SECONDS))
        except Exception as error:  # whatever a damaged archive makes its readers raise
            raise ConfigError(f"{path} is damaged ({one_line(error)}): delete it, and it is worked out again") from None
        return found


def _records(run: Path) -> list[int]:
    return [int(record["record"]) for record in read_metrics(run / "metrics.jsonl")]


def _seconds(note: Path) -> float:
    """The seconds that a note tells; 0 where it tells none."""
    try:
        seconds = float(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0
    return seconds if np.isfinite(seconds) else 0.0
