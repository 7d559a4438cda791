"""Designers who see estimated channels: what they see is wrong by so much, and what they get is still the truth."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.beamforming import get_design
from thzjax.experiment.config import resolve
from thzjax.experiment.evaluation import HELD_OUT, classical_rules, draw_channels, judge, stream_key
from thzjax.experiment.learner import make_learner
from thzjax.systems.scenario import build, preset

CHANNELS = 512


def system_with(error):
    return build(dataclasses.replace(preset("paper-a"), csi_error=error))


def test_the_error_has_the_stated_power_on_every_link():
    system, params = system_with(0.1)
    channels = draw_channels(system, params, CHANNELS, 0)
    keys = jax.random.split(jax.random.key(1), CHANNELS)
    seen = jax.vmap(system.observe, in_axes=(0, None, 0))(keys, params, channels)
    for name in ("direct", "bs_to_surface", "surface_to_user"):
        true, estimate = getattr(channels, name), getattr(seen, name)
        power = np.mean(np.abs(estimate - true) ** 2, axis=(-2, -1)) / np.mean(np.abs(true) ** 2, axis=(-2, -1))
        # Each channel's ratio is 0.1 times a mean of n exponentials: its mean over the channels is off by less than
        # 5 of its deviations 0.1/sqrt(n CHANNELS).
        entries = true.shape[-1] * true.shape[-2]
        assert np.mean(power) == pytest.approx(0.1, abs=0.5 / np.sqrt(entries * CHANNELS))
    np.testing.assert_array_equal(seen.user_position_m, channels.user_position_m)


def test_perfect_knowledge_is_the_channel_itself():
    system, params = system_with(0.0)
    channels = draw_channels(system, params, 4, 0)
    assert system.observe(jax.random.key(0), params, channels) is channels


def test_every_method_sees_one_estimate_and_loses_by_it():
    key = stream_key(0, HELD_OUT)
    rates = []
    for error in (0.0, 0.01, 0.3):
        system, params = system_with(error)
        channels = draw_channels(system, params, CHANNELS, 0)
        rule = jax.jit(classical_rules(system)["wmmse", "focused"])
        judgement = judge(system, params, channels, rule(params, channels, key))
        rates.append(float(jnp.mean(judgement.rate_feasible)))
        if error == 0:
            solve = jax.jit(get_design("wmmse", "focused"), static_argnums=0)
            plain = judge(system, params, channels, solve(system, params, channels, key))
            # Another program: its rounding may move a phase to the next level on a channel or two.
            assert float(jnp.mean(plain.rate_feasible)) == pytest.approx(rates[0], rel=1e-3)
    assert rates[0] > rates[1] > rates[2]
    # Not a rounding error, and not the end of the link: at the power that the pattern leaves, errors cost little.
    assert 0.2 * rates[0] < rates[2] < 0.95 * rates[0]


def test_the_environment_observes_the_estimate_and_pays_for_the_truth():
    config = resolve("paper-a", overrides=["csi_error=0.2"])
    learner = make_learner(config)
    env, params = learner.env, learner.params
    obs, state = env.reset(jax.random.key(0), params)
    assert not np.allclose(state.estimate.direct, state.channels.direct)
    expected = env.observations(env.system, params, state.estimate, state.context, state.reflection)
    chex.assert_trees_all_close(obs, expected, rtol=1e-5)
    weights = learner.init().params
    action = learner.agent.policy.mode(weights, obs)
    design, _ = env.design(params, state, action)
    truth = env.system.outcome(params, state.channels, design)
    believed = env.system.outcome(params, state.estimate, design)
    result = env.step(jax.random.key(1), state, action, params)
    np.testing.assert_allclose(result.info["rates"], truth.rates, rtol=1e-4)
    assert not np.allclose(truth.rates, believed.rates, rtol=1e-2)


def test_a_negative_error_is_refused():
    with pytest.raises(ValueError, match="csi_error"):
        system_with(-0.1)
