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

from thzjax.agents.policies import GaussianPolicy, Transition
from thzjax.agents.ppo import KL_WEIGHT_RANGE, PPOConfig, adapted_weight, make_ppo, mean_kl
from thzjax.agents.primal_dual import PrimalDualConfig
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.experiment.config import make_agent, make_environment, resolve
from thzjax.systems.scenario import build

SMALL = PPOConfig(num_envs=128, rollout=2, minibatches=4, hidden=(16,), actor_rate=3e-3, critic_rate=1e-2, log_std=-1.0)
KINDS = {
    "clip": SMALL,
    "kl": dataclasses.replace(SMALL, objective="kl"),
    "zeroth": dataclasses.replace(SMALL, gradient="zeroth"),
}
# A zeroth-order update is one Adam step, a first-order one 8.
UPDATES = {"clip": 200, "kl": 200, "zeroth": 600}


def train(system, updates, config=SMALL, horizon=1, seed=0):
    env = Environment(system, ProbeAction(), ProbeObservation(), horizon=horizon)
    agent = make_ppo(env, GaussianPolicy(1, config.hidden, config.log_std), config, updates)
    state = agent.init(jax.random.key(seed), None)
    state, metrics = jax.jit(lambda s: jax.lax.scan(lambda s, _: agent.update(s, None), s, None, length=updates))(state)
    return agent, state, metrics


def mode(agent, state, signal):
    return np.asarray(agent.policy.mode(state.params, jnp.asarray(signal)[:, None]))[:, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_the_best_action(kind):
    agent, state, _ = train(Probe(), UPDATES[kind], KINDS[kind])
    np.testing.assert_allclose(mode(agent, state, [-0.5, 0.0, 0.5]), 0.5, atol=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_it_follows_the_observation(kind):
    agent, state, _ = train(Probe(follow=True), UPDATES[kind], KINDS[kind])
    signal = np.linspace(-0.8, 0.8, 5, dtype=np.float32)
    np.testing.assert_allclose(mode(agent, state, signal), signal / 2, atol=0.08)


@pytest.mark.parametrize("kind", ["clip", "kl"])
def test_it_learns_the_value_of_a_discounted_episode(kind):
    # Three steps with rewards near 1: at gamma = 0.5 a state's value is 1 + 0.5 + 0.25 + .. = 2, through the limit.
    config = dataclasses.replace(KINDS[kind], gamma=0.5, rollout=3, minibatches=4)
    agent, state, _ = train(Probe(), 200, config, horizon=3)
    value = float(jnp.mean(agent.policy.value(state.params, jnp.linspace(-1, 1, 9)[:, None])))
    np.testing.assert_allclose(value, 2.0, atol=0.12)


@pytest.mark.parametrize("kind", ["clip", "kl"])
def test_it_finds_the_multiplier_of_a_binding_constraint(kind):
    # maximise 1 - (p - 0.5)^2 with p <= 0.3 on average: p = 0.3, and 2 (0.5 - p) = mu/0.3 gives mu = 0.12.
    config = dataclasses.replace(
        KINDS[kind], decay_rates=False, primal_dual=PrimalDualConfig(step_mu=0.02, damping=0.5, margin=0.0)
    )
    _, _, metrics = train(Probe(limit=0.3), 500, config)
    late = slice(350, None)
    np.testing.assert_allclose(np.mean(metrics["slack/power"][late]), 0, atol=0.05)
    np.testing.assert_allclose(np.mean(metrics["mu/power"][late]), 0.12, atol=0.03)


@pytest.mark.parametrize("start", [1e-3, 1.0, 1e3])
def test_the_penalty_steers_the_divergence_to_its_target(start):
    # At this rate an update without the penalty moves by 0.26 nat, 13 targets (three seeds); with it, by 0.016..0.022.
    config = dataclasses.replace(KINDS["kl"], actor_rate=1e-2, decay_rates=False, kl_target=0.02, kl_weight=start)
    _, _, metrics = train(Probe(follow=True), 100, config)
    steps = metrics["kl_weight"][1:] / metrics["kl_weight"][:-1]
    assert set(np.unique(steps).tolist()) == {0.5, 1.0, 2.0}
    settled = float(jnp.exp(jnp.mean(jnp.log(metrics["kl"][50:]))))
    assert 0.01 < settled < 0.04


def test_the_weight_doubles_above_and_halves_below_the_target():
    for kl, expected in ((0.0, 1.5), (0.0066, 1.5), (0.0067, 3.0), (0.0149, 3.0), (0.0151, 6.0), (np.inf, 6.0)):
        assert float(adapted_weight(jnp.float32(3.0), jnp.float32(kl), 0.01)) == expected
    low, high = KL_WEIGHT_RANGE
    assert float(adapted_weight(jnp.float32(low), jnp.float32(0.0), 0.01)) == np.float32(low)
    assert float(adapted_weight(jnp.float32(high), jnp.float32(1.0), 0.01)) == high


def test_the_sampled_divergence_is_that_of_two_gaussians(x64):
    policy = GaussianPolicy(2, (4,), -1.0)
    obs = jnp.ones((40_000, 1))
    old = jax.jit(policy.init)(jax.random.key(0), obs[0])
    new = {**old, "actor": jax.tree.map(lambda x: x + 0.05, old["actor"])}
    action, log_prob = policy.sample(old, obs, jax.random.key(1))
    zero = jnp.zeros(len(obs))
    batch = Transition(obs, obs, action, log_prob, zero, zero, zero, zero)
    (mean_old, std_old), (mean_new, std_new) = (
        (np.asarray(policy.mode(p, obs[0])), np.exp(np.asarray(p["actor"]["params"]["log_std"]))) for p in (old, new)
    )
    shift = (mean_old - mean_new) ** 2
    exact = np.sum(np.log(std_new / std_old) + (std_old**2 + shift) / (2 * std_new**2) - 0.5)
    # The estimate's terms are about exact in size and spread: 40 000 of them are within 3 %.
    np.testing.assert_allclose(mean_kl(policy, new, batch), exact, rtol=0.03)


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
    "epochs=0 must be at least 1": {"epochs": 0},
    "objective='trust' is unknown": {"objective": "trust"},
    "kl_target=0 must be greater than 0": {"kl_target": 0.0},
    "gradient='zeroth' takes one step": {"gradient": "zeroth", "objective": "kl"},
}


@pytest.mark.parametrize("message", BAD)
def test_impossible_settings_are_refused_in_one_line(message):
    with pytest.raises(ConfigError) as caught:
        PPOConfig(**BAD[message])
    assert message in str(caught.value)
