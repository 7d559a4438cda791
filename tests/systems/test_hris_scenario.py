"""Paper B's scenario: what it refuses, and the units it hands on."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import absorption as ref
from reference.units import db_to_linear, dbm_to_watt

from thzjax.errors import ConfigError
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.scenario import PRESETS, build, preset

BAD = {
    "num_active=81 is more than the 80 elements": {"num_active": 81},
    "num_active=-1": {"num_active": -1},
    "num_users=0": {"num_users": 0},
    "num_rays_bs=-1": {"num_rays_bs": -1},
    "num_rays_user=-2": {"num_rays_user": -2},
    "phase_bits=-3": {"phase_bits": -3},
    "bs_shape=(0, 8)": {"bs_shape": (0, 8)},
    "surface_shape=(0, 0)": {"surface_shape": (0, 0), "num_active": 0},
    "sensor_shape=(1, 5)": {"sensor_shape": (1, 5)},
    "sensor_shape=(5, 1)": {"sensor_shape": (5, 1)},
    "sensor_shape=(0, 0)": {"sensor_shape": (0, 0)},
    "target_deg=(90.0, 10.0)": {"target_deg": (90.0, 10.0)},
    "target_deg=(-90.0, 10.0)": {"target_deg": (-90.0, 10.0)},
    "target_deg=(30.0, 90.0)": {"target_deg": (30.0, 90.0)},
    "target_deg=(30.0, -90.0)": {"target_deg": (30.0, -90.0)},
    "target_deg=(nan, 0.0)": {"target_deg": (math.nan, 0.0)},
    "bs_arrival_deg=(120.0, 0.0)": {"bs_arrival_deg": (120.0, 0.0)},
    "bs_departure_deg=(0.0, -100.0)": {"bs_departure_deg": (0.0, -100.0)},
    "user_dist_m=4,2": {"user_dist_m": (4.0, 2.0)},
    "user_dist_m=0,2": {"user_dist_m": (0.0, 2.0)},
    "user_spread_deg=(90.0, 30.0)": {"user_spread_deg": (90.0, 30.0)},
    "user_spread_deg=(60.0, -1.0)": {"user_spread_deg": (60.0, -1.0)},
    "ray_spread_deg=(60.0, 95.0)": {"ray_spread_deg": (60.0, 95.0)},
    "freq_hz=0": {"freq_hz": 0.0},
    "k_abs=-0.1": {"k_abs": -0.1},
    "k_abs=nan": {"k_abs": math.nan},
    "csi_error=-0.2": {"csi_error": -0.2},
    "bandwidth_hz=-1": {"bandwidth_hz": -1.0},
    "bs_dist_m=0": {"bs_dist_m": 0.0},
    "target_dist_m=-3": {"target_dist_m": -3.0},
    "rcs_m2=0": {"rcs_m2": 0.0},
    "max_amplitude=-5": {"max_amplitude": -5.0},
    "max_crb_rad2=0": {"max_crb_rad2": 0.0},
    "snapshots=0": {"snapshots": 0},
    "temperature_k=0": {"temperature_k": 0.0},
    "dry_pressure_pa=0": {"dry_pressure_pa": 0.0},
    "vapour_density_kg_m3=-1": {"vapour_density_kg_m3": -1.0},
    "constraint 'beam_pattern' is unknown": {"constraints": ("crb", "beam_pattern")},
    "noise_model='pink' is unknown": {"noise_model": "pink"},
    "departure='sideways' is unknown": {"departure": "sideways"},
    "absorption='rain' is unknown": {"absorption": "rain"},
}


@pytest.mark.parametrize("message", BAD)
def test_impossible_scenarios_are_refused_in_one_line(message):
    with pytest.raises(ConfigError) as caught:
        build(dataclasses.replace(HrisScenario(), **BAD[message]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_lies_on_the_edge_of_the_possible_is_built():
    edges = (
        {"num_active": 80},
        {"num_active": 0},
        {"sensor_shape": (2, 2)},
        {"user_dist_m": (3.0, 3.0)},
        {"user_spread_deg": (0.0, 0.0)},
        {"bs_shape": (1, 1), "min_sinr_db": -6.0},
        {"surface_shape": (1, 30)},
        {"num_users": 1},
        {"constraints": ()},
        {"target_deg": (89.0, -89.0)},
    )
    for changes in edges:
        build(dataclasses.replace(HrisScenario(), **changes))


def test_units_become_si_and_linear(x64):
    scenario = HrisScenario()
    _, params = build(scenario)
    wanted = {
        "power_w": dbm_to_watt(scenario.p_bs_dbm),
        "surface_power_w": dbm_to_watt(scenario.p_surface_dbm),
        "max_target_noise_w": dbm_to_watt(scenario.target_noise_dbm),
        "noise_v_w": dbm_to_watt(scenario.dynamic_noise_dbm),
        # -174 dBm/Hz over 100 MHz with a noise figure of 10 dB.
        "noise_w": dbm_to_watt(-174 + 80 + 10),
        "bs_gain": db_to_linear(5),
        "element_gain": db_to_linear(5),
        "sensor_gain": db_to_linear(5),
        "user_gain": db_to_linear(20),
        "ray_power": db_to_linear(-10),
        "min_sinr": 1.0,
        "bs_arrival_rad": [-math.radians(40), math.radians(5)],
        "bs_departure_rad": [math.radians(20), -math.radians(5)],
        "user_spread_rad": [math.pi / 3, math.pi / 6],
        "ray_spread_rad": [math.pi / 3, math.pi / 6],
        "target_azimuth_rad": math.pi / 6,
        "target_elevation_rad": math.pi / 18,
        "user_dist_m": [2.0, 4.0],
        "freq_hz": 3e11,
        "k_abs": 0.0033,
        "bs_dist_m": 5.0,
        "target_dist_m": 3.0,
        "rcs_m2": 12.57,
        "csi_error": 0.0,
        "max_amplitude": 5.0,
        "max_crb_rad2": 1e-4,
        "snapshots": 4096.0,
    }
    assert set(wanted) == {field.name for field in dataclasses.fields(params)}
    for name, value in wanted.items():
        np.testing.assert_allclose(getattr(params, name), value, rtol=1e-12, err_msg=name)


def test_the_numbers_of_the_link_budget_are_those_documented():
    # As written down with the preset, three digits each.
    _, params = build(preset("paper-b"))
    documented = {"noise_w": 3.98e-12, "power_w": 10, "surface_power_w": 3.16e-4, "max_target_noise_w": 7.94e-18}
    for name, value in documented.items():
        np.testing.assert_allclose(getattr(params, name), value, rtol=2e-3)


def test_parameters_are_float32_unless_asked_otherwise():
    for leaf in jax.tree.leaves(build(preset("paper-b"))[1]):
        assert leaf.dtype == jnp.float32
        assert bool(jnp.all(jnp.isfinite(leaf)))
        # The smallest limit is 6e-18: far from where float32 thins out.
        assert not np.any((np.abs(leaf) > 0) & (np.abs(leaf) < 1e-30))


def test_a_scenarios_sizes_are_static_and_its_numbers_are_not():
    system, _ = build(preset("paper-b"))
    louder, params = build(dataclasses.replace(preset("paper-b"), p_bs_dbm=30.0))
    assert louder == system
    assert hash(louder) == hash(system)
    np.testing.assert_allclose(params.power_w, 1.0, rtol=1e-6)
    assert build(dataclasses.replace(preset("paper-b"), num_active=20))[0] != system
    # A configuration file gives lists.
    listed = dataclasses.replace(preset("paper-b"), bs_shape=[8, 8], surface_shape=[8, 10], sensor_shape=[4, 5])
    assert hash(build(listed)[0]) == hash(system)


def test_the_presets_differ_where_they_say():
    changed = {}
    for name in ("paper-b", "paper-b-tight", "paper-b-literal", "paper-b-passive"):
        fields = dataclasses.asdict(PRESETS[name])
        changed[name] = {key: value for key, value in fields.items() if value != getattr(HrisScenario(), key)}
    assert changed == {
        "paper-b": {},
        "paper-b-tight": {
            "max_crb_rad2": 5e-6, "target_noise_dbm": -143.0, "p_surface_dbm": -6.0, "min_sinr_db": 10.0
        },
        "paper-b-literal": {"num_rays_bs": 0, "num_rays_user": 0, "min_sinr_db": -6.0},
        "paper-b-passive": {"num_active": 0, "p_bs_dbm": 45.0},
    }  # fmt: skip


def test_the_air_absorbs_as_its_model_says(x64):
    scenario = HrisScenario()
    air = (scenario.dry_pressure_pa, scenario.temperature_k, scenario.vapour_density_kg_m3)
    _, params = build(dataclasses.replace(scenario, absorption="p676"))
    np.testing.assert_allclose(params.k_abs, ref.p676_attenuation(3e11, *air), rtol=1e-6)
    _, params = build(dataclasses.replace(scenario, absorption="simplified"))
    assert 0.39 < float(params.k_abs) / ref.p676_attenuation(3e11, *air) < 0.89
    with pytest.raises(ConfigError, match=r"2\.75e"):
        build(dataclasses.replace(scenario, absorption="simplified", freq_hz=0.2e12))
