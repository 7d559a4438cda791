"""Pictures of a training run: what its records hold, against steps or episodes."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thzjax.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    RATE,
    VERMILLION,
    Records,
    counts,
    draw,
    finite,
    label_right,
    largest,
    legend,
    new_axes,
    series,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def learning_curve(records: Records) -> "Figure":
    """Mean sum rate of the training batch and feasible rate on the validation channels, against environment steps."""
    figure, ax = new_axes(3.3)
    training = series(records, "env_steps", "sum_rate")
    feasible = series(records, "env_steps", "validation/rate_feasible")
    draw(ax, training, color=ORANGE, linewidth=1.2, label="training batch, mean")
    draw(ax, feasible, color=BLUE, label="validation channels, feasible")
    ax.set(ylabel=RATE, ylim=(0, None))
    counts(ax, "environment steps", largest(training, feasible))
    steps, episodes = series(records, "env_steps", "episodes")
    if len(steps) and episodes[-1] > 0 and steps[-1] > 0:
        ratio = episodes[-1] / steps[-1]
        counts(ax.secondary_xaxis("top", functions=(lambda x: x * ratio, lambda x: x / ratio)), "episodes")
    legend(figure, ax)
    return figure


@styled
def capacity_against_episodes(records: Records, lines: Mapping[str, float]) -> "Figure":
    """The learner's feasible rate against training episodes, and a line for each classical method.

    The three best methods are drawn dark, the others thin; each is named, with its rate, at the right.
    """
    known = {label: rate for label, rate in lines.items() if np.isfinite(finite(rate, np.nan))}
    height = max(3.5, 1.5 + 0.2 * (len(known) + 1))
    figure, ax = new_axes(height)
    points = series(records, "episodes", "validation/rate_feasible")
    draw(ax, points, color=BLUE, linewidth=2.2, zorder=3)
    counts(ax, "training episodes", largest(points))
    labels = [(rate, f"learned {rate:.2f}", BLUE) for rate in points[1][-1:]]
    looks = itertools.chain([(INK, 1.3, "-"), (INK, 1.3, "--"), (INK, 1.3, "-.")], itertools.repeat((PALE, 0.8, "-")))
    for label, rate in sorted(known.items(), key=lambda item: -item[1]):
        colour, width, dash = next(looks)
        ax.axhline(rate, color=colour, linewidth=width, linestyle=dash, zorder=2)
        labels.append((rate, f"{label} {rate:.2f}", INK if colour == INK else GREY))
    top = max(largest(points, axis=1), max(known.values(), default=0.0))
    ax.set(ylabel="feasible " + RATE, ylim=(0, 1.06 * top or 1))
    ax.grid(False)
    label_right(ax, labels, height - 0.8)
    return figure


@styled
def pattern_error_curve(
    records: Records, threshold: float | None, silence_error: float, least_error: float
) -> "Figure":
    """Beam-pattern error against episodes, its threshold and two reference errors; below, the multiplier."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure, (ax, below) = new_axes(4.6, nrows=2, sharex=True, height_ratios=[2, 1])
    training = series(records, "episodes", "pattern_error")
    validation = series(records, "episodes", "validation/pattern_error")
    draw(ax, training, color=ORANGE, linewidth=1.2, label="training batch, mean")
    draw(ax, validation, color=BLUE, label="validation channels, mean")
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
    label_right(ax, [(value, f"{name} {value:.3g}", colour) for value, name, colour, _ in limits if value > 0], 2.3)
    multiplier = series(records, "episodes", "mu/beam_pattern")
    draw(below, multiplier, color=PURPLE)
    if not len(multiplier[0]):
        below.text(0.5, 0.5, "no multiplier in use", transform=below.transAxes, ha="center", va="center", color=GREY)
    below.set(ylabel="multiplier μ\n[bit/s/Hz]", ylim=(0, 1.1 * largest(multiplier, axis=1) or 1))
    figure.align_ylabels([ax, below])
    counts(below, "training episodes", largest(training, validation, multiplier))
    legend(figure, ax)
    return figure


@styled
def multipliers(records: Records, names: Sequence[str]) -> "Figure":
    """Multiplier of each named constraint against environment steps; below, its mean slack in training."""
    from matplotlib.ticker import FuncFormatter

    figure, (ax, below) = new_axes(4.6, nrows=2, sharex=True)
    looks = itertools.cycle(itertools.product(("-", "--"), (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)))
    right, top, slacks = 0.0, 0.0, np.zeros(0)
    for name, (dash, colour) in zip(names, looks, strict=False):
        price, slack = (series(records, "env_steps", f"{kind}/{name}") for kind in ("mu", "slack"))
        draw(ax, price, color=colour, linestyle=dash, label=name)
        draw(below, slack, color=colour, linestyle=dash, label=name)
        right, top = max(right, largest(price, slack)), max(top, largest(price, axis=1))
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
    counts(below, "environment steps", right)
    legend(figure, below)
    return figure


@styled
def seed_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    upright: str = "feasible " + RATE,
    across: str = "environment steps",
    lines: Mapping[str, float] | tuple[()] = (),
) -> "Figure":
    """Learning curves of several seeds: their mean, and the band from the worst seed to the best.

    Args:
      curves: by label: steps `[T]` and what each seed had reached `[S, T]`; NaN where a seed has no value.
      upright, across: what the axes show.
      lines: what does not learn, by label.
    """
    height = max(3.5, 1.5 + 0.2 * (len(curves) + len(lines) + 1))
    figure, ax = new_axes(height)
    looks = itertools.cycle(itertools.product(("-", "--", ":"), (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, INK)))
    labels = []
    for (label, (steps, values)), (dash, colour) in zip(curves.items(), looks, strict=False):
        there = np.any(np.isfinite(values), axis=0)
        x, seen = np.asarray(steps)[there], np.asarray(values)[:, there]
        if not len(x):
            continue
        ax.fill_between(x, np.nanmin(seen, axis=0), np.nanmax(seen, axis=0), color=colour, alpha=0.16, linewidth=0)
        mean = np.nanmean(seen, axis=0)
        ax.plot(x, mean, color=colour, linestyle=dash)
        labels.append((mean[-1], f"{label} {mean[-1]:.2f}", colour))
    for (label, value), dash in zip(dict(lines).items(), itertools.cycle(("--", ":", "-.")), strict=False):
        ax.axhline(value, color=GREY, linestyle=dash, linewidth=0.9, zorder=1.5)
        labels.append((value, f"{label} {value:.2f}", GREY))
    lowest = min((np.nanmin(values, initial=0.0) for _, values in curves.values()), default=0.0)
    ax.set(ylabel=upright, **({"ylim": (0, None)} if lowest >= 0 else {}))
    counts(ax, across, max((float(np.max(steps)) for steps, _ in curves.values()), default=1.0))
    label_right(ax, labels, height - 0.8)
    return figure
