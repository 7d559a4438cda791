"""Paper A's system against plain geometry."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.beamforming import focused
from thzjax.errors import ConfigError
from thzjax.physics.beampattern import beam_pattern_error_gram, largest_power_scale
from thzjax.systems.base import Design
from thzjax.systems.irs_isac import IrsIsac
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import PRESETS, build, preset

C = 299_792_458.0


def spherical_link(sources, targets, scenario, gain_db):
    """Channel between point elements from exact distances; the amplitude is that of the first pair."""
    wavelength = C / scenario.freq_hz
    dist = np.linalg.norm(targets[:, None] - sources[None], axis=-1)
    first = dist[0, 0]
    amplitude = wavelength / (4 * np.pi * first) * np.exp(-scenario.k_abs * first / 2) * 10 ** (gain_db / 20)
    return amplitude * np.exp(-2j * np.pi * (dist - first) / wavelength)


def without_first_phase(matrix):
    matrix = np.asarray(matrix, np.complex128)
    return matrix * np.exp(-1j * np.angle(matrix.ravel()[0]))


def test_line_of_sight_channels_are_those_of_points_in_space(x64):
    scenario = dataclasses.replace(IrsScenario(), num_rays=0, rician_factor=1e12)
    system, params = build(scenario)
    channels = system.sample(jax.random.key(3), params)
    half = C / scenario.freq_hz / 2
    bs = np.array([[0, m * half, 0] for m in range(5)])
    surface = np.array([[4 + r * half, 3, 0.5 + c * half] for r in range(4) for c in range(4)])
    users = np.asarray(channels.user_position_m)
    # Plane against spherical waves: at most pi D^2/(lambda d) = 0.02 rad over a 1.4 mm aperture at 0.9 m.
    tolerance = {"rtol": 0, "atol": 0.02}
    expected = spherical_link(bs, surface, scenario, 25 + 27)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(without_first_phase(channels.bs_to_surface) / scale, expected / scale, **tolerance)
    for k in range(4):
        direct = spherical_link(bs, users[k : k + 1], scenario, 25 + 25 - 33)[0]
        hop = spherical_link(surface, users[k : k + 1], scenario, 27 + 25)[0]
        for actual, wanted in ((channels.direct[k], direct), (channels.surface_to_user[k], hop)):
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(without_first_phase(actual) / scale, wanted / scale, **tolerance)


def test_mean_power_is_the_rician_mixture_of_line_of_sight_and_rays():
    scenario = dataclasses.replace(IrsScenario(), users_radius_m=0.0)
    system, params = build(scenario)
    keys = jax.random.split(jax.random.key(0), 4096)
    channels = jax.vmap(system.sample, in_axes=(0, None))(keys, params)
    los = np.abs(spherical_link(np.zeros((1, 3)), np.array([[4.0, 3.0, 0.5]]), scenario, 52)[0, 0]) ** 2
    expected = los * (10 + 3 * 0.3**2) / 11
    power = np.abs(np.asarray(channels.bs_to_surface)) ** 2
    per_drop = power.mean(axis=(1, 2))
    assert abs(per_drop.mean() - expected) < 5 * per_drop.std() / np.sqrt(len(per_drop))


def test_users_fill_the_disc_uniformly():
    system, params = build(preset("paper-a"))
    keys = jax.random.split(jax.random.key(0), 2048)
    position = np.asarray(jax.vmap(system.sample, in_axes=(0, None))(keys, params).user_position_m)
    radius = np.linalg.norm(position - np.array([4.0, 0, 0]), axis=-1).ravel()
    assert radius.max() <= 2.5 + 1e-5
    assert np.all(position[..., 2] == 0)
    # (r/R)^2 is uniform: its mean is 1/2 with deviation 1/sqrt(12 n).
    assert abs(np.mean((radius / 2.5) ** 2) - 0.5) < 5 / np.sqrt(12 * radius.size)


def test_focusing_adds_the_paths_in_phase():
    scenario = dataclasses.replace(IrsScenario(), num_rays=0, rician_factor=1e9, phase_bits=0, blockage_db=300.0)
    system, params = build(scenario)
    channels = system.sample(jax.random.key(1), params)
    H = system.effective_channel(channels, system.snap(params, channels, focused(channels)))
    coherent = jnp.sum(jnp.abs(channels.surface_to_user), axis=-1) * jnp.max(jnp.abs(channels.bs_to_surface))
    strongest = int(jnp.argmax(coherent))
    np.testing.assert_allclose(jnp.max(jnp.abs(H[strongest])), coherent[strongest], rtol=1e-4)


def test_the_pattern_scale_is_the_largest_on_a_fine_grid():
    system, params = build(preset("paper-a"))
    channels = jax.vmap(system.sample, in_axes=(0, None))(jax.random.split(jax.random.key(0), 64), params)
    W = system.random_design(jax.random.key(1), params, channels).beamformer
    R = W @ jnp.conj(jnp.swapaxes(W, -1, -2))
    grid = jnp.linspace(0, 1, 4001)
    for threshold in (0.3, 2.0):
        scale = largest_power_scale(R, params.pattern, threshold, params.p_ref_w)
        scaled = grid.astype(R.dtype)[:, None, None, None] * R
        errors = beam_pattern_error_gram(scaled, params.pattern, params.p_ref_w)
        allowed = np.where(np.asarray(errors) <= threshold, np.asarray(grid)[:, None], 0).max(axis=0)
        np.testing.assert_allclose(scale, allowed, atol=1 / 4000 + 1e-5)


def test_a_threshold_out_of_reach_of_scaling_is_left_to_the_slack():
    # Silence has error 0.168; a broadside beam with a threshold of 0.1 cannot be scaled into it.
    system, params = build(dataclasses.replace(IrsScenario(), pattern_threshold=0.1))
    channels = system.sample(jax.random.key(0), params)
    broadside = jnp.ones((5, 4), jnp.complex64) * 0.01
    design = Design(beamformer=broadside, reflection=jnp.ones(16, jnp.complex64))
    met = system.meet(params, channels, design)
    assert float(system.outcome(params, channels, met).slack["beam_pattern"]) < 0
    assert float(system.pattern_error(params, met)) <= 0.1685


def test_snapping_gives_the_hardware_levels_and_their_amplitudes():
    practical, params = build(dataclasses.replace(IrsScenario(), amplitude="practical", phase_bits=2))
    phase = jnp.asarray([0.1, 1.5, 3.0, -1.6])
    reflection = np.asarray(practical.snap(params, None, phase))
    np.testing.assert_allclose(np.angle(reflection) % (2 * np.pi), [0, np.pi / 2, np.pi, 3 * np.pi / 2], atol=1e-5)
    levels = np.array([0, np.pi / 2, np.pi, 3 * np.pi / 2])
    expected = 0.8 * ((np.sin(levels - 0.43 * np.pi) + 1) / 2) ** 1.6 + 0.2
    np.testing.assert_allclose(np.abs(reflection), expected, rtol=1e-5)
    paper = IrsIsac(phase_levels="paper")
    assert len(np.unique(np.round(np.asarray(paper.snap(params, None, jnp.linspace(0, 6.28, 400))), 4))) == 7


def test_without_a_surface_only_the_direct_links_remain():
    system, params = build(dataclasses.replace(IrsScenario(), surface_shape=(0, 0)))
    channels = system.sample(jax.random.key(0), params)
    H = system.effective_channel(channels, jnp.ones(0, jnp.complex64))
    np.testing.assert_array_equal(H, channels.direct)


def test_the_literal_preset_gives_next_to_nothing():
    system, params = build(PRESETS["paper-a-literal"])
    channels = jax.vmap(system.sample, in_axes=(0, None))(jax.random.split(jax.random.key(0), 64), params)
    design = system.random_design(jax.random.key(1), params, channels)
    assert float(jnp.max(system.outcome(params, channels, design).rates)) < 1e-6


BAD = {
    "power_w=-1 must be greater than 0": {"power_w": -1.0},
    "bandwidth_hz=0 must be greater than 0": {"bandwidth_hz": 0.0},
    "is below 0.0763": {"pattern_threshold": 0.07},
    "is below 0.0598": {"pattern_threshold": 0.05, "pattern_width_deg": 5.0},
    "from the base station": {"users_centre_m": (0.5, 0.0, 0.0)},
    "the surface stands on the base station": {"surface_position_m": (0.0, 0.2, 0.0)},
    "in front of it": {"users_centre_m": (4.0, 2.0, 0.0)},
    "constraint 'psl' is unknown": {"constraints": ("psl",)},
    "num_users=0": {"num_users": 0},
    "amplitude='loud' is unknown": {"amplitude": "loud"},
    "-90..90": {"pattern_targets_deg": (100.0,)},
}


@pytest.mark.parametrize("message", BAD)
def test_impossible_scenarios_are_refused_in_one_line(message):
    with pytest.raises(ConfigError) as caught:
        build(dataclasses.replace(IrsScenario(), **BAD[message]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_noise_and_the_least_threshold_are_those_of_the_link_budget():
    _, params = build(preset("paper-a"))
    np.testing.assert_allclose(params.noise_w, 3.98e-10, rtol=1e-3)
    build(dataclasses.replace(IrsScenario(), pattern_threshold=0.0764))
    with pytest.raises(ConfigError, match="unknown"):
        preset("paper-z")
