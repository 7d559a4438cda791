"""Beyond the papers: phase bits, and the amplitude that a real element has at each phase."""

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import above, grows, keeps
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

BITS = ("1", "2", "3", "4", "6")
LAWS = ("ideal", "practical")
METHODS = ("wmmse_sum/focused", "alternating/joint")
BEST = "alternating, joint"


def collect(shop: Workshop) -> Data:
    """Classical designs by number of phase bits, with both laws of the amplitude."""
    data = {}
    for law in LAWS:
        curves = shop.along(shop.scenario("paper-a", f"amplitude={law}"), "phase_bits", BITS, METHODS)
        data[law] = {f"{n}, {law}": c for n, c in curves.items() if not n.endswith("anchor")}
    return data


def draw(data: Data) -> dict[str, object]:
    """Both laws in one picture."""
    return {"": along_axis({n: c for panel in data.values() for n, c in panel.items()}, "phase bits")}


def judge(data: Data) -> list[Finding]:
    """What a bit is worth, and what the amplitude costs."""
    findings = []
    for law in LAWS:
        curve = data[law][f"{BEST}, {law}"]
        three = BITS.index("3")
        findings.append(grows("the rate grows with the number of bits", law, curve, False))
        findings.append(keeps("three bits keep 97 % of what six reach", law, curve, three, curve, -1, 0.97))
        findings.append(keeps("one bit falls short of 90 % of what six reach", law, curve, -1, curve, 0, 1 / 0.9))
    ideal, practical = (data[law][f"{BEST}, {law}"] for law in LAWS)
    costs = above("the practical amplitude costs rate", "ideal against practical", ideal, practical, learned=False)
    return [*findings, costs]


FIGURE = Figure(
    "hardware",
    "Beyond the papers: the surface's hardware",
    "Three phase bits are nearly as good as six, one loses a tenth and more; amplitudes that depend on the phase cost "
    "rate.",
    "paper-a",
    collect,
    draw,
    judge,
    "The practical law: least amplitude 0.2, steepness 1.6. Alternating optimisation is judged.",
)
