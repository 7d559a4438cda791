"""Files that are either whole or absent, records that survive a kill, and JSON that is read with suspicion."""

import errno
import itertools
import json
import math
import numbers
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from thzjax.errors import ConfigError, one_line

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk that takes no more."""
MOST_JSON_BYTES = 1 << 26
"""No configuration, manifest or note of this project comes near."""
COUNTS = ("record", "updates", "env_steps", "episodes")
"""What every record of a run counts."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file through a neighbour and a rename, flushed to disk: a reader sees the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(path.name + ".tmp")
    try:
        # A path may have bytes that are no text, and a page may tell it.
        data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
        with neighbour.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        neighbour.unlink(missing_ok=True)  # on a full disk it takes what little is left
        raise
    neighbour.replace(path)


def json_text(value: Any) -> str:
    """A value as JSON to be read by people too; JSON has no infinity and no NaN: they are null."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(value), indent=2, allow_nan=False)


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON line, flushed to disk before returning."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_json(path: Path, what: str) -> Any:
    """What a JSON file holds.

    Args:
      path: the file.
      what: it should be, for the message.

    Raises:
      ConfigError: missing, unreadable, no JSON, nested beyond what can be walked, or larger than `MOST_JSON_BYTES`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_JSON_BYTES + 1)
        found = json.loads(content.decode("utf-8")) if len(content) <= MOST_JSON_BYTES else None
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist: is this a run folder?") from None
    except RecursionError:
        raise ConfigError(f"{path} is not readable as {what} (it is nested too deeply)") from None
    except (OSError, ValueError) as error:  # also what is no text, and whole numbers of thousands of digits
        raise ConfigError(f"{path} is not readable as {what} ({one_line(error)})") from None
    if len(content) > MOST_JSON_BYTES:
        raise ConfigError(f"{path} is not readable as {what} (it has more than {MOST_JSON_BYTES >> 20} MiB)")
    return found


def read_records(path: Path, every: int = 1) -> list[dict[str, Any]]:
    """The complete JSON lines of a file, or every so many of them from the first.

    A line cut short by a kill, or otherwise no JSON object, is passed over.
    """
    if not path.exists():
        return []
    records = []
    with path.open("rb") as file:
        for line in itertools.islice(file, 0, None, every):
            try:
                record = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                records.append(record)
    return records


def read_metrics(path: Path, every: int = 1) -> list[dict[str, float]]:
    """The records of a run, oldest first, or every so many of them; none where the file is missing.

    Raises:
      ConfigError: a record that lacks a count, or what the last one has, or holds anything but finite numbers.
    """
    records = read_records(path, every)
    for i, record in enumerate(records):
        for name in COUNTS:
            if not is_finite(record.get(name)) or record[name] != int(record[name]) or record[name] < 0:
                raise ConfigError(f"{path} is damaged: record {i} has no count {name!r}: put back a copy of it")
        # The first may be the untrained policy's, which has no training batch.
        wanted = records[-1] if i > 0 else {name for name in records[-1] if name.startswith("validation/")}
        if missing := sorted(set(wanted) - set(record)):
            raise ConfigError(f"{path} is damaged: record {i} lacks {missing[0]!r}: put back a copy of it")
        if bad := [name for name, value in record.items() if not is_finite(value)]:
            raise ConfigError(f"{path} is damaged: {bad[0]!r} of record {i} is no number: put back a copy of it")
    return records


def finite_numbers(records: Sequence[dict[str, Any]], name: str) -> list[float]:
    """The finite numbers that records have under a name."""
    return [record[name] for record in records if is_finite(record.get(name))]


def is_finite(value: Any) -> bool:
    """Whether a value of JSON is a number that a float holds."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    # A whole number may be larger than any float.
    return abs(value) < 2**63 if isinstance(value, numbers.Integral) else math.isfinite(value)


def rewrite_records(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Replace a record file atomically."""
    write_atomically(path, "".join(json.dumps(record) + "\n" for record in records))
