"""Alternating optimisation: the surface's update minimises what it says, and no start gets worse."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.hris import Sizes, scene, target_gain
from reference.sensing import illumination
from reference.tools import complex_normal

from thzjax.beamforming.alternating import _sweep, alternating
from thzjax.beamforming.score import finished
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.scenario import build, preset

SCENARIO = HrisScenario(
    bs_shape=(2, 3),
    surface_shape=(3, 4),
    sensor_shape=(2, 2),
    num_active=5,
    num_users=3,
    num_rays_bs=3,
    p_surface_dbm=-25.0,
    max_crb_rad2=0.1,
    min_sinr_db=-20.0,
    dynamic_noise_dbm=-60.0,
)
N, K, S = 12, 3, 4


@functools.partial(jax.jit, static_argnums=0)
def swept(system, params, channels, W, psi, weights, prices, echo_price):
    noise = system.user_noise(params, channels, psi)
    return _sweep(system, params, channels, W, psi, noise, weights, prices, echo_price)


class Surrogate:
    """The function of psi that a sweep minimises, in explicit sums, with WMMSE's coefficients of the start."""

    def __init__(self, params, channels, W, psi, weights, prices, echo_price):
        self.h, self.active = np.asarray(channels.surface_to_user), np.asarray(channels.active)
        self.noise_w, self.noise_v_w = float(params.noise_w), float(params.noise_v_w)
        self.field = np.asarray(channels.bs_to_surface) @ W
        received, noise = self.received(psi), self.noise(psi)
        own = np.array([received[k, k] for k in range(K)])
        total = np.sum(np.abs(received) ** 2, axis=1) + noise
        self.u = own / total
        self.omega = weights / (1 - np.abs(own) ** 2 / total)
        arriving = np.sum(np.abs(self.field) ** 2, axis=1) + self.noise_v_w
        noise_share = self.noise_v_w * abs(target_gain(params)) ** 2 / float(params.max_target_noise_w)
        self.costs = self.active * np.array([arriving / float(params.surface_power_w), np.full(N, noise_share)])
        self.prices = prices
        echo = scene(params, channels, Sizes((3, 4), (2, 2)))
        by_element = np.array([illumination(echo, one, W) for one in np.eye(N)])
        light = psi @ by_element
        self.lit = by_element @ np.conj(light) * echo_price / np.sum(np.abs(light) ** 2)

    def received(self, psi):
        return np.array([[np.sum(self.h[k] * psi * self.field[:, s]) for s in range(S)] for k in range(K)])

    def noise(self, psi):
        amplified = np.array([np.sum(self.active * np.abs(self.h[k] * psi) ** 2) for k in range(K)])
        return self.noise_w + self.noise_v_w * amplified

    def __call__(self, psi):
        T, noise, value = self.received(psi), self.noise(psi), 0.0
        for k in range(K):
            power = np.sum(np.abs(T[k]) ** 2) + noise[k]
            value += self.omega[k] * (abs(self.u[k]) ** 2 * power - 2 * np.real(np.conj(self.u[k]) * T[k, k]))
        # What the amplifiers spend at its price, and the target's illumination, linear round the start, at its.
        return value + self.prices @ (self.costs @ np.abs(psi) ** 2) - 2 * np.real(np.sum(psi * self.lit))


def case(seed):
    """One drop, random beams at full power, and a surface as the hardware allows it."""
    system, params = build(SCENARIO)
    channels = jax.jit(system.sample)(jax.random.key(seed), params)
    rng = np.random.default_rng(seed)
    W = complex_normal(seed, 6, S)
    W *= np.sqrt(float(params.power_w)) / np.linalg.norm(W)
    loud = rng.uniform(0, float(params.max_amplitude), N)
    psi = np.where(np.asarray(channels.active) > 0, loud, 1) * np.exp(2j * np.pi * rng.random(N))
    weights, prices, echo_price = rng.uniform(1, 3, K), rng.uniform(0.1, 10, 2), rng.uniform(0.1, 3)
    return system, params, channels, W, psi, weights, prices, echo_price


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sweep_sets_every_element_to_its_minimiser(seed, x64):
    system, params, channels, W, psi, weights, prices, echo_price = case(seed)
    arrays = (jnp.asarray(x) for x in (W, psi, weights, prices, echo_price))
    new, spent = jax.tree.map(np.asarray, swept(system, params, channels, *arrays))
    surrogate = Surrogate(params, channels, W, psi, weights, prices, echo_price)
    np.testing.assert_allclose(spent, surrogate.costs @ np.abs(new) ** 2, rtol=1e-10)
    a_max, values, present = float(params.max_amplitude), [surrogate(psi)], psi.copy()
    turns = np.exp(2j * np.pi * np.arange(90) / 90)
    for n in range(N):
        amplifies = surrogate.active[n] > 0
        assert abs(new[n]) <= a_max * (1 + 1e-12) if amplifies else abs(new[n]) == pytest.approx(1, abs=1e-12)
        present[n] = new[n]
        values.append(surrogate(present))
        # Elements before n are the new ones, those behind it the old ones, as they were when n was set.
        if n % 2:
            continue
        for amplitude in np.linspace(0, a_max, 16) if amplifies else [1.0]:
            for turn in turns:
                tried = present.copy()
                tried[n] = amplitude * turn
                assert surrogate(tried) >= values[-1] - 1e-9 * abs(values[-1])
    # Never up, by float64's rounding of a sum of some hundred terms; and down altogether.
    assert np.all(np.diff(values) <= 1e-10 * np.abs(values[:-1]))
    assert values[-1] < values[0]


def test_a_price_on_the_amplifiers_makes_them_quieter(x64):
    system, params, channels, W, psi, weights, _, echo_price = case(3)
    arrays = tuple(jnp.asarray(x) for x in (W, psi, weights))
    spent = [
        np.asarray(swept(system, params, channels, *arrays, jnp.full(2, price), jnp.asarray(echo_price))[1])
        for price in (0.01, 1.0, 100.0, 1e4)
    ]
    assert np.all(np.diff(spent, axis=0) < 0)


@functools.partial(jax.jit, static_argnums=(0, 4))
def from_random(system, params, keys, key, rounds):
    channels = jax.vmap(system.sample, in_axes=(0, None))(keys, params)
    start, before = finished(system, params, channels, system.random_design(key, params, channels))
    design = alternating(system, params, channels, start, rounds)
    return design, before, finished(system, params, channels, design)


SYSTEMS = {
    "irs": preset("paper-a"),
    "hybrid": SCENARIO,
    "hybrid with levels": dataclasses.replace(SCENARIO, phase_bits=2),
    "passive": dataclasses.replace(SCENARIO, num_active=0),
}
SLOW = ("irs", "hybrid with levels", "passive")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.full] if n in SLOW else []) for n in SYSTEMS])
def test_no_start_gets_worse_and_most_get_better(name):
    system, params = build(SYSTEMS[name])
    keys = jax.random.split(jax.random.key(5), 8)
    design, before, (judged, after) = from_random(system, params, keys, jax.random.key(6), 6)
    before, after = np.asarray(before), np.asarray(after)
    # What comes back was judged inside: projected once more it may move by an ulp, at a constraint's very edge.
    assert np.all(after >= before - 1e-4 * np.abs(before))
    assert np.mean(after > before) >= 0.75
    np.testing.assert_allclose(
        judged.reflection, design.reflection, rtol=0, atol=1e-5 * float(np.max(np.abs(design.reflection)))
    )
    bits = system.spec.phase_bits
    if bits:
        levels = np.angle(np.asarray(design.reflection)) / (2 * np.pi / 2**bits)
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)


@pytest.mark.full
def test_no_round_is_the_start_as_judged():
    system, params = build(SCENARIO)
    keys = jax.random.split(jax.random.key(5), 8)
    start, before, (_, after) = from_random(system, params, keys, jax.random.key(6), 0)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)
    assert start.beamformer.shape == (8, 6, S)
