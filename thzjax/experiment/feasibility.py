"""Where each constraint of a scenario binds and where it is slack, and what physics rules out."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from thzjax.beamforming.anchors import crb_floor
from thzjax.beamforming.designs import get_design
from thzjax.beamforming.gradient import refine, refine_best
from thzjax.beamforming.score import finished
from thzjax.beamforming.subspace import compact
from thzjax.experiment.compare import HELD_OUT_SEED
from thzjax.experiment.evaluation import HELD_OUT, draw_channels, stream_key
from thzjax.experiment.progress import paced
from thzjax.experiment.tables import feasibility_table
from thzjax.systems.base import Design, holds
from thzjax.systems.scenario import Scenario, build

CHANNELS = 16
BINDS = 0.01
"""A constraint binds where removing it raises the reference's mean rate by more than this share."""
STARTS = (("rzf", "focused_sum"), ("wmmse_sum", "focused"), ("rzf", "random"))
SHOWN = (("random", "random"), ("rzf", "focused"), ("alternating", "joint"))


class Binding(NamedTuple):
    """What removing constraints does to the local-search reference, over channels.

    Attributes:
      rate: mean rate of the reference, infeasible channels as 0 [bit/s/Hz].
      infeasible: share of channels on which it found no feasible design.
      gains: by relaxable constraint, relative rise of the mean rate without it (inf where there was none before).
      slack: by constraint, mean slack of the reference.
    """

    rate: float
    infeasible: float
    gains: dict[str, float]
    slack: dict[str, float]


def reference_gains(system: Any, params: Any, channels: Any, key: Array, steps: int = 300) -> tuple[Array, Array, Any]:
    """(scores `[C]`, scores without each relaxable constraint `[constraints, C]`, the reference's slack), traceable.

    The reference is gradient ascent from `STARTS`. Each constraint's limit is then taken away and the ascent goes on
    from the reference, as it does once more with all limits in place, so that all have had as many steps.
    """
    channels, _ = compact(system, channels)
    starts = [get_design(*name)(system, params, channels, key) for name in STARTS]
    starts = jax.tree.map(lambda *x: jnp.stack(x), *starts)
    design, _ = refine_best(system, params, channels, starts)
    variants = [params] + [system.without(params, name) for name in system.relaxable]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *variants)

    def again(params: Any) -> tuple[Design, Array]:
        return refine(system, params, channels, design, steps)

    designs, scores = jax.vmap(again)(stacked)
    kept = jax.tree.map(lambda x: x[0], designs)
    kept, _ = finished(system, params, channels, kept)
    return scores[0], scores[1:], system.outcome(params, channels, kept).slack


_gains = jax.jit(reference_gains, static_argnums=(0, 4))


def binding(system: Any, params: Any, channels: Any, key: Array, steps: int = 300) -> Binding:
    """Which constraints bind at the local-search reference, on the given channels `[C]`."""
    scores, relaxed, slack = jax.tree.map(np.asarray, _gains(system, params, channels, key, steps))
    rate = float(np.mean(np.maximum(scores, 0)))
    gains = {}
    for name, values in zip(system.relaxable, np.maximum(relaxed, 0).mean(axis=-1), strict=True):
        gains[name] = float(values) / rate - 1 if rate > 0 else (math.inf if values > 0 else 0.0)
    means = {name: float(np.mean(value)) for name, value in slack.items()}
    return Binding(rate, float(np.mean(scores < 0)), gains, means)


def slack_of_designs(system: Any, params: Any, channels: Any, key: Array) -> dict[str, dict[str, float]]:
    """Mean slack of every constraint, by design, as it would be judged; None where it does not hold on some channel."""
    table = {}
    for method, surface in SHOWN:
        solve = get_design(method, surface)

        def judged(params: Any, channels: Any, solve: Any = solve) -> dict[str, Array]:
            design, _ = finished(system, params, channels, solve(system, params, channels, key))
            return system.outcome(params, channels, design).slack

        slack = jax.jit(judged)(params, channels)
        table[f"{method}, {surface}"] = {
            name: (float(np.mean(value)), float(np.mean(~holds(value)))) for name, value in slack.items()
        }
    return table


def ruled_out(system: Any, params: Any, channels: Any) -> list[str]:
    """What physics forbids in this scenario, in sentences with numbers."""
    spec, sentences = system.spec, []
    if spec.rank < spec.users and "min_sinr" in system.constraints:
        best = 10 * math.log10(spec.rank / (spec.users - spec.rank))
        sentences.append(
            f"The channel has rank {spec.rank} for {spec.users} users: sum SINR/(1 + SINR) <= {spec.rank}, so a common "
            f"SINR above {best:.1f} dB is out of reach, and zero forcing does not exist."
        )
    if "crb" in system.constraints:
        floor = float(np.min(jax.jit(crb_floor, static_argnums=0)(system, params, channels)))
        sentences.append(
            f"No design has a bound of the angles below {floor:.2g} rad^2 (trace) on any of these channels."
        )
    if "beam_pattern" in system.constraints:
        sentences.append(f"Transmitting nothing has a beam-pattern error of {float(params.pattern.constant):.3f}.")
    return sentences


class Study(NamedTuple):
    """What is possible in a scenario.

    Attributes:
      ruled_out: sentences about what physics forbids.
      binding: which constraints bind at the reference.
      designs: by design and constraint (mean slack, share of the channels that violate it), as judged.
    """

    ruled_out: list[str]
    binding: Binding
    designs: dict[str, dict[str, tuple[float, float]]]

    def numbers(self) -> dict[str, Any]:
        """The same for JSON."""
        slack = {
            design: {name: {"mean_slack": mean, "violated": violated} for name, (mean, violated) in values.items()}
            for design, values in self.designs.items()
        }
        return {"channels": CHANNELS, "ruled_out": self.ruled_out, **self.binding._asdict(), "designs": slack}


def study(scenario: Scenario, say: Callable[[str], None]) -> Study:
    """What physics rules out, which constraints bind, and what some designs leave of each, on held-out channels."""
    system, params = build(scenario)
    channels = draw_channels(system, params, CHANNELS, HELD_OUT_SEED)
    key = stream_key(HELD_OUT_SEED, HELD_OUT)
    forbidden = ruled_out(system, params, channels)
    tell = paced(say, 2, "steps")
    tell("the reference, with every constraint and without each of them", 0)
    found = binding(system, params, channels, key)
    tell("other designs", 1)
    return Study(forbidden, found, slack_of_designs(system, params, channels, key))


def report_lines(found: Study) -> list[str]:
    """A study as text."""
    rate, infeasible, gains, slack = found.binding
    missed = f", none on {100 * infeasible:.0f} % of the channels" if infeasible else ""
    designs = {"reference": {name: (value, 0.0) for name, value in slack.items()}} | found.designs
    return [
        f"\nfeasibility, on {CHANNELS} held-out channels",
        *(f"  {sentence}" for sentence in found.ruled_out),
        f"  reference (gradient ascent, {len(STARTS)} starts): {rate:.2f} bit/s/Hz{missed}",
        "\n  mean slack of each constraint (0: at its limit), and the share of channels that violate it",
        feasibility_table(gains, designs, BINDS),
    ]
