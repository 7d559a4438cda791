"""A broken run of any learner, resumed, ends with the bits of one that was never broken."""

import jax
import numpy as np
import pytest

from thzjax.agents.registry import AGENTS
from thzjax.experiment import train as training
from thzjax.experiment.checkpoint import Checkpoints
from thzjax.experiment.config import read_config, resolve
from thzjax.experiment.learner import make_learner

RECORDS, UPDATES = 3, 2
COMMON = (f"updates_per_record={UPDATES}", "records_per_checkpoint=1", "validation_channels=4", "num_envs=8")
ON = ("rollout=2", "hidden=4", "gamma=0.5", "normalise_obs=true")
# The second record ends the warm-up and fills the ring; slow copies and their moments exist as gamma > 0.
OFF = ("hidden=4", "gamma=0.5", "capacity=24", "batch=8", "gradient_steps=2", "warmup=32")
SETTINGS = {
    "ppo": (*ON, "minibatches=2", "epochs=1", "objective=kl"),
    "dppo": (*ON, "minibatches=2"),
    "a2c": ON,
    "a3c": ON,
    "reinforce": ON,
    "ddpg": OFF,
    "td3": OFF,
    "sac": OFF,
    # Not the unfolded layers, whose compilation is most of a run.
    "apg": ("policy=structured", "hidden=4"),
}
EVERYDAY = ("apg",)


class Broken(RuntimeError):
    """The power cut."""


class Progress:
    """No progress to be seen, and a power cut at a record."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at

    def start(self, config, done, runs=1):
        pass

    def update(self, record, metrics, steps_per_second, seconds_left):
        if record == self.stop_at:
            raise Broken

    def stop(self):
        pass


def begin(folder, agent):
    steps = resolve("paper-a", agent, overrides=(*COMMON, *SETTINGS[agent])).learner.steps_per_update
    overrides = (*COMMON, *SETTINGS[agent])
    config = resolve("paper-a", agent, steps=RECORDS * UPDATES * steps, overrides=overrides)
    training.create_run_folder(folder, config)
    return config


def final_bits(folder, config):
    """The lines of metrics, and every number of the last checkpoint's carry."""
    learner = make_learner(config)
    like = jax.eval_shape(learner.agent.init, jax.random.key(0), learner.params)
    with Checkpoints(folder) as checkpoints:
        record, state = checkpoints.load(like, config)
    assert record == RECORDS
    leaves = [jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
              for x in jax.tree.leaves(state)]  # fmt: skip
    return (folder / "metrics.jsonl").read_bytes(), [np.asarray(x).tobytes() for x in leaves]


@pytest.mark.parametrize(
    "agent", [name if name in EVERYDAY else pytest.param(name, marks=pytest.mark.full) for name in AGENTS]
)
def test_a_resumed_run_ends_with_the_bits_of_a_whole_one(agent, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    config = begin(whole, agent)
    assert training.run_training(config, whole, Progress()) == 0
    begin(broken, agent)
    # The cut comes after the record's line is written and before its checkpoint: one record is made again.
    with pytest.raises(Broken):
        training.run_training(config, broken, Progress(stop_at=2))
    assert training.run_training(read_config(broken / "config.json"), broken, Progress()) == 0
    metrics, carry = final_bits(whole, config)
    assert final_bits(broken, config) == (metrics, carry)
    assert len(metrics.splitlines()) == RECORDS + 1
