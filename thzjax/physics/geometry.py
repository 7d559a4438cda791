"""Reflected paths by the image method: walls are infinite planes, up to two bounces."""

import jax.numpy as jnp
from flax import struct
from jax import Array

from thzjax.errors import ConfigError
from thzjax.numeric import norm_or_zero


@struct.dataclass
class ReflectedPath:
    """A path from a source over one or two walls to a receiver.

    Attributes:
      length_m: whole length [m], `[...]`.
      incidence_rad: angle of incidence at each wall, from its normal [rad], `[..., B]`.
      departure: unit vector along the first segment, `[..., 3]`.
      arrival: unit vector from the receiver to where the wave comes from, `[..., 3]`.
      visible: whether the path exists: each wall is met from one side, `[...]`.
    """

    length_m: Array
    incidence_rad: Array
    departure: Array
    arrival: Array
    visible: Array


def _unit(vector: Array) -> Array:
    return vector / jnp.linalg.norm(vector, axis=-1, keepdims=True)


def _height(point_m: Array, wall_point_m: Array, unit_normal: Array) -> Array:
    """Signed distance of a point from a wall [m], `[..., 1]`."""
    return jnp.sum((point_m - wall_point_m) * unit_normal, axis=-1, keepdims=True)


def mirror(point_m: Array, wall_point_m: Array, wall_normal: Array) -> Array:
    """Mirror image of a point in a wall.

    Args:
      point_m: `[..., 3]` [m].
      wall_point_m: any point of the wall, `[..., 3]` [m].
      wall_normal: of any length but zero, `[..., 3]`.

    Returns:
      `[..., 3]` [m].
    """
    normal = _unit(wall_normal)
    return point_m - 2 * _height(point_m, wall_point_m, normal) * normal


def reflected_path(source_m: Array, receiver_m: Array, wall_points_m: Array, wall_normals: Array) -> ReflectedPath:
    """The specular path over the walls in the order given, by mirror images of the source.

    Args:
      source_m, receiver_m: `[..., 3]` [m].
      wall_points_m: a point of each wall, `[..., B, 3]` [m], B = 1 or 2.
      wall_normals: `[..., B, 3]`.

    Returns:
      `ReflectedPath`; with `propagation.reflection_coefficient` per bounce and
      `propagation.reflected_path_amplitude` over `length_m` it gives the path's amplitude.

    Raises:
      ConfigError: not one or two walls (at terahertz, higher orders are lost in the noise: paper A, Section II).
    """
    bounces = wall_points_m.shape[-2]
    if bounces not in (1, 2):
        raise ConfigError(f"{bounces} walls: a path has 1 or 2 bounces")
    points = [wall_points_m[..., b, :] for b in range(bounces)]
    normals = [_unit(wall_normals[..., b, :]) for b in range(bounces)]
    images = [source_m]
    for point, normal in zip(points, normals, strict=True):
        images.append(mirror(images[-1], point, normal))
    # Back from the receiver: each image sees the next bounce through its wall. Until there the direction is unfolded.
    target = receiver_m
    incidence, visible = [], jnp.asarray(True)
    arrival = _unit(images[-1] - receiver_m)
    for b in reversed(range(bounces)):
        point, normal = points[b], normals[b]
        offset = target - images[b + 1]
        cosine = jnp.abs(jnp.sum(_unit(offset) * normal, axis=-1))
        sine = norm_or_zero(jnp.cross(_unit(offset), normal))
        incidence.append(jnp.arctan2(sine, cosine))
        before, after = _height(images[b], point, normal), _height(target, point, normal)
        visible = visible & ((before * after)[..., 0] > 0)
        # The image lies as deep behind the wall as its original before it.
        total = jnp.abs(before) + jnp.abs(after)
        share = jnp.abs(before) / jnp.where(total > 0, total, 1)
        target = images[b + 1] + share * offset
    return ReflectedPath(
        length_m=jnp.linalg.norm(receiver_m - images[-1], axis=-1),
        incidence_rad=jnp.stack(incidence[::-1], axis=-1),
        departure=_unit(target - source_m),
        arrival=arrival,
        visible=visible,
    )
