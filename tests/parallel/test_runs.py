"""Runs of several workers are runs like any other: killed, resumed, judged, trained side by side, and refused."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment"))
sys.path.insert(0, str(Path(__file__).parent))
from test_layouts import FLAGS, LIMIT_S
from test_train import SMALL, Silent

from thzjax import cli
from thzjax.errors import ConfigError
from thzjax.experiment import train as training
from thzjax.experiment.config import config_json, read_config, resolve
from thzjax.experiment.files import read_records
from thzjax.experiment.learned import policy_names
from thzjax.experiment.learner import load_weights, make_learner
from thzjax.experiment.together import make_together
from thzjax.parallel import PER_WORKER


def small(records=4, workers=4, seed=0, agent="ppo"):
    return resolve("paper-a", agent, steps=records * 64, overrides=SMALL, workers=workers, seed=seed)


def begin(folder, config):
    training.create_run_folder(folder, config)
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel") / "whole"
    config = begin(folder, small())
    assert training.run_training(config, folder, Silent()) == 0
    return config, folder


def test_a_run_of_four_workers_is_killed_and_resumed_to_the_same_bits(finished, tmp_path):
    config, whole = finished
    broken = tmp_path / "broken"
    begin(broken, config)
    with pytest.raises(RuntimeError, match="power cut"):
        training.run_training(config, broken, Silent(stop_at=3))
    assert training.run_training(read_config(broken / "config.json"), broken, Silent()) == 0
    assert (broken / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    mine, theirs = (load_weights(config, folder)[2] for folder in (broken, whole))
    jax.tree.map(np.testing.assert_array_equal, mine, theirs)


@pytest.mark.full
def test_a_run_goes_on_with_another_number_of_devices(finished, tmp_path):
    config, whole = finished
    folder = tmp_path / "moved"
    begin(folder, config)
    with pytest.raises(RuntimeError, match="power cut"):
        training.run_training(config, folder, Silent(stop_at=3))
    command = [sys.executable, "-W", "ignore", "-m", "thzjax", "train", "--resume", str(folder)]
    done = subprocess.run(
        [*command, "--devices", "2", "--no-report"],
        env=os.environ | {"XLA_FLAGS": FLAGS}, timeout=LIMIT_S, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    mine, theirs = (read_records(run / "metrics.jsonl") for run in (folder, whole))
    assert len(mine) == len(theirs) == 5
    for a, b in zip(mine, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-4)  # float32 through two updates


def test_a_run_of_workers_takes_the_steps_it_says_and_learns(finished):
    config, folder = finished
    records = read_records(folder / "metrics.jsonl")
    assert [record["env_steps"] for record in records] == [0, 64, 128, 192, 256]
    assert records[-1]["episodes"] == 256  # of one step each, those of all workers
    learner, untrained, trained = load_weights(config, folder)
    moved = jax.tree.map(lambda a, b: float(np.max(np.abs(a - b))), untrained["actor"], trained["actor"])
    assert max(jax.tree.leaves(moved)) > 1e-4
    assert policy_names([folder]) == {"ppo, 4 workers": [folder]}
    state = jax.eval_shape(learner.agent.init, jax.random.key(0), learner.params)
    assert jax.tree.leaves(state.obs)[0].shape[:2] == (4, 8)


def test_one_worker_is_the_learner_by_itself():
    alone = make_learner(dataclasses.replace(small(), workers=1))
    state = jax.eval_shape(alone.agent.init, jax.random.key(0), alone.params)
    assert jax.tree.leaves(state.obs)[0].shape[0] == 32
    assert state.key.shape == ()


@pytest.mark.full
def test_seeds_side_by_side_have_workers_too():
    configs = [small(workers=2, seed=seed) for seed in (0, 1)]
    group = make_together(configs)
    states, metrics = group.chunk(group.init(), group.validation_channels())
    for config, state, of_one in zip(configs, group.split(states), group.split(metrics), strict=True):
        alone = make_together([config])
        like, like_metrics = alone.chunk(alone.init(), alone.validation_channels())
        assert all(jax.tree.leaves(getattr(like, name))[0].shape[0] == 2 for name in PER_WORKER if hasattr(like, name))
        # Another program in float32: rounding alone, as for seeds of single learners.
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), state.params, like.params)
        assert of_one["sum_rate"] == pytest.approx(float(like_metrics["sum_rate"]), abs=1e-4)


def test_dppo_is_ppo_with_a_worker_for_each_user(tmp_path):
    dppo, ppo = resolve("paper-a", "dppo"), resolve("paper-a")
    assert dppo == dataclasses.replace(ppo, agent="dppo", workers=dppo.scenario.num_users)
    assert resolve("paper-a", "dppo", overrides=("num_users=2",)).workers == 2
    assert resolve("paper-a", "dppo", overrides=("num_users=2", "workers=8")).workers == 8
    assert resolve("paper-a", "dppo", workers=1).workers == 1
    paper = resolve("paper-a", "dppo", "paper")
    assert paper.learner == resolve("paper-a", "ppo", "paper").learner
    begin(tmp_path / "run", small(agent="dppo"))
    assert read_config(tmp_path / "run" / "config.json") == small(agent="dppo")
    assert list(policy_names([tmp_path / "run"])) == ["dppo"]


def test_a_configuration_from_before_there_were_workers_has_one(tmp_path):
    config = dataclasses.replace(small(), workers=1)
    text = config_json(config).replace('  "workers": 1,\n', "")
    assert "workers" not in text
    (tmp_path / "config.json").write_text(text)
    assert read_config(tmp_path / "config.json") == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("paper-a", "--workers", "3"), "num_envs=2048 is not divisible by workers=3"),
        (("paper-a", "--workers", "0"), "workers=0 must be at least 1"),
        (("paper-a", "--devices", "2"), "workers=1 is not divisible by devices=2"),
        (("paper-a", "--workers", "64", "--devices", "64"), "XLA_FLAGS=--xla_force_host_platform_device_count=64"),
        (("paper-a", "--workers", "4", "--devices", "2", "--seeds", "2"), "devices=2"),
        (("--resume", "somewhere", "--workers", "2"), "--resume takes the run's own configuration"),
    ],
)
def test_what_cannot_be_run_is_refused_and_leaves_no_folder(options, message, tmp_path, capsys):
    out = () if "--resume" in options else ("--out", str(tmp_path / "run"))
    assert cli.main(["train", *options, *out]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_several_runs_are_not_spread_over_devices():
    with pytest.raises(ConfigError, match="devices=2 are for a single run"):
        make_together([small(workers=2, seed=seed) for seed in (0, 1)], 2)
