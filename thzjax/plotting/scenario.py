"""Pictures of a room from above: what stands where, what its paths lose, and a number at every place."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thzjax.plotting.labels import along_line, beside_point, marker_box, put
from thzjax.plotting.style import BLUE, GREEN, GREY, INK, MAP, PALE, PURPLE, VERMILLION, legend, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

Nodes = Mapping[str, Sequence[Any]]
"""By name: kind ("bs", "surface", "user", "target"), (x, y, z) [m], direction (x, y) of its array or none."""
LOOKS = {"bs": (INK, "s"), "surface": (GREEN, "D"), "user": (BLUE, "o"), "target": (PURPLE, "*")}
SHARES = (0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2)
"""Where on a path its loss may stand, as a share of its length."""


@styled
def scenario_map(
    nodes: Nodes, links: Sequence[Sequence[Any]], area_m: np.ndarray | None = None, area_label: str = "users"
) -> "Figure":
    """Base station, surface, users and target from above, with the loss of every path between them.

    Args:
      nodes: see `Nodes`; arrays are drawn as bars.
      links: (start, end, length [m], loss [dB], blocked): names of nodes; a loss of inf means nothing comes through.
      area_m: outline of an area, `[P, 2]` [m].
      area_label: what may be in it.
    """
    figure, ax = _room(_extent(nodes, area_m))
    if area_m is not None and len(area_m):
        ax.fill(*np.asarray(area_m, float).T, color="#e9f1f8", edgecolor=PALE, linewidth=0.8, zorder=0,
                label=f"where {area_label} may stand")  # fmt: skip
    for start, end, _, _, blocked in links:
        ends = np.array([nodes[start][1][:2], nodes[end][1][:2]], float)
        look = {"color": VERMILLION, "linestyle": (0, (4, 3))} if blocked else {"color": GREY}
        ax.plot(*ends.T, linewidth=1, zorder=1, label="blocked path" if blocked else "path", **look)
    taken = _nodes(ax, nodes, heights=True)
    for start, end, _, loss, blocked in sorted(links, key=lambda link: bool(link[4])):
        if np.isfinite(loss):
            places = along_line(nodes[start][1][:2], nodes[end][1][:2], SHARES)
            put(ax, f"{loss:.1f} dB", places, taken, fontsize=8, color=VERMILLION if blocked else INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}, zorder=4)  # fmt: skip
    legend(figure, ax, columns=3)
    return figure


@styled
def room_map(
    x_m: np.ndarray,
    y_m: np.ndarray,
    values: np.ndarray,
    label: str,
    nodes: Nodes,
    logarithmic: bool = False,
    barred: np.ndarray | None = None,
    barred_label: str = "",
) -> "Figure":
    """A number at every place of a room, as colours, with what stands there.

    Args:
      x_m, y_m: middles of the cells [m], `[X]` and `[Y]`.
      values: `[Y, X]`; where it is not finite (or, on a logarithmic scale, not positive) the room stays grey.
      label: quantity and unit.
      nodes: see `Nodes`.
      logarithmic: colours by the logarithm.
      barred: cells that are white instead, bool `[Y, X]`, and what that means.
    """
    from matplotlib.colors import ListedColormap, LogNorm
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    x, y, values = (np.asarray(a, dtype=float) for a in (x_m, y_m, values))
    barred = np.zeros(values.shape, bool) if barred is None else np.asarray(barred)
    known = np.isfinite(values) & ~barred & ((values > 0) | (not logarithmic))
    edges = np.array([[a[0] - _half(a), a[-1] + _half(a)] for a in (x, y)])
    figure, ax = _room(edges, True, bool(barred.any()))
    ax.set_facecolor("#dddddd")
    ax.grid(False)
    norm = {"norm": LogNorm()} if logarithmic and known.any() else {}
    drawn = ax.pcolormesh(x, y, np.ma.masked_where(~known, values), cmap=MAP, shading="nearest", **norm)
    bar = figure.colorbar(drawn, ax=ax, label=label)
    if barred.any():
        white = ListedColormap(["white"])
        ax.pcolormesh(x, y, np.ma.masked_where(~barred, np.ones(values.shape)), cmap=white, shading="nearest")
        ax.fill([], [], color="white", edgecolor=PALE, label=barred_label)
        legend(figure, ax)
    if norm:
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _nodes(ax, nodes, heights=False)
    return figure


def _half(x: np.ndarray) -> float:
    return (x[1] - x[0]) / 2 if len(x) > 1 else 0.5


def _extent(nodes: Nodes, area_m: np.ndarray | None) -> np.ndarray:
    """Least and largest x and y of all that is drawn, with a margin, `[2, 2]`."""
    points = np.array([position[:2] for _, position, *_ in nodes.values()], float).reshape(-1, 2)
    if area_m is not None:
        points = np.concatenate([points, np.asarray(area_m, float).reshape(-1, 2)])
    low, high = points.min(axis=0, initial=0), points.max(axis=0, initial=0)
    margin = 0.09 * max(*(high - low), 1e-3)
    return np.stack([low - margin, high + margin], axis=-1)


def _room(extent: np.ndarray, colours: bool = False, legend: bool = True) -> tuple["Figure", "Axes"]:
    """Axes in metres, equal both ways, in a figure whose height suits them."""
    (x0, x1), (y0, y1) = extent
    wide = 3.5 if colours else 4.4
    figure, ax = new_axes(float(np.clip(wide * (y1 - y0) / (x1 - x0) + (1.0 if legend else 0.7), 2.4, 6.5)))
    ax.set(xlim=(x0, x1), ylim=(y0, y1), xlabel="x [m]", ylabel="y [m]", aspect="equal")
    return figure, ax


def _nodes(ax: "Axes", nodes: Nodes, heights: bool) -> list["Bbox"]:
    """Draw what stands in a room, with names (and heights that are not 0); the boxes that this covers."""
    for kind, (x, y, *_), along, *_ in ((*node, None) for node in nodes.values()):
        colour, marker = LOOKS[kind]
        if along is not None:
            arm = _arm(ax, along)
            for width, ink in ((6.5, "white"), (4, colour)):
                ax.plot([x - arm[0], x + arm[0]], [y - arm[1], y + arm[1]], color=ink, linewidth=width, zorder=3,
                        solid_capstyle="butt")  # fmt: skip
        else:
            ax.plot(x, y, marker, color=colour, markersize=12 if marker == "*" else 7, markeredgecolor="white",
                    markeredgewidth=0.9, zorder=3, linestyle="")  # fmt: skip
    ax.figure.draw_without_rendering()
    taken = [_box(ax, *node) for node in nodes.values()]
    for name, (kind, (x, y, z), *_) in nodes.items():
        text = f"{name}, z {z:.1f} m" if heights and abs(z) >= 0.05 else name
        put(ax, text, beside_point(x, y, (7, 14, 24)), taken, fontsize=8.5, color=LOOKS[kind][0], zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.8})  # fmt: skip
    return taken


def _arm(ax: "Axes", along: Sequence[float]) -> np.ndarray:
    """Half of an array's bar, as an offset [m]."""
    return 0.04 * max(np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())) * np.asarray(along, float)


def _box(ax: "Axes", kind: str, position: Sequence[float], along: Sequence[float] | None = None) -> "Bbox":
    """What a node's marker or bar covers, in pixels."""
    from matplotlib.transforms import Bbox

    x, y, *_ = position
    if along is None:
        return marker_box(ax, x, y, 14 if kind == "target" else 10)
    arm = _arm(ax, along)
    return Bbox.union([marker_box(ax, x + sign * arm[0], y + sign * arm[1], 6) for sign in (-1, 1)])
