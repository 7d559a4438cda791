"""What every registered classical design must do, on every system."""

import collections
import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.beamforming import DESIGNS, get_design
from thzjax.beamforming.designs import BEAMFORMERS, BY_REQUEST, COMPOSED, SURFACES
from thzjax.errors import ConfigError
from thzjax.experiment.evaluation import draw_channels
from thzjax.numeric import abs2
from thzjax.physics.link import per_antenna_power
from thzjax.systems.base import holds, satisfied
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build, preset

# Fewer paths than antennas, so that designs work in the channel's row space; a surface power that binds; a bound, a
# least SINR and a noise at the target that a sensible design meets.
HYBRID = HrisScenario(
    bs_shape=(2, 3),
    surface_shape=(3, 4),
    sensor_shape=(2, 2),
    num_active=5,
    num_users=3,
    num_rays_bs=3,
    p_surface_dbm=-25.0,
    max_crb_rad2=0.1,
    min_sinr_db=-20.0,
)
# So few antennas at the users that block diagonalisation exists.
MIMO = IrsScenario(num_users=2, user_antennas=2)
SCENARIOS = {"irs": preset("paper-a"), "hybrid": HYBRID, "mimo": MIMO}
CLOSED_FORM = {
    "irs": ("antenna_power", "beam_pattern"),
    "hybrid": ("bs_power", "surface_power", "target_noise", "amplitude"),
    "mimo": ("antenna_power", "beam_pattern"),
}
BATCHES = {"irs": 256, "hybrid": 16, "mimo": 64}
ONE_ANTENNA = {"fractional_programming"}

# A design is a program of its own to compile, 1 to 20 s. The everyday suite takes what the tests below compare, and
# from the other system a design with every part; rules and searches have everyday tests of their own.
EVERYDAY = {
    ("irs", "zf", "focused"),
    ("irs", "mrt", "focused"),
    ("irs", "rzf", "focused"),
    ("irs", "wmmse", "focused"),
    ("irs", "wmmse", "random"),
    ("irs", "random", "random"),
    ("hybrid", "wmmse_sum", "focused"),
    ("mimo", "zf", "focused"),
    ("mimo", "wmmse_sum", "focused"),
}
ALL = [
    (kind, *name)
    for kind in SCENARIOS
    for name in sorted(DESIGNS)
    if name not in BY_REQUEST and not (kind == "mimo" and name[0] in ONE_ANTENNA)
]
CASES = [pytest.param(*case, marks=[] if case in EVERYDAY else [pytest.mark.full]) for case in ALL]
TRACES = collections.Counter()


@functools.cache
def drawn(kind):
    system, params = build(SCENARIOS[kind])
    keys = jax.random.split(jax.random.key(4), BATCHES[kind])
    return system, params, jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(keys, params)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def solved(method, surface, system, params, channels, key):
    TRACES[method, surface, system, channels.bs_to_surface.shape[:-2], channels.direct.dtype.name] += 1
    return get_design(method, surface)(system, params, channels, key)


@functools.partial(jax.jit, static_argnums=0)
def judged(system, params, channels, design):
    projected = system.project(params, channels, design)
    met = system.meet(params, channels, projected)
    return projected, met, system.outcome(params, channels, met)


def levels_of(reflection, bits):
    return np.angle(np.asarray(reflection)) / (2 * np.pi / 2**bits)


@pytest.mark.parametrize(("kind", "method", "surface"), CASES)
def test_design_contract(kind, method, surface):
    system, params, channels = drawn(kind)
    spec, batch = system.spec, BATCHES[kind]
    design = solved(method, surface, system, params, channels, jax.random.key(2))
    chex.assert_shape(design.beamformer, (batch, spec.antennas, spec.streams))
    chex.assert_shape(design.reflection, (batch, spec.elements))
    assert (design.beamformer.dtype, design.reflection.dtype) == (jnp.complex64, jnp.complex64)
    chex.assert_tree_all_finite(design)

    # The key fixes the design, and a new one needs no new program.
    chex.assert_trees_all_equal(solved(method, surface, system, params, channels, jax.random.key(2)), design)
    other = solved(method, surface, system, params, channels, jax.random.key(3))
    if "random" in (method, surface) or method == "best_of_random":
        assert not np.allclose(other.reflection, design.reflection)
    elif method != "gradient":
        chex.assert_trees_all_equal(other, design)
    assert TRACES[method, surface, system, (batch,), "complex64"] == 1

    projected, met, outcome = judged(system, params, channels, design)
    for constraint in CLOSED_FORM[kind]:
        assert bool(jnp.all(holds(outcome.slack[constraint]))), constraint
    if spec.phase_bits:
        levels = levels_of(met.reflection, spec.phase_bits)
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    if (method, surface) in COMPOSED:
        fits_by_one_scalar(system, params, design, projected)


def fits_by_one_scalar(system, params, design, projected):
    """Its power, or its strongest antenna's, is exactly the budget, so that projection leaves the beams alone."""
    if "antenna_power" in system.constraints:
        used = jnp.max(per_antenna_power(design.beamformer), axis=-1) * system.spec.antennas
    else:
        used = jnp.sum(abs2(design.beamformer), axis=(-2, -1))
    # A few roundings of sums of up to 24 squares.
    np.testing.assert_allclose(used, params.power_w, rtol=1e-5)
    chex.assert_trees_all_close(projected.beamformer, design.beamformer, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "method", "surface"), [("irs", "mrt", "focused")])
def test_a_batch_is_a_vmap(kind, method, surface):
    """As outcomes: a design of many rounds may differ in its last digits, and then in phases that do not matter."""
    system, params, channels = drawn(kind)
    key = jax.random.key(2)
    batch = solved(method, surface, system, params, channels, key)
    few = jax.tree.map(lambda x: x[:4], channels)
    mapped = jax.jit(jax.vmap(lambda c: get_design(method, surface)(system, params, c, key)))(few)
    mapped = jax.tree.map(lambda one, whole: jnp.concatenate([one, whole[4:]]), mapped, batch)
    one, whole = (judged(system, params, channels, design)[2].rates for design in (mapped, batch))
    np.testing.assert_allclose(one, whole, rtol=2e-3, atol=2e-3)


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "method", "surface"), [case for case in ALL if "random" not in case[1:] and case[1] != "gradient"]
)
def test_every_batch_is_a_vmap(kind, method, surface):
    if method == "best_of_random":
        pytest.skip("a batch draws other designs than its members alone")
    test_a_batch_is_a_vmap(kind, method, surface)


@pytest.mark.parametrize(
    ("kind", "method", "surface"),
    [("irs", "mrt", "focused"), pytest.param("hybrid", "wmmse_sum", "focused_sum", marks=pytest.mark.full)],
)
def test_float64(kind, method, surface, x64):
    system, params, channels = drawn(kind)

    def wide(tree):
        return jax.tree.map(lambda x: np.asarray(x, np.complex128 if np.iscomplexobj(x) else np.float64), tree)

    params, channels = wide(params), wide(jax.tree.map(lambda x: x[:4], channels))
    design = solved(method, surface, system, params, channels, jax.random.key(2))
    assert (design.beamformer.dtype, design.reflection.dtype) == (jnp.complex128, jnp.complex128)
    outcome = judged(system, params, channels, design)[2]
    for constraint in CLOSED_FORM[kind]:
        assert bool(jnp.all(outcome.slack[constraint] >= -1e-6)), constraint


def test_every_rule_is_registered():
    assert {beam for beam, _ in COMPOSED} == set(BEAMFORMERS)
    assert {surface for _, surface in COMPOSED} == set(SURFACES)
    assert set(ALL) >= EVERYDAY


def test_paper_a_meets_everything_by_one_factor():
    """`meet` only scales down, by one factor per channel."""
    system, params, channels = drawn("irs")
    design = solved("wmmse", "focused", system, params, channels, jax.random.key(2))
    projected, met, outcome = judged(system, params, channels, design)
    assert bool(jnp.all(satisfied(outcome.slack)))
    before, after = np.asarray(projected.beamformer), np.asarray(met.beamformer)
    factor = np.linalg.norm(after, axis=(1, 2)) / np.linalg.norm(before, axis=(1, 2))
    assert np.all(factor <= 1 + 1e-6)
    np.testing.assert_allclose(after, factor[:, None, None] * before, atol=1e-6)


def mean_rate(method, surface):
    system, params, channels = drawn("irs")
    design = solved(method, surface, system, params, channels, jax.random.key(2))
    return float(jnp.mean(jnp.sum(judged(system, params, channels, design)[2].rates, axis=-1)))


def test_the_methods_stand_in_the_order_that_physics_gives_them():
    # On 2048 drops: 0.63, 1.61, 2.89, 3.99 focused and 1.6 with random phases, each known to about 0.04.
    zf, mrt, rzf, wmmse = (mean_rate(m, "focused") for m in ("zf", "mrt", "rzf", "wmmse"))
    assert zf < mrt < rzf < wmmse
    assert mean_rate("wmmse", "random") < 0.6 * wmmse


def test_zero_forcing_keeps_its_nulls_after_scaling():
    system, params, channels = drawn("irs")
    design = solved("zf", "focused", system, params, channels, jax.random.key(2))
    met = judged(system, params, channels, design)[1]
    rows = np.asarray(system.effective_channel(channels, met.reflection))
    received = np.abs(rows @ np.asarray(met.beamformer))
    own = np.diagonal(received, axis1=1, axis2=2)
    leak = received * (1 - np.eye(4))
    columns = np.linalg.norm(np.asarray(met.beamformer), axis=-2)
    # Relative to row norm times column norm float32 leaves a few ulp, whatever the conditioning.
    assert np.max(leak / (np.linalg.norm(rows, axis=-1)[:, :, None] * columns[:, None, :])) < 2e-5
    assert np.all(own > 0)


@pytest.mark.parametrize("surface", sorted(set(SURFACES) - {"semidefinite"}))
def test_without_a_surface_there_are_no_phases_to_choose(surface):
    system, params = build(dataclasses.replace(preset("paper-a"), surface_shape=(0, 0)))
    channels = draw_channels(system, params, 3, seed=0)
    assert SURFACES[surface](system, channels, jax.random.key(0)).shape == (3, 0)


def test_zero_forcing_needs_as_many_dimensions_as_users():
    system, params = build(preset("paper-b-literal"))
    channels = jax.eval_shape(system.sample, jax.random.key(0), params)
    for surface in ("random", "focused"):
        with pytest.raises(ConfigError, match="rank is at most 1, for K=4 users; rzf and wmmse"):
            jax.eval_shape(functools.partial(get_design("zf", surface), system), params, channels, jax.random.key(0))


def test_unknown_designs_are_named():
    with pytest.raises(ConfigError, match="design zf/magic is unknown"):
        get_design("zf", "magic")
