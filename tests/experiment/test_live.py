"""The learning curve that is drawn while a run trains: there in time, whole, and never the run's undoing."""

import json
import threading

import matplotlib.image
import numpy as np
import pytest
from made_up import group, run_folder

from thzjax.experiment import live
from thzjax.experiment.live import PICTURE, LearningPicture, draw_learning, seed_records


def test_the_picture_of_a_run_and_of_several_is_drawn(tmp_path):
    run_folder(tmp_path / "run", 5)
    group(tmp_path / "g", 5)
    for folder in (tmp_path / "run", tmp_path / "g"):
        path = draw_learning(folder)
        assert path == folder / "figures" / "learning.png"
        pixels = matplotlib.image.imread(path)
        assert pixels.shape[1] > 600
        assert np.ptp(pixels[..., :3]) > 0.5
        assert [p.name for p in path.parent.iterdir()] == ["learning.png"]
    before = (tmp_path / "run" / PICTURE).read_bytes()
    metrics = tmp_path / "run" / "metrics.jsonl"
    record = json.loads(metrics.read_text().splitlines()[-1])
    with metrics.open("a") as file:
        file.write(json.dumps(record | {"env_steps": 384, "sum_rate": 9.0, "validation/rate_feasible": 8.0}) + "\n")
    draw_learning(tmp_path / "run")
    assert (tmp_path / "run" / PICTURE).read_bytes() != before


def test_seeds_that_are_not_as_far_have_gaps(tmp_path):
    group(tmp_path / "g", 5, seeds=2)
    lines = (tmp_path / "g" / "seed-1" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "g" / "seed-1" / "metrics.jsonl").write_text("".join(lines[:3]))
    ((steps, values),) = seed_records(tmp_path / "g").values()
    assert values.shape == (2, 6)
    assert steps[-1] == 5 * 64
    assert np.isnan(values[1]).tolist() == [False] * 3 + [True] * 3


def test_of_many_records_some_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "MOST_POINTS", 10)
    group(tmp_path / "g", 35, seeds=2)
    lines = (tmp_path / "g" / "seed-1" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "g" / "seed-1" / "metrics.jsonl").write_text("".join(lines[:9]))
    ((steps, values),) = seed_records(tmp_path / "g").values()
    assert steps.tolist() == [64 * record for record in range(0, 36, 3)]
    assert np.isnan(values[1]).tolist() == [False] * 3 + [True] * 9
    draw_learning(tmp_path / "g")


@pytest.fixture
def drawn(monkeypatch):
    """Folders that were drawn, on which thread."""
    calls = []
    monkeypatch.setattr(live, "draw_learning", lambda folder: calls.append((folder, threading.current_thread())))
    return calls


def test_a_short_run_draws_nothing(tmp_path, drawn):
    picture = LearningPicture(tmp_path)
    picture.start(None, 0)
    for n in range(5):
        picture.update(n, {}, 1.0, 1.0)
    picture.stop()
    assert drawn == []


def test_a_long_run_draws_beside_itself_and_once_more_at_the_end(tmp_path, drawn, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    picture = LearningPicture(tmp_path)
    picture.start(None, 0)
    for second in range(61):
        now[0] = float(second)
        picture.update(second, {}, 1.0, 1.0)
        if picture._drawing is not None:
            picture._drawing.result()
    # At 20, 40 and 60 seconds: not before, and not again before as long.
    assert len(drawn) == 3
    picture.stop()
    (thread,) = {thread for _, thread in drawn}  # one for all: each would keep fonts of its own
    assert thread is not threading.main_thread()
    assert len(drawn) == 4


def test_drawing_that_takes_long_is_done_seldom(tmp_path, monkeypatch):
    now, drawn = [0.0], []
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])

    def slowly(folder):
        drawn.append(now[0])
        now[0] += 10.0

    monkeypatch.setattr(live, "draw_learning", slowly)
    picture = LearningPicture(tmp_path)
    picture.start(None, 0)
    while now[0] < 2000:
        now[0] += 1.0
        picture.update(0, {}, 1.0, 1.0)
        if picture._drawing is not None:
            picture._drawing.result()
    # 10 seconds of drawing are a fiftieth of the time between two.
    assert np.all(np.diff(drawn) >= 10.0 / live.SHARE)
    assert len(drawn) >= 3


def test_a_picture_that_cannot_be_drawn_stops_the_drawing_alone(tmp_path, monkeypatch):
    def broken(folder):
        raise OSError("No space left on device")

    monkeypatch.setattr(live, "draw_learning", broken)
    picture = LearningPicture(tmp_path)
    picture.start(None, 0)
    with pytest.warns(UserWarning, match=r"learning.png is no longer drawn \(No space left"):
        picture._draw()
    picture._next = 0.0
    picture.update(1, {}, 1.0, 1.0)
    picture.stop()
    assert picture._drawing is None
