"""One writer to a folder at a time, by a lock that ends with its process, however that ends.

The lock is `flock(2)` on a file in the folder: the kernel lets go of it when the process that took it is gone, killed
or not, so that none is ever left behind. Between machines it works where the file system passes it on (NFS since Linux
2.6.12 with its lock daemon, Lustre mounted with `flock`); elsewhere it holds among the processes of one machine.
"""

import contextlib
import errno
import json
import os
import socket
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from thzjax.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows has other locks; there nothing is locked
    fcntl = None

LOCK = ".lock"
"""The file's name in the folder. It is there while the lock is held, and after a kill, when it means nothing."""
TRIES, PAUSE_S = 10, 0.05
"""Who only asks (`holder`) has the lock for an instant: it is worth trying again."""
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
"""No link is followed: a folder from elsewhere must not have another file written over."""


class Holder(NamedTuple):
    """Who writes to a folder; process 0 and no host where it has not said."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "another process"


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Be the one writer to a folder for the time of a block.

    On a file system without locks it warns and goes on.

    Raises:
      ConfigError: another has it, named by process and machine.
      OSError: the folder cannot be written.
    """
    if fcntl is None:
        yield
        return
    path = folder / LOCK
    descriptor = _take(path)
    try:
        with contextlib.suppress(OSError):  # on a full disk the lock holds without its words
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # while it is held: nobody can have taken it in between
        os.close(descriptor)


def holder(folder: Path) -> Holder | None:
    """Who writes to a folder now, if anyone does."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _said(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _take(path: Path) -> int:
    """The descriptor of the locked file, which is the one that the path names."""
    found = Holder(0, "")
    for _ in range(TRIES):
        descriptor = os.open(path, FLAGS, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have removed the file between the two calls above; a lock on that one locks nothing.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            found = _said(descriptor)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in NO_LOCKS:
                warnings.warn(f"{path.parent} cannot be locked: see that nothing else writes to it", stacklevel=3)
                return descriptor
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(PAUSE_S)
    raise ConfigError(
        f"{path.parent} is being written by {found}: wait until that has ended, stop it, or choose another folder"
    )


def _said(descriptor: int) -> Holder:
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(int(said["pid"]), str(said["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder(0, "")
