"""`thzjax train` that kills itself in the N-th save: `killed_in_save.py MODE N ARGUMENTS..`.

Modes: "writing" (orbax's files are half there), "naming" (all there, not yet named in checkpoints.json), "clearing"
(named, older ones not yet removed).
"""

import os
import signal
import sys

import orbax.checkpoint as ocp

from thzjax import cli
from thzjax.experiment import checkpoint

mode, number = sys.argv[1], int(sys.argv[2])
calls = 0


def killing(function):
    """The function, or the end of this process at the N-th call."""

    def instead(*args, **kwargs):
        global calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return instead


if mode == "writing":
    # Orbax writes aside and renames at the end; between the two everything of a step is in a temporary folder.
    from orbax.checkpoint._src.path import atomicity

    for kind in (atomicity.AtomicRenameTemporaryPath,):
        kind.finalize = killing(kind.finalize)
elif mode == "naming":
    checkpoint.write_atomically = killing(checkpoint.write_atomically)
else:
    ocp.CheckpointManager.delete = killing(ocp.CheckpointManager.delete)
sys.exit(cli.main(["train", *sys.argv[3:]]))
