"""Beyond the papers: one policy for every number of users and elements, against one for each."""

import numpy as np

from thzjax.figures.csi import STEPS
from thzjax.figures.frame import Curve, Data, Figure, Finding
from thzjax.figures.judging import keeps
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Workshop

USERS = ("2", "4", "6")
SHAPES, ELEMENTS = ("3,3", "4,4", "6,6"), (9.0, 16.0, 36.0)
AXES = {
    "number of users K": ("num_users", USERS, [float(k) for k in USERS]),
    "elements of the surface N": ("surface_shape", SHAPES, ELEMENTS),
}
TRAINED_AT = 1
"""Place of the size that the one policy is trained at: K = 4, N = 16."""
ONE, EACH = "one policy", "trained at each size"
METHODS = ("alternating/joint", "gradient/joint")


def collect(shop: Workshop) -> Data:
    """`apg` with the unfolded policy: trained once, and trained anew at every size."""
    once = shop.train("paper-a", "apg", STEPS)
    data = {}
    for axis, (option, values, x) in AXES.items():
        curves = shop.along(shop.scenario("paper-a"), option, values, METHODS, x, learned=[once])
        data[axis] = {n: c for n, c in curves.items() if not n.startswith("apg") and not n.endswith("anchor")}
        data[axis][ONE] = next(c for n, c in curves.items() if n.startswith("apg") and "untrained" not in n)
        own = [
            shop.learned(once if i == TRAINED_AT else shop.train("paper-a", "apg", STEPS, (f"{option}={v}",)), [x[i]])
            for i, v in enumerate(values)
        ]
        data[axis][EACH] = Curve(
            *(np.concatenate([getattr(c, part) for c in own]) for part in ("x", "values", "missed"))
        )
    return data


def draw(data: Data) -> dict[str, object]:
    """One picture along users, one along elements."""
    return {f"by {axis}": along_axis(panel, axis) for axis, panel in data.items()}


def judge(data: Data) -> list[Finding]:
    """What the one policy loses to those trained for the size, and whether it stays near the search."""
    findings = []
    for axis, panel in data.items():
        for i, x in enumerate(AXES[axis][2]):
            if i == TRAINED_AT:
                continue
            where = f"{axis} = {x:g}"
            findings.append(
                keeps("one policy keeps 99 % of one trained there", where, panel[ONE], i, panel[EACH], i, 0.99, True)
            )
            search = panel["gradient, joint"]
            findings.append(keeps("and 98 % of the gradient search", where, panel[ONE], i, search, i, 0.98, True))
    return findings


FIGURE = Figure(
    "sizes",
    "Beyond the papers: one policy for all sizes",
    "A policy trained at K = 4 and N = 16 keeps 99 % of what policies trained at other sizes reach there.",
    "paper-a",
    collect,
    draw,
    judge,
    minutes=18.0,
)
