"""Every picture, from plain arrays and dicts: one style, colours that the colour-blind can tell apart, units on axes.

Figures are built with matplotlib's object interface, so no window, no global state and no display is involved.
They are about 13 cm wide with 10 pt text, which stays legible at half a page.
"""

import functools
import hashlib
import html
import io
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = Sequence[Mapping[str, Any]]

# Okabe and Ito's palette. Line styles and markers differ too, for print without colour.
BLUE, VERMILLION, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#E69F00", "#009E73", "#CC79A7"
INK, GREY, PALE = "#222222", "#6b6b6b", "#b5b5b5"
WIDTH_IN = 5.2
RATE = "sum rate [bit/s/Hz]"
TOLERANCE = 1e-5
"""Relative excess over a limit that float32 rounding may cause and that does not count as exceeding it."""

STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10,
    "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.fontsize": 9, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY, "axes.labelcolor": INK,
    "text.color": INK, "xtick.color": INK, "ytick.color": INK, "lines.linewidth": 1.7,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.6,
    "figure.constrained_layout.w_pad": 0.07, "figure.facecolor": "white", "savefig.facecolor": "white",
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
    "text.usetex": False,
    "svg.fonttype": "path",  # looks the same whatever fonts the reader has
}  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")


def _styled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function under `STYLE` and leave matplotlib's settings as they were."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapped


def _axes(height_in: float, **grid: Any) -> tuple["Figure", Any]:
    """A figure of one width, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots(**grid)


def _finite(value: Any, otherwise: float) -> float:
    """The value as a float, or another one where it is missing."""
    return float(value) if value is not None and np.isfinite(value) else otherwise


def _series(records: Records, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    """The finite points (x, y) of the records that have both; x counts from 0 at environment step 0."""

    def point(record: Mapping[str, Any]) -> tuple[float, float]:
        start = 0.0 if record.get("env_steps") == 0 else np.nan
        return _finite(record.get(x), start), _finite(record.get(y), np.nan)

    points = np.array([point(record) for record in records], dtype=float).reshape(-1, 2)
    points = points[np.all(np.isfinite(points), axis=1)]
    return points[:, 0], points[:, 1]


def _draw(ax: "Axes", points: tuple[np.ndarray, np.ndarray], **style: Any) -> None:
    """A line, with markers where the points are few; nothing where there is no point."""
    if len(points[0]):
        ax.plot(*points, **({"marker": "o", "markersize": 3} if len(points[0]) <= 40 else {}), **style)


def _counts(ax: "Axes", label: str, right: float | None = None) -> None:
    """An x axis that counts: from 0 to `right`, 200k for two hundred thousand."""
    from matplotlib.ticker import EngFormatter

    if right is not None:
        ax.set_xlim(0, right if right > 0 else 1)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.set_xlabel(label)


def _largest(*series: tuple[np.ndarray, np.ndarray], axis: int = 0) -> float:
    """The largest x (or y) of several series; 0 where there is none."""
    return max((float(points[axis].max()) for points in series if len(points[0])), default=0.0)


def _legend(figure: "Figure", ax: "Axes", columns: int = 2) -> None:
    """The legend, each label once, below the axes, where it covers no data."""
    if named := dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True)):
        figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns)


def _spread(wanted: np.ndarray, gap: float) -> np.ndarray:
    """Positions in [0, 1] at least `gap` apart, in the order of `wanted` and as near to it as that allows."""
    order = np.argsort(wanted, kind="stable")
    gap = min(gap, 1 / max(len(wanted) - 1, 1))
    shift = gap * np.arange(len(wanted))
    blocks: list[tuple[float, int]] = []  # mean and size: pool neighbours until the means ascend
    for value in wanted[order] - shift:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    pooled = np.repeat([mean for mean, _ in blocks], [size for _, size in blocks])
    placed = np.empty(len(wanted))
    placed[order] = np.clip(pooled, 0, max(1 - gap * (len(wanted) - 1), 0)) + shift
    return placed


def _label_right(ax: "Axes", labels: Sequence[tuple[float, str, str]], height_in: float) -> None:
    """Write (y, text, colour) right of the axes beside y, moved apart where they would overlap."""
    ys = np.array([[1.0, y] for y, _, _ in labels]).reshape(-1, 2)
    wanted = ax.transAxes.inverted().transform(ax.transData.transform(ys))[:, 1]
    for at, place, (_, text, colour) in zip(wanted, _spread(wanted, 12.5 / 72 / height_in), labels, strict=True):
        ax.annotate(
            text, xy=(1, at), xytext=(1.05, place), xycoords="axes fraction", textcoords="axes fraction",
            va="center", fontsize=9, color=colour, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": PALE, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 0,
                        "relpos": (0, 0.5)},
        )  # fmt: skip


@_styled
def learning_curve(records: Records) -> "Figure":
    """Mean sum rate of the training batch and feasible rate on the validation channels, against environment steps."""
    figure, ax = _axes(3.3)
    training = _series(records, "env_steps", "sum_rate")
    feasible = _series(records, "env_steps", "validation/rate_feasible")
    _draw(ax, training, color=ORANGE, linewidth=1.2, label="training batch, mean")
    _draw(ax, feasible, color=BLUE, label="validation channels, feasible")
    ax.set(ylabel=RATE, ylim=(0, None))
    _counts(ax, "environment steps", _largest(training, feasible))
    steps, episodes = _series(records, "env_steps", "episodes")
    if len(steps) and episodes[-1] > 0 and steps[-1] > 0:
        ratio = episodes[-1] / steps[-1]
        _counts(ax.secondary_xaxis("top", functions=(lambda x: x * ratio, lambda x: x / ratio)), "episodes")
    _legend(figure, ax)
    return figure


@_styled
def capacity_against_episodes(records: Records, lines: Mapping[str, float]) -> "Figure":
    """The learner's feasible rate against training episodes, and a line for each classical method.

    The three best methods are drawn dark, the others thin; each is named, with its rate, at the right.
    """
    known = {label: rate for label, rate in lines.items() if np.isfinite(_finite(rate, np.nan))}
    height = max(3.5, 1.5 + 0.2 * (len(known) + 1))
    figure, ax = _axes(height)
    points = _series(records, "episodes", "validation/rate_feasible")
    _draw(ax, points, color=BLUE, linewidth=2.2, zorder=3)
    _counts(ax, "training episodes", _largest(points))
    labels = [(rate, f"learned {rate:.2f}", BLUE) for rate in points[1][-1:]]
    looks = itertools.chain([(INK, 1.3, "-"), (INK, 1.3, "--"), (INK, 1.3, "-.")], itertools.repeat((PALE, 0.8, "-")))
    for label, rate in sorted(known.items(), key=lambda item: -item[1]):
        colour, width, dash = next(looks)
        ax.axhline(rate, color=colour, linewidth=width, linestyle=dash, zorder=2)
        labels.append((rate, f"{label} {rate:.2f}", INK if colour == INK else GREY))
    top = max(_largest(points, axis=1), max(known.values(), default=0.0))
    ax.set(ylabel="feasible " + RATE, ylim=(0, 1.06 * top or 1))
    ax.grid(False)
    _label_right(ax, labels, height - 0.8)
    return figure


@_styled
def beam_patterns(
    grid_deg: np.ndarray, desired: np.ndarray, patterns: Mapping[str, Mapping[str, Any]], p_ref_w: float
) -> "Figure":
    """The desired pattern and, for each design, the mean over channels and the band from 10 to 90 %.

    Args:
      grid_deg: directions from broadside [deg], `[L]`.
      desired: 0 or 1, `[L]`.
      patterns: by label: "mean", "low", "high" `[L]` in units of p_ref, and "error".
      p_ref_w: power that counts as 1 [W].
    """
    figure, ax = _axes(3.6)
    grid = np.asarray(grid_deg, dtype=float)
    every = slice(None, None, max(1, len(grid) // 300))
    desired = np.asarray(desired, dtype=float)
    turns = np.diff(desired) != 0
    ends = np.r_[True, turns] | np.r_[turns, True]  # both sides of every edge draw the same steps
    ends[[0, -1]] = True
    ax.fill_between(grid[ends], desired[ends], step="mid", color="#cfcfcf", linewidth=0, label="desired")
    looks = [(BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":"), (INK, "-")]
    for (colour, dash), (label, pattern) in zip(itertools.cycle(looks), patterns.items(), strict=False):
        low, mean, high = (np.asarray(pattern[key], dtype=float)[every] for key in ("low", "mean", "high"))
        ax.fill_between(grid[every], low, high, color=colour, alpha=0.16, linewidth=0)
        ax.plot(grid[every], mean, color=colour, linestyle=dash, label=f"{label}, error {float(pattern['error']):.2f}")
    ax.set_xlim(grid[0], grid[-1])
    ax.set_xticks(np.arange(np.ceil(grid[0] / 30) * 30, grid[-1] + 1e-6, 30))
    ax.set_ylim(bottom=0)
    power = f"radiated power / p_ref\n(p_ref = {1e3 * p_ref_w:.3g} mW)"
    ax.set(xlabel="direction from broadside [deg]", ylabel=power)
    _legend(figure, ax, columns=2 if len(patterns) > 2 else 3)
    return figure


@_styled
def pattern_error_curve(
    records: Records, threshold: float | None, silence_error: float, least_error: float
) -> "Figure":
    """Beam-pattern error against episodes, its threshold and two reference errors; below, the multiplier."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure, (ax, below) = _axes(4.6, nrows=2, sharex=True, height_ratios=[2, 1])
    training = _series(records, "episodes", "pattern_error")
    validation = _series(records, "episodes", "validation/pattern_error")
    _draw(ax, training, color=ORANGE, linewidth=1.2, label="training batch, mean")
    _draw(ax, validation, color=BLUE, label="validation channels, mean")
    limits = [] if threshold is None else [(threshold, "threshold", VERMILLION, "-")]
    limits += [(silence_error, "transmit nothing", GREY, "--"), (least_error, "least reachable", GREY, ":")]
    for value, _, colour, dash in limits:
        ax.axhline(value, color=colour, linestyle=dash, linewidth=1.2, zorder=1.5)
    shown = np.concatenate([training[1], validation[1], [value for value, *_ in limits]])
    shown = shown[shown > 0]
    ax.set_yscale("log")
    ax.set_ylim(shown.min(initial=1) / 1.5, shown.max(initial=1) * 1.5)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel("beam-pattern error\n[dimensionless]")
    _label_right(ax, [(value, f"{name} {value:.3g}", colour) for value, name, colour, _ in limits if value > 0], 2.3)
    multiplier = _series(records, "episodes", "mu/beam_pattern")
    _draw(below, multiplier, color=PURPLE)
    if not len(multiplier[0]):
        below.text(0.5, 0.5, "no multiplier in use", transform=below.transAxes, ha="center", va="center", color=GREY)
    below.set(ylabel="multiplier μ\n[bit/s/Hz]", ylim=(0, 1.1 * _largest(multiplier, axis=1) or 1))
    figure.align_ylabels([ax, below])
    _counts(below, "training episodes", _largest(training, validation, multiplier))
    _legend(figure, ax)
    return figure


@_styled
def pattern_error_histogram(errors: np.ndarray, threshold: float | None) -> "Figure":
    """Distribution of the error over single channels, before any scaling; the share above the threshold on top."""
    figure, ax = _axes(3.0)
    errors = np.asarray(errors, dtype=float).ravel()
    errors = errors[np.isfinite(errors)]
    ax.set(xlabel="beam-pattern error [dimensionless]", ylabel="share of channels [%]")
    if not len(errors):
        ax.text(0.5, 0.5, "no channels", transform=ax.transAxes, ha="center", va="center", color=GREY)
        return figure
    # The limit is an edge between two bins, so that no bar is partly above it.
    limit = errors.min() if threshold is None else threshold * (1 + TOLERANCE)
    low, high = min(errors.min(), limit), max(errors.max(), limit)
    width = max(high - low, 0.05 * abs(high), 1e-6) / 32
    edges = limit + width * np.arange(np.floor((low - limit) / width), np.ceil((high - limit) / width) + 2)
    share = 100 * np.histogram(errors, edges)[0] / len(errors)
    colours = np.where((edges[:-1] > limit - width / 2) & (threshold is not None), VERMILLION, BLUE)
    ax.bar(edges[:-1], share, width=width, align="edge", color=colours, edgecolor="white", linewidth=0.4)
    title = f"{len(errors)} channels, no threshold"
    if threshold is not None:
        ax.axvline(threshold, color=INK, linewidth=1.3, linestyle="--")
        share_above = f"({100 * np.mean(errors > limit):.1f} %) above the threshold of {threshold:g}"
        title = f"{np.sum(errors > limit)} of {len(errors)} channels {share_above}"
    ax.set_title(title, loc="left")
    return figure


@_styled
def method_comparison(rows: Records) -> "Figure":
    """Feasible rate with its 95 % interval for each method and surface, best on top, and the rate before scaling."""
    ordered = sorted(rows, key=lambda row: -_finite(row.get("rate_feasible"), -np.inf))
    figure, ax = _axes(1.5 + 0.25 * max(len(ordered), 2))
    for place, row in enumerate(ordered):
        rate, raw = _finite(row.get("rate_feasible"), np.nan), _finite(row.get("rate"), np.nan)
        low, high = _finite(row.get("ci_low"), rate), _finite(row.get("ci_high"), rate)
        kind, colour, marker = ("learned", BLUE, "o") if row.get("learned") else ("classical", INK, "s")
        ax.plot(raw, place, "D", color=GREY, markerfacecolor="white", ms=5, mew=0.8, label="as designed (may violate)")
        ax.errorbar(
            rate, place, xerr=[[max(rate - low, 0)], [max(high - rate, 0)]], fmt=marker, color=colour,
            markersize=3.5, elinewidth=1.2, capsize=4, label=f"{kind}, feasible, 95 %",
        )  # fmt: skip
        violation = row.get("violation_rate")
        text = "–" if violation is None else f"{100 * violation:.1f} %"
        _beside(ax, place, text)
    _beside(ax, -1.0, "violates")
    ax.set_yticks(range(len(ordered)), [f"{row['method']}, {row['surface']}" for row in ordered])
    for tick, row in zip(ax.get_yticklabels(), ordered, strict=True):
        tick.set_color(BLUE if row.get("learned") else INK)
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(ordered) - 0.5, -0.6), xlabel=RATE)
    ax.set_xlim(left=0)
    _legend(figure, ax)
    return figure


@_styled
def constraint_violations(shares: Mapping[str, Mapping[str, tuple[float, float]]]) -> "Figure":
    """Share of channels that violate each named constraint, as designed (open) and after the scaling (filled).

    Args:
      shares: by design, then by constraint: (as designed, after the scaling), from 0 to 1.
    """
    names = list(dict.fromkeys(name for by_name in shares.values() for name in by_name))
    figure, ax = _axes(1.5 + len(names) * (0.12 + 0.16 * max(len(shares), 1)))
    height = 0.84 / max(len(shares), 1)
    colours = itertools.cycle([BLUE, VERMILLION, GREEN, PURPLE, INK])
    for i, ((label, by_name), colour) in enumerate(zip(shares.items(), colours, strict=False)):
        places = np.arange(len(names)) - 0.42 + height * (i + 0.5)
        designed, scaled = 100 * np.array([by_name.get(name, (0, 0)) for name in names], dtype=float).reshape(-1, 2).T
        ax.barh(places, designed, 0.8 * height, color="white", edgecolor=colour, linewidth=1)
        ax.barh(places, scaled, 0.8 * height, color=colour, label=label)
        for place, before, after in zip(places, designed, scaled, strict=True):
            text = "0" if before == after == 0 else f"{before:.1f} %" + ("" if before == after else f" → {after:.1f} %")
            ax.annotate(text, (max(before, after), place), xytext=(4, 0), textcoords="offset points", va="center",
                        fontsize=8, color=colour)  # fmt: skip
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.set(ylim=(len(names) - 0.5, -0.5), xlabel="channels that violate [%]")
    ax.set_xlim(0, max(1.3 * max((100 * max(pair) for n in shares.values() for pair in n.values()), default=0), 1))
    _legend(figure, ax)
    return figure


@_styled
def multipliers(records: Records, names: Sequence[str]) -> "Figure":
    """Multiplier of each named constraint against environment steps; below, its mean slack in training."""
    from matplotlib.ticker import FuncFormatter

    figure, (ax, below) = _axes(4.6, nrows=2, sharex=True)
    looks = itertools.cycle(itertools.product(("-", "--"), (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)))
    right, top, slacks = 0.0, 0.0, np.zeros(0)
    for name, (dash, colour) in zip(names, looks, strict=False):
        price, slack = (_series(records, "env_steps", f"{kind}/{name}") for kind in ("mu", "slack"))
        _draw(ax, price, color=colour, linestyle=dash, label=name)
        _draw(below, slack, color=colour, linestyle=dash, label=name)
        right, top = max(right, _largest(price, slack)), max(top, _largest(price, axis=1))
        slacks = np.concatenate([slacks, slack[1]])
    below.axhline(0, color=INK, linewidth=1, linestyle=":")
    if np.abs(slacks).max(initial=0) > 10:  # a bound that hardly exists has a slack of minus millions
        below.set_yscale("symlog", linthresh=1)
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if top == 0:
        ax.text(0.5, 0.5, "no multiplier in use", transform=ax.transAxes, ha="center", va="center", color=GREY)
    ax.set(ylabel="multiplier μ\n[bit/s/Hz]", ylim=(0, 1.1 * top or 1))
    below.set_ylabel("mean slack\n[dimensionless]")
    figure.align_ylabels([ax, below])
    _counts(below, "environment steps", right)
    _legend(figure, below)
    return figure


def _beside(ax: "Axes", place: float, text: str) -> None:
    """Text in a column right of the axes, in points, so that long labels on the left do not push it into them."""
    ax.annotate(
        text, (1, place), xycoords=ax.get_yaxis_transform(), xytext=(50, 0), textcoords="offset points",
        ha="right", va="center", fontsize=9, annotation_clip=False,
    )  # fmt: skip


def _svg(figure: "Figure", salt: str) -> str:
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def to_svg(figure: "Figure", prefix: str = "", label: str = "") -> str:
    """The figure as an `<svg>` element to be put into an HTML page.

    Args:
      figure: any figure.
      prefix: begins every id, so that several figures share a page; by default made from the content.
      label: what the picture shows, for readers who cannot see it.
    """
    text = _svg(figure, prefix or "thzjax")
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Hundredths of a point are enough, and a fraction of the size.
    text = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    prefix = prefix or "f" + hashlib.sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r'(\bid="|\bhref="#|url\(#)', rf"\g<1>{prefix}-", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"' if label else "<svg", 1)


@_styled
def save(figure: "Figure", path_without_suffix: str | Path) -> tuple[Path, Path]:
    """Write `.png` (150 dots per inch) and `.svg`; returns both paths."""
    stem = Path(path_without_suffix)
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, svg = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
    figure.savefig(png, format="png", dpi=150)
    svg.write_text(_svg(figure, stem.name), encoding="utf-8")
    return png, svg
