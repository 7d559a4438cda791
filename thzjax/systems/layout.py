"""Where everything of a scenario stands, and what its links lose: plain values, for maps and tables."""

from typing import NamedTuple

import numpy as np

Point = tuple[float, float, float]


class Node(NamedTuple):
    """Something that stands somewhere.

    Attributes:
      kind: "bs", "surface", "user" or "target".
      position_m: (x, y, z) [m].
      along: direction of its array in the x-y plane, none where it has no array that faces somewhere.
    """

    kind: str
    position_m: Point
    along: tuple[float, float] | None = None


class Link(NamedTuple):
    """A straight line between two nodes.

    Attributes:
      start, end: names of the nodes.
      length_m: [m].
      loss_db: spreading and absorption, and what stands in the way; inf where nothing comes through [dB].
      blocked: something stands in the way.
    """

    start: str
    end: str
    length_m: float
    loss_db: float
    blocked: bool = False


class Layout(NamedTuple):
    """A scenario in space.

    Attributes:
      nodes: by name.
      links: between them.
      area_m: outline of where users may stand, seen from above, `[P, 2]` [m].
    """

    nodes: dict[str, Node]
    links: list[Link]
    area_m: np.ndarray


def ring(inner_m: float, outer_m: float, from_rad: float, to_rad: float) -> np.ndarray:
    """Outline of a sector of a ring round the origin, of a disc where `inner_m` is 0 and it goes round, `[P, 2]`."""
    angle = np.linspace(from_rad, to_rad, 121)
    arc = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    whole = inner_m == 0 and to_rad - from_rad >= 2 * np.pi
    return outer_m * arc if whole else np.concatenate([outer_m * arc, inner_m * arc[::-1]])


def point(position_m: np.ndarray) -> Point:
    """A position `[3]` as plain numbers."""
    x, y, z = (float(value) for value in position_m)
    return x, y, z
