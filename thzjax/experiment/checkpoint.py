"""Checkpoints of the whole training carry, by orbax: written aside and renamed, never pickled."""

import hashlib
import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

import thzjax
from thzjax.errors import ConfigError, one_line
from thzjax.experiment.config import RunConfig
from thzjax.experiment.files import read_json, write_atomically
from thzjax.experiment.overrides import differences, from_json, to_json

KEEP = 3
"""Newest checkpoints that are kept, beside the best."""
LAYOUT = 2
"""Of what is saved; 1 was every array by itself."""
SMALL = 2**18
"""Numbers of an array that is saved together with others."""
SCORE = "validation/rate_feasible"
"""The metric that the best checkpoint is best by."""


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


def _packed(plain: Any) -> dict[str, np.ndarray]:
    """Small arrays of one type end to end in one, the others one by one, by name.

    Orbax 0.12 with tensorstore 0.1.86 keeps half a KiB for each array it has ever saved (`KvStore.Spec.to_json`).
    """
    parts: dict[str, list[np.ndarray]] = {}
    for name, x in _places(plain):
        parts.setdefault(name, []).append(x)
    return {name: np.concatenate([x.ravel() for x in xs]) if len(xs) > 1 else xs[0] for name, xs in parts.items()}


def _unpacked(packed: dict[str, Any], plain: Any) -> Any:
    """The inverse of `_packed`, by arrays of the shapes that were packed."""
    there = _packed(plain)
    taken = dict.fromkeys(there, 0)
    leaves = []
    for name, x in _places(plain):
        begin = taken[name]
        taken[name] += x.size
        whole = there[name].size == x.size
        leaves.append(packed[name] if whole else np.asarray(packed[name])[begin : taken[name]].reshape(x.shape))
    return jax.tree.unflatten(jax.tree.structure(plain), leaves)


def _places(plain: Any) -> list[tuple[str, np.ndarray]]:
    """Every array with the name under which it is saved."""
    leaves = jax.tree.leaves(plain)
    return [(str(x.dtype) if x.size <= SMALL else f"{i}-{x.dtype}", x) for i, x in enumerate(leaves)]


def _fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _shapes(plain: Any) -> dict[str, str]:
    """Every array's shape and type by its path, as text."""
    flat, _ = jax.tree_util.tree_flatten_with_path(plain)
    return {jax.tree_util.keystr(path): f"{list(x.shape)} {x.dtype}" for path, x in flat}


class Checkpoints:
    """The checkpoints of one run folder: the last `KEEP` and the best; a context manager that waits for pending writes.

    `checkpoints.json` beside them holds the hash of every file of every complete checkpoint, their scores, and which is
    best; it is written last, so a checkpoint it does not name was cut short, and one whose files differ is damaged.

    Of several processes only one writes, and each by itself may read.
    """

    def __init__(self, folder: Path) -> None:
        import orbax.checkpoint as ocp
        from orbax.checkpoint.options import MultiprocessingOptions

        # Orbax narrates every save, and prints tracebacks of what is caught and told in one line here.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._ocp = ocp
        self.folder = folder.resolve() / "checkpoints"
        self.folder.mkdir(parents=True, exist_ok=True)
        me = jax.process_index()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=None,  # orbax would delete before the manifest names what stays
            create=False,
            enable_async_checkpointing=False,
            # No barrier with the other processes: the carry is whole and on the host when it comes here.
            multiprocessing_options=MultiprocessingOptions(
                primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process-{me}"
            ),
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)
        self._manifest = folder / "checkpoints.json"

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def _named(self) -> tuple[dict[int, dict[str, str]], dict[int, float]]:
        """Complete checkpoints, oldest first: record number -> hashes of its files; and their scores."""
        if not self._manifest.exists():
            return {}, {}
        try:
            named = read_json(self._manifest, "a list of checkpoints")
            scores = {int(n): float(score) for n, score in named.get(SCORE, {}).items()}
            files = {
                int(n): {str(k): str(v) for k, v in hashes.items()} for n, hashes in named.items() if n.isdecimal()
            }
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise ConfigError(
                f"{self._manifest} is damaged ({one_line(error)}): put back a copy of it, or start the run again with "
                "a new --out"
            ) from None
        there = set(self._manager.all_steps())
        complete = sorted(n for n in files if n in there)
        return {n: files[n] for n in complete}, {n: scores[n] for n in complete if n in scores}

    def latest(self) -> int | None:
        """Record number of the newest complete checkpoint."""
        return max(self.records(), default=None)

    def best(self) -> int | None:
        """Record number of the complete checkpoint with the highest score; of equal ones the oldest."""
        scores = self._named()[1]
        return max(sorted(scores), key=scores.__getitem__, default=None)

    def records(self) -> list[int]:
        """Record numbers of the complete checkpoints, oldest first."""
        return list(self._named()[0])

    def find(self, which: str) -> int:
        """The record number that "last", "best" or a number means.

        Raises:
          ConfigError: there is none such.
        """
        if not (records := self.records()):
            raise ConfigError(f"{self.folder} holds no checkpoint: start the run again with a new --out")
        numbers = {str(n): n for n in records} | {"last": records[-1], "best": self.best()}
        if (found := numbers.get(which)) is None:
            known = ", ".join(name for name, n in numbers.items() if n is not None)
            raise ConfigError(f"checkpoint {which!r} is not in {self.folder}: use one of {known}")
        return found

    def save(self, record: int, state: Any, config: RunConfig, score: float) -> None:
        """Save the carry after `record` records; one that a kill cut short is replaced.

        Raises:
          OSError: it could not be written; what was complete before still is.
        """
        complete, scores = self._named()
        if record in complete:
            return
        self._clear(complete)
        plain = _plain(state)
        meta = {
            "config": to_json(config),
            "thzjax": thzjax.__version__,
            "jax": jax.__version__,
            "shapes": _shapes(plain),
            "layout": LAYOUT,
        }
        args = self._ocp.args
        try:
            self._manager.save(
                record, args=args.Composite(state=args.StandardSave(_packed(plain)), meta=args.JsonSave(meta))
            )
        except ValueError as error:
            self._clear(complete)
            # What a full disk is to orbax 0.11 to 0.12: "RESOURCE_EXHAUSTED: .. [os_error_code='28']".
            if code := re.search(r"os_error_code='(\d+)'", str(error)):
                raise OSError(int(code[1]), os.strerror(int(code[1])), str(self.folder / str(record))) from None
            raise
        except OSError:
            self._clear(complete)
            raise
        complete |= {record: _fingerprints(self.folder / str(record))}
        scores |= {record: score}
        best = max(sorted(scores), key=scores.__getitem__)
        kept = sorted({*sorted(complete)[-KEEP:], best})
        named = {"best": best, SCORE: {n: scores[n] for n in kept if n in scores}} | {n: complete[n] for n in kept}
        write_atomically(self._manifest, json.dumps(named, indent=1) + "\n")
        self._clear(kept)

    def _clear(self, named: Any) -> None:
        """Remove every checkpoint that is not named: cut short by a kill or a full disk, or no longer kept."""
        for record in self._manager.all_steps():
            if record not in named:
                self._manager.delete(record)
        for path in self.folder.iterdir():
            if path.is_dir() and not (path.name.isdecimal() and int(path.name) in named):
                shutil.rmtree(path, ignore_errors=True)

    def _damage(self, record: int, files: dict[str, str]) -> str:
        """The first file of a checkpoint that is not as it was saved, or nothing."""
        found = _fingerprints(self.folder / str(record))
        return next((name for name, digest in files.items() if found.get(name) != digest), "")

    def load(self, like: Any, config: RunConfig, record: int | None = None) -> tuple[int, Any]:
        """(record number, carry) of the newest checkpoint, or of the one named; `like` is a carry of the same shapes,
        or its `jax.eval_shape`.

        Raises:
          ConfigError: none there, damaged, of another configuration, or of another version that saved other arrays;
            nothing on disk is changed.
        """
        complete, _ = self._named()
        record = self.find("last") if record is None else self.find(str(record))
        where = self.folder / str(record)
        # Before orbax reads anything: its readers complain on threads of their own.
        if bad := self._damage(record, complete[record]):
            raise ConfigError(f"checkpoint {where} is damaged ({bad} is not as it was saved): {self._advice(record)}")
        args = self._ocp.args
        meta = self._restored(record, "meta", args.JsonRestore())
        if not isinstance(meta, dict) or not all(isinstance(meta.get(name, {}), dict) for name in ("config", "shapes")):
            raise ConfigError(f"checkpoint {where} does not say what it holds: {self._advice(record)}")
        version = meta.get("thzjax", thzjax.__version__)
        versions = (
            "" if version == thzjax.__version__ else f" (it is of thzjax {version}, this is {thzjax.__version__})"
        )
        saved = from_json(config, meta.get("config", {}), f"{where}{versions}")
        if clash := differences(saved, config):
            raise ConfigError(
                f"checkpoint {where}{versions} belongs to another configuration (it differs in "
                f"{', '.join(clash[:5])}): put back the run's own checkpoints or config.json"
            )
        template = _template(like)
        there, wanted = meta.get("shapes"), _shapes(template)
        if there is not None and there != wanted:
            name = next(n for n in sorted({*there, *wanted}) if there.get(n) != wanted.get(n))
            raise ConfigError(
                f"checkpoint {where} of thzjax {version} does not fit thzjax {thzjax.__version__}: state{name} is "
                f"{there.get(name, 'absent')} there and {wanted.get(name, 'absent')} here; go on with thzjax {version}"
            )
        if meta.get("layout", 1) != LAYOUT:
            raise ConfigError(
                f"checkpoint {where} of thzjax {version} is laid out otherwise than those of thzjax "
                f"{thzjax.__version__}: go on with what began the run, or train anew with a new --out"
            )
        packed = _packed(template)
        state = self._restored(record, "state", args.StandardRestore(packed))
        if _shapes(state) != _shapes(packed):
            raise ConfigError(f"checkpoint {where} holds other arrays than it says: {self._advice(record)}")
        return record, _typed(_unpacked(state, template), like)

    def _restored(self, record: int, part: str, how: Any) -> Any:
        """One part of a checkpoint, whatever orbax makes of it.

        Raises:
          ConfigError: it cannot be read.
        """
        try:
            return self._manager.restore(record, args=self._ocp.args.Composite(**{part: how}))[part]
        except Exception as error:
            raise ConfigError(
                f"checkpoint {self.folder / str(record)} cannot be read ({one_line(error)}): {self._advice(record)}"
            ) from None

    def _advice(self, record: int) -> str:
        """What to do about a damaged checkpoint: what to delete, and from where the run then goes on."""
        complete, _ = self._named()
        bad = [n for n in complete if n == record or self._damage(n, complete[n])]
        sound = [n for n in complete if n not in bad]
        if not sound:
            return "no other is left: start the run again with a new --out"
        ahead = [str(self.folder / str(n)) for n in reversed(bad) if n > sound[-1]] or [str(self.folder / str(record))]
        return f"delete {' and '.join(ahead)} to go on from checkpoint {sound[-1]}"
