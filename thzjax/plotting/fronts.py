"""The picture of a trade-off: what every method reaches at which cost, and those that none beats in both."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thzjax.plotting.labels import beside_point, marker_box, put
from thzjax.plotting.style import BLUE, GREY, INK, PALE, legend, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def efficient(points: Mapping[str, Sequence[float]]) -> list[str]:
    """Names of the points (x, y, ...) that none beats in both, a smaller x and a larger y; by ascending x."""
    found: list[str] = []
    best = -np.inf
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if points[name][1] > best:
            best = points[name][1]
            found.append(name)
    return found


@styled
def pareto_front(
    points: Mapping[str, Sequence[float]], x_label: str, y_label: str, learned: Sequence[str] = ()
) -> "Figure":
    """Points of (cost, gain) with intervals; those that no other beats in both are dark and joined by steps.

    Args:
      points: by name: (x, y, low, high): a cost, what it brings, and its 95 % interval.
      x_label: the cost and its unit; on a logarithmic axis where costs span more than a decade.
      y_label: what it brings, and its unit.
      learned: names of points in another colour.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, ax = new_axes(4.2)
    known = {name: tuple(map(float, p)) for name, p in points.items() if np.all(np.isfinite(p))}
    front = efficient(known)
    costs = np.array([p[0] for p in known.values()])
    if len(costs) and costs.min() > 0 and costs.max() > 10 * costs.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if costs.max() > 1e3 * costs.min() else (1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    if front:
        corners = [known[name][:2] for name in front]
        ax.step(*zip(*corners, strict=True), where="post", color=PALE, linewidth=1.4, zorder=1, label="front")
    for name, (x, y, low, high) in known.items():
        colour = BLUE if name in learned else INK if name in front else GREY
        kind = "learned" if name in learned else "classical"
        ax.errorbar(
            x, y, yerr=[[max(y - low, 0)], [max(high - y, 0)]], fmt="o" if name in learned else "s", color=colour,
            markersize=5, markerfacecolor=colour if name in front else "white", elinewidth=1.1, capsize=3, zorder=3,
            label=f"{kind}, 95 %" + ("" if name in front else ", beaten"),
        )  # fmt: skip
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.margins(0.14, 0.08)
    legend(figure, ax)
    figure.draw_without_rendering()
    taken = [marker_box(ax, x, y) for x, *ys in known.values() for y in ys]  # markers and ends of intervals
    for name in [*front, *(name for name in known if name not in front)]:
        colour = BLUE if name in learned else INK if name in front else GREY
        put(ax, name, beside_point(*known[name][:2], (5, 12, 20, 30, 42)), taken, fontsize=8, color=colour, zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.7})  # fmt: skip
    return figure
