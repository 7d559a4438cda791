"""Reflected paths from their bounce points, and the shortest path by numerical search."""

import math

import numpy as np
from scipy.optimize import minimize


def unit(v):
    """v over its length."""
    return np.asarray(v, float) / math.sqrt(math.fsum(x * x for x in v))


def height(point, wall_point, wall_normal):
    """Signed distance of a point from a plane."""
    return float(np.dot(np.asarray(point) - wall_point, unit(wall_normal)))


def mirror(point, wall_point, wall_normal):
    """The point's mirror image in a plane."""
    return np.asarray(point, float) - 2.0 * height(point, wall_point, wall_normal) * unit(wall_normal)


def crossing(start, end, wall_point, wall_normal):
    """Where the line through start and end meets the plane."""
    above, below = height(start, wall_point, wall_normal), height(end, wall_point, wall_normal)
    return np.asarray(start) + (np.asarray(end) - start) * above / (above - below)


def bounce_points(source, receiver, walls):
    """[B, 3]: aim from the receiver at the last image, take where that line meets its wall, go on from there."""
    images = [np.asarray(source, float)]
    for wall in walls:
        images.append(mirror(images[-1], *wall))
    points, seen_from = [], np.asarray(receiver, float)
    for wall, image in zip(reversed(walls), reversed(images[1:]), strict=True):
        seen_from = crossing(seen_from, image, *wall)
        points.append(seen_from)
    return points[::-1]


def sides(source, receiver, walls):
    """[B]: product of the heights of the two ends of the path folded at each wall, positive where it can reflect."""
    points = [source, *bounce_points(source, receiver, walls), receiver]
    return [height(points[b], *wall) * height(points[b + 2], *wall) for b, wall in enumerate(walls)]


def reflected_path(source, receiver, walls):
    """(length, incidences [B], departure [3], arrival [3], visible) of the path over its bounce points."""
    points = [source, *bounce_points(source, receiver, walls), receiver]
    legs = [points[i + 1] - points[i] for i in range(len(points) - 1)]
    length = math.fsum(float(np.linalg.norm(leg)) for leg in legs)
    incidences = []
    for leg, (_, normal) in zip(legs, walls, strict=False):
        along = abs(float(np.dot(leg, unit(normal))))
        across = float(np.linalg.norm(np.cross(leg, unit(normal))))
        incidences.append(math.atan2(across, along))
    visible = all(side > 0.0 for side in sides(source, receiver, walls))
    return length, np.array(incidences), unit(legs[0]), unit(-legs[-1]), visible


def shortest_length(source, receiver, walls):
    """Fermat: the least length over source - wall 1 - ... - receiver, over all points of the walls.

    The length is convex in the points, so a local search finds the one minimum. Its path reflects at each wall
    whose two neighbours lie on one side, and passes straight through any other.
    """
    frames = []
    for _, normal in walls:
        first = unit(np.cross(unit(normal), np.eye(3)[np.argmin(np.abs(unit(normal)))]))
        frames.append(np.stack([first, np.cross(unit(normal), first)]))

    def length_and_slope(coordinates):
        inner = [wall[0] + coordinates[2 * b : 2 * b + 2] @ frames[b] for b, wall in enumerate(walls)]
        points = [source, *inner, receiver]
        slope = np.zeros_like(coordinates)
        total = 0.0
        for i in range(len(points) - 1):
            leg = points[i + 1] - points[i]
            size = float(np.linalg.norm(leg))
            total += size
            if i < len(walls):
                slope[2 * i : 2 * i + 2] += frames[i] @ leg / size
            if i > 0:
                slope[2 * i - 2 : 2 * i] -= frames[i - 1] @ leg / size
        return total, slope

    feet = [0.5 * (np.asarray(source) + receiver) - wall[0] for wall in walls]
    start = np.concatenate([frame @ foot for frame, foot in zip(frames, feet, strict=True)])
    found = minimize(length_and_slope, start + 0.1, jac=True, method="BFGS", options={"gtol": 1e-10})
    return float(found.fun)
