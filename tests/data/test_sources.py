"""Arrays in files: what is read back, and what is refused, in one line and without running anything."""

import pickle
import struct
import zipfile

import numpy as np
import pytest
from files import WRITERS, drawn, write_hdf5
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thzjax.data.sources import NUMBERS, fingerprint, kind_of, opened
from thzjax.errors import ConfigError

h5py = pytest.importorskip("h5py")
KINDS = {"a.npz": ".npz", "a.h5": "HDF5", "a.mat": ".mat", "b.mat": "MATLAB 7.3"}


def arrays_of(path):
    with opened(path) as source:
        return {name: stored.take(0, None, 0) for name, stored in source.arrays.items()}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_read(tmp_path, name):
    _, _, arrays = drawn("hris")
    WRITERS[name](tmp_path / name, arrays)
    assert kind_of(tmp_path / name) == KINDS[name]
    with opened(tmp_path / name) as source:
        assert set(source.arrays) == set(arrays)
        assert source.refused == {}
        for field, array in arrays.items():
            stored = source.need(field)
            assert stored.shape == array.shape
            np.testing.assert_array_equal(stored.take(0, None, 0), array)
            np.testing.assert_array_equal(stored.take(2, 5, 0), array[2:5])
            np.testing.assert_array_equal(stored.take(1, 3, -1), np.moveaxis(array[..., 1:3], -1, 0))


def refusals(path):
    """Names that hold nothing to read, and why."""
    with opened(path) as source:
        for name in source.refused:
            with pytest.raises(ConfigError, match=f"{name} is .*: store it as a plain array of numbers"):
                source.need(name)
        return dict(source.refused)


class Trap:
    """Unpickled, it leaves a trace."""

    def __reduce__(self):
        return (open, ("sprung", "w"))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trap = np.array([Trap()], dtype=object)
    np.savez(tmp_path / "a.npz", direct=trap, other=np.zeros(3))
    assert refusals(tmp_path / "a.npz") == {"direct": "an array of object"}
    # An archive whose header lies about the type.
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header + pickle.dumps(trap))
    assert refusals(tmp_path / "b.npz") == {"x": "an array of object"}
    (tmp_path / "c.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ConfigError, match="is not readable as"):
        arrays_of(tmp_path / "c.npz")
    assert not (tmp_path / "sprung").exists()


def test_matlab_cells_structures_and_texts_are_refused(tmp_path):
    import scipy.io

    cell = np.empty(2, object)
    cell[:] = [np.zeros(2), "text"]
    scipy.io.savemat(
        tmp_path / "a.mat", {"cell": cell, "record": {"x": 1.0}, "text": "direct", "fine": np.ones((2, 3))}
    )
    assert refusals(tmp_path / "a.mat") == {
        "cell": "a MATLAB cell", "record": "a MATLAB struct", "text": "a MATLAB char",
    }  # fmt: skip
    np.testing.assert_array_equal(arrays_of(tmp_path / "a.mat")["fine"], np.ones((2, 3)))


def test_hdf5_that_leads_elsewhere_or_holds_objects_is_refused(tmp_path):
    write_hdf5(tmp_path / "other.h5", {"secret": np.arange(3.0)})
    (tmp_path / "raw.bin").write_bytes(np.arange(3.0).tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["fine"] = np.arange(4.0)
        file["soft"] = h5py.SoftLink("/fine")
        file["outside"] = h5py.ExternalLink("other.h5", "/secret")
        file.create_dataset("raw", (3,), "f8", external=[("raw.bin", 0, h5py.h5f.UNLIMITED)])
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", (3,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("varying", (2,), h5py.vlen_dtype(np.float64))
        file.create_dataset("text", data="direct")
        file.create_dataset("reference", (1,), h5py.ref_dtype)
        file.create_dataset("record", (2,), [("x", "f8"), ("y", "f8")])
        file.create_dataset("nothing", data=h5py.Empty("f8"))
        file.create_group("group")
    found = refusals(tmp_path / "a.h5")
    assert found.pop("soft") == found.pop("outside") == "a link"
    assert found.pop("raw") == found.pop("virtual") == "kept in another file"
    assert found.pop("nothing") == "an empty dataset"
    assert set(found) == {"varying", "text", "reference", "record"}
    assert all(why.startswith("an array of ") for why in found.values())
    assert set(arrays_of(tmp_path / "a.h5")) == {"fine"}


def test_a_small_file_that_unpacks_to_much_is_refused_before_it_does(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("direct", (10**6, 100, 100), "c16", chunks=(1, 100, 100), compression="gzip")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        header = b"{'descr': '<c16', 'fortran_order': False, 'shape': (1000000, 100, 100), }".ljust(117) + b"\n"
        archive.writestr("direct.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header)
    for name in ("a.h5", "a.npz"):
        with opened(tmp_path / name, 1 << 30) as source:
            assert source.need("direct").shape == (10**6, 100, 100)
            with pytest.raises(ConfigError, match=r"unpacks to 149.01 GiB, more than the 1.00 GiB"):
                source.need("direct").take(0, None, 0)
    with opened(tmp_path / "a.h5", 1 << 30) as source:
        assert source.need("direct").take(5, 7, 0).shape == (2, 100, 100)


def test_what_a_file_says_of_itself(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update({"seed": 3, "preset": "paper-a", "scenario": '{"x": [1]}', "odd": "{not json"})
        file.attrs["many"] = np.arange(3)
        file["x"] = np.zeros(2)
        file["x"].attrs["units"] = "m"
    with opened(tmp_path / "a.h5") as source:
        wanted = {"seed": 3, "preset": "paper-a", "scenario": {"x": [1]}, "odd": "{not json", "many": None}
        assert source.about == wanted
        assert source.arrays["x"].units == "m"
    for said in (b"[1]", b"\xff", b"{" * 100_000):
        np.savez(tmp_path / "b.npz", about=np.frombuffer(said, np.uint8))
        with pytest.raises(ConfigError, match="is not readable as"):
            arrays_of(tmp_path / "b.npz")


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.mat", "a.txt", "a"])
def test_what_is_no_file_of_arrays(tmp_path, name):
    with pytest.raises(ConfigError, match="does not exist"):
        arrays_of(tmp_path / name)
    (tmp_path / name).write_text("no archive")
    with pytest.raises(ConfigError, match=r"is not readable as|is none of"):
        arrays_of(tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match="is not readable as a file"):
        arrays_of(tmp_path / name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for name, write in WRITERS.items():
        write(folder / name, drawn("irs", 2)[2])
    return {name: (folder / name).read_bytes() for name in WRITERS}, folder / "damaged"


@settings(max_examples=60)
@given(name=st.sampled_from(sorted(WRITERS)), share=st.floats(0, 1, exclude_max=True))
@example(name="a.h5", share=0.99)
def test_a_file_cut_short_is_refused_or_whole(whole, name, share):
    contents, folder = whole
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(contents[name][: int(share * len(contents[name]))])
    look_at(path)


@settings(max_examples=60)
@given(name=st.sampled_from(["a.npz", "a.mat"]), data=st.data())
def test_a_damaged_file_is_refused_or_read(whole, name, data):
    contents, folder = whole
    folder.mkdir(exist_ok=True)
    at = data.draw(st.integers(0, len(contents[name]) - 1))
    bits = data.draw(st.integers(1, 255))
    content = bytearray(contents[name])
    content[at] ^= bits
    (folder / name).write_bytes(content)
    look_at(folder / name)


@pytest.mark.parametrize("start", range(0, 2048, 256))
def test_hdf5_with_a_hole_is_refused_or_read(whole, start):
    contents, folder = whole
    folder.mkdir(exist_ok=True)
    content = bytearray(contents["a.h5"])
    content[start : start + 64] = bytes(64)
    (folder / "a.h5").write_bytes(content)
    look_at(folder / "a.h5")


def look_at(path):
    """Everything in a file is numbers, or there is one line about it."""
    said = ""
    try:
        assert all(array.dtype.kind in NUMBERS for array in arrays_of(path).values())
    except ConfigError as error:
        said = str(error)
    assert not said or (path.name in said and "\n" not in said)


def test_fingerprints_tell_files_and_folders_apart(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    first = fingerprint(tmp_path / "a")
    assert fingerprint(tmp_path / "a" / "x") == "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    assert fingerprint(tmp_path / "a") != first
