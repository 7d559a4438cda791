"""Cramer-Rao bounds against exact inverses, their invariances, and inf where the angles cannot be known."""

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
from reference.tools import EPS32, EPS64, double, single

from thzjax.physics import sensing
from thzjax.physics.arrays import upa_steering
from thzjax.physics.sensing import SensingScene

crb = jax.jit(sensing.crb)
fisher = jax.jit(sensing.fisher_information, static_argnames="noise_model")
rank_one = jax.jit(sensing.crb_rank_one)
sensing_crb = jax.jit(sensing.sensing_crb, static_argnames="noise_model")
several = jax.jit(sensing.multi_target_fisher_information)

SNAPSHOTS, NOISE_W = 12.0, 0.3
MODELS = ["white", "colored", "full"]
seeds = st.integers(0, 10_000)


def assert_bound_near(actual, expected, rtol):
    """Entry ij within rtol of sqrt(C_ii C_jj)."""
    actual, expected = double(actual), double(expected)
    assert actual.shape == expected.shape
    scale = np.sqrt(np.diagonal(expected, axis1=-2, axis2=-1))
    gap = np.abs(actual - expected) / (scale[..., :, None] * scale[..., None, :])
    assert np.max(gap) <= rtol, f"off by {np.max(gap):.3e}, allowed {rtol:.3e}"


def bound(scene, psi, W, noise_model="white", rounding=double, snapshots=SNAPSHOTS, noise_w=NOISE_W):
    arguments = SensingScene(**fields(scene, rounding)), *arrays(psi, W, rounding=rounding)
    return np.asarray(sensing_crb(*arguments, snapshots, noise_w, noise_model=noise_model))


def random_information(seed, size, spread):
    """Positive definite, in units up to 10^spread apart, and the condition number without the units."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((2 * size, size))
    core = factor.T @ factor
    core /= np.sqrt(np.outer(np.diag(core), np.diag(core)))
    units = 10.0 ** rng.uniform(-spread / 2, spread / 2, size)
    J = core * np.outer(units, units)
    return (J + J.T) / 2, np.linalg.cond(core)


@pytest.mark.parametrize("size", [4, 8])
def test_crb_is_the_angle_block_of_the_inverse(x64, size):
    for seed in range(5):
        J, condition = random_information(seed, size, spread=12.0)
        C = crb(jnp.asarray(J))
        assert C.dtype == jnp.float64
        assert_bound_near(C, ref.crb(J), 20 * condition * EPS64)
        assert np.min(np.linalg.eigvalsh(np.asarray(C) / np.sqrt(np.outer(np.diag(C), np.diag(C))))) > 0


def test_crb_float32_whatever_the_units():
    for seed in range(5):
        J, condition = random_information(seed, 4, spread=20.0)
        J = single(J)
        C = crb(jnp.asarray(J))
        assert C.dtype == jnp.float32
        assert_bound_near(C, ref.crb(J.astype(float)), 20 * condition * EPS32)


def test_crb_batch_keeps_its_finite_members(x64):
    first, last = (random_information(seed, 4, 6.0)[0] for seed in (0, 1))
    J = np.stack([first, np.ones((4, 4)), np.zeros((4, 4)), last])
    for C in (crb(jnp.asarray(J)), jax.vmap(sensing.crb)(jnp.asarray(J)), sensing.crb(jnp.asarray(J))):
        C = np.asarray(C)
        assert_bound_near(C[[0, 3]], np.stack([ref.crb(first), ref.crb(last)]), 1e-12)
        assert not np.any(np.isnan(C))
        assert np.all(np.trace(C[1:3], axis1=1, axis2=2) == np.inf)


@pytest.mark.parametrize("noise_model", MODELS)
@pytest.mark.parametrize("departure", ["physical", "paper"])
def test_sensing_crb_matches_reference(x64, noise_model, departure):
    for seed, origin in ((0, "corner"), (1, "centre")):
        scene = random_scene(seed, departure=departure, origin=origin)
        design = random_design(seed, scene)
        expected = ref.crb(ref.fisher_information(scene, *design, SNAPSHOTS, NOISE_W, noise_model))
        actual = bound(scene, *design, noise_model)
        assert actual.dtype == np.float64
        assert_bound_near(actual, expected, 1e-10)
        J = fisher(SensingScene(**fields(scene)), *arrays(*design), SNAPSHOTS, NOISE_W, noise_model=noise_model)
        assert_bound_near(crb(J), expected, 1e-10)


def test_batch_vmap_and_single_agree(x64):
    scenes = [random_scene(seed) for seed in (4, 5)]
    psi, W = (np.stack(x) for x in zip(*(random_design(s, scenes[0]) for s in (4, 5)), strict=True))
    expected = [
        ref.crb(ref.fisher_information(s, p, w, SNAPSHOTS, NOISE_W)) for s, p, w in zip(scenes, psi, W, strict=True)
    ]
    arguments = SensingScene(**fields(stack(scenes))), *arrays(psi, W)
    assert_bound_near(sensing_crb(*arguments, SNAPSHOTS, NOISE_W), expected, 1e-10)
    mapped = jax.vmap(lambda s, p, w: sensing.sensing_crb(s, p, w, SNAPSHOTS, NOISE_W))(*arguments)
    assert_bound_near(mapped, expected, 1e-10)
    alone = rank_one(SensingScene(**fields(scenes[0])), *arrays(psi[0], W[0]), SNAPSHOTS, NOISE_W)
    assert_bound_near(rank_one(*arguments, SNAPSHOTS, NOISE_W)[0], np.asarray(alone), 1e-12)


@pytest.mark.parametrize("noise_model", MODELS)
def test_sensing_crb_float32_of_a_real_link(noise_model):
    for seed, only_sight in ((0, False), (1, False), (2, True)):
        scene = round_scene(paper_b_scene(seed, rank_one=only_sight), single)
        psi, W = random_design(seed, scene, streams=4)
        psi, W = single(psi), single(0.06 * W)  # 1 W
        C = bound(scene, psi, W, noise_model, single, PAPER_B_SNAPSHOTS, PAPER_B_NOISE_W)
        assert C.dtype == np.float32
        J = ref.fisher_information(scene, psi, W, PAPER_B_SNAPSHOTS, PAPER_B_NOISE_W, noise_model)
        # Referred to the centre, phases reach pi (3.5 + 4.5) = 25 rad, half of that here, each off by 1 eps of it and
        # at random over 80 elements, and as much again from 64 antennas: some 10 eps of C, 14 at most in these draws.
        assert_bound_near(C, ref.crb(J), 5e-6)


def test_sensing_crb_float32_of_a_far_weaker_link():
    # 60 dB less signal and noise: the same bound, though the echo's fourth power is below the least float32.
    scene = round_scene(paper_b_scene(0), single)
    psi, W = random_design(0, scene, streams=4)
    psi, W, weak = single(psi), single(0.06 * W), 2.0**-10
    near = bound(scene, psi, W, "white", single, PAPER_B_SNAPSHOTS, PAPER_B_NOISE_W)
    far = scene._replace(bs_to_surface=weak * scene.bs_to_surface)
    actual = bound(far, psi, W, "white", single, PAPER_B_SNAPSHOTS, PAPER_B_NOISE_W * weak**2)
    assert_bound_near(actual, near, 20 * EPS32)  # powers of two: only noise_w may round


@given(seeds, st.floats(-3.0, 3.0), st.sampled_from(MODELS))
def test_crb_ignores_origin_and_phase_of_beta(x64, seed, phase, noise_model):
    scene = random_scene(seed)
    psi, W = random_design(seed, scene)
    expected = bound(scene, psi, W, noise_model)
    for other in (scene._replace(origin="centre"), scene._replace(beta=scene.beta * np.exp(1j * phase))):
        J = fisher(SensingScene(**fields(other)), *arrays(psi, W), SNAPSHOTS, NOISE_W, noise_model=noise_model)
        # Corner phases bring condition numbers of up to some 1e4 into J.
        assert_bound_near(crb(J), expected, 1e-10)
        assert_bound_near(bound(other, psi, W, noise_model), expected, 1e-11)


def test_crb_falls_as_one_over_snapshots_and_snr(x64):
    scene = random_scene(1)
    psi, W = random_design(1, scene)
    C = bound(scene, psi, W)
    louder = scene._replace(beta=3.0 * scene.beta)
    for other, factor in (
        (bound(scene, psi, W, snapshots=3 * SNAPSHOTS), 3.0),
        (bound(scene, psi, W, noise_w=NOISE_W / 3), 3.0),
        (bound(louder, psi, W), 9.0),
        (bound(scene, psi, 3 * W), 9.0),
    ):
        assert_bound_near(other * factor, C, 1e-12)


@given(seeds)
def test_amplified_noise_costs_accuracy_and_its_own_power_gives_some_back(x64, seed):
    scene = random_scene(seed)
    design = random_design(seed, scene)
    white, colored, full = (bound(scene, *design, model) for model in MODELS)
    for larger, smaller in ((colored, white), (colored, full)):
        units = np.sqrt(np.diag(larger))
        assert np.min(np.linalg.eigvalsh((larger - smaller) / np.outer(units, units))) > -1e-11


@given(seeds)
def test_rank_one_bound_is_the_bound(x64, seed):
    scene = random_scene(seed, rank_one=True)
    psi, W = random_design(seed, scene)
    exact = rank_one(SensingScene(**fields(scene)), *arrays(psi, W), SNAPSHOTS, NOISE_W)
    J = fisher(SensingScene(**fields(scene)), *arrays(psi, W), SNAPSHOTS, NOISE_W)
    assert_bound_near(crb(J), np.asarray(exact), 1e-9)
    assert_bound_near(bound(scene, psi, W), np.asarray(exact), 1e-10)
    # The amplified noise arrives along b, which tells nothing of the angles when the illumination has one shape.
    assert_bound_near(bound(scene, psi, W, "colored"), np.asarray(exact), 1e-10)


def test_rank_one_bound_knows_the_design_by_its_power_only(x64):
    scene = random_scene(4, rank_one=True)
    products = []
    for seed in range(3):
        design = random_design(seed, scene)
        power = np.sum(np.abs(ref.illumination(scene, *design)) ** 2)
        C = rank_one(SensingScene(**fields(scene)), *arrays(*design), SNAPSHOTS, NOISE_W)
        products.append(power * np.asarray(C))
    assert_bound_near(products[1], products[0], 1e-12)
    assert_bound_near(products[2], products[0], 1e-12)


def test_rank_one_bound_float32():
    scene = round_scene(paper_b_scene(2, rank_one=True), single)
    psi, W = random_design(2, scene, streams=4)
    psi, W = single(psi), single(0.06 * W)
    arguments = SensingScene(**fields(scene, single)), *arrays(psi, W, rounding=single)
    C = rank_one(*arguments, PAPER_B_SNAPSHOTS, PAPER_B_NOISE_W)
    assert C.dtype == jnp.float32
    # Up to rounding that scene has rank one: its exact bound in float64 is that of the rounded fields' power.
    J = ref.fisher_information(scene, psi, W, PAPER_B_SNAPSHOTS, PAPER_B_NOISE_W)
    assert_bound_near(C, ref.crb(J), 5e-6)


def textbook(power, sensors, theta):
    """Line array at half a wavelength: 6 sigma^2/(L p n (n^2 - 1) pi^2 cos^2(theta)), p the power at one sensor."""
    return 6 * NOISE_W / (SNAPSHOTS * power * sensors * (sensors**2 - 1) * np.pi**2 * np.cos(theta) ** 2)


@pytest.mark.parametrize("theta", [0.0, 0.4, -1.0])
def test_line_array_meets_the_textbook_bound(x64, theta):
    # One angle and an unknown complex amplitude: the line alone, with all of the illumination inside the amplitude.
    n, amplitude = 6, 0.3 - 0.4j

    def line(params):
        b = upa_steering(params[0], jnp.asarray(0.0), (n, 1))
        return jnp.sqrt(jnp.asarray(SNAPSHOTS)).astype(b.dtype) * jax.lax.complex(params[1], params[2]) * b

    params = jnp.asarray([theta, amplitude.real, amplitude.imag])
    J = np.asarray(sensing.autodiff_fisher_information(line, params, NOISE_W))
    assert ref.inverse(J)[0, 0] == pytest.approx(textbook(abs(amplitude) ** 2, n, theta), rel=1e-11)

    # A line knows no elevation, so the bound over both angles needs columns: at elevation 0 rows and columns are
    # orthogonal about the centre, so two columns halve the bound on the azimuth and nothing else.
    scene = random_scene(3, rank_one=True, sensors=(n, 2))
    scene = scene._replace(azimuth_rad=np.asarray(theta), elevation_rad=np.asarray(0.0))
    psi, W = random_design(3, scene)
    power = np.sum(np.abs(scene.beta * ref.illumination(scene, psi, W)) ** 2)
    C = rank_one(SensingScene(**fields(scene)), *arrays(psi, W), SNAPSHOTS, NOISE_W)
    assert float(C[0, 0]) == pytest.approx(textbook(2 * power, n, theta), rel=1e-11)
    assert float(C[1, 1]) == pytest.approx(textbook(n * power, 2, 0.0), rel=1e-11)
    assert abs(float(C[0, 1])) < 1e-11 * float(C[0, 0])
