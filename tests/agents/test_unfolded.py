"""The unfolded policy: symmetric, of any size, feasible, and right in the gradients it is fed."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.agents.unfolded import UnfoldedConfig, UnfoldedPolicy
from thzjax.agents.unfolded_layers import Point, listen, rate_gradients, search_levels
from thzjax.beamforming.anchors import single_user_rate
from thzjax.envs.observations import Scene
from thzjax.errors import ConfigError
from thzjax.experiment.evaluation import HELD_OUT, draw_channels, judge
from thzjax.experiment.overrides import apply_overrides
from thzjax.systems.base import Design
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.scenario import build, preset

SMALL = UnfoldedConfig(layers=3, beam_layers=1, rounds=1, width=8, state=2)
HYBRID = HrisScenario(
    bs_shape=(2, 3), surface_shape=(3, 4), sensor_shape=(2, 2), num_active=5, num_users=3, num_rays_bs=3,
    max_crb_rad2=1.0, min_sinr_db=-30.0, p_bs_dbm=50.0,
)  # fmt: skip
SCENARIOS = {"paper-a": preset("paper-a"), "hybrid": HYBRID}


def setting(name, num=6, *overrides):
    system, params = build(apply_overrides(SCENARIOS[name], overrides))
    return system, params, draw_channels(system, params, num, 7, HELD_OUT)


def noisy(policy, scale=0.3):
    """Weights far from the start, so that every decision counts."""
    weights = policy.init(jax.random.key(0), None)
    leaves, tree = jax.tree.flatten(weights)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [x + scale * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, leaves)


@functools.partial(jax.jit, static_argnums=0)
def designs(policy, weights, params, channels):
    return jax.vmap(lambda c: policy.mode(weights, Scene(params, c)))(channels)


@pytest.mark.parametrize("name", SCENARIOS)
def test_users_and_elements_may_come_in_any_order_and_phase(name, x64):
    system, params, channels = setting(name)
    policy = UnfoldedPolicy(system.continuous, SMALL)
    weights = noisy(policy)
    rng = np.random.default_rng(0)
    users, elements = rng.permutation(system.spec.users), rng.permutation(system.spec.elements)
    turn = jnp.asarray(np.exp(2j * np.pi * rng.random(system.spec.users)))
    # The sensing elements see where an element stands, so on the hybrid surface elements keep their places.
    elements = elements if name == "paper-a" else np.arange(system.spec.elements)
    other = channels.replace(
        direct=(turn[:, None] * channels.direct)[:, users],
        surface_to_user=(turn[:, None] * channels.surface_to_user)[:, users][:, :, elements],
        bs_to_surface=channels.bs_to_surface[:, elements],
        user_position_m=channels.user_position_m[:, users],
    )
    one = system.continuous.outcome(params, channels, designs(policy, weights, params, channels))
    two = system.continuous.outcome(params, other, designs(policy, weights, params, other))
    np.testing.assert_allclose(two.rates, one.rates[:, users], rtol=1e-6, atol=1e-9)


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("paper-a", ("num_users=2", "surface_shape=3,3")),
        ("paper-a", ("num_users=6", "surface_shape=6,6")),
        ("hybrid", ("num_users=2", "surface_shape=4,5")),
    ],
)
def test_one_set_of_weights_serves_other_sizes(name, overrides):
    system, _, _ = setting(name)
    weights = noisy(UnfoldedPolicy(system, SMALL), 0.1)
    other, params, channels = setting(name, 6, *overrides)
    design = designs(UnfoldedPolicy(other, SMALL), weights, params, channels)
    judged = judge(other, params, channels, design)
    chex.assert_tree_all_finite(judged)
    assert float(jnp.mean(judged.rate_feasible)) > 0


@pytest.mark.parametrize("name", SCENARIOS)
def test_rate_gradients_are_the_derivatives(name, x64):
    system, params, channels = setting(name, 1)
    system = system.continuous
    c = jax.tree.map(lambda x: x[0], channels)
    design = system.project(params, c, system.random_design(jax.random.key(3), params, c))
    W, psi = design.beamformer, design.reflection
    noise = system.user_noise(params, c, psi)
    ours = rate_gradients(system, params, c, psi, W, listen(system, c, W, psi, noise))

    def rates(psi):
        return system.outcome(params, c, Design(W, psi)).rates * jnp.log(2.0)

    # jax's derivative of a real function is twice the one by psi, the conjugate of the one by psi^*.
    (jacobian,) = jax.vmap(jax.vjp(rates, psi)[1])(jnp.eye(system.spec.users))
    np.testing.assert_allclose(ours, np.conj(jacobian) / 2, rtol=1e-8, atol=1e-10 * np.max(np.abs(jacobian)))


def test_searching_levels_never_lowers_the_sum_rate():
    system, params, channels = setting("paper-a", 32)
    keys = jax.random.split(jax.random.key(0), 32)
    start = jax.vmap(system.random_design, in_axes=(0, None, 0))(keys, params, channels)

    def found(design, channels):
        zero = jnp.zeros(design.reflection.shape)
        point = Point(zero, zero + 1, zero[:, None], design.beamformer, design.reflection)
        return search_levels(system, params, channels, point).reflection

    after = start.replace(reflection=jax.jit(jax.vmap(found))(start, channels))
    np.testing.assert_allclose(system.project(params, channels, after).reflection, after.reflection, atol=1e-5)
    before, now = (jnp.sum(system.outcome(params, channels, d).rates, axis=-1) for d in (start, after))
    assert bool(jnp.all(now >= before * (1 - 1e-5)))
    assert float(jnp.mean(now)) > 1.1 * float(jnp.mean(before))


@pytest.mark.full
@pytest.mark.parametrize("name", SCENARIOS)
def test_designs_hold_their_closed_forms_and_have_finite_gradients(name):
    system, params, channels = setting(name, 8)
    policy = UnfoldedPolicy(system, SMALL)
    weights = noisy(policy)
    judged = judge(system, params, channels, designs(policy, weights, params, channels))
    for constraint in ("antenna_power", "beam_pattern", "bs_power", "surface_power", "amplitude"):
        if constraint in judged.slack_feasible:
            assert float(jnp.min(judged.slack_feasible[constraint])) >= -1e-5, constraint

    def value(weights):
        scene = Scene(jax.tree.map(lambda x: jnp.broadcast_to(x, (8, *x.shape)), params), channels)
        design = policy.relaxed(weights, scene, jax.random.key(0))
        return jnp.mean(system.continuous.outcome(params, channels, design).rates)

    gradient = jax.jit(jax.grad(value))(weights)
    chex.assert_tree_all_finite(gradient)
    assert sum(float(jnp.sum(jnp.abs(x))) for x in jax.tree.leaves(gradient)) > 0


def test_a_single_user_gets_its_capacity():
    # Over a passive surface and one path a matched beam and aligned phases are the optimum: layers must not leave it.
    system, params, channels = setting("hybrid", 16, "num_users=1", "num_active=0", "num_rays_bs=0")
    system = dataclasses.replace(system, constraints=())
    policy = UnfoldedPolicy(system, dataclasses.replace(SMALL, layers=6))
    weights = jax.tree.map(jnp.zeros_like, policy.init(jax.random.key(0), None))
    rate = jnp.sum(system.outcome(params, channels, designs(policy, weights, params, channels)).rates, axis=-1)
    np.testing.assert_allclose(rate, single_user_rate(system, params, channels), rtol=1e-4)


@pytest.mark.parametrize(
    ("message", "changes"),
    [("unfolded.layers=0", {"layers": 0}), ("surface 'odd' is unknown", {"starts": ("odd",)}),
     ("surface 'none' is unknown", {"starts": ()})],
)  # fmt: skip
def test_impossible_sizes_are_refused(message, changes):
    with pytest.raises(ConfigError, match=message):
        UnfoldedConfig(**changes)
