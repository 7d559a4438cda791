"""Paper B's system against points in space, explicit sums and closed forms."""

import dataclasses
import functools
import math
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import hris as ref
from reference.propagation import path_amplitude
from reference.tools import EPS32, assert_close, assert_near, complex_normal, double, single
from reference.units import C

from thzjax.systems.base import Design
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.scenario import build, preset

# No two gains, noises or spreads alike, as they are in the presets: taking one for another must show.
SMALL = HrisScenario(
    bs_shape=(2, 3),
    surface_shape=(3, 4),
    sensor_shape=(2, 2),
    num_active=5,
    num_users=3,
    bs_gain_dbi=6.0,
    element_gain_dbi=4.0,
    sensor_gain_dbi=3.0,
    user_gain_dbi=18.0,
    ray_spread_deg=(50.0, 40.0),
    dynamic_noise_dbm=-82.0,
    min_sinr_db=-12.0,
)
LITERAL = preset("paper-b-literal")
M, N, K = 6, 12, 3
DROPS = 1000
LIMITS = ("bs_power", "surface_power", "target_noise", "amplitude")
seeds = st.integers(0, 10_000)


def small(**changes):
    return dataclasses.replace(SMALL, **changes)


OTHERS = {
    "levels and colored noise": small(phase_bits=3, noise_model="colored", dynamic_noise_dbm=-60.0),
    "full noise, mirrored departure": small(noise_model="full", departure="paper", dynamic_noise_dbm=-50.0),
}


def sizes_of(scenario):
    names = ("surface_shape", "sensor_shape", "phase_bits", "noise_model", "departure")
    return ref.Sizes(*(getattr(scenario, name) for name in names))


@functools.partial(jax.jit, static_argnums=0)
def sample(system, key, params):
    return system.sample(key, params)


@functools.cache
def small_channels():
    """One drop of the small system in float64, as NumPy arrays."""
    with jax.enable_x64(True):
        system, params = build(SMALL)
        return jax.tree.map(np.asarray, sample(system, jax.random.key(5), params))


@functools.partial(jax.jit, static_argnums=0)
def judged(system, params, channels, design):
    """Everything that is said of a design."""
    outcome = system.outcome(params, channels, design)
    return {
        "rates": outcome.rates,
        "slack": outcome.slack,
        "measures": system.measures(params, channels, design),
        "sinr": system.sinr(params, channels, design),
        "user_noise": system.user_noise(params, channels, design.reflection),
        "effective_channel": system.effective_channel(channels, design.reflection),
    }


@functools.partial(jax.jit, static_argnums=0)
def projected(system, params, channels, design):
    return system.project(params, channels, design)


def expected(params, channels, sizes, W, psi):
    """What `judged` should say."""
    measures, sinr = ref.measures(params, channels, sizes, W, psi), ref.sinr(params, channels, W, psi)
    return {
        "rates": np.log2(1 + sinr),
        "slack": ref.slack(params, channels, W, psi, measures),
        "measures": measures,
        "sinr": sinr,
        "user_noise": ref.user_noise(params, channels, psi),
        "effective_channel": ref.effective_channel(channels, psi),
    }


def arbitrary(seed, params, channels, loudness=1.0):
    """W with `loudness` times the budget, psi with active elements up to 1.4 a_max and passive ones near 1."""
    users, elements = channels.surface_to_user.shape
    antennas, rng = channels.direct.shape[1], np.random.default_rng(seed)
    W = complex_normal(seed + 1, antennas, users + 1)
    W *= np.sqrt(loudness * float(params.power_w)) / np.linalg.norm(W)
    loud = rng.uniform(0.1, 1.4 * float(params.max_amplitude), elements)
    modulus = np.where(np.asarray(channels.active) > 0, loud, rng.uniform(0.8, 1.2, elements))
    return W, modulus * np.exp(2j * np.pi * rng.random(elements))


def as_design(W, psi):
    return Design(beamformer=jnp.asarray(W), reflection=jnp.asarray(psi))


def masked(channels, active):
    return channels.replace(active=np.asarray(active, channels.active.dtype))


def assert_says(actual, wanted):
    """Sums of N M products that cancel to their root lose N M eps = 1e-12 at full size; a near-singular Fisher
    information (condition up to 1e5 after equilibration) loses five digits more."""
    assert set(actual["slack"]) == set(wanted["slack"])
    assert set(actual["measures"]) == set(wanted["measures"])
    for part in ("rates", "sinr", "user_noise"):
        assert_close(actual[part], wanted[part], 1e-10)
    assert_near(actual["effective_channel"], wanted["effective_channel"], 1e-10)
    for part, value in wanted["measures"].items():
        assert_close(actual["measures"][part], value, 1e-7 if part == "crb_rad2" else 1e-10)
    for part, value in wanted["slack"].items():
        # 1 - x is as exact as the larger of 1 and x.
        allowed = (1e-7 if part == "crb" else 1e-10) * max(1, abs(value))
        np.testing.assert_allclose(actual["slack"][part], value, rtol=0, atol=allowed, err_msg=part)


# --- outcome ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loudness", [1.0, 1e4])
def test_the_paper_size_is_judged_as_the_reference_judges(x64, loudness):
    # The louder design lives on interference, the softer one on noise.
    for name, active in (("paper-b", None), ("paper-b-tight", np.ones(80))):
        system, params = build(preset(name))
        channels = sample(system, jax.random.key(1), params)
        channels = channels if active is None else masked(channels, active)
        W, psi = arbitrary(3, params, channels, loudness)
        actual = judged(system, params, channels, as_design(W, psi))
        assert_says(actual, expected(params, channels, sizes_of(preset(name)), W, psi))


@pytest.mark.parametrize("active", [0, 5, N])
def test_any_mask_is_judged_as_the_reference_judges(x64, active):
    system, params = build(SMALL)
    channels = masked(small_channels(), np.random.default_rng(active).permutation(np.arange(N) < active))
    for seed, loudness in ((0, 1.0), (10, 1e6)):
        W, psi = arbitrary(seed, params, channels, loudness)
        actual = judged(system, params, channels, as_design(W, psi))
        assert_says(actual, expected(params, channels, sizes_of(SMALL), W, psi))


@pytest.mark.parametrize("name", OTHERS)
def test_other_systems_are_judged_as_the_reference_judges(x64, name):
    system, params = build(OTHERS[name])
    # One set of channels for all: only what is said of them differs.
    channels = small_channels()
    W, psi = arbitrary(5, params, channels, 100.0)
    actual = judged(system, params, channels, as_design(W, psi))
    assert_says(actual, expected(params, channels, sizes_of(OTHERS[name]), W, psi))


def test_a_passive_surface_spends_nothing_and_only_the_named_constraints_are_said():
    system, params = build(small(num_active=0, p_bs_dbm=45.0, constraints=("surface_power", "target_noise")))
    channels = jax.tree.map(single, masked(small_channels(), np.zeros(N)))
    design = as_design(*(single(x) for x in arbitrary(0, params, channels, 1e4)))
    assert jax.jit(system.outcome)(params, channels, design).slack == {"surface_power": 1, "target_noise": 1}


@pytest.mark.parametrize(
    ("max_amplitude", "active", "passive", "slack"),
    [(5, 4, 1, 0), (5, 6, 1, -0.2), (5, 4, 0.7, -0.3), (5, 4, 1.3, -0.3), (5, 6, 1.1, -0.2), (0.5, 0.4, 1, 0)],
)
def test_amplitudes_are_limited_by_kind_of_element(x64, max_amplitude, active, passive, slack):
    system, params = build(small(max_amplitude=max_amplitude))
    channels = small_channels()
    modulus = np.where(channels.active > 0, 0.3, 1.0)
    # One element of each kind is at the amplitude in question, its fellows well inside.
    modulus[np.argmax(channels.active)], modulus[np.argmin(channels.active)] = active, passive
    psi = modulus * np.exp(1j * np.arange(N))
    said = judged(system, params, channels, as_design(arbitrary(0, params, channels)[0], psi))
    np.testing.assert_allclose(said["slack"]["amplitude"], slack, atol=1e-12)


def test_silence_has_no_bound_and_its_slack_is_the_floor(x64):
    system, params = build(SMALL)
    said = judged(system, params, small_channels(), as_design(np.zeros((M, K + 1), complex), np.ones(N, complex)))
    assert float(said["measures"]["crb_rad2"]) == math.inf
    assert float(said["slack"]["crb"]) == -1e6
    assert float(said["slack"]["min_sinr"]) == -1
    assert float(said["slack"]["bs_power"]) == 1


def test_float32_is_as_near_as_its_rounded_products_allow():
    system, params = build(SMALL)
    channels = jax.tree.map(single, small_channels())
    W, psi = (single(x) for x in arbitrary(7, params, channels, 100.0))
    actual = judged(system, params, channels, as_design(W, psi))
    rng = np.random.default_rng(0)

    def reference(shaken):
        """The same numbers in float64, each input moved by up to `shaken`."""

        def move(x):
            return x * (1 + shaken * (rng.uniform(-1, 1, x.shape) + 1j * rng.uniform(-1, 1, x.shape)))

        moved = {name: move(double(getattr(channels, name))) for name in ("bs_to_surface", "surface_to_user")}
        wide = jax.tree.map(double, channels).replace(**moved)
        return expected(jax.tree.map(double, params), wide, sizes_of(SMALL), move(double(W)), move(double(psi)))

    exact = reference(0.0)
    flat, tree = jax.tree.flatten(exact)
    # A computed sum of n products is the exact one of inputs moved by up to n eps/2, and by some sqrt(n) eps/2 where
    # roundings are independent; n is N + M + 8 with scales and squares. Allowed are 4 times the worst of 24 random
    # moves of that size; what no input moves (a limit, 1 - x) still rounds at the larger of its terms.
    moved = [jax.tree.leaves(reference((N + M + 8) ** 0.5 * EPS32 / 2)) for _ in range(24)]
    spread = [
        np.max(np.abs(np.stack(many) - leaf), axis=0) for many, leaf in zip(zip(*moved, strict=True), flat, strict=True)
    ]
    assert jax.tree.structure(actual) == tree
    slack = {id(leaf) for leaf in jax.tree.leaves(exact["slack"])}
    for value, leaf, allowed in zip(jax.tree.leaves(actual), flat, spread, strict=True):
        assert value.dtype in (jnp.float32, jnp.complex64)
        largest = np.maximum(np.abs(leaf), 1) if id(leaf) in slack else np.abs(leaf)
        assert np.all(np.abs(double(value) - leaf) <= 4 * allowed + 8 * EPS32 * largest)


# --- projection -------------------------------------------------------------------------------------------------


def limits_at(params, surface_power, target_noise):
    return params.replace(
        surface_power_w=params.surface_power_w * surface_power,
        max_target_noise_w=params.max_target_noise_w * target_noise,
    )


def close_design(actual, W, psi, rtol=1e-10):
    assert_near(actual.beamformer, W, rtol)
    assert_near(actual.reflection, psi, rtol)


def least_slack(params, channels, design):
    """Worst of the slacks that a projection guarantees, from the reference."""
    W, psi = np.asarray(design.beamformer), np.asarray(design.reflection)
    measures = {
        "min_sinr": 1.0,
        "crb_rad2": 0.0,
        "surface_power_w": ref.surface_power_w(params, channels, W, psi),
        "target_noise_w": ref.target_noise_w(params, channels, psi),
    }
    slack = ref.slack(params, channels, W, psi, measures)
    return min(slack[name] for name in LIMITS)


@given(
    seed=seeds,
    bits=st.sampled_from([0, 3]),
    active=st.integers(0, N),
    loudness=st.sampled_from([0.1, 1.0, 50.0]),
    surface_power=st.floats(-3.0, 1.0),
    target_noise=st.floats(-2.0, 1.0),
)
def test_projection_is_the_closed_form_and_its_joint_factor_the_largest(
    x64, seed, bits, active, loudness, surface_power, target_noise
):
    scenario = small(phase_bits=bits)
    system, params = build(scenario)
    # The budgets range from far too small for any active element to far too large.
    params = limits_at(params, 10**surface_power, 10**target_noise)
    channels = small_channels()
    channels = masked(channels, np.random.default_rng(seed).permutation(np.arange(N) < active))
    W, psi = arbitrary(seed, params, channels, loudness)
    design = projected(system, params, channels, as_design(W, psi))
    wanted_W, wanted_psi, factor = ref.project(params, channels, sizes_of(scenario), W, psi)
    close_design(design, wanted_W, wanted_psi)
    # Exact up to rounding of the sums, N M terms.
    assert least_slack(params, channels, design) >= -1e-13
    again = projected(system, params, channels, design)
    close_design(again, design.beamformer, design.reflection, 1e-13)
    if factor < 1:
        louder = np.where(np.asarray(channels.active) > 0, 1 + 1e-4, 1) * np.asarray(design.reflection)
        assert least_slack(params, channels, design.replace(reflection=louder)) < -1e-4


def test_either_budget_and_neither_set_the_factor(x64):
    # The cases that the property above must have met for its last line to mean anything.
    system, params = build(SMALL)
    channels = small_channels()
    W, psi = arbitrary(0, params, channels, 1.0)
    for surface_power, target_noise, bound in (
        (1e-3, 1e3, "surface_power"),
        (1e3, 1e-2, "target_noise"),
        (1e3, 1e3, None),
    ):
        limited = limits_at(params, surface_power, target_noise)
        design = projected(system, limited, channels, as_design(W, psi))
        slack = judged(system, limited, channels, design)["slack"]
        for name in ("surface_power", "target_noise"):
            if name == bound:
                np.testing.assert_allclose(slack[name], 0, atol=1e-13)
            else:
                assert float(slack[name]) > 0.1
        modulus = np.abs(design.reflection)[np.asarray(channels.active) > 0]
        cut = np.minimum(np.abs(psi)[np.asarray(channels.active) > 0], 5)
        np.testing.assert_allclose(modulus / cut, modulus[0] / cut[0], rtol=1e-12)
        assert (modulus[0] < cut[0] * (1 - 1e-9)) == (bound is not None)


def test_projection_in_float32_is_feasible_and_idempotent():
    system, params = build(SMALL)
    params = limits_at(params, 1e-3, 1.0)
    channels = jax.tree.map(single, small_channels())
    for seed in range(4):
        W, psi = (single(x) for x in arbitrary(seed, params, channels, 50.0))
        design = projected(system, params, channels, as_design(W, psi))
        # A float32 slack counts as satisfied from -1e-5: N M roundings are below that.
        assert (
            least_slack(jax.tree.map(double, params), jax.tree.map(double, channels), jax.tree.map(double, design))
            > -1e-5
        )
        again = projected(system, params, channels, design)
        close_design(again, design.beamformer, design.reflection, 2e-6)


@pytest.mark.parametrize("bits", [0, 3])
def test_snapping_gives_the_nearest_phase_at_the_loudest(x64, bits):
    system, params = build(small(phase_bits=bits))
    channels, phase = small_channels(), np.linspace(-7.0, 7.0, N)
    step = 2 * np.pi / 8
    nearest = np.round(phase / step) * step if bits else phase
    wanted = np.where(channels.active > 0, 5.0, 1.0) * np.exp(1j * nearest)
    assert_near(system.snap(params, channels, jnp.asarray(phase)), wanted, 1e-12)
    assert system.continuous == dataclasses.replace(system, phase_bits=0)
    assert system.spec.phase_bits == bits


def test_a_random_design_spends_its_budget_and_keeps_every_limit_that_scaling_can(x64):
    system, params = build(small(phase_bits=3))
    channels = small_channels()
    random_design = jax.jit(system.random_design)
    designs = [random_design(jax.random.key(i), params, channels) for i in range(2)]
    for design in designs:
        assert least_slack(params, channels, design) >= -1e-13
        np.testing.assert_allclose(np.sum(np.abs(design.beamformer) ** 2), 10.0, rtol=1e-12)
        passive = np.asarray(design.reflection)[channels.active == 0]
        np.testing.assert_allclose(np.exp(8j * np.angle(passive)), 1, atol=1e-10)
    assert not np.allclose(designs[0].reflection, designs[1].reflection)


@pytest.mark.parametrize("name", SMALL.constraints)
def test_a_limit_taken_away_is_that_one_alone(x64, name):
    system, params = build(SMALL)
    channels = small_channels()
    W, psi = arbitrary(1, params, channels, 10.0)
    psi = np.where(channels.active > 0, psi, psi / np.abs(psi))
    design = as_design(W, psi)
    params = limits_at(params, 1e-4, 1e-3).replace(
        min_sinr=params.min_sinr * 10, max_crb_rad2=params.max_crb_rad2 * 1e-3
    )
    before = judged(system, params, channels, design)["slack"]
    after = judged(system, system.without(params, name), channels, design)["slack"]
    for other in before:
        if other == name:
            assert float(before[other]) < -0.1
            # No passive element is off its modulus here: the other half of the amplitude's slack is rounding.
            assert float(after[other]) >= -1e-12
        else:
            assert float(after[other]) == float(before[other])


# --- channels ---------------------------------------------------------------------------------------------------


def spherical(amplitude, elements_m, sources_m, dist_m, freq_hz):
    """Channel between point elements from exact distances, and how far plane waves may be off it.

    With r the difference of the elements' offsets, | |d u + r| - (d + u.r) | <= |r|^2/(2 (d - |r|)).
    """
    dist = ref.exact_distances(sources_m, elements_m)
    aperture = (
        np.linalg.norm(elements_m - elements_m[0], axis=1).max()
        + np.linalg.norm(sources_m - sources_m[0], axis=1).max()
    )
    allowed = 2 * np.pi * freq_hz / C * aperture**2 / (2 * (dist_m - aperture))
    return amplitude * np.exp(-2j * np.pi * freq_hz / C * (dist - dist_m)), allowed


def test_line_of_sight_is_that_of_points_in_space(x64):
    system, params = build(LITERAL)
    channels = sample(system, jax.random.key(0), params)
    assert not np.any(channels.direct)
    # Plane waves from the elements' positions: the phase of 5 m is 3e4 rad, of which eps leaves 1e-11.
    G = ref.bs_link(params, LITERAL.bs_shape, LITERAL.surface_shape)
    assert_near(channels.bs_to_surface, G, 1e-9)
    assert_near(channels.surface_to_user, ref.user_link(params, LITERAL.surface_shape, channels.user_position_m), 1e-9)
    # Spherical waves between the same points: the base station turned so that it sees the surface where it should.
    freq, dist = LITERAL.freq_hz, LITERAL.bs_dist_m
    surface = ref.element_positions(LITERAL.surface_shape, freq)
    towards = ref.direction(*np.radians(LITERAL.bs_arrival_deg))
    turn = ref.turn_onto(ref.direction(*np.radians(LITERAL.bs_departure_deg)), -towards)
    bs = dist * towards + ref.element_positions(LITERAL.bs_shape, freq) @ turn.T
    amplitude = np.sqrt(10 ** (0.5 + 0.5)) * path_amplitude(freq, dist, 0.0033)
    exact, allowed = spherical(amplitude, surface, bs, dist, freq)
    assert allowed < 0.1
    assert np.max(np.abs(channels.bs_to_surface - exact)) <= allowed * abs(amplitude)
    for k, position in enumerate(np.asarray(channels.user_position_m)):
        user_dist = np.linalg.norm(position)
        amplitude = np.sqrt(10 ** (0.5 + 2.0)) * path_amplitude(freq, user_dist, 0.0033)
        exact, allowed = spherical(amplitude, surface, position[None], user_dist, freq)
        assert np.max(np.abs(channels.surface_to_user[k] - exact[:, 0])) <= (allowed + 1e-9) * abs(amplitude)


def test_line_of_sight_in_float32():
    system, params = build(LITERAL)
    channels = sample(system, jax.random.key(0), params)
    wide = jax.tree.map(double, params)
    # The path's phase is exact to 1e-4 rad; steering phases reach 2 pi 8 of which 4 eps are lost.
    tolerance = 1e-4 + 16 * np.pi * 4 * EPS32
    assert_near(channels.bs_to_surface, ref.bs_link(wide, LITERAL.bs_shape, LITERAL.surface_shape), tolerance)
    wanted = ref.user_link(wide, LITERAL.surface_shape, double(channels.user_position_m))

    def from_first(rows):
        # float32 positions are 1e-7 m off, 1e-3 rad: a phase common to the whole row.
        return rows / (rows[:, :1] / np.abs(rows[:, :1]))

    for row, want in zip(from_first(double(channels.surface_to_user)), from_first(wanted), strict=True):
        assert_near(row, want, 2 * tolerance)


def test_the_papers_departure_mirrors_the_surface_to_user_row_only(x64):
    system, params = build(small(departure="paper", num_rays_bs=0, num_rays_user=0))
    channels = sample(system, jax.random.key(1), params)
    mirrored, physical = (
        ref.user_link(params, SMALL.surface_shape, channels.user_position_m, kind) for kind in ("paper", "physical")
    )
    assert_near(channels.surface_to_user, mirrored, 1e-9)
    assert not np.allclose(mirrored, physical)
    assert_near(channels.bs_to_surface, ref.bs_link(params, SMALL.bs_shape, SMALL.surface_shape), 1e-9)


class Drops(typing.NamedTuple):
    """Many drops in float64 and what their lines of sight are."""

    bs_to_surface: np.ndarray
    surface_to_user: np.ndarray
    active: np.ndarray
    position: np.ndarray
    los_bs: np.ndarray
    los_user: np.ndarray


@functools.cache
def drops(**changes):
    with jax.enable_x64(True):
        system, params = build(small(**changes))
        keys = jax.random.split(jax.random.key(11), DROPS)
        many = jax.tree.map(np.asarray, jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(keys, params))
        position = many.user_position_m
        los_user = ref.user_link(params, SMALL.surface_shape, position.reshape(-1, 3)).reshape(DROPS, K, N)
        los_bs = ref.bs_link(params, SMALL.bs_shape, SMALL.surface_shape)
    return Drops(many.bs_to_surface, many.surface_to_user, many.active, position, los_bs, los_user)


def assert_uniform(values, low, high):
    """Kolmogorov-Smirnov: sqrt(n) times the largest gap passes 2.5 with probability 2 exp(-12.5) = 7e-6."""
    values = np.sort(np.ravel(values))
    assert low <= values[0]
    assert values[-1] <= high
    gap = np.abs((values - low) / (high - low) - (np.arange(values.size) + 0.5) / values.size).max()
    assert gap * np.sqrt(values.size) < 2.5


def assert_unrelated(*columns):
    """Correlations of n independent pairs have deviation 1/sqrt(n)."""
    table = np.corrcoef(np.stack([np.ravel(c) for c in columns]))
    assert np.abs(table - np.eye(len(columns))).max() < 5 / np.sqrt(np.size(columns[0]))


def test_users_are_uniform_in_distance_azimuth_and_elevation():
    dist, azimuth, elevation = np.array([[ref.angles(p) for p in users] for users in drops().position]).transpose(
        2, 0, 1
    )
    for values, low, high in ((dist, 2, 4), (azimuth, -np.pi / 3, np.pi / 3), (elevation, -np.pi / 6, np.pi / 6)):
        assert_uniform(values, low - 1e-12, high + 1e-12)
        deviation = (high - low) / np.sqrt(12 * values.size)
        assert abs(values.mean() - (low + high) / 2) < 5 * deviation
        assert_unrelated(*values.T)
    assert_unrelated(dist, azimuth, elevation)


def test_mean_power_is_the_line_of_sight_and_its_rays():
    many = drops()
    bs, user = np.abs(many.bs_to_surface / many.los_bs) ** 2, np.abs(many.surface_to_user / many.los_user) ** 2
    for ratio, rays in ((bs.mean(axis=(-2, -1)), SMALL.num_rays_bs), (user.mean(axis=-1), SMALL.num_rays_user)):
        deviation = ratio.std() / np.sqrt(ratio.size)
        assert deviation < 0.03
        assert abs(ratio.mean() - (1 + 0.1 * rays)) < 5 * deviation


def plane_wave_cosines(field, shape):
    """(cos(el) sin(az), sin(el)) of one plane wave on a half-wavelength array [..., rows*cols]."""
    grid = field.reshape(*field.shape[:-1], *shape)
    return (np.angle(grid[..., 1, 0] / grid[..., 0, 0]) / np.pi, np.angle(grid[..., 0, 1] / grid[..., 0, 0]) / np.pi)


def test_a_ray_is_one_plane_wave_with_a_complex_normal_gain_and_uniform_angles():
    many = drops(num_rays_bs=1, num_rays_user=1)
    bs, user = many.bs_to_surface - many.los_bs, many.surface_to_user - many.los_user
    gains = {
        "bs": bs[:, 0, 0] / (many.los_bs[0, 0] * np.sqrt(0.1)),
        "user": (user[..., 0] / (many.los_user[..., 0] * np.sqrt(0.1))).ravel(),
    }
    for gain in gains.values():
        # CN(0, 1): |g|^2 is exponential; means of g, g^2, |g|^2, |g|^4 have variances 1, 2, 1, 20.
        for moment, value, variance in ((gain, 0, 1), (gain**2, 0, 2), (abs(gain) ** 2, 1, 1), (abs(gain) ** 4, 2, 20)):
            assert abs(moment.mean() - value) < 5 * np.sqrt(variance / gain.size)
        assert_uniform(np.exp(-(np.abs(gain) ** 2)), 0, 1)
        assert_uniform(np.angle(gain), -np.pi, np.pi)
    ends = {
        "arrival": (bs[:, :, 0], SMALL.surface_shape),
        "departure": (bs[:, 0, :], SMALL.bs_shape),
        "users": (user, SMALL.surface_shape),
    }
    seen = []
    for name, (field, shape) in ends.items():
        across, up = plane_wave_cosines(field, shape)
        elevation = np.arcsin(up)
        azimuth = np.arcsin(across / np.cos(elevation))
        # The difference to the line of sight leaves the ray 1e-13 over its strength: the weakest are left out.
        strong = np.abs(field[..., 0]) > 1e-3 * np.abs(field[..., 0]).max()
        assert strong.mean() > 0.99
        assert_uniform(np.degrees(azimuth[strong]), -50 - 1e-4, 50 + 1e-4)
        assert_uniform(np.degrees(elevation[strong]), -40 - 1e-4, 40 + 1e-4)
        rows, cols = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
        wave = np.exp(1j * np.pi * (rows * across[..., None] + cols * up[..., None]))
        np.testing.assert_allclose((field / field[..., :1])[strong], wave[strong], atol=1e-6, err_msg=name)
        seen += [azimuth, elevation] if name != "users" else [*azimuth.T, *elevation.T]
    assert_unrelated(*seen)


def test_every_active_set_of_the_right_size_is_as_likely_as_any():
    active = drops().active
    assert set(np.unique(active)) == {0, 1}
    assert np.all(active.sum(axis=1) == SMALL.num_active)
    share = SMALL.num_active / N
    # Pearson's statistic of a sample without replacement has N - 1 degrees of freedom and variance 2 (N - 1).
    chi2 = np.sum((active.sum(axis=0) - DROPS * share) ** 2) / (DROPS * share * (1 - share)) * (N - 1) / N
    assert abs(chi2 - (N - 1)) < 5 * np.sqrt(2 * (N - 1))
    # Two given elements are both active with probability a (a - 1)/(N (N - 1)).
    pair = share * (SMALL.num_active - 1) / (N - 1)
    both = (active.T @ active)[np.triu_indices(N, 1)]
    assert np.abs(both - DROPS * pair).max() < 5 * np.sqrt(DROPS * pair * (1 - pair))
    # 1000 draws of 792 sets should meet 792 (1 - exp(-1000/792)) = 568 of them, with deviation below sqrt(568).
    assert abs(len(np.unique(active, axis=0)) - 568) < 5 * np.sqrt(568)


@pytest.mark.parametrize(("name", "active"), [("paper-b-passive", 0), ("paper-b", 30), ("fully active", 80)])
def test_the_paper_size_has_as_many_active_elements_as_it_says(name, active):
    system, params = build(HrisScenario(num_active=80) if name == "fully active" else preset(name))
    mask = jax.jit(lambda key: system.sample(key, params).active)(jax.random.key(0))
    assert mask.shape == (80,)
    assert np.sum(np.asarray(mask) == 1) == active
    assert np.sum(np.asarray(mask) == 0) == 80 - active


def test_the_rank_is_the_number_of_paths(x64):
    system, params = build(preset("paper-b"))
    values = np.linalg.svd(sample(system, jax.random.key(1), params).bs_to_surface, compute_uv=False)
    assert np.sum(values > 1e-9 * values[0]) == 6 == system.spec.rank
    for changes, rank in (({"num_rays_bs": 0}, 1), ({"num_rays_bs": 9}, M), ({"csi_error": 0.1, "num_rays_bs": 0}, M)):
        assert build(small(**changes))[0].spec.rank == rank
    spec = system.spec
    assert (spec.antennas, spec.users, spec.streams, spec.elements) == (64, 4, 5, 80)


# --- what a line of sight alone allows --------------------------------------------------------------------------


@functools.cache
def literal():
    """The literal preset, one drop in float64, and its SINR."""
    with jax.enable_x64(True):
        system, params = build(LITERAL)
        channels = jax.tree.map(np.asarray, sample(system, jax.random.key(0), params))
        return system, params, channels, jax.jit(system.sinr), jax.jit(system.effective_channel)


@given(seed=seeds, loudness=st.sampled_from([1e-2, 1.0, 1e4, 1e12]), sensing=st.booleans())
def test_one_path_leaves_the_users_one_unit_of_sinr_to_share(x64, seed, loudness, sensing):
    _, params, channels, sinr, effective_channel = literal()
    W, psi = arbitrary(seed, params, channels, loudness)
    W[:, -1] *= sensing
    H = np.asarray(effective_channel(channels, jnp.asarray(psi)))
    values = np.linalg.svd(H / np.linalg.norm(H, axis=1, keepdims=True), compute_uv=False)
    assert values[1] < 1e-9
    values = np.asarray(sinr(params, channels, as_design(W, psi)))
    shared = np.sum(values / (1 + values))
    assert shared <= 1 + 1e-12
    if loudness == 1e12 and not sensing:
        # Nothing but the users' own streams disturbs them: they share all there is.
        assert shared > 0.999


# --- knowledge --------------------------------------------------------------------------------------------------


def test_a_designer_sees_errors_on_links_that_exist_and_on_nothing_else():
    system, params = build(small(csi_error=0.1))
    channels = jax.tree.map(lambda x: np.broadcast_to(single(x), (500, *x.shape)), small_channels())
    # Three draws by the default generator take XLA five times as long to compile.
    seen = jax.jit(system.observe)(jax.random.key(1, impl="rbg"), params, channels)
    for name in ("bs_to_surface", "surface_to_user"):
        true, estimate = getattr(channels, name), getattr(seen, name)
        power = np.mean(np.abs(estimate - true) ** 2) / np.mean(np.abs(true) ** 2)
        # A mean of n exponentials of mean 0.1.
        assert abs(power - 0.1) < 5 * 0.1 / np.sqrt(estimate.size)
    assert not np.any(seen.direct)
    for name in ("active", "user_position_m"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(channels, name))
    exact, params = build(SMALL)
    assert exact.observe(jax.random.key(0), params, channels) is channels


def test_the_scene_is_that_of_the_link_budget(x64):
    system, params = build(SMALL)
    scene, wanted = (
        jax.jit(system.scene)(params, small_channels()),
        ref.scene(params, small_channels(), sizes_of(SMALL)),
    )
    assert_close(scene.beta, wanted.beta, 1e-9)
    # Angles 30 and 10 degrees, 3 m, 12.57 m^2, 4 and 3 dBi, one millimetre of wavelength.
    by_hand = np.sqrt(10**0.7 * (C / 0.3e12) ** 2 * 12.57 / ((4 * np.pi) ** 3 * 81)) * np.exp(-0.0033 * 3)
    np.testing.assert_allclose(np.abs(scene.beta), by_hand, rtol=1e-12)
    np.testing.assert_allclose(np.degrees([scene.azimuth_rad, scene.elevation_rad]), [30, 10], rtol=1e-12)
