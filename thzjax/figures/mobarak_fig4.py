"""Mobarak et al., Fig. 4: sum rate against the number of elements, hybrid and passive, by amplitude limit."""

import numpy as np

from thzjax.figures import mobarak_fig2
from thzjax.figures.frame import Curve, Data, Figure, Finding
from thzjax.figures.judging import above, flattens, grows
from thzjax.figures.mobarak_fig2 import FAIR, RAW, REGIMES
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

SHAPES = ("4,5", "5,8", "6,10", "8,10")
ELEMENTS = (20.0, 40.0, 60.0, 80.0)
ACTIVE = ("7", "15", "22", "30")
LIMITS = ("2", "5")
HYBRID = [f"hybrid, a_max {limit}" for limit in LIMITS]
PASSIVE = "passive"
STEPS = {RAW: mobarak_fig2.STEPS[RAW], FAIR: 8_000}
METHODS = ("alternating/joint", "gradient/joint")
POWER = "p_bs_dbm=40"


def collect(shop: Workshop) -> Data:
    """DDPG trained at every size, three eighths of the elements active, and classical designs.

    In the paper's configuration a run takes minutes: the quick budget has the run of Fig. 2 alone.
    """
    data = {FAIR: _at_every_size(shop, FAIR, STEPS[FAIR])}
    if shop.budget.name == "quick":
        runs = shop.train("paper-b", "ddpg", STEPS[RAW], **REGIMES[RAW])
        data[RAW] = {f"ddpg, {HYBRID[-1]}": shop.learned(runs, ELEMENTS[-1:])}
    else:
        data[RAW] = _at_every_size(shop, RAW, STEPS[RAW])
    data["classical"] = {}
    for name in (*HYBRID, PASSIVE):
        hybrid = name != PASSIVE
        preset, option = ("paper-b", f"max_amplitude={name.split()[-1]}") if hybrid else ("paper-b-passive", POWER)
        along = {"num_active": ACTIVE} if hybrid else None
        curves = shop.along(shop.scenario(preset, option), "surface_shape", SHAPES, METHODS, ELEMENTS, along)
        data["classical"] |= {f"{n}, {name}": c for n, c in curves.items() if not n.endswith("anchor")}
    return data


def _at_every_size(shop: Workshop, regime: str, steps: int) -> dict[str, Curve]:
    """DDPG by surface: both amplitude limits in one program, sizes one after the other."""
    by_size = []
    for shape, active, elements in zip(SHAPES, ACTIVE, ELEMENTS, strict=True):
        size, options = f"surface_shape={shape}", REGIMES[regime]
        sweep = (f"max_amplitude={','.join(LIMITS)}",)
        hybrid = shop.train("paper-b", "ddpg", steps, (size, f"num_active={active}"), sweep, **options)
        passive = shop.train("paper-b-passive", "ddpg", steps, (size, POWER), **options)
        curves = shop.learned(hybrid, LIMITS), shop.learned(passive, [elements])
        rows = [(c.values[i : i + 1], c.missed[i : i + 1]) for c in curves for i in range(len(c.values))]
        by_size.append(dict(zip([*HYBRID, PASSIVE], rows, strict=True)))
    return {
        f"ddpg, {name}": Curve(
            np.array(ELEMENTS), *(np.concatenate([size[name][part] for size in by_size]) for part in (0, 1))
        )
        for name in (*HYBRID, PASSIVE)
    }


def draw(data: Data) -> dict[str, object]:
    """DDPG in both regimes; and the search and alternating optimisation, which show what the surface offers."""
    label = "elements of the surface N, 3N/8 active"
    raw = {f"{name}, {RAW}": curve for name, curve in data[RAW].items()}
    return {
        "": along_axis(dict(data[FAIR]) | raw, label),
        "what the surface offers": along_axis(data["classical"], label),
    }


def judge(data: Data) -> list[Finding]:
    """Growth with the surface, and what amplifying and its limit are worth."""
    findings = []
    panels = {regime: (data[regime], "ddpg") for regime in REGIMES}
    for regime, (panel, method) in (panels | {"gradient search": (data["classical"], "gradient, joint")}).items():
        learned = method == "ddpg"
        curves = {name: panel[f"{method}, {name}"] for name in (*HYBRID, PASSIVE) if f"{method}, {name}" in panel}
        findings += [
            grows(f"the rate grows with the number of elements: {name}", regime, curve, learned)
            for name, curve in curves.items()
        ]
        if len(curves) < len(HYBRID) + 1:
            continue
        less, more, passive = curves.values()
        findings.append(above("the hybrid surface is above the passive one", regime, more, passive, learned=learned))
        findings.append(above("a larger amplitude limit gives more", regime, more, less, learned=learned))
        findings.append(flattens("growth slows with the number of elements: a_max 5", regime, more, learned))
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
    "At 40 dBm for all three surfaces. In the paper's configuration the quick budget has the largest hybrid one alone.",
    minutes=16.0,
)
