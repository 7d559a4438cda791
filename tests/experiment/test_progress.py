"""What a watcher sees while a run goes on."""

import sys

import pytest

from thzjax.experiment.config import resolve
from thzjax.experiment.progress import TrainingProgress, describe

METRICS = {
    "episode_return": 3.0, "sum_rate": 3.25, "pattern_error": 1.9, "mu/beam_pattern": 0.7, "lambda_mean": 1.0,
    "validation/rate_feasible": 3.1,
}  # fmt: skip


def test_the_line_names_what_matters():
    text = describe(METRICS)
    for part in (
        "return 3.00",
        "sum rate 3.25",
        "pattern error 1.90",
        "mu/beam_pattern 0.70",
        "lambda 1.00",
        "feasible 3.100",
    ):
        assert part in text
    unlimited = {k: v for k, v in METRICS.items() if k not in ("pattern_error", "mu/beam_pattern")}
    assert "pattern" not in describe(unlimited)


@pytest.mark.parametrize("terminal", [False, True])
def test_speed_share_and_time_left_are_shown(capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    progress = TrainingProgress()
    progress.start(resolve("paper-a", steps=40_000), 0)
    progress.update(3, METRICS, 41_000.0, 0.0)
    progress.stop()
    text = capsys.readouterr().err
    assert "41.0 k steps/s" in text
    assert "left" in text
    assert "100" in text
