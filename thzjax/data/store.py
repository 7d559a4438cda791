"""Channels on their way into a file: written in parts beside it, and given its name once all of them are there."""

import contextlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thzjax.data.drops import notes_on
from thzjax.data.hdf5 import Hdf5Part
from thzjax.data.sources import ABOUT, npy_header
from thzjax.errors import ConfigError, one_line

FORMAT = 1
"""Of what a file says of itself."""
SECONDS_BETWEEN_NOTES = 1.0


class NpzPart:
    """A folder of `.npy` files of full size, written in place and packed into one archive at the end."""

    copies = 2
    """How often the numbers stand on the disk when `seal` is at work."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = {file.stem: file.open("r+b") for file in sorted(path.glob("*.npy"))}
        self._offsets = {}
        for name, file in self._files.items():
            npy_header(file)
            self._offsets[name] = file.tell()

    @staticmethod
    def create(path: Path, shapes: Mapping[str, Any], about: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
        """Make the folder; arguments as those of `Hdf5Part.create`."""
        path.mkdir()
        said = {"arrays": notes, **about}
        np.save(path / f"{ABOUT}.npy", np.frombuffer(json.dumps(said).encode(), np.uint8))
        for name, like in shapes.items():
            if 0 in like.shape:
                np.save(path / f"{name}.npy", np.zeros(like.shape, like.dtype))
            else:
                np.lib.format.open_memmap(path / f"{name}.npy", "w+", np.dtype(like.dtype), like.shape).flush()

    def put(self, start: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write rows from `start` on into every array."""
        for name, rows in arrays.items():
            if rows.size:
                # Not by a memory map: on a full disk that ends the process.
                self._files[name].seek(self._offsets[name] + start * (rows.nbytes // len(rows)))
                self._files[name].write(np.ascontiguousarray(rows))

    def flush(self) -> None:
        """Have what was written on the disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def seal(self, target: Path) -> None:
        """Pack the files, and give the archive its name."""
        self.flush()
        self.close()
        whole = self._path / "whole.zip"
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(self._files):
                # Without the date of the file: the same channels make the same bytes.
                with (
                    (self._path / f"{name}.npy").open("rb") as file,
                    archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member,
                ):
                    shutil.copyfileobj(file, member, 1 << 22)
        whole.replace(target)
        shutil.rmtree(self._path)


PARTS = {".h5": Hdf5Part, ".hdf5": Hdf5Part, ".npz": NpzPart}
"""What writes a file, by its suffix."""


class Store:
    """A file of `num` channels in the making; a context manager, after which what was written is safe, or refused.

    Beside TARGET stand TARGET.part, with room for all, and TARGET.part.json, which says how many are safely in it. With
    the same arguments a further process goes on from there.

    Attributes:
      done: channels written so far.
    """

    def __init__(
        self, target: Path, like: Mapping[str, jax.ShapeDtypeStruct], num: int, about: Mapping[str, Any]
    ) -> None:
        """Begin a file, or go on with one.

        Args:
          target: the file; its suffix is a key of `PARTS`.
          like: shape and type of one channel's arrays, by name.
          num: how many channels it will hold.
          about: what it says of itself, as JSON has it; whatever decides the numbers is in it.

        Raises:
          ConfigError: another suffix, a file that exists, one begun with another `about`, or too little room.
          OSError: it cannot be written.
        """
        if target.suffix.lower() not in PARTS:
            raise ConfigError(f"{target} has no suffix of {', '.join(PARTS)}: name a file of one of these kinds")
        if target.exists():
            raise ConfigError(f"{target} exists: choose another --out, or delete it")
        kind = PARTS[target.suffix.lower()]
        self._target, self._part = target, target.with_name(target.name + ".part")
        self._note = target.with_name(target.name + ".part.json")
        self._about = json.loads(json.dumps({"format": FORMAT, "num": num, **about}))
        self.num = num
        self.done = self._begun()
        row_bytes = bytes_of(like)
        _check_room(target, row_bytes * (kind.copies * num - self.done))
        target.parent.mkdir(parents=True, exist_ok=True)
        if not self._note.exists():
            # Whatever a kill left of a file whose making had not come to its note.
            shutil.rmtree(self._part, ignore_errors=True)
            self._part.unlink(missing_ok=True)
            shapes = {name: jax.ShapeDtypeStruct((num, *x.shape), x.dtype) for name, x in like.items()}
            kind.create(self._part, shapes, self._about, notes_on(like))
        try:
            self._file = kind(self._part)
        except OSError as error:
            raise ConfigError(
                f"{self._part} cannot be opened ({one_line(error)}): let another process that writes it end; otherwise "
                f"delete it and {self._note}"
            ) from None
        self._say()

    def _begun(self) -> int:
        """How many channels are there already."""
        try:
            said = json.loads(self._note.read_text(encoding="utf-8"))
            about, done = said["about"], int(said["done"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigError(f"{self._note} is damaged: delete it and {self._part} to begin again") from None
        if differ := sorted(k for k in {*about, *self._about} if about.get(k) != self._about.get(k)):
            raise ConfigError(
                f"{self._part} was begun with another {', '.join(differ)}: finish it as it was begun, or delete it and "
                f"{self._note}"
            )
        if not self._part.exists() or not 0 <= done <= self.num:
            raise ConfigError(f"{self._note} does not fit {self._part}: delete both to begin again")
        return done

    def _say(self) -> None:
        aside = self._note.with_name(self._note.name + ".tmp")
        aside.write_text(json.dumps({"done": self.done, "about": self._about}) + "\n", encoding="utf-8")
        aside.replace(self._note)
        self._said = time.monotonic()

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """The next channels, `[C, ...]` in every array."""
        self._file.put(self.done, arrays)
        self.done += len(next(iter(arrays.values())))
        if time.monotonic() - self._said > SECONDS_BETWEEN_NOTES:
            self.save()

    def save(self) -> None:
        """Have what was written safe."""
        self._file.flush()
        self._say()

    def finish(self) -> None:
        """Give the file its name; all channels must be there."""
        if self.done < self.num:
            raise RuntimeError(f"{self.done} of {self.num} channels are written")
        self._file.seal(self._target)
        self._note.unlink()

    def _discard(self) -> None:
        """Leave nothing behind: what was to be written is no good, so that there is nothing to go on with."""
        self._file.close()
        self._note.unlink()
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if not self._note.exists():
            return
        if kind is not None and issubclass(kind, ConfigError):
            self._discard()
            return
        # What cannot be saved, as on a full disk, has been told already.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self.save()
            self._file.close()


def bytes_of(like: Mapping[str, jax.ShapeDtypeStruct]) -> int:
    """What one channel takes [bytes]."""
    return sum(int(np.prod(x.shape)) * np.dtype(x.dtype).itemsize for x in like.values())


def _check_room(target: Path, needed: int) -> None:
    folder = next(path for path in target.absolute().parents if path.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"{target} needs {needed / 1e9:.2f} GB more and {free / 1e9:.2f} GB are free in {folder}: free some, write "
            "fewer channels (--num), or to another disk (--out)"
        )
