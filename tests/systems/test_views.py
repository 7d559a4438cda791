"""What is shown of a system agrees with what it simulates: placed users, layouts, losses, radiated fields."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thzjax.numeric import abs2, matmul
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build, preset
from thzjax.systems.views import view

pytestmark = pytest.mark.usefixtures("quickly_compiled")
C = 299_792_458.0
IRS = IrsScenario(num_users=2, num_rays=0, surface_shape=(3, 4), k_abs=0.05, blockage_db=13.0, phase_bits=0)
HYBRID = HrisScenario(
    bs_shape=(2, 3), surface_shape=(3, 4), sensor_shape=(2, 3), num_active=5, num_users=2, num_rays_bs=0,
    num_rays_user=0, bs_gain_dbi=6.0, element_gain_dbi=4.0, user_gain_dbi=18.0, k_abs=0.05,
)  # fmt: skip
SCENARIOS = {
    "irs": IRS,
    "irs, its formulas at their word": dataclasses.replace(IRS, channel_steering="literal", path_gain="power"),
    "mimo": dataclasses.replace(IRS, user_antennas=3),
    "hybrid": HYBRID,
    "hybrid, mirrored departure": dataclasses.replace(HYBRID, departure="paper"),
}
ONE_ANTENNA = [name for name in SCENARIOS if name != "mimo"]
POSITION_M = np.array([[3.1, -0.7, 0.2], [2.2, 1.1, -0.3]])


def drawn(name, position_m=POSITION_M):
    """(system, params, channels, a random design) in the precision of the moment."""
    system, params = build(SCENARIOS[name])
    place = None if position_m is None else jnp.asarray(position_m)
    channels = system.sample(jax.random.key(3), params, place)
    return system, params, channels, system.random_design(jax.random.key(4), params, channels)


def friis(freq_hz, dist_m, k_abs):
    return (C / (4 * math.pi * freq_hz * dist_m)) ** 2 * math.exp(-k_abs * dist_m)


def path_power(system, params, dist_m):
    power = friis(float(params.freq_hz), dist_m, float(params.k_abs))
    return power**2 if getattr(system, "path_gain", "amplitude") == "power" else power


def share(params):
    """Of the line of sight in a link's power."""
    return float(params.rician_factor / (1 + params.rician_factor)) if hasattr(params, "rician_factor") else 1.0


@pytest.mark.parametrize("name", ["paper-a", "paper-a-mimo", "paper-b"])
def test_users_placed_where_they_were_drawn_have_the_channels_that_were_drawn(name, x64):
    system, params = build(preset(name))
    key = jax.random.key(5)
    channels = system.sample(key, params)
    again = system.sample(key, params, channels.user_position_m)
    for one, other in zip(jax.tree.leaves(channels), jax.tree.leaves(again), strict=True):
        # Distances and angles of positions: a path of 4 m turns by 1e4 rad, of which 1e-16 is 1e-12.
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-10 * np.max(np.abs(one), initial=0))
    moved = channels.user_position_m.at[1].add(jnp.array([0.1, 0.2, 0.0]))
    third = system.sample(key, params, moved)
    np.testing.assert_allclose(third.user_position_m, moved, rtol=1e-13)
    np.testing.assert_allclose(third.surface_to_user[0], again.surface_to_user[0], rtol=1e-12)
    assert np.max(np.abs(third.surface_to_user[1] - again.surface_to_user[1])) > 1e-3 * np.max(
        np.abs(again.surface_to_user[1])
    )


@pytest.mark.parametrize("name", ONE_ANTENNA)
def test_the_surfaces_eirp_and_a_hop_are_what_a_user_receives(name, x64):
    system, params, channels, design = drawn(name)
    angles = view(system).surface_angles(params, channels.user_position_m)
    eirp = view(system).surface_eirp(system, params, channels, design, angles[:, 0], angles[:, 1])
    through = matmul(channels.surface_to_user * design.reflection, matmul(channels.bs_to_surface, design.beamformer))
    origin = np.asarray(getattr(params, "surface_position_m", np.zeros(3)))
    for k, position in enumerate(POSITION_M):
        hop = path_power(system, params, np.linalg.norm(position - origin)) * float(params.user_gain) * share(params)
        np.testing.assert_allclose(eirp[:, k] * hop, abs2(through)[k], rtol=1e-9)


@pytest.mark.parametrize("name", ONE_ANTENNA)
def test_the_base_stations_eirp_and_a_hop_are_what_arrives(name, x64):
    system, params, channels, design = drawn(name)
    angles, elevation = view(system).bs_angles(system, params, channels.user_position_m)
    layout = view(system).layout(system, params, channels.user_position_m)
    for other, angle in angles.items():
        eirp = view(system).bs_eirp(system, params, design.beamformer, jnp.asarray([angle]), elevation)[:, 0]
        dist = math.dist(layout.nodes["BS"].position_m, layout.nodes[other].position_m)
        if other == "surface":
            # Every element hears the same; responses of unit norm leave each its share.
            arriving = jnp.mean(abs2(matmul(channels.bs_to_surface, design.beamformer)), axis=0)
            shares = system.spec.elements if getattr(system, "channel_steering", "") == "literal" else 1
            gain = float(params.element_gain) / shares
        else:
            k = int(other.removeprefix("user ")) - 1
            arriving = abs2(channels.direct[k] @ design.beamformer)
            gain = float(params.user_gain * params.blockage)
        np.testing.assert_allclose(eirp * path_power(system, params, dist) * gain * share(params), arriving, rtol=1e-9)


@pytest.mark.parametrize("name", SCENARIOS)
def test_links_lose_what_friis_and_the_air_take(name, x64):
    system, params, channels, _ = drawn(name, None if "irs" in name else POSITION_M)
    nodes, links, area = view(system).layout(system, params, channels.user_position_m)
    assert {link.start for link in links} | {link.end for link in links} == set(nodes)
    for link in links:
        assert math.isclose(link.length_m, math.dist(nodes[link.start].position_m, nodes[link.end].position_m))
        straight = link.start == "BS" and link.end != "surface"
        assert link.blocked == straight
        if straight and "hybrid" in name:
            assert link.loss_db == math.inf
            continue
        loss = -10 * math.log10(path_power(system, params, link.length_m))
        blockage = -10 * math.log10(float(params.blockage)) if straight else 0
        assert math.isclose(link.loss_db, loss + blockage, rel_tol=1e-9)
    users = np.array([node.position_m for node in nodes.values() if node.kind == "user"])
    np.testing.assert_allclose(users, channels.user_position_m)
    if "irs" in name:
        assert np.all(np.min(area, axis=0) <= users[:, :2].min(axis=0))
        assert np.all(np.max(area, axis=0) >= users[:, :2].max(axis=0))


def test_an_open_direct_link_is_not_blocked():
    system, params = build(dataclasses.replace(IRS, blockage_db=0.0))
    links = view(system).layout(system, params, POSITION_M).links
    assert not any(link.blocked for link in links)


def test_the_hybrid_base_station_faces_where_the_surface_is_seen_at_its_departure():
    system, params = build(dataclasses.replace(HYBRID, bs_departure_deg=(20.0, 0.0), bs_arrival_deg=(-40.0, 0.0)))
    nodes = view(system).layout(system, params, POSITION_M).nodes
    towards = -np.array(nodes["BS"].position_m)[:2] / 5.0
    along = np.array(nodes["BS"].along)
    # The surface is 20 degrees from the normal, towards the end of the rows.
    assert math.isclose(float(towards @ along), math.sin(math.radians(20)), rel_tol=1e-5)
    np.testing.assert_allclose(
        nodes["BS"].position_m[:2], 5 * np.array([math.cos(0.698132), -math.sin(0.698132)]), 1e-4
    )


def test_only_what_is_before_the_surface_and_not_upon_an_array_is_in_front():
    for scenario, inside, behind, near in (
        (IRS, (4.0, 0.0, 0.0), (4.0, 3.2, 0.5), (4.0, 2.8, 0.5)),
        (HYBRID, (2.0, 0.0, 0.0), (-0.7, 0.0, 0.0), (0.2, 0.1, 0.0)),
    ):
        system, params = build(scenario)
        found = view(system).in_front(params, np.array([inside, behind, near]), 0.5)
        assert found.tolist() == [True, False, False]


def test_a_moved_target_is_where_it_was_put(x64):
    system, params = build(HYBRID)
    moved = view(system).sense_at(params, jnp.asarray(POSITION_M[1]))
    target = view(system).layout(system, moved, POSITION_M).nodes["target"]
    np.testing.assert_allclose(target.position_m, POSITION_M[1], rtol=1e-12)
