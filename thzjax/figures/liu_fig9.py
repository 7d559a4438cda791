"""Liu et al., Fig. 9: capacity against the number of elements, with and without the surface."""

import numpy as np

from thzjax.figures.frame import Curve, Data, Figure, Finding
from thzjax.figures.judging import above, flat, grows
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

SHAPES = ("4,4", "6,6", "8,8", "10,10")
ELEMENTS = (16.0, 36.0, 64.0, 100.0)
REGIMES = {"paper's configuration": {"configuration": "paper"}, "structured actions": {}}
STEPS = {"paper's configuration": 60_000, "structured actions": 60_000}
METHODS = ("wmmse_sum/focused", "alternating/joint")
BARE = "no surface, anchor"


def collect(shop: Workshop) -> Data:
    """PPO trained at every size of the surface; classical designs with it and without."""
    data = {}
    for regime, options in REGIMES.items():
        trained = [
            shop.learned(shop.train("paper-a", "ppo", STEPS[regime], (f"surface_shape={shape}",), **options), [n])
            for shape, n in zip(SHAPES, ELEMENTS, strict=True)
        ]
        parts = (np.concatenate([getattr(curve, part) for curve in trained]) for part in ("x", "values", "missed"))
        data[regime] = {"ppo": Curve(*parts)}
    data["classical"] = shop.along(shop.scenario("paper-a"), "surface_shape", SHAPES, METHODS, ELEMENTS)
    return data


def draw(data: Data) -> dict[str, object]:
    """Both versions of PPO and the classical designs."""
    learned = {f"ppo, {regime}": data[regime]["ppo"] for regime in REGIMES}
    return {"": along_axis(learned | dict(data["classical"]), "elements of the surface N")}


def judge(data: Data) -> list[Finding]:
    """Growth with the surface, none without."""
    bare = data["classical"][BARE]
    findings = []
    for regime in REGIMES:
        findings.append(grows("PPO's rate grows with the number of elements", regime, data[regime]["ppo"]))
        findings.append(above("with 16 elements PPO is above no surface", regime, data[regime]["ppo"], bare, 0))
    alternating = data["classical"]["alternating, joint"]
    findings.append(grows("the rate grows with the number of elements", "alternating optimisation", alternating, False))
    findings += [
        flat("without the surface the rate does not change", regime, bare)
        for regime in (*REGIMES, "alternating optimisation")
    ]
    return findings


FIGURE = Figure(
    "liu-fig9",
    "Liu et al., Fig. 9",
    "With the surface capacity grows with its elements; without it capacity does not change.",
    "paper-a",
    collect,
    draw,
    judge,
    "Without the surface: the best design of the direct links alone, at the same power and threshold.",
)
