"""Analytic policy gradient on problems with known answers, and on the real system."""

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

from thzjax.agents.apg import APGConfig, make_apg
from thzjax.agents.policies import GaussianPolicy
from thzjax.agents.primal_dual import PrimalDualConfig
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.experiment.config import make_agent, make_environment, resolve
from thzjax.systems.scenario import build

SMALL = APGConfig(num_envs=64, hidden=(16,), actor_rate=1e-2, primal_dual=PrimalDualConfig(margin=0.0))


def train(system, updates, config=SMALL, seed=0):
    env = Environment(system, ProbeAction(), ProbeObservation())
    agent = make_apg(env, GaussianPolicy(1, config.hidden), config, updates)
    state = agent.init(jax.random.key(seed), None)
    state, metrics = jax.jit(lambda s: jax.lax.scan(lambda s, _: agent.update(s, None), s, None, length=updates))(state)
    return agent, state, metrics


def mode(agent, state, signal):
    return np.asarray(agent.policy.mode(state.params, jnp.asarray(signal)[:, None]))[:, 0]


def test_it_finds_the_best_action():
    agent, state, _ = train(Probe(), 200)
    np.testing.assert_allclose(mode(agent, state, [-0.5, 0.0, 0.5]), 0.5, atol=0.01)


def test_it_follows_the_observation():
    agent, state, _ = train(Probe(follow=True), 400)
    signal = np.linspace(-0.8, 0.8, 5, dtype=np.float32)
    np.testing.assert_allclose(mode(agent, state, signal), signal / 2, atol=0.02)


def test_it_finds_the_multiplier_of_a_binding_constraint():
    # maximise 1 - (p - 0.5)^2 with p <= 0.3: 2 (0.5 - p) = mu/0.3 gives mu = 0.12.
    prices = PrimalDualConfig(step_mu=0.02, damping=0.5, margin=0.0)
    agent, state, metrics = train(Probe(limit=0.3), 600, dataclasses.replace(SMALL, primal_dual=prices))
    np.testing.assert_allclose(mode(agent, state, [-0.5, 0.0, 0.5]), 0.3, atol=0.01)
    np.testing.assert_allclose(np.mean(metrics["mu/power"][-100:]), 0.12, atol=0.01)


@pytest.mark.parametrize("kind", ["per_realisation", "penalty"])
def test_a_violation_is_priced_until_it_is_gone(kind):
    # Of a penalty the price 1 is above the multiplier of log(1 + violation), which is 0.12 at p = 0.3.
    prices = PrimalDualConfig(kind=kind, margin=0.0, step_mu=0.5, tolerance=0.0, penalty=1.0)
    agent, state, _ = train(Probe(limit=0.3), 600, dataclasses.replace(SMALL, primal_dual=prices))
    np.testing.assert_allclose(mode(agent, state, [-0.5, 0.0, 0.5]), 0.3, atol=0.01)


def run(agent, params, seed, updates):
    state = agent.init(jax.random.key(seed), params)
    return jax.jit(lambda s: jax.lax.scan(lambda s, _: agent.update(s, params), s, None, length=updates))(state)


def small_agent():
    overrides = ["num_envs=16", "layers=2", "beam_layers=1", "width=8", "state=2"]
    config = resolve("paper-a", "apg", overrides=overrides)
    system, params = build(config.scenario)
    return make_agent(config, make_environment(config, system)), params


@pytest.mark.full
def test_a_seed_fixes_every_bit_and_alone_it_is_the_same_as_in_a_vmap(x64):
    agent, params = small_agent()
    (one, metrics), (two, _), (other, _) = (run(agent, params, seed, 20) for seed in (0, 0, 1))
    chex.assert_trees_all_equal(one.params, two.params)
    chex.assert_tree_all_finite((metrics, one.params))
    keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
    states = jax.vmap(agent.init, in_axes=(0, None))(keys, params)
    step = jax.jit(
        lambda s: jax.lax.scan(lambda s, _: jax.vmap(lambda t: agent.update(t, params))(s), s, None, length=20)
    )
    both, _ = step(states)
    for i, alone in enumerate((one, other)):
        same = jax.tree.map(lambda x, i=i: x[i], both.params)
        chex.assert_trees_all_close(same, alone.params, rtol=1e-9, atol=1e-9)


@pytest.mark.full
def test_it_improves_on_the_real_system():
    agent, params = small_agent()
    _, metrics = run(agent, params, 0, 60)
    first, last = jnp.mean(metrics["sum_rate"][:10]), jnp.mean(metrics["sum_rate"][-10:])
    # Fresh drops of 16 have a standard error of 0.1 over ten updates.
    assert float(last) > float(first) - 0.3
    assert float(jnp.max(metrics["violation_rate"])) == 0


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="num_envs=0"):
        APGConfig(num_envs=0)
