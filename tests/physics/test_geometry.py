"""Reflected paths against bounce points and against the shortest path."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import geometry as ref
from reference.tools import EPS32, assert_close, assert_near, double, single

from thzjax.errors import ConfigError
from thzjax.physics import geometry

# Compiled once per shape here: batches of COUNT paths.
reflected_path = jax.jit(geometry.reflected_path)
mirror = jax.jit(geometry.mirror)
COUNT = 64
both_orders = pytest.mark.parametrize("bounces", [1, 2])
seeds = st.integers(0, 10_000)


def scenes(seed, bounces, count=COUNT):
    """Points and walls of random place, direction and length of normal."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-3.0, 3.0, (2, count, 3))
    walls = rng.uniform(-3.0, 3.0, (count, bounces, 3))
    normals = rng.standard_normal((count, bounces, 3)) * rng.uniform(0.1, 10.0, (count, bounces, 1))
    return points[0], points[1], walls, normals


def to_jax(arguments, rounding=double):
    return tuple(jnp.asarray(rounding(x)) for x in arguments)


def fields(path):
    """What a path measures, all but its visibility."""
    return path.length_m, path.incidence_rad, path.departure, path.arrival


def reference_paths(arguments):
    """Reference fields stacked over the scenes, and the least side product over the walls."""
    rows, margins = [], []
    for source, receiver, walls, normals in zip(*arguments, strict=True):
        pairs = list(zip(walls, normals, strict=True))
        rows.append(ref.reflected_path(source, receiver, pairs))
        margins.append(min(ref.sides(source, receiver, pairs)))
    return [np.array(column) for column in zip(*rows, strict=True)], np.array(margins)


def test_mirror_matches_reference(x64):
    source, _, walls, normals = scenes(0, 1)
    actual = mirror(*to_jax((source, walls[:, 0], normals[:, 0])))
    assert actual.dtype == jnp.float64
    expected = [ref.mirror(*a) for a in zip(source, walls[:, 0], normals[:, 0], strict=True)]
    assert_near(actual, np.array(expected), 1e-10)


@given(seeds)
def test_mirror_is_its_own_inverse_and_keeps_distances(seed):
    source, receiver, walls, normals = to_jax(scenes(seed, 1), single)
    plane = walls[:, 0], normals[:, 0]
    image = mirror(source, *plane)
    # Coordinates up to 9 or so, some ten roundings each way.
    assert_near(mirror(image, *plane), np.asarray(source), 64 * EPS32)
    before = np.linalg.norm(np.asarray(source - receiver), axis=-1)
    after = np.linalg.norm(np.asarray(image - mirror(receiver, *plane)), axis=-1)
    np.testing.assert_allclose(after, before, atol=200 * EPS32)
    # The half-way point lies on the plane, whatever the normal's length or sign.
    lengthened = np.asarray(mirror(source, plane[0], -7.0 * plane[1]))
    np.testing.assert_allclose(lengthened, np.asarray(image), atol=200 * EPS32)
    unit = np.asarray(plane[1]) / np.linalg.norm(np.asarray(plane[1]), axis=-1, keepdims=True)
    heights = np.sum((0.5 * np.asarray(source + image) - np.asarray(plane[0])) * unit, axis=-1)
    np.testing.assert_allclose(heights, 0.0, atol=200 * EPS32)


@both_orders
def test_reflected_path_matches_reference(x64, bounces):
    arguments = scenes(1, bounces)
    actual = reflected_path(*to_jax(arguments))
    (length, incidence, departure, arrival, visible), _ = reference_paths(arguments)
    assert 8 < np.sum(visible) < COUNT - 8
    np.testing.assert_array_equal(actual.visible, visible)
    assert actual.visible.dtype == bool
    assert actual.length_m.dtype == jnp.float64
    assert actual.incidence_rad.shape == (COUNT, bounces)
    assert np.all(np.isfinite(np.concatenate([np.ravel(x) for x in fields(actual)])))
    seen = np.flatnonzero(visible)
    assert_close(actual.length_m[seen], length[seen], 1e-10)
    assert_near(actual.incidence_rad[seen], incidence[seen], 1e-10)
    assert_near(actual.departure[seen], departure[seen], 1e-10)
    assert_near(actual.arrival[seen], arrival[seen], 1e-10)


@both_orders
def test_reflected_path_float32(bounces):
    arguments = tuple(single(x) for x in scenes(2, bounces))
    actual = reflected_path(*to_jax(arguments, single))
    assert actual.length_m.dtype == actual.arrival.dtype == jnp.float32
    (length, incidence, departure, arrival, visible), margin = reference_paths(tuple(double(x) for x in arguments))
    # Images lie up to 30 m away with some 20 roundings, all relative to that.
    error_m = 20 * 30 * EPS32
    clear = np.abs(margin) > 100 * error_m
    np.testing.assert_array_equal(np.asarray(actual.visible)[clear], visible[clear])
    seen = visible & clear
    assert np.sum(seen) > 8
    assert np.max(np.abs(double(actual.length_m) - length)[seen]) < error_m
    # A direction turns by its ends' error over its length; no leg's share is known here, the path's is.
    for vector, wanted in ((actual.departure, departure), (actual.arrival, arrival)):
        gap = np.linalg.norm(double(vector) - wanted, axis=-1)
        assert np.all((gap * length)[seen] < 2 * error_m)
    # The angle from sine and cosine alike: an arc cosine alone would lose half the digits near zero.
    gap = np.max(np.abs(double(actual.incidence_rad) - incidence), axis=-1)
    assert np.all((gap * length)[seen] < 2 * error_m)


@both_orders
def test_light_takes_the_shortest_path(x64, bounces):
    arguments = scenes(3, bounces)
    actual = reflected_path(*to_jax(arguments))
    for number, (source, receiver, walls, normals) in enumerate(zip(*arguments, strict=True)):
        shortest = ref.shortest_length(source, receiver, list(zip(walls, normals, strict=True)))
        length = float(actual.length_m[number])
        if actual.visible[number]:
            assert length == pytest.approx(shortest, rel=1e-9)
        else:
            # The shortest path goes straight through a wall there: another length, if only by chance a near one.
            assert abs(shortest - length) > 1e-9 * length


@both_orders
def test_a_reflection_is_longer_than_the_straight_line(x64, bounces):
    arguments = scenes(4, bounces)
    actual = reflected_path(*to_jax(arguments))
    direct = np.linalg.norm(arguments[0] - arguments[1], axis=-1)
    seen = np.asarray(actual.visible)
    assert np.all(np.asarray(actual.length_m)[seen] > direct[seen])
    assert np.all((np.asarray(actual.incidence_rad) >= 0) & (np.asarray(actual.incidence_rad) <= np.pi / 2))
    for vector in (actual.departure, actual.arrival):
        np.testing.assert_allclose(np.linalg.norm(vector, axis=-1), 1.0, rtol=1e-12)


def test_angle_in_is_angle_out(x64):
    arguments = scenes(5, 1)
    path = reflected_path(*to_jax(arguments))
    unit = arguments[3][:, 0] / np.linalg.norm(arguments[3][:, 0], axis=-1, keepdims=True)
    seen = np.asarray(path.visible)
    entering, leaving = (np.sum(np.asarray(v) * unit, axis=-1) for v in (path.departure, path.arrival))
    np.testing.assert_allclose(entering[seen], leaving[seen], atol=1e-12)
    np.testing.assert_allclose(np.abs(entering)[seen], np.cos(path.incidence_rad[:, 0])[seen], atol=1e-12)
    # In one plane with the normal.
    triple = np.einsum("ni,ni->n", np.cross(path.departure, path.arrival), unit)
    np.testing.assert_allclose(triple[seen], 0.0, atol=1e-12)


@both_orders
def test_reciprocity(x64, bounces):
    source, receiver, walls, normals = scenes(6, bounces)
    there = reflected_path(*to_jax((source, receiver, walls, normals)))
    back = reflected_path(*to_jax((receiver, source, walls[:, ::-1], normals[:, ::-1])))
    np.testing.assert_array_equal(there.visible, back.visible)
    seen = np.flatnonzero(np.asarray(there.visible))
    assert_close(back.length_m[seen], np.asarray(there.length_m)[seen], 1e-10)
    assert_near(back.incidence_rad[seen][:, ::-1], np.asarray(there.incidence_rad)[seen], 1e-10)
    assert_near(back.departure[seen], np.asarray(there.arrival)[seen], 1e-10)
    assert_near(back.arrival[seen], np.asarray(there.departure)[seen], 1e-10)


@both_orders
def test_normals_may_have_any_length_and_sign(x64, bounces):
    source, receiver, walls, normals = scenes(7, bounces)
    before = reflected_path(*to_jax((source, receiver, walls, normals)))
    factors = np.random.default_rng(0).choice([-100.0, -1.0, 0.01], (COUNT, bounces, 1))
    after = reflected_path(*to_jax((source, receiver, walls, factors * normals)))
    np.testing.assert_array_equal(before.visible, after.visible)
    for one, other in zip(fields(before), fields(after), strict=True):
        assert_near(one, np.asarray(other), 1e-10)


def test_two_bounces_are_two_mirrors(x64):
    source, receiver, walls, normals = (jnp.asarray(x) for x in scenes(8, 2))
    path = reflected_path(source, receiver, walls, normals)
    image = mirror(mirror(source, walls[:, 0], normals[:, 0]), walls[:, 1], normals[:, 1])
    seen = np.flatnonzero(np.asarray(path.visible))
    distance = np.linalg.norm(np.asarray(receiver - image), axis=-1)
    assert_close(path.length_m[seen], distance[seen], 1e-10)


def test_two_mirrors_at_a_right_angle_send_back_what_comes(x64):
    # In the corner x, y > 0 the path leaves and arrives along one direction, its incidences add up to 90 degrees.
    rng = np.random.default_rng(1)
    source, receiver = np.concatenate([rng.uniform(0.5, 3.0, (2, COUNT, 2)), np.zeros((2, COUNT, 1))], axis=-1)
    normals = np.broadcast_to(np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), (COUNT, 2, 3))
    path = reflected_path(*to_jax((source, receiver, np.zeros((COUNT, 2, 3)), normals)))
    seen = np.asarray(path.visible)
    # The path to the image at minus the source meets x = 0 first where the receiver lies above the diagonal ray.
    np.testing.assert_array_equal(seen, source[:, 0] * receiver[:, 1] < source[:, 1] * receiver[:, 0])
    assert 8 < np.sum(seen) < COUNT - 8
    np.testing.assert_allclose(path.length_m[seen], np.linalg.norm(source + receiver, axis=-1)[seen], rtol=1e-12)
    np.testing.assert_allclose(path.departure[seen], np.asarray(path.arrival)[seen], atol=1e-12)
    np.testing.assert_allclose(np.sum(path.incidence_rad, axis=-1)[seen], np.pi / 2, rtol=1e-12)


@both_orders
def test_the_slope_of_the_length_is_the_direction(x64, bounces):
    source, receiver, walls, normals = (jnp.asarray(x) for x in scenes(9, bounces))

    @functools.partial(jax.jit)
    def slopes(*ends):
        return jax.grad(lambda *e: jnp.sum(geometry.reflected_path(*e, walls, normals).length_m), (0, 1))(*ends)

    path = reflected_path(source, receiver, walls, normals)
    by_source, by_receiver = slopes(source, receiver)
    seen = np.asarray(path.visible)
    np.testing.assert_allclose(by_source[seen], -np.asarray(path.departure)[seen], atol=1e-10)
    np.testing.assert_allclose(by_receiver[seen], -np.asarray(path.arrival)[seen], atol=1e-10)
    assert np.all(np.isfinite(np.asarray(by_source)))


def test_straight_onto_a_wall_and_back():
    # A radar's own echo: source and receiver in one place, incidence zero, with finite slopes.
    place, wall, normal = jnp.asarray([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0], [0.0, 0.0, 5.0]], jnp.float32)
    path = geometry.reflected_path(place, place, wall[None], normal[None])
    assert bool(path.visible)
    assert float(path.length_m) == pytest.approx(4.0, rel=4 * EPS32)
    assert float(path.incidence_rad[0]) == pytest.approx(0.0, abs=4 * EPS32)
    np.testing.assert_allclose(path.departure, [0.0, 0.0, -1.0], atol=4 * EPS32)
    slope = jax.grad(lambda p: jnp.sum(geometry.reflected_path(p, place, wall[None], normal[None]).incidence_rad))(
        place
    )
    assert np.all(np.isfinite(np.asarray(slope)))


def test_what_touches_or_straddles_a_wall_is_not_visible():
    wall, normal = jnp.zeros((1, 3)), jnp.asarray([[0.0, 0.0, 1.0]])
    above, below, on = (jnp.asarray([1.0, 0.0, z]) for z in (1.0, -1.0, 0.0))
    for source, receiver, expected in ((above, above, True), (below, below, True), (above, below, False)):
        assert bool(geometry.reflected_path(source, receiver, wall, normal).visible) is expected
    assert not bool(geometry.reflected_path(on, above, wall, normal).visible)


def test_one_or_two_bounces_only():
    point = jnp.zeros(3)
    for bounces in (0, 3):
        with pytest.raises(ConfigError):
            geometry.reflected_path(point, point + 1.0, jnp.zeros((bounces, 3)), jnp.ones((bounces, 3)))


def test_a_batch_of_walls_meets_one_pair_of_ends():
    source, receiver, walls, normals = to_jax(scenes(10, 2), single)
    path = reflected_path(source[0], receiver[0], walls, normals)
    one = reflected_path(source[0], receiver[0], walls[3], normals[3])
    assert path.length_m.shape == (COUNT,)
    assert path.departure.shape == (COUNT, 3)
    np.testing.assert_allclose(path.length_m[3], one.length_m, rtol=20 * EPS32)
