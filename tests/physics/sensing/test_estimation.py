"""Simulated echoes have the mean and noise they claim; maximum-likelihood angles reach the bound."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import sensing as ref
from reference.scenes import arrays, fields, random_design, random_scene, round_scene
from reference.tools import EPS32, assert_near, double, single
from scipy import stats

from thzjax.physics import sensing
from thzjax.physics.sensing import SensingScene

simulate_echo = jax.jit(sensing.simulate_echo)
ml_angles = jax.jit(sensing.ml_angles, static_argnames="steps")

SNAPSHOTS = 16.0
AZIMUTHS, ELEVATIONS = np.linspace(-1.3, 1.3, 27), np.linspace(-1.2, 1.2, 25)  # a tenth of a radian apart
AZIMUTH, ELEVATION = 0.334, -0.217  # between grid points


def wide_scene(seed=0, **options):
    """Four by four sensors: a main lobe of half a radian, five grid steps."""
    scene = random_scene(seed, surface=(3, 3), sensors=(4, 4), **options)
    return scene._replace(azimuth_rad=np.asarray(AZIMUTH), elevation_rad=np.asarray(ELEVATION))


def elsewhere(scene):
    """The same scene without what the estimator has to find."""
    return scene._replace(azimuth_rad=np.asarray(-0.9), elevation_rad=np.asarray(0.8), beta=np.asarray(1e-3 + 0j))


def estimate(data, scene, psi, W, rounding, **options):
    grids = arrays(AZIMUTHS, ELEVATIONS, rounding=rounding)
    built = SensingScene(**fields(elsewhere(scene), rounding))
    return ml_angles(jnp.asarray(data), built, *arrays(psi, W, rounding=rounding), *grids, **options)


def test_echo_has_the_mean_of_the_model(x64):
    scene = random_scene(1, departure="paper", origin="centre")
    psi, W = random_design(1, scene)
    quiet = simulate_echo(jax.random.key(0), SensingScene(**fields(scene)), *arrays(psi, W), SNAPSHOTS, 0.0)
    assert quiet.dtype == jnp.complex128
    assert_near(quiet, ref.mean(scene, psi, W, SNAPSHOTS), 1e-10)


def test_echo_noise_is_white_and_of_the_given_power():
    scene = round_scene(random_scene(2), single)
    psi, W = (single(x) for x in random_design(2, scene))
    built, designs = SensingScene(**fields(scene, single)), arrays(psi, W, rounding=single)
    keys, noise_w = jax.random.split(jax.random.key(3), 2000), 0.4
    draws = jax.jit(jax.vmap(lambda key: sensing.simulate_echo(key, built, *designs, SNAPSHOTS, noise_w)))(keys)
    assert (draws.dtype, draws.shape) == (jnp.complex64, (2000, 6, 3))
    noise = (double(draws) - ref.mean(scene, psi, W, SNAPSHOTS)).reshape(2000, 18)
    # Chi-square bounds of chance 1e-6 a side: all of it, and the mean over draws, itself CN(0, noise_w/2000).
    for power, freedom in (
        (2 * np.sum(np.abs(noise) ** 2) / noise_w, 2 * noise.size),
        (2 * np.sum(noise.real**2) / noise_w, noise.size),
        (2 * 2000 * np.sum(np.abs(noise.mean(axis=0)) ** 2) / noise_w, 36),
    ):
        low, high = stats.chi2.ppf([1e-6, 1 - 1e-6], freedom)
        assert low < power < high
    covariance = noise.T @ noise.conj() / 2000
    # 324 entries of deviation noise_w/sqrt(2000) or less: 6 of them has a chance below 1e-6.
    assert np.max(np.abs(covariance - noise_w * np.eye(18))) < 6 * noise_w / np.sqrt(2000)


def test_echo_in_a_batch_has_noise_of_its_own(x64):
    scene = random_scene(2)
    psi, W = random_design(2, scene)
    pair = np.stack([psi, psi])
    draws = simulate_echo(jax.random.key(0), SensingScene(**fields(scene)), *arrays(pair, W), SNAPSHOTS, 0.4)
    assert draws.shape == (2, 6, 3)
    assert np.min(np.abs(draws[0] - draws[1])) > 1e-6


@pytest.mark.parametrize("options", [{}, {"departure": "paper", "origin": "centre"}, {"rank_one": True}])
def test_noiseless_echo_gives_the_angles(x64, options):
    scene = wide_scene(**options)
    psi, W = random_design(0, scene)
    azimuth, elevation = estimate(ref.mean(scene, psi, W, SNAPSHOTS), scene, psi, W, double)
    assert azimuth.dtype == elevation.dtype == jnp.float64
    # Eight Newton steps from half a grid step square the error each: 0.05 -> 1e-3 -> 1e-6 -> 1e-12.
    assert float(azimuth) == pytest.approx(AZIMUTH, abs=1e-9)
    assert float(elevation) == pytest.approx(ELEVATION, abs=1e-9)


def test_noiseless_echo_gives_the_angles_in_float32():
    scene = round_scene(wide_scene(), single)
    psi, W = (single(x) for x in random_design(0, scene))
    azimuth, elevation = estimate(single(ref.mean(scene, psi, W, SNAPSHOTS)), scene, psi, W, single)
    assert azimuth.dtype == elevation.dtype == jnp.float32
    # Phases of up to 9 rad are off by 9 eps or so, and an angle moves them by several radians per radian.
    assert abs(float(azimuth) - float(single(AZIMUTH))) < 40 * EPS32
    assert abs(float(elevation) - float(single(ELEVATION))) < 40 * EPS32


def test_estimates_of_a_batch_and_of_its_members_agree(x64):
    scene = wide_scene()
    psi, W = random_design(0, scene)
    data = ref.mean(scene, psi, W, SNAPSHOTS) * np.exp(1j * np.array([0.0, 1.0]))[:, None, None]
    data = data + 0.1 * np.asarray(jax.random.normal(jax.random.key(0), data.shape, complex))
    both = np.stack(estimate(data, scene, psi, W, double), axis=-1)
    assert both.shape == (2, 2)
    for member, angles in zip(data, both, strict=True):
        np.testing.assert_allclose(estimate(member, scene, psi, W, double), angles, rtol=0, atol=1e-9)


def test_refinement_leaves_the_grid(x64):
    scene = wide_scene()
    psi, W = random_design(0, scene)
    data = ref.mean(scene, psi, W, SNAPSHOTS)
    azimuth, elevation = estimate(data, scene, psi, W, double, steps=0)
    # Without refinement the answer is the best grid point, here one of the four around the target.
    assert np.min(np.abs(AZIMUTHS - float(azimuth))) < 1e-12
    assert np.min(np.abs(ELEVATIONS - float(elevation))) < 1e-12
    assert max(abs(float(azimuth) - AZIMUTH), abs(float(elevation) - ELEVATION)) <= 0.1


@pytest.mark.parametrize("rounding", [single, double])
def test_estimates_reach_the_bound(x64, rounding):
    trials, scene = 400, round_scene(wide_scene(), rounding)
    psi, W = (rounding(x) for x in random_design(0, scene))
    mean = ref.mean(scene, psi, W, SNAPSHOTS)
    noise_w = float(np.sum(np.abs(mean) ** 2) / 1e4)  # 40 dB after integration: the bound's own regime
    C = ref.crb(ref.fisher_information(scene, psi, W, SNAPSHOTS, noise_w))
    assert np.sqrt(np.max(np.diag(C))) < 0.01  # far inside the main lobe
    keys = jax.random.split(jax.random.key(5), trials)
    built, designs = SensingScene(**fields(scene, rounding)), arrays(psi, W, rounding=rounding)
    noisy = jax.jit(jax.vmap(lambda key: sensing.simulate_echo(key, built, *designs, SNAPSHOTS, noise_w)))(keys)
    errors = double(np.stack(estimate(noisy, scene, psi, W, rounding), axis=-1)) - [
        float(scene.azimuth_rad),
        float(scene.elevation_rad),
    ]
    whitened = np.linalg.solve(np.linalg.cholesky(C), errors.T)
    # Of an unbiased efficient estimator these are unit normals: power chi-square, and mean normal, chance 1e-6 a side.
    # Second-order effects are of the relative size of the bound over the main lobe's square, below 1e-3.
    for power, freedom in ((whitened, 2 * trials), (whitened[0], trials), (whitened[1], trials)):
        low, high = stats.chi2.ppf([1e-6, 1 - 1e-6], freedom)
        assert low < np.sum(power**2) < high
    assert np.max(np.abs(whitened.mean(axis=1))) < 5 / np.sqrt(trials)
    correlation = np.mean(whitened[0] * whitened[1])
    assert abs(correlation) < 5 / np.sqrt(trials)
