"""One writer at a time: refused by name, free again when its process is gone, and never in the way of who only asks."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from made_up import group, run_folder

from thzjax import cli
from thzjax.errors import ConfigError
from thzjax.experiment import lock
from thzjax.experiment.config import read_config, resolve
from thzjax.experiment.lock import LOCK, Holder, hold, holder
from thzjax.experiment.train import create_run_folder, run_together

HOLDER = """
import sys, time
from pathlib import Path
from thzjax.experiment.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lock, "PAUSE_S", 0.001)


@contextlib.contextmanager
def another(folder):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_writer_is_refused_with_process_and_machine(tmp_path, quick):
    with hold(tmp_path):
        assert holder(tmp_path) == Holder(os.getpid(), socket.gethostname())
        with pytest.raises(ConfigError) as refused, hold(tmp_path):
            pass
        assert f"is being written by process {os.getpid()} on {socket.gethostname()}: wait" in str(refused.value)
        assert "\n" not in str(refused.value)
        assert holder(tmp_path) is not None
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with hold(tmp_path):
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path, quick):
    with another(tmp_path) as process:
        assert holder(tmp_path).pid == process.pid
        with pytest.raises(ConfigError, match=f"process {process.pid} on"), hold(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert (tmp_path / LOCK).exists()
    assert holder(tmp_path) is None
    with hold(tmp_path):
        assert holder(tmp_path).pid == os.getpid()


def test_the_lock_is_free_after_whatever_ended_the_block(tmp_path):
    with pytest.raises(ZeroDivisionError), hold(tmp_path):
        1 / 0  # noqa: B018
    with hold(tmp_path):
        pass


def test_of_many_at_once_one_has_it(tmp_path, quick):
    inside, most, refused = [], [], []

    def work():
        try:
            with hold(tmp_path):
                inside.append(1)
                most.append(len(inside))
                holder(tmp_path)  # who asks does not take it
                inside.pop()
        except ConfigError:
            refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) + len(refused) == 24
    assert set(most) == {1}
    assert holder(tmp_path) is None


def test_a_file_that_says_nothing_sensible_is_another_process(tmp_path, quick):
    with hold(tmp_path):
        (tmp_path / LOCK).write_text('{"pid": "x"')
        assert holder(tmp_path) == Holder(0, "")
        with pytest.raises(ConfigError, match="written by another process"), hold(tmp_path):
            pass


def test_a_link_in_its_place_has_nothing_written_over(tmp_path):
    (tmp_path / "thesis.tex").write_text("do not lose me")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "thesis.tex")
    with pytest.raises(OSError, match=LOCK), hold(tmp_path / "run"):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "do not lose me"


def test_without_locks_it_warns_or_goes_on(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match="cannot be locked: see that nothing else writes"), hold(tmp_path):
        assert holder(tmp_path) is None
    monkeypatch.setattr(lock, "fcntl", None)  # Windows
    with hold(tmp_path), hold(tmp_path):
        assert holder(tmp_path) is None


# --- runs


def test_a_run_that_another_process_trains_is_refused_and_left_as_it_is(tmp_path, capsys, quick):
    run_folder(tmp_path / "run", 2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with another(tmp_path / "run") as process:
        assert cli.main(["train", "--resume", str(tmp_path / "run")]) == 2
        error = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]
        assert len(error) == 1
        assert f"{tmp_path / 'run'} is being written by process {process.pid} on" in error[0]
        (tmp_path / "run" / LOCK).unlink()
        assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_of_runs_side_by_side_none_is_begun_where_one_is_trained(tmp_path, quick):
    group(tmp_path / "g", -1, seeds=2)
    folders = [tmp_path / "g" / f"seed-{seed}" for seed in (0, 1)]
    configs = [read_config(folder / "config.json") for folder in folders]
    with hold(folders[1]), pytest.raises(ConfigError, match=r"seed-1 is being written"):
        run_together(configs, folders, None)
    assert [holder(folder) for folder in folders] == [None, None]
    assert not any((folder / "metrics.jsonl").exists() for folder in folders)


def test_a_folder_is_made_by_one(tmp_path, quick):
    config = resolve("paper-a")
    (tmp_path / "run").mkdir()
    with hold(tmp_path / "run"), pytest.raises(ConfigError, match="is being written by"):
        create_run_folder(tmp_path / "run", config)
    assert list((tmp_path / "run").iterdir()) == []
    create_run_folder(tmp_path / "run", config)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.json", "environment.json"}
    with pytest.raises(ConfigError, match="exists: choose another --out"):
        create_run_folder(tmp_path / "run", config)


def test_a_reproduction_is_made_by_one(tmp_path, capsys, quick, monkeypatch):
    monkeypatch.setattr("thzjax.figures.pages.reproduce_figure", lambda *_: pytest.fail("it ran"))
    with hold(tmp_path):
        assert cli.main(["reproduce", "air", "--out", str(tmp_path)]) == 2
    assert "is being written by process" in capsys.readouterr().err
