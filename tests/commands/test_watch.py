"""`thzjax watch`: shows a run as it goes on, in place or line by line, and ends with it."""

import contextlib
import importlib
import json
import threading
import time

import pytest
from made_up import group, record, run_folder

from thzjax import cli
from thzjax.experiment.lock import hold

module = importlib.import_module("thzjax.commands.watch")  # whose package has the function under that name


@contextlib.contextmanager
def training(folder, numbers, pause=0.15):
    """Another process, as it were, that holds the lock and writes records."""
    begun = threading.Event()

    def work():
        with hold(folder):
            begun.set()
            for number in numbers:
                time.sleep(pause)
                with (folder / "metrics.jsonl").open("a") as file:
                    file.write(json.dumps(record(number)) + "\n")
            time.sleep(pause)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    yield
    thread.join()


@pytest.fixture
def every_line(monkeypatch):
    monkeypatch.setattr(module, "BETWEEN_LINES_S", 0.0)


@pytest.mark.parametrize(
    ("done", "says"), [(10, "finished"), (4, "interrupted"), (0, "interrupted"), (-1, "not begun")]
)
def test_once_it_says_how_a_run_stands(tmp_path, capsys, done, says):
    run_folder(tmp_path / "run", done)
    assert cli.main(["watch", str(tmp_path / "run"), "--once"]) == 0
    said = capsys.readouterr()
    assert f"ppo, policy structured, on paper-a, seed 0: {says}" in said.out
    assert said.err == ""
    assert "\x1b" not in said.out


def test_a_run_is_followed_to_its_end(tmp_path, capsys, every_line):
    run_folder(tmp_path / "run", 7)
    with training(tmp_path / "run", (8, 9, 10)):
        assert cli.main(["watch", str(tmp_path / "run"), "--interval", "0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shares = [line.split("%")[0].strip() for line in lines if line[:4].strip().isdigit()]
    assert list(dict.fromkeys(shares)) == sorted(set(shares), key=int)  # the last one twice: running, then finished
    assert shares[0] == "70"
    assert any("s left" in line for line in lines)
    assert any(line.endswith("seed 0: finished") for line in lines)


def test_on_a_terminal_it_is_shown_in_place(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    run_folder(tmp_path / "run", 8)
    with training(tmp_path / "run", (9,)):
        assert cli.main(["watch", str(tmp_path / "run"), "--interval", "0.1"]) == 0
    text = capsys.readouterr().out
    assert "\x1b[" in text  # the cursor goes up
    assert " 80 %" in text
    assert " 90 %" in text
    assert "go on with: thzjax train --resume" in text
    assert "█" in text


def test_a_run_that_is_about_to_begin_is_waited_for(tmp_path, capsys, every_line):
    run_folder(tmp_path / "run", -1)
    later = threading.Timer(0.3, lambda: threading.Thread(target=run_it).start())

    def run_it():
        with training(tmp_path / "run", (0, 1)):
            pass

    later.start()
    assert cli.main(["watch", str(tmp_path / "run"), "--interval", "0.1"]) == 0
    later.join()
    out = capsys.readouterr().out
    assert "10 %" in out
    assert "1 of 10 records" in out


def test_one_that_never_begins_is_not_waited_for_long(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    run_folder(tmp_path / "run", -1)
    assert cli.main(["watch", str(tmp_path / "run"), "--interval", "0.1"]) == 0
    assert "not begun" in capsys.readouterr().out


def test_side_by_side_and_as_json(tmp_path, capsys):
    group(tmp_path / "g", 4, seeds=2)
    assert cli.main(["watch", str(tmp_path / "g"), "--once"]) == 0
    assert "2 runs side by side, their means" in capsys.readouterr().out
    assert cli.main(["watch", str(tmp_path / "g"), "--json", "-"]) == 0
    said = capsys.readouterr()
    states = json.loads(said.out)
    assert [(s["seed"], s["state"], s["record"], s["records"]) for s in states] == [
        (0, "interrupted", 4, 10), (1, "interrupted", 4, 10),
    ]  # fmt: skip
    assert states[0]["metrics"]["sum_rate"] == 3.25
    assert "2 runs side by side" in said.err


def test_ctrl_c_ends_it_with_its_status_and_leaves_the_run_alone(tmp_path, capsys, monkeypatch):
    run_folder(tmp_path / "run", 2)

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.time, "sleep", interrupted)
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    with hold(tmp_path / "run"):
        assert cli.main(["watch", str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err == "thzjax: interrupted\n"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before


def test_it_writes_events_as_they_come(tmp_path, capsys, every_line):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tmp_path / "run"
    run_folder(run, 7)
    with training(run, (8, 9, 10)):
        assert cli.main(["watch", str(run), "--interval", "0.1", "--tensorboard"]) == 0
    assert f"tensorboard --logdir {run}" in capsys.readouterr().out
    found = accumulator.EventAccumulator(str(run / "tensorboard")).Reload()
    assert len(found.Scalars("validation/rate_feasible")) == 11
