"""Channels drawn into a file: any number of them, the same bit for bit however they are drawn."""

import functools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import thzjax
from thzjax.data.drops import channel_arrays
from thzjax.data.store import Store, bytes_of
from thzjax.errors import ConfigError
from thzjax.experiment.compare import HELD_OUT_SEED
from thzjax.experiment.evaluation import HELD_OUT, stream_key
from thzjax.experiment.overrides import to_json
from thzjax.experiment.train import Unwritable
from thzjax.systems.scenario import Scenario, build

DATA = 4
"""Stream of the channels in files: neither training nor a comparison draws any of them, whatever their seed."""
BLOCK_BYTES, MOST_IN_BLOCK = 1 << 26, 1024
LAST = 2**32
"""Keys are folded with numbers of 32 bits."""
SECONDS_BETWEEN_LINES = 2.0


def generate(
    scenario: Scenario,
    target: Path,
    num: int,
    say: Callable[[str], None],
    preset: str,
    seed: int = 0,
    start: int = 0,
    held_out: bool = False,
    devices: int = 1,
) -> None:
    """Draw channels `start` to `start + num` of a scenario into a file; an interrupted one is gone on with.

    Channel i comes from the key of `seed` folded with i, and it is computed at place i mod B of block i // B by one
    program for B channels, B a function of the scenario's sizes: its bits do not depend on `num`, `start`, on
    interruptions or on the number of devices. On another kind of device or version of jax they are the same to
    rounding.

    Args:
      scenario: what the channels are of.
      target: `.h5`, `.hdf5` or `.npz` file to write.
      num: how many.
      say: told about progress.
      preset: the preset that the scenario came from.
      seed: of the channels.
      start: number of the first one.
      held_out: those that `compare` and `evaluate` judge on (their seed, to rounding), not such as train.
      devices: how many local ones draw, block by block.

    Raises:
      ConfigError: numbers out of range, or a file that cannot be begun or gone on with.
      Unwritable: the disk took no more; what it took is safe.
    """
    if num < 1 or start < 0 or start + num > LAST:
        raise ConfigError(f"num={num} from start={start} on must be channels of 0..{LAST - 1}, and at least 1")
    if not 0 <= seed < 2**31:
        raise ConfigError(f"seed={seed} must lie in 0..2147483647")
    if held_out and seed not in (0, HELD_OUT_SEED):
        raise ConfigError(f"seed={seed} but held-out channels have seed {HELD_OUT_SEED}: leave out one of the two")
    there = jax.local_devices()
    if not 1 <= devices <= len(there):
        raise ConfigError(f"devices={devices} must lie in 1..{len(there)}, the devices of this machine")
    system, params = build(scenario)
    _, like = channel_arrays(system, params)
    seed = HELD_OUT_SEED if held_out else seed
    about = {
        "thzjax": thzjax.__version__,
        "jax": jax.__version__,
        "device": f"{there[0].device_kind} ({there[0].platform})",
        "preset": preset,
        "scenario": to_json(scenario),
        "channels": "held out" if held_out else "drawn",
        "seed": seed,
        "start": start,
    }
    root = stream_key(seed, HELD_OUT if held_out else DATA)
    with Store(target, like, num, about) as store:
        tell = _pace(store, say)
        try:
            for arrays in _blocks(system, params, root, start + store.done, start + num, there[:devices], like):
                store.write(arrays)
                tell()
            store.finish()
        except OSError as error:
            raise Unwritable(
                f"{target}.part cannot be written ({error.strerror or error}): what was saved is safe; free some space "
                "there, then the same command goes on"
            ) from error


def block_size(like: Mapping[str, jax.ShapeDtypeStruct]) -> int:
    """B, channels that are drawn together: a power of two, of at most `BLOCK_BYTES` and `MOST_IN_BLOCK` channels."""
    most = max(1, min(MOST_IN_BLOCK, BLOCK_BYTES // max(bytes_of(like), 1)))
    return 1 << (most.bit_length() - 1)


@functools.partial(jax.jit, static_argnums=(0, 1))
def draw_block(system: Any, size: int, params: Any, root: Array, first: Array) -> Any:
    """Channels `first` to `first + size` of a stream."""
    keys = jax.vmap(lambda i: jax.random.fold_in(root, i))(first + jnp.arange(size, dtype=jnp.uint32))
    return jax.vmap(system.sample, in_axes=(0, None))(keys, params)


def _blocks(
    system: Any, params: Any, root: Array, begin: int, end: int, devices: list[Any], like: Mapping[str, Any]
) -> Iterator[dict[str, np.ndarray]]:
    """Channels `begin` to `end` in pieces, in order; every device is a block ahead of what is written."""
    size = block_size(like)
    inputs = [jax.device_put((params, root), device) for device in devices]
    waiting: deque[tuple[int, Any]] = deque()

    def ready() -> dict[str, np.ndarray]:
        first, block = waiting.popleft()
        rows = slice(max(begin - first, 0), min(end - first, size))
        return {name: np.asarray(getattr(block, name))[rows] for name in like}

    for number in range(begin // size, -(-end // size)):
        mine = inputs[number % len(inputs)]
        waiting.append((number * size, draw_block(system, size, *mine, np.uint32(number * size))))
        if len(waiting) > len(devices):
            yield ready()
    while waiting:
        yield ready()


def _pace(store: Store, say: Callable[[str], None]) -> Callable[[], None]:
    """Tells now and then how far a store is, how fast, and how long the rest takes."""
    begin = last = time.monotonic()
    before = store.done
    if before:
        say(f"{before} of {store.num} channels were there")

    def tell() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES and store.done < store.num:
            return
        last, rate = now, (store.done - before) / max(now - begin, 1e-9)
        say(f"{store.done} of {store.num} channels, {rate:,.0f}/s, {(store.num - store.done) / rate:.0f} s left")

    return tell
