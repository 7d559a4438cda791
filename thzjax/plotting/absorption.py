"""The picture of what air absorbs, and of the windows between its lines."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thzjax.plotting.style import BLUE, GREEN, INK, PURPLE, VERMILLION, legend, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS = [(BLUE, "-"), (GREEN, "--"), (PURPLE, ":"), (INK, "-.")]
NARROW = 0.055
"""Windows of a smaller share of the axis are shaded but not named."""


@styled
def absorption_spectrum(
    freq_hz: np.ndarray,
    curves: Mapping[str, np.ndarray],
    windows: Sequence[tuple[float, float]] = (),
    limit: tuple[float, str] | None = None,
    carrier: tuple[float, float] | None = None,
) -> "Figure":
    """Absorption over the frequency, with transmission windows shaded and the carrier marked.

    Args:
      freq_hz: [Hz], `[F]`.
      curves: by label: absorption [dB/km], `[F]`; NaN where a model does not hold.
      windows: (lower, upper) edge [Hz] of every window.
      limit: absorption [dB/km] that makes a window, and its label.
      carrier: frequency [Hz] and the absorption [dB/km] that is reckoned with there.
    """
    from matplotlib.ticker import FuncFormatter

    figure, ax = new_axes(3.7)
    freq = np.asarray(freq_hz, float) * 1e-9
    for low, high in windows:
        low, high = low * 1e-9, high * 1e-9
        ax.axvspan(low, high, color="#dcebd9", linewidth=0, zorder=0, label="window")
        if high - low > NARROW * np.ptp(freq):
            ax.annotate(f"{low:.0f}\nto {high:.0f}", ((low + high) / 2, 1), xycoords=ax.get_xaxis_transform(),
                        xytext=(0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=8)  # fmt: skip
    for (colour, dash), (label, values) in zip(itertools.cycle(LOOKS), curves.items(), strict=False):
        ax.plot(freq, values, color=colour, linestyle=dash, linewidth=1.4, label=label)
    if limit is not None:
        ax.axhline(limit[0], color=VERMILLION, linewidth=1, linestyle=(0, (4, 3)), label=limit[1])
    if carrier is not None and carrier[1] > 0:
        ax.plot(carrier[0] * 1e-9, carrier[1], "D", color=INK, markersize=6, markeredgecolor="white", zorder=4,
                label="carrier, as reckoned with")  # fmt: skip
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set(xlim=(freq[0], freq[-1]), xlabel="frequency [GHz]", ylabel="absorption [dB/km]")
    legend(figure, ax)
    return figure
