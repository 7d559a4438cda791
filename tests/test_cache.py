"""Compiled programs kept between commands: where, when not, and to the same numbers."""

import os
import subprocess
import sys

import pytest

from thzjax.commands import cache

NAMES = (
    cache.SETTING,
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "TF_CPP_MIN_LOG_LEVEL",
    "XDG_CACHE_HOME",
)
SMALL = ("num_envs=32", "minibatches=2", "epochs=1", "hidden=8,8", "validation_channels=16", "updates_per_record=1")


@pytest.fixture
def bare(monkeypatch):
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is put back even where it was not set
        monkeypatch.delenv(name)
    return monkeypatch


def test_the_default_folder_is_the_users_cache_and_knows_the_compiler(bare, tmp_path):
    bare.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache.keep_compiled()
    assert folder.is_dir()
    assert folder.parent == tmp_path / "thzjax"
    assert "jaxlib" in folder.name
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(folder)


@pytest.mark.parametrize("setting", ["off", "0", "no", "False"])
def test_it_can_be_turned_off(bare, setting):
    bare.setenv(cache.SETTING, setting)
    assert cache.keep_compiled() is None
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def test_a_folder_of_jaxs_own_is_left_alone(bare, tmp_path):
    bare.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "own"))
    assert cache.keep_compiled() is None
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "own")
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"  # or 2 kB a program fill a pipe that nobody reads


def test_where_nothing_can_be_kept_the_command_goes_on(bare, tmp_path):
    (tmp_path / "file").write_text("")
    bare.setenv(cache.SETTING, str(tmp_path / "file"))
    assert cache.keep_compiled() is None
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def test_what_has_outgrown_its_share_loses_the_oldest_half(bare, tmp_path):
    bare.setattr(cache, "MOST_BYTES", 1000)
    bare.setenv(cache.SETTING, str(tmp_path))
    folder = cache.keep_compiled()
    for age in range(12):
        (folder / f"{age}").write_bytes(b"x" * 100)
        os.utime(folder / f"{age}", (1e9 - age, 1e9 - age))
    bare.delenv("JAX_COMPILATION_CACHE_DIR")
    assert cache.keep_compiled() == folder
    assert {file.name for file in folder.iterdir()} == {"0", "1", "2", "3", "4"}


def test_a_second_command_compiles_nothing_anew_and_finds_the_same_numbers(tmp_path):
    command = [sys.executable, "-m", "thzjax", "train", "paper-a", "--no-report", "--steps", "64", "--set", *SMALL]
    settings = os.environ | {
        cache.SETTING: str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    settings.pop("JAX_COMPILATION_CACHE_DIR", None)
    kept, numbers = [], []
    for name in ("first", "second"):
        done = subprocess.run(
            [*command, "--out", str(tmp_path / name)], env=settings, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert "cpu_aot_loader" not in done.stderr
        kept.append({file.name for file in (tmp_path / "cache").rglob("*-cache")})
        numbers.append((tmp_path / name / "metrics.jsonl").read_bytes())
    assert any("chunk" in name for name in kept[0])
    assert kept[0] == kept[1]
    assert numbers[0] == numbers[1]
