"""What every registered classical design must do."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.beamforming import DESIGNS, get_design
from thzjax.errors import ConfigError
from thzjax.physics.link import per_antenna_power
from thzjax.systems.base import satisfied
from thzjax.systems.scenario import build, preset

BATCH = 48


def draw(num=BATCH):
    system, params = build(preset("paper-a"))
    channels = jax.vmap(system.sample, in_axes=(0, None))(jax.random.split(jax.random.key(4), num), params)
    return system, params, channels


@pytest.mark.parametrize(("method", "surface"), sorted(DESIGNS))
def test_design_contract(method, surface):
    system, params, channels = draw()
    solve = jax.jit(get_design(method, surface), static_argnums=0)
    design = solve(system, params, channels, jax.random.key(2))
    chex.assert_shape(design.beamformer, (BATCH, 5, 4))
    chex.assert_tree_all_finite(design)
    # One scalar fits the design to the budget: its strongest antenna has exactly P/M, and clipping finds nothing.
    strongest = jnp.max(per_antenna_power(design.beamformer), axis=-1)
    np.testing.assert_allclose(strongest, params.power_w / 5, rtol=1e-5)
    projected = system.project(params, channels, design)
    chex.assert_trees_all_close(projected, design, rtol=1e-5, atol=1e-6)
    levels = np.angle(np.asarray(design.reflection)) / (2 * np.pi / 8)
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    met = system.meet(params, channels, projected)
    assert bool(jnp.all(satisfied(system.outcome(params, channels, met).slack)))
    # `meet` only scales down, by one factor per channel.
    before, after = np.asarray(projected.beamformer), np.asarray(met.beamformer)
    factor = np.linalg.norm(after, axis=(1, 2)) / np.linalg.norm(before, axis=(1, 2))
    assert np.all(factor <= 1 + 1e-6)
    np.testing.assert_allclose(after, factor[:, None, None] * before, atol=1e-6)


def mean_rate(method, surface):
    system, params, channels = draw(256)
    design = jax.jit(get_design(method, surface), static_argnums=0)(system, params, channels, jax.random.key(2))
    met = system.meet(params, channels, system.project(params, channels, design))
    return float(jnp.mean(jnp.sum(system.outcome(params, channels, met).rates, axis=-1)))


def test_the_methods_stand_in_the_order_that_physics_gives_them():
    # On 2048 drops: 0.63, 1.61, 2.89, 3.99 focused and 1.6 with random phases, each known to about 0.04.
    zf, mrt, rzf, wmmse = (mean_rate(m, "focused") for m in ("zf", "mrt", "rzf", "wmmse"))
    assert zf < mrt < rzf < wmmse
    assert mean_rate("wmmse", "random") < 0.6 * wmmse


def test_zero_forcing_keeps_its_nulls_after_scaling():
    system, params, channels = draw()
    design = get_design("zf", "focused")(system, params, channels, jax.random.key(0))
    met = system.meet(params, channels, system.project(params, channels, design))
    received = np.abs(np.asarray(system.effective_channel(channels, met.reflection) @ met.beamformer))
    own = np.diagonal(received, axis1=1, axis2=2)
    leak = received * (1 - np.eye(4))
    rows = np.linalg.norm(np.asarray(system.effective_channel(channels, met.reflection)), axis=-1)
    columns = np.linalg.norm(np.asarray(met.beamformer), axis=-2)
    # Relative to row norm times column norm float32 leaves a few ulp, whatever the conditioning.
    assert np.max(leak / (rows[:, :, None] * columns[:, None, :])) < 2e-5
    assert np.all(own > 0)


def test_unknown_designs_are_named():
    with pytest.raises(ConfigError, match="design zf/magic is unknown"):
        get_design("zf", "magic")
