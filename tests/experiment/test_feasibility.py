"""Each constraint of each preset binds somewhere: removing it raises the gradient reference by more than 1 %."""

import math

import jax
import numpy as np
import pytest

from thzjax.errors import ConfigError
from thzjax.experiment import feasibility
from thzjax.experiment.evaluation import draw_channels
from thzjax.experiment.overrides import apply_overrides
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.scenario import PRESETS, build, preset

CHANNELS = 8
# By preset and constraint, where in a sweep of one of its options it binds ("" is the preset as it stands).
SWEEPS = {
    "paper-a": {"antenna_power": "power_w=0.00125", "beam_pattern": ""},
    "paper-a-literal": {"antenna_power": ""},
    "paper-a-mimo": {"antenna_power": "power_w=0.00125", "beam_pattern": ""},
    "paper-b": {
        "min_sinr": "p_bs_dbm=30",
        "bs_power": "",
        "surface_power": "p_bs_dbm=45",
        "target_noise": "target_noise_dbm=-143",
        "amplitude": "",
        "crb": "max_crb_rad2=1.2e-6",
    },
    "paper-b-tight": dict.fromkeys(("min_sinr", "bs_power", "target_noise", "amplitude", "crb"), "")
    | {"surface_power": "p_bs_dbm=45"},
    "paper-b-literal": {"min_sinr": ""},
    "paper-b-passive": {"min_sinr": "p_bs_dbm=40", "bs_power": "", "crb": "max_crb_rad2=3e-6"},
}


def binding(name, change):
    scenario = apply_overrides(preset(name), [change] if change else [])
    system, params = build(scenario)
    channels = draw_channels(system, params, CHANNELS, 2)
    return feasibility.binding(system, params, channels, jax.random.key(0))


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(SWEEPS))
def test_each_constraint_binds_somewhere(name):
    for change in sorted(set(SWEEPS[name].values())):
        found = binding(name, change)
        assert found.rate > 0
        for constraint, where in SWEEPS[name].items():
            if where == change:
                assert found.gains[constraint] > feasibility.BINDS, (constraint, change, found)


def test_every_preset_is_swept_and_what_is_left_out_cannot_bind():
    assert set(SWEEPS) == set(PRESETS)
    cannot = {
        # No multiple of rates near zero reaches the pattern's threshold; it binds from tens of watts.
        "paper-a-literal": {"beam_pattern"},
        # Collinear users: interference alone limits the rates, and no budget buys any.
        "paper-b-literal": {"bs_power", "surface_power", "target_noise", "amplitude", "crb"},
        # Nothing amplifies.
        "paper-b-passive": {"surface_power", "target_noise", "amplitude"},
    }
    for name, where in SWEEPS.items():
        system, _ = build(PRESETS[name])
        assert set(where) | cannot.get(name, set()) == set(system.constraints)


SMALL = HrisScenario(
    bs_shape=(2, 2), surface_shape=(3, 4), sensor_shape=(2, 2), num_active=4, num_users=2, num_rays_bs=2,
    max_crb_rad2=1.0, min_sinr_db=-60.0, p_bs_dbm=50.0,
)  # fmt: skip


@pytest.mark.full
def test_an_ascent_finds_the_power_to_bind_and_idle_limits_to_be_slack():
    system, params = build(SMALL)
    channels = draw_channels(system, params, 2, 2)
    found = feasibility.binding(system, params, channels, jax.random.key(0), 40)
    assert found.infeasible == 0
    assert found.gains["bs_power"] > feasibility.BINDS
    # 40 more steps each: the variants differ in nothing but the limit taken away. At -20 dB the least SINR is not idle:
    # without it some channels drop a user, for 4 % more.
    for idle in ("crb", "min_sinr"):
        assert abs(found.gains[idle]) < feasibility.BINDS
        assert found.slack[idle] > 0


def test_ruled_out_says_what_rank_allows():
    system, params = build(preset("paper-b-literal"))
    channels = draw_channels(system, params, 2, 2)
    text = " ".join(feasibility.ruled_out(system, params, channels))
    assert f"{10 * math.log10(1 / 3):.1f} dB" in text
    assert "zero forcing does not exist" in text
    assert np.isfinite(float(text.split("below ")[1].split(" ")[0]))


def test_a_common_sinr_above_the_rank_is_refused_before_running():
    with pytest.raises(ConfigError, match=r"rank 1, and K=4 users have a common SINR of at most -4\.8 dB"):
        build(apply_overrides(preset("paper-b-literal"), ["min_sinr_db=-4"]))
    build(apply_overrides(preset("paper-b-literal"), ["min_sinr_db=-4.8"]))
    with pytest.raises(ConfigError, match=r"p_surface_dbm=-80 is below the -69\.2 dBm"):
        build(apply_overrides(preset("paper-b"), ["p_surface_dbm=-80"]))
