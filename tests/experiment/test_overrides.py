"""Overrides by name, and configurations that survive JSON."""

import dataclasses

import pytest

from thzjax.errors import ConfigError
from thzjax.experiment.config import RunConfig, config_json, read_config, resolve
from thzjax.experiment.overrides import apply_overrides, differences


def test_names_may_be_bare_or_dotted_and_values_take_the_fields_type():
    config = apply_overrides(
        RunConfig(),
        ["power_w=0.01", "learner.clip=0.1", "surface_shape=6,6", "pattern_threshold=none", "decay_rates=false",
         "pattern_targets_deg=-30,30", "phase_levels=paper", "num_envs=64", "hidden=32,32,32"],
    )  # fmt: skip
    assert config.scenario.power_w == 0.01
    assert config.learner.clip == 0.1
    assert config.scenario.surface_shape == (6, 6)
    assert config.scenario.pattern_threshold is None
    assert config.learner.decay_rates is False
    assert config.scenario.pattern_targets_deg == (-30.0, 30.0)
    assert config.scenario.phase_levels == "paper"
    assert config.learner.num_envs == 64
    assert config.learner.hidden == (32, 32, 32)


BAD = {
    "option 'power' is unknown: did you mean": ["power=1"],
    "is not of the form name=value": ["power_w"],
    "num_users='many' is not a int": ["num_users=many"],
    "needs 2 comma-separated values, not 3": ["surface_shape=1,2,3"],
    "must be true or false": ["decay_rates=perhaps"],
}


@pytest.mark.parametrize("message", BAD)
def test_bad_overrides_say_what_to_do(message):
    with pytest.raises(ConfigError) as caught:
        apply_overrides(RunConfig(), BAD[message])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("preset", ["paper-a", "paper-a-literal"])
@pytest.mark.parametrize("configuration", ["default", "paper"])
def test_a_configuration_survives_the_file(tmp_path, preset, configuration):
    config = resolve(preset, configuration=configuration, seed=3, overrides=["pattern_threshold=none"])
    path = tmp_path / "config.json"
    path.write_text(config_json(config))
    assert read_config(path) == config
    assert differences(read_config(path), config) == []
    other = dataclasses.replace(config, scenario=dataclasses.replace(config.scenario, power_w=1.0))
    assert differences(other, config) == ["scenario.power_w"]


def test_the_literal_preset_has_the_papers_clip():
    assert resolve("paper-a-literal").learner.clip == 2.0
    assert resolve("paper-a").learner.clip == 0.2


def test_the_paper_configuration_is_the_papers():
    config = resolve("paper-a", configuration="paper")
    assert (config.horizon, config.learner.actor_rate, config.learner.critic_rate) == (50, 1e-3, 2e-3)
    assert config.learner.steps_per_update // config.learner.minibatches == 32
    dual = config.learner.primal_dual
    assert (dual.step_x, dual.step_lambda, dual.step_mu) == (1e-3, 1e-3, 1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable"),
        ("[]", "JSON object"),
        ('{"colour": 1}', "'colour' is unknown"),
        ('{"learner": 3}', "not a con"),
    ],
)
def test_a_broken_configuration_file_is_refused(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(path)
    with pytest.raises(ConfigError, match="does not exist"):
        read_config(tmp_path / "none.json")


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "dqn"},
        {"configuration": "best"},
        {"handler": "hope"},
        {"seed": -1},
        {"steps": 0},
        {"preset_name": "x"},
    ],
)
def test_unknown_choices_are_named(change):
    name = next(iter(change.values()))
    with pytest.raises(ConfigError) as caught:
        resolve(**({"preset_name": "paper-a"} | change))
    assert str(name) in str(caught.value)
