"""Processes of one run, on one machine or on several: how they find each other, agree, and part.

JAX calls every one of P processes with the same program; process 0 serves the others as a meeting point (coordinator)
and is the only one that writes files. What all must do alike (stop, fail, go on) they agree on by one small reduction.
"""

import contextlib
import os
import re
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import jax
import numpy as np

from thzjax.errors import ConfigError

T = TypeVar("T")

HEARTBEAT_S = 30
"""A process not heard of for so long counts as dead (JAX's own default is 100). Threads of their own send heartbeats,
so that compiling does not delay them."""
LINGER_S = 3.0
"""How long a failing process 0 stays: JAX aborts the others as soon as it is gone, with their last words unsaid."""
BY_HAND = "--coordinator HOST:PORT --num-processes N --process-id I"


class Elsewhere(RuntimeError):
    """Process 0 failed at something that all waited for; it says itself at what."""


def join(coordinator: str | None, num_processes: int | None, process_id: int | None, timeout_s: int) -> None:
    """Meet the other processes of this run, before anything touches a device.

    With nothing but the time-out, the surroundings tell who is who (Slurm, Open MPI, a TPU pod, Kubernetes). A process
    that waits in vain says so and ends with status 1: JAX's own time-out would abort it with a stack trace, and cannot
    be caught.

    Args:
      coordinator: HOST:PORT of process 0, the same for all.
      num_processes: P.
      process_id: 0 to P - 1.
      timeout_s: how long to wait for the others.

    Raises:
      ConfigError: arguments that do not fit together, surroundings that do not tell, or a port that is taken.
    """
    given = (coordinator, num_processes, process_id)
    if given != (None,) * 3:
        if None in given:
            raise ConfigError(f"--coordinator, --num-processes and --process-id go together: give {BY_HAND}, or none")
        if not re.fullmatch(r".+:\d+", coordinator):
            raise ConfigError(f"coordinator={coordinator!r} is no HOST:PORT, such as 127.0.0.1:29500")
        if not 0 <= process_id < num_processes:
            raise ConfigError(
                f"process_id={process_id} must lie in 0..{num_processes - 1} with {num_processes} of them"
            )
    if timeout_s < 1:
        raise ConfigError(f"initialization_timeout={timeout_s} must be at least 1 second")
    # Where the devices are CPUs, sums between processes go by Gloo over TCP; JAX has no other without MPI.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would swallow a SIGTERM from here until the training loop listens for it.
    jax.config.update("jax_enable_preemption_service", False)
    who = f"the {num_processes} processes" if num_processes else "the processes"
    where = f" at {coordinator}" if coordinator else ""

    def give_up() -> None:
        print(
            f"thzjax: not all of {who} of this run met{where} within {timeout_s} s: see whether each was started with "
            "the same --coordinator, whether process 0 can be reached, or wait longer by --initialization-timeout",
            file=sys.stderr,
        )
        _end(1)

    alarm = threading.Timer(timeout_s, give_up)
    alarm.daemon = True
    alarm.start()
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=timeout_s + 60,  # never: the alarm comes first
            heartbeat_timeout_seconds=HEARTBEAT_S,
        )
        jax.devices()  # waits until all have told of theirs
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        if coordinator is None:
            raise ConfigError(
                f"neither Slurm, Open MPI nor a TPU pod is found here ({reason}): give {BY_HAND}"
            ) from None
        raise ConfigError(f"process {process_id} cannot join{where} ({reason})") from None
    finally:
        alarm.cancel()


@contextlib.contextmanager
def member(distributed: bool, *address: Any) -> Iterator[None]:
    """Be one of several processes for the time of a block; without `distributed`, be as if this were not there.

    Whatever breaks the block ends the process at once (`leave`), after a line that says why; the others, who would
    wait for it, then end by themselves. A block that comes to its end calls `part`.

    Args:
      distributed: whether there are others.
      address: what `join` takes.

    Raises:
      ConfigError: an address without `distributed`, or one that `join` refuses.
    """
    if not distributed:
        if address[:3] != (None,) * 3:
            raise ConfigError("--coordinator, --num-processes and --process-id are for --distributed: add it")
        yield
        return
    join(*address)
    if not first():
        warnings.simplefilter("ignore")  # process 0 says the same
    try:
        yield
    except BaseException as error:
        print(f"thzjax: {_reason(error)}", file=sys.stderr)
        leave(2 if isinstance(error, ConfigError) else 130 if isinstance(error, KeyboardInterrupt) else 1)


def _reason(error: BaseException) -> str:
    """What ended this process, in one line; a mistake of the program is printed with its traceback before."""
    me = f"process {jax.process_index()} of {jax.process_count()}"
    if lost(error):
        return f"{me} has lost another: go on from the last checkpoint with --resume, with any number of processes"
    if not isinstance(error, ConfigError | Elsewhere | KeyboardInterrupt):
        traceback.print_exception(error)
    return f"{me}: {str(error) or 'interrupted'}"


def first() -> bool:
    """Whether this is the process that writes, process 0."""
    return jax.process_index() == 0


def agree(number: int) -> int:
    """The largest of the processes' numbers; all of them must ask."""
    if jax.process_count() == 1:
        return number
    from jax.experimental.multihost_utils import process_allgather

    return int(np.max(process_allgather(np.int32(number))))


def tell(number: int | None) -> int:
    """Process 0's number, at least 0, to all."""
    return agree(number if first() else 0)


def first_does(work: Callable[[], T]) -> T | None:
    """Let process 0 do something while the others wait; they return nothing, and raise when it raised.

    Raises:
      Elsewhere: process 0 raised, in the others.
    """
    result, failure = None, None
    if first():
        try:
            result = work()
        except Exception as error:
            failure = error
    if agree(failure is not None):
        raise failure or Elsewhere("process 0 stopped: it says why")
    return result


def gather(x: Any) -> np.ndarray:
    """`[n, ..]` of every process -> `[P n, ..]` on the host of each, in the order of the processes."""
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(np.asarray(x), tiled=True))


def lost(error: BaseException) -> bool:
    """Whether an error tells of another process that ended, rather than of a mistake in this one."""
    signs = "Gloo|NCCL|UNAVAILABLE|DEADLINE_EXCEEDED|Connection (closed|reset)|coordination service"
    return (
        jax.process_count() > 1 and isinstance(error, ValueError | RuntimeError) and bool(re.search(signs, str(error)))
    )


def part() -> None:
    """Leave the run in order, when all do: what one goes on with alone keeps nobody waiting."""
    if jax.process_count() > 1:
        jax.distributed.shutdown()


def leave(status: int) -> NoReturn:
    """End this process at once, out of order: JAX's own way out would wait for the others, which wait for this one."""
    if first():
        sys.stderr.flush()
        time.sleep(LINGER_S)
    _end(status)


def _end(status: int) -> NoReturn:
    """Without asking JAX, which may be waiting for a process that never comes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
