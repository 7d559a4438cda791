"""A run folder as a training leaves it, without the training."""

import json

import jax
import numpy as np

from thzjax.experiment import train as training
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import resolve
from thzjax.experiment.evaluation import TRAIN, stream_key
from thzjax.experiment.files import rewrite_records
from thzjax.experiment.learner import make_learner
from thzjax.exported import export_program

SMALL = (
    "num_envs=8", "minibatches=2", "epochs=1", "hidden=4", "surface_shape=2,2", "num_users=2", "updates_per_record=1",
    "validation_channels=4",
)  # fmt: skip


def made_run(folder):
    """(configuration, abstract carry) of a run folder with three records and two checkpoints."""
    config = resolve("paper-a", steps=16, overrides=SMALL)
    training.create_run_folder(folder, config)
    learner = make_learner(config)
    state = learner.init()
    with Checkpoints(folder) as checkpoints:
        for record in (0, 2):
            checkpoints.save(record, state, config, 1.0 + record)
    records = []
    for n in range(3):
        counts = {"record": n, "updates": n, "env_steps": 8 * n, "episodes": 8 * n}
        trained = {"sum_rate": 3.0, "episode_return": 3.0, "slack/beam_pattern": 0.1, "mu/beam_pattern": 0.2}
        rates = {"validation/rate": 3.5, "validation/rate_feasible": 3.0 + n}
        records.append(counts | (trained if n else {}) | rates)
    rewrite_records(folder / "metrics.jsonl", records)
    timing = [{"record": 0, "compile_s": 1.5}, {"record": 1, "seconds": 0.1, "env_steps_per_s": 80}]
    rewrite_records(folder / "timing.jsonl", timing)
    return config, jax.eval_shape(learner.agent.init, stream_key(config.seed, TRAIN), learner.params)


def made_channels(learner, count):
    """Arrays of a batch of channels, by name."""
    keys = jax.random.split(jax.random.key(3), count)
    channels = jax.jit(jax.vmap(learner.env.system.sample, in_axes=(0, None)))(keys, learner.params)
    return {name: np.asarray(getattr(channels, name)) for name in ("direct", "bs_to_surface", "surface_to_user")}


def made_export(path):
    """An exported design for channels of `made_run`'s scenario; not a policy, which takes longer to trace."""
    kind = jax.ShapeDtypeStruct
    arrays = {
        "direct": kind((2, 5), np.complex64), "bs_to_surface": kind((4, 5), np.complex64),
        "surface_to_user": kind((2, 4), np.complex64),
    }  # fmt: skip

    def matched(channels):
        return jax.numpy.conj(jax.numpy.swapaxes(channels["direct"], -1, -2)), channels["surface_to_user"][:, 0]

    export_program(path, matched, arrays, {"preset": "paper-a", "rank": 5}, ("cpu",))


RESULT = {
    "id": "small-fig1", "source": "Nobody, Fig. 1", "claim": "Grows.", "verdict": "holds", "budget": "quick",
    "seeds": 3, "channels": 8, "searches": 4, "seconds": 1.5, "work": {"points/a": 1.5}, "preset": "paper-a",
    "notes": "None.", "command": "thzjax reproduce small-fig1", "date": "2026-11-23",
    "findings": [
        {"statement": "grows", "verdict": "holds", "value": 1.0, "low": 0.5, "high": None, "unit": "bit",
         "regime": "fair"}
    ],
    "pictures": [{"name": "small-fig1", "shows": ""}],
    "environment": {"thzjax": "0.1.0", "jax": "0.10.1", "python": "3.11.7", "device": "cpu"},
}  # fmt: skip


def write_result(folder, result=None):
    """A figure's result and picture in a folder of results."""
    own = folder / "small-fig1"
    own.mkdir(parents=True)
    (own / "result.json").write_text(json.dumps(RESULT if result is None else result))
    (own / "small-fig1.svg").write_text('<?xml version="1.0"?><svg><g id="a"/><use href="#a"/></svg>')
    return own
