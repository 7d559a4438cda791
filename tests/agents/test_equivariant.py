"""The equivariant policy: symmetric, of any size, zero before training, and a learner's policy like any other."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.agents.apg import APGConfig, make_apg
from thzjax.agents.equivariant import EquivariantPolicy, equivariant_policy
from thzjax.agents.ppo import PPOConfig, make_ppo
from thzjax.envs.actions import Structured
from thzjax.envs.entities import EntityObservation
from thzjax.envs.environment import Environment
from thzjax.errors import ConfigError
from thzjax.experiment.evaluation import HELD_OUT, draw_channels, judge
from thzjax.experiment.overrides import apply_overrides
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.scenario import build, preset

HYBRID = HrisScenario(
    bs_shape=(2, 3), surface_shape=(3, 4), sensor_shape=(2, 2), num_active=5, num_users=3, num_rays_bs=3,
    max_crb_rad2=1.0, min_sinr_db=-30.0, p_bs_dbm=50.0,
)  # fmt: skip
SCENARIOS = {"paper-a": preset("paper-a"), "hybrid": HYBRID}
SIZES = [
    ("paper-a", ("num_users=1", "surface_shape=3,3")),
    ("paper-a", ("num_users=2", "surface_shape=3,3")),
    ("paper-a", ("num_users=6", "surface_shape=8,8", "num_antennas=7")),
    ("paper-a", ("surface_shape=0,0",)),
    ("hybrid", ("num_users=1",)),
    ("hybrid", ("num_users=5", "surface_shape=4,5", "num_active=9")),
]


def setting(name, *overrides):
    system, params = build(apply_overrides(SCENARIOS[name], overrides))
    env = Environment(system, Structured(elements=True), EntityObservation(), meet_constraints=True)
    return env, params


@functools.partial(jax.jit, static_argnums=0)
def observe(env, params, channels):
    """States of the channels, `[C, ...]`; the surface's phases do not matter."""
    psi = jnp.ones((env.system.spec.elements,), channels.direct.dtype)
    return jax.vmap(lambda c: env.begin(params, c, psi))(channels)


@functools.partial(jax.jit, static_argnums=(0, 1))
def designs(env, policy, weights, params, channels):
    states = observe(env, params, channels)
    action = policy.mode(weights, states.obs)
    return jax.vmap(env.design, in_axes=(None, 0, 0))(params, states, action)[0]


def one_obs(env, params):
    return jax.eval_shape(lambda k: env.reset(k, params)[0], jax.random.key(0))


def weights_of(policy, env, params, scale=0.3):
    """Weights far from the start, so that every number counts."""
    obs = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), one_obs(env, params))
    weights = jax.jit(policy.init)(jax.random.key(0), obs)
    leaves, tree = jax.tree.flatten(weights)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [x + scale * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, leaves)


@pytest.mark.parametrize(
    "name", [pytest.param("paper-a", marks=pytest.mark.full), pytest.param("hybrid", marks=pytest.mark.full)]
)
def test_users_and_elements_may_come_in_any_order_and_phase(name, x64):
    env, params = setting(name)
    env = dataclasses.replace(env, system=env.system.continuous)
    policy = equivariant_policy(env, (8, 8))
    weights = weights_of(policy, env, params)
    channels = draw_channels(env.system, params, 6, 7, HELD_OUT)
    rng = np.random.default_rng(0)
    spec = env.system.spec
    users, elements = rng.permutation(spec.users), rng.permutation(spec.elements)
    turn = jnp.asarray(np.exp(2j * np.pi * rng.random(spec.users)))
    # The sensing elements see where an element stands, so on the hybrid surface elements keep their places.
    elements = elements if name == "paper-a" else np.arange(spec.elements)
    other = channels.replace(
        direct=(turn[:, None] * channels.direct)[:, users],
        surface_to_user=(turn[:, None] * channels.surface_to_user)[:, users][:, :, elements],
        bs_to_surface=channels.bs_to_surface[:, elements],
        user_position_m=channels.user_position_m[:, users],
    )
    one, two = (designs(env, policy, weights, params, c) for c in (channels, other))
    rates = [env.system.outcome(params, c, d).rates for c, d in ((channels, one), (other, two))]
    np.testing.assert_allclose(rates[1], rates[0][:, users], rtol=1e-6, atol=1e-9)
    # Beams up to the turn of their user, and of the surface as a whole where nothing but it reaches the users.
    scale = np.max(np.abs(one.beamformer))
    columns = np.abs(one.beamformer)[:, :, np.r_[users, spec.users : spec.streams]]
    np.testing.assert_allclose(np.abs(two.beamformer), columns, atol=1e-6 * scale)
    ratio = np.asarray(two.reflection / one.reflection[:, elements])
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), atol=1e-6)


@pytest.mark.full
def test_the_network_itself_follows_the_order_of_its_entities(x64):
    env, params = setting("hybrid")
    policy = equivariant_policy(env, (8, 8))
    weights = weights_of(policy, env, params)
    obs = observe(env, params, draw_channels(env.system, params, 4, 7, HELD_OUT)).obs
    sizes = env.actions.sizes(env.system.spec)
    rng = np.random.default_rng(0)
    users, elements = rng.permutation(env.system.spec.users), rng.permutation(env.system.spec.elements)
    directions = rng.permutation(obs.directions.shape[-2])
    other = obs.replace(
        users=obs.users[:, users],
        pairs=obs.pairs[:, users][:, :, users],
        elements=obs.elements[:, elements],
        reach=obs.reach[:, users][:, :, elements],
        directions=obs.directions[:, directions],
        spread=obs.spread[:, users][:, :, directions],
    )
    ends = np.cumsum(list(sizes.values()))[:-1]
    act = jax.jit(policy.mode)
    one, two = (dict(zip(sizes, np.split(act(weights, o), ends, axis=-1), strict=True)) for o in (obs, other))
    for name in ("log_power", "log_weight"):
        np.testing.assert_allclose(two[name], one[name][:, users], rtol=1e-9)
    for name in ("phase", "gain"):
        np.testing.assert_allclose(two[name], one[name][:, elements], rtol=1e-9)
    for name in ("real", "imag"):
        matrix, moved = (x[name].reshape(4, len(users), len(directions)) for x in (one, two))
        np.testing.assert_allclose(moved, matrix[:, users][:, :, directions], rtol=1e-9)
    for name in ("level", "light", "amplitude"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-9)
    value = jax.jit(policy.value)
    np.testing.assert_allclose(value(weights, other), value(weights, obs), rtol=1e-9)


@pytest.mark.parametrize(("name", "overrides"), [SIZES[0], SIZES[2], SIZES[5]])
def test_parameters_made_at_one_size_fit_every_other(name, overrides):
    env, params = setting(name)
    other, other_params = setting(name, *overrides)
    policy = equivariant_policy(env, (8, 8))
    assert policy == equivariant_policy(other, (8, 8))
    shapes = [
        jax.tree.map(lambda x: x.shape, jax.eval_shape(policy.init, jax.random.key(0), one_obs(e, p)))
        for e, p in ((env, params), (other, other_params))
    ]
    assert shapes[0] == shapes[1]
    size = other.actions.zeros(other.system.spec).shape
    obs = one_obs(other, other_params)
    weights = jax.eval_shape(policy.init, jax.random.key(0), one_obs(env, params))
    assert jax.eval_shape(policy.mode, weights, obs).shape == size
    assert jax.eval_shape(policy.value, weights, obs).shape == ()


@pytest.mark.full
@pytest.mark.parametrize(("name", "overrides"), SIZES)
def test_designs_of_another_size_hold_their_closed_forms(name, overrides):
    env, params = setting(name)
    policy = equivariant_policy(env, (8, 8))
    weights = weights_of(policy, env, params)
    other, params = setting(name, *overrides)
    channels = draw_channels(other.system, params, 8, 7, HELD_OUT)
    judged = judge(other.system, params, channels, designs(other, policy, weights, params, channels))
    chex.assert_tree_all_finite((judged.rate, judged.slack))
    for constraint in ("antenna_power", "beam_pattern", "bs_power", "surface_power", "amplitude"):
        if constraint in judged.slack_feasible:
            assert float(jnp.min(judged.slack_feasible[constraint])) >= -1e-5, constraint


@pytest.mark.parametrize("name", SCENARIOS)
def test_untrained_it_is_the_zero_action_whatever_the_entities(name):
    env, params = setting(name)
    policy = equivariant_policy(env)
    obs, _ = jax.jit(jax.vmap(env.reset, in_axes=(0, None)))(jax.random.split(jax.random.key(0), 8), params)
    chex.assert_tree_all_finite(obs)
    assert max(float(jnp.max(jnp.abs(x))) for x in jax.tree.leaves(obs)) <= 8
    weights = jax.jit(policy.init)(jax.random.key(0), jax.tree.map(lambda x: x[0], obs))
    action = jax.jit(policy.mode)(weights, obs)
    assert action.shape == (8, *env.actions.zeros(env.system.spec).shape)
    np.testing.assert_allclose(action, 0, atol=0.15)
    # Batches with more leading axes are judged alike.
    two = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), obs)
    np.testing.assert_allclose(jax.jit(policy.mode)(weights, two).reshape(8, -1), action, atol=1e-6)


@pytest.mark.parametrize("name", ["paper-a", pytest.param("hybrid", marks=pytest.mark.full)])
def test_the_density_of_a_sample_is_that_of_its_action(name, x64):
    env, params = setting(name)
    policy = equivariant_policy(env, (8,), element_log_std=-2.0)
    weights = weights_of(policy, env, params)
    obs = observe(env, params, draw_channels(env.system, params, 4, 7, HELD_OUT)).obs
    action, log_prob = jax.jit(policy.sample)(weights, obs, jax.random.key(2))
    again, entropy = jax.jit(policy.log_prob_entropy)(weights, obs, action)
    assert action.dtype == log_prob.dtype == jnp.float64
    np.testing.assert_allclose(again, log_prob, rtol=1e-10)
    # One deviation for each part of the action: the entropy is a sum over its numbers.
    sizes = [n for n in env.actions.sizes(env.system.spec).values() if n]
    log_std = weights["actor"]["params"]["log_std"]
    np.testing.assert_allclose(entropy, np.dot(sizes, log_std + 0.5 * np.log(2 * np.pi * np.e)), rtol=1e-10)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_proximal_update_traces(name):
    env, params = setting(name)
    config = PPOConfig(num_envs=8, minibatches=2)
    agent = make_ppo(env, equivariant_policy(env, (8, 8)), config, 4)
    state = jax.eval_shape(agent.init, jax.random.key(0), params)
    after, _ = jax.eval_shape(agent.update, state, params)
    chex.assert_trees_all_equal_shapes_and_dtypes(after.params, state.params)


@pytest.mark.full
def test_it_learns_on_the_real_system():
    env, params = setting("paper-a")
    agent = make_apg(env, equivariant_policy(env, (16, 16)), APGConfig(num_envs=32), 60)
    channels = draw_channels(env.system, params, 256, 7, HELD_OUT)

    def rate(weights):
        design = designs(env, agent.policy, weights, params, channels)
        return float(jnp.mean(judge(env.system, params, channels, design).rate_feasible))

    state = jax.jit(agent.init)(jax.random.key(0), params)
    before = rate(state.params)
    train = jax.jit(lambda s: jax.lax.scan(lambda s, _: agent.update(s, params), s, None, length=60))
    state, metrics = train(state)
    chex.assert_tree_all_finite((metrics, state.params))
    # The first 50 updates of 128 channels bring 1 bit/s/Hz.
    assert rate(state.params) > before + 0.5


def test_impossible_settings_are_refused():
    env, _ = setting("paper-a")
    with pytest.raises(ConfigError, match=r"hidden=\(8, 16\)"):
        EquivariantPolicy(("level",), (8, 16))
    with pytest.raises(ConfigError, match="elements=True"):
        equivariant_policy(dataclasses.replace(env, actions=Structured()))
