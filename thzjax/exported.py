"""Exported policies: one file that holds a policy as a compiled-ahead program; loading it needs jax and NumPy alone.

`thzjax policy RUN --export FILE` writes one. It is an `.npz` of two arrays of bytes: `program`, the policy with its
weights and physical parameters as serialised StableHLO for any number of channels (`jax.export`), and `about`, JSON
that says what it takes and where it comes from. A program is code: load files of people whose programs you would run.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from thzjax.archives import read_arrays
from thzjax.errors import ConfigError, one_line

__all__ = ["Beams", "ExportedPolicy", "load_exported"]

FORMAT = 1
MOST_BYTES = 1 << 31
"""No policy is larger."""
OPTIONAL = ("user_position_m",)
"""What no design looks at."""


class Beams(NamedTuple):
    """A batch of designs: `beamformer`, W `[C, M, S]` [sqrt(W)], and `reflection`, psi `[C, N]`."""

    beamformer: Array
    reflection: Array


@dataclasses.dataclass(frozen=True)
class ExportedPolicy:
    """A policy as a function of channels, compiled once for each number of them.

    Attributes:
      about: `arrays` that it takes, by name, with shape and type of one channel; `preset`, `scenario`, `agent`,
        `policy`, `steps` of training, `platforms`, and the versions that wrote it.
      program: arrays by name -> (W, psi).
    """

    about: dict[str, Any]
    program: Callable[[dict[str, Any]], tuple[Array, Array]]

    def __call__(self, channels: Mapping[str, ArrayLike]) -> Beams:
        """Designs for a batch of channels, `[C, ...]` in every array.

        Raises:
          ConfigError: an array that is missing, of another shape, not finite, or of no channel.
        """
        return Beams(*self.program(checked_arrays(channels, self.arrays, "channels")))

    @property
    def arrays(self) -> dict[str, jax.ShapeDtypeStruct]:
        """What it takes, by name: shape and type of one channel's arrays."""
        return _wanted(self.about) or {}


def load_exported(path: str | Path) -> ExportedPolicy:
    """The policy in a file that `export_program` wrote.

    Raises:
      ConfigError: no such file, or not an exported policy that this version reads.
    """
    parts = read_arrays(path, ("about", "program"), MOST_BYTES)
    if len(parts) < 2:
        raise ConfigError(f"{path} is not an exported policy: `thzjax policy RUN --export` writes one")
    try:
        about = json.loads(parts["about"].tobytes().decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not an exported policy ({one_line(error)}): `thzjax policy RUN --export` writes one"
        ) from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ConfigError(f"{path} is not an exported policy of format {FORMAT}: export it again with this version")
    wanted = _wanted(about)
    if wanted is None or not isinstance(about.get("rank"), int) or about["rank"] < 1:
        raise ConfigError(f"{path} does not say what channels it takes: export it again")
    try:
        exported = jax.export.deserialize(bytearray(parts["program"].tobytes()))
        takes = [(tuple(x.shape[1:]), np.dtype(x.dtype)) for x in exported.in_avals]
    except Exception as error:
        raise ConfigError(f"{path} holds no program that jax {jax.__version__} reads ({one_line(error)})") from None
    if takes != [(x.shape, x.dtype) for _, x in sorted(wanted.items())] or len(exported.out_avals) != 2:
        raise ConfigError(f"{path} holds another program than it says: export it again")
    here = jax.export.default_export_platform()
    if here not in exported.platforms:
        raise ConfigError(f"{path} was exported for {', '.join(exported.platforms)}, not for {here}")
    return ExportedPolicy(about, jax.jit(exported.call))


def _wanted(about: dict[str, Any]) -> dict[str, jax.ShapeDtypeStruct] | None:
    """The arrays that a note on a policy says it takes, by name; None where it says nothing of the kind."""
    try:
        entries = {name: (tuple(x["shape"]), np.dtype(x["dtype"])) for name, x in about["arrays"].items()}
    except Exception:  # what a name of no type makes NumPy raise differs with the name
        return None
    sizes = [size for shape, _ in entries.values() for size in shape]
    if not {"direct", "bs_to_surface"} <= set(entries) or not all(type(size) is int and size >= 0 for size in sizes):
        return None
    if any(dtype.kind not in "fc" for _, dtype in entries.values()):
        return None
    return {name: jax.ShapeDtypeStruct(shape, dtype) for name, (shape, dtype) in entries.items()}


def export_program(
    path: str | Path,
    design: Callable[[dict[str, Array]], tuple[Array, Array]],
    arrays: dict[str, jax.ShapeDtypeStruct],
    about: dict[str, Any],
    platforms: tuple[str, ...],
) -> None:
    """Write a function of arrays `[C, ...]` by name to a file, for any C.

    Args:
      path: file to write.
      design: arrays by name -> (W, psi), traced once with a symbolic C.
      arrays: shape and type of one channel's arrays.
      about: what to say of it, as JSON.
      platforms: what it is lowered for: "cpu", "cuda", "rocm", "tpu".
    """
    (batch,) = jax.export.symbolic_shape("C")
    like = {name: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype) for name, x in arrays.items()}
    program = jax.export.export(jax.jit(design), platforms=platforms)(like).serialize()
    entries = {name: {"shape": list(x.shape), "dtype": str(x.dtype)} for name, x in arrays.items()}
    said = {"format": FORMAT, "arrays": entries, "platforms": list(platforms), "jax": jax.__version__} | about
    parts = {"about": json.dumps(said).encode(), "program": bytes(program)}
    aside = Path(path).with_name(Path(path).name + ".tmp")
    with aside.open("wb") as file:
        np.savez(file, **{name: np.frombuffer(part, np.uint8) for name, part in parts.items()})
    aside.replace(path)


def refuse_richer(arrays: Mapping[str, ArrayLike], rank: int, source: object, first: int = 0) -> None:
    """Refuse channels whose rows span more dimensions than designers of this `rank` look at: the rest would be lost.

    Rows of `bs_to_surface [C, N, M]` and `direct [C, K, M]` are projected onto the span of `rank` random mixtures of
    them; what stays outside is rounding where the rank is no larger. `first` is the number of the first channel.

    Raises:
      ConfigError: a thousandth of some channel's amplitude or more lies outside.
    """
    G, direct = (np.asarray(arrays[name]) for name in ("bs_to_surface", "direct"))
    if rank >= G.shape[-1]:
        return
    rows = np.concatenate([G, direct.reshape(len(direct), -1, direct.shape[-1])], axis=-2)
    largest = np.abs(rows).max(axis=(-2, -1), keepdims=True)
    rows = (rows / np.where(largest > 0, largest, 1)).astype(np.complex128)
    real, imag = np.random.default_rng(0).normal(size=(2, rank, rows.shape[-2]))
    basis = np.linalg.qr(np.conj(np.swapaxes((real + 1j * imag) @ rows, -1, -2)))[0]
    outside = rows - rows @ basis @ np.conj(np.swapaxes(basis, -1, -2))
    share = np.linalg.norm(outside, axis=(-2, -1)) / np.maximum(np.linalg.norm(rows, axis=(-2, -1)), 1e-300)
    if share.max() > 1e-3:
        worst = int(share.argmax())
        raise ConfigError(
            f"{source}: channel {first + worst} has more than the {rank} independent paths of the scenario, "
            f"{share[worst]:.2g} of its amplitude beyond them: take one with as many (num_rays_bs), for training too"
        )


def checked_arrays(
    arrays: Mapping[str, ArrayLike], wanted: Mapping[str, jax.ShapeDtypeStruct], source: object
) -> dict[str, Array | np.ndarray]:
    """The wanted arrays of a batch of channels, in their types; `OPTIONAL` ones that are missing are zeros.

    Raises:
      ConfigError: an array that is missing, of another shape, not finite, or of no channel.
    """
    if missing := [name for name in wanted if name not in arrays and name not in OPTIONAL]:
        raise ConfigError(f"{source} lacks {', '.join(missing)}: it needs {', '.join(wanted)}")
    given = {name: x if isinstance(x := arrays[name], Array) else np.asarray(x) for name in wanted if name in arrays}
    first = next(iter(given.values()))
    count = first.shape[0] if first.ndim else 0
    checked: dict[str, Array | np.ndarray] = {}
    for name, like in wanted.items():
        array = given.get(name, np.zeros((count, *like.shape), like.dtype))
        if array.shape != (count, *like.shape) or not count:
            shape = ", ".join(map(str, ("C", *like.shape)))
            raise ConfigError(f"{source}: {name} has shape {array.shape}, [{shape}] is needed with C={count} >= 1")
        if array.dtype.kind not in "?bufic":
            raise ConfigError(f"{source}: {name} holds {array.dtype}, not numbers")
        if not bool(np.all(np.isfinite(array))):
            raise ConfigError(f"{source}: {name} holds numbers that are not finite")
        if np.iscomplexobj(array) and not np.issubdtype(like.dtype, np.complexfloating):
            raise ConfigError(f"{source}: {name} is complex, {like.dtype} is needed")
        with np.errstate(over="ignore"):
            checked[name] = array.astype(like.dtype)
        if not bool(np.all(np.isfinite(checked[name]))):
            raise ConfigError(f"{source}: {name} holds numbers that are too large for {like.dtype}")
    return checked
