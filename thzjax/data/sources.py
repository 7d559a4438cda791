"""Arrays in files, read with suspicion: NumPy archives, HDF5 and MATLAB's; what is wrong with one is told in one line.

Nothing is ever unpickled, no link out of a file is followed, and nothing is unpacked before its size is known. HDF5 is
read in parts; archives, and MATLAB files older than 7.3, array by array.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from thzjax.errors import ConfigError, one_line

ABOUT = "about"
"""Name of the array of bytes that holds what an archive says of itself, as JSON."""
MOST_ABOUT = 1 << 20
NUMBERS = "biufc"
"""Kinds of NumPy types that are numbers."""
HDF5_START, MATLAB_HDF5 = b"\x89HDF\r\n\x1a\n", 512
"""How an HDF5 file begins, and where it begins in a MATLAB file of version 7.3."""
MATLAB_NUMBERS = {"double", "single", "logical", *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64))}


class Stored(NamedTuple):
    """An array in a file.

    Attributes:
      shape: its shape.
      units: what the file says of them, if it says anything.
      take: (start, stop, axis) -> those of an axis, 0 or -1, which comes first in the result; raises `ConfigError`.
    """

    shape: tuple[int, ...]
    units: str | None
    take: Callable[[int, int, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Source:
    """An open file.

    Attributes:
      path: of the file.
      arrays: by name.
      refused: why other names hold no array that is read.
      about: what the file says of itself.
    """

    path: Path
    arrays: Mapping[str, Stored]
    refused: Mapping[str, str]
    about: Mapping[str, Any]

    def need(self, name: str, wanted: Mapping[str, Any] | tuple[str, ...] = ()) -> Stored:
        """The array of a name.

        Raises:
          ConfigError: there is none; with what else was `wanted`.
        """
        if name in self.refused:
            raise ConfigError(f"{self.path}: {name} is {self.refused[name]}: store it as a plain array of numbers")
        if name not in self.arrays:
            beside = f": it needs {', '.join(wanted)}" if wanted else ""
            raise ConfigError(f"{self.path} lacks {name}{beside}")
        return self.arrays[name]


@contextlib.contextmanager
def opened(path: str | Path, most_bytes: int | None = None) -> Iterator[Source]:
    """The arrays of an `.npz`, HDF5 or `.mat` file, which stays open for the time of a block.

    Args:
      path: the file; what it is follows from how it begins.
      most_bytes: what is read of an array at once may take no more, unpacked; by default what memory is free.

    Raises:
      ConfigError: no such file, none of these, or one that cannot be read; also later, from `Stored.take`.
    """
    path = Path(path)
    kind = kind_of(path)
    most_bytes = free_bytes() if most_bytes is None else most_bytes
    with contextlib.ExitStack() as stack:
        with telling(path, kind):
            arrays, refused, about = READERS[kind](path, stack)
        guarded = {name: x._replace(take=_guarded(path, kind, x, most_bytes)) for name, x in arrays.items()}
        yield Source(path, guarded, refused, about)


@contextlib.contextmanager
def telling(path: Path, kind: str) -> Iterator[None]:
    """Tell in one line whatever a damaged file makes its readers raise."""
    try:
        yield
    except ConfigError:
        raise
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist") from None
    except Exception as error:
        raise ConfigError(f"{path} is not readable as {kind} ({one_line(error)})") from None


def kind_of(path: Path) -> str:
    """What kind of file it is: a key of `READERS`.

    Raises:
      ConfigError: no such file, or none of these kinds.
    """
    with telling(path, "a file"), path.open("rb") as file:
        start = file.read(MATLAB_HDF5 + len(HDF5_START))
    if start[MATLAB_HDF5:] == HDF5_START and start.startswith(b"MATLAB"):
        return "MATLAB 7.3"
    if start.startswith(HDF5_START):
        return "HDF5"
    if start.startswith(b"MATLAB 5"):
        return ".mat"
    # A damaged file is still called what it was.
    named = {".npz": ".npz", ".mat": ".mat", ".h5": "HDF5", ".hdf5": "HDF5"}
    if start.startswith(b"PK") or path.suffix.lower() in named:
        return ".npz" if start.startswith(b"PK") else named[path.suffix.lower()]
    raise ConfigError(f"{path} is none of .npz, HDF5 and .mat: store the arrays in one of these")


def free_bytes() -> int | None:
    """Memory that is free on this machine; none where nothing tells."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of the files under a folder."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        whole.update(f"{file.relative_to(path)} {fingerprint(file)}\n".encode())
    return whole.hexdigest()


def _guarded(path: Path, kind: str, stored: Stored, most_bytes: int | None) -> Callable[[int, int, int], np.ndarray]:
    def take(start: int, stop: int, axis: int = 0) -> np.ndarray:
        if not stored.shape:
            raise ConfigError(f"{path} holds a single number where an array is wanted")
        rows = stored.shape[axis]
        if kind not in AT_ONCE:
            rows = len(range(*slice(start, stop).indices(rows)))
        size = 16 * rows * math.prod(stored.shape) // max(stored.shape[axis], 1)
        if most_bytes is not None and size > most_bytes:
            raise ConfigError(
                f"{path} unpacks to {size / 2**30:.2f} GiB, more than the {most_bytes / 2**30:.2f} GiB that there is "
                "room for: split it"
            )
        with telling(path, kind):
            found = stored.take(start, stop, axis)
        if found.dtype.kind not in NUMBERS:
            raise ConfigError(f"{path} holds {found.dtype} where numbers are wanted")
        return found

    return take


def _part(array: np.ndarray, start: int, stop: int, axis: int) -> np.ndarray:
    return array[start:stop] if axis == 0 else np.moveaxis(array[..., start:stop], -1, 0)


Read = tuple[dict[str, Stored], dict[str, str], dict[str, Any]]


def _archive(path: Path, stack: contextlib.ExitStack) -> Read:
    file = np.load(stack.enter_context(path.open("rb")), allow_pickle=False)
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise ValueError("it is no archive")
    stack.enter_context(file)
    arrays, refused = {}, {}
    for name in file.files:
        if f"{name}.npy" not in file.zip.namelist():
            continue
        with file.zip.open(f"{name}.npy") as member:
            shape, dtype = npy_header(member)
        if dtype.kind not in NUMBERS or (name == ABOUT and math.prod(shape) > MOST_ABOUT):
            refused[name] = f"an array of {dtype}"
            continue
        whole = functools.cache(functools.partial(file.__getitem__, name))
        arrays[name] = Stored(shape, None, lambda a, b, axis, whole=whole: _part(whole(), a, b, axis))
    about = {}
    if ABOUT in arrays:
        about = json.loads(arrays.pop(ABOUT).take(0, None, 0).tobytes())
        if not isinstance(about, dict):
            raise ValueError("what it says of itself is no object")
    return arrays, refused, about


def npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array in a `.npy` stream, which then stands before its numbers."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _matlab(path: Path, stack: contextlib.ExitStack) -> Read:
    del stack
    from scipy.io import loadmat, whosmat

    def whole(name: str) -> np.ndarray:
        with path.open("rb") as stream:
            return loadmat(stream, variable_names=[name])[name]

    with path.open("rb") as stream:
        listed = whosmat(stream)
    refused = {name: f"a MATLAB {kind}" for name, _, kind in listed if kind not in MATLAB_NUMBERS}
    arrays = {}
    for name, shape, kind in listed:
        if kind in MATLAB_NUMBERS:
            read = functools.cache(functools.partial(whole, name))
            arrays[name] = Stored(tuple(shape), None, lambda a, b, axis, read=read: _part(read(), a, b, axis))
    return arrays, refused, {}


def _hdf5(path: Path, stack: contextlib.ExitStack) -> Read:
    from thzjax.data.hdf5 import read_file

    return read_file(path, stack)


def _matlab_hdf5(path: Path, stack: contextlib.ExitStack) -> Read:
    from thzjax.data.hdf5 import read_file

    return read_file(path, stack, reversed_axes=True)


READERS: dict[str, Callable[[Path, contextlib.ExitStack], Read]] = {
    ".npz": _archive,
    ".mat": _matlab,
    "HDF5": _hdf5,
    "MATLAB 7.3": _matlab_hdf5,
}
"""Readers by kind of file: (path, stack of what is to be closed) -> (arrays, what is refused, about)."""
AT_ONCE = (".npz", ".mat")
"""Kinds whose arrays are read whole."""
