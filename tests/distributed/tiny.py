"""Tiny runs in processes of their own, and what two of them have in common when they are over."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

from thzjax.experiment import train as training
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import read_config, resolve
from thzjax.experiment.learner import make_learner

HERE = Path(__file__).parent
OPTIONS = (
    "num_envs=16", "minibatches=2", "epochs=1", "hidden=4", "surface_shape=2,2", "num_users=2", "updates_per_record=1",
    "validation_channels=8",
)  # fmt: skip
LIMIT_S = 240


class Silent:
    """No progress to be seen; does something at a record."""

    def __init__(self, at=None, do=None):
        self.at, self.do = at, do

    def start(self, config, done, runs=1):
        pass

    def update(self, record, metrics, steps_per_second, seconds_left):
        if record == self.at:
            self.do()

    def stop(self):
        pass


def begin(folder, records=6, every=2, workers=1, **changes):
    options = (*OPTIONS, f"records_per_checkpoint={every}", *(f"{k}={v}" for k, v in changes.items()))
    config = resolve("paper-a", steps=records * 16, overrides=options, workers=workers)
    assert config.records == records
    training.create_run_folder(folder, config)
    return config


def resume_here(folder, progress=None):
    return training.run_training(read_config(folder / "config.json"), folder, progress or Silent())


def python(*command, **environment):
    """What it says goes to a file: a pipe that nobody reads while it runs would fill and hang it."""
    said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - `ended` closes it
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", *map(str, command)],
        env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=said,
    )  # fmt: skip
    process.said = said
    return process


def thzjax(*arguments, **environment):
    return python("-m", "thzjax", "train", "--no-report", *arguments, **environment)


def ended(process):
    """(exit status, what it said)."""
    try:
        process.wait(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    with process.said as said:
        said.seek(0)
        return process.returncode, said.read()


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def address(port, process, processes=2):
    where = ("--coordinator", f"127.0.0.1:{port}", "--num-processes", processes, "--process-id", process)
    return ("--distributed", *where)


def carry(folder):
    """Every number of the newest checkpoint."""
    config = read_config(folder / "config.json")
    learner = make_learner(config)
    like = jax.eval_shape(learner.agent.init, jax.random.key(0), learner.params)
    with Checkpoints(folder) as checkpoints:
        record, state = checkpoints.load(like, config)
    assert record == config.records
    data = (jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
            for x in jax.tree.leaves(state))  # fmt: skip
    return [np.asarray(x) for x in data]


def same(a, b):
    """To the byte."""
    assert (a / "metrics.jsonl").read_bytes() == (b / "metrics.jsonl").read_bytes()
    for x, y in zip(carry(a), carry(b), strict=True):
        assert x.tobytes() == y.tobytes()
