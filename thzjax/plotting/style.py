"""What every picture shares: one style, colours that the colour-blind can tell apart, labels that do not collide.

Figures are built with matplotlib's object interface, so no window, no global state and no display is involved.
They are about 13 cm wide with 10 pt text, which stays legible at half a page.
"""

import functools
import hashlib
import html
import io
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
MAP = "cividis"
"""Colours of numbers in heat maps: alike to all eyes, and ascending in print without colour."""
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


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function under `STYLE` and leave matplotlib's settings as they were."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapped


def new_axes(height_in: float, **grid: Any) -> tuple["Figure", Any]:
    """A figure of one width, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots(**grid)


def finite(value: Any, otherwise: float) -> float:
    """The value as a float, or another one where it is missing."""
    return float(value) if value is not None and np.isfinite(value) else otherwise


def series(records: Records, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    """The finite points (x, y) of the records that have both; x counts from 0 at environment step 0."""

    def point(record: Mapping[str, Any]) -> tuple[float, float]:
        start = 0.0 if record.get("env_steps") == 0 else np.nan
        return finite(record.get(x), start), finite(record.get(y), np.nan)

    points = np.array([point(record) for record in records], dtype=float).reshape(-1, 2)
    points = points[np.all(np.isfinite(points), axis=1)]
    return points[:, 0], points[:, 1]


def draw(ax: "Axes", points: tuple[np.ndarray, np.ndarray], **style: Any) -> None:
    """A line, with markers where the points are few; nothing where there is no point."""
    if len(points[0]):
        ax.plot(*points, **({"marker": "o", "markersize": 3} if len(points[0]) <= 40 else {}), **style)


def counts(ax: "Axes", label: str, right: float | None = None) -> None:
    """An x axis that counts: from 0 to `right`, 200k for two hundred thousand."""
    from matplotlib.ticker import EngFormatter

    if right is not None:
        ax.set_xlim(0, right if right > 0 else 1)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.set_xlabel(label)


def largest(*series: tuple[np.ndarray, np.ndarray], axis: int = 0) -> float:
    """The largest x (or y) of several series; 0 where there is none."""
    return max((float(points[axis].max()) for points in series if len(points[0])), default=0.0)


def legend(figure: "Figure", ax: "Axes", columns: int = 2) -> None:
    """The legend, each label once, below the axes, where it covers no data."""
    if named := dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True)):
        figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns)


def spread(wanted: np.ndarray, gap: float) -> np.ndarray:
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


def label_right(ax: "Axes", labels: Sequence[tuple[float, str, str]], height_in: float) -> None:
    """Write (y, text, colour) right of the axes beside y, moved apart where they would overlap."""
    ys = np.array([[1.0, y] for y, _, _ in labels]).reshape(-1, 2)
    wanted = ax.transAxes.inverted().transform(ax.transData.transform(ys))[:, 1]
    for at, place, (_, text, colour) in zip(wanted, spread(wanted, 12.5 / 72 / height_in), labels, strict=True):
        ax.annotate(
            text, xy=(1, at), xytext=(1.05, place), xycoords="axes fraction", textcoords="axes fraction",
            va="center", fontsize=9, color=colour, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": PALE, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 0,
                        "relpos": (0, 0.5)},
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


@styled
def to_png(figure: "Figure", dots_per_inch: int = 150) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch)
    return buffer.getvalue()


def to_rgb(figure: "Figure") -> np.ndarray:
    """The figure as pixels, uint8 `[height, width, 3]`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@styled
def save(figure: "Figure", path_without_suffix: str | Path) -> tuple[Path, Path]:
    """Write `.png` (150 dots per inch) and `.svg`, each whole or not at all; returns both paths."""
    stem = Path(path_without_suffix)
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, svg = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
    for path, content in ((png, to_png(figure)), (svg, _svg(figure, stem.name).encode())):
        aside = path.with_name(path.name + ".tmp")
        aside.write_bytes(content)
        aside.replace(path)
    return png, svg
