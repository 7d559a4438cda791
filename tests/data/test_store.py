"""Files of channels in the making: whole or absent, gone on with, refused where they cannot be."""

import contextlib
import json
import shutil
from collections import namedtuple

import jax
import numpy as np
import pytest
from files import drawn

from thzjax.data import store as module
from thzjax.data.drops import channel_arrays, read_channels
from thzjax.data.sources import opened
from thzjax.data.store import Store, bytes_of
from thzjax.errors import ConfigError

SUFFIXES = pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".npz"])
ABOUT = {"preset": "paper-a", "seed": 3, "scenario": {"num_users": 2, "shape": [2, 2]}}


@pytest.fixture(autouse=True)
def _h5py():
    pytest.importorskip("h5py")


def whole(name="irs", num=7):
    system, params, arrays = drawn(name, num)
    return system, params, channel_arrays(system, params)[1], arrays


def rows(arrays, start, stop):
    return {name: array[start:stop] for name, array in arrays.items()}


@SUFFIXES
@pytest.mark.parametrize("name", ["irs", "hris"])
def test_what_is_written_in_parts_is_whole(tmp_path, suffix, name):
    system, params, like, arrays = whole(name)
    target = tmp_path / "new" / f"a{suffix}"
    with Store(target, like, 7, ABOUT) as store:
        for start, stop in ((0, 3), (3, 4), (4, 7)):
            assert not target.exists()
            store.write(rows(arrays, start, stop))
        store.finish()
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    channels = read_channels(target, system, params)
    for field, array in arrays.items():
        np.testing.assert_array_equal(getattr(channels, field), array)
    with opened(target) as source:
        assert {key: source.about[key] for key in ABOUT} == ABOUT
        assert (source.about["num"], source.about["format"]) == (7, 1)
        if suffix != ".npz":
            assert source.arrays["direct"].units == "1"
            assert source.arrays["user_position_m"].units == "m"
        else:
            assert source.about["arrays"]["user_position_m"]["units"] == "m"


@SUFFIXES
def test_one_that_stopped_is_gone_on_with(tmp_path, suffix):
    _, _, like, arrays = whole()
    target, straight = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    with contextlib.suppress(KeyboardInterrupt), Store(target, like, 7, ABOUT) as store:
        store.write(rows(arrays, 0, 4))
        raise KeyboardInterrupt
    assert not target.exists()
    # A kill may come after numbers were written and before that was noted: they are written again.
    with Store(target, like, 7, ABOUT) as store:
        assert store.done == 4
        store._file.put(4, rows(arrays, 0, 3))
    with Store(target, like, 7, ABOUT) as store:
        assert store.done == 4
        store.write(rows(arrays, 4, 7))
        store.finish()
    with Store(straight, like, 7, ABOUT) as store:
        store.write(arrays)
        store.finish()
    assert target.read_bytes() == straight.read_bytes()


@SUFFIXES
def test_what_a_kill_left_of_a_beginning_is_made_anew(tmp_path, suffix):
    _, _, like, arrays = whole()
    target = tmp_path / f"a{suffix}"
    part = tmp_path / f"a{suffix}.part"
    if suffix == ".npz":
        part.mkdir()
        (part / "direct.npy").write_bytes(b"half")
    else:
        part.write_bytes(b"\x89HDF")
    with Store(target, like, 7, ABOUT) as store:
        store.write(arrays)
        store.finish()
    assert target.exists()
    assert not part.exists()


@SUFFIXES
def test_what_is_refused_leaves_nothing(tmp_path, suffix):
    _, _, like, arrays = whole()
    with contextlib.suppress(ConfigError), Store(tmp_path / f"a{suffix}", like, 7, ABOUT) as store:
        store.write(rows(arrays, 0, 2))
        raise ConfigError("no channel of this system")
    assert list(tmp_path.iterdir()) == []


@SUFFIXES
def test_another_file_is_not_gone_on_with(tmp_path, suffix):
    _, _, like, arrays = whole()
    target = tmp_path / f"a{suffix}"
    with Store(target, like, 7, ABOUT) as store:
        store.write(rows(arrays, 0, 2))
    with pytest.raises(ConfigError, match=r"was begun with another num, seed: finish it as it was begun, or delete it"):
        Store(target, like, 8, ABOUT | {"seed": 4})
    note = tmp_path / f"a{suffix}.part.json"
    for damage in ("", "[]", '{"done": 3}', json.dumps({"done": 99, "about": json.loads(note.read_text())["about"]})):
        said = note.read_text()
        note.write_text(damage)
        with pytest.raises(ConfigError, match=r"is damaged|does not fit"):
            Store(target, like, 7, ABOUT)
        note.write_text(said)
    part = tmp_path / f"a{suffix}.part"
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    with pytest.raises(ConfigError, match="does not fit"):
        Store(target, like, 7, ABOUT)


def test_one_that_exists_or_has_no_kind_is_refused(tmp_path):
    _, _, like, _ = whole()
    (tmp_path / "a.h5").write_text("a thesis")
    with pytest.raises(ConfigError, match="exists: choose another --out"):
        Store(tmp_path / "a.h5", like, 7, ABOUT)
    with pytest.raises(ConfigError, match=r"has no suffix of .h5, .hdf5, .npz"):
        Store(tmp_path / "a.bin", like, 7, ABOUT)
    assert (tmp_path / "a.h5").read_text() == "a thesis"


@pytest.mark.parametrize(("suffix", "copies"), [(".h5", 1), (".npz", 2)])
def test_a_disk_without_room_is_refused_with_the_numbers(tmp_path, monkeypatch, suffix, copies):
    _, _, like, arrays = whole()
    free = 7 * copies * bytes_of(like)
    assert bytes_of(like) == sum(array.nbytes for array in rows(arrays, 0, 1).values())
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage(free))
    with pytest.raises(ConfigError, match=r"needs 1\d\.\d\d GB more and 0\.00 GB are free in"):
        Store(tmp_path / "far" / f"a{suffix}", like, 10**10 // bytes_of(like) // copies + 10**7, ABOUT)
    assert list(tmp_path.iterdir()) == []
    with Store(tmp_path / f"a{suffix}", like, 7, ABOUT) as store:
        store.write(rows(arrays, 0, 3))
    # What is there already needs no more room.
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage(free - 3 * bytes_of(like)))
    Store(tmp_path / f"a{suffix}", like, 7, ABOUT)._file.close()


def test_a_disk_that_fills_up_leaves_what_was_saved(tmp_path, monkeypatch):
    _, _, like, arrays = whole()
    target = tmp_path / "a.h5"

    def full(self, start, arrays):
        raise OSError(28, "No space left on device")

    with Store(target, like, 7, ABOUT) as store:
        store.write(rows(arrays, 0, 4))
        monkeypatch.setattr(module.Hdf5Part, "put", full)
        with pytest.raises(OSError, match="No space left"):
            store.write(rows(arrays, 4, 7))
    monkeypatch.undo()
    with Store(target, like, 7, ABOUT) as store:
        assert store.done == 4


@SUFFIXES
def test_arrays_of_nothing(tmp_path, suffix):
    # As of a scenario without a surface.
    like = {
        "direct": jax.ShapeDtypeStruct((2, 3), np.complex64),
        "bs_to_surface": jax.ShapeDtypeStruct((0, 3), np.complex64),
    }
    arrays = {name: np.ones((4, *x.shape), x.dtype) for name, x in like.items()}
    for stop in (2, 4):
        with Store(tmp_path / f"a{suffix}", like, 4, {}) as store:
            store.write(rows(arrays, store.done, stop))
            if stop == 4:
                store.finish()
    with opened(tmp_path / f"a{suffix}") as source:
        assert source.arrays["bs_to_surface"].take(0, None, 0).shape == (4, 0, 3)
        np.testing.assert_array_equal(source.arrays["direct"].take(0, None, 0), arrays["direct"])


def test_a_file_is_not_finished_before_it_is_whole(tmp_path):
    _, _, like, arrays = whole()
    with Store(tmp_path / "a.npz", like, 7, {}) as store:
        store.write(rows(arrays, 0, 3))
        with pytest.raises(RuntimeError, match="3 of 7 channels"):
            store.finish()
