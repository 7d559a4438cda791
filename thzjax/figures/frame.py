"""What every figure is: a claim, data collected within a budget, a picture, and findings that follow from the data."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

    from thzjax.figures.workshop import Workshop


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much a figure may take.

    Attributes:
      name: "quick" or "full".
      seeds: of every learner.
      channels: held-out channels that designs are judged on.
      steps: share of a figure's own number of training steps.
      searches: channels that the gradient search and other slow references are judged on.
    """

    name: str
    seeds: int
    channels: int
    steps: float
    searches: int


BUDGETS = {
    "quick": Budget("quick", seeds=3, channels=256, steps=1.0, searches=32),
    "full": Budget("full", seeds=10, channels=1024, steps=5.0, searches=512),
}


@dataclasses.dataclass(frozen=True)
class Curve:
    """What one method reaches along an axis, on the same channels everywhere.

    Attributes:
      x: positions, `[P]`.
      values: feasible rate on each channel [bit/s/Hz], `[P, S, C]`: 0 where there is no feasible design. S is 1 for
        what is not learned.
      missed: where there is none, bool `[P, S, C]`.
    """

    x: np.ndarray
    values: np.ndarray
    missed: np.ndarray


@dataclasses.dataclass(frozen=True)
class Trace:
    """What training does to one number.

    Attributes:
      x: training episodes (or steps), `[T]`.
      values: `[S, T]`, one row for each seed.
    """

    x: np.ndarray
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Finding:
    """One statement about a figure, judged by a statistic.

    Attributes:
      statement: what is claimed, as a sentence.
      verdict: "holds", "does not hold", "depends" (the data do not tell, or seeds differ) or "not judged".
      value, low, high: the statistic and its 95 % interval.
      unit: of the statistic.
      regime: what it was judged on, as "paper's configuration" or "fair"; a claim may hold in one and not in another.
    """

    statement: str
    verdict: str
    value: float
    low: float
    high: float
    unit: str
    regime: str


Data = Mapping[str, Mapping[str, Curve | Trace]]
"""What a figure is drawn from: panels by name, each with its curves by label."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure: a published one, or one that goes beyond the papers.

    Attributes:
      id: as `liu-fig4`.
      source: paper and number, or what it goes beyond.
      claim: what the paper says about it, in other words; or what one would expect.
      preset: whose scenario.
      collect: gathers the data.
      draw: pictures by name suffix ("" for the figure itself).
      judge: findings, computed from the data alone.
      notes: what a reader must know beside it.
      minutes: about what it takes, quick on 2 CPU cores: the share it has of the time that is left.
    """

    id: str
    source: str
    claim: str
    preset: str
    collect: Callable[["Workshop"], Data]
    draw: Callable[[Data], dict[str, "Picture"]]
    judge: Callable[[Data], list[Finding]]
    notes: str = ""
    minutes: float = 2.5


def overall(findings: list[Finding]) -> str:
    """The verdict on a claim made of several statements, in several regimes.

    In one regime a claim holds if all of it does, and does not if any of it does not. Regimes that differ make it
    depend.
    """
    verdicts = set()
    for regime in dict.fromkeys(finding.regime for finding in findings):
        parts = {finding.verdict for finding in findings if finding.regime == regime}
        verdicts.add(next((v for v in ("not judged", "does not hold", "depends") if v in parts), "holds"))
    if "not judged" in verdicts and len(verdicts) > 1:
        verdicts.discard("not judged")
    return verdicts.pop() if len(verdicts) == 1 else "depends" if verdicts else "not judged"


def summary(values: Any) -> tuple[float, float, float]:
    """(mean, low, high) of `[S, C]` with a 95 % interval."""
    from thzjax.experiment.statistics import mean_interval

    low, high = mean_interval(values if len(values) > 1 else values[0])
    return float(np.mean(values)), low, high
