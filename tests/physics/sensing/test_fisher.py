"""Fisher information against complex-step Slepian-Bangs: white, colored and full noise, one and several targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import sensing as ref
from reference.scenes import (
    PAPER_B_NOISE_W,
    PAPER_B_SNAPSHOTS,
    arrays,
    fields,
    paper_b_scene,
    random_design,
    random_scene,
    round_scene,
    stack,
)
from reference.tools import EPS32, assert_near, double, single

from thzjax.errors import ConfigError
from thzjax.physics import sensing
from thzjax.physics.arrays import upa_steering
from thzjax.physics.sensing import SensingScene

fisher = jax.jit(sensing.fisher_information, static_argnames="noise_model")
several = jax.jit(sensing.multi_target_fisher_information)

SNAPSHOTS, NOISE_W = 12.0, 0.3
MODELS = ["white", "colored", "full"]
seeds = st.integers(0, 10_000)
each_model = pytest.mark.parametrize("noise_model", MODELS)


def assert_information_near(actual, expected, rtol):
    """Entry ij within rtol of sqrt(J_ii J_jj): angles and amplitudes have different units."""
    actual, expected = double(actual), double(expected)
    assert actual.shape == expected.shape
    scale = np.sqrt(np.diagonal(expected, axis1=-2, axis2=-1))
    gap = np.abs(actual - expected) / (scale[..., :, None] * scale[..., None, :])
    assert np.max(gap) <= rtol, f"off by {np.max(gap):.3e}, allowed {rtol:.3e}"


def information(scene, psi, W, noise_model="white", rounding=double):
    J = fisher(
        SensingScene(**fields(scene, rounding)),
        *arrays(psi, W, rounding=rounding),
        SNAPSHOTS,
        NOISE_W,
        noise_model=noise_model,
    )
    return np.asarray(J)


def least_eigenvalue(difference, scale):
    """Least eigenvalue of a symmetric matrix in units where `scale` has the diagonal one."""
    units = np.sqrt(np.diag(scale))
    return np.min(np.linalg.eigvalsh(difference / np.outer(units, units)))


@each_model
@pytest.mark.parametrize("departure", ["physical", "paper"])
@pytest.mark.parametrize("origin", ["corner", "centre"])
def test_information_matches_reference(x64, noise_model, departure, origin):
    for seed in range(3):
        scene = random_scene(seed, spacing=(0.4, 0.6), departure=departure, origin=origin)
        psi, W = random_design(seed, scene)
        actual = fisher(SensingScene(**fields(scene)), *arrays(psi, W), SNAPSHOTS, NOISE_W, noise_model=noise_model)
        assert actual.dtype == jnp.float64
        expected = ref.fisher_information(scene, psi, W, SNAPSHOTS, NOISE_W, noise_model)
        assert_information_near(actual, expected, 1e-10)


@each_model
def test_other_shapes_match_reference(x64, noise_model):
    scene = random_scene(5, antennas=3, surface=(3, 2), sensors=(1, 4))
    psi, W = random_design(5, scene, streams=1)
    expected = ref.fisher_information(scene, psi, W, SNAPSHOTS, NOISE_W, noise_model)
    assert_information_near(information(scene, psi, W, noise_model), expected, 1e-10)


@each_model
def test_information_float32(noise_model):
    for seed in range(3):
        scene = round_scene(random_scene(seed), single)
        psi, W = (single(x) for x in random_design(seed, scene))
        actual = information(scene, psi, W, noise_model, single)
        assert actual.dtype == np.float32
        # Phases reach 9 rad, and z and its derivatives are sums of 24 products: each is off by some 5 eps of its
        # terms' size, of up to five times its own; J is of second order in them.
        expected = ref.fisher_information(scene, psi, W, SNAPSHOTS, NOISE_W, noise_model)
        assert_information_near(actual, expected, 60 * EPS32)


@each_model
def test_information_float32_of_a_real_link(noise_model):
    scene = round_scene(paper_b_scene(0), single)
    psi, W = (single(x) for x in random_design(0, scene, streams=4))
    W = single(0.06 * W)  # 1 W
    built = SensingScene(**fields(scene, single))
    J = fisher(built, *arrays(psi, W, rounding=single), PAPER_B_SNAPSHOTS, PAPER_B_NOISE_W, noise_model=noise_model)
    # Phases reach pi (7 + 9) = 50 rad, 25 of them here, each off by up to 2 eps of that, at random over 80 elements.
    expected = ref.fisher_information(scene, psi, W, PAPER_B_SNAPSHOTS, PAPER_B_NOISE_W, noise_model)
    assert_information_near(J, expected, 100 * EPS32)


@each_model
def test_batch_vmap_and_single_agree(x64, noise_model):
    scenes = [random_scene(seed) for seed in (4, 5)]
    psi, W = (np.stack(x) for x in zip(*(random_design(s, scenes[0]) for s in (4, 5)), strict=True))
    noise_w = np.array([0.3, 0.5])
    parts = zip(scenes, psi, W, noise_w, strict=True)
    expected = np.stack([ref.fisher_information(s, p, w, SNAPSHOTS, n, noise_model) for s, p, w, n in parts])
    batch, designs = SensingScene(**fields(stack(scenes))), arrays(psi, W)
    J = fisher(batch, *designs, SNAPSHOTS, jnp.asarray(noise_w), noise_model=noise_model)
    assert_information_near(J, expected, 1e-10)
    mapped = jax.vmap(lambda s, p, w, n: sensing.fisher_information(s, p, w, SNAPSHOTS, n, noise_model))
    assert_information_near(mapped(batch, *designs, jnp.asarray(noise_w)), expected, 1e-10)
    # A batch of designs over one scene, the snapshots an integer.
    one = sensing.fisher_information(SensingScene(**fields(scenes[0])), *designs, 12, 0.3, noise_model)
    assert_information_near(one[0], expected[0], 1e-10)


def test_unknown_noise_model_is_named():
    scene = random_scene(0)
    with pytest.raises(ConfigError, match="pink"):
        information(scene, *random_design(0, scene), "pink", single)


@given(seeds, st.sampled_from(MODELS))
def test_information_is_symmetric_and_positive_semidefinite(x64, seed, noise_model):
    scene = random_scene(seed)
    J = information(scene, *random_design(seed, scene), noise_model)
    assert_information_near(J.T, J, 1e-14)
    # The least eigenvalue of the scaled matrix may fall below zero by roundings of its unit diagonal only.
    assert least_eigenvalue(J, J) > -1e-13


@given(seeds)
def test_noise_models_are_ordered(x64, seed):
    scene = random_scene(seed)
    design = random_design(seed, scene)
    white, colored, full = (information(scene, *design, model) for model in MODELS)
    assert least_eigenvalue(white - colored, white) > -1e-13
    assert least_eigenvalue(full - colored, full) > -1e-13
    # Strictly so: amplified noise hides |beta| in the mean, and its own power tells of |beta|.
    assert np.trace((white - colored)[2:, 2:]) > 1e-3 * np.trace(white[2:, 2:])
    assert np.trace((full - colored)[2:, 2:]) > 1e-6 * np.trace(full[2:, 2:])


@pytest.mark.parametrize("silent", [{"noise_v_w": 0.0}, {"active": np.zeros(6)}, {"noise_v_w": 0.0, "active": 0.0}])
def test_without_amplified_noise_all_models_are_white(x64, silent):
    scene = random_scene(3)._replace(**silent)
    psi, W = random_design(3, random_scene(3))
    white, colored, full = (information(scene, psi, W, model) for model in MODELS)
    assert_information_near(colored, white, 1e-13)
    assert_information_near(full, white, 1e-13)


def test_passive_by_default(x64):
    scene = random_scene(3)
    psi, W = random_design(3, scene)
    named = {k: v for k, v in fields(scene).items() if k not in ("active", "noise_v_w")}
    bare = sensing.fisher_information(SensingScene(**named), *arrays(psi, W), SNAPSHOTS, NOISE_W)
    assert_information_near(bare, information(scene, psi, W), 1e-13)


def test_information_grows_with_snapshots_and_power_and_falls_with_noise(x64):
    scene = random_scene(2)
    psi, W = arrays(*random_design(2, scene))
    built = SensingScene(**fields(scene))
    J = np.asarray(fisher(built, psi, W, SNAPSHOTS, NOISE_W))
    # Powers of two, so every one of these is exact up to the order of two factors.
    assert_information_near(fisher(built, psi, W, 4 * SNAPSHOTS, NOISE_W), 4 * J, 1e-14)
    assert_information_near(fisher(built, psi, W, SNAPSHOTS, 4 * NOISE_W), J / 4, 1e-14)
    assert_information_near(fisher(built, psi, 2 * W, SNAPSHOTS, NOISE_W), 4 * J, 1e-14)


@given(seeds)
def test_only_the_covariance_of_the_streams_counts(x64, seed):
    scene = random_scene(seed)
    psi, W = random_design(seed, scene)
    unitary = np.linalg.qr(random_design(seed + 1, scene)[1][:3])[0]
    assert_information_near(information(scene, psi, W @ unitary), information(scene, psi, W), 1e-12)


@pytest.mark.parametrize("departure", ["physical", "paper"])
def test_several_targets_match_reference(x64, departure):
    for seed in range(2):
        scene = random_scene(seed, targets=2, departure=departure)
        psi, W = random_design(seed, scene)
        actual = several(SensingScene(**fields(scene)), *arrays(psi, W), SNAPSHOTS, NOISE_W)
        assert actual.dtype == jnp.float64
        assert_information_near(actual, ref.fisher_information(scene, psi, W, SNAPSHOTS, NOISE_W), 1e-10)


def test_several_targets_in_a_batch_and_float32():
    scenes = [round_scene(random_scene(seed, targets=2), single) for seed in (0, 1)]
    designs = [tuple(single(x) for x in random_design(seed, scenes[0])) for seed in (0, 1)]
    psi, W = (jnp.asarray(np.stack(x)) for x in zip(*designs, strict=True))
    J = several(SensingScene(**fields(stack(scenes), single)), psi, W, SNAPSHOTS, NOISE_W)
    assert J.dtype == jnp.float32
    expected = [ref.fisher_information(s, *d, SNAPSHOTS, NOISE_W) for s, d in zip(scenes, designs, strict=True)]
    assert_information_near(J, np.stack(expected), 60 * EPS32)  # as for one target


def test_one_of_several_targets_is_a_single_target(x64):
    scene = random_scene(6, targets=1)
    psi, W = random_design(6, scene)
    actual = several(SensingScene(**fields(scene)), *arrays(psi, W), SNAPSHOTS, NOISE_W)
    alone = scene._replace(azimuth_rad=scene.azimuth_rad[0], elevation_rad=scene.elevation_rad[0], beta=scene.beta[0])
    assert_information_near(actual, information(alone, psi, W), 1e-12)


def echo(scene, psi, W, snapshots):
    """A user's own model of the mean, from angles and amplitude, with the library's steering vectors."""

    def mean(params):
        azimuth, elevation, beta_re, beta_im = params
        named = {"spacing": scene.spacing, "origin": scene.origin}
        b = upa_steering(azimuth, elevation, scene.sensor_shape, **named)
        v = upa_steering(azimuth, elevation, scene.surface_shape, **named)
        row = v if scene.departure == "physical" else jnp.conj(v)
        z = (row * psi) @ jnp.asarray(scene.bs_to_surface, psi.dtype) @ W
        return jnp.sqrt(snapshots).astype(psi.dtype) * (jax.lax.complex(beta_re, beta_im) * b[:, None] * z)

    return mean


@pytest.mark.parametrize("departure", ["physical", "paper"])
def test_automatic_differentiation_gives_the_same_information(x64, departure):
    scene = random_scene(7, departure=departure)
    psi, W = arrays(*random_design(7, scene))
    model = echo(scene, psi, W, jnp.asarray(SNAPSHOTS))
    params = jnp.asarray(ref.parameters(scene))
    J = sensing.autodiff_fisher_information(lambda p: model(p).ravel(), params, NOISE_W)
    assert J.dtype == jnp.float64
    assert_information_near(J, information(scene, psi, W), 1e-10)
    # The echo may keep its own shape.
    assert_near(sensing.autodiff_fisher_information(model, params, NOISE_W), np.asarray(J), 1e-13)


def test_automatic_differentiation_of_a_real_mean(x64):
    # y = p0 + p1 t in CN(0, sigma^2): J = 2/sigma^2 [[n, sum t], [sum t, sum t^2]].
    t = jnp.arange(5.0)
    J = sensing.autodiff_fisher_information(lambda p: p[0] + p[1] * t, jnp.asarray([0.3, -2.0]), 0.5)
    assert_near(J, 4 * np.array([[5.0, 10.0], [10.0, 30.0]]), 1e-14)
