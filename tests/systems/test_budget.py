"""Link budgets add up: each to what the simulator says of a channel without scattered rays, to float64 rounding."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thzjax.physics import sensing
from thzjax.systems.base import Design
from thzjax.systems.budget import absorption_db, in_phase_db, spreading_db
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.hris_view import active_amplitude, crb_at_unit_snr
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build
from thzjax.systems.views import link_budgets

# Sums of twenty logarithms of magnitude 100, each good to 1e-14 of itself.
DB = 1e-9
pytestmark = pytest.mark.usefixtures("quickly_compiled")
# No two gains alike, and absorption that shows.
IRS = IrsScenario(
    num_users=1, num_rays=0, phase_bits=0, surface_shape=(3, 4), k_abs=0.05, bs_gain_dbi=24.0, user_gain_dbi=22.0,
    rician_factor=3.0, blockage_db=13.0,
)  # fmt: skip
HYBRID = HrisScenario(
    bs_shape=(2, 3), surface_shape=(3, 4), sensor_shape=(2, 3), num_active=5, num_users=1, num_rays_bs=0,
    num_rays_user=0, bs_gain_dbi=6.0, element_gain_dbi=4.0, sensor_gain_dbi=3.0, user_gain_dbi=18.0, k_abs=0.05,
    dynamic_noise_dbm=-62.0, target_noise_dbm=-110.0, p_surface_dbm=20.0,
)  # fmt: skip
IRS_CASES = {
    "one antenna": {},
    "open direct link": {"blockage_db": 0.0},
    "several antennas": {"user_antennas": 3, "blockage_db": 3.0},
    "several antennas, fewer streams": {"user_antennas": 3, "user_streams": 2, "blockage_db": 0.0},
    "one BS antenna": {"num_antennas": 1},
    "steering at its word": {"channel_steering": "literal", "blockage_db": 0.0},
    "gains at their word": {"path_gain": "power"},
}
HYBRID_CASES = {
    "amplitudes at their limit": {},
    "surface power binds": {"p_surface_dbm": -32.0},
    "noise at the target binds": {"target_noise_dbm": -136.0},
    "limits not in force": {
        "p_surface_dbm": -32.0, "target_noise_dbm": -136.0, "constraints": ("bs_power", "amplitude"),
    },
    "nothing amplifies": {"num_active": 0},
    "mirrored departure": {"departure": "paper"},
}  # fmt: skip
POSITION_M = np.array([[3.1, -0.7, 0.2]])


def decibels(x):
    return 10 * np.log10(x)


def snr_db(outcome):
    return decibels(np.expm1(float(outcome.rates[0]) * math.log(2)))


def irs_case(name, position_m=POSITION_M):
    system, params = build(dataclasses.replace(IRS, **IRS_CASES[name]))
    channels = system.sample(jax.random.key(1), params, jnp.asarray(position_m))
    return system, params, channels


def rows(channels):
    """Direct and reflected links of the one user as matrices, its antennas first."""
    d, h, G = (np.asarray(x, complex) for x in (channels.direct, channels.surface_to_user, channels.bs_to_surface))
    return d.reshape(-1, G.shape[1]), h.reshape(-1, G.shape[0]), G


def strongest_beam(system, params, H):
    """All the power on the strongest right singular vector, as the first of all streams."""
    beam = np.conj(np.linalg.svd(H)[2][0])
    W = np.zeros((H.shape[1], system.spec.streams), complex)
    W[:, 0] = math.sqrt(float(params.power_w)) * beam
    return jnp.asarray(W)


def irs_snr_db(system, params, channels, turn=0.0):
    """What the simulator gives one user with aligned phases; `turn` misses the direct link's phase."""
    d, h, G = rows(channels)
    psi = np.exp(-1j * np.angle(h[0] * G[:, 0]))
    psi = psi * np.exp(1j * turn - 1j * np.angle(np.sum(np.conj(d) * ((h * psi) @ G))))
    W = strongest_beam(system, params, d + (h * psi) @ G)
    return snr_db(system.outcome(params, channels, Design(W, jnp.asarray(psi))))


@pytest.mark.parametrize("name", IRS_CASES)
def test_over_the_surface_it_is_the_simulators_snr(name, x64):
    system, params, channels = irs_case(name)
    budget = link_budgets(system, params, jnp.asarray(POSITION_M[0]))["over the surface"]
    assert abs(float(budget.snr_db) - irs_snr_db(system, params, channels)) < DB
    assert len(budget.names) == len(set(budget.names)) == len(budget.gains_db)
    # Whatever the direct link's phase, no more.
    assert irs_snr_db(system, params, channels, 2.0) <= float(budget.snr_db) + DB


@pytest.mark.parametrize("name", IRS_CASES)
def test_the_direct_link_is_the_simulators_without_a_surface(name, x64):
    system, params, channels = irs_case(name)
    W = strongest_beam(system, params, rows(channels)[0])
    dark = channels.replace(surface_to_user=0 * channels.surface_to_user)
    outcome = system.outcome(params, dark, Design(W, jnp.ones(system.spec.elements, complex)))
    direct = link_budgets(system, params, jnp.asarray(POSITION_M[0]))["direct"]
    assert abs(float(direct.snr_db) - snr_db(outcome)) < DB


def test_without_elements_only_the_direct_link_is_left():
    system, params = build(dataclasses.replace(IRS, surface_shape=(0, 0)))
    assert list(link_budgets(system, params, jnp.asarray(POSITION_M[0]))) == ["direct"]


@given(st.floats(1.5, 6.0), st.floats(-2.0, 2.0), st.floats(-1.0, 1.0))
def test_it_adds_up_wherever_the_user_stands(x, y, z):
    with jax.enable_x64(True):
        position = np.array([[x, y, z]])
        system, params, channels = irs_case("open direct link", position)
        budget = link_budgets(system, params, jnp.asarray(position[0]))["over the surface"]
        assert abs(float(budget.snr_db) - irs_snr_db(system, params, channels)) < DB


def hybrid_case(name):
    """A system without rays, its channels, and its loudest design whose every path to `towards` is in phase."""
    system, params = build(dataclasses.replace(HYBRID, **HYBRID_CASES[name]))
    channels = system.sample(jax.random.key(2), params, jnp.asarray(POSITION_M))
    G = np.asarray(channels.bs_to_surface)

    def aligned(towards):
        psi = np.exp(-1j * np.angle(towards * G[:, 0]))
        psi = np.where(np.asarray(channels.active) > 0, float(params.max_amplitude), 1) * psi
        design = Design(strongest_beam(system, params, (towards * psi)[None] @ G), jnp.asarray(psi))
        return system.project(params, channels, design)

    return system, params, channels, aligned


@pytest.mark.parametrize("name", HYBRID_CASES)
def test_over_the_hybrid_surface_it_is_the_simulators_snr(name, x64):
    system, params, channels, aligned = hybrid_case(name)
    design = aligned(np.asarray(channels.surface_to_user[0]))
    budget = link_budgets(system, params, jnp.asarray(POSITION_M[0]))["over the surface"]
    assert abs(float(budget.snr_db) - snr_db(system.outcome(params, channels, design))) < DB
    loud = np.abs(np.asarray(design.reflection))[np.asarray(channels.active) > 0]
    np.testing.assert_allclose(loud, float(active_amplitude(system, params)) if len(loud) else [], rtol=1e-12)


def test_each_limit_binds_where_it_should(x64):
    found = {}
    for name in HYBRID_CASES:
        system, params = build(dataclasses.replace(HYBRID, **HYBRID_CASES[name]))
        found[name] = float(active_amplitude(system, params)) if system.num_active else None
    free = HYBRID.max_amplitude
    assert found["amplitudes at their limit"] == found["limits not in force"] == free
    assert found["surface power binds"] < free > found["noise at the target binds"]


@pytest.mark.parametrize("noise_model", ["white", "colored"])
@pytest.mark.parametrize("name", HYBRID_CASES)
def test_the_echo_is_the_simulators_and_so_is_the_bound(name, noise_model, x64):
    system, params, channels, aligned = hybrid_case(name)
    system = dataclasses.replace(system, noise_model=noise_model)
    scene = system.scene(params, channels)
    design = aligned(np.asarray(sensing.scene.departure_row(scene)))
    echo = link_budgets(system, params, jnp.asarray(POSITION_M[0]))["echo"]
    snr = sensing.radar_snr(scene, design.reflection, design.beamformer, params.snapshots, params.noise_w)
    assert abs(float(echo.snr_db) - decibels(float(snr))) < DB
    bound = decibels(float(crb_at_unit_snr(system, params))) - float(echo.snr_db)
    # The simulator's bound is an elimination in a 4 x 4 matrix: 1e-9 of it.
    assert abs(bound - decibels(float(system.crb_rad2(params, channels, design)))) < 1e-7


def test_float32_keeps_a_thousandth_of_a_decibel():
    for scenario in (IRS, HYBRID):
        narrow = link_budgets(*build(scenario), jnp.asarray(POSITION_M[0]))
        with jax.enable_x64(True):
            budgets = link_budgets(*build(scenario), jnp.asarray(POSITION_M[0]))
            wide = {name: float(budget.snr_db) for name, budget in budgets.items()}
        for name, budget in narrow.items():
            assert budget.gains_db.dtype == jnp.float32
            assert abs(float(budget.snr_db) - wide[name]) < 1e-3


def test_positions_may_be_a_batch_and_budgets_are_differentiable(x64):
    system, params = build(IRS)
    positions = jnp.asarray(np.array([[3.1, -0.7, 0.2], [2.0, 1.0, 0.0], [5.0, -1.0, 0.4]]))

    @jax.jit
    def snr(positions):
        return link_budgets(system, params, positions)["over the surface"].snr_db

    single = [float(snr(position)) for position in positions]
    np.testing.assert_allclose(snr(positions), single, rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(snr)(positions), single, rtol=1e-12)

    def through_air(k_abs):
        return link_budgets(system, params.replace(k_abs=k_abs), positions[0])["direct"].snr_db

    slope = jax.grad(through_air)(params.k_abs)
    np.testing.assert_allclose(slope, -10 / math.log(10) * np.linalg.norm(positions[0]), rtol=1e-12)


def test_hops_are_friis_and_beer_lambert():
    wavelength = 299_792_458.0 / 3e11
    assert math.isclose(float(spreading_db(3e11, 5.0)), 20 * math.log10(wavelength / (4 * math.pi * 5)), rel_tol=1e-6)
    assert math.isclose(float(absorption_db(10.0, 0.2)), 10 * math.log10(math.exp(-2.0)), rel_tol=1e-6)


@given(st.floats(-30, 30), st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_two_paths_in_phase_are_the_largest_singular_value_of_any_phase(ratio_db, at_bs, at_user, seed):
    def pair(alike):
        """Two unit vectors of a given correlation."""
        turn = np.exp(2j * np.pi * np.random.default_rng(seed).uniform())
        return np.array([1, 0]), np.array([alike * turn, math.sqrt(1 - alike**2)])

    (u1, u2), (v1, v2) = pair(at_user), pair(at_bs)
    root = 10 ** (ratio_db / 20)
    turns = np.exp(2j * np.pi * np.arange(720) / 720)
    best = max(np.linalg.norm(np.outer(u1, v1) + root * t * np.outer(u2, v2.conj()), 2) for t in turns)
    with jax.enable_x64(True):
        found = float(in_phase_db(*map(jnp.asarray, (ratio_db, at_bs, at_user))))
    # The best of 720 phases is within 0.25 degrees of the best of all: (0.0044 rad)^2/2 of the amplitude at most.
    assert -1e-9 < found - 2 * decibels(best) < 2e-4
