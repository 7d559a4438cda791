"""Every method on the same held-out channels: the rows of a table, and what the report draws from them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thzjax.beamforming.anchors import anchor_rates, refuse_impossible
from thzjax.errors import ConfigError
from thzjax.experiment.config import RunConfig
from thzjax.experiment.evaluation import (
    HELD_OUT,
    VALIDATION,
    DesignRule,
    Judgement,
    add_differences,
    classical_rules,
    compile_rules,
    draw_channels,
    judge_compiled,
    make_row,
    stream_key,
    time_rule,
)
from thzjax.experiment.learned import learned_rules
from thzjax.experiment.progress import paced
from thzjax.experiment.recorded import validation_batch
from thzjax.experiment.tables import comparison_table
from thzjax.physics.beampattern import beam_pattern, pattern_grid, transmit_covariance
from thzjax.physics.link import by_user
from thzjax.systems.base import Design
from thzjax.systems.scenario import Scenario, build

HELD_OUT_SEED = 2
LARGE_CHANNEL = 2000
"""Entries of the channel to the surface beyond which a comparison takes an eighth of the channels by default."""
MOST_CHANNELS = 2**22
MOST_STEPS = 10**6
"""Of gradient ascent after a policy."""
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What every method did on the held-out channels; the lists share one order. Printed, it is a table.

    Attributes:
      rows: the table.
      judgements: per channel.
      designs: the designs themselves, projected; of several seeds the first one's.
      rules: compiled design rules, to be used on other channels in a batch of the same size; the first seed's.
    """

    rows: list[dict[str, Any]]
    judgements: list[Judgement] = dataclasses.field(repr=False)
    designs: list[Design] = dataclasses.field(repr=False)
    rules: list[DesignRule] = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return comparison_table(self.rows)


def check_channels(num_channels: int) -> None:
    """Refuse numbers of channels that cannot be held at once.

    Raises:
      ConfigError: none, or too many.
    """
    if not 1 <= num_channels <= MOST_CHANNELS:
        raise ConfigError(f"channels={num_channels} must be at least 1, and at most {MOST_CHANNELS}")


def default_channels(scenario: Scenario) -> int:
    """Held-out channels of a comparison that names no number: 2048, or 256 of large arrays."""
    spec = build(scenario)[0].spec
    return 256 if spec.antennas * spec.elements > LARGE_CHANNEL else 2048


def compare(
    scenario: Scenario,
    folders: Sequence[Path],
    num_channels: int,
    seed: int,
    say: Say,
    classical: bool = True,
    methods: Sequence[str] = (),
    refine: int = 0,
    own: Mapping[str, DesignRule] | None = None,
    drops: Any = None,
) -> Comparison:
    """Judge classical designs (unless told not to) and each run's policy on `num_channels` held-out channels.

    All methods see the same channels and go through the same projection, outcome and exact scaling. A design that
    does not exist on this system is left out, and said so.

    Args:
      scenario: what is simulated.
      folders: runs, or folders of runs side by side, whose policies join in.
      num_channels, seed: of the held-out channels.
      say: told about progress.
      classical: judge classical designs, too.
      methods: only these, as METHOD or METHOD/SURFACE; none named means all but those by request.
      refine: judge every trained policy also with so many steps of gradient ascent after it.
      own: design rules of one's own, by name, to judge beside the others.
      drops: channels to judge on in place of those, as of a file (`experiment.recorded`).

    Raises:
      ConfigError: an unknown method, or constraints that no design can meet on any channel.
    """
    check_channels(num_channels)
    if not 0 <= refine <= MOST_STEPS:
        raise ConfigError(f"refine={refine} must be at least 0, and at most {MOST_STEPS}")
    system, params = build(scenario)
    rules = classical_rules(system, methods) if classical else {}
    learned = learned_rules(folders, scenario, refine)
    channels = draw_channels(system, params, num_channels, seed, HELD_OUT) if drops is None else drops
    refuse_impossible(system, params, channels)
    key = stream_key(seed, HELD_OUT)
    project = jax.jit(system.project)
    result = Comparison([], [], [], [])
    beside = {(name, "own"): [rule] for name, rule in (own or {}).items()} | learned
    everyone = {name: [rule] for name, rule in rules.items()} | beside
    say(f"compiling {len(everyone)} methods")
    # Of several seeds each is a rule of its own; they share their compilation.
    single = {(*name, i): rule for name, of_seeds in everyone.items() for i, rule in enumerate(of_seeds)}
    compiled = compile_rules(single, params, channels, key, say)
    there = [name for name in everyone if (*name, 0) in compiled]
    tell = paced(say, len(there))
    for done, (method, surface) in enumerate(there):
        of_seeds = [rule for name, rule in compiled.items() if name[:2] == (method, surface)]
        tell(f"{method}, {surface} surface", done)
        designs, times = zip(*(time_rule(rule, params, channels, key) for rule in of_seeds), strict=True)
        judged = [jax.tree.map(np.asarray, judge_compiled(system, params, channels, design)) for design in designs]
        judgement = judged[0] if len(judged) == 1 else jax.tree.map(lambda *x: np.stack(x), *judged)
        row = make_row(method, surface, judgement, float(np.median(times)), (method, surface) in beside)
        if len(judged) > 1:
            row["seed_rates"] = [float(np.mean(j.rate_feasible)) for j in judged]
        result.rows.append(row)
        result.judgements.append(judgement)
        result.designs.append(project(params, channels, designs[0]))
        result.rules.append(of_seeds[0])
    if not result.rows:
        raise ConfigError("no method is left to compare")
    add_differences(result.rows, result.judgements)
    return result


def anchors(scenario: Scenario, num_channels: int, seed: int, drops: Any = None) -> dict[str, float]:
    """Mean rates on the channels of a comparison that belong beside every method's, by name [bit/s/Hz]."""
    system, params = build(scenario)
    channels = draw_channels(system, params, num_channels, seed, HELD_OUT) if drops is None else drops
    return {name: float(np.mean(values)) for name, values in anchor_rates(system, params, channels).items()}


def validation_lines(config: RunConfig, result: Comparison) -> dict[str, float]:
    """Feasible rate of every classical design on the channels the learning curve is drawn on."""
    system, params = build(config.scenario)
    # A batch of the comparison's size, so that its compiled rules serve again; channel i is the same in any batch.
    size = result.rows[0]["num_channels"]
    if config.data is None:
        channels = draw_channels(system, params, size, config.validation_seed, VALIDATION)
        count = min(size, config.validation_channels)
    else:
        channels, count = validation_batch(config, size)
    key = stream_key(config.validation_seed, VALIDATION)
    lines = {}
    for row, rule in zip(result.rows, result.rules, strict=True):
        if not row["learned"]:
            judgement = judge_compiled(system, params, channels, rule(params, channels, key))
            lines[f"{row['method']}, {row['surface']}"] = float(jnp.mean(judgement.rate_feasible[:count]))
    return lines


def user_patterns(scenario: Scenario, design: Design) -> np.ndarray:
    """Beam pattern over p_ref of every user's own beams on the first channel, scaled to the constraints, `[K, L]`."""
    system, params = build(scenario)
    first = jax.tree.map(lambda x: x[0], system.meet(params, None, design))
    own = transmit_covariance(by_user(first.beamformer, system.spec.users))
    return np.asarray(beam_pattern(own, pattern_grid()) / params.p_ref_w)


def mean_patterns(scenario: Scenario, designs: dict[str, Design]) -> dict[str, Any]:
    """Beam pattern over p_ref of designs scaled to the constraints: mean and 10-90 % band over channels, by label."""
    system, params = build(scenario)
    patterns = {}
    for label, design in designs.items():
        design = system.meet(params, None, design)
        power = np.asarray(beam_pattern(transmit_covariance(design.beamformer), pattern_grid()) / params.p_ref_w)
        low, high = np.quantile(power, [0.1, 0.9], axis=0)
        error = float(jnp.mean(system.pattern_error(params, design)))
        patterns[label] = {"mean": power.mean(axis=0), "low": low, "high": high, "error": error}
    return patterns
