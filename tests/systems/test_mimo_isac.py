"""Paper A's system with several antennas at each user, against plain geometry and the reference's determinants."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import mimo as ref
from reference.tools import complex_normal

from thzjax.beamforming.anchors import single_user_rate, sum_rate_bound
from thzjax.beamforming.designs import get_design
from thzjax.beamforming.receive import block_diagonalisation, one_antenna, stream_rows
from thzjax.errors import ConfigError
from thzjax.physics.link import by_user
from thzjax.systems.base import Design, satisfied
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build, preset

C = 299_792_458.0
SMALL = IrsScenario(num_users=2, user_antennas=2)


def drawn(scenario, num=8):
    system, params = build(scenario)
    keys = jax.random.split(jax.random.key(5), num)
    return system, params, jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(keys, params)


def test_the_preset_has_the_papers_sizes():
    system, params, channels = drawn(preset("paper-a-mimo"), 2)
    assert (system.spec.antennas, system.spec.users, system.spec.user_antennas) == (5, 4, 4)
    assert (system.spec.user_streams, system.spec.streams) == (4, 16)
    assert channels.direct.shape == (2, 4, 4, 5)
    assert channels.surface_to_user.shape == (2, 4, 4, 16)
    assert system.user_noise(params, channels, None).shape == (2, 4)


def test_the_first_antenna_sees_what_a_user_with_one_antenna_does():
    """Arrays are counted from the corner, so the first element's phases are those of the paths."""
    _, _, several = drawn(IrsScenario(user_antennas=3))
    _, _, one = drawn(IrsScenario())
    for name in ("direct", "surface_to_user"):
        scale = np.max(np.abs(getattr(one, name)))
        np.testing.assert_allclose(getattr(several, name)[:, :, 0], getattr(one, name), atol=1e-6 * scale)
    np.testing.assert_array_equal(several.bs_to_surface, one.bs_to_surface)


def test_line_of_sight_arrives_as_from_points_in_space(x64):
    scenario = dataclasses.replace(IrsScenario(user_antennas=4), num_rays=0, rician_factor=1e12)
    system, params = build(scenario)
    channels = system.sample(jax.random.key(3), params)
    half = C / scenario.freq_hz / 2
    bs = np.array([[0, m * half, 0] for m in range(5)])
    surface = np.array([[4 + r * half, 3, 0.5 + c * half] for r in range(4) for c in range(4)])
    for k, position in enumerate(np.asarray(channels.user_position_m)):
        user = position + np.array([[0, r * half, 0] for r in range(4)])
        for sources, found in ((bs, channels.direct[k]), (surface, channels.surface_to_user[k])):
            dist = np.linalg.norm(user[:, None] - sources[None], axis=-1)
            expected = np.exp(-2j * np.pi * (dist - dist[0, 0]) * scenario.freq_hz / C)
            found = np.asarray(found) / np.asarray(found)[0, 0]
            # Plane against spherical waves over two apertures of up to 1.4 mm at 0.9 m: 0.02 rad each.
            np.testing.assert_allclose(found, expected, rtol=0, atol=0.04)


def test_rates_are_the_references_determinants(x64):
    system, params, channels = drawn(SMALL, 3)
    design = system.random_design(jax.random.key(0), params, channels)
    rates = system.outcome(params, channels, design).rates
    for b in range(3):
        H = ref.cascaded_channel_mimo(
            *(np.asarray(x[b]) for x in (channels.direct, channels.surface_to_user, design.reflection)),
            np.asarray(channels.bs_to_surface[b]),
        )
        W = np.stack([np.asarray(design.beamformer[b][:, 2 * k : 2 * k + 2]) for k in range(2)])
        # In units of the noise: the reference inverts matrices as they are.
        H = H / np.sqrt(float(params.noise_w))
        np.testing.assert_allclose(rates[b], ref.mimo_rates(H, W, 1.0), rtol=1e-9)


def test_each_users_pattern_may_be_limited_on_its_own():
    scenario = dataclasses.replace(SMALL, constraints=("antenna_power", "user_beam_pattern"), pattern_threshold=0.2)
    system, params, channels = drawn(scenario, 16)
    design = system.project(params, channels, system.random_design(jax.random.key(0), params, channels))
    assert not bool(jnp.any(satisfied(system.outcome(params, channels, design).slack)))
    met = system.meet(params, channels, design)
    outcome = system.outcome(params, channels, met)
    assert bool(jnp.all(satisfied(outcome.slack)))
    # As large as the worse of the two allows.
    np.testing.assert_allclose(outcome.slack["user_beam_pattern"], 0, atol=1e-4)
    errors = system.user_pattern_errors(params, met)
    for k in range(2):
        alone = Design(by_user(met.beamformer, 2)[:, k], met.reflection)
        np.testing.assert_allclose(errors[:, k], system.pattern_error(params, alone), rtol=1e-6)
    assert bool(jnp.all(satisfied(system.outcome(params, channels, met).slack)))


def test_streams_are_the_strongest_ways_to_listen():
    system, _ = build(dataclasses.replace(SMALL, user_antennas=3, user_streams=2))
    H = jnp.asarray(complex_normal(0, 2, 3, 5), jnp.complex64)
    rows = np.asarray(stream_rows(system, H)).reshape(2, 2, 5)
    for k in range(2):
        values = np.linalg.svd(np.asarray(H[k]), compute_uv=False)
        # 64 power iterations of well separated values.
        np.testing.assert_allclose(np.linalg.norm(rows[k], axis=-1), values[:2], rtol=1e-4)
        assert abs(np.vdot(rows[k][0], rows[k][1])) < 1e-3 * values[0] ** 2


def test_block_diagonal_beams_are_heard_by_one_user_alone(x64):
    system, _ = build(SMALL)
    H = jnp.asarray(complex_normal(1, 4, 2, 2, 5))
    W = by_user(block_diagonalisation(system, H), 2)
    received = np.abs(np.einsum("bkrm,blmd->bklrd", H, W))
    assert np.max(received[:, 0, 1]) < 1e-10
    assert np.max(received[:, 1, 0]) < 1e-10
    assert np.min(np.linalg.norm(received[:, 0, 0], axis=(-2, -1))) > 0.1
    np.testing.assert_allclose(
        np.einsum("bkmd,bkme->bkde", np.conj(W), W), np.eye(2)[None, None].repeat(4, 0).repeat(2, 1), atol=1e-9
    )


def test_block_diagonalisation_needs_dimensions_to_spare():
    system, params = build(preset("paper-a-mimo"))
    channels = jax.eval_shape(system.sample, jax.random.key(0), params)
    with pytest.raises(ConfigError, match="5 - 3 \\* 4 = -7 are left for D=4"):
        jax.eval_shape(lambda c: get_design("zf", "focused")(system, params, c, jax.random.key(0)), channels)
    with pytest.raises(ConfigError, match="fractional_programming is for users with one antenna"):
        jax.eval_shape(
            lambda c: get_design("fractional_programming", "focused")(system, params, c, jax.random.key(0)), channels
        )


def test_one_antenna_of_a_pure_line_of_sight_loses_nothing():
    """All of a user's antennas hear one wave: combined, they hear it R times stronger in power."""
    scenario = dataclasses.replace(IrsScenario(user_antennas=4), num_rays=0, rician_factor=1e12, blockage_db=200.0)
    _, _, channels = drawn(scenario)
    combined = one_antenna(channels)
    whole = np.linalg.norm(channels.surface_to_user, axis=-2)
    np.testing.assert_allclose(np.abs(combined.surface_to_user), whole, rtol=1e-3)
    assert one_antenna(combined) is combined


def test_anchors_enclose_what_designs_reach():
    scenario = dataclasses.replace(SMALL, constraints=("antenna_power",), phase_bits=0)
    system, params, channels = drawn(scenario, 16)
    design = get_design("wmmse_sum", "focused")(system, params, channels, jax.random.key(0))
    reached = jnp.sum(system.outcome(params, channels, system.project(params, channels, design)).rates, axis=-1)
    alone, bound = single_user_rate(system, params, channels), sum_rate_bound(system, params, channels)
    assert bool(jnp.all(reached < bound))
    assert bool(jnp.all(alone < bound))
    # Two users over the same surface: better than one alone on most drops, and never twice that.
    assert float(jnp.mean(reached)) > 0.9 * float(jnp.mean(alone))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user_antennas": 0}, "user_antennas=0"),
        ({"user_antennas": 1, "user_streams": 2}, "user_streams=2"),
        ({"user_antennas": 2, "user_streams": 3}, "user_streams=3 must lie in 1..user_antennas=2"),
    ],
)
def test_impossible_antennas_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build(dataclasses.replace(IrsScenario(), **options))
