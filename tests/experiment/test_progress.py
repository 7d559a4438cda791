"""What a watcher sees while a run goes on."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thzjax.experiment import progress as module
from thzjax.experiment.config import resolve
from thzjax.experiment.progress import Several, TrainingProgress, describe, in_words, paced

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


def test_the_untrained_policy_has_a_line_too():
    assert describe({"validation/rate_feasible": 3.1}) == "feasible 3.100"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (44.6, "45 s"), (99.4, "99 s"), (99.6, "2 min"), (720, "12 min"), (12_000, "3 h 20 min"),
     (432_000, "5 days"), (math.inf, "unknown"), (math.nan, "unknown")],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words


@given(st.floats(1, 1e7))
def test_words_are_true_to_half_of_their_last_unit(seconds):
    sizes = {"s": 1, "min": 60, "h": 3600, "days": 86_400}
    parts = in_words(seconds).split()
    said = sum(float(n) * sizes[unit] for n, unit in zip(parts[::2], parts[1::2], strict=True))
    assert abs(said - seconds) <= sizes[parts[-1]] * (0.5 + 1e-9)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_pace_tells_what_is_done_how_fast_and_how_long_it_takes(clock):
    said = []
    tell = paced(said.append, 400, "places")
    tell("mrt", 0)
    clock[0] += 4.0
    tell("mrt", 100)
    clock[0] += 12.0
    tell("mrt", 400)
    assert said == ["mrt (0 of 400 places)", "mrt (100 of 400 places, 25 places/s, 12 s left)",
                    "mrt (400 of 400 places, 25 places/s)"]  # fmt: skip


def test_pace_without_a_unit_has_no_rate_and_keeps_quiet_as_long_as_asked(clock):
    said = []
    tell = paced(said.append, 4, every_s=10)
    tell("zf", 0)
    clock[0] += 11.0
    tell("rzf", 1)
    clock[0] += 9.0
    tell("mrt", 2)
    clock[0] += 2.0
    tell("wmmse", 3)
    assert said == ["rzf (1 of 4, 33 s left)", "wmmse (3 of 4, 7 s left)"]


def test_pace_knows_what_takes_longer_than_the_rest(clock):
    said = []
    tell = paced(said.append, 3, shares=(1, 2, 5))
    tell("a", 0)
    clock[0] += 3.0
    tell("b", 1)
    clock[0] += 6.0
    tell("c", 2)
    assert said == ["a (0 of 3)", "b (1 of 3, 21 s left)", "c (2 of 3, 15 s left)"]


def test_several_follow_in_order_and_end_in_the_other():
    heard = []

    class Follower:
        def __init__(self, name):
            self.name = name

        def start(self, *given):
            heard.append((self.name, given))

        update = start

        def stop(self):
            heard.append((self.name, "stop"))

    all_of_them = Several([Follower("a"), Follower("b")])
    all_of_them.start("config", 3, 2)
    all_of_them.update(4, {}, 1.0, 2.0)
    all_of_them.stop()
    assert heard == [
        ("a", ("config", 3, 2)), ("b", ("config", 3, 2)), ("a", (4, {}, 1.0, 2.0)), ("b", (4, {}, 1.0, 2.0)),
        ("b", "stop"), ("a", "stop"),
    ]  # fmt: skip
