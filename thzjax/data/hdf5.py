"""HDF5 files: arrays read in parts, and arrays of known size written in parts (extra `data`)."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thzjax.data.sources import NUMBERS, Read, Stored
from thzjax.errors import ConfigError


def need_h5py() -> Any:
    """The package h5py.

    Raises:
      ConfigError: it is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise ConfigError('HDF5 needs h5py: pip install "thzjax[data]", or use an .npz file') from None
    return h5py


def read_file(path: Path, stack: contextlib.ExitStack, reversed_axes: bool = False) -> Read:
    """What `sources.opened` needs of an HDF5 file: its arrays, why others are none, and its attributes.

    Only what lies in the root group of this very file counts: links and data kept in other files are refused, as are
    objects and arrays of varying length. MATLAB writes axes in reverse and complex numbers as pairs.
    """
    h5py = need_h5py()
    file = stack.enter_context(h5py.File(path, "r"))
    arrays, refused = {}, {}
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            refused[name] = "a link"
            continue
        found = file[name]
        if not isinstance(found, h5py.Dataset):
            continue
        if found.external or found.is_virtual:
            refused[name] = "kept in another file"
        elif found.dtype.kind not in NUMBERS and found.dtype.names != ("real", "imag"):
            refused[name] = f"an array of {found.dtype}"
        elif found.shape is None:
            refused[name] = "an empty dataset"
        else:
            arrays[name] = _stored(found, reversed_axes)
    return arrays, refused, {name: _plain(file.attrs[name]) for name in file.attrs}


def _stored(dataset: Any, reversed_axes: bool) -> Stored:
    def take(start: int, stop: int, axis: int) -> np.ndarray:
        # Axis 0 of MATLAB's is the last one here, and the other way round.
        first = (axis == 0) != reversed_axes
        part = dataset[start:stop] if first else dataset[..., start:stop]
        if part.dtype.names:
            part = part["real"] + 1j * part["imag"]
        part = part.T if reversed_axes else part
        return part if axis == 0 else np.moveaxis(part, -1, 0)

    shape = tuple(dataset.shape)
    units = dataset.attrs.get("units")
    return Stored(shape[::-1] if reversed_axes else shape, units if isinstance(units, str) else None, take)


def _plain(value: Any) -> Any:
    """An attribute as what JSON has; none where it is anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value)
    return value if isinstance(value, (str, int, float, bool)) else None


class Hdf5Part:
    """An HDF5 file whose arrays have all their room from the start, so that its structure never changes again.

    Numbers are then written in place: a kill at any moment leaves a file that opens.
    """

    copies = 1
    """How often the numbers stand on the disk when `seal` is at work."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = need_h5py().File(path, "r+")

    @staticmethod
    def create(path: Path, shapes: Mapping[str, Any], about: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
        """Make the file.

        Args:
          path: of the file.
          shapes: array name -> `jax.ShapeDtypeStruct` of the whole array.
          about: attributes of the file.
          notes: array name -> attributes of the array.
        """
        h5py = need_h5py()
        with h5py.File(path, "w") as file:
            for name, value in about.items():
                file.attrs[name] = value if isinstance(value, (str, int, float)) else json.dumps(value)
            for name, like in shapes.items():
                dataset = _reserve(h5py, file, name, like)
                dataset.attrs.update(notes.get(name, {}))
        _sync(path)

    def put(self, start: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write rows from `start` on into every array."""
        for name, rows in arrays.items():
            if rows.size:
                self._file[name][start : start + len(rows)] = rows

    def flush(self) -> None:
        """Have what was written on the disk."""
        self._file.flush()
        _sync(self._path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def seal(self, target: Path) -> None:
        """Give the whole file its name."""
        self.flush()
        self.close()
        self._path.replace(target)


def _reserve(h5py: Any, file: Any, name: str, like: Any) -> Any:
    """A dataset in one piece, its room taken now and not filled: 4 GiB of zeros first would double the writing."""
    if 0 in like.shape:
        return file.create_dataset(name, shape=like.shape, dtype=like.dtype)
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plan.set_obj_track_times(False)
    kind = h5py.h5t.py_create(np.dtype(like.dtype), logical=True)
    made = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(like.shape), plan)
    return h5py.Dataset(made)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
