"""Scenarios by name, and what they build: a system (static sizes) with its parameters (a pytree, SI units)."""

from collections.abc import Callable
from typing import Any

from thzjax.errors import ConfigError
from thzjax.systems.base import System
from thzjax.systems.hris_scenario import HrisScenario, build_hris
from thzjax.systems.irs_scenario import IrsScenario, build_irs

Scenario = IrsScenario | HrisScenario
BUILDERS: dict[type, Callable[[Any], tuple[System, Any]]] = {IrsScenario: build_irs, HrisScenario: build_hris}
"""How each kind of scenario becomes a system; a further one adds a line here."""

PRESETS: dict[str, Scenario] = {
    "paper-a": IrsScenario(),
    "paper-a-literal": IrsScenario(
        phase_levels="paper",
        p_ref_w=1.0,
        pattern_width_deg=5.0,
        channel_steering="literal",
        path_gain="power",
    ),
    "paper-a-mimo": IrsScenario(user_antennas=4),
    "paper-b": HrisScenario(),
    "paper-b-tight": HrisScenario(max_crb_rad2=5e-6, target_noise_dbm=-143.0, p_surface_dbm=-6.0, min_sinr_db=10.0),
    "paper-b-literal": HrisScenario(num_rays_bs=0, num_rays_user=0, min_sinr_db=-6.0),
    "paper-b-passive": HrisScenario(num_active=0, p_bs_dbm=45.0),
}
"""Complete scenarios by name. `paper-a-literal` shows what the paper's text gives taken at its word (rates near
zero); it is not a baseline. `paper-b-literal` is pure line of sight: a channel of rank one."""


def preset(name: str) -> Scenario:
    """The named preset.

    Raises:
      ConfigError: no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"preset {name!r} is unknown: use one of {', '.join(PRESETS)}, or --import the module that adds it"
        )
    return PRESETS[name]


def build(scenario: Scenario) -> tuple[System, Any]:
    """The system and its parameters.

    Raises:
      ConfigError: the scenario cannot work, its constraints contradict physics, or nothing builds its kind.
    """
    kind = type(scenario)
    if kind not in BUILDERS:
        raise ConfigError(f"nothing builds a {kind.__name__}: add it with its builder to thzjax.systems.BUILDERS")
    return BUILDERS[kind](scenario)
