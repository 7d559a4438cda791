"""NumPy archives (`.npz`) that are read with suspicion: whatever is wrong with one is told in one line.

No pickle is ever loaded, and nothing is unpacked before its size is known: an archive of a few kilobytes may hold
arrays of terabytes.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thzjax.errors import ConfigError, one_line


def read_arrays(path: str | Path, names: Sequence[str], most_bytes: int | None) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` that are asked for, as far as it has them; others are not looked at.

    Args:
      path: the file.
      names: of the arrays.
      most_bytes: what all of them may take, unpacked; None for no limit.

    Returns:
      Arrays by name.

    Raises:
      ConfigError: no such file, no archive, a damaged one, arrays of objects, or too much of it.
    """
    try:
        with Path(path).open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ConfigError(f"{path} is not readable as .npz (it is no archive)")
            stream.seek(0)
            with zipfile.ZipFile(stream) as archive:
                wanted = [info for info in archive.infolist() if info.filename.removesuffix(".npy") in names]
            size = sum(info.file_size for info in wanted)
            if most_bytes is not None and size > most_bytes:
                raise ConfigError(
                    f"{path} unpacks to {size / 2**30:.2f} GiB, more than the {most_bytes / 2**30:.2f} GiB that there "
                    "is room for: split it"
                )
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                found = {name: file[name] for name in names if name in file}
            if bad := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
                raise ConfigError(f"{path} is not readable as .npz ({bad[0]} is no array)")
            return found
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist") from None
    except ConfigError:
        raise
    except Exception as error:  # whatever a damaged archive makes its readers raise
        raise ConfigError(f"{path} is not readable as .npz ({one_line(error)})") from None
