"""DDPG, TD3 and SAC on problems with known answers, and the parts they share against plain loops."""

import dataclasses
import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

sys.path.insert(0, str(Path(__file__).parent))
from probe import Probe, ProbeAction, ProbeChannels, ProbeObservation

from thzjax.agents.actor_critic import least
from thzjax.agents.ddpg import DDPGConfig, make_ddpg
from thzjax.agents.measures import in_own_unit, measures_of, prices_of, td_target, unit_of
from thzjax.agents.off_policy import soft_update
from thzjax.agents.primal_dual import PrimalDualConfig, init_duals, lagrangian, priced
from thzjax.agents.sac import SACConfig, make_sac
from thzjax.agents.td3 import TD3Config, make_td3, smoothed
from thzjax.envs.actions import Paper
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.systems.base import Design, Outcome

AGENTS = {"ddpg": (DDPGConfig, make_ddpg), "td3": (TD3Config, make_td3), "sac": (SACConfig, make_sac)}
SMALL = {
    "num_envs": 128, "capacity": 4096, "batch": 128, "gradient_steps": 4, "warmup": 1024, "hidden": (32, 32),
    "actor_rate": 3e-3, "critic_rate": 3e-3, "action_scale": 1.0,
}  # fmt: skip


@struct.dataclass
class Rung:
    """Which probe problem: the best p is follow*signal/2 + (1 - follow)/2, and p <= limit on average."""

    follow: jax.Array
    limit: jax.Array


@dataclasses.dataclass(frozen=True)
class Ladder(Probe):
    """The probe with traced numbers, in either precision: several rungs climb in one program."""

    limit: float = 1.0  # only makes the constraint exist

    def sample(self, key, params):
        signal = jax.random.uniform(key, (1,), minval=-1, maxval=1)
        return ProbeChannels(jax.lax.complex(0 * signal, signal)[None], signal)

    def outcome(self, params, channels, design):
        p = jnp.real(design.beamformer[0, 0])
        target = (params.follow * channels.signal[0] + 1 - params.follow) / 2
        return Outcome(rates=(1 - (p - target) ** 2)[None], slack={"power": 1 - p / params.limit})


@dataclasses.dataclass(frozen=True)
class LadderAction(ProbeAction):
    """The action is p, in its own precision."""

    def __call__(self, system, params, channels, context, action):
        beam = jax.lax.complex(action, 0 * action)
        return Design(beam[None], jnp.ones_like(beam))


def environment(horizon=1):
    return Environment(Ladder(), LadderAction(), ProbeObservation(), horizon=horizon)


def build(name, env, updates, **changes):
    config_class, make = AGENTS[name]
    config = config_class(**{**SMALL, **changes})
    return config, make(env, config.policy(env), config, updates)


def run(agent, key, params, updates):
    state = jax.jit(agent.init)(key, params)
    return jax.lax.scan(lambda s, _: agent.update(s, params), state, None, length=updates)


def mode(agent, state, signal):
    return np.asarray(agent.policy.mode(state.params, jnp.asarray(signal)[:, None]))[:, 0]


# 500 updates of 128 steps; the tolerances are those of PPO's ladder. Largest errors of DDPG and TD3 over 8 seeds each:
# p fixed 0.057, p followed 0.048, slack 0.008, multiplier 0.013, p under the constraint 0.040.
@functools.cache
def ladder(name):
    rungs = Rung(follow=jnp.asarray([0.0, 1.0, 0.0]), limit=jnp.asarray([1e3, 1e3, 0.3]))
    dual = PrimalDualConfig(step_mu=0.02, damping=0.5, margin=0.0)
    _, agent = build(name, environment(), 500, primal_dual=dual)
    climb = jax.jit(jax.vmap(lambda rung: run(agent, jax.random.key(0), rung, 500)))
    states, metrics = climb(rungs)
    return agent, [jax.tree.map(lambda x, i=i: x[i], states) for i in range(3)], metrics


@pytest.mark.parametrize("name", AGENTS)
def test_it_finds_the_best_action(name):
    agent, states, metrics = ladder(name)
    np.testing.assert_allclose(mode(agent, states[0], [-0.5, 0.0, 0.5]), 0.5, atol=0.06)
    assert float(metrics["mu/power"][0, -1]) == 0  # a constraint that is far away costs nothing


@pytest.mark.parametrize("name", AGENTS)
def test_it_follows_the_observation(name):
    agent, states, _ = ladder(name)
    signal = np.linspace(-0.8, 0.8, 5, dtype=np.float32)
    np.testing.assert_allclose(mode(agent, states[1], signal), signal / 2, atol=0.08)


@pytest.mark.parametrize("name", AGENTS)
def test_it_finds_the_multiplier_of_a_binding_constraint(name):
    # maximise 1 - (p - 0.5)^2 with p <= 0.3 on average: p = 0.3, and 2 (0.5 - p) = mu/0.3 gives mu = 0.12.
    agent, states, metrics = ladder(name)
    np.testing.assert_allclose(np.mean(metrics["slack/power"][2, 350:]), 0, atol=0.05)
    np.testing.assert_allclose(np.mean(metrics["mu/power"][2, 350:]), 0.12, atol=0.03)
    # What is tried meets the constraint, and so does the mode: the noise about it has zero mean.
    np.testing.assert_allclose(mode(agent, states[2], [0.0]), 0.3, atol=0.06)


@pytest.mark.full
@pytest.mark.parametrize("name", AGENTS)
def test_it_learns_the_value_of_a_discounted_episode(name):
    # Three steps with rates near 1: at gamma = 0.5 a state's value is 1 + 0.5 + 0.25 + .. = 2, through the limit. What
    # is left of the 2000 slow steps' start is (1 - 0.05 (1 - 0.5))^800 of it: nothing.
    config, agent = build(name, environment(horizon=3), 200, gamma=0.5, tau=0.05)
    params = Rung(follow=jnp.zeros(()), limit=jnp.asarray(1e3))
    state, metrics = jax.jit(lambda key: run(agent, key, params, 200))(jax.random.key(0))
    obs = jnp.linspace(-1, 1, 9)[:, None]
    q = agent.policy.predictions(state.params, obs, agent.policy.mode(state.params, obs) / config.action_scale)
    unit = unit_of(state.measures, config.normalise_reward)
    value = in_own_unit(q[..., :2], 0.5, *unit)
    np.testing.assert_allclose(np.mean(value[..., 0]), 2.0, atol=0.12)
    assert int(np.sum(metrics["episodes"])) == 200 * 128 // 3 // 128 * 128


@pytest.mark.full
@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.usefixtures("x64")
def test_a_seed_alone_and_in_a_vmap_over_seeds_and_rates_is_one_run(name):
    params = Rung(follow=jnp.ones(()), limit=jnp.asarray(0.3))
    small = {"num_envs": 8, "batch": 16, "gradient_steps": 2, "warmup": 16, "hidden": (8,), "capacity": 60}

    def learn(key, actor_rate, critic_rate):
        _, agent = build(name, environment(), 20, **small, gamma=0.5, actor_rate=actor_rate, critic_rate=critic_rate)
        return run(agent, key, params, 20)

    alone = jax.jit(lambda key: learn(key, 3e-3, 1e-2))
    first, again = alone(jax.random.key(1)), alone(jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, first[0].params, again[0].params)

    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    rates = jnp.asarray([[1e-3, 1e-3], [3e-3, 1e-2], [1e-2, 1e-3]])
    together = jax.jit(jax.vmap(learn))(keys, rates[:, 0], rates[:, 1])
    for field in ("params", "targets", "measures", "duals"):
        jax.tree.map(
            lambda one, many: np.testing.assert_allclose(many[1], one, rtol=1e-9, atol=1e-9),
            getattr(first[0], field),
            getattr(together[0], field),
        )
    np.testing.assert_allclose(together[1]["sum_rate"][1], first[1]["sum_rate"], atol=1e-9)
    one, other = (np.asarray(jax.tree.leaves(together[0].params)[0][i]) for i in (0, 1))
    assert not np.array_equal(one, other)


# --- the shared parts


@pytest.mark.usefixtures("x64")
@given(st.integers(0, 10_000), st.floats(0, 0.99))
def test_targets_are_those_of_a_loop(seed, gamma):
    rng = np.random.default_rng(seed)
    reward, ahead = rng.normal(size=(2, 6, 3)) * 5
    mean, std = rng.normal(size=3), rng.uniform(0.1, 3, size=3)
    terminated = rng.random(6) < 0.4  # a time limit changes nothing: it is not even an argument
    expected = np.zeros((6, 3))
    for b in range(6):
        for c in range(3):
            bootstrap = 0.0 if terminated[b] else ahead[b, c]
            expected[b, c] = reward[b, c] + gamma * bootstrap
    normal = (ahead - mean / (1 - gamma)) / std
    actual = td_target(*(jnp.asarray(x) for x in (reward, normal, terminated)), gamma, mean, std)
    actual = in_own_unit(actual, gamma, mean, std)
    # Sums of numbers up to 3/(1 - 0.99): 300 rounding errors of 1e-16, times a few.
    np.testing.assert_allclose(actual, expected, atol=1e-11)


@pytest.mark.usefixtures("x64")
def test_the_observation_before_a_reset_is_what_is_bootstrapped_from():
    env = environment(horizon=2)
    _, agent = build("ddpg", env, 2, num_envs=4, rollout=3, warmup=100, gamma=0.5)
    params = Rung(follow=jnp.ones(()), limit=jnp.asarray(1.0))
    state, _ = run(agent, jax.random.key(0), params, 1)
    rows = jax.tree.map(lambda x: np.asarray(x[:12]).reshape(3, 4, *x.shape[1:]), state.replay.data)
    # An episode shows one signal throughout, so what follows a step looks like it, also at the time limit.
    np.testing.assert_array_equal(rows.next_obs, rows.obs)
    np.testing.assert_array_equal(rows.obs[0], rows.obs[1])
    assert not np.any(rows.obs[1] == rows.obs[2])
    assert not np.any(rows.terminated)


@given(st.integers(0, 1000), st.floats(0.01, 1))
def test_soft_update_is_that_of_a_loop(seed, tau):
    rng = np.random.default_rng(seed)
    slow, fast = rng.normal(size=(2, 5)).astype(np.float32)
    target, params = ({"a": jnp.asarray(x[:2]), "b": {"c": jnp.asarray(x[2:])}} for x in (slow, fast))
    for _ in range(4):
        target = soft_update(target, params, tau)
        for i in range(5):
            slow[i] = (1 - tau) * slow[i] + tau * fast[i]
    np.testing.assert_allclose(np.concatenate([target["a"], target["b"]["c"]]), slow, atol=1e-5)


@given(st.integers(0, 1000), st.sampled_from(["ergodic", "per_realisation"]))
def test_prices_of_what_is_measured_make_the_lagrangian(seed, kind):
    rng = np.random.default_rng(seed)
    config, names = PrimalDualConfig(kind=kind), ("z", "a")
    duals = init_duals(3, names, config)
    duals = duals.replace(
        rate_weights=jnp.asarray(rng.random(3), jnp.float32),
        slack_weights={n: jnp.asarray(rng.random(), jnp.float32) for n in names},
    )
    rates = jnp.asarray(rng.normal(size=(5, 3)), jnp.float32)
    slack = {n: jnp.asarray(rng.normal(size=5), jnp.float32) for n in names}
    value = measures_of(duals, rates, slack, config) @ prices_of(duals)
    np.testing.assert_allclose(value, lagrangian(duals, rates, priced(slack, config)), atol=1e-5)


def test_the_critic_that_is_believed_is_the_one_whose_priced_sum_is_lower():
    predictions = jnp.asarray([[[5.0, 0.0], [0.0, 1.0]], [[0.0, 4.0], [1.0, 1.0]]])
    np.testing.assert_array_equal(least(predictions, jnp.asarray([1.0, 1.0])), [[0.0, 4.0], [0.0, 1.0]])
    np.testing.assert_array_equal(least(predictions, jnp.asarray([1.0, 2.0])), [[5.0, 0.0], [0.0, 1.0]])


def test_target_noise_is_clipped_and_stays_in_range():
    action = jnp.asarray([[0.0], [0.95]]) * jnp.ones((2, 4000))
    noisy = np.asarray(smoothed(action, jax.random.key(0), 0.2, 0.3))
    assert np.abs(noisy[0]).max() <= np.float32(0.3)
    assert noisy[1].max() == 1
    # The share of normal draws beyond 1.5 deviations, to 5 of its own.
    share = 2 * norm.cdf(-1.5)
    np.testing.assert_allclose(np.mean(np.abs(noisy[0]) > 0.2999), share, atol=5 * np.sqrt(share / 4000))


@pytest.mark.usefixtures("x64")
def test_the_tanh_gaussians_density_is_that_of_the_change_of_variables():
    config, agent = build("sac", environment(), 1)
    policy = agent.policy
    obs = jnp.linspace(-1, 1, 5)[:, None]
    params = policy.init(jax.random.key(0), obs[0])
    action, log_prob = policy.sample(params, obs, jax.random.key(1))
    mean, log_std = (np.asarray(x) for x in policy._split(params, obs))
    u = np.asarray(action)
    expected = norm(mean, np.exp(log_std)).logpdf(np.arctanh(u)) - np.log1p(-(u**2))
    np.testing.assert_allclose(log_prob, expected.sum(axis=-1), rtol=1e-8)
    np.testing.assert_allclose(policy.mode(params, obs), config.action_scale * np.tanh(mean), rtol=1e-12)


@pytest.mark.parametrize("name", AGENTS)
def test_an_untrained_policy_hovers_about_the_action_of_zeros(name):
    _, agent = build(name, environment(), 1, action_scale=2.0)
    state = jax.jit(agent.init)(jax.random.key(0), Rung(jnp.zeros(()), jnp.ones(())))
    assert float(jnp.max(jnp.abs(mode(agent, state, [-1.0, 0.0, 1.0])))) < 0.1


def test_nothing_is_learned_before_the_warm_up_ends_and_actions_are_uniform():
    _, agent = build("td3", environment(), 8, warmup=1024)
    params = Rung(jnp.zeros(()), jnp.ones(()))
    learn = jax.jit(lambda s: agent.update(s, params))
    start = state = jax.jit(agent.init)(jax.random.key(0), params)
    for _ in range(7):
        state, metrics = learn(state)
    jax.tree.map(np.testing.assert_array_equal, state.params["actor"], start.params["actor"])
    assert float(metrics["critic_loss"]) == 0
    state, metrics = learn(state)
    assert float(metrics["critic_loss"]) > 0
    tried = np.sort(np.asarray(state.replay.data.action[:1024, 0]))
    # Kolmogorov and Smirnov's distance from uniform; 1.95/sqrt(n) is exceeded once in a thousand.
    assert np.max(np.abs((tried + 1) / 2 - (np.arange(1024) + 0.5) / 1024)) < 1.95 / 32


def test_a_gradient_that_is_not_finite_is_not_followed():
    _, agent = build("ddpg", environment(), 2, warmup=0, gradient_steps=1, batch=8)
    params = Rung(jnp.zeros(()), jnp.ones(()))
    state = jax.jit(agent.init)(jax.random.key(0), params)
    broken = jax.tree.map(lambda x: x.at[...].set(jnp.inf), state.params["critic"])
    state = state.replace(params=state.params | {"critic": broken})
    after, metrics = jax.jit(lambda s: agent.update(s, params))(state)
    jax.tree.map(np.testing.assert_array_equal, after.params["actor"], state.params["actor"])
    assert not np.isfinite(float(metrics["critic_loss"]))  # for the run to stop on: no step was finite


BAD = {
    "capacity=100 does not hold num_envs*rollout=256": (DDPGConfig, {"capacity": 100}),
    "actor_rate=-1 must be greater than 0": (SACConfig, {"actor_rate": -1.0}),
    "gamma=1 must lie in 0..1, below 1": (TD3Config, {"gamma": 1.0}),
    "tau=0 must lie in 0..1, above 0": (TD3Config, {"tau": 0.0}),
    "gradient_steps=0 must be at least 1": (DDPGConfig, {"gradient_steps": 0}),
    "warmup=-1 must be at least 0": (DDPGConfig, {"warmup": -1}),
    "noise=-0.1 must be at least 0": (DDPGConfig, {"noise": -0.1}),
    "actor_every=0 must be at least 1": (TD3Config, {"actor_every": 0}),
    "temperature=0 must be greater than 0": (SACConfig, {"temperature": 0.0}),
}


@pytest.mark.parametrize("message", BAD)
def test_impossible_settings_are_refused_in_one_line(message):
    config_class, changes = BAD[message]
    with pytest.raises(ConfigError) as caught:
        config_class(**changes)
    assert message in str(caught.value)


def test_what_does_not_fit_the_environment_is_refused():
    env = environment()
    with pytest.raises(ConfigError, match="gradient_steps=3 is not divisible by actor_every=2"):
        build("td3", env, 1, gradient_steps=3)
    config = DDPGConfig()
    with pytest.raises(ConfigError, match="the policy has size=2"):
        make_ddpg(env, dataclasses.replace(config.policy(env), size=2), config, 1)
    with pytest.raises(ConfigError, match="one flat vector"):
        config.policy(dataclasses.replace(env, actions=Paper()))
