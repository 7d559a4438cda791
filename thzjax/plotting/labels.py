"""Labels that find room: each takes the place, of those that would do, where it covers least of what is there."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thzjax.plotting.style import PALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

Place = tuple[tuple[float, float], tuple[float, float], float]
"""A point in data units, on which side of it (x and y from -1 to 1; 0, 0 is on it), and how far off in points."""
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
FAR_PT = 11
"""From this distance on a line leads from the point to its label."""
BIAS = 1e-6
"""Of a label's own area, for every place passed over: the first of two equally good ones is taken."""


def beside_point(x: float, y: float, gaps: Sequence[float] = (6, 14, 24)) -> list[Place]:
    """Places round a point, near ones first."""
    return [((x, y), side, gap) for gap in gaps for side in SIDES]


def along_line(start: Sequence[float], end: Sequence[float], shares: Iterable[float]) -> list[Place]:
    """Places on a line, at shares of its length."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    return [(tuple((1 - t) * start + t * end), (0, 0), 0) for t in shares]


def marker_box(ax: "Axes", x: float, y: float, size_pt: float = 9) -> "Bbox":
    """What a marker covers, in pixels; the axes must have been laid out."""
    from matplotlib.transforms import Bbox

    half = size_pt / 2 * ax.figure.dpi / 72
    at = ax.transData.transform((x, y))
    return Bbox([at - half, at + half])


def put(ax: "Axes", text: str, places: Sequence[Place], taken: list["Bbox"], **style: Any) -> None:
    """Write a text at the best of several places; `taken` gets the box that it covers.

    The axes must have been laid out (`Figure.draw_without_rendering`).

    Args:
      ax: where.
      text: what.
      places: that would do, best first.
      taken: boxes to keep clear of, in pixels.
      style: of the text.
    """
    from matplotlib.transforms import Bbox

    pixels = ax.figure.dpi / 72
    label = ax.annotate(
        text, (0, 0), xytext=(0, 0), textcoords="offset points", ha="center", va="center", annotation_clip=False,
        **style,
    )  # fmt: skip
    label.set_in_layout(False)
    extent = label.get_window_extent()
    size = np.array([extent.width, extent.height])

    def shift(place: Place) -> np.ndarray:
        return np.array(place[1]) * (size / 2 + place[2] * pixels)

    def box(place: Place) -> "Bbox":
        middle = ax.transData.transform(place[0]) + shift(place)
        return Bbox([middle - size / 2, middle + size / 2])

    def covered(place: Place) -> float:
        own = box(place)
        outside = size.prod() - overlap(own, ax.bbox)
        return outside + sum(overlap(own, other) for other in taken)

    best = min(range(len(places)), key=lambda i: covered(places[i]) + i * BIAS * size.prod())
    label.xy = places[best][0]
    label.set_position(shift(places[best]) / pixels)
    if places[best][2] >= FAR_PT:
        edge = np.array(places[best][1]) * places[best][2]
        leader = ax.annotate(
            "", places[best][0], xytext=tuple(edge), textcoords="offset points", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": PALE, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 3},
        )  # fmt: skip
        leader.set_in_layout(False)
    taken.append(box(places[best]))


def overlap(a: "Bbox", b: "Bbox") -> float:
    """Area that two boxes share [pixels^2]."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(width, 0.0) * max(height, 0.0)
