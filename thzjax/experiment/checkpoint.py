"""Checkpoints of the whole training carry, by orbax: written aside and renamed, never pickled."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thzjax.errors import ConfigError
from thzjax.experiment.config import RunConfig
from thzjax.experiment.files import write_atomically
from thzjax.experiment.overrides import differences, from_json, to_json

KEEP = 3


def _plain(tree: Any) -> Any:
    """Typed keys as their integer data, empty arrays (no surface) as one zero: orbax saves neither. On the host."""

    def leaf(x: Any) -> np.ndarray:
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.random.key_data(x)
        return np.asarray(x) if x.size else np.zeros(1, x.dtype)

    return jax.tree.map(leaf, tree)


def _template(like: Any) -> Any:
    """Zeros on the host of the shapes that `_plain` gives; `like` may be abstract."""

    def leaf(x: Any) -> np.ndarray:
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.eval_shape(jax.random.key_data, x)
        return np.zeros(x.shape if x.size else 1, x.dtype)

    return jax.tree.map(leaf, like)


def _typed(tree: Any, like: Any) -> Any:
    """The inverse of `_plain`, by the types of `like`."""

    def leaf(x: Any, model: Any) -> Any:
        if jax.dtypes.issubdtype(model.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(jax.numpy.asarray(x), impl=jax.random.key_impl(jax.random.key(0)))
        return jax.numpy.asarray(x).reshape(model.shape) if model.size else jax.numpy.zeros(model.shape, model.dtype)

    return jax.tree.map(leaf, tree, like)


def _fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Checkpoints:
    """The checkpoints of one run folder; a context manager that waits for pending writes.

    `checkpoints.json` beside them holds the hash of every file of every complete checkpoint; it is written last, so
    a checkpoint it does not name was cut short, and one whose files differ is damaged.
    """

    def __init__(self, folder: Path) -> None:
        import orbax.checkpoint as ocp

        logging.getLogger("absl").setLevel(logging.ERROR)  # orbax narrates every save at INFO and WARNING
        self._ocp = ocp
        self.folder = folder.resolve() / "checkpoints"
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, create=True, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(self.folder, options=options)
        self._manifest = folder / "checkpoints.json"

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def _complete(self) -> dict[int, dict[str, str]]:
        """Complete checkpoints, oldest first: record number -> hashes of its files."""
        try:
            named = json.loads(self._manifest.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        there = set(self._manager.all_steps())
        return {int(n): named[n] for n in sorted(named, key=int) if int(n) in there}

    def latest(self) -> int | None:
        """Record number of the newest complete checkpoint."""
        return max(self._complete(), default=None)

    def records(self) -> list[int]:
        """Record numbers of the complete checkpoints, oldest first."""
        return list(self._complete())

    def save(self, record: int, state: Any, config: RunConfig) -> None:
        """Save the carry after `record` records; one that a kill cut short is replaced."""
        complete = self._complete()
        if record in complete:
            return
        if record in self._manager.all_steps():
            self._manager.delete(record)
        meta = {"config": to_json(config), "jax": jax.__version__}
        args = self._ocp.args
        self._manager.save(
            record, args=args.Composite(state=args.StandardSave(_plain(state)), meta=args.JsonSave(meta))
        )
        complete = self._complete() | {record: _fingerprints(self.folder / str(record))}
        write_atomically(self._manifest, json.dumps(complete, indent=1) + "\n")

    def load(self, like: Any, config: RunConfig, record: int | None = None) -> tuple[int, Any]:
        """(record number, carry) of the newest checkpoint, or of the one named; `like` is a carry of the same shapes,
        or its `jax.eval_shape`.

        Raises:
          ConfigError: none there, damaged, or of another configuration; nothing on disk is changed.
        """
        complete = self._complete()
        if not complete:
            raise ConfigError(f"{self.folder} holds no checkpoint: start the run again with a new --out")
        record = max(complete) if record is None else record
        others = [other for other in complete if other != record]
        where = self.folder / str(record)
        advice = (
            f"delete {where} to go on from checkpoint {max(others)}"
            if others
            else "no other is left: start the run again with a new --out"
        )
        # Before orbax reads anything: its readers complain on threads of their own.
        found = _fingerprints(where)
        bad = [name for name, digest in complete[record].items() if found.get(name) != digest]
        if bad:
            raise ConfigError(f"checkpoint {where} is damaged ({bad[0]} is not as it was saved): {advice}")
        args = self._ocp.args
        meta = self._manager.restore(record, args=args.Composite(meta=args.JsonRestore()))["meta"]
        saved = from_json(config, meta["config"], str(where))
        clash = differences(saved, config)
        if clash:
            raise ConfigError(
                f"checkpoint {where} belongs to another configuration (it differs in {', '.join(clash[:5])}): "
                "put back the run's own checkpoints or config.json"
            )
        restored = self._manager.restore(record, args=args.Composite(state=args.StandardRestore(_template(like))))
        return record, _typed(restored["state"], like)
