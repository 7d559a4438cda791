"""Beyond the papers: channels that are known badly, or were known some time ago."""

import numpy as np

from thzjax.figures.frame import Curve, Data, Figure, Finding
from thzjax.figures.judging import above, grows, keeps
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop
from thzjax.physics.fading import doppler_correlation
from thzjax.systems.scenario import preset

ERRORS = ("0", "0.003", "0.01", "0.03", "0.1", "0.3")
DELAYS_US = (0.0, 5.0, 10.0, 20.0, 40.0)
SPEED_M_S = 1.0
STEPS = 76_800
METHODS = ("wmmse_sum/focused", "zf/focused", "alternating/joint")
ESTIMATED, STALE = "estimation error", "stale channels"


def error_of_delay(delay_us: float) -> float:
    """Normalised error of a channel known so long ago, scaled to be unbiased: (1 - rho^2)/rho^2, rho = J0."""
    rho = float(doppler_correlation(SPEED_M_S, preset("paper-a").freq_hz, delay_us * 1e-6))
    return max(1 / rho**2 - 1, 0.0)


def collect(shop: Workshop) -> Data:
    """Designs made for the estimates, judged on the true channels; `apg` was trained on perfect ones."""
    runs = [shop.train("paper-a", "apg", STEPS)]
    scenario = shop.scenario("paper-a")
    stale = [f"{error_of_delay(delay):.6g}" for delay in DELAYS_US]
    panels = {
        ESTIMATED: shop.along(scenario, "csi_error", ERRORS, METHODS, learned=runs),
        STALE: shop.along(scenario, "csi_error", stale, METHODS, DELAYS_US, learned=runs),
    }
    return {
        panel: {n: c for n, c in curves.items() if not n.endswith("anchor") and "untrained" not in n}
        for panel, curves in panels.items()
    }


def draw(data: Data) -> dict[str, object]:
    """One picture for each kind of ignorance."""
    labels = {
        ESTIMATED: "normalised mean square error of the channel estimate",
        STALE: f"age of the channel estimate at {SPEED_M_S:g} m/s [us]",
    }
    return {panel: along_axis(data[panel], label) for panel, label in labels.items()}


def judge(data: Data) -> list[Finding]:
    """What errors cost, and whether the learned design stays ahead."""
    findings = []
    for panel, curves in data.items():
        apg = next(curve for name, curve in curves.items() if name.startswith("apg"))
        alternating = curves["alternating, joint"]
        findings.append(above("the learned design stays above alternating optimisation", panel, apg, alternating))
        for name, curve in (("apg", apg), ("alternating optimisation", alternating)):
            backwards = Curve(np.max(curve.x) - curve.x, curve.values, curve.missed)
            learned = name == "apg"
            findings.append(
                grows(f"the better the channel is known, the more {name} reaches", panel, backwards, learned)
            )
    apg = next(curve for name, curve in data[ESTIMATED].items() if name.startswith("apg"))
    at = ERRORS.index("0.01")
    statement = "an error of 1 % leaves 90 % of the rate"
    findings.append(keeps(statement, ESTIMATED, apg, at, apg, 0, 0.9, learned=True))
    return findings


FIGURE = Figure(
    "csi",
    "Beyond the papers: imperfect and stale channels",
    "The worse or older the channel estimate, the lower the rate; the learned design keeps its lead although it was "
    "trained on perfect channels.",
    "paper-a",
    collect,
    draw,
    judge,
    "A stale channel is the true one decorrelated as Clarke's fading has it, the line of sight included, which is the "
    "worst case: the line of sight of a real link changes more slowly.",
    minutes=9.0,
)
