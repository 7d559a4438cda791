"""A2C, A3C and the plain policy gradient on problems with known answers; stale workers against a plain simulation."""

import dataclasses
import sys
from functools import partial
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from probe import Probe, ProbeAction, ProbeChannels, ProbeObservation

from thzjax.agents.a2c import A2CConfig, actor_critic_gradient, make_a2c
from thzjax.agents.a3c import A3CConfig, make_a3c
from thzjax.agents.base import descend
from thzjax.agents.normaliser import NormalisedPolicy
from thzjax.agents.on_policy import initial_state, make_optimiser, roll_out
from thzjax.agents.policies import GaussianPolicy, MixedPolicy, PaperPolicy, Transition
from thzjax.agents.ppo import PPOConfig, make_ppo
from thzjax.agents.primal_dual import PrimalDualConfig
from thzjax.agents.reinforce import ReinforceConfig, make_reinforce, returns
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.experiment.config import make_environment, resolve
from thzjax.systems.base import Design
from thzjax.systems.scenario import build

SMALL = {"num_envs": 128, "rollout": 2, "hidden": (16,), "critic_rate": 2e-2, "log_std": -1.0}
# An update of A3C is one push of each of its 4 workers.
LEARNERS = {
    "a2c": (make_a2c, A2CConfig(**SMALL, actor_rate=1e-2), 600),
    "a3c": (make_a3c, A3CConfig(**SMALL, actor_rate=1e-2), 200),
    "reinforce": (make_reinforce, ReinforceConfig(**SMALL, actor_rate=1e-2), 600),
}
TINY = {"num_envs": 8, "rollout": 2, "hidden": (4,), "actor_rate": 1e-2}
EVERY = {
    "ppo-clip": (make_ppo, PPOConfig(**TINY)),
    "ppo-kl": (make_ppo, PPOConfig(**TINY, objective="kl")),
    "ppo-zeroth": (make_ppo, PPOConfig(**TINY, gradient="zeroth", zeroth_directions=2)),
    "a2c": (make_a2c, A2CConfig(**TINY)),
    "a3c": (make_a3c, A3CConfig(**TINY)),
    "reinforce": (make_reinforce, ReinforceConfig(**TINY)),
}
SHARED_METRICS = {"sum_rate", "episodes", "episode_return", "violation_rate", "x_sum", "lambda_mean"}


def train(learner, system, horizon=1, updates=None, observations=None, **changes):
    make, config, usual = LEARNERS[learner]
    updates, config = updates or usual, dataclasses.replace(config, **changes)
    env = Environment(system, ProbeAction(), observations or ProbeObservation(), horizon=horizon)
    agent = make(env, GaussianPolicy(1, config.hidden, config.log_std), config, updates)
    state = jax.jit(agent.init)(jax.random.key(0), None)
    state, metrics = jax.jit(lambda s: jax.lax.scan(lambda s, _: agent.update(s, None), s, None, length=updates))(state)
    return agent, state, metrics


# ---- the ladder; measured errors over three seeds stay below a fifth of the tolerances ----


@pytest.mark.parametrize("learner", LEARNERS)
def test_it_finds_the_best_action(learner):
    agent, state, _ = train(learner, Probe())
    mode = agent.policy.mode(state.params, jnp.asarray([-0.5, 0.0, 0.5])[:, None])
    np.testing.assert_allclose(mode, 0.5, atol=0.06)


@pytest.mark.parametrize("learner", LEARNERS)
def test_it_follows_the_observation(learner):
    agent, state, _ = train(learner, Probe(follow=True))
    signal = np.linspace(-0.8, 0.8, 5, dtype=np.float32)[:, None]
    np.testing.assert_allclose(agent.policy.mode(state.params, jnp.asarray(signal)), signal / 2, atol=0.08)


@pytest.mark.parametrize("learner", ["a2c", "a3c"])
def test_it_learns_the_value_of_a_discounted_episode(learner):
    # Rewards near 1, and a time limit that bootstraps: at gamma = 0.5 a state is worth 1 + 0.5 + 0.25 + .. = 2.
    agent, state, _ = train(learner, Probe(), horizon=3, rollout=3, gamma=0.5)
    value = float(jnp.mean(agent.policy.value(state.params, jnp.linspace(-1, 1, 9)[:, None])))
    np.testing.assert_allclose(value, 2.0, atol=0.12)


@pytest.mark.parametrize("learner", LEARNERS)
def test_it_finds_the_multiplier_of_a_binding_constraint(learner):
    # As for PPO: p = 0.3 and mu = 0.12. A rate of 1e-2 that never falls leaves A3C's stale workers orbiting.
    dual = PrimalDualConfig(step_mu=0.02, damping=0.5, margin=0.0)
    _, _, metrics = train(learner, Probe(limit=0.3), updates=800, decay_rates=False, actor_rate=3e-3, primal_dual=dual)
    late = slice(560, None)
    np.testing.assert_allclose(np.mean(metrics["slack/power"][late]), 0, atol=0.05)
    np.testing.assert_allclose(np.mean(metrics["mu/power"][late]), 0.12, atol=0.03)


# ---- float64 twins of the probe, for exact comparisons ----


@dataclasses.dataclass(frozen=True)
class WideProbe(Probe):
    def sample(self, key, params):
        return ProbeChannels(jnp.zeros((1, 1), complex), super().sample(key, params).signal)


@dataclasses.dataclass(frozen=True)
class WideAction(ProbeAction):
    def __call__(self, system, params, channels, context, action):
        return Design(action[None].astype(complex), jnp.ones((1,), complex))


WIDE = Environment(WideProbe(follow=True, limit=0.3), WideAction(), ProbeObservation(), horizon=3)
POLICY = GaussianPolicy(1, (4,), -1.0)


@pytest.mark.parametrize(
    "learner", [name if name == "a2c" else pytest.param(name, marks=pytest.mark.full) for name in EVERY]
)
def test_alone_and_stepped_or_vmapped_over_seeds_and_rates_and_scanned(learner, x64):
    make, config = EVERY[learner]
    config = dataclasses.replace(config, gamma=0.5)
    rates, keys, updates = jnp.asarray([1e-2, 3e-3]), jax.random.split(jax.random.key(0), 2), 20

    def run(state, rate):
        agent = make(WIDE, POLICY, dataclasses.replace(config, actor_rate=rate, critic_rate=2 * rate), updates)
        return jax.lax.scan(lambda s, _: agent.update(s, None), state, None, length=updates)[0]

    agent = make(WIDE, POLICY, dataclasses.replace(config, actor_rate=3e-3, critic_rate=6e-3), updates)
    init, update = jax.jit(agent.init), jax.jit(lambda s: agent.update(s, None)[0])
    starts = [init(key, None) for key in keys]
    together = jax.jit(jax.vmap(run))(jax.tree.map(lambda *x: jnp.stack(x), *starts), rates)

    def alone():
        state = starts[1]
        for _ in range(updates):
            state = update(state)
        return state

    state, again = alone(), alone()
    chex.assert_trees_all_equal(state.params, again.params)
    for a, b in zip(jax.tree.leaves((together.params, together.duals, together.obs)),
                    jax.tree.leaves((state.params, state.duals, state.obs)), strict=True):  # fmt: skip
        assert a.dtype == b.dtype == jnp.float64
        np.testing.assert_allclose(a[1], b, atol=1e-9, rtol=1e-9)


def test_one_punctual_worker_is_a2c(x64):
    changes = {"gamma": 0.5, "decay_rates": True}
    states = []
    for make, config in (
        (make_a2c, A2CConfig(**TINY, **changes)),
        (make_a3c, A3CConfig(**TINY, **changes, workers=1, staleness=0)),
    ):
        agent = make(WIDE, POLICY, config, 10)
        state = jax.jit(agent.init)(jax.random.key(3), None)
        scan = jax.jit(lambda s, a=agent: jax.lax.scan(lambda s, _: a.update(s, None), s, None, length=10))
        states.append(scan(state))
    (a2c, losses), (a3c, losses_a3c) = states
    chex.assert_trees_all_equal((a2c.params, a2c.duals, a2c.obs, losses), (a3c.params, a3c.duals, a3c.obs, losses_a3c))
    assert a3c.ring is None


@pytest.mark.parametrize("staleness", ["round_robin", "0", 3, 7])
def test_workers_are_as_stale_as_in_a_plain_simulation(staleness, x64):
    # No multiplier moves, so that pushes follow each other without a break.
    still = PrimalDualConfig(step_x=0.0, step_lambda=0.0, step_mu=0.0, damping=0.0)
    workers, updates = 4, 5
    config = A3CConfig(**TINY, workers=workers, staleness=staleness, primal_dual=still)
    agent = make_a3c(WIDE, POLICY, config, updates)
    start = jax.jit(agent.init)(jax.random.key(1), None)
    state, _ = jax.jit(lambda s: jax.lax.scan(lambda s, _: agent.update(s, None), s, None, length=updates))(start)

    optimiser = make_optimiser(config, updates * workers)

    @jax.jit
    def push(pulled, weights, opt_state, begin, key):
        rolled = roll_out(WIDE, POLICY, config, pulled, start.duals, begin, None, key)
        gradient, _ = actor_critic_gradient(POLICY, config, pulled, rolled.batch)
        return *descend(optimiser, gradient, opt_state, weights), (rolled.env_states, rolled.obs)

    size = config.num_envs // workers
    places = [
        jax.tree.map(lambda x, i=i: x[i * size : (i + 1) * size], (start.env_states, start.obs)) for i in range(workers)
    ]
    weights, opt_state, key = start.params, start.optimiser, start.key
    versions, own = [weights], [weights] * workers
    for tick in range(workers * updates):
        worker = tick % workers
        if worker == 0:
            key_rollout, key = jax.random.split(key)
        pulled = own[worker] if staleness == "round_robin" else versions[max(tick - int(staleness), 0)]
        weights, opt_state, places[worker] = push(
            pulled, weights, opt_state, places[worker], jax.random.fold_in(key_rollout, worker)
        )
        own[worker] = weights
        versions.append(weights)
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(weights), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9, rtol=1e-9)
    whole = jnp.concatenate([obs for _, obs in places])
    np.testing.assert_allclose(state.obs, whole, atol=1e-9)


@partial(jax.jit, static_argnums=(0, 1, 2))
def random_batch(seed, steps, envs):
    keys = jax.random.split(jax.random.key(seed), 6)
    obs, next_obs = jax.random.normal(keys[0], (2, steps, envs, 1))
    params = POLICY.init(keys[1], obs[0, 0])
    action, log_prob = POLICY.sample(params, obs, keys[2])
    ended = jax.random.uniform(keys[3], (2, steps, envs)) < 0.2
    reward = jax.random.normal(keys[4], (steps, envs))
    value = POLICY.value(params, obs)
    return params, Transition(obs, next_obs, action, log_prob, value, reward, ended[0], ended[1] & ~ended[0])


@pytest.mark.parametrize("standardise", [False, True])
def test_the_a2c_loss_is_that_of_a_plain_loop(standardise, x64):
    config = A2CConfig(gamma=0.9, lam=0.7, standardise=standardise)
    params, batch = random_batch(0, 5, 3)
    value_next = np.asarray(POLICY.value(params, batch.next_obs))
    b = jax.tree.map(np.asarray, batch)
    advantage = np.zeros((5, 3))
    for e in range(3):
        later = 0.0
        for t in reversed(range(5)):
            ahead = 0.0 if b.terminated[t, e] else 0.9 * value_next[t, e]
            later = 0.0 if b.terminated[t, e] or b.truncated[t, e] else later
            later = b.reward[t, e] + ahead - b.value[t, e] + 0.9 * 0.7 * later
            advantage[t, e] = later
    weight = (advantage - advantage.mean()) / (advantage.std() + 1e-8) if standardise else advantage
    _, losses = jax.jit(lambda p, b: actor_critic_gradient(POLICY, config, p, b))(params, batch)
    np.testing.assert_allclose(losses["policy_loss"], -np.mean(b.log_prob * weight), rtol=1e-9)
    np.testing.assert_allclose(losses["value_loss"], np.mean(advantage**2), rtol=1e-9)


def test_returns_stop_at_the_ends_of_episodes(x64):
    _, batch = random_batch(1, 7, 2)
    expected = np.zeros((7, 2))
    for e in range(2):
        later = 0.0
        for t in reversed(range(7)):
            done = batch.terminated[t, e] or batch.truncated[t, e]
            later = float(batch.reward[t, e]) + (0.0 if done else 0.8 * later)
            expected[t, e] = later
    np.testing.assert_allclose(returns(batch, 0.8), expected, rtol=1e-12)


# ---- normalised observations ----


@dataclasses.dataclass(frozen=True)
class FarObservation(ProbeObservation):
    """The signal, in a unit and from an origin that saturate a tanh."""

    def __call__(self, system, params, channels, context, reflection):
        return 500 + 100 * channels.signal


def test_normalising_makes_up_for_a_bad_unit():
    agent, state, _ = train("a2c", Probe(follow=True), observations=FarObservation(), normalise_obs=True)
    signal = np.linspace(-0.8, 0.8, 5, dtype=np.float32)[:, None]
    mode = agent.policy.mode(state.params, jnp.asarray(500 + 100 * signal))
    np.testing.assert_allclose(mode, signal / 2, atol=0.08)


# ---- every learner with every policy keeps its carry ----


@pytest.mark.parametrize("learner", EVERY)
def test_the_carry_keeps_its_form_with_every_policy(learner):
    make, config = EVERY[learner]
    config = dataclasses.replace(config, normalise_obs=True, gamma=0.5, num_envs=8)
    run = resolve("paper-a", configuration="paper")
    system, params = build(run.scenario)
    env = make_environment(run, system)
    spec = system.spec
    for policy in (
        PaperPolicy(spec.users, spec.antennas, spec.elements, 8),
        MixedPolicy((spec.users, 2 * spec.antennas), spec.elements, 8, hidden=(4,), obs_axes=2),
    ):
        agent = make(env, policy, config, 10)
        state = jax.eval_shape(agent.init, jax.random.key(0), params)
        after, metrics = jax.eval_shape(agent.update, state, params)
        chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
        names = SHARED_METRICS | {"slack/beam_pattern", "mu/beam_pattern"}
        assert names <= set(metrics)
        assert all(value.shape == () for value in metrics.values())
        assert agent.steps_per_update == 16


def test_the_optimiser_leaves_the_moments_alone():
    config = A2CConfig(**TINY, normalise_obs=True)
    env = Environment(Probe(), ProbeAction(), ProbeObservation())
    policy, optimiser = NormalisedPolicy(POLICY), make_optimiser(config, 10)
    state = jax.jit(lambda key: initial_state(env, policy, config, optimiser, key, None))(jax.random.key(0))
    assert float(state.params["moments"].count) == 8
    weights, _ = descend(optimiser, jax.tree.map(jnp.ones_like, state.params), state.optimiser, state.params)
    chex.assert_trees_all_equal(weights["moments"], state.params["moments"])
    assert not np.array_equal(*(jax.tree.leaves(w["actor"])[0] for w in (weights, state.params)))


BAD = {
    "num_envs=0 must be at least 1": (A2CConfig, {"num_envs": 0}),
    "critic_rate=-1 must be greater than 0": (A2CConfig, {"critic_rate": -1.0}),
    "lam=1.5 must lie in 0..1": (A2CConfig, {"lam": 1.5}),
    "workers=0 must be at least 1": (A3CConfig, {"workers": 0}),
    "num_envs=10 is not divisible by workers=4": (A3CConfig, {"num_envs": 10}),
    "staleness=-1 must be": (A3CConfig, {"staleness": -1}),
    "staleness='late' must be": (A3CConfig, {"staleness": "late"}),
    "num_envs=1 is its own baseline": (ReinforceConfig, {"num_envs": 1}),
    "gamma=-0.1 must lie in 0..1": (ReinforceConfig, {"gamma": -0.1}),
}


@pytest.mark.parametrize("message", BAD)
def test_impossible_settings_are_refused_in_one_line(message):
    kind, changes = BAD[message]
    with pytest.raises(ConfigError) as caught:
        kind(**changes)
    assert message in str(caught.value)
