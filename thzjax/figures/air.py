"""Beyond Liu et al., Figs. 4 and 9: the same link in the air of ITU-R P.676 instead of the printed constant."""

from thzjax.figures.frame import Data, Figure, Finding
from thzjax.figures.judging import above, ending, grows, of_seeds
from thzjax.figures.liu_fig4 import STEPS
from thzjax.figures.liu_fig9 import BARE, ELEMENTS, SHAPES
from thzjax.figures.pictures import along_axis, over_training
from thzjax.figures.workshop import Workshop

AIR = {"printed constant": (), "P.676 air": ("absorption=p676",)}
METHODS = ("wmmse_sum/focused", "alternating/joint")
ALTERNATING = "alternating, joint"


def collect(shop: Workshop) -> Data:
    """Classical designs by size of the surface, and PPO over training, in both kinds of air."""
    data = {"by size": {}, "training": {}}
    for air, overrides in AIR.items():
        curves = shop.along(shop.scenario("paper-a", *overrides), "surface_shape", SHAPES, METHODS, ELEMENTS)
        data["by size"] |= {f"{n.removesuffix(', anchor')}, {air}": c for n, c in curves.items() if "upper" not in n}
        runs = shop.train("paper-a", "ppo", STEPS, overrides)
        data["training"][f"ppo, {air}"] = next(iter(shop.traces(runs, "validation/rate_feasible").values()))
    return data


def draw(data: Data) -> dict[str, object]:
    """One picture by size, one over training."""
    upright = "feasible sum rate [bit/s/Hz]"
    return {
        "by size": along_axis(data["by size"], "elements of the surface N"),
        "training": over_training(data["training"], upright, "training episodes"),
    }


def judge(data: Data) -> list[Finding]:
    """What the constant overstates, and whether the surface still helps."""
    constant, real = AIR
    sizes, bare = data["by size"], BARE.removesuffix(", anchor")
    better, worse = (sizes[f"{ALTERNATING}, {air}"] for air in AIR)
    ends = [ending(data["training"][f"ppo, {air}"]) for air in AIR]
    return [
        above("the constant overstates the rate by more than a quarter of it", "16 elements", better,
              type(worse)(worse.x, 1.25 * worse.values, worse.missed), 0, learned=False),
        of_seeds("the constant overstates what PPO learns", "16 elements", ends[0] - ends[1]),
        grows("the rate grows with the number of elements", real, worse, False),
        above("16 elements reach more than no surface", real, worse, sizes[f"{bare}, {real}"], 0, learned=False),
        above("16 elements reach more than no surface", constant, better, sizes[f"{bare}, {constant}"], 0,
              learned=False),
    ]  # fmt: skip


FIGURE = Figure(
    "air",
    "Beyond Liu et al., Figs. 4 and 9",
    "At 0.55 THz the printed absorption leaves out 32 dB at 10 m: with P.676 air rates fall by a fifth or more, and "
    "the surface still helps.",
    "paper-a",
    collect,
    draw,
    judge,
    "P.676-13 has 0.741 1/m for standard air where the paper prints 6.7e-4.",
)
