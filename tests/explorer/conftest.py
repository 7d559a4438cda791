"""Tests here share one small explorer, looked at once."""

import pytest

from thzjax.experiment.explore_numbers import Explorer
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario

IRS = IrsScenario(num_users=2, surface_shape=(2, 3))
HYBRID = HrisScenario(
    bs_shape=(2, 3), surface_shape=(3, 4), sensor_shape=(2, 2), num_active=5, num_users=2, num_rays_bs=3,
    max_crb_rad2=0.1, min_sinr_db=-30.0, p_surface_dbm=-25.0,
)  # fmt: skip


@pytest.fixture(scope="session")
def explorer():
    """Paper A's system, small."""
    made = Explorer("paper-a", IRS, method="mrt/focused")
    made.look(made.start)
    return made


@pytest.fixture(scope="session")
def hybrid():
    """Paper B's system, small."""
    made = Explorer("paper-b", HYBRID, method="random/random")
    made.look(made.start)
    return made
