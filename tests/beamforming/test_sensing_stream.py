"""The sensing stream points where it lights most and takes no more power than the bound needs."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.hris import Sizes, scene
from reference.tools import complex_normal

from thzjax.beamforming import sensing_stream
from thzjax.beamforming.sensing_stream import MARGIN, SHARES, sensing_direction, with_sensing_stream
from thzjax.systems.base import Design
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.scenario import build

SCENARIO = HrisScenario(
    bs_shape=(2, 3),
    surface_shape=(3, 4),
    sensor_shape=(2, 2),
    num_active=5,
    num_users=3,
    num_rays_bs=3,
    min_sinr_db=-20.0,
)
CHANNELS = 24


@functools.partial(jax.jit, static_argnums=0)
def informations(system, params, keys, reflection, W):
    channels = jax.vmap(system.sample, in_axes=(0, None))(keys, params)
    direction = sensing_direction(system, params, channels, reflection)
    stream = jnp.sqrt(jnp.sum(jnp.abs(W) ** 2, axis=(-2, -1)))[..., None].astype(W.dtype) * direction
    J_users = system.fisher_information(params, channels, Design(W, reflection))
    return (
        channels,
        direction,
        J_users,
        system.fisher_information(params, channels, Design(stream[..., None], reflection)),
    )


@functools.partial(jax.jit, static_argnums=0)
def solved(system, params, channels, reflection, W, limits):
    def under(limit, channels, reflection, W):
        whole = with_sensing_stream(system, params.replace(max_crb_rad2=limit), channels, reflection, W)
        return whole, system.crb_rad2(params, channels, Design(whole, reflection))

    return jax.vmap(jax.vmap(under), in_axes=(0, None, None, None))(limits, channels, reflection, W)


class Case(NamedTuple):
    """Random beams and phases in float64; `limits`, `whole` and `bound` are `[limit, channel, ...]`."""

    params: object
    reflection: np.ndarray
    W: np.ndarray
    channels: object
    direction: np.ndarray
    J_users: np.ndarray
    J_stream: np.ndarray
    limits: np.ndarray
    whole: np.ndarray
    bound: np.ndarray


@functools.cache
def case():
    with jax.enable_x64(True):
        system, params = build(SCENARIO)
        reflection = np.exp(1j * np.angle(complex_normal(1, CHANNELS, 12)))
        W = complex_normal(2, CHANNELS, 6, 3)
        W *= np.sqrt(float(params.power_w)) / np.linalg.norm(W, axis=(1, 2), keepdims=True)
        keys = jax.random.split(jax.random.key(3), CHANNELS)
        found = informations(system, params, keys, jnp.asarray(reflection), jnp.asarray(W))
        channels, direction, J_users, J_stream = jax.tree.map(np.asarray, found)
        # Of each channel's own bounds: one that holds without a stream, some that need one, one out of reach.
        silent, least = trace(J_users, J_stream, np.zeros(CHANNELS)), np.min(along(J_users, J_stream, FINE), axis=-1)
        limits = np.stack([1.1 * silent, *(least + f * (silent - least) for f in (0.9, 0.5, 0.1)), 0.9 * least])
        solution = solved(system, params, channels, jnp.asarray(reflection), jnp.asarray(W), jnp.asarray(limits))
        return Case(
            params, reflection, W, channels, direction, J_users, J_stream, limits, *jax.tree.map(np.asarray, solution)
        )


def trace(J_users, J_stream, share):
    """Trace of the angles' bound [...] with that share of the power on the stream [...]."""
    t = np.asarray(share)[..., None, None]
    return np.trace(np.linalg.inv((1 - t) * J_users + t * J_stream)[..., :2, :2], axis1=-2, axis2=-1)


def along(J_users, J_stream, shares):
    """[C, shares]."""
    return np.stack([trace(J_users, J_stream, np.full(CHANNELS, t)) for t in shares], axis=-1)


FINE = np.linspace(0, 1, 401)


def shares_of(whole):
    power = np.sum(np.abs(whole) ** 2, axis=-2)
    return power[..., -1] / np.sum(power, axis=-1)


def test_the_stream_points_where_it_lights_the_target_most():
    drawn = case()
    for c in range(CHANNELS):
        one = jax.tree.map(lambda x, c=c: x[c], drawn.channels)
        echo = scene(drawn.params, one, Sizes((3, 4), (2, 2)))
        away = np.array([echo_row(echo, n) for n in range(12)])
        row = (away * drawn.reflection[c]) @ one.bs_to_surface
        assert np.linalg.norm(drawn.direction[c]) == pytest.approx(1, rel=1e-12)
        # Cauchy and Schwarz: no unit vector gets more than the row's norm.
        assert abs(row @ drawn.direction[c]) == pytest.approx(np.linalg.norm(row), rel=1e-12)


def echo_row(echo, n):
    """Element n's phasor towards the target: half-wavelength rows along y, columns along z, from the array's centre."""
    rows, cols = echo.surface_shape
    y, z = n // cols - (rows - 1) / 2, n % cols - (cols - 1) / 2
    azimuth, elevation = echo.azimuth_rad, echo.elevation_rad
    return np.exp(1j * np.pi * (y * np.cos(elevation) * np.sin(azimuth) + z * np.sin(elevation)))


def test_the_power_is_kept_and_the_users_beams_only_scaled():
    _, _, W, _, direction, _, _, _, whole, _ = case()
    power = np.sum(np.abs(W) ** 2, axis=(-2, -1))
    np.testing.assert_allclose(
        np.sum(np.abs(whole) ** 2, axis=(-2, -1)), np.broadcast_to(power, whole.shape[:2]), rtol=1e-12
    )
    share = shares_of(whole)
    np.testing.assert_allclose(whole[..., :-1], np.sqrt(1 - share)[..., None, None] * W, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(whole[..., -1], np.sqrt(share * power)[..., None] * direction, rtol=1e-9, atol=1e-9)


def test_the_share_is_the_least_that_meets_the_bound():
    drawn = case()
    J_users, J_stream = drawn.J_users, drawn.J_stream
    looked_at, least = along(J_users, J_stream, SHARES), np.min(along(J_users, J_stream, FINE), axis=-1)
    seen = {"none": 0, "some": 0, "impossible": 0}
    for limit, share, reached in zip(drawn.limits, shares_of(drawn.whole), drawn.bound, strict=True):
        # `crb` is the same function of W W^H as the mixture of the two informations.
        np.testing.assert_allclose(reached, trace(J_users, J_stream, share), rtol=1e-8)
        aim = limit * (1 - MARGIN)
        can = np.any(looked_at <= aim[:, None], axis=-1)
        assert np.all((reached <= aim * (1 + 1e-9))[can])
        enough = looked_at[:, 0] <= aim
        # The limit holds without a stream: bisection between 0 and 0 stays there.
        assert np.all(share[enough] == 0)
        needed = can & ~enough
        assert np.all((trace(J_users, J_stream, 0.99 * share - 1e-7) > aim)[needed])
        # Where no sampled share meets the limit, nearly the least bound there is: up to 2 % higher here, as the
        # samples are a factor 1.5 apart.
        assert np.all((reached <= 1.05 * least)[~can])
        seen["none"] += np.sum(enough)
        seen["some"] += np.sum(needed)
        seen["impossible"] += np.sum(~can)
    assert min(seen.values()) >= 10, seen


def test_the_bound_is_convex_in_the_share():
    """What makes bisection between sampled shares right: (1 - t) A + t B is linear, the trace of an inverse convex."""
    J_users, J_stream = case().J_users, case().J_stream
    traces = along(J_users, J_stream, np.linspace(0, 1, 101))
    bend = np.diff(traces, n=2, axis=-1)
    # A bound of condition 1e4 or so is good to 1e-11 of itself.
    assert np.all(bend >= -1e-10 * traces[:, 1:-1])
    assert np.any(bend > 1e-6 * traces[:, 1:-1])


@pytest.mark.parametrize("share", [1.0, 1.0 + 2**-23])
def test_a_share_of_all_and_by_rounding_more_leaves_finite_beams(monkeypatch, share):
    """Where no share meets the bound the search ends at 1, which a fused product and sum overshot on a drop in 1e5."""
    found = jnp.full((4,), share, jnp.float32)
    monkeypatch.setattr(sensing_stream, "_least_share", lambda *_: found)
    system, params = build(SCENARIO)
    channels = jax.vmap(system.sample, in_axes=(0, None))(jax.random.split(jax.random.key(0), 4), params)
    W = jnp.asarray(complex_normal(1, 4, 6, 3), jnp.complex64)
    whole = with_sensing_stream(system, params, channels, jnp.ones((4, 12), jnp.complex64), W)
    power = jnp.sum(jnp.abs(whole) ** 2, axis=-2)
    assert bool(jnp.all(power[:, :3] > 0))
    np.testing.assert_allclose(jnp.sum(power, axis=-1), jnp.sum(jnp.abs(W) ** 2, axis=(-2, -1)), rtol=1e-5)


def test_without_a_limit_the_stream_is_silent():
    names = tuple(name for name in SCENARIO.constraints if name != "crb")
    system, params = build(dataclasses.replace(SCENARIO, constraints=names))
    channels = jax.jit(system.sample)(jax.random.key(0), params)
    W = jnp.asarray(complex_normal(2, 6, 3), jnp.complex64)
    whole = jax.jit(functools.partial(with_sensing_stream, system))(params, channels, jnp.ones(12, jnp.complex64), W)
    np.testing.assert_array_equal(whole[..., :3], W)
    np.testing.assert_array_equal(whole[..., 3], 0)


def test_a_system_without_such_a_stream_keeps_its_beams():
    from thzjax.systems.irs_isac import IrsIsac

    W = jnp.ones((5, 4), jnp.complex64)
    assert with_sensing_stream(IrsIsac(), None, None, None, W) is W
