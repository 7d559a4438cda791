"""A stateless environment over any system, and the action and observation maps it is given."""

from typing import TYPE_CHECKING

from thzjax.lazy import lazy

__all__ = [
    "MAPS",
    "EntityObservation",
    "Environment",
    "Maps",
    "Paper",
    "PaperAction",
    "PaperB",
    "PaperBObservation",
    "PaperObservation",
    "Residual",
    "State",
    "Step",
    "Structured",
    "StructuredObservation",
    "Whole",
    "WholeObservation",
]

if TYPE_CHECKING:
    from thzjax.envs.actions import Paper, PaperAction, PaperB, Residual, Structured, Whole
    from thzjax.envs.entities import EntityObservation
    from thzjax.envs.environment import Environment, State, Step
    from thzjax.envs.maps import MAPS, Maps
    from thzjax.envs.observations import PaperBObservation, PaperObservation, StructuredObservation, WholeObservation
else:
    seen = ("PaperBObservation", "PaperObservation", "StructuredObservation", "WholeObservation")
    __getattr__, __dir__ = lazy(
        __name__,
        dict.fromkeys(("Paper", "PaperAction", "PaperB", "Residual", "Structured", "Whole"), "actions")
        | dict.fromkeys(("Environment", "State", "Step"), "environment")
        | dict.fromkeys(("MAPS", "Maps"), "maps")
        | dict.fromkeys(seen, "observations")
        | {"EntityObservation": "entities"},
    )
    del seen
