"""Pictures of designs: patterns, rates and what they violate."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from thzjax.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PURPLE,
    RATE,
    TOLERANCE,
    VERMILLION,
    Records,
    finite,
    legend,
    new_axes,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
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
    figure, ax = new_axes(3.6)
    grid, every = _directions(ax, grid_deg, desired, p_ref_w)
    for (colour, dash), (label, pattern) in zip(itertools.cycle(LOOKS), patterns.items(), strict=False):
        low, mean, high = (np.asarray(pattern[key], dtype=float)[every] for key in ("low", "mean", "high"))
        ax.fill_between(grid[every], low, high, color=colour, alpha=0.16, linewidth=0)
        ax.plot(grid[every], mean, color=colour, linestyle=dash, label=f"{label}, error {float(pattern['error']):.2f}")
    ax.set_ylim(bottom=0)
    legend(figure, ax, columns=2 if len(patterns) > 2 else 3)
    return figure


@styled
def user_beam_patterns(grid_deg: np.ndarray, desired: np.ndarray, patterns: np.ndarray, p_ref_w: float) -> "Figure":
    """What each user's beams radiate on one channel, and all together.

    Args:
      grid_deg, desired, p_ref_w: as in `beam_patterns`.
      patterns: in units of p_ref, `[K, L]`.
    """
    figure, ax = new_axes(3.6)
    grid, every = _directions(ax, grid_deg, desired, p_ref_w)
    patterns = np.asarray(patterns, dtype=float)
    ax.plot(grid[every], patterns.sum(axis=0)[every], color=INK, linewidth=2, label="all users")
    for (colour, dash), k in zip(itertools.cycle(LOOKS[:4]), range(len(patterns)), strict=False):
        ax.plot(grid[every], patterns[k][every], color=colour, linestyle=dash, label=f"user {k + 1}")
    ax.set_ylim(bottom=0)
    legend(figure, ax, columns=3)
    return figure


LOOKS = [(BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":"), (INK, "-")]


def _directions(ax: "Axes", grid_deg: np.ndarray, desired: np.ndarray, p_ref_w: float) -> tuple[np.ndarray, slice]:
    """Axes of a beam pattern with the desired one; (directions [deg], those worth drawing)."""
    grid, desired = np.asarray(grid_deg, dtype=float), np.asarray(desired, dtype=float)
    turns = np.diff(desired) != 0
    ends = np.r_[True, turns] | np.r_[turns, True]  # both sides of every edge draw the same steps
    ends[[0, -1]] = True
    ax.fill_between(grid[ends], desired[ends], step="mid", color="#cfcfcf", linewidth=0, label="desired")
    ax.set_xlim(grid[0], grid[-1])
    ax.set_xticks(np.arange(np.ceil(grid[0] / 30) * 30, grid[-1] + 1e-6, 30))
    power = f"radiated power / p_ref\n(p_ref = {1e3 * p_ref_w:.3g} mW)"
    ax.set(xlabel="direction from broadside [deg]", ylabel=power)
    return grid, slice(None, None, max(1, len(grid) // 300))


@styled
def pattern_error_histogram(errors: np.ndarray, threshold: float | None) -> "Figure":
    """Distribution of the error over single channels, before any scaling; the share above the threshold on top."""
    figure, ax = new_axes(3.0)
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


@styled
def method_comparison(rows: Records) -> "Figure":
    """Feasible rate with its 95 % interval for each method and surface, best on top, and the rate before scaling."""
    ordered = sorted(rows, key=lambda row: -finite(row.get("rate_feasible"), -np.inf))
    figure, ax = new_axes(1.5 + 0.25 * max(len(ordered), 2))
    for place, row in enumerate(ordered):
        rate, raw = finite(row.get("rate_feasible"), np.nan), finite(row.get("rate"), np.nan)
        low, high = finite(row.get("ci_low"), rate), finite(row.get("ci_high"), rate)
        kind, colour, marker = ("learned", BLUE, "o") if row.get("learned") else ("classical", INK, "s")
        ax.plot(raw, place, "D", color=GREY, markerfacecolor="white", ms=5, mew=0.8, label="as designed (may violate)")
        ax.errorbar(
            rate, place, xerr=[[max(rate - low, 0)], [max(high - rate, 0)]], fmt=marker, color=colour,
            markersize=3.5, elinewidth=1.2, capsize=4, label=f"{kind}, feasible, 95 %",
        )  # fmt: skip
        violation = row.get("violation_rate")
        text = "–" if violation is None else f"{100 * violation:.1f} %"
        beside(ax, place, text)
    beside(ax, -1.0, "violates")
    ax.set_yticks(range(len(ordered)), [f"{row['method']}, {row['surface']}" for row in ordered])
    for tick, row in zip(ax.get_yticklabels(), ordered, strict=True):
        tick.set_color(BLUE if row.get("learned") else INK)
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(ordered) - 0.5, -0.6), xlabel=RATE)
    ax.set_xlim(left=0)
    legend(figure, ax)
    return figure


@styled
def constraint_violations(shares: Mapping[str, Mapping[str, tuple[float, float]]]) -> "Figure":
    """Share of channels that violate each named constraint, as designed (open) and after the scaling (filled).

    Args:
      shares: by design, then by constraint: (as designed, after the scaling), from 0 to 1.
    """
    names = list(dict.fromkeys(name for by_name in shares.values() for name in by_name))
    figure, ax = new_axes(1.5 + len(names) * (0.12 + 0.16 * max(len(shares), 1)))
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
    legend(figure, ax)
    return figure


@styled
def rates_and_slack(rates: np.ndarray, slack: Mapping[str, float]) -> "Figure":
    """One design on one channel: each user's rate, and how far every constraint is from its limit.

    Args:
      rates: [bit/s/Hz], `[K]`.
      slack: by constraint, in units of the limit; negative where it is violated. Drawn from -1 to 1.
    """
    figure, (left, right) = new_axes(2.6, ncols=2)
    left.bar(np.arange(1, len(rates) + 1), np.asarray(rates, dtype=float), color=BLUE)
    left.set(xlabel="user", ylabel="rate [bit/s/Hz]", xticks=np.arange(1, len(rates) + 1))
    left.set_title(f"sum {float(np.sum(rates)):.2f} bit/s/Hz")
    values = np.clip(np.array([float(x) for x in slack.values()]), -1, 1)
    right.barh(np.arange(len(values)), values, color=[VERMILLION if x < -TOLERANCE else GREEN for x in values])
    right.set_yticks(np.arange(len(values)), list(slack))
    right.axvline(0, color=INK, linewidth=0.8)
    right.set(xlim=(-1, 1), xlabel="slack, share of the limit")
    return figure


def beside(ax: "Axes", place: float, text: str, width_pt: float = 50) -> None:
    """Text in a column right of the axes, in points, so that long labels on the left do not push it into them."""
    ax.annotate(
        text, (1, place), xycoords=ax.get_yaxis_transform(), xytext=(width_pt, 0), textcoords="offset points",
        ha="right", va="center", fontsize=9, annotation_clip=False,
    )  # fmt: skip
