"""Runs side by side: each is what it would have been alone, and their folders are ordinary run folders."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from test_train import SMALL, Silent

from thzjax import cli
from thzjax.errors import ConfigError
from thzjax.experiment import train as training
from thzjax.experiment.config import read_config, resolve
from thzjax.experiment.files import read_records
from thzjax.experiment.learned import learned_rules, policy_names, runs_in, transferred, write_together
from thzjax.experiment.learner import make_learner
from thzjax.experiment.overrides import apply_overrides
from thzjax.experiment.together import expand, make_together
from thzjax.systems.scenario import build, preset


def small(steps=6 * 64, overrides=()):
    return resolve("paper-a", steps=steps, overrides=(*SMALL, *overrides))


def folders_for(root, labels):
    runs = {root / name: config for named in labels.values() for name, config in named.items()}
    for folder, config in runs.items():
        training.create_run_folder(folder, config)
    write_together(root, {label: list(named) for label, named in labels.items()})
    return runs


def train(runs, progress=None):
    return training.run_together(list(runs.values()), list(runs), progress or Silent())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "group"
    runs = folders_for(root, expand(small(), 2, [("actor_rate", ("1e-2", "1e-3")), ("critic_rate", ("2e-2", "2e-3"))]))
    assert train(runs) == 0
    return root, runs


def test_swept_options_change_together_and_seeds_within_each():
    labels = expand(small(overrides=["seed=3"]), 2, [("actor_rate", ("1e-2", "1e-3")), ("gamma", ("0.5", "0.9"))])
    assert list(labels) == ["actor_rate=1e-2", "actor_rate=1e-3"]
    assert list(labels["actor_rate=1e-3"]) == ["actor_rate=1e-3-seed-3", "actor_rate=1e-3-seed-4"]
    config = labels["actor_rate=1e-3"]["actor_rate=1e-3-seed-4"]
    assert (config.learner.actor_rate, config.learner.gamma, config.seed) == (1e-3, 0.9, 4)


def test_every_run_has_a_folder_of_its_own(finished):
    root, runs = finished
    assert [len(each) for each in runs_in(root).values()] == [2, 2]
    ends = []
    for folder, config in runs.items():
        assert read_config(folder / "config.json") == config
        records = read_records(folder / "metrics.jsonl")
        assert [r["record"] for r in records] == list(range(7))
        ends.append(records[-1]["validation/rate_feasible"])
    assert len(set(ends)) == 4
    names = policy_names([root])
    assert [len(runs) for runs in names.values()] == [2, 2]
    assert next(iter(names)) == "ppo, actor_rate=1e-2, 2 seeds"


def test_a_broken_group_ends_with_the_same_bytes(finished, tmp_path):
    whole, _ = finished
    root = tmp_path / "broken"
    runs = folders_for(root, expand(small(), 2, [("actor_rate", ("1e-2", "1e-3")), ("critic_rate", ("2e-2", "2e-3"))]))
    with pytest.raises(RuntimeError, match="power cut"):
        train(runs, Silent(5))
    # A kill between two saves: one run is a checkpoint behind the others.
    newest = max(next(iter(runs)).glob("checkpoints/*"), key=lambda path: int(path.name))
    shutil.rmtree(newest)
    assert train(runs) == 0
    for folder in runs:
        assert (folder / "metrics.jsonl").read_bytes() == (whole / folder.name / "metrics.jsonl").read_bytes()


@pytest.mark.full
def test_a_run_in_company_is_the_run_alone(x64):
    config = small(overrides=["updates_per_record=20"])
    configs = [
        dataclasses.replace(config, seed=seed, learner=dataclasses.replace(config.learner, actor_rate=rate))
        for seed, rate in ((0, 1e-3), (1, 3e-3))
    ]
    group = make_together(configs)
    together, _ = group.chunk(group.init(), group.validation_channels())
    for one, single in zip(group.split(together), configs, strict=True):
        alone = make_together([single])
        state, _ = alone.chunk(alone.init(), alone.validation_channels())
        for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(state.params), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.full
def test_physics_may_differ_where_sizes_do_not(tmp_path):
    labels = expand(small(2 * 64), 1, [("power_w", ("0.001", "0.1"))])
    runs = folders_for(tmp_path / "power", labels)
    assert train(runs) == 0
    low, high = (read_records(folder / "metrics.jsonl")[-1]["validation/rate_feasible"] for folder in runs)
    assert low < high


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (("num_envs", ("32", "64")), "learner.num_envs may not differ"),
        (("num_users", ("2", "3")), r"scenario.num_users changes its sizes"),
        (("horizon", ("1", "2")), "horizon may not differ"),
    ],
)
def test_what_no_program_can_share_is_refused(sweep, message):
    labels = expand(small(), 1, [sweep])
    with pytest.raises(ConfigError, match=message):
        make_together([config for named in labels.values() for config in named.values()])


@pytest.mark.full
def test_one_run_that_diverges_leaves_the_others_alone(tmp_path):
    labels = expand(small(4 * 64, ["max_grad_norm=1e30"]), 1, [("actor_rate", ("1e-3", "1e30"))])
    runs = folders_for(tmp_path / "wild", labels)
    with pytest.raises(training.Diverged, match=r"actor_rate=1e30-seed-0 diverged by update"):
        train(runs)
    good, bad = runs
    assert len(read_records(good / "metrics.jsonl")) == 5
    assert all(np.isfinite(v) for record in read_records(bad / "metrics.jsonl") for v in record.values())


def test_a_policy_of_fixed_size_stays_on_its_scenario(finished):
    root, runs = finished
    scenario = dataclasses.replace(next(iter(runs.values())).scenario, num_users=3)
    with pytest.raises(ConfigError, match=r"trained on another scenario \(it differs in num_users\)"):
        learned_rules([root], scenario)


def test_a_policy_for_any_size_goes_where_the_constraints_are_the_same(tmp_path):
    config = resolve("paper-a", "apg")
    learner = make_learner(config)
    weights = jax.eval_shape(learner.agent.init, jax.random.key(0), learner.params).params
    larger = apply_overrides(config.scenario, ["num_users=6", "surface_shape=5,5"])
    env, policy = transferred(config, larger, ["num_users"], weights, tmp_path)
    obs, _ = jax.eval_shape(env.reset, jax.random.key(0), build(larger)[1])
    design = jax.eval_shape(policy.mode, weights, obs)
    assert (design.beamformer.shape, design.reflection.shape) == ((5, 6), (25,))
    with pytest.raises(ConfigError, match="trained on another scenario"):
        transferred(config, preset("paper-b"), ["num_users"], weights, tmp_path)


def test_a_policy_for_any_size_needs_the_constraints_it_learned(tmp_path):
    config = resolve("paper-b", "apg")
    learner = make_learner(config)
    weights = jax.eval_shape(learner.agent.init, jax.random.key(0), learner.params).params
    free = apply_overrides(config.scenario, ["constraints=bs_power,surface_power,target_noise,amplitude"])
    with pytest.raises(ConfigError, match="trained under other constraints than bs_power"):
        transferred(config, free, ["constraints"], weights, tmp_path)


def test_seeds_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    quick = [f"--set={SMALL[0]}", *SMALL[1:], "hidden=8,8"]
    assert cli.main(["train", "paper-a", "--seeds", "2", "--steps", "128", "--out", "two", *quick]) == 0
    shown = capsys.readouterr()
    assert "ppo, 2 seeds" in shown.out
    assert "ppo, 2 seeds, untrained" in shown.out
    assert (tmp_path / "two" / "learning_curves.png").exists()
    assert cli.main(["train", "--resume", "two", "--no-report"]) == 0
    assert cli.main(["evaluate", "two", "--channels", "8", "--json", "rows.json"]) == 0
    assert cli.main(["report", "two"]) == cli.BAD_INPUT
    assert "holds 2 runs" in capsys.readouterr().err
