"""Action and observation maps by name: what an agent decides, and what it sees when it decides."""

from typing import Any, NamedTuple

from thzjax.envs.actions import Paper, Residual, Structured
from thzjax.envs.entities import EntityObservation
from thzjax.envs.observations import PaperObservation, StructuredObservation


class Maps(NamedTuple):
    """An action map with the observation map that goes with it.

    Attributes:
      actions: what an agent's numbers mean (`envs.actions`).
      observations: what it sees of a channel (`envs.observations`).
    """

    actions: Any
    observations: Any


MAPS: dict[str, Maps] = {
    "structured": Maps(Structured(), StructuredObservation()),
    "residual": Maps(Residual(), StructuredObservation()),
    "equivariant": Maps(Structured(elements=True), EntityObservation()),
    "paper": Maps(Paper(), PaperObservation()),
}
"""Maps by the name that a run's `policy` has; one added here can be learned by every agent, by that name."""

BUILT_IN = frozenset(MAPS)
"""Those that come with the library."""
