"""The random unfolded policy: the density it states is that of what it draws, and the learners climb with it."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.agents.policies import Transition
from thzjax.agents.ppo import PPOConfig, make_ppo
from thzjax.agents.unfolded import UnfoldedConfig, UnfoldedPolicy
from thzjax.agents.unfolded_layers import Decided
from thzjax.agents.unfolded_random import DAMPING_OF_PHASES, StochasticUnfolded, Traced
from thzjax.envs.environment import Environment
from thzjax.envs.observations import Scene, WholeObservation
from thzjax.errors import ConfigError
from thzjax.experiment.evaluation import HELD_OUT, draw_channels
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.scenario import build, preset

SMALL = UnfoldedConfig(layers=2, beam_layers=1, rounds=1, width=8, state=2)
HYBRID = HrisScenario(
    bs_shape=(2, 3), surface_shape=(3, 4), sensor_shape=(2, 2), num_active=5, num_users=3, num_rays_bs=3,
    max_crb_rad2=1.0, min_sinr_db=-30.0, p_bs_dbm=50.0,
)  # fmt: skip
SCENARIOS = {"paper-a": preset("paper-a"), "hybrid": HYBRID}
NUM = 4
KEY = jax.random.key(3)


def setting(name, num=NUM):
    """(policy, scenes `[num]`)."""
    system, params = build(SCENARIOS[name])
    scenes = Scene(
        jax.tree.map(lambda x: jnp.broadcast_to(x, (num, *x.shape)), params),
        draw_channels(system, params, num, 7, HELD_OUT),
    )
    return StochasticUnfolded(system, SMALL), scenes


@functools.partial(jax.jit, static_argnums=(0, 1))
def noisy(policy, scale=0.3):
    """Weights far from the start, so that every decision counts."""
    weights = policy.init(jax.random.key(0), None)
    leaves, tree = jax.tree.flatten(weights["actor"]["network"])
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [x + scale * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    return {**weights, "actor": {**weights["actor"], "network": jax.tree.unflatten(tree, leaves)}}


def with_log_std(weights, value):
    log_std = jax.tree.map(lambda x: jnp.full_like(x, value), weights["actor"]["log_std"])
    return {**weights, "actor": {**weights["actor"], "log_std": log_std}}


@functools.partial(jax.jit, static_argnums=0)
def drawn(policy, weights, scenes, key):
    """(action, log density as drawn, log density taken again, entropy)."""
    action, log_prob = policy.sample(weights, scenes, key)
    return action, log_prob, *policy.log_prob_entropy(weights, scenes, action)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_density_of_a_draw_is_the_one_its_trace_gives(name):
    policy, scenes = setting(name)
    action, log_prob, again, entropy = drawn(policy, noisy(policy), scenes, KEY)
    chex.assert_tree_all_finite(action)
    np.testing.assert_allclose(again, log_prob, rtol=1e-5, atol=1e-4)
    # Every number that counts brings log(sqrt(2 pi e) std); what has no effect brings nothing.
    spec = policy.system.spec
    shared = SMALL.layers + SMALL.beam_layers
    numbers = shared * (2 + len(policy.unfolded.priced) + (spec.streams > spec.users)) + SMALL.layers
    coarse, fine = shared * spec.users + numbers, SMALL.layers * (spec.elements + spec.active)
    each = 0.5 * np.log(2 * np.pi * np.e)
    expected = coarse * (each - 1.0) + fine * (each - 2.5)
    np.testing.assert_allclose(entropy, expected, rtol=1e-4)


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_noise_it_is_the_unfolded_policy_before_its_search(name):
    policy, scenes = setting(name)
    weights = with_log_std(noisy(policy), -30.0)
    action = drawn(policy, weights, scenes, KEY)[0]
    plain = UnfoldedPolicy(policy.system, dataclasses.replace(SMALL, rounds=0))
    wanted = jax.jit(plain.mode)({"actor": weights["actor"]["network"]}, scenes)
    size = np.max(np.abs(wanted.beamformer))
    np.testing.assert_allclose(action.design.beamformer, wanted.beamformer, atol=2e-3 * size)
    np.testing.assert_allclose(action.design.reflection, wanted.reflection, atol=2e-3)


def test_its_scores_average_to_nothing_and_reach_every_weight():
    # E grad log pi = 0; mean^2 over variance/n is then near 1 for every weight, here on average over all.
    num = 256
    policy, scene = setting("hybrid", 1)
    weights = noisy(policy)
    scenes = jax.tree.map(lambda x: jnp.broadcast_to(x, (num, *x.shape[1:])), scene)
    action = drawn(policy, weights, scenes, KEY)[0]

    @jax.jit
    def scores(weights, scenes, action):
        def one(scene, action):
            return jax.grad(lambda w: policy.log_prob_entropy(w, scene, action)[0])(weights)

        return jax.vmap(one)(scenes, action)["actor"]

    score = scores(weights, scenes, action)
    for leaf in jax.tree.leaves(score):
        assert float(jnp.max(jnp.abs(leaf))) > 0
    flat = np.concatenate([np.asarray(x).reshape(num, -1) for x in jax.tree.leaves(score)], axis=1)
    flat = flat[:, np.std(flat, axis=0) > 0]
    statistic = np.mean(flat, axis=0) ** 2 / (np.var(flat, axis=0) / num)
    assert 0.5 < np.mean(statistic) < 1.7


def test_users_may_come_in_any_order():
    policy, scenes = setting("paper-a", 1)
    # Without levels no rounding can tip a phase over.
    policy = dataclasses.replace(policy, system=policy.system.continuous, baseline="start")
    scene = jax.tree.map(lambda x: x[0], scenes)
    weights, spec = noisy(policy), policy.system.spec
    layers = SMALL.layers + SMALL.beam_layers
    order = np.array([2, 0, 3, 1])
    channels = scene.channels
    other = scene.replace(
        channels=channels.replace(
            direct=channels.direct[order], surface_to_user=channels.surface_to_user[order],
            user_position_m=channels.user_position_m[order],
        )
    )  # fmt: skip
    shapes = Decided(spec.users, weights["actor"]["log_std"].numbers.shape[-1], spec.elements, spec.elements)
    keys = Decided(*jax.random.split(KEY, 4))
    jitter = jax.tree.map(lambda k, n: 0.05 * jax.random.normal(k, (layers, n)), keys, shapes)
    moved = jitter._replace(weight=jitter.weight[:, order])

    @jax.jit
    def explored(weights, scene, jitter):
        plain = UnfoldedPolicy(policy.system, dataclasses.replace(SMALL, rounds=0))
        design, trace = plain.explored({"actor": weights["actor"]["network"]}, scene, jitter)
        return design, trace, policy.value(weights, scene)

    (one, trace, value), (two, trace_two, value_two) = (
        explored(weights, *at) for at in ((scene, jitter), (other, moved))
    )
    np.testing.assert_allclose(
        two.beamformer, one.beamformer[:, order], rtol=2e-3, atol=2e-3 * np.max(np.abs(one.beamformer))
    )
    np.testing.assert_allclose(two.reflection, one.reflection, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(trace_two.decided.weight, trace.decided.weight[:, order], rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(value_two, value, rtol=1e-4)


def environment(name, policy=None):
    system, params = build(preset(name))
    env = Environment(system, Traced(), WholeObservation(), meet_constraints=True)
    return env, policy or StochasticUnfolded(system, SMALL), params


@pytest.mark.parametrize(("name", "baseline"), [("paper-a", "undisturbed"), ("paper-b", "start")])
def test_an_update_of_ppo_keeps_its_shapes(name, baseline):
    env, policy, params = environment(name)
    policy = dataclasses.replace(policy, baseline=baseline)
    config = PPOConfig(num_envs=8, rollout=2, minibatches=2, entropy=0.0)
    agent = make_ppo(env, policy, config, 10)
    state = jax.eval_shape(agent.init, jax.random.key(0), params)
    after, metrics = jax.eval_shape(agent.update, state, params)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert metrics["policy_loss"].shape == ()


def test_the_action_of_zeros_and_the_mode_are_actions_too():
    env, policy, params = environment("paper-a")
    obs, state = jax.eval_shape(env.reset, jax.random.key(0), params)
    weights = jax.eval_shape(policy.init, jax.random.key(0), obs)
    zeros = env.actions.zeros(env.system.spec)
    mode = jax.eval_shape(policy.mode, weights, obs)
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(lambda: zeros), mode)
    step = jax.eval_shape(env.step, KEY, state, zeros, params)
    assert step.reward.shape == ()
    batch = Transition(*[None] * 8)
    assert float(policy.auxiliary_loss(weights, batch, 0.0)) == 0


@pytest.mark.full
def test_ppo_learns_with_it():
    # From phases that hardly move, as their damping is exp(2) times too large, 3.957 bit/s/Hz; then 4.025.
    env, policy, params = environment("paper-a")
    config = PPOConfig(num_envs=256, epochs=2, minibatches=2, entropy=0.0, actor_rate=5e-3)
    agent = make_ppo(env, policy, config, 120)
    state = jax.jit(agent.init)(jax.random.key(0), params)
    bias = state.params["actor"]["network"]["params"]["whole_out"]["bias"]
    state.params["actor"]["network"]["params"]["whole_out"]["bias"] = bias.at[:, DAMPING_OF_PHASES].add(2)
    scenes = setting("paper-a", 128)[1]

    @jax.jit
    def rate(weights):
        """Of random designs, on the same channels with the same noise before and after."""
        design = policy.sample(weights, scenes, KEY)[0].design
        return jnp.mean(jnp.sum(env.system.outcome(params, scenes.channels, design).rates, axis=-1))

    before = float(rate(state.params))
    state, _ = jax.jit(lambda s: jax.lax.scan(lambda s, _: agent.update(s, params), s, None, length=120))(state)
    chex.assert_tree_all_finite(state.params)
    assert float(rate(state.params)) > before + 0.03


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("rounds=-1", {"rounds": -1}),
        ("critic_width=0", {"critic_width": 0}),
        ("baseline='odd' is unknown", {"baseline": "odd"}),
    ],
)
def test_impossible_settings_are_refused(message, changes):
    system, _ = build(SCENARIOS["paper-a"])
    with pytest.raises(ConfigError, match=message):
        StochasticUnfolded(system, SMALL, **changes)
