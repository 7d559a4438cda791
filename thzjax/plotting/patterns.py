"""Pictures of where arrays radiate: over one angle, upright and round, and over both."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thzjax.plotting.designs import LOOKS
from thzjax.plotting.labels import beside_point, marker_box, put
from thzjax.plotting.style import GREY, INK, MAP, legend, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANGE_DB = 40.0
"""Levels further below the strongest are not drawn."""


@styled
def eirp_pattern(
    angle_deg: np.ndarray, curves: Mapping[str, np.ndarray], marks: Mapping[str, float] | tuple[()] = ()
) -> "Figure":
    """EIRP over the direction, upright; a triangle in a curve's colour shows where the one it is meant for stands.

    Args:
      angle_deg: directions [deg], `[L]`.
      curves: by label: EIRP [W], `[L]`.
      marks: directions [deg] by label; those of no curve are named.
    """
    figure, ax = new_axes(3.5)
    low, high = _levels(curves.values())
    colours = _curves(ax, curves, low, lambda level: (angle_deg, level))
    ax.set(xlim=(angle_deg[0], angle_deg[-1]), ylim=(low, high), ylabel="EIRP [dBm]", xlabel="direction [deg]")
    _every_thirty(ax, angle_deg)
    for label, angle in dict(marks).items():
        ax.plot(angle, 1.02, "v", color=colours.get(label, INK), markersize=7, clip_on=False,
                transform=ax.get_xaxis_transform())  # fmt: skip
        if label not in colours:
            ax.annotate(label, (angle, 1.02), xycoords=ax.get_xaxis_transform(), xytext=(0, 6),
                        textcoords="offset points", ha="center", fontsize=8.5)  # fmt: skip
    _legend(figure, ax, "v" if set(dict(marks)) & set(colours) else "")
    return figure


@styled
def eirp_polar(
    angle_deg: np.ndarray, curves: Mapping[str, np.ndarray], marks: Mapping[str, float] | tuple[()] = ()
) -> "Figure":
    """`eirp_pattern` round its array: the radius is the EIRP; positive directions are to the right of broadside.

    Arguments as there, directions within +-90 degrees. On axes of its own making: matplotlib's polar ones leave half a
    disc the room of a whole one.
    """
    figure, ax = new_axes(4.1)
    low, high = _levels(curves.values())
    _rings(ax, low, high)
    colours = _curves(ax, curves, low, lambda level: _turned(angle_deg, (level - low) / (high - low)))
    for label, angle in dict(marks).items():
        ax.plot(*_turned(angle, 1), "o", color=colours.get(label, INK), markersize=6, zorder=4)
        if label not in colours:
            ax.text(*_turned(angle, 1.2), label, ha="center", va="center", fontsize=8.5)
    _legend(figure, ax, "o" if set(dict(marks)) & set(colours) else "")
    return figure


def _turned(angle_deg: np.ndarray | float, radius: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """x and y of directions from upright, clockwise."""
    angle = np.deg2rad(angle_deg)
    return np.sin(angle) * radius, np.cos(angle) * radius


def _rings(ax: "Axes", low: float, high: float) -> None:
    """Half a disc with circles every 10 dB and rays every 30 degrees."""
    half = np.arange(-90.0, 91)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    levels = np.arange(np.ceil(low / 10 + 0.3) * 10, high, 10)
    for level in levels:
        ax.plot(*_turned(half, (level - low) / (high - low)), color="#e0e0e0", linewidth=0.6, zorder=0)
    ax.plot(*_turned(half, 1), color=GREY, linewidth=0.8, zorder=0)
    for angle in range(-90, 91, 30):
        ax.plot(*zip((0, 0), _turned(angle, 1), strict=True), color="#e0e0e0", linewidth=0.6, zorder=0)
        ax.text(*_turned(angle, 1.09), f"{angle}°".replace("-", "−"), ha="center", va="center", fontsize=9)
    places = (levels - low) / (high - low)
    ax.set_xticks([*-places[::-1], *places], [f"{level:.0f}".replace("-", "−") for level in (*levels[::-1], *levels)])
    ax.tick_params(axis="x", length=0)
    ax.set(xlim=(-1.2, 1.2), ylim=(0, 1.26), yticks=[], aspect="equal")
    ax.set_xlabel("radius: EIRP [dBm], rim: direction [deg]")


@styled
def direction_map(
    azimuth_deg: np.ndarray,
    elevation_deg: np.ndarray,
    power_w: np.ndarray,
    marks: Mapping[str, Sequence[float]] | tuple[()] = (),
) -> "Figure":
    """EIRP over azimuth and elevation, and who stands where.

    Args:
      azimuth_deg, elevation_deg: `[A]` and `[E]` [deg].
      power_w: EIRP [W], `[E, A]`.
      marks: (azimuth, elevation) [deg] by name.
    """
    figure, ax = new_axes(3.4)
    low, high = _levels([power_w])
    drawn = ax.pcolormesh(azimuth_deg, elevation_deg, _dbm(power_w, low), cmap=MAP, shading="nearest", vmin=low,
                          vmax=high, rasterized=True)  # fmt: skip
    figure.colorbar(drawn, ax=ax, label="EIRP [dBm]")
    ax.grid(False)
    ax.set(xlabel="azimuth [deg]", ylabel="elevation [deg]")
    _every_thirty(ax, azimuth_deg)
    for azimuth, elevation in dict(marks).values():
        ax.plot(azimuth, elevation, "o", color="white", markersize=6, markeredgecolor=INK, zorder=3)
    figure.draw_without_rendering()
    taken = [marker_box(ax, *place) for place in dict(marks).values()]
    for name, place in dict(marks).items():
        put(ax, name, beside_point(*place), taken, fontsize=8.5, color=INK, zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.75})  # fmt: skip
    return figure


def _curves(ax: "Axes", curves: Mapping[str, np.ndarray], low: float, place: Callable) -> dict[str, str]:
    """Draw levels [dBm] where `place` puts them; the colour of each curve."""
    colours = {}
    for (colour, dash), (label, power) in zip(itertools.cycle(LOOKS), curves.items(), strict=False):
        level = _dbm(power, low)
        text = label if 10 * np.log10(max(np.max(power), 1e-300)) + 30 > low else f"{label} (below the scale)"
        ax.plot(*place(level), color=colour, linestyle=dash, linewidth=1.3, label=text)
        colours[label] = colour
    return colours


def _legend(figure: "Figure", ax: "Axes", marker: str) -> None:
    """Curves, and what a marker means; in as many columns as fit."""
    if marker:
        ax.plot([], [], marker, color=GREY, markersize=6, label="where it stands")
    longest = max((len(text) for text in ax.get_legend_handles_labels()[1]), default=0)
    legend(figure, ax, columns=3 if longest < 18 else 2)


def _levels(powers: Iterable[np.ndarray]) -> tuple[float, float]:
    """Least and largest level drawn [dBm]: `RANGE_DB` below the strongest, and a little above it."""
    top = max((float(np.max(power)) for power in powers), default=0.0)
    high = 10 * np.log10(top) + 30 if top > 0 else 0.0
    return high - RANGE_DB, high + 2


def _dbm(power_w: np.ndarray, low: float) -> np.ndarray:
    """Levels [dBm], none below `low`."""
    floor = 10 ** ((low - 30) / 10)
    return np.maximum(10 * np.log10(np.maximum(np.asarray(power_w, dtype=float), floor)) + 30, low)


def _every_thirty(ax: "Axes", angle_deg: np.ndarray) -> None:
    ax.set_xticks(np.arange(np.ceil(angle_deg[0] / 30) * 30, angle_deg[-1] + 1e-6, 30))
