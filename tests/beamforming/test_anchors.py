"""What no design can pass, and what one user or no surface gets."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.tools import assert_close

from thzjax.beamforming import DESIGNS, get_design
from thzjax.beamforming.anchors import (
    anchor_rates,
    crb_floor,
    no_surface_rate,
    refuse_impossible,
    single_user_rate,
    sum_rate_bound,
)
from thzjax.beamforming.designs import BY_REQUEST
from thzjax.beamforming.score import finished
from thzjax.errors import ConfigError
from thzjax.physics import sensing
from thzjax.systems.base import Design
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_isac import IrsIsac
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build

CHANNELS = 6
HYBRID = HrisScenario(
    bs_shape=(2, 3),
    surface_shape=(3, 4),
    sensor_shape=(2, 2),
    num_active=5,
    num_users=3,
    num_rays_bs=1,
    p_surface_dbm=-25.0,
    max_crb_rad2=0.1,
    min_sinr_db=-20.0,
)
RANK_ONE = dataclasses.replace(HYBRID, num_rays_bs=0, num_active=0)
SCENARIOS = {"hybrid": HYBRID, "irs": IrsScenario(surface_shape=(2, 3)), "rank one": RANK_ONE}


@functools.cache
def drawn(scenario):
    system, params = build(scenario)
    keys = jax.random.split(jax.random.key(1), CHANNELS)
    return system, params, jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(keys, params)


def unlimited(system, params):
    """The parameters without limits on anything but powers and amplitudes."""
    for constraint in set(system.constraints) & {"beam_pattern", "min_sinr", "crb"}:
        params = system.without(params, constraint)
    return params


# --- the bound on the sum rate ------------------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=0)
def bound_and_rates(system, params, keys, key):
    """The bound, and the rates of random designs that keep the budgets."""
    channels = jax.vmap(system.sample, in_axes=(0, None))(keys, params)

    def at_random(key):
        key_design, key_user = jax.random.split(key)
        design = system.random_design(key_design, params, channels)
        # On every other channel all the power on one user's matched beam instead.
        row = system.effective_channel(channels, design.reflection)
        row = jnp.take(row, jax.random.randint(key_user, (), 0, system.spec.users), axis=-2)
        beam = jnp.conj(row) / jnp.linalg.norm(row, axis=-1, keepdims=True).astype(row.dtype)
        W = jnp.zeros_like(design.beamformer).at[..., 0].set(jnp.sqrt(params.power_w).astype(beam.dtype) * beam)
        W = jnp.where((jnp.arange(CHANNELS) % 2 == 0)[:, None, None], W, design.beamformer)
        projected = system.project(params, channels, design.replace(beamformer=W))
        return jnp.sum(system.outcome(params, channels, projected).rates, axis=-1)

    return sum_rate_bound(system, params, channels), jax.lax.map(at_random, jax.random.split(key, 32))


@pytest.mark.parametrize("name", ["hybrid", pytest.param("irs", marks=pytest.mark.full)])
@given(
    seed=st.integers(0, 10_000), power_db=st.floats(-20, 20), noise_db=st.floats(-20, 20), other_db=st.floats(-20, 20)
)
@settings(max_examples=15)
def test_no_random_design_passes_the_bound(name, seed, power_db, noise_db, other_db):
    """Whatever the powers and noises: paper B's surface power and dynamic noise, paper A's gain of the elements."""
    system, params, _ = drawn(SCENARIOS[name])
    factor = {key: np.float32(10 ** (x / 10)) for key, x in (("p", power_db), ("n", noise_db), ("o", other_db))}
    params = unlimited(system, params)
    params = params.replace(power_w=factor["p"] * params.power_w, noise_w=factor["n"] * params.noise_w)
    if isinstance(system, IrsIsac):
        params = params.replace(element_gain=factor["o"] * params.element_gain)
    else:
        noise_v_w = factor["n"] / factor["o"] * params.noise_v_w
        params = params.replace(surface_power_w=factor["o"] * params.surface_power_w, noise_v_w=noise_v_w)
    keys = jax.random.split(jax.random.key(seed), CHANNELS)
    bound, rates = bound_and_rates(system, params, keys, jax.random.key(seed + 1))
    assert np.all(np.isfinite(bound))
    assert np.all(np.asarray(rates) <= np.asarray(bound) * (1 + 1e-5))


@pytest.mark.full
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_no_registered_design_passes_the_bound(name):
    system, params, channels = drawn(SCENARIOS[name])
    bound = np.asarray(bounded(system, params, channels))
    largest = np.zeros(CHANNELS)
    for pair in DESIGNS:
        if pair in BY_REQUEST or (pair[0] == "zf" and system.spec.rank < system.spec.users):
            continue
        design = jax.jit(get_design(*pair), static_argnums=0)(system, params, channels, jax.random.key(2))
        met, value = finished(system, params, channels, design)
        rate = np.sum(np.asarray(system.outcome(params, channels, met).rates), axis=-1)
        assert np.all(rate <= bound * (1 + 1e-5)), pair
        largest = np.maximum(largest, np.asarray(value))
    # Of some use: the best design has a fair share of it.
    assert np.mean(largest) > 0.3 * np.mean(bound)


def optimum_over_one_path(params, channels):
    """Rates of every user alone, passive surface, no direct link: as the rows of G are parallel, all paths align."""
    G, h = np.asarray(channels.bs_to_surface), np.asarray(channels.surface_to_user)
    row = np.sum(np.abs(h) * np.linalg.norm(G, axis=-1)[:, None, :], axis=-1)
    return np.log2(1 + float(params.power_w) * row**2 / float(params.noise_w))


single = jax.jit(single_user_rate, static_argnums=0)
bounded = jax.jit(sum_rate_bound, static_argnums=0)


@pytest.mark.parametrize("users", [3, pytest.param(1, marks=pytest.mark.full)])
def test_over_one_path_the_bound_is_what_the_best_user_gets_alone(users):
    """Degraded channels: the capacity is that of the strongest user, which `single_user_rate` reaches, for any K."""
    system, params, channels = drawn(dataclasses.replace(RANK_ONE, num_users=users))
    best = np.max(optimum_over_one_path(params, channels), axis=-1)
    assert_close(single(system, params, channels), best, 1e-5)
    assert_close(bounded(system, params, channels), best, 1e-5)


@functools.partial(jax.jit, static_argnums=0)
def matched_rates(system, params, channels, keys):
    """Rates of each user alone: random phases, the matched beam, amplifiers within their budget, `[AK, 3, ...]`."""

    def alone(case):
        key, k = case
        reflection = system.random_design(key, params, channels).reflection

        def step(reflection, _):
            row = jnp.take(system.effective_channel(channels, reflection), k, axis=-2)
            beam = jnp.conj(row) / jnp.linalg.norm(row, axis=-1, keepdims=True).astype(row.dtype)
            W = jnp.sqrt(params.power_w).astype(beam.dtype) * beam[..., None]
            reflection = system.project(params, channels, Design(W, reflection)).reflection
            # The beam is that of the surface as it was, but the surface is within its budget under this beam.
            received = jnp.take(system.effective_channel(channels, reflection) @ W, k, axis=-2)[..., 0]
            noise = jnp.take(system.user_noise(params, channels, reflection), k, axis=-1)
            return reflection, jnp.log2(1 + jnp.abs(received) ** 2 / noise)

        return jax.lax.scan(step, reflection, None, length=3)[1]

    cases = jnp.repeat(keys, system.spec.users), jnp.tile(jnp.arange(system.spec.users), len(keys))
    return jax.lax.map(alone, cases)


def test_one_user_alone_gets_more_than_on_any_random_surface_and_less_than_the_bound():
    """With amplifiers, and all power for that user."""
    system, params, channels = drawn(HYBRID)
    alone, bound = (np.asarray(f(system, params, channels)) for f in (single, bounded))
    assert np.all(alone <= bound * (1 + 1e-5))
    matched = matched_rates(system, params, channels, jax.random.split(jax.random.key(0), 64))
    assert np.all(alone >= np.max(np.asarray(matched), axis=(0, 1)))


@pytest.mark.full
def test_no_surface_is_wmmse_over_the_direct_links():
    """The same as on a system that has no surface at all, and beside the other anchors where there are direct links."""
    system, params, channels = drawn(SCENARIOS["irs"])
    bare = dataclasses.replace(system, surface_shape=(0, 0))
    without = channels.replace(
        bs_to_surface=channels.bs_to_surface[:, :0], surface_to_user=channels.surface_to_user[..., :0]
    )
    key = jax.random.key(0)
    design = jax.jit(get_design("wmmse_sum", "random"), static_argnums=0)(bare, params, without, key)
    expected = finished(bare, params, without, design)[1]
    # The same numbers but for the order of float32's sums, over 50 steps of WMMSE.
    np.testing.assert_allclose(no_surface_rate(system, params, channels, key), expected, rtol=1e-3)
    rates = anchor_rates(system, params, channels)
    np.testing.assert_allclose(rates["no surface"], expected, rtol=1e-3)
    assert np.all(np.asarray(rates["one user alone"]) <= np.asarray(rates["upper bound"]) * (1 + 1e-5))
    assert "no surface" not in anchor_rates(*drawn(HYBRID))


# --- the floor under the sensing bound ----------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=0)
def floor_and_bounds(system, params, channels, keys):
    W = jnp.zeros((CHANNELS, system.spec.antennas, system.spec.streams), channels.direct.dtype)
    psi, beam = sensing.focused_illumination(system.scene(params, channels), params.power_w)
    lit = Design(W.at[..., :1].set(beam), psi)
    random = jax.vmap(lambda key: system.random_design(key, params, channels))(keys)
    designs = jax.tree.map(lambda one, many: jnp.concatenate([one[None], many]), lit, random)

    def bound(design):
        return system.crb_rad2(params, channels, system.project(params, channels, design))

    bounds = jax.lax.map(bound, designs)
    return crb_floor(system, params, channels), bounds[1:], bounds[0]


@pytest.mark.parametrize("name", ["hybrid", "rank one"])
def test_no_design_is_below_the_floor(name):
    system, params, channels = drawn(SCENARIOS[name])
    floor, bounds, lit = floor_and_bounds(system, params, channels, jax.random.split(jax.random.key(3), 64))
    assert np.all(np.asarray(floor) > 0)
    assert np.all(np.asarray(bounds) >= np.asarray(floor) * (1 - 1e-5))
    assert np.all(np.asarray(lit) >= np.asarray(floor) * (1 - 1e-5))


@pytest.mark.parametrize("target_deg", [(30.0, 0.0), (0.0, -20.0)])
def test_the_floor_is_reached_over_one_path(target_deg):
    """With all power on the target. Where an angle is 0 a planar array's two angles do not mix, and the sum of the
    inverse diagonal is the trace of the inverse; elsewhere the floor is lower."""
    system, params, channels = drawn(RANK_ONE)
    azimuth, elevation = (jnp.asarray(np.deg2rad(x), jnp.float32) for x in target_deg)
    params = params.replace(target_azimuth_rad=azimuth, target_elevation_rad=elevation)
    floor, _, lit = floor_and_bounds(system, params, channels, jax.random.split(jax.random.key(3), 64))
    assert_close(floor, np.asarray(lit, float), 1e-4)
    oblique = params.replace(target_azimuth_rad=jnp.float32(0.9), target_elevation_rad=jnp.float32(0.6))
    floor, _, lit = floor_and_bounds(system, oblique, channels, jax.random.split(jax.random.key(3), 64))
    assert np.all(np.asarray(floor) < 0.99 * np.asarray(lit))


# --- impossible constraints ---------------------------------------------------------------------------------------


def test_what_no_design_can_meet_is_refused_with_the_numbers():
    system, params, channels = drawn(RANK_ONE)
    refuse_impossible(system, params, channels)
    floor = float(jnp.min(jax.jit(crb_floor, static_argnums=0)(system, params, channels)))
    refuse_impossible(system, params.replace(max_crb_rad2=jnp.float32(1.01 * floor)), channels)
    with pytest.raises(ConfigError) as refused:
        refuse_impossible(system, params.replace(max_crb_rad2=jnp.float32(0.99 * floor)), channels)
    for part in (f"{0.99 * floor:.3g}", f"{floor:.3g} rad^2", f"{CHANNELS} channels"):
        assert part in str(refused.value)
    # A passive surface over one path: the weakest user alone, on the best of the channels.
    snr = np.max(np.min(2 ** optimum_over_one_path(params, channels) - 1, axis=-1))
    refuse_impossible(system, params.replace(min_sinr=jnp.float32(0.99 * snr)), channels)
    with pytest.raises(ConfigError) as refused:
        refuse_impossible(system, params.replace(min_sinr=jnp.float32(1.01 * snr)), channels)
    for part in (f"{10 * np.log10(1.01 * snr):.1f} dB is out of reach", f"at most {10 * np.log10(snr):.1f} dB"):
        assert part in str(refused.value)


def test_a_system_without_those_constraints_is_never_refused():
    names = ("bs_power", "surface_power", "target_noise", "amplitude")
    system, params, channels = drawn(dataclasses.replace(HYBRID, constraints=names))
    refuse_impossible(system, params.replace(max_crb_rad2=jnp.float32(0), min_sinr=jnp.float32(1e9)), channels)
