"""Every method along one parameter of the scenario, on the same channel keys, as one program where shapes allow."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thzjax.beamforming.anchors import anchor_rates, refuse_impossible
from thzjax.errors import ConfigError
from thzjax.experiment.compare import Say, check_channels
from thzjax.experiment.evaluation import (
    HELD_OUT,
    DesignRule,
    classical_rules,
    compilers,
    draw_channels,
    judge,
    stream_key,
)
from thzjax.experiment.learned import learned_rules
from thzjax.experiment.overrides import apply_overrides
from thzjax.experiment.progress import paced
from thzjax.experiment.statistics import mean_interval
from thzjax.systems.base import Design
from thzjax.systems.scenario import Scenario, build


@dataclasses.dataclass(frozen=True)
class Point:
    """What one method does on every channel at one value of the swept option.

    Attributes:
      value: of the option, as text.
      method, surface: which; surface "anchor" for what is no design.
      rates: feasible rate on each channel [bit/s/Hz], `[C]`, of several seeds `[S, C]`; 0 where there is no design.
      missed: where no feasible design was found, of the same shape.
      refused: why physics forbids the value, or nothing.
    """

    value: str
    method: str
    surface: str
    rates: np.ndarray
    missed: np.ndarray
    refused: str = ""


def sweep(scenario: Scenario, *args: Any, **options: Any) -> list[dict[str, Any]]:
    """Feasible rate of every method at every value, with its interval and the share of channels without a design.

    Args:
      scenario, args, options: as in `points`.

    Returns:
      One row for each value and method: value, method, surface, rate_feasible, ci_low, ci_high, violation_rate_feasible
      (share of channels on which the method found no feasible design), num_channels; anchors are rows with surface
      "anchor". A value that physics forbids has rows of rate 0 with a `refused` that says why.

    Raises:
      ConfigError: as `points`.
    """
    return [_row(point) for point in points(scenario, *args, **options)]


def points(
    scenario: Scenario,
    name: str,
    values: Sequence[str],
    num_channels: int,
    seed: int,
    say: Say,
    methods: Sequence[str] = (),
    along: Mapping[str, Sequence[str]] | None = None,
    folders: Sequence[Path] = (),
) -> Iterator[Point]:
    """Every method at every value on the same channel keys.

    Neighbouring values that leave the sizes alone differ in traced parameters only: they run as one vmapped program.

    Args:
      scenario: what is simulated at every value but for the swept option.
      name, values: the option and its values, as `--set` takes them.
      num_channels, seed: of the held-out channels.
      say: told about progress.
      methods: as in `compare`.
      along: further options that change with the swept one, value by value.
      folders: runs whose policies join in, if they serve other sizes than they were trained on.

    Raises:
      ConfigError: a value that the option cannot take, an unknown method, or options of unequally many values.
    """
    check_channels(num_channels)
    options = {name: values, **(along or {})}
    for other, theirs in options.items():
        if len(theirs) != len(values):
            raise ConfigError(
                f"options swept together need equally many values: {name} has {len(values)}, {other} has {len(theirs)}"
            )
    settings = [[f"{other}={theirs[i]}" for other, theirs in options.items()] for i in range(len(values))]
    scenarios = [apply_overrides(scenario, setting) for setting in settings]
    built = [build(point) for point in scenarios]
    classical_rules(built[0][0], methods)
    every = zip(values, scenarios, built, strict=True)
    groups = [list(group) for _, group in itertools.groupby(every, key=lambda point: point[2][0])]
    tell = None
    for number, here in enumerate(groups):
        system = here[0][2][0]
        rules = {pair: [rule] for pair, rule in classical_rules(system, methods).items()}
        # Called what they are called at every value, also at the one that they were trained on.
        for (label, surface), of_seeds in learned_rules(folders, here[0][1]).items():
            rules[label.replace(", trained elsewhere", ""), surface] = of_seeds
        tell = tell or paced(say, len(groups) * len(rules))
        programs = functools.partial(_before, tell, number * len(rules))
        yield from _one_program(
            system, [(v, params) for v, _, (_, params) in here], num_channels, seed, say, programs, rules, name
        )


def _before(tell: Callable[[str, int], None], earlier: int, text: str, done: int) -> None:
    """Say a text with what is done, of which `earlier` was before."""
    tell(text, earlier + done)


def _one_program(
    system: Any,
    here: list[tuple[str, Any]],
    num_channels: int,
    seed: int,
    say: Say,
    tell: Callable[[str, int], None],
    rules: Mapping[tuple[str, str], Sequence[DesignRule]],
    name: str,
) -> Iterator[Point]:
    values = [value for value, _ in here]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *(params for _, params in here))
    channels = jax.vmap(lambda params: draw_channels(system, params, num_channels, seed, HELD_OUT))(stacked)
    key = stream_key(seed, HELD_OUT)
    refused: dict[int, str] = {}
    for i, value in enumerate(values):
        drops = jax.tree.map(lambda x, i=i: x[i], channels)
        try:
            refuse_impossible(system, here[i][1], drops)
        except ConfigError as refusal:
            say(f"{name}={value}: {refusal}")
            refused[i] = str(refusal)
        for label, rates in anchor_rates(system, here[i][1], drops).items():
            yield Point(value, label, "anchor", np.asarray(rates), np.zeros(num_channels, bool))
    with compilers() as pool:
        # Compiled beside each other and while the first ones run: at large sizes compiling takes longer than running.
        compiled = {
            pair: pool.submit(_compile, system, of_seeds, key, stacked, channels) for pair, of_seeds in rules.items()
        }
        where = f"{name}={values[0]}" + (f" to {values[-1]}" if len(values) > 1 else "")
        for done, ((method, surface), program) in enumerate(compiled.items()):
            tell(f"{method}, {surface} surface, {where}", done)
            try:
                rates, held = program.result()(stacked, channels)
            except ConfigError as refusal:
                say(f"left out: {refusal}")
                continue
            for i, value in enumerate(values):
                yield Point(value, method, surface, np.asarray(rates[i]), ~np.asarray(held[i]), refused.get(i, ""))


def _compile(
    system: Any, of_seeds: Sequence[DesignRule], key: jax.Array, stacked: Any, channels: Any
) -> Callable[[Any, Any], tuple[jax.Array, jax.Array]]:
    """`(params, channels)` of every value -> (feasible rates, whether all hold); of several seeds `[S, C]`."""
    rule = of_seeds[0]

    def judged(params: Any, channels: Any, design: Design) -> tuple[jax.Array, jax.Array]:
        found = judge(system, params, channels, design)
        return found.rate_feasible, found.satisfied_feasible

    def one_value(params: Any, channels: Any) -> tuple[jax.Array, jax.Array]:
        if len(of_seeds) == 1:
            return judged(params, channels, rule(params, channels, key))
        # Policies of several seeds differ in their weights alone: one program, seed by seed.
        weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(each.weights for each in of_seeds))
        return jax.lax.map(lambda w: judged(params, channels, rule.design(w, params, channels, key)), weights)

    return jax.jit(jax.vmap(one_value)).lower(stacked, channels).compile()


def _row(point: Point) -> dict[str, Any]:
    low, high = mean_interval(point.rates)
    row = {
        "value": point.value,
        "method": point.method,
        "surface": point.surface,
        "rate_feasible": float(np.mean(point.rates)),
        "ci_low": low,
        "ci_high": high,
        "violation_rate_feasible": float(np.mean(point.missed)),
        "num_channels": point.rates.shape[-1],
    }
    return row | ({"refused": point.refused} if point.refused else {})


def curves(rows: Sequence[dict[str, Any]], values: Sequence[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(curves by method, anchors by name) for `plotting.sweep_curves`; NaN where a method does not exist."""
    fields = {"mean": "rate_feasible", "low": "ci_low", "high": "ci_high", "violation": "violation_rate_feasible"}
    place = {value: i for i, value in enumerate(values)}
    drawn: dict[str, Any] = {}
    lines: dict[str, np.ndarray] = {}
    for row in rows:
        if row["surface"] == "anchor":
            lines.setdefault(row["method"], np.full(len(values), np.nan))[place[row["value"]]] = row["rate_feasible"]
            continue
        label = f"{row['method']}, {row['surface']}"
        curve = drawn.setdefault(label, {key: np.full(len(values), np.nan) for key in fields})
        for key, field in fields.items():
            curve[key][place[row["value"]]] = row[field]
    return drawn, lines
