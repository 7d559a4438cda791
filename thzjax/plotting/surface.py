"""The picture of a reflecting surface: what every element is set to."""

from typing import TYPE_CHECKING

import numpy as np

from thzjax.plotting.style import MAP, TOLERANCE, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CYCLE = "twilight"
"""Ends where it begins, as phases do, and goes by lightness."""


@styled
def surface_map(reflection: np.ndarray, shape: tuple[int, int]) -> "Figure":
    """Phase of every element, and beside it the amplitude where one is not 1.

    Args:
      reflection: psi, complex `[N]`, element row*columns + column.
      shape: (rows, columns); rows are drawn from left to right, columns upwards, as the arrays stand.
    """
    psi = np.asarray(reflection).reshape(shape).T
    amplitude = np.abs(psi)
    louder = bool(np.any(np.abs(amplitude - 1) > TOLERANCE))
    wide = 1.7 if louder else 3.6
    height = float(np.clip(wide * shape[1] / shape[0] + 1.2, 2.3, 5.5))
    figure, axes = new_axes(height, ncols=2 if louder else 1, squeeze=False)
    first, *second = axes[0]
    _elements(first, np.rad2deg(np.angle(psi)), "phase [deg]", cmap=CYCLE, vmin=-180, vmax=180)
    for ax in second:
        level = 20 * np.log10(np.maximum(amplitude, 1e-3))
        _elements(ax, level, "amplitude [dB]", cmap=MAP)
    return figure


def _elements(ax: "Axes", values: np.ndarray, label: str, **colours) -> None:
    columns, rows = values.shape
    drawn = ax.pcolormesh(np.arange(1, rows + 1), np.arange(1, columns + 1), values, shading="nearest",
                          edgecolors="white", linewidth=0.4, **colours)  # fmt: skip
    bar = ax.figure.colorbar(drawn, ax=ax, label=label, location="bottom")
    if "vmax" in colours:
        bar.set_ticks([-180, -90, 0, 90, 180])
    ax.grid(False)
    ax.set(aspect="equal", xlabel="row [element]", ylabel="column [element]")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
