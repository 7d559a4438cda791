"""Scenes, illumination and echo matrices against explicit sums; the line-of-sight scene and its best design."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import propagation
from reference import sensing as ref
from reference.scenes import arrays, fields, random_design, random_scene, round_scene, stack
from reference.tools import EPS32, assert_near, complex_normal, single

from thzjax.errors import ConfigError
from thzjax.physics import sensing
from thzjax.physics.sensing import SensingScene

echo_matrix = jax.jit(sensing.echo_matrix)
illumination = jax.jit(sensing.illumination)
line_of_sight = jax.jit(sensing.line_of_sight_scene, static_argnames=("bs_shape", "surface_shape", "sensor_shape"))
focused = jax.jit(sensing.focused_illumination)

SHAPES = {"bs_shape": (3, 2), "surface_shape": (4, 3), "sensor_shape": (2, 2)}
M, N = 6, 12


@pytest.mark.parametrize("departure", ["physical", "paper"])
@pytest.mark.parametrize("origin", ["corner", "centre"])
def test_illumination_and_echo_match_reference(x64, departure, origin):
    scene = random_scene(1, spacing=(0.4, 0.6), departure=departure, origin=origin)
    psi, W = random_design(1, scene)
    z = illumination(SensingScene(**fields(scene)), *arrays(psi, W))
    E = echo_matrix(SensingScene(**fields(scene)), *arrays(psi))
    assert z.dtype == E.dtype == jnp.complex128
    assert_near(z, ref.illumination(scene, psi, W), 1e-10)
    assert_near(E, ref.echo_matrix(scene, psi), 1e-10)


def test_illumination_and_echo_float32():
    scene = round_scene(random_scene(2), single)
    psi, W = (single(x) for x in random_design(2, scene))
    built = SensingScene(**fields(scene, single))
    z, E = illumination(built, *arrays(psi, W, rounding=single)), echo_matrix(built, *arrays(psi, rounding=single))
    assert z.dtype == E.dtype == jnp.complex64
    # Sums of N M = 24 products whose phases reach pi (1 + 2) = 9.4 rad: some 10 eps from the phases and a few from
    # each product, all relative to the sum of moduli, which is within four times the largest result here.
    moduli = np.sum(np.abs(psi)[:, None] * (np.abs(scene.bs_to_surface) @ np.abs(W)), axis=0)
    expected = ref.illumination(scene, psi, W)
    assert np.max(np.abs(np.asarray(z) - expected)) <= 20 * EPS32 * np.max(moduli)
    column = np.max(np.abs(psi) @ np.abs(scene.bs_to_surface)) * abs(scene.beta)
    assert np.max(np.abs(np.asarray(E) - ref.echo_matrix(scene, psi))) <= 20 * EPS32 * column


def test_scene_is_a_pytree_of_its_numbers_only():
    scene = SensingScene(**fields(random_scene(3), single))
    assert len(jax.tree.leaves(scene)) == 6  # G, azimuth, elevation, beta, active, noise_v_w
    with pytest.raises(dataclasses.FrozenInstanceError):
        scene.beta = jnp.complex64(1.0)
    assert jax.tree.structure(scene) != jax.tree.structure(dataclasses.replace(scene, departure="paper"))


def test_scene_arguments_stand_in_the_written_order():
    named = fields(random_scene(3), single)
    scene = SensingScene(*named.values())
    for name, value in named.items():
        assert getattr(scene, name) is value or np.array_equal(getattr(scene, name), value)
    short = SensingScene(*list(named.values())[:6])
    assert (short.spacing, short.departure, short.origin) == ((0.5, 0.5), "physical", "corner")
    assert (short.active, short.noise_v_w) == (0.0, 0.0)


@pytest.mark.parametrize("wrong", [{"departure": "backwards"}, {"origin": "edge"}])
def test_unknown_conventions_are_named(wrong):
    scene = random_scene(3)
    psi, W = arrays(*random_design(3, scene), rounding=single)
    with pytest.raises(ConfigError, match=next(iter(wrong.values()))):
        sensing.illumination(SensingScene(**{**fields(scene, single), **wrong}), psi, W)


def test_batch_vmap_and_single_agree(x64):
    scenes = [random_scene(seed) for seed in (4, 5, 6)]
    psi, W = (np.stack(x) for x in zip(*(random_design(s, scenes[0]) for s in (4, 5, 6)), strict=True))
    batch = SensingScene(**fields(stack(scenes)))
    z = illumination(batch, *arrays(psi, W))
    expected = [ref.illumination(s, p, w) for s, p, w in zip(scenes, psi, W, strict=True)]
    assert_near(z, expected, 1e-10)
    assert_near(jax.vmap(sensing.illumination)(batch, *arrays(psi, W)), expected, 1e-10)
    assert_near(
        echo_matrix(batch, *arrays(psi)), [ref.echo_matrix(s, p) for s, p in zip(scenes, psi, strict=True)], 1e-10
    )
    # One scene serves a batch of designs.
    several = illumination(SensingScene(**fields(scenes[0])), *arrays(psi, W[0]))
    assert_near(several, [ref.illumination(scenes[0], p, W[0]) for p in psi], 1e-10)


@given(st.integers(0, 10_000))
def test_the_papers_departure_is_the_mirrored_angle(x64, seed):
    physical = random_scene(seed)
    mirrored = physical._replace(
        departure="paper", azimuth_rad=-physical.azimuth_rad, elevation_rad=-physical.elevation_rad
    )
    psi, W = arrays(*random_design(seed, physical))
    one, other = (illumination(SensingScene(**fields(s)), psi, W) for s in (physical, mirrored))
    assert_near(one, np.asarray(other), 1e-12)


@given(st.integers(0, 10_000), st.floats(-3.0, 3.0))
def test_the_origin_turns_the_echo_by_one_phase(x64, seed, turn):
    corner = random_scene(seed)
    psi = arrays(random_design(seed, corner)[0])[0]
    one, other = (
        np.asarray(echo_matrix(SensingScene(**fields(corner._replace(origin=o))), psi)) for o in ("corner", "centre")
    )
    phase = np.vdot(one, other) / np.linalg.norm(one) ** 2
    assert abs(phase) == pytest.approx(1.0, abs=1e-12)
    assert_near(other, phase * one, 1e-12)
    # A common phase of the surface is a common phase of the echo.
    turned = echo_matrix(SensingScene(**fields(corner)), psi * np.exp(1j * turn))
    assert_near(turned, np.exp(1j * turn) * one, 1e-12)


FREQ_HZ, K_ABS, BS_DIST_M, TARGET_DIST_M, RCS_M2 = 0.3e12, 0.0025, 7.3, 3.1, 0.02
GAINS = {"gain_bs": 100.0, "gain_surface": 3.0, "gain_sensor": 1.7}


def sight(azimuth=0.4, elevation=-0.3, **options):
    numbers = (FREQ_HZ, K_ABS, BS_DIST_M, TARGET_DIST_M, azimuth, elevation, RCS_M2)
    numbers = (jnp.asarray(float(x)) for x in numbers)
    return line_of_sight(*numbers, **SHAPES, **{**GAINS, **options})


def test_line_of_sight_scene_has_one_path_and_the_radar_equation(x64):
    scene = sight()
    G = np.asarray(scene.bs_to_surface)
    assert G.shape == (N, M)
    assert (scene.surface_shape, scene.sensor_shape) == (SHAPES["surface_shape"], SHAPES["sensor_shape"])
    # Broadside both ways: one and the same path for every pair of elements.
    path = propagation.path_amplitude(FREQ_HZ, BS_DIST_M, K_ABS) * np.sqrt(GAINS["gain_bs"] * GAINS["gain_surface"])
    # The phase is 4.6e4 rad long and may lose a few ulp of that.
    assert_near(G, np.full((N, M), path), 1e-10)
    gain = GAINS["gain_surface"] * GAINS["gain_sensor"]
    assert_near(scene.beta, ref.radar_amplitude(FREQ_HZ, TARGET_DIST_M, K_ABS, RCS_M2, gain), 1e-10)
    assert (float(scene.azimuth_rad), float(scene.elevation_rad)) == (0.4, -0.3)


def test_line_of_sight_scene_at_an_angle_keeps_rank_and_modulus(x64):
    G = np.asarray(sight(bs_azimuth_rad=jnp.asarray(0.5), bs_elevation_rad=jnp.asarray(-0.2)).bs_to_surface)
    straight = np.asarray(sight().bs_to_surface)
    np.testing.assert_allclose(np.abs(G), np.abs(straight), rtol=1e-12)
    singular = np.linalg.svd(G, compute_uv=False)
    assert singular[1] < 1e-14 * singular[0]
    assert np.max(np.abs(G / straight - 1)) > 0.5  # the angle is used


@pytest.mark.parametrize("angles", [{}, {"bs_azimuth_rad": 0.5, "bs_elevation_rad": -0.2}])
def test_focused_illumination_collects_the_whole_surface_and_array(x64, angles):
    scene, power_w = sight(**{name: jnp.asarray(x) for name, x in angles.items()}), 2.5
    psi, W = focused(scene, jnp.asarray(power_w))
    assert (psi.shape, W.shape) == ((N,), (M, 1))
    np.testing.assert_allclose(np.abs(psi), 1.0, rtol=1e-12)
    assert float(jnp.sum(jnp.abs(W) ** 2)) == pytest.approx(power_w, rel=1e-12)
    path = abs(propagation.path_amplitude(FREQ_HZ, BS_DIST_M, K_ABS)) ** 2 * GAINS["gain_bs"] * GAINS["gain_surface"]
    power = float(jnp.abs(illumination(scene, psi, W)[0]) ** 2)
    assert power == pytest.approx(N**2 * M * power_w * path, rel=1e-10)


@pytest.fixture(scope="module")
def focused_pair():
    scene = sight(bs_azimuth_rad=jnp.float32(0.5))
    return scene, *focused(scene, jnp.float32(1.0))


@given(st.integers(0, 10_000))
def test_no_other_phases_or_beam_illuminate_better(focused_pair, seed):
    scene, psi, W = focused_pair
    best = float(jnp.abs(illumination(scene, psi, W)[0]))
    rng = np.random.default_rng(seed)
    spread = 10.0 ** rng.uniform(-2.0, 0.5)  # from neighbours of the optimum to anywhere
    other_psi = psi * single(np.exp(1j * spread * rng.standard_normal(N)))
    assert float(jnp.abs(illumination(scene, other_psi, W)[0])) <= best * (1 + 10 * EPS32)
    other_W = np.asarray(W) + spread * complex_normal(seed, M, 1)
    other_W = single(other_W / np.linalg.norm(other_W))
    assert float(jnp.abs(illumination(scene, psi, jnp.asarray(other_W))[0])) <= best * (1 + 10 * EPS32)


def test_focusing_a_general_channel_matches_the_beam_and_beats_chance(x64):
    # With several paths there is no closed form, but the beam is the one that these phases ask for.
    plain = random_scene(8)
    scene = SensingScene(**fields(plain))
    psi, W = focused(scene, jnp.asarray(2.0))
    np.testing.assert_allclose(np.abs(psi), 1.0, rtol=1e-12)
    row = np.asarray(echo_matrix(scene, psi))[0] / plain.beta
    best = float(jnp.abs(illumination(scene, psi, W)[0]))
    assert best == pytest.approx(np.sqrt(2.0) * np.linalg.norm(row), rel=1e-10)
    phases = np.exp(2j * np.pi * np.random.default_rng(0).uniform(size=(500, 6)))
    rows = np.asarray(echo_matrix(scene, jnp.asarray(phases)))[:, 0] / plain.beta
    assert best >= np.sqrt(2.0) * np.max(np.linalg.norm(rows, axis=-1))


@pytest.mark.parametrize("wrong", [{"azimuth": np.pi / 2}, {"elevation": -np.pi / 2}, {"sensor_shape": (1, 4)}])
def test_a_scene_that_tells_no_angles_is_refused(wrong):
    shapes = {**SHAPES, "sensor_shape": wrong.get("sensor_shape", (2, 2))}
    azimuth, elevation = wrong.get("azimuth", 0.1), wrong.get("elevation", 0.2)
    with pytest.raises(ConfigError):
        sensing.line_of_sight_scene(FREQ_HZ, K_ABS, BS_DIST_M, TARGET_DIST_M, azimuth, elevation, RCS_M2, **shapes)


def test_targets_at_many_distances_are_one_batch():
    # Only the echo amplitude has the batch axis.
    distance = jnp.asarray([2.0, 3.0, 5.0])

    def bound(dist_m):
        scene = sensing.line_of_sight_scene(3e11, 1e-3, 5.0, dist_m, 0.5, 0.2, 1.0, (2, 2), (3, 4), (2, 3))
        psi, W = sensing.focused_illumination(scene, 1.0)
        return sensing.sensing_crb(scene, psi, W, 4096.0, 1e-15)

    together, apart = bound(distance), jnp.stack([bound(d) for d in distance])
    np.testing.assert_allclose(together, apart, rtol=1e-4)
    assert bool(jnp.all(jnp.diff(together[:, 0, 0]) > 0))
