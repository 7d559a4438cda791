"""Checkpoints of the whole training carry, by orbax: written aside and renamed, never pickled."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thzjax.errors import ConfigError
from thzjax.experiment.config import RunConfig
from thzjax.experiment.overrides import differences, from_json, to_json

KEEP = 3


def _plain(tree: Any) -> Any:
    """Typed keys as their integer data, everything on the host."""

    def leaf(x: Any) -> np.ndarray:
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.random.key_data(x)
        return np.asarray(x)

    return jax.tree.map(leaf, tree)


def _typed(tree: Any, like: Any) -> Any:
    """The inverse of `_plain`, by the types of `like`."""

    def leaf(x: Any, model: Any) -> Any:
        if jax.dtypes.issubdtype(model.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(jax.numpy.asarray(x), impl=jax.random.key_impl(model))
        return jax.numpy.asarray(x)

    return jax.tree.map(leaf, tree, like)


def _digest(tree: Any) -> str:
    """SHA-256 over every leaf's place, type and bytes."""
    digest = hashlib.sha256()
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        digest.update(f"{jax.tree_util.keystr(path)} {x.dtype} {x.shape}".encode())
        digest.update(np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()


class Checkpoints:
    """The checkpoints of one run folder; a context manager that waits for pending writes."""

    def __init__(self, folder: Path) -> None:
        import orbax.checkpoint as ocp

        logging.getLogger("absl").setLevel(logging.ERROR)  # orbax narrates every save at INFO and WARNING
        self._ocp = ocp
        self.folder = folder.resolve() / "checkpoints"
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, create=True, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def latest(self) -> int | None:
        """Record number of the newest complete checkpoint."""
        return self._manager.latest_step()

    def save(self, record: int, state: Any, config: RunConfig) -> None:
        """Save the carry after `record` records; a checkpoint that is already there is left as it is."""
        if record in self._manager.all_steps():
            return
        plain = _plain(state)
        meta = {"config": to_json(config), "digest": _digest(plain), "jax": jax.__version__}
        args = self._ocp.args
        self._manager.save(record, args=args.Composite(state=args.StandardSave(plain), meta=args.JsonSave(meta)))

    def load(self, like: Any, config: RunConfig) -> tuple[int, Any]:
        """(record number, carry) of the newest checkpoint; `like` is a carry of the same shapes.

        Raises:
          ConfigError: none there, damaged, or of another configuration; nothing on disk is changed.
        """
        record = self.latest()
        if record is None:
            raise ConfigError(f"{self.folder} holds no checkpoint: start the run again with a new --out")
        where = self.folder / str(record)
        others = [step for step in self._manager.all_steps() if step != record]
        advice = (
            f"delete {where} to go on from checkpoint {max(others)}"
            if others
            else "no other is left: start the run again with a new --out"
        )
        args = self._ocp.args
        try:
            meta = self._manager.restore(record, args=args.Composite(meta=args.JsonRestore()))["meta"]
            saved = from_json(RunConfig(), meta["config"], str(where))
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(f"checkpoint {where} is damaged ({_short(error)}): {advice}") from None
        clash = differences(saved, config)
        if clash:
            raise ConfigError(
                f"checkpoint {where} belongs to another configuration (it differs in {', '.join(clash[:5])}): "
                "put back the run's own checkpoints or config.json"
            )
        plain = _plain(like)
        try:
            restored = self._manager.restore(record, args=args.Composite(state=args.StandardRestore(plain)))["state"]
            intact = _digest(restored) == meta["digest"]
        except Exception as error:
            raise ConfigError(f"checkpoint {where} is damaged ({_short(error)}): {advice}") from None
        if not intact:
            raise ConfigError(f"checkpoint {where} is damaged (its contents changed since it was saved): {advice}")
        return record, _typed(restored, like)


def _short(error: Exception) -> str:
    """The first words of an error, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
