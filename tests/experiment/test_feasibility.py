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
    "paper-b": {
        "min_sinr": "p_bs_dbm=30",
        "bs_power": "",
        "surface_power": "p_bs_dbm=45",
        "target_noise": "target_noise_dbm=-143",
        "amplitude": "",
        "crb": "max_crb_rad2=5e-6",
    },
    "paper-b-tight": {
        name: "" for name in ("min_sinr", "bs_power", "surface_power", "target_noise", "amplitude", "crb")
    },
    "paper-b-literal": {"min_sinr": ""},
    "paper-b-passive": {"min_sinr": "p_bs_dbm=40", "bs_power": "", "crb": "max_crb_rad2=3e-6"},
}
