"""Beyond the papers: rate against the time that a channel takes, for every method."""

import itertools

import numpy as np

from thzjax.figures.csi import STEPS
from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import above
from thzjax.figures.pictures import against_cost
from thzjax.figures.workshop import Workshop

METHODS = (
    "random/random", "mrt/focused", "zf/focused", "rzf/focused", "wmmse/focused", "wmmse_sum/focused", "greedy/joint",
    "alternating/joint", "gradient/joint",
)  # fmt: skip


def collect(shop: Workshop) -> Data:
    """Rates and times on the same channels, in one batch."""
    return {"front": shop.timed(shop.scenario("paper-a"), METHODS, [shop.train("paper-a", "apg", STEPS)])}


def draw(data: Data) -> dict[str, object]:
    """Every method a point, and the front they make."""
    return {"": against_cost(data["front"], "time per channel in a batch [µs]", learned="apg")}


def efficient(front: Data) -> list[str]:
    """Methods that none beats in both rate and time, quickest first."""
    found: list[str] = []
    best = -np.inf
    for name, curve in sorted(front.items(), key=lambda item: float(item[1].x[0])):
        if curve.values.mean() > best:
            best = float(curve.values.mean())
            found.append(name)
    return found


def judge(data: Data) -> list[Finding]:
    """Each method on the front against the one before it, which is quicker; and the learned one's place."""
    front = data["front"]
    names = efficient(front)
    findings = []
    for quicker, slower in itertools.pairwise(names):
        learned = max(front[name].values.shape[1] for name in (quicker, slower)) > 1
        times = float(front[slower].x[0]) / float(front[quicker].x[0])
        statement = f"{slower} reaches more than {quicker}, in {times:.3g} times the time"
        findings.append(above(statement, "the front", front[slower], front[quicker], 0, learned=learned))
    apg = next(name for name in front if name.startswith("apg") and "untrained" not in name)
    quicker = [name for name, curve in front.items() if curve.x[0] < front[apg].x[0] and not name.startswith("apg")]
    if quicker:
        rival = max(quicker, key=lambda name: front[name].values.mean())
        statement = f"the learned design reaches more than the best that is quicker, {rival}"
        findings.append(above(statement, "learned", front[apg], front[rival], 0))
    times = float(front["alternating, joint"].x[0]) / float(front[apg].x[0])
    statement = f"the learned design reaches more than alternating optimisation, which takes {times:.2g} times as long"
    findings.append(above(statement, "learned", front[apg], front["alternating, joint"], 0))
    return findings


FIGURE = Figure(
    "front",
    "Beyond the papers: rate against time",
    "The learned design is on the front of rate against time per channel: nothing as quick reaches as much.",
    "paper-a",
    collect,
    draw,
    judge,
    "Times are of the machine named below, in one batch of all channels.",
    minutes=3.5,
)
