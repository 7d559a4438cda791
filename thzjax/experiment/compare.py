"""Every method on the same held-out channels: the rows of a table, and what the report draws from them."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thzjax.errors import ConfigError
from thzjax.experiment.config import RunConfig, read_config
from thzjax.experiment.evaluation import (
    HELD_OUT,
    VALIDATION,
    DesignRule,
    Judgement,
    add_differences,
    classical_rules,
    draw_channels,
    evaluate_rule,
    judge,
    make_row,
    policy_rule,
    stream_key,
)
from thzjax.experiment.overrides import differences
from thzjax.experiment.train import load_weights
from thzjax.physics.beampattern import beam_pattern, pattern_grid, transmit_covariance
from thzjax.systems.scenario import Scenario, build

HELD_OUT_SEED = 2
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Rows, and per-channel judgements in the same order."""

    rows: list[dict[str, Any]]
    judgements: list[Judgement]


def learned_rules(folders: Sequence[Path], scenario: Scenario) -> dict[tuple[str, str], DesignRule]:
    """The trained and the untrained policy of each run folder, named by agent (and folder, if there are several).

    Raises:
      ConfigError: a folder that is no run, or one trained on another scenario.
    """
    rules = {}
    for folder in folders:
        config = read_config(folder / "config.json")
        clash = differences(config.scenario, scenario)
        if clash:
            raise ConfigError(
                f"{folder} was trained on another scenario (it differs in {', '.join(clash[:5])}): compare it with its "
                f"own preset {config.preset!r} and overrides"
            )
        learner, untrained, trained = load_weights(config, folder)
        name = config.agent + ("" if config.configuration == "default" else f" ({config.configuration})")
        if config.handler != "primal_dual":
            name += f" [{config.handler}]"
        if len(folders) > 1:
            name += f" {folder.name}"
        rules[name, "learned"] = policy_rule(learner.env, learner.agent.policy, trained)
        rules[f"{name}, untrained", "learned"] = policy_rule(learner.env, learner.agent.policy, untrained)
    return rules


def compare(
    scenario: Scenario,
    folders: Sequence[Path],
    num_channels: int,
    seed: int,
    say: Say,
    classical: bool = True,
) -> Comparison:
    """Judge every classical design (unless told not to) and each run's policy on `num_channels` held-out channels.

    All methods see the same channels and go through the same projection, outcome and exact scaling.
    """
    if num_channels < 1:
        raise ConfigError(f"channels={num_channels} must be at least 1")
    system, params = build(scenario)
    rules = classical_rules(system) if classical else {}
    learned = learned_rules(folders, scenario)
    channels = draw_channels(system, params, num_channels, seed, HELD_OUT)
    key = stream_key(seed, HELD_OUT)
    rows, judgements = [], []
    for (method, surface), rule in (rules | learned).items():
        say(f"{method}, {surface} surface")
        judgement, us = evaluate_rule(rule, system, params, channels, key)
        rows.append(make_row(method, surface, judgement, us, (method, surface) in learned))
        judgements.append(judgement)
    add_differences(rows, judgements)
    return Comparison(rows, judgements)


def validation_lines(config: RunConfig) -> dict[str, float]:
    """Feasible rate of every classical design on the channels the learning curve is drawn on."""
    system, params = build(config.scenario)
    channels = draw_channels(system, params, config.validation_channels, config.validation_seed, VALIDATION)
    key = stream_key(config.validation_seed, VALIDATION)
    lines = {}
    for (method, surface), rule in classical_rules(system).items():
        design = jax.jit(rule)(params, channels, key)
        result = jax.jit(judge, static_argnums=0)(system, params, channels, design)
        lines[f"{method}, {surface}"] = float(jnp.mean(result.rate_feasible))
    return lines


def mean_patterns(scenario: Scenario, rules: dict[str, DesignRule], num_channels: int, seed: int) -> dict[str, Any]:
    """Beam pattern over p_ref of each rule's feasible designs: mean and 10-90 % band over held-out channels."""
    system, params = build(scenario)
    channels = draw_channels(system, params, num_channels, seed, HELD_OUT)
    key = stream_key(seed, HELD_OUT)
    grid = pattern_grid()

    def feasible(rule: DesignRule) -> Any:
        design = system.project(params, channels, rule(params, channels, key))
        return system.meet(params, channels, design)

    patterns = {}
    for label, rule in rules.items():
        design = jax.jit(feasible, static_argnums=0)(rule)
        power = np.asarray(beam_pattern(transmit_covariance(design.beamformer), grid) / params.p_ref_w)
        low, high = np.quantile(power, [0.1, 0.9], axis=0)
        error = float(jnp.mean(system.pattern_error(params, design)))
        patterns[label] = {"mean": power.mean(axis=0), "low": low, "high": high, "error": error}
    return patterns
