"""PPO on problems with known answers, and on the real system."""

import dataclasses
import sys
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from probe import Probe, ProbeAction, ProbeObservation

from thzjax.agents.policies import GaussianPolicy
from thzjax.agents.ppo import PPOConfig, make_ppo
from thzjax.agents.primal_dual import PrimalDualConfig
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.experiment.config import make_agent, make_environment, resolve
from thzjax.systems.scenario import build

SMALL = PPOConfig(num_envs=128, rollout=2, minibatches=4, hidden=(16,), actor_rate=3e-3, critic_rate=1e-2, log_std=-1.0)
# A zeroth-order update is one Adam step, a first-order one 16.
UPDATES = {"first": 200, "zeroth": 600}


def train(system, updates, config=SMALL, horizon=1, seed=0):
    env = Environment(system, ProbeAction(), ProbeObservation(), horizon=horizon)
    agent = make_ppo(env, GaussianPolicy(1, config.hidden, config.log_std), config, updates)
    state = agent.init(jax.random.key(seed), None)
    state, metrics = jax.jit(lambda s: jax.lax.scan(lambda s, _: agent.update(s, None), s, None, length=updates))(state)
    return agent, state, metrics


def mode(agent, state, signal):
    return np.asarray(agent.policy.mode(state.params, jnp.asarray(signal)[:, None]))[:, 0]


@pytest.mark.parametrize("gradient", ["first", "zeroth"])
def test_it_finds_the_best_action(gradient):
    config = dataclasses.replace(SMALL, gradient=gradient)
    agent, state, _ = train(Probe(), UPDATES[gradient], config)
    np.testing.assert_allclose(mode(agent, state, [-0.5, 0.0, 0.5]), 0.5, atol=0.06)


@pytest.mark.parametrize("gradient", ["first", "zeroth"])
def test_it_follows_the_observation(gradient):
    config = dataclasses.replace(SMALL, gradient=gradient)
    agent, state, _ = train(Probe(follow=True), UPDATES[gradient], config)
    signal = np.linspace(-0.8, 0.8, 5, dtype=np.float32)
    np.testing.assert_allclose(mode(agent, state, signal), signal / 2, atol=0.08)


def test_it_learns_the_value_of_a_discounted_episode():
    # Three steps with rewards near 1: at gamma = 0.5 a state's value is 1 + 0.5 + 0.25 + .. = 2, through the limit.
    config = dataclasses.replace(SMALL, gamma=0.5, rollout=3, minibatches=4)
    agent, state, _ = train(Probe(), 200, config, horizon=3)
    value = float(jnp.mean(agent.policy.value(state.params, jnp.linspace(-1, 1, 9)[:, None])))
    np.testing.assert_allclose(value, 2.0, atol=0.12)


def test_it_finds_the_multiplier_of_a_binding_constraint():
    # maximise 1 - (p - 0.5)^2 with p <= 0.3 on average: p = 0.3, and 2 (0.5 - p) = mu/0.3 gives mu = 0.12.
    config = dataclasses.replace(
        SMALL, decay_rates=False, primal_dual=PrimalDualConfig(step_mu=0.02, damping=0.5, margin=0.0)
    )
    _, _, metrics = train(Probe(limit=0.3), 500, config)
    late = slice(350, None)
    np.testing.assert_allclose(np.mean(metrics["slack/power"][late]), 0, atol=0.05)
    np.testing.assert_allclose(np.mean(metrics["mu/power"][late]), 0.12, atol=0.03)


def small_run(configuration="default", **changes):
    config = resolve("paper-a", configuration=configuration, overrides=[f"{k}={v}" for k, v in changes.items()])
    system, params = build(config.scenario)
    env = make_environment(config, system)
    return make_agent(config, env), params


def run_updates(agent, params, seed, updates):
    state = agent.init(jax.random.key(seed), params)
    return jax.jit(lambda s: jax.lax.scan(lambda s, _: agent.update(s, params), s, None, length=updates))(state)


@pytest.mark.parametrize("configuration", ["default", "paper"])
def test_a_seed_fixes_every_bit_and_another_seed_does_not(configuration):
    agent, params = small_run(configuration, num_envs=16, minibatches=4, rollout=2)
    one, metrics = run_updates(agent, params, 0, 3)
    two, _ = run_updates(agent, params, 0, 3)
    other, _ = run_updates(agent, params, 1, 3)
    chex.assert_trees_all_equal(one.params, two.params)
    chex.assert_tree_all_finite((metrics, one.params))
    leaf, different = (jax.tree.leaves(s.params)[0] for s in (one, other))
    assert not np.array_equal(leaf, different)


def test_it_improves_on_the_real_system():
    agent, params = small_run(num_envs=512, minibatches=4)
    _, metrics = run_updates(agent, params, 0, 40)
    # The exploring policy starts near 2.8; 20 k steps must show in the batch's own rate.
    assert float(jnp.mean(metrics["sum_rate"][-5:])) > float(jnp.mean(metrics["sum_rate"][:2])) + 0.4


BAD = {
    "num_envs*rollout=10 is not divisible by minibatches=4": {"num_envs": 10, "minibatches": 4},
    "actor_rate=-1": {"actor_rate": -1.0},
    "gamma=2": {"gamma": 2.0},
    "gradient='second' is unknown": {"gradient": "second"},
    "must be at least 1": {"epochs": 0},
}


@pytest.mark.parametrize("message", BAD)
def test_impossible_settings_are_refused_in_one_line(message):
    with pytest.raises(ConfigError) as caught:
        PPOConfig(**BAD[message])
    assert message in str(caught.value)
