"""What is simulated: parameters, channels, designs, outcomes, projections, and the presets."""

from typing import TYPE_CHECKING

from thzjax.lazy import lazy

__all__ = [
    "BUILDERS",
    "PRESETS",
    "Design",
    "HrisIsac",
    "HrisScenario",
    "IrsIsac",
    "IrsScenario",
    "MimoIsac",
    "Outcome",
    "Scenario",
    "Spec",
    "System",
    "build",
    "build_hris",
    "build_irs",
    "holds",
    "hris_constraints",
    "hris_params",
    "irs_constraints",
    "irs_params",
    "preset",
    "satisfied",
]

if TYPE_CHECKING:
    from thzjax.systems import hris_constraints, hris_params, irs_constraints, irs_params
    from thzjax.systems.base import Design, Outcome, Spec, System, holds, satisfied
    from thzjax.systems.hris_isac import HrisIsac
    from thzjax.systems.hris_scenario import HrisScenario, build_hris
    from thzjax.systems.irs_isac import IrsIsac
    from thzjax.systems.irs_scenario import IrsScenario, build_irs
    from thzjax.systems.mimo_isac import MimoIsac
    from thzjax.systems.scenario import BUILDERS, PRESETS, Scenario, build, preset
else:
    __getattr__, __dir__ = lazy(
        __name__,
        dict.fromkeys(("hris_constraints", "hris_params", "irs_constraints", "irs_params"), "")
        | dict.fromkeys(("Design", "Outcome", "Spec", "System", "holds", "satisfied"), "base")
        | dict.fromkeys(("BUILDERS", "PRESETS", "Scenario", "build", "preset"), "scenario")
        | dict.fromkeys(("HrisScenario", "build_hris"), "hris_scenario")
        | dict.fromkeys(("IrsScenario", "build_irs"), "irs_scenario")
        | {"HrisIsac": "hris_isac", "IrsIsac": "irs_isac", "MimoIsac": "mimo_isac"},
    )
