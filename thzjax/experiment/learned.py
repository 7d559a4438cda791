"""Trained policies as design rules: of single runs and of many seeds, on their own scenario or on other sizes."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from thzjax.agents.registry import make_policy
from thzjax.errors import ConfigError
from thzjax.experiment.config import RunConfig, default_run, make_environment, read_config
from thzjax.experiment.evaluation import PolicyRule
from thzjax.experiment.files import read_json, write_atomically
from thzjax.experiment.learner import load_weights
from thzjax.experiment.overrides import differences
from thzjax.systems.scenario import Scenario, build

TOGETHER = "together.json"
"""Names the runs in a folder of runs that were trained side by side: label -> folders."""
SIZE_FREE = ("unfolded", "equivariant")
"""Policies whose weights serve any number of users and elements."""


def write_together(folder: Path, labels: dict[str, list[str]]) -> None:
    """Note which runs a folder holds, by label: runs of one label differ in their seeds alone."""
    write_atomically(folder / TOGETHER, json.dumps(labels, indent=2) + "\n")


def runs_in(folder: Path) -> dict[str, list[Path]]:
    """The runs of a folder by label: of one trained alone, itself.

    Raises:
      ConfigError: a list of runs that cannot be read, that is empty, or that names what is not in the folder.
    """
    if not (folder / TOGETHER).exists():
        return {"": [folder]}
    labels = read_json(folder / TOGETHER, "a list of runs")
    if not isinstance(labels, dict) or not labels or not all(map(_are_names, labels.values())):
        raise ConfigError(
            f"{folder / TOGETHER} is not a list of runs: each label needs names of folders beside it, and nothing else"
        )
    return {label: [folder / name for name in names] for label, names in labels.items()}


def _are_names(names: Any) -> bool:
    """Whether these are names of files or folders that lie in a folder itself, and not elsewhere."""

    def plain(name: Any) -> bool:
        return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}

    return isinstance(names, list) and bool(names) and all(map(plain, names))


def configs_of(folders: Sequence[Path]) -> list[RunConfig]:
    """The configurations of all runs in some folders."""
    runs = [run for folder in folders for each in runs_in(folder).values() for run in each]
    return [read_config(run / "config.json") for run in runs]


def policy_names(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Runs by what their policy is called: its agent, what is unusual about it, its label, its seeds if several.

    Two that would be called alike have their folders added.
    """
    named: list[tuple[str, Path, list[Path]]] = []
    for folder in folders:
        for label, runs in runs_in(folder).items():
            config = read_config(runs[0] / "config.json")
            policy = [config.policy] if config.policy != default_run(config.agent, config.scenario).policy else []
            usual = default_run(config.agent, config.scenario, policy=config.policy)
            handler = [config.handler] if config.handler != usual.handler else []
            workers = [f"{config.workers} workers"] if config.workers != usual.workers else []
            parts = [config.agent, *policy, *handler, *workers, *([label] if label else [])]
            named.append((", ".join(parts + ([f"{len(runs)} seeds"] if len(runs) > 1 else [])), folder, runs))
    names = [name for name, _, _ in named]
    return {name if names.count(name) == 1 else f"{name} ({folder})": runs for name, folder, runs in named}


def learned_rules(
    folders: Sequence[Path], scenario: Scenario, refine: int = 0
) -> dict[tuple[str, str], list[PolicyRule]]:
    """The trained and the untrained policy of each run, one rule for each seed, by `policy_names`.

    With `refine`, the trained one also with so many steps of gradient ascent after it. A policy that serves any size
    also runs on a scenario of other sizes or physics than it was trained on, as long as the constraints are the same.

    Raises:
      ConfigError: a folder that is no run, or a policy that does not fit the scenario.
    """
    rules: dict[tuple[str, str], list[PolicyRule]] = {}
    for name, runs in policy_names(folders).items():
        for run in runs:
            config = read_config(run / "config.json")
            learner, untrained, trained = load_weights(config, run)
            env, policy, elsewhere = learner.env, learner.agent.policy, ""
            if clash := differences(config.scenario, scenario):
                env, policy = transferred(config, scenario, clash, trained, run)
                elsewhere = ", trained elsewhere"
            variants = {name + elsewhere: (trained, 0), f"{name}{elsewhere}, untrained": (untrained, 0)}
            if refine:
                variants[f"{name}{elsewhere} + {refine} steps"] = (trained, refine)
            for label, (weights, steps) in variants.items():
                rules.setdefault((label, "policy"), []).append(PolicyRule(env, policy, weights, steps))
    return rules


def transferred(config: RunConfig, scenario: Scenario, clash: list[str], weights: Any, run: Path) -> tuple[Any, Any]:
    """(environment, policy) of a run on a scenario that it was not trained on."""
    if type(scenario) is not type(config.scenario) or config.policy not in SIZE_FREE:
        raise ConfigError(
            f"{run} was trained on another scenario (it differs in {', '.join(clash[:5])}): compare it with its own "
            f"preset {config.preset!r} and overrides; policies that serve other sizes are {', '.join(SIZE_FREE)}"
        )
    system, params = build(scenario)
    env = make_environment(dataclasses.replace(config, scenario=scenario), system)
    policy = make_policy(env, config.learner)
    obs, _ = jax.eval_shape(env.reset, jax.random.key(0), params)
    like = jax.eval_shape(policy.init, jax.random.key(0), obs)
    if jax.tree.map(lambda x: x.shape, like) != jax.tree.map(lambda x: x.shape, weights):
        raise ConfigError(f"{run} was trained under other constraints than {', '.join(system.constraints)}")
    return env, policy
