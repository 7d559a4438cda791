"""Places that a user of the library names, as text and as numbers, and whether someone may stand there."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from thzjax.errors import ConfigError
from thzjax.systems.layout import Point
from thzjax.systems.views import view

NEAREST_M = 0.5
"""Nearer to an array than this nobody is put: its waves are not plane there."""
FARTHEST_M = 1000.0


def read_places(text: str) -> tuple[Point, ...]:
    """Places from "x,y,z;x,y,z;..." [m].

    Raises:
      ConfigError: not three finite numbers each.
    """
    places = []
    for part in text.split(";"):
        try:
            x, y, z = (float(number) for number in part.split(","))
        except ValueError:
            raise ConfigError(f"place {part.strip()!r} is not of the form X,Y,Z in metres") from None
        if not all(abs(value) <= FARTHEST_M for value in (x, y, z)):  # not a number is not either
            raise ConfigError(f"place {part.strip()!r} must lie within {FARTHEST_M:g} m of the origin")
        places.append((x, y, z))
    return tuple(places)


def write_places(places_m: Sequence[Point]) -> str:
    """The text that `read_places` reads, to the millimetre."""
    return ";".join(",".join(str(round(float(value), 3) + 0.0) for value in place) for place in places_m)


def check_places(system: Any, params: Any, places_m: Sequence[Point]) -> np.ndarray:
    """The places of all K users, `[K, 3]` [m].

    Raises:
      ConfigError: as many places as users are needed, and each in front of the surface and `NEAREST_M` off the arrays.
    """
    users = system.spec.users
    if len(places_m) != users:
        raise ConfigError(f"{len(places_m)} places for K={users} users: name one X,Y,Z for each")
    places = np.asarray(places_m, float).reshape(users, 3)
    for k, inside in enumerate(view(system).in_front(params, places, NEAREST_M)):
        if not inside:
            where = ", ".join(f"{value:.2f}" for value in places[k])
            raise ConfigError(
                f"user {k + 1} cannot stand at ({where}) m: behind the surface, or nearer than {NEAREST_M:g} m to it "
                "or to the base station"
            )
    return places


def as_angles(place_m: Point) -> tuple[float, float, float]:
    """(distance [m], azimuth, elevation [deg]) of a place from the origin, azimuth from x towards y."""
    x, y, z = place_m
    dist = math.sqrt(x * x + y * y + z * z)
    return dist, math.degrees(math.atan2(y, x)), math.degrees(math.asin(z / dist)) if dist else 0.0


def at_angles(dist_m: float, azimuth_deg: float, elevation_deg: float) -> Point:
    """The place of `as_angles`."""
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    flat = dist_m * math.cos(elevation)
    return flat * math.cos(azimuth), flat * math.sin(azimuth), dist_m * math.sin(elevation)
