"""Channels drawn into files: the same bits whatever is drawn beside them, gone on with, and not those that train."""

import itertools
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from thzjax import cli
from thzjax.data.drops import channel_arrays, read_channels
from thzjax.data.sources import opened
from thzjax.errors import ConfigError
from thzjax.experiment import generate as module
from thzjax.experiment.compare import HELD_OUT_SEED
from thzjax.experiment.evaluation import draw_channels
from thzjax.experiment.generate import block_size, generate
from thzjax.experiment.train import Unwritable
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build

SMALL = IrsScenario(num_antennas=3, num_users=2, surface_shape=(2, 2), num_rays=1)
OPTIONS = ("num_antennas=3", "num_users=2", "surface_shape=2,2", "num_rays=1")


@pytest.fixture(autouse=True)
def _blocks_of_four(monkeypatch):
    monkeypatch.setattr(module, "MOST_IN_BLOCK", 4)


def drawn(path, **options):
    generate(SMALL, path, options.pop("num", 11), lambda text: None, "paper-a", **options)
    channels = read_channels(path, *build(SMALL))
    return jax.tree.leaves(channels)


def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_channel_has_its_bits_whatever_is_drawn_beside_it(tmp_path):
    whole = drawn(tmp_path / "a.npz", num=11)
    assert whole[0].shape == (11, 2, 3)
    assert len({x.tobytes() for x in whole[0]}) == 11
    for start, num in ((0, 1), (3, 2), (5, 6), (4, 4)):
        part = drawn(tmp_path / f"{start}.npz", num=num, start=start)
        same(part, [x[start : start + num] for x in whole])
    other = drawn(tmp_path / "b.npz", num=11, seed=1)
    assert not np.array_equal(other[0], whole[0])


def test_one_that_stopped_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    generate(SMALL, tmp_path / "a.npz", 11, lambda text: None, "paper-a")
    blocks = module._blocks

    def some(*args):
        yield from itertools.islice(blocks(*args), 1)
        raise KeyboardInterrupt

    for _ in range(2):
        monkeypatch.setattr(module, "_blocks", some)
        with pytest.raises(KeyboardInterrupt):
            generate(SMALL, tmp_path / "b.npz", 11, lambda text: None, "paper-a")
    monkeypatch.setattr(module, "_blocks", blocks)
    said = []
    generate(SMALL, tmp_path / "b.npz", 11, said.append, "paper-a")
    assert said[0] == "8 of 11 channels were there"
    assert said[-1].startswith("11 of 11 channels, ")
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


SCRIPT = """
import sys
from pathlib import Path
import jax
from thzjax.experiment import generate as module
from thzjax.systems.irs_scenario import IrsScenario
assert len(jax.local_devices()) == 2
module.MOST_IN_BLOCK = 4
small = IrsScenario(num_antennas=3, num_users=2, surface_shape=(2, 2), num_rays=1)
for devices in (1, 2):
    path = Path(sys.argv[1]) / f"{devices}.npz"
    module.generate(small, path, 11, lambda text: None, "paper-a", devices=devices)
"""


def test_devices_change_no_bit(tmp_path):
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, env=env, timeout=240, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "2.npz").read_bytes() == (tmp_path / "1.npz").read_bytes()
    same(jax.tree.leaves(read_channels(tmp_path / "2.npz", *build(SMALL))), drawn(tmp_path / "3.npz"))


def test_held_out_channels_are_those_that_methods_are_judged_on(tmp_path):
    system, params = build(SMALL)
    judged = jax.tree.leaves(draw_channels(system, params, 11, HELD_OUT_SEED))
    own = drawn(tmp_path / "a.npz", held_out=True)
    for x, y in zip(own, judged, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5 * np.abs(y).max())
    with opened(tmp_path / "a.npz") as source:
        assert (source.about["channels"], source.about["seed"]) == ("held out", HELD_OUT_SEED)
    # No other file has any of them, whatever its seed.
    other = drawn(tmp_path / "b.npz", seed=HELD_OUT_SEED)
    assert not np.isclose(np.abs(other[0] - own[0][0]).max(axis=(1, 2)), 0, atol=1e-9).any()


@pytest.mark.parametrize(("entries", "most"), [(1, 1024), (2**20, 8), (2**23, 1), (2**30, 1), (0, 1024)])
def test_blocks_fit_the_memory(monkeypatch, entries, most):
    monkeypatch.setattr(module, "MOST_IN_BLOCK", 1024)
    assert block_size({"direct": jax.ShapeDtypeStruct((entries,), np.complex64)}) == most


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num": 0}, "num=0 from start=0 on must be channels of 0..4294967295"),
        ({"num": 2, "start": 2**32 - 1}, "must be channels of"),
        ({"start": -1}, "must be channels of"),
        ({"seed": -1}, "seed=-1 must lie in"),
        ({"seed": 1, "held_out": True}, "held-out channels have seed 2"),
        ({"devices": 3}, r"devices=3 must lie in 1..1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        drawn(tmp_path / "a.npz", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path, monkeypatch, capsys):
    def full(self, start, arrays):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("thzjax.data.store.NpzPart.put", full)
        with pytest.raises(Unwritable, match=r"a.npz.part cannot be written \(No space left on device\)"):
            drawn(tmp_path / "a.npz")
        command = ["channels", "generate", "paper-a", "--num", "3", "--out", str(tmp_path / "b.npz"), "--set", *OPTIONS]
        assert cli.main(command) == 1
        assert "the same command goes on" in capsys.readouterr().err
    drawn(tmp_path / "a.npz")


def test_the_command_draws_and_shows(tmp_path, capsys):
    pytest.importorskip("h5py")
    path = str(tmp_path / "a.h5")
    command = ["channels", "generate", "paper-a", "--num", "21", "--out", path, "--set", *OPTIONS]
    assert cli.main(command) == 0
    assert capsys.readouterr().out == f"21 channels: {path}\n"
    assert cli.main(["channels", "show", path, "--json", str(tmp_path / "a.json")]) == 0
    text = capsys.readouterr().out
    assert "channels drawn" in text
    assert "preset paper-a" in text
    assert "bs_to_surface 21 x 4 x 3 [1]" in text
    assert "of channels drawn from the scenario)" in text
    assert "training would use: training 0 to 16, validation 17 to 18, held out 19 to 20" in text
    assert (tmp_path / "a.json").stat().st_size > 500
    _, like = channel_arrays(*build(SMALL))
    with opened(path) as source:
        assert source.about["scenario"]["num_antennas"] == 3
        assert source.arrays["direct"].shape == (21, *like["direct"].shape)
