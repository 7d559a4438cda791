"""Where the angles cannot be known the bound is inf, compiled or not; several targets; gradients of the bound."""

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
)
from reference.tools import double, single

from thzjax.physics import sensing
from thzjax.physics.sensing import SensingScene

crb = jax.jit(sensing.crb)
rank_one = jax.jit(sensing.crb_rank_one)
sensing_crb = jax.jit(sensing.sensing_crb)
several = jax.jit(lambda *arguments: sensing.crb(sensing.multi_target_fisher_information(*arguments)))
through_information = jax.jit(lambda *arguments: sensing.crb(sensing.fisher_information(*arguments)))

SNAPSHOTS, NOISE_W = 12.0, 0.3
BOTH = pytest.mark.parametrize("rounding", [single, double])


def assert_unknown(C, *angles):
    """These angles have an infinite bound, and nothing is NaN."""
    C = np.asarray(C)
    assert not np.any(np.isnan(C)), C
    assert np.trace(C) == np.inf, C
    for angle in angles:
        assert C[angle, angle] == np.inf, C


def arguments_of(scene, rounding, seed=0, streams=3):
    psi, W = random_design(seed, scene, streams)
    return SensingScene(**fields(scene, rounding)), *arrays(psi, W, rounding=rounding), SNAPSHOTS, NOISE_W


@BOTH
@pytest.mark.parametrize("function", [sensing_crb, sensing.sensing_crb, through_information, rank_one])
def test_one_row_of_sensors_and_one_path_do_not_tell_the_azimuth(x64, rounding, function):
    for seed in range(12):
        scene = random_scene(seed, sensors=(1, 4), rank_one=True)
        assert_unknown(function(*arguments_of(scene, rounding)), 0)


@BOTH
@pytest.mark.parametrize("function", [sensing_crb, through_information, rank_one])
def test_one_column_of_sensors_and_one_path_tell_one_cone_only(x64, rounding, function):
    for seed in range(12):
        scene = random_scene(seed, sensors=(4, 1), rank_one=True)
        assert_unknown(function(*arguments_of(scene, rounding)), 0, 1)


@BOTH
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("angle", ["azimuth_rad", "elevation_rad"])
@pytest.mark.parametrize("function", [sensing_crb, through_information])
def test_a_target_in_the_plane_of_the_array_has_no_azimuth(x64, rounding, side, angle, function):
    # The phase cos(el) sin(az) stands still in the azimuth both at the zenith and at the array's side.
    scene = random_scene(1)._replace(**{angle: np.asarray(side * np.pi / 2)})
    assert_unknown(function(*arguments_of(scene, rounding)), 0)


@BOTH
def test_one_path_to_the_zenith(x64, rounding):
    scene = random_scene(1, rank_one=True)._replace(elevation_rad=np.asarray(np.pi / 2))
    assert_unknown(rank_one(*arguments_of(scene, rounding)), 0)


@BOTH
@pytest.mark.parametrize("elevation", [0.0, 0.3])
def test_silence_tells_nothing(x64, rounding, elevation):
    # At elevation 0 the two angles are orthogonal: an off-diagonal 0 beside infinite bounds.
    plain = random_scene(1)._replace(elevation_rad=np.asarray(elevation))
    scene, psi, W, snapshots, noise_w = arguments_of(plain, rounding)
    for function in (sensing_crb, rank_one):
        assert_unknown(function(scene, psi, 0 * W, snapshots, noise_w), 0, 1)


def test_several_paths_let_one_row_of_sensors_tell_both_angles(x64):
    # The surface's own illumination turns with the azimuth, differently for every stream.
    scene = random_scene(2, sensors=(1, 4))
    expected = ref.crb(ref.fisher_information(scene, *random_design(0, scene), SNAPSHOTS, NOISE_W))
    np.testing.assert_allclose(sensing_crb(*arguments_of(scene, double)), expected, rtol=1e-9)


def test_several_targets_match_reference(x64):
    scene = random_scene(3, sensors=(3, 3), targets=2)
    J = ref.fisher_information(scene, *random_design(0, scene), SNAPSHOTS, NOISE_W)
    expected = ref.crb(J)
    units = np.sqrt(np.diag(expected))
    gap = (several(*arguments_of(scene, double)) - expected) / np.outer(units, units)
    assert gap.shape == (4, 4)
    assert np.max(np.abs(gap)) < 1e-10


def two_targets(separation, **options):
    scene = random_scene(3, sensors=(6, 6), targets=2, **options)
    return scene._replace(
        azimuth_rad=np.array([-separation / 2, separation / 2]),
        elevation_rad=np.array([0.2, 0.2 - separation / 2]),
        beta=np.array([0.5 + 0.2j, -0.1 + 0.6j]),
    )


def alone(scene, t):
    return scene._replace(azimuth_rad=scene.azimuth_rad[t], elevation_rad=scene.elevation_rad[t], beta=scene.beta[t])


def whitened_coupling(J):
    """Largest canonical correlation between the two targets' parameters."""
    near, far = (np.linalg.inv(np.linalg.cholesky(block)) for block in (J[:4, :4], J[4:, 4:]))
    return np.linalg.norm(near @ J[:4, 4:] @ far.T, 2)


def test_far_targets_nearly_decouple(x64):
    scene = two_targets(1.4)
    J = ref.fisher_information(scene, *random_design(0, scene), SNAPSHOTS, NOISE_W)
    coupling = whitened_coupling(J)
    assert coupling < 0.4
    C = np.asarray(several(*arguments_of(scene, double)))
    for t in range(2):
        lone = np.asarray(sensing_crb(*arguments_of(alone(scene, t), double)))
        block = C[2 * t : 2 * t + 2, 2 * t : 2 * t + 2]
        # Block inverse: (A - K B^-1 K^T)^-1 lies between A^-1 and A^-1/(1 - coupling^2).
        units = np.outer(*2 * [np.sqrt(np.diag(lone))])
        assert np.min(np.linalg.eigvalsh((block - lone) / units)) > -1e-10
        assert np.min(np.linalg.eigvalsh((lone / (1 - coupling**2) - block) / units)) > -1e-10


def test_near_targets_hide_each_other(x64):
    traces = [np.trace(several(*arguments_of(two_targets(s), double))) for s in (0.8, 0.2, 0.05)]
    # Close by, the bound rises with the inverse square of the separation: 16 from 0.2 to 0.05 rad.
    assert traces[2] > 5 * traces[1] > 10 * traces[0]


@BOTH
@pytest.mark.parametrize("beta", [[0.5 + 0.2j, 0.5 + 0.2j], [0.5 + 0.2j, -0.1 + 0.6j]])
def test_coinciding_targets_are_singular(x64, rounding, beta):
    scene = two_targets(0.0)._replace(beta=np.array(beta))
    # Two amplitudes of one response cannot be told apart, and the difference of amplitudes absorbs any shift.
    assert_unknown(several(*arguments_of(scene, rounding)), 0, 1, 2, 3)


@BOTH
def test_nearly_coinciding_targets_never_look_well_known(x64, rounding):
    # The bound rises with the inverse square of the separation, until rounding hides that J is regular: then it is inf.
    def trace(separation):
        return float(np.trace(several(*arguments_of(two_targets(separation), rounding))))

    law = 0.1**2 * np.trace(
        ref.crb(ref.fisher_information(two_targets(0.1), *random_design(0, two_targets(0.1)), SNAPSHOTS, NOISE_W))
    )
    for exponent in range(1, 10):
        separation = 10.0**-exponent
        assert trace(separation) > 0.5 * law / separation**2


def log_trace(turns, W_parts, scene, psi, snapshots, noise_w):
    """log tr CRB of phases added to psi and of the real and imaginary parts of W."""
    C = sensing.sensing_crb(
        scene, psi * jax.lax.complex(jnp.cos(turns), jnp.sin(turns)), jax.lax.complex(*W_parts), snapshots, noise_w
    )
    return jnp.log(C[0, 0] + C[1, 1])


value = jax.jit(log_trace)
slopes = jax.jit(jax.grad(log_trace, argnums=(0, 1)))


@given(st.integers(0, 10_000))
def test_gradients_equal_finite_differences(x64, seed):
    scene, psi, W, snapshots, noise_w = arguments_of(random_scene(seed), double, seed)
    turns, parts = jnp.zeros(psi.shape), jnp.stack([W.real, W.imag])
    by_turns, by_parts = slopes(turns, parts, scene, psi, snapshots, noise_w)
    rng = np.random.default_rng(seed)
    d_turns, d_parts = rng.standard_normal(turns.shape), rng.standard_normal(parts.shape)
    step = 1e-5
    ends = [
        float(value(turns + s * d_turns, parts + s * d_parts, scene, psi, snapshots, noise_w)) for s in (step, -step)
    ]
    predicted = float(jnp.sum(by_turns * d_turns) + jnp.sum(by_parts * d_parts))
    size = np.sqrt(float(jnp.sum(by_turns**2) + jnp.sum(by_parts**2)))
    # Central differences: the third derivative costs step^2 = 1e-10 times some hundreds, rounding 1e-13/step.
    assert abs((ends[0] - ends[1]) / (2 * step) - predicted) < 1e-6 * max(size, 1.0)


@pytest.mark.parametrize("only_sight", [False, True])
def test_gradients_float32_of_a_real_link(only_sight):
    scene = round_scene(paper_b_scene(1, rank_one=only_sight), single)
    psi, W = random_design(1, scene, streams=4)
    psi, W = single(psi), single(0.06 * W)
    results = []
    for rounding in (single, double):
        with jax.enable_x64(rounding is double):
            numbers = arrays(np.zeros(80), np.stack([W.real, W.imag]), rounding=rounding)
            built = SensingScene(**fields(scene, rounding)), *arrays(psi, rounding=rounding)
            results.append([np.asarray(x) for x in slopes(*numbers, *built, PAPER_B_SNAPSHOTS, PAPER_B_NOISE_W)])
    for narrow, wide in zip(*results, strict=True):
        assert narrow.dtype == np.float32
        # The bound keeps 5e-6 of itself; its slopes pass the same sums once more.
        assert np.linalg.norm(narrow - wide) < 2e-5 * np.linalg.norm(wide)
