"""Files that are either whole or absent, and records that survive a kill."""

import errno
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk that takes no more."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file through a neighbour and a rename, flushed to disk: a reader sees the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(path.name + ".tmp")
    try:
        with neighbour.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
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


def read_records(path: Path) -> list[dict[str, Any]]:
    """The complete JSON lines of a file; a line cut short by a kill is passed over."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def rewrite_records(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Replace a record file atomically."""
    write_atomically(path, "".join(json.dumps(record) + "\n" for record in records))
