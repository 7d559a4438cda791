"""Where thzjax runs: a home that cannot be written, no display, terminals without letters, odd paths."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made import made_channels, made_export, made_run

from thzjax import cli
from thzjax.commands import cache
from thzjax.experiment.learner import load_trained
from thzjax.experiment.summary import write_rows, write_seed_curves

ODD = "Prüf stand 太赫兹 'a\" $b"


def thzjax(*arguments, cwd, **changes):
    """A command in a process of its own, without display and compiled programs; None takes a variable away."""
    environment = os.environ | {"THZJAX_CACHE": "off"} | {k: v for k, v in changes.items() if v is not None}
    for name in ("DISPLAY", "WAYLAND_DISPLAY", *(k for k, v in changes.items() if v is None)):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", "thzjax", *arguments], cwd=cwd, env=environment, capture_output=True, text=True,
        timeout=300, errors="surrogateescape",
    )  # fmt: skip


def test_a_home_that_cannot_be_written_ends_no_command(tmp_path):
    home = tmp_path / "home"
    home.write_text("a file, and no folder")
    done = thzjax(
        "info", cwd=tmp_path, HOME=str(home), XDG_CACHE_HOME=None, THZJAX_CACHE=None, JAX_COMPILATION_CACHE_DIR=None,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "paper-a" in done.stdout
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_home_that_is_not_known_ends_no_command(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    for name in (cache.SETTING, "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    assert cache.keep_compiled() is None


def test_a_relative_cache_is_none_of_the_users(monkeypatch, tmp_path):
    """The specification of XDG_CACHE_HOME has relative paths ignored."""
    for name in (cache.SETTING, "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "TF_CPP_MIN_LOG_LEVEL"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert cache.keep_compiled().is_relative_to(tmp_path / "home" / ".cache")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    "changes",
    [{"PYTHONIOENCODING": "ascii"}, pytest.param({"LC_ALL": "C", "PYTHONUTF8": "0"}, marks=pytest.mark.full)],
)
def test_a_terminal_without_letters_shows_what_it_can(tmp_path, changes):
    done = thzjax("reproduce", "--list", cwd=tmp_path, **changes)
    assert done.returncode == 0, done.stderr
    assert "liu-fig9" in done.stdout


def test_a_path_that_is_no_text_is_told(tmp_path):
    done = thzjax("evaluate", os.fsdecode(b"now\xffhere\x1b[31m\n"), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "does not exist" in done.stderr
    assert "\x1b" not in done.stderr


def test_runs_policies_and_pictures_in_folders_with_odd_names(tmp_path, quickly_compiled, capsys):
    folder = tmp_path / ODD / "läufe"
    config, _ = made_run(folder)
    learner, trained = load_trained(config, folder)
    assert learner.config == config
    assert trained
    for path in write_seed_curves(folder):
        assert path.stat().st_size > 1000
    write_rows([{"method": ODD}], folder / "rows.json")
    assert json.loads((folder / "rows.json").read_text())[0]["method"] == ODD
    made_export(folder / "policy")
    channels = made_channels(learner, 2)
    np.savez(folder / "in.npz", **channels)
    files = ["--channels", str(folder / "in.npz"), "--out", str(folder / "new" / "out.npz")]
    assert cli.main(["policy", str(folder / "policy"), *files]) == cli.OK
    assert ODD in capsys.readouterr().out
    with np.load(folder / "new" / "out.npz") as designs:
        np.testing.assert_array_equal(designs["reflection"], channels["surface_to_user"][:, 0])
