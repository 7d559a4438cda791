"""The picture of a parameter sweep: what each method reaches, against the swept parameter."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thzjax.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RATE,
    VERMILLION,
    WIDTH_IN,
    finite,
    label_right,
    legend,
    new_axes,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, INK)
DASHES = ("-", "--", "-.", ":")
# With the glyph that names the marker in a label. Markers and dashes alone tell 20 curves apart, with colour 60.
MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", ">": "▶", "X": "✖", "<": "◀", "*": "★"}
LABEL_CHARACTERS = 30
"""Longer labels are wrapped."""
LINE_IN = 12.5 / 72
MOST_MARKERS, MOST_TICKS = 40, 14
AXES_CHARACTERS = 38
"""Characters of a tick label that the axes are wide when names of usual length stand beside them."""


@styled
def sweep_curves(
    x: np.ndarray,
    labels: Sequence[str] | None,
    curves: Mapping[str, Mapping[str, Any]],
    x_label: str,
    y_label: str = "feasible " + RATE,
    anchors: Mapping[str, Any] | tuple[()] = (),
) -> "Figure":
    """One line with a 95 % band per method against the swept parameter, each named at its right end.

    A marker is open where some channels have no feasible design. The best curve at the last point comes first. The
    figure grows with the number of curves and the length of their labels.

    Args:
      x: positions, `[P]`, in any order; on a logarithmic axis where they are spaced like that.
      labels: one tick label for each, or None for numbers.
      curves: by label: "mean", "low", "high" `[P]` in the unit of `y_label`, NaN where the method does not apply;
        and "violation" `[P]`, the share of channels, 0..1, without a feasible design (NaN counts as 0). Beyond
        `MOST_MARKERS` points one marker stands for several, and is open if one of them is.
      x_label: the parameter and its unit.
      y_label: quantity and unit.
      anchors: by label: `[P]`, in the same unit; thin grey dashed lines.
    """
    order = np.argsort(np.asarray(x), kind="stable")

    def ordered(values: Any) -> np.ndarray:
        return np.asarray(values, dtype=float)[order]

    x = ordered(x)
    drawn = {label: {key: ordered(values) for key, values in curve.items()} for label, curve in curves.items()}
    lines = {label: ordered(values) for label, values in dict(anchors).items()}
    ranked = sorted(drawn.items(), key=lambda item: [-finite(y, -np.inf) for y in _ends(item[1]["mean"])])
    figure, ax = new_axes(3.5)
    _scale(ax, x, None if labels is None else [labels[i] for i in order])
    ax.set(xlabel=x_label, ylabel=y_label)
    low, high = _limits([*lines.values(), *(curve[key] for curve in drawn.values() for key in ("mean", "low", "high"))])
    ax.set_ylim(low, high)
    for values in lines.values():
        ax.plot(x, values, color=GREY, linestyle=(0, (4, 3)), linewidth=0.9, zorder=1.5)
    looks = zip(itertools.cycle(COLOURS), itertools.cycle(DASHES), itertools.cycle(MARKERS.items()), strict=False)
    names = []
    for rank, ((label, curve), (colour, dash, (marker, glyph))) in enumerate(zip(ranked, looks, strict=False)):
        _curve(ax, x, curve, {"color": colour, "linestyle": dash, "marker": marker, "zorder": 3 - rank / len(ranked)})
        end = _ends(curve["mean"])[1]
        text = f"{glyph} {label}" if np.isfinite(end) else f"{glyph} {label} (nowhere applicable)"
        names.append((finite(end, low), text, colour))
    names += [(finite(_ends(values)[1], low), label, GREY) for label, values in lines.items()]
    _keys(ax, list(drawn.values()))
    legend(figure, ax)
    _name(figure, ax, names)
    return figure


def _ends(values: np.ndarray) -> tuple[float, float]:
    """The last value, and the last finite one; NaN where there is none."""
    finite = values[np.isfinite(values)]
    return (float(values[-1]) if len(values) else np.nan), (float(finite[-1]) if len(finite) else np.nan)


def _limits(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """Ends of the y axis, from 0 unless a value is negative."""
    finite = np.concatenate([np.zeros(0), *values])
    finite = finite[np.isfinite(finite)]
    low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    if not low < 0:
        return 0.0, 1.06 * max(high, 0.0) or 1.0
    pad = 0.06 * (high - low) or 1.0
    return low - pad, high + pad


def _curve(ax: "Axes", x: np.ndarray, curve: Mapping[str, np.ndarray], look: Mapping[str, Any]) -> None:
    """Band, line and markers; a point without neighbours has a bar for its band."""
    mean, low, high = curve["mean"], curve["low"], curve["high"]
    line = {key: look[key] for key in ("color", "linestyle", "zorder")}
    ax.fill_between(x, low, high, color=look["color"], alpha=0.13, linewidth=0)
    ax.plot(x, mean, linewidth=1.4, **line)
    known = np.r_[False, np.isfinite(mean), False]
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    ax.vlines(x[alone], low[alone], high[alone], color=look["color"], linewidth=1.2, zorder=look["zorder"])
    marked = np.flatnonzero(alone | (np.arange(len(x)) % -(-max(len(x), 1) // MOST_MARKERS) == 0))
    some = np.add.reduceat(np.nan_to_num(curve["violation"]), marked) > 0 if len(marked) else marked > 0
    for at, face in ((marked[~some], look["color"]), (marked[some], "white")):
        ax.plot(
            x[at], mean[at], linestyle="", marker=look["marker"], color=look["color"], markerfacecolor=face,
            markersize=5 if len(marked) <= 20 else 3.5, markeredgewidth=1.1, zorder=look["zorder"],
        )  # fmt: skip


def _scale(ax: "Axes", x: np.ndarray, labels: Sequence[str] | None) -> None:
    """The x axis: texts, or numbers, on a logarithmic axis where that spreads them more evenly."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    ax.margins(x=0.03)
    if labels is not None:
        every = -(-len(labels) // MOST_TICKS)
        shown = [label if len(label) <= 24 else label[:23] + "…" for label in labels[::every]]
        turned = {} if _fits(x[::every], shown) else {"rotation": 50, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(x[::every], shown, **turned)
        return
    logarithmic = len(x) > 2 and x[0] > 0 and x[-1] >= 10 * x[0] and _evenness(np.log(x)) > 2 * _evenness(x)
    if logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    texts = [f"{value:g}" for value in x]
    if len(set(texts)) == len(x) and _fits(np.log(x) if logarithmic else x, texts):
        ax.set_xticks(x, texts)
    elif logarithmic:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if x[-1] < 100 * x[0] else (1,)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=bool(np.all(x == np.round(x)))))


def _fits(x: np.ndarray, texts: Sequence[str]) -> bool:
    """Whether tick labels at sorted `x` keep clear of each other, on axes about `AXES_CHARACTERS` wide."""
    sizes = np.array([len(text) for text in texts])
    gaps = np.diff(x) / (np.ptp(x) or 1) if len(x) else np.zeros(0)
    return bool(np.all(AXES_CHARACTERS * gaps >= (sizes[1:] + sizes[:-1]) / 2 + 2))


def _evenness(x: np.ndarray) -> float:
    """The shortest gap between sorted points, over their span."""
    return float(np.diff(x).min() / np.ptp(x))


def _keys(ax: "Axes", curves: Sequence[Mapping[str, np.ndarray]]) -> None:
    """What bands and open markers mean, for the legend."""
    if curves:
        ax.fill_between([], [], color=GREY, alpha=0.25, linewidth=0, label="95 % interval")
    if any(np.any((curve["violation"] > 0) & np.isfinite(curve["mean"])) for curve in curves):
        words = "open: some channels without feasible design"
        ax.plot([], [], "o", color=GREY, markerfacecolor="white", markersize=5, markeredgewidth=1.1, label=words)


def _name(figure: "Figure", ax: "Axes", names: Sequence[tuple[float, str, str]]) -> None:
    """Write the names right of the axes, in a figure large enough for them."""
    wrapped = [
        (y, textwrap.wrap(text, LABEL_CHARACTERS, subsequent_indent="\u2003"), colour) for y, text, colour in names
    ]
    rows = max((len(text) for _, text, _ in wrapped), default=1)
    longest = max((len(line) for _, text, _ in wrapped for line in text), default=0)
    width = WIDTH_IN + 0.075 * max(longest - 20, 0)
    figure.draw_without_rendering()  # the height that ticks and legend leave
    total = figure.get_size_inches()[1]
    height = ax.get_position().height * total
    missing = max(rows * LINE_IN * (len(names) - 1) - height, 0)
    figure.set_size_inches(width, total + missing)
    # Labels of several lines are as far apart as those of one in axes so many times lower. Last first: of equal
    # heights the first named then stands on top.
    placed = [(y, "\n".join(text), colour) for y, text, colour in reversed(wrapped)]
    label_right(ax, placed, (height + missing) / rows)
