"""A run's learning curve as a picture that is drawn again and again while it trains."""

import time
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from thzjax import plotting
from thzjax.experiment.files import read_metrics, write_atomically
from thzjax.experiment.learned import runs_in
from thzjax.plotting.style import to_png

PICTURE = Path("figures", "learning.png")
EVERY_S = 20.0
SHARE = 0.02
"""Of the time that passes, drawing takes at most this share."""
MOST_POINTS = 1000
"""Of more records than twice as many, every so many are drawn, so that a run of days takes no more memory."""


def _thinned(runs: Sequence[Path]) -> list[list[dict[str, float]]]:
    """The records of runs, every so many of them, the same of all."""
    files = [run / "metrics.jsonl" for run in runs]
    every = max(1, max(map(_lines, files)) // MOST_POINTS)
    return [read_metrics(file, every) for file in files]


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def seed_records(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Feasible rate over training of a folder's runs, by label: steps `[T]`, values `[S, T]`, NaN where not yet."""
    curves = {}
    for label, runs in runs_in(folder).items():
        records = _thinned(runs)
        steps = [record["env_steps"] for record in max(records, key=len)]
        values = np.full((len(runs), len(steps)), np.nan)
        for row, of_run in zip(values, records, strict=True):
            row[: len(of_run)] = [record["validation/rate_feasible"] for record in of_run]
        curves[label or ("one run" if len(values) == 1 else f"{len(values)} seeds")] = (np.array(steps, float), values)
    return curves


def draw_learning(folder: Path) -> Path:
    """Draw the learning curve of a run, or those of runs side by side, as they stand; the picture's path."""
    several = "" not in (runs := runs_in(folder)) or len(runs[""]) > 1
    figure = plotting.seed_curves(seed_records(folder)) if several else plotting.learning_curve(_thinned(runs[""])[0])
    write_atomically(folder / PICTURE, to_png(figure))
    return folder / PICTURE


class LearningPicture:
    """Follows a run's progress and keeps `figures/learning.png` of its folder up to date.

    It is drawn while the next record is computed, on one thread of its own, as matplotlib keeps fonts open for every
    thread that draws: not before `EVERY_S` seconds have passed, nor again before as many, nor for more than `SHARE` of
    the time. A picture that cannot be drawn is no reason to stop a run: it is said once, and drawing ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._artist = ThreadPoolExecutor(1, "learning-picture")
        self._drawing: Future[None] | None = None
        self._next = 0.0
        self._failed = False

    def start(self, config: Any, done: int, runs: int = 1) -> None:
        """Begin to count the seconds."""
        self._next = time.monotonic() + EVERY_S

    def update(self, record: int, metrics: Any, steps_per_second: float, seconds_left: float) -> None:
        """Draw, if it is time."""
        idle = self._drawing is None or self._drawing.done()
        if idle and not self._failed and time.monotonic() >= self._next:
            self._drawing = self._artist.submit(self._draw)

    def stop(self) -> None:
        """Draw once more, where there is a picture that has fallen behind."""
        if self._drawing is not None and not self._failed:
            self._artist.submit(self._draw)
        self._artist.shutdown()

    def _draw(self) -> None:
        begin = time.monotonic()
        try:
            draw_learning(self._folder)
        except Exception as error:  # whatever it is: hours of training are worth more than a picture
            self._failed = True
            warnings.warn(f"{self._folder / PICTURE} is no longer drawn ({error})", stacklevel=2)
        now = time.monotonic()
        self._next = now + max(EVERY_S, (now - begin) / SHARE)
