"""The environment's contract, and what the structured maps promise."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.beamforming import focused, rzf, scale_per_antenna
from thzjax.beamforming.frame import channel_frame, surface_direction
from thzjax.envs.actions import Paper, PaperAction, PaperB, Residual, Structured
from thzjax.envs.environment import Environment
from thzjax.envs.observations import PaperObservation, StructuredObservation
from thzjax.errors import ConfigError
from thzjax.numeric import cis, unit_phasor
from thzjax.systems.base import satisfied
from thzjax.systems.scenario import build, preset


def make(kind="structured", **options):
    system, params = build(preset("paper-a"))
    if kind == "paper":
        options = {"horizon": 3, "delayed_phases": True} | options
        return Environment(system, Paper(), PaperObservation(), **options), params
    return Environment(system, Structured(), StructuredObservation(), **options), params


def random_action(env, key):
    spec = env.system.spec
    zeros = env.actions.zeros(spec)
    if isinstance(zeros, PaperAction):
        key_beam, key_level = jax.random.split(key)
        beam = jax.random.uniform(key_beam, zeros.beam.shape, minval=-1, maxval=1)
        return PaperAction(beam, jax.random.randint(key_level, zeros.level.shape, 0, 2**spec.phase_bits))
    return jax.random.normal(key, zeros.shape)


@pytest.mark.parametrize("kind", ["structured", "paper"])
def test_an_episode_keeps_its_drop_and_the_next_one_has_another(kind):
    env, params = make(kind, horizon=3)
    step = jax.jit(env.step)
    _, state = env.reset(jax.random.key(0), params)
    total = 0.0
    for t in range(6):
        result = step(jax.random.key(t), state, random_action(env, jax.random.key(100 + t)), params)
        total += float(result.reward)
        assert not bool(result.terminated)
        last = t % 3 == 2
        assert bool(result.truncated) == last
        np.testing.assert_allclose(result.reward, jnp.sum(result.info["rates"]), rtol=1e-6)
        np.testing.assert_allclose(result.info["episode_return"], total, rtol=1e-5)
        same = np.array_equal(result.state.channels.direct, state.channels.direct)
        assert same != last
        if last:
            total = 0.0
            assert int(result.state.step) == 0
            assert float(result.state.episode_return) == 0
            assert not np.allclose(result.obs, result.info["final_observation"])
        else:
            np.testing.assert_array_equal(result.obs, result.info["final_observation"])
        np.testing.assert_array_equal(result.obs, result.state.obs)
        state = result.state


@pytest.mark.parametrize("kind", ["structured", "paper"])
def test_scan_is_loop_and_a_step_is_traced_once(kind):
    env, params = make(kind, horizon=2)
    _, state = env.reset(jax.random.key(0), params)
    keys = jax.random.split(jax.random.key(1), 4)
    actions = jax.vmap(lambda k: random_action(env, k))(keys)

    def step(state, x):
        key, action = x
        result = env.step(key, state, action, params)
        return result.state, result.reward

    _, scanned = jax.lax.scan(step, state, (keys, actions))
    chex.clear_trace_counter()
    once = jax.jit(chex.assert_max_traces(step, n=1))
    rewards = []
    for t in range(4):
        state, reward = once(state, jax.tree.map(lambda x: x[t], (keys, actions)))  # noqa: B023
        rewards.append(float(reward))
    np.testing.assert_allclose(scanned, rewards, rtol=1e-5)


def test_delayed_phases_act_one_step_later():
    env, params = make("paper", horizon=4)
    _, state = env.reset(jax.random.key(0), params)
    quiet = random_action(env, jax.random.key(1))
    other = quiet.replace(level=(quiet.level + 4) % 8)
    first = env.step(jax.random.key(2), state, quiet, params)
    second = env.step(jax.random.key(2), state, other, params)
    np.testing.assert_array_equal(first.reward, second.reward)
    after_first = env.step(jax.random.key(2), first.state, quiet, params)
    after_second = env.step(jax.random.key(2), second.state, quiet, params)
    assert abs(float(after_first.reward) - float(after_second.reward)) > 1e-4
    assert not np.allclose(first.obs, second.obs)


def test_raw_actions_are_projected_onto_the_antenna_budget():
    env, params = make("paper")
    loud = PaperAction(jnp.ones((4, 10)), jnp.zeros(16, jnp.int32))
    _, state = env.reset(jax.random.key(0), params)
    design, _ = env.design(params, state, loud)
    power = jnp.sum(jnp.abs(design.beamformer) ** 2, axis=-1)
    np.testing.assert_allclose(power, params.power_w / 5, rtol=1e-5)


def test_the_zero_action_is_focused_regularised_zero_forcing():
    env, params = make()
    for seed in range(5):
        _, state = env.reset(jax.random.key(seed), params)
        design, _ = env.design(params, state, env.actions.zeros(env.system.spec))
        reflection = env.system.snap(params, state.channels, focused(state.channels))
        np.testing.assert_allclose(design.reflection, reflection, atol=1e-5)
        H = env.system.effective_channel(state.channels, reflection)
        W = scale_per_antenna(rzf(H, params.noise_w, params.power_w), params.power_w)
        ratio = np.asarray(design.beamformer) / np.asarray(W)
        np.testing.assert_allclose(ratio, ratio.real.mean(), rtol=2e-3, atol=2e-3)


def test_the_level_sets_the_pattern_error():
    env, params = make()
    _, state = env.reset(jax.random.key(0), params)
    zeros = env.actions.zeros(env.system.spec)
    for level in (-1.0, 0.0, 0.5):
        design, _ = env.design(params, state, zeros.at[-1].set(level))
        expected = 2.0 * np.exp(env.actions.level_scale * level)
        np.testing.assert_allclose(env.system.pattern_error(params, design), expected, rtol=1e-4)


def test_the_level_means_nothing_where_the_pattern_is_no_constraint():
    env, params = make()
    free = dataclasses.replace(env, system=dataclasses.replace(env.system, constraints=("antenna_power",)))
    _, state = free.reset(jax.random.key(0), params)
    zeros = free.actions.zeros(free.system.spec)
    one, two = (free.design(params, state, zeros.at[-1].set(level))[0] for level in (-1.0, 1.0))
    np.testing.assert_array_equal(one.beamformer, two.beamformer)
    strongest = jnp.max(jnp.sum(jnp.abs(one.beamformer) ** 2, axis=-1))
    np.testing.assert_allclose(strongest, params.power_w / 5, rtol=1e-5)


def test_projection_of_constraints_never_exceeds_them():
    env, params = make(meet_constraints=True)
    keys = jax.random.split(jax.random.key(0), 256)
    _, states = jax.vmap(env.reset, in_axes=(0, None))(keys, params)
    actions = 2 * jax.vmap(lambda k: random_action(env, k))(keys)
    result = jax.jit(jax.vmap(env.step, in_axes=(0, 0, 0, None)))(keys, states, actions, params)
    assert bool(jnp.all(satisfied(result.info["slack"])))


def reorder(channels, order, turn):
    """The same users in another order, each turned by a phase of its own."""
    turn = cis(turn)
    return channels.replace(
        direct=(channels.direct * turn[:, None])[order],
        surface_to_user=(channels.surface_to_user * turn[:, None])[order],
        user_position_m=channels.user_position_m[order],
    )


def test_structured_maps_do_not_mind_the_order_and_phase_of_users():
    env, params = make()
    system = env.system
    channels = system.sample(jax.random.key(5), params)
    order, turn = jnp.asarray([2, 0, 3, 1]), jnp.asarray([0.3, -2.0, 1.0, 2.5])
    other = reorder(channels, order, turn)
    psi = system.snap(params, channels, jnp.zeros(16))
    one, two = env.begin(params, channels, psi), env.begin(params, other, psi)
    np.testing.assert_allclose(one.obs, two.obs, atol=2e-4)
    action = random_action(env, jax.random.key(3))
    rates_one = system.outcome(params, channels, env.design(params, one, action)[0]).rates
    rates_two = system.outcome(params, other, env.design(params, two, action)[0]).rates
    np.testing.assert_allclose(rates_one[order], rates_two, rtol=2e-3, atol=1e-4)


def test_the_frame_orders_by_strength_and_undoes_phases():
    env, params = make()
    frame = channel_frame(env.system.sample(jax.random.key(0), params))
    assert bool(jnp.all(jnp.diff(frame.gain) <= 0))
    np.testing.assert_allclose(jnp.sum(jnp.abs(frame.paths) ** 2, axis=-1), 1, rtol=1e-5)
    overlap = jnp.sum(jnp.conj(frame.paths[0]) * frame.paths, axis=-1)
    np.testing.assert_allclose(jnp.imag(overlap), 0, atol=1e-6)
    assert bool(jnp.all(jnp.real(overlap) >= 0))
    psi = unit_phasor(surface_direction(frame, jnp.eye(1, 4)[0].astype(jnp.complex64)))
    np.testing.assert_allclose(jnp.sum(psi * frame.paths[0]), jnp.sum(jnp.abs(frame.paths[0])), rtol=1e-5)


def test_a_horizon_below_one_is_refused():
    with pytest.raises(ConfigError, match="horizon=0"):
        make(horizon=0)


@pytest.mark.parametrize("preset_name", ["paper-a", "paper-a-mimo", "paper-b"])
@pytest.mark.parametrize("actions", [Structured(), Residual(), PaperB()], ids=["structured", "residual", "raw"])
def test_maps_that_promise_hardware_leave_nothing_to_project(preset_name, actions):
    system, params = build(preset(preset_name))
    size = actions.zeros(system.spec).shape

    def both(key):
        key_drop, key_action = jax.random.split(key)
        channels = system.sample(key_drop, params)
        context = actions.context(system, params, channels)
        design = actions(system, params, channels, context, 3 * jax.random.normal(key_action, size))
        return design, system.project(params, channels, design)

    design, projected = jax.jit(jax.vmap(both))(jax.random.split(jax.random.key(0), 32))
    largest = jnp.max(jnp.abs(design.beamformer))
    # Rows at their limit may be scaled once more by the rounding of their norms.
    np.testing.assert_allclose(design.beamformer, projected.beamformer, rtol=1e-5, atol=1e-6 * largest)
    np.testing.assert_allclose(design.reflection, projected.reflection, rtol=1e-5)
