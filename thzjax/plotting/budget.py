"""The picture of a link budget: level of the signal from term to term, and the noise that it ends above."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from thzjax.plotting.designs import beside
from thzjax.plotting.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, VERMILLION, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Terms = Sequence[tuple[str, float | None]]
COLUMN_PT = 64
"""Width of the column of numbers, for -100.0 dBm."""


@styled
def budget_waterfall(gains: Terms, noises: Terms, result: str = "SNR", received: str = "received power") -> "Figure":
    """What every hop, gain and noise costs: one bar for each term, from the level before it to the level after it.

    Args:
      gains: (name, value) in the order in which the signal meets them: the transmit power [dBm], then gains [dB],
        losses negative. A value of none makes the name a subtotal.
      noises: (name, value): the receiver's noise [dBm], then what adds to it [dB]; none for a subtotal.
      result: name of the signal over the noise.
      received: name of the level after all gains.
    """
    gains, noises = [*gains, (received, None)], list(noises)
    if len(noises) > 1:
        noises.append(("noise in all", None))
    rows = len(gains) + len(noises) + 1
    figure, ax = new_axes(0.8 + 0.225 * rows)
    signal = _fall(ax, gains, 0, BLUE, VERMILLION, INK)
    noise = _fall(ax, noises, len(gains), ORANGE, ORANGE, ORANGE)
    over = signal - noise
    colour = GREEN if over >= 0 else VERMILLION
    ax.barh(rows - 1, over, left=noise, height=0.62, color=colour)
    for level, top, ink in ((signal, len(gains) - 1, INK), (noise, rows - 2, ORANGE)):
        ax.plot([level, level], [top, rows - 0.65], color=ink, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    beside(ax, rows - 1, f"{decibels(over)} dB", COLUMN_PT)
    ax.set_yticks(range(rows), [*(name for name, _ in gains), *(name for name, _ in noises), result])
    for tick, (_, value) in zip(ax.get_yticklabels(), [*gains, *noises, (result, None)], strict=True):
        tick.set_fontweight("bold" if value is None else "normal")
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.use_sticky_edges = False
    ax.margins(x=0.05)
    ax.set(ylim=(rows - 0.4, -0.6), xlabel="level [dBm]")
    return figure


def _fall(ax: "Axes", terms: Terms, first: int, gain: str, loss: str, level_colour: str) -> float:
    """Bars from level to level, from row `first` down; the last level [dBm]."""
    level = 0.0
    for row, (_, value) in enumerate(terms, first):
        start = level
        if row == first or value is None:
            level = float(value) if value is not None else level
            ax.plot(level, row, "D", color=level_colour, markersize=4.5, zorder=3)
            beside(ax, row, f"{decibels(level, False)} dBm", COLUMN_PT)
        else:
            level += float(value)
            ax.barh(row, value, left=start, height=0.62, color=gain if value >= 0 else loss)
            beside(ax, row, f"{decibels(value)} dB", COLUMN_PT)
        if row > first:
            ax.plot([start, start], [row - 1, row], color=PALE if value is not None else GREY, linewidth=0.8, zorder=0)
    return level


def decibels(value: float, signed: bool = True) -> str:
    """A number of decibels to a tenth, or to a hundredth where that would be none."""
    digits = 1 if abs(value) >= 0.05 else 2
    return f"{value + 0.0:{'+' if signed else ''}.{digits}f}".replace("-", "−")
