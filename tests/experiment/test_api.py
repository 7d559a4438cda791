"""The commands as functions: what they return, what they go on with, and what they refuse."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thzjax
from thzjax.beamforming import get_design
from thzjax.errors import ConfigError
from thzjax.experiment import api
from thzjax.experiment.evaluation import draw_channels
from thzjax.experiment.overrides import as_assignments
from thzjax.experiment.policy import export_policy
from thzjax.systems.base import Design

TINY = {
    "num_envs": 32, "minibatches": 2, "epochs": 1, "hidden": (8, 8), "updates_per_record": 2,
    "validation_channels": 16,
}  # fmt: skip


def short(folder, **options):
    return thzjax.train("paper-a", steps=2 * 64, overrides=TINY, out=folder, progress=False, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return short(tmp_path_factory.mktemp("api") / "run")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "run.policy"
    export_policy(run.folder, path, platforms=("cpu",))
    return path


@pytest.fixture(scope="module")
def channels():
    system, params = thzjax.systems.build(thzjax.systems.preset("paper-a"))
    return draw_channels(system, params, 4, seed=2)


def rates(result):
    return {(row["method"], row["surface"]): row["rate_feasible"] for row in result.rows}


def test_a_run_has_its_learning_curve_and_its_policy(run, channels):
    assert run.metrics["record"].tolist() == [0, 1, 2]
    assert np.all(np.isfinite(run.metrics["validation/rate_feasible"]))
    assert np.isnan(run.metrics["sum_rate"][0])
    assert np.all(np.isfinite(run.metrics["sum_rate"][1:]))
    design = run.policy(channels)
    assert design.beamformer.shape == (4, 5, 4)
    assert design.reflection.shape == (4, 16)
    assert run.policy.scenario == run.config.scenario
    before = thzjax.load_policy(run.folder, trained=False)(channels)
    assert not np.allclose(before.beamformer, design.beamformer)
    command = json.loads((run.folder / "environment.json").read_text())["command"]
    assert command == f"thzjax train --config {run.folder / 'config.json'}"


def test_the_same_call_returns_the_same_run_and_another_is_refused(run):
    def files():
        return [(run.folder / name).read_bytes() for name in ("metrics.jsonl", "timing.jsonl", "environment.json")]

    before = files()
    assert short(run.folder) == run
    assert files() == before
    with pytest.raises(ConfigError, match="exists: choose another"):
        short(run.folder, seed=1)


@pytest.mark.parametrize(("status", "raised"), [(130, KeyboardInterrupt), (143, SystemExit)])
def test_a_stopped_run_is_not_taken_for_a_finished_one(tmp_path, monkeypatch, status, raised):
    monkeypatch.setattr(api, "run_training", lambda *args: status)
    with pytest.raises(raised):
        short(tmp_path / "stopped")


def test_a_run_its_policy_and_its_file_are_judged_alike(run, exported):
    of_run = rates(thzjax.evaluate(run, 8, methods=["mrt/random"]))
    assert set(of_run) == {("ppo", "policy"), ("ppo, untrained", "policy"), ("mrt", "random")}
    for policy in (run.policy, exported):
        result = thzjax.evaluate(policy, 8)
        # One program is another's in a different batch: rounding of sums of a few hundred float32 products.
        assert rates(result)["ppo", "own"] == pytest.approx(of_run["ppo", "policy"], rel=1e-4)
        assert "feasible" in str(result)
        assert "judgements" not in repr(result)


def test_a_function_of_ones_own_is_judged_as_the_design_it_is():
    system, params = thzjax.systems.build(thzjax.systems.preset("paper-a"))

    def matched(channels):
        return get_design("mrt", "focused")(system, params, channels, jax.random.key(0))

    found = rates(thzjax.evaluate(matched, 8, preset="paper-a", methods=["mrt/focused"]))
    assert found["matched", "own"] == pytest.approx(found["mrt", "focused"], rel=1e-4)


def test_several_are_judged_at_once_as_alone(run):
    def silent(channels):
        shape = channels.direct.shape
        return Design(jnp.zeros((*shape[:-2], shape[-1], shape[-2]), complex), jnp.ones((*shape[:-2], 16), complex))

    together = rates(thzjax.evaluate([run, silent], 8))
    assert together["silent", "own"] == 0
    assert together["ppo", "policy"] == rates(thzjax.evaluate(run, 8))["ppo", "policy"]
    with pytest.raises(ConfigError, match="two policies have one name"):
        thzjax.evaluate([silent, silent], 8, preset="paper-a")


def test_what_cannot_be_judged_is_refused(run, exported, channels):
    with pytest.raises(ConfigError, match="no policy says which scenario"):
        thzjax.evaluate(lambda channels: None)
    with pytest.raises(ConfigError, match="differs in pattern_threshold"):
        thzjax.evaluate(run.policy, 8, overrides={"pattern_threshold": 3})
    with pytest.raises(ConfigError, match="refine is for run folders"):
        thzjax.evaluate(exported, 8, refine=3)
    with pytest.raises(ConfigError, match="is this a run folder"):
        thzjax.evaluate("nowhere")
    with pytest.raises(ConfigError, match="one set of weights"):
        thzjax.load_policy(exported, trained=False)
    _, params = thzjax.systems.build(run.config.scenario)
    with pytest.raises(ConfigError, match="parameters it was exported with"):
        thzjax.load_policy(exported)(channels, params)


def test_options_are_texts_or_values():
    assert as_assignments({"num_users": 3, "surface_shape": (6, 6)}) == ("num_users=3", "surface_shape=6,6")
    assert as_assignments("num_users=3") == ("num_users=3",)
    assert as_assignments(["a=1", "b=2"]) == ("a=1", "b=2")
    scenario = api._scenario(thzjax.systems.preset("paper-a"), None, {"pattern_threshold": None, "power_w": 0.01})
    assert scenario.pattern_threshold is None
    assert scenario.power_w == 0.01
