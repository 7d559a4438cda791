"""The named constraints of paper B's system, problem (15): each is a slack, >= 0 where it holds."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import Array

from thzjax.numeric import abs2
from thzjax.systems.base import Design
from thzjax.systems.hris_params import Channels, Params

if TYPE_CHECKING:
    from thzjax.systems.hris_isac import HrisIsac

WORST_SLACK = -1e6
"""Slack of a bound that does not exist: finite, so that means and gradients stay so."""


Constraint = Callable[["HrisIsac", Params, Channels, Design], Array]
"""(system, params, channels, design) -> slack `[...]`, dimensionless, >= 0 where the constraint holds."""


def min_sinr_slack(system: "HrisIsac", params: Params, channels: Channels, design: Design) -> Array:
    """min_k SINR_k/threshold - 1. Source: paper B, (15b)."""
    return jnp.min(system.sinr(params, channels, design), axis=-1) / params.min_sinr - 1


def bs_power_slack(system: "HrisIsac", params: Params, channels: Channels, design: Design) -> Array:
    """1 - ||W||^2/P. Source: paper B, (15c)."""
    del system, channels
    return 1 - jnp.sum(abs2(design.beamformer), axis=(-2, -1)) / params.power_w


def surface_power_slack(system: "HrisIsac", params: Params, channels: Channels, design: Design) -> Array:
    """1 - (what the active elements radiate)/budget. Source: paper B, (15d)."""
    return 1 - system.amplifier_power(params, channels, design) / params.surface_power_w


def target_noise_slack(system: "HrisIsac", params: Params, channels: Channels, design: Design) -> Array:
    """1 - (amplified noise at the target)/limit. Source: paper B, (15e)."""
    return 1 - system.target_noise(params, channels, design) / params.max_target_noise_w


def amplitude_slack(system: "HrisIsac", params: Params, channels: Channels, design: Design) -> Array:
    """The smaller of 1 - max_active |psi|/a_max and -max_passive ||psi| - 1|. Source: paper B, (15f)."""
    del system
    amplitude = jnp.abs(design.reflection)
    active = channels.active > 0
    largest = jnp.max(jnp.where(active, amplitude, 0), axis=-1, initial=0)
    deviation = jnp.max(jnp.where(active, 0, jnp.abs(amplitude - 1)), axis=-1, initial=0)
    return jnp.minimum(1 - largest / params.max_amplitude, -deviation)


def crb_slack(system: "HrisIsac", params: Params, channels: Channels, design: Design) -> Array:
    """1 - tr CRB(azimuth, elevation)/limit, at least `WORST_SLACK`. Source: paper B, (15g)."""
    return jnp.maximum(1 - system.crb_rad2(params, channels, design) / params.max_crb_rad2, WORST_SLACK)


CONSTRAINTS: dict[str, Constraint] = {
    "min_sinr": min_sinr_slack,
    "bs_power": bs_power_slack,
    "surface_power": surface_power_slack,
    "target_noise": target_noise_slack,
    "amplitude": amplitude_slack,
    "crb": crb_slack,
}
"""Every named constraint of the system; adding one here lets solvers, learners and tables use it by name."""

LIMITS: dict[str, tuple[str, float]] = {
    "min_sinr": ("min_sinr", 1e-9),
    "bs_power": ("power_w", 1e2),
    "surface_power": ("surface_power_w", 1e9),
    "target_noise": ("max_target_noise_w", 1e9),
    "amplitude": ("max_amplitude", 10.0),
    "crb": ("max_crb_rad2", 1e9),
}
"""The parameter that holds each limit, and the factor that takes it away. The power and the amplitude get 20 dB more
and not all: without any limit on the power the rate has none, and a search cannot scale over decades. A constraint
whose limit is no parameter is not named here."""
