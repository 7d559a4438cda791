"""Mobarak et al., Fig. 4: sum rate against the number of elements, hybrid and passive, by amplitude limit."""

import numpy as np

from thzjax.figures.frame import Curve, Data, Figure, Finding
from thzjax.figures.judging import above, grows
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

SHAPES = ("4,5", "5,8", "6,10", "8,10")
ELEMENTS = (20.0, 40.0, 60.0, 80.0)
ACTIVE = ("7", "15", "22", "30")
SURFACES = {"hybrid, a_max 5": ("paper-b", 5), "hybrid, a_max 2": ("paper-b", 2), "passive": ("paper-b-passive", None)}
STEPS = 30_000
METHODS = ("alternating/joint", "gradient/joint")


def collect(shop: Workshop) -> Data:
    """DDPG trained at every size, three eighths of the elements active, and classical designs."""
    data = {"structured actions": {}, "classical": {}}
    for name, (preset, limit) in SURFACES.items():
        trained = []
        for shape, active, elements in zip(SHAPES, ACTIVE, ELEMENTS, strict=True):
            options = [f"surface_shape={shape}"]
            options += [f"num_active={active}", f"max_amplitude={limit}"] if limit else ["p_bs_dbm=40"]
            trained.append(shop.learned(shop.train(preset, "ddpg", STEPS, options), [elements]))
        parts = (np.concatenate([getattr(curve, part) for curve in trained]) for part in ("x", "values", "missed"))
        data["structured actions"][f"ddpg, {name}"] = Curve(*parts)
        scenario = shop.scenario(preset, f"max_amplitude={limit}" if limit else "p_bs_dbm=40")
        along = {"num_active": ACTIVE} if limit else None
        curves = shop.along(scenario, "surface_shape", SHAPES, METHODS, ELEMENTS, along)
        data["classical"] |= {f"{n}, {name}": c for n, c in curves.items() if not n.endswith("anchor")}
    return data


def draw(data: Data) -> dict[str, object]:
    """DDPG; and the search and alternating optimisation, which show what the surface offers."""
    label = "elements of the surface N, 3N/8 active"
    return {
        "": along_axis(data["structured actions"], label),
        "what the surface offers": along_axis(data["classical"], label),
    }


def judge(data: Data) -> list[Finding]:
    """Growth with the surface, and what amplifying and its limit are worth."""
    findings = []
    for regime, method in (("structured actions", "ddpg"), ("gradient search", "gradient, joint")):
        learned = method == "ddpg"
        panel = data["structured actions" if learned else "classical"]
        curves = {name: panel[f"{method}, {name}"] for name in SURFACES}
        findings += [
            grows(f"the rate grows with the number of elements: {name}", regime, curve, learned)
            for name, curve in curves.items()
        ]
        hybrid, less, passive = curves.values()
        findings.append(above("the hybrid surface is above the passive one", regime, hybrid, passive, learned=learned))
        findings.append(above("a larger amplitude limit gives more", regime, hybrid, less, learned=learned))
    return findings


FIGURE = Figure(
    "mobarak-fig4",
    "Mobarak et al., Fig. 4",
    "The sum rate grows with the number of elements, hybrid above passive, and more so with a larger amplitude limit, "
    "until the amplifiers' budget is used up.",
    "paper-b",
    collect,
    draw,
    judge,
    "At 40 dBm for all three surfaces.",
)
