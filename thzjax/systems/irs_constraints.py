"""Paper A's constraints by name, each a slack: >= 0 where it holds."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from thzjax.physics import beampattern, link
from thzjax.systems.base import Design
from thzjax.systems.irs_params import Channels, Params

Constraint = Callable[[Any, Params, Channels, Design], Array]
"""(system, params, channels, design) -> slack `[...]`, dimensionless, >= 0 where the constraint holds."""


def antenna_power_slack(system: Any, params: Params, channels: Channels, design: Design) -> Array:
    """1 - max_m [W W^H]_mm/(P_max/M). Source: paper A, eq. (22)."""
    del channels
    limit = params.power_w / system.num_antennas
    return 1 - jnp.max(link.per_antenna_power(design.beamformer), axis=-1) / limit


def beam_pattern_slack(system: Any, params: Params, channels: Channels, design: Design) -> Array:
    """1 - L_r(W W^H)/threshold. Source: paper A, eqs. (16)-(18)."""
    del system, channels
    covariance = beampattern.transmit_covariance(design.beamformer)
    error = beampattern.beam_pattern_error_gram(covariance, params.pattern, params.p_ref_w)
    return 1 - error / params.pattern_threshold


def user_beam_pattern_slack(system: Any, params: Params, channels: Channels, design: Design) -> Array:
    """1 - max_k L_r(W_k W_k^H)/threshold: every user's beams on their own. Source: paper A, section IV, read so."""
    del channels
    return 1 - jnp.max(system.user_pattern_errors(params, design), axis=-1) / params.pattern_threshold


CONSTRAINTS: dict[str, Constraint] = {
    "antenna_power": antenna_power_slack,
    "beam_pattern": beam_pattern_slack,
    "user_beam_pattern": user_beam_pattern_slack,
}
"""Every named constraint of the system; adding one here lets solvers, learners and tables use it by name."""

LIMITS: dict[str, tuple[str, float]] = {
    "antenna_power": ("power_w", 100.0),
    "beam_pattern": ("pattern_threshold", math.inf),
    "user_beam_pattern": ("pattern_threshold", math.inf),
}
"""The parameter that holds each limit, and the factor that takes it away. The power gets 20 dB more and not all:
without any limit the rate has none. A constraint whose limit is no parameter is not named here."""
