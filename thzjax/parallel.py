"""One learner of many workers: on one device, on several, and on several machines.

W workers collect and learn with a W-th of a run's environments each; whatever they share moves on the mean over all of
them (`agents.base.mean_over`), as paper A's chief does in DPPO. Workers of one device are an axis of `jax.vmap`,
devices one of `jax.pmap` outermost, and one learner's body serves every layout:

    state [W, ..]  ->  pmap over D devices [  scan over updates [  vmap over W/D workers [ update ]  ]  ]

Shared parts of the state enter and leave each of the maps without an axis, which `vmap` refuses as soon as one of them
depends on a single worker. A worker's key is folded with its number among all, so that the numbers do not follow
from how workers are spread over devices, to rounding; the number of workers decides them, as batches are then drawn
and shuffled by worker.

Of several processes (`thzjax.distributed`) all devices take part. Each holds the rows of its own workers, and calls the
same `pmap` with them; shared parts are the same everywhere, as they move on the mean over all.

Source: paper A, Section IV (its workers are users, its chief holds one policy); Heess et al., 2017 ("Emergence of
locomotion behaviours in rich environments"), for the distributed PPO it takes up.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from thzjax import distributed
from thzjax.agents.base import Agent
from thzjax.errors import ConfigError

WORKERS, DEVICES = "workers", "devices"
"""Names of the axes."""
PER_WORKER = ("env_states", "obs", "key", "replay")
"""Fields of a learner's state that each worker has of its own, `[W, ...]`; all others are shared."""
DIVIDED = ("num_envs", "env_chunk", "batch", "capacity")
"""Hyper-parameters of which each worker takes a W-th."""
BACKENDS = ("pmap", "shard_map")


def share(config: Any, workers: int) -> Any:
    """The hyper-parameters of one of W workers, whose shares add up to those of the run.

    A warm-up is counted over all: after n steps of each, nW >= warmup just where n >= ceil(warmup/W).

    Raises:
      ConfigError: a number that does not divide, or a share that the learner cannot use.
    """
    changes = {}
    for name in DIVIDED:
        whole = getattr(config, name, 0)
        if whole % workers:
            near = max(workers, round(whole / workers) * workers)
            raise ConfigError(f"{name}={whole} is not divisible by workers={workers}: choose a multiple, as {near}")
        if whole:
            changes[name] = whole // workers
    if hasattr(config, "warmup"):
        changes["warmup"] = -(-config.warmup // workers)
    try:
        return dataclasses.replace(config, **changes)
    except ConfigError as error:
        raise ConfigError(f"each of workers={workers} takes its share, and there {error}") from None


def choose_devices(workers: int, devices: int | None = None) -> int:
    """How many devices the workers run on: those asked for, else as many as divide the workers.

    Of several processes all devices take part.

    Raises:
      ConfigError: more devices than there are, or a number that does not divide the workers.
    """
    there, processes = jax.device_count(), jax.process_count()
    if processes > 1:
        if workers % there:
            near = -(-workers // there) * there
            raise ConfigError(
                f"workers={workers} is not divisible by the {there} devices of {processes} processes: choose "
                f"--workers as a multiple, as {near}"
            )
        if devices not in (None, there):
            raise ConfigError(
                f"devices={devices} but {processes} processes use all of their {there}: leave out --devices"
            )
        return there
    if devices is None:
        return max(count for count in range(1, min(there, workers) + 1) if workers % count == 0)
    if devices < 1:
        raise ConfigError(f"devices={devices} must be at least 1")
    if workers % devices:
        raise ConfigError(f"workers={workers} is not divisible by devices={devices}: choose --workers as a multiple")
    if devices > there:
        raise ConfigError(
            f"devices={devices} but this machine has {there}: choose fewer, or get virtual ones of a CPU by the "
            f"environment variable XLA_FLAGS=--xla_force_host_platform_device_count={devices}"
        )
    return devices


def split_state(state: Any) -> tuple[dict[str, Any], Any]:
    """(what each worker has of its own, by field; the state without it)."""
    own = {name: getattr(state, name) for name in PER_WORKER if hasattr(state, name)}
    return own, state.replace(**dict.fromkeys(own))


def worker_keys(key: Array, workers: int) -> Array:
    """Every worker's key, `[W]`: the run's, folded with the worker's number."""
    return jax.vmap(lambda worker: jax.random.fold_in(key, worker))(jnp.arange(workers, dtype=jnp.uint32))


def make_parallel(make: Callable[[tuple[str, ...]], Agent], workers: int, devices: int = 1) -> Agent:
    """A learner of W workers as one `Agent`, whose state has `[W, ...]` in the fields `PER_WORKER`.

    Args:
      make: named axes -> the learner of one worker (`share`), which reduces over them.
      workers: W.
      devices: with more than 1, `update` takes the W/D workers of one device and runs inside `on_devices` alone; `init`
        makes those of all in one piece either way.
    """
    alone = make((WORKERS,))
    worker = alone if devices == 1 else make((DEVICES, WORKERS))

    def init(key: Array, params: Any) -> Any:
        def one(key: Array) -> tuple[dict[str, Any], Any]:
            return split_state(alone.init(key, params))

        own, shared = jax.vmap(one, axis_name=WORKERS)(worker_keys(key, workers))
        return jax.tree.map(lambda x: x[0], shared).replace(**own)

    def update(state: Any, params: Any) -> tuple[Any, dict[str, Array]]:
        def one(own: dict[str, Any], shared: Any) -> tuple[dict[str, Any], Any, dict[str, Array]]:
            state, metrics = worker.update(shared.replace(**own), params)
            return *split_state(state), metrics

        # `out_axes=None` raises where a worker's own number has got into what is shared.
        each = jax.vmap(one, in_axes=(0, None), out_axes=(0, None, None), axis_name=WORKERS)
        own, shared, metrics = each(*split_state(state))
        return shared.replace(**own), metrics

    return Agent(init, update, alone.policy, workers * alone.steps_per_update)


def own_rows(state: Any) -> Any:
    """What one of P processes holds of a whole state: `[W/P, ...]` in the fields `PER_WORKER`."""
    processes, me = jax.process_count(), jax.process_index()
    if processes == 1:
        return state
    own, shared = split_state(state)
    return shared.replace(**jax.tree.map(lambda x: x.reshape(processes, -1, *x.shape[1:])[me], own))


def all_rows(state: Any) -> Any:
    """The whole state on every process, the inverse of `own_rows`; all processes must ask."""
    if jax.process_count() == 1:
        return state

    def whole(x: Array) -> Any:
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(distributed.gather(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        return distributed.gather(x)

    own, shared = split_state(state)
    return shared.replace(**jax.tree.map(whole, own))


@dataclasses.dataclass(frozen=True)
class OnDevices:
    """A function of a state on several devices, used like what `jax.jit` returns: called, or `.lower(..).compile()`,
    where the state may be abstract (`jax.eval_shape`).

    Outside, a state is worker-major, `[W, ...]`, whatever the number of devices: a checkpoint does not know it. Of P
    processes each passes and gets its own rows, `[W/P, ...]` (`own_rows`, `all_rows`).

    Attributes:
      mapped: (own fields, shared ones, rest) -> (own fields, shared ones, result).
      blocks: D/P where own fields are `[D/P, W/D, ...]` inside, as `pmap` wants them; None where `[W, ...]`.
    """

    mapped: Any
    blocks: int | None

    def _apart(self, state: Any) -> tuple[dict[str, Any], Any]:
        own, shared = split_state(state)
        if self.blocks is not None:
            own = jax.tree.map(lambda x: x.reshape(self.blocks, -1, *x.shape[1:]), own)
        return own, shared

    def __call__(self, state: Any, rest: Any) -> tuple[Any, Any]:
        own, shared, result = self.mapped(*self._apart(state), rest)
        if self.blocks is not None:
            own = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), own)
        return shared.replace(**own), result

    def lower(self, state: Any, rest: Any) -> "OnDevices":
        if jax.process_count() > 1:
            # A `pmap` compiled ahead of time wants arrays over all processes (jax 0.10.2); called, it takes local ones.
            return self
        return dataclasses.replace(self, mapped=self.mapped.lower(*jax.eval_shape(self._apart, state), rest))

    def compile(self) -> "OnDevices":
        if jax.process_count() > 1:
            return self
        return dataclasses.replace(self, mapped=self.mapped.compile())

    def memory_analysis(self) -> Any:
        """What the compiler tells of one device's memory, once compiled; None before that."""
        tell = getattr(self.mapped, "memory_analysis", None)
        return tell and tell()


def on_devices(function: Callable[[Any, Any], tuple[Any, Any]], devices: int, backend: str = "pmap") -> OnDevices:
    """`(state, rest) -> (state, result)` with its workers spread over the first D devices, of several processes all.

    Args:
      function: reduces over the axis `DEVICES` whatever is shared, as `make_parallel(.., devices=D).update` does.
      devices: D, a divisor of W.
      backend: "pmap", or "shard_map" for the same by a mesh.

    Raises:
      ConfigError: an unknown backend, one that several processes cannot use, or fewer devices than that.
    """
    choose_devices(devices, devices)
    if backend not in BACKENDS:
        raise ConfigError(f"backend={backend!r} is unknown: use one of {', '.join(BACKENDS)}")

    def body(own: dict[str, Any], shared: Any, rest: Any) -> tuple[dict[str, Any], Any, Any]:
        state, result = function(shared.replace(**own), rest)
        return *split_state(state), result

    processes = jax.process_count()
    if processes > 1:
        if backend != "pmap":
            raise ConfigError(f"backend={backend!r} is for one process: use pmap")
        mapped = jax.pmap(body, axis_name=DEVICES, in_axes=(0, None, None), out_axes=(0, None, None), donate_argnums=0)
        return OnDevices(mapped, devices // processes)
    local = jax.local_devices()[:devices]
    if backend == "pmap":
        mapped = jax.pmap(
            body, axis_name=DEVICES, in_axes=(0, None, None), out_axes=(0, None, None), devices=local, donate_argnums=0
        )
        return OnDevices(mapped, devices)
    mesh = Mesh(np.asarray(local), (DEVICES,))
    specs = (PartitionSpec(DEVICES), PartitionSpec(), PartitionSpec())
    # Checked, it would sum gradients of shared weights by itself, and their mean would come out D times too large.
    sharded = jax.shard_map(body, mesh=mesh, in_specs=specs, out_specs=specs, check_vma=False)
    shardings = tuple(NamedSharding(mesh, spec) for spec in specs)
    return OnDevices(jax.jit(sharded, in_shardings=shardings, donate_argnums=0), None)
