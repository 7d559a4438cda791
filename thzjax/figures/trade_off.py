"""Beyond the papers: what sensing costs communication, as fronts of every method."""

from thzjax.figures.csi import STEPS
from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import above, grows, keeps
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

THRESHOLDS = ("0.5", "1", "2", "5", "10")
CRBS = ("1e-6", "1.5e-6", "2e-6", "5e-6", "1e-4")
PATTERN, CRB = "beam pattern", "Cramér-Rao bound"
METHODS = {
    PATTERN: ("zf/focused", "wmmse_sum/focused", "alternating/joint", "gradient/joint"),
    CRB: ("rzf/focused", "greedy/joint", "alternating/joint", "gradient/joint"),
}


def collect(shop: Workshop) -> Data:
    """Rates along the threshold on the pattern's error (paper A) and along the limit on the bound (paper B)."""
    runs = [shop.train("paper-a", "apg", STEPS)]
    data = {
        PATTERN: shop.along(shop.scenario("paper-a"), "pattern_threshold", THRESHOLDS, METHODS[PATTERN], learned=runs),
        CRB: shop.along(shop.scenario("paper-b"), "max_crb_rad2", CRBS, METHODS[CRB]),
    }
    return {
        panel: {n: c for n, c in curves.items() if not n.endswith("anchor") and "untrained" not in n}
        for panel, curves in data.items()
    }


def draw(data: Data) -> dict[str, object]:
    """One front for each kind of sensing."""
    labels = {PATTERN: "threshold on the beam-pattern error", CRB: "limit on the trace of the bound [rad^2]"}
    return {panel: along_axis(data[panel], label) for panel, label in labels.items()}


def judge(data: Data) -> list[Finding]:
    """Whether sensing costs rate, how much where it binds, and whose front is outermost."""
    findings = []
    for panel, curves in data.items():
        search = curves["gradient, joint"]
        findings.append(grows("the looser the sensing constraint, the higher the search's rate", panel, search, False))
        findings.append(
            keeps("the tightest leaves less than 90 % of the loosest", panel, search, -1, search, 0, 1 / 0.9)
        )
        for name, curve in curves.items():
            if name != "gradient, joint":
                learned = curve.values.shape[1] > 1
                findings.append(above(f"the search's front is above that of {name}", panel, search, curve, None,
                                      learned=learned))  # fmt: skip
    return findings


FIGURE = Figure(
    "trade-off",
    "Beyond the papers: rate against sensing",
    "The tighter the sensing constraint the lower the rate, on every method's front; the search's is outermost.",
    "paper-a",
    collect,
    draw,
    judge,
    "`apg` was trained at the threshold 2 alone.",
    minutes=12.0,
)
