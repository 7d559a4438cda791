"""Liu et al., Fig. 7: beam-pattern error over training for three thresholds."""

import itertools

import numpy as np

from thzjax.figures.frame import Curve, Data, Figure, Finding
from thzjax.figures.judging import ending, of_seeds, settled_at
from thzjax.figures.pictures import over_training
from thzjax.figures.workshop import Workshop

THRESHOLDS = ("1", "2", "3")
REGIMES = {"paper's configuration": {"configuration": "paper"}, "structured actions": {}}
STEPS = 240_000
SILENCE = 303 / 1801
"""Error of transmitting nothing: the share of the grid within 5 degrees of a target."""


def collect(shop: Workshop) -> Data:
    """Error of the policy's designs on the validation channels, as they leave it."""
    data = {}
    for regime, options in REGIMES.items():
        sweep = (f"pattern_threshold={','.join(THRESHOLDS)}",)
        runs = shop.train("paper-a", "ppo", STEPS, sweep=sweep, **options)
        traces = shop.traces(runs, "validation/pattern_error")
        data[regime] = {f"threshold {t}": trace for t, trace in zip(THRESHOLDS, traces.values(), strict=True)}
    return data


def draw(data: Data) -> dict[str, object]:
    """One picture for each regime."""
    silence = Curve(np.zeros(1), np.full((1, 1, 1), SILENCE), np.zeros((1, 1, 1), bool))
    return {
        regime: over_training(
            panel, "beam-pattern error [dimensionless]", "training episodes", {"transmitting nothing": silence}
        )
        for regime, panel in data.items()
    }


def judge(data: Data) -> list[Finding]:
    """Ends, their order, the time they take, and the 0.2 of threshold 1."""
    findings = []
    for regime, panel in data.items():
        ends = {t: ending(panel[f"threshold {t}"]) for t in THRESHOLDS}
        unit = "of the error"
        for low, high in itertools.pairwise(THRESHOLDS):
            lower = ends[high] - ends[low]
            findings.append(of_seeds(f"threshold {low} ends at a lower error than {high}", regime, lower, unit=unit))
        late = settled_at(panel["threshold 1"]) - settled_at(panel["threshold 3"])
        findings.append(of_seeds("threshold 1 takes longer than 3", regime, late, unit="episodes"))
        at_most = 0.3 - ends["1"]
        findings.append(of_seeds("at threshold 1 the error ends at 0.3 or less", regime, at_most, unit=unit))
    return findings


FIGURE = Figure(
    "liu-fig7",
    "Liu et al., Fig. 7",
    "A lower threshold gives a lower beam-pattern error and takes longer to learn; at threshold 1 the error is about "
    "0.2.",
    "paper-a",
    collect,
    draw,
    judge,
    f"Transmitting nothing has an error of {SILENCE:.3f}: 0.2 is no sign of a good pattern.",
    minutes=1.5,
)
