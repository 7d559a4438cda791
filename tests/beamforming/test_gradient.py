"""Gradient ascent through the simulator: never below its start, stationary at its end, at the optimum where known."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.beamforming import DESIGNS, get_design
from thzjax.beamforming.anchors import single_user_rate
from thzjax.beamforming.designs import BY_REQUEST
from thzjax.beamforming.gradient import ascend, polish, refine, refine_best
from thzjax.beamforming.score import finished
from thzjax.systems.base import Design
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build

CHANNELS = 6
STEPS = 12
HYBRID = HrisScenario(
    bs_shape=(2, 3),
    surface_shape=(2, 3),
    sensor_shape=(2, 2),
    num_active=2,
    num_users=2,
    num_rays_bs=2,
    p_surface_dbm=-25.0,
    max_crb_rad2=1.0,
    min_sinr_db=-20.0,
)
FREE = dataclasses.replace(HYBRID, num_active=0, constraints=("bs_power", "amplitude"))
SCENARIOS = {
    "irs": IrsScenario(surface_shape=(2, 3), num_antennas=3, num_users=2),
    "irs, continuous": IrsScenario(surface_shape=(2, 3), num_antennas=3, num_users=2, phase_bits=0),
    "hybrid": HYBRID,
    "hybrid with levels": dataclasses.replace(HYBRID, phase_bits=2),
    "passive": dataclasses.replace(HYBRID, num_active=0),
}
EVERYDAY = ("hybrid",)


@functools.cache
def drawn(scenario):
    system, params = build(scenario)
    keys = jax.random.split(jax.random.key(1), CHANNELS)
    return system, params, jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(keys, params)


@functools.partial(jax.jit, static_argnums=(0, 4))
def refined(system, params, channels, starts, steps):
    """(refined design, its score) of each start `[A, ...]`."""
    return jax.lax.map(lambda start: refine(system, params, channels, start, steps), starts)


@functools.partial(jax.jit, static_argnums=0)
def scores(system, params, channels, designs):
    return jax.lax.map(lambda design: finished(system, params, channels, design)[1], designs)


@functools.partial(jax.jit, static_argnums=0)
def at_random(system, params, channels, keys):
    return jax.vmap(lambda key: system.random_design(key, params, channels))(keys)


def stacked(*designs):
    return jax.tree.map(lambda *x: jnp.stack(x), *designs)


def check_no_start_gets_worse(name, starts):
    system, params, channels = drawn(SCENARIOS[name])
    design, value = refined(system, params, channels, starts, STEPS)
    again, before = (np.asarray(scores(system, params, channels, designs)) for designs in (design, starts))
    value = np.asarray(value)
    # The same score by two programs: 1e-5 for float32's rounding of a rate.
    assert np.all(value >= before - 1e-5 * (1 + np.abs(before)))
    # The design that comes back was judged inside: once more projected it may move by an ulp.
    np.testing.assert_allclose(again, value, rtol=1e-4, atol=1e-4)
    bits = system.spec.phase_bits
    if bits:
        levels = np.angle(np.asarray(design.reflection)) / (2 * np.pi / 2**bits)
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    return value, before


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in EVERYDAY else [pytest.mark.full]) for n in SCENARIOS]
)
def test_no_start_gets_worse_and_random_ones_get_better(name):
    system, params, channels = drawn(SCENARIOS[name])
    starts = at_random(system, params, channels, jax.random.split(jax.random.key(0), 3))
    starts = starts.replace(beamformer=starts.beamformer.at[2].set(0))
    value, before = check_no_start_gets_worse(name, starts)
    assert np.mean(value[:2] > before[:2] + 0.1) >= 0.75
    # The last start sends nothing, where every slope is 0 or does not exist: its streams are woken.
    assert np.mean(value[2] > before[2] + 0.1) >= 0.75


@pytest.mark.full
@pytest.mark.parametrize("name", ["irs", "hybrid"])
def test_no_registered_design_gets_worse(name):
    system, params, channels = drawn(SCENARIOS[name])
    others = [pair for pair in DESIGNS if pair not in BY_REQUEST and pair[0] != "gradient"]
    starts = [
        jax.jit(get_design(*pair), static_argnums=0)(system, params, channels, jax.random.key(3)) for pair in others
    ]
    check_no_start_gets_worse(name, stacked(*starts))


@pytest.mark.full
def test_the_best_of_several_starts_is_below_none_of_them():
    system, params, channels = drawn(HYBRID)
    starts = at_random(system, params, channels, jax.random.split(jax.random.key(0), 5))
    value = jax.jit(functools.partial(refine_best, system, steps=STEPS))(params, channels, starts)[1]
    before = scores(system, params, channels, starts)
    assert np.all(np.asarray(value) >= np.max(np.asarray(before), axis=0) - 1e-5)


def riemannian(system, params, channels, W, phase):
    """Slopes of the sum rate along the sphere of full power and by the phases, as one vector per channel."""

    root = float(np.sqrt(params.power_w))

    def rate(real, imag, phase):
        psi = jax.lax.complex(jnp.cos(phase), jnp.sin(phase))
        return jnp.sum(system.outcome(params, channels, Design(root * jax.lax.complex(real, imag), psi)).rates)

    x = (jnp.asarray(W.real / root), jnp.asarray(W.imag / root), jnp.asarray(phase))
    slopes = [np.asarray(s).reshape(len(phase), -1) for s in jax.jit(jax.grad(rate, argnums=(0, 1, 2)))(*x)]
    flat = np.concatenate([np.asarray(part).reshape(len(phase), -1) for part in x[:2]], axis=1)
    beams = np.concatenate(slopes[:2], axis=1)
    beams -= np.sum(beams * flat, axis=1, keepdims=True) * flat / np.sum(flat**2, axis=1, keepdims=True)
    return np.linalg.norm(np.concatenate([beams, slopes[2]], axis=1), axis=1)


@functools.partial(jax.jit, static_argnums=0)
def climbed(system, params, keys):
    """Ascent from random beams and phases: channels, start, its score, end, its score, one user's rate alone."""
    channels = jax.vmap(system.sample, in_axes=(0, None))(keys, params)
    start = system.random_design(jax.random.key(2), params, channels)
    before = finished(system, params, channels, start)[1]
    return channels, start, before, *ascend(system, params, channels, start), single_user_rate(system, params, channels)


@pytest.mark.full
def test_the_end_is_stationary(x64):
    """Without amplifiers and sensing: the slope along the sphere of full power and by the phases all but vanishes."""
    system, params = build(FREE)
    channels, start, _, end, *_ = climbed(system, params, jax.random.split(jax.random.key(1), CHANNELS))
    slope = [
        riemannian(system, params, channels, np.asarray(d.beamformer), np.angle(np.asarray(d.reflection)))
        for d in (start, end)
    ]
    power = np.sum(np.abs(np.asarray(end.beamformer)) ** 2, axis=(1, 2))
    np.testing.assert_allclose(power, float(params.power_w), rtol=1e-2)
    assert np.median(slope[1] / slope[0]) < 1e-2, slope
    assert np.max(slope[1] / slope[0]) < 0.1, slope


def test_one_user_over_one_path_gets_the_optimum(x64):
    """All amplitudes in phase: log2(1 + P (sum_n |h_n| ||G_n||)^2/noise), as the rows of G are parallel."""
    alone = dataclasses.replace(FREE, num_users=1, num_rays_bs=0)
    system, params = build(alone)
    found = climbed(system, params, jax.random.split(jax.random.key(1), CHANNELS))
    channels, _, before, _, value, anchor = jax.tree.map(np.asarray, found)
    G, h = channels.bs_to_surface, channels.surface_to_user[:, 0]
    row = np.sum(np.abs(h) * np.linalg.norm(G, axis=-1), axis=-1)
    optimum = np.log2(1 + float(params.power_w) * row**2 / float(params.noise_w))
    np.testing.assert_allclose(anchor, optimum, rtol=1e-9)
    assert np.all(value <= optimum * (1 + 1e-9))
    np.testing.assert_allclose(value, optimum, rtol=1e-3)
    assert np.all(before < 0.9 * optimum)


@pytest.mark.full
def test_polishing_keeps_the_levels_and_beats_rounding():
    system, params, channels = drawn(SCENARIOS["irs"])
    start = system.continuous.random_design(jax.random.key(5), params, channels)
    design, value = jax.jit(functools.partial(polish, system))(params, channels, start)
    levels = np.angle(np.asarray(design.reflection)) / (np.pi / 4)
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    rounded = np.asarray(finished(system, params, channels, start)[1])
    assert np.all(np.asarray(value) >= rounded)
    assert np.mean(np.asarray(value) > rounded + 0.1) >= 0.75
