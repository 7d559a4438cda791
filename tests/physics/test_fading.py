"""Correlation in time, imperfect estimates and motion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import fading as ref
from reference.tools import EPS32, EPS64, assert_close, complex_normal, double, single

from thzjax.physics import fading

bessel_j0 = jax.jit(fading.bessel_j0)
gauss_markov = jax.jit(fading.gauss_markov)
estimated_channel = jax.jit(fading.estimated_channel)
move_in_disc = jax.jit(fading.move_in_disc)

KEY = jax.random.key(0)
SAMPLES = 40_000
SLACK = 5 / np.sqrt(SAMPLES)  # five deviations of a mean of SAMPLES draws with unit deviation


def arguments():
    """Zero, the neighbourhoods of small integers and of the first zeros, and decades up to 1e4."""
    rng = np.random.default_rng(0)
    zeros = [2.404825557695773, 5.520078110286311, 8.653727912911013, 30.634606468431975]
    near = np.concatenate([np.arange(0.0, 40.0, 0.5), zeros, np.nextafter([5.0, 8.0, 25.0], 0)])
    return np.concatenate(
        [near, 10.0 ** rng.uniform(-8, 4, 200), rng.uniform(0, 50, 200), rng.uniform(50, 1e4, 116), [1e4]]
    )


def test_bessel_j0_to_twelve_digits(x64):
    x = arguments()
    actual = bessel_j0(jnp.asarray(x))
    assert actual.dtype == jnp.float64
    assert np.max(np.abs(np.asarray(actual) - [ref.bessel_j0(value) for value in x])) < 1e-12
    np.testing.assert_array_equal(bessel_j0(-jnp.asarray(x)), actual)
    assert float(fading.bessel_j0(jnp.asarray(0.0))) == pytest.approx(1.0, abs=1e-15)


def test_bessel_j0_float32():
    x = single(arguments())
    actual = bessel_j0(jnp.asarray(x))
    assert actual.dtype == jnp.float32
    expected = np.array([ref.bessel_j0(value) for value in x])
    # The phase x - pi/4 rounds to half an ulp of x on an envelope of sqrt(2 / (pi x)); 8 eps for the rest.
    bound = EPS32 * (8 + np.sqrt(2 * double(x) / np.pi))
    assert np.all(np.abs(double(actual) - expected) < bound)


def test_bessel_j0_slopes_are_minus_j1(x64):
    x = arguments()
    slope = np.asarray(jax.jit(jax.vmap(jax.grad(fading.bessel_j0)))(jnp.asarray(x)))
    # An error of 1e-12 that ripples over tenths has slopes of some 1e-11.
    assert np.max(np.abs(slope + [ref.bessel_j1(value) for value in x])) < 1e-10
    assert slope[0] == 0.0


def test_doppler_correlation_matches_reference(x64):
    speed, freq_hz, interval = (
        np.array(x) for x in ([0.0, 1.0, 30.0, 3.0], [0.3e12, 0.55e12, 1e11, 1e12], [1e-3, 1e-4, 1e-5, 1e-3])
    )
    actual = fading.doppler_correlation(*(jnp.asarray(x) for x in (speed, freq_hz, interval)))
    assert actual.dtype == jnp.float64
    expected = [ref.doppler_correlation(*a) for a in zip(speed, freq_hz, interval, strict=True)]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)
    assert float(actual[0]) == pytest.approx(1.0, abs=1e-15)


def test_doppler_correlation_float32():
    actual = fading.doppler_correlation(jnp.float32(1.5), jnp.float32(0.3e12), jnp.float32(1e-3))
    assert actual.dtype == jnp.float32
    expected = ref.doppler_correlation(1.5, float(np.float32(0.3e12)), float(np.float32(1e-3)))
    # An argument of 9.4 with four roundings, at a slope below 0.6.
    assert abs(float(actual) - expected) < (4 * 9.4 * 0.6 + 8) * EPS32


def test_gauss_markov_is_stationary_and_correlated():
    power, rho = 0.3, 0.8
    h = jnp.asarray(single(np.sqrt(power) * complex_normal(0, SAMPLES)))
    states = [h]
    for key in jax.random.split(KEY, 8):
        states.append(gauss_markov(key, states[-1], jnp.float32(rho), jnp.float32(power)))
    states = [double(state) / np.sqrt(power) for state in states]
    assert states[1].dtype == complex
    for lag in (1, 2, 8):
        moved = states[lag]
        # |h|^2 is exponential with unit deviation; h' conj(h) has a deviation of one per complex sample.
        assert np.mean(np.abs(moved) ** 2) == pytest.approx(1.0, abs=SLACK)
        assert abs(np.mean(moved)) < SLACK
        assert abs(np.mean(moved**2)) < np.sqrt(2) * SLACK
        assert abs(np.mean(moved * states[0].conj()) - rho**lag) < SLACK * np.sqrt(2)
    # What is new at a step is independent of the past and of earlier news.
    news = [states[i + 1] - rho * states[i] for i in range(2)]
    assert np.mean(np.abs(news[0]) ** 2) == pytest.approx(1 - rho**2, abs=SLACK * (1 - rho**2))
    assert abs(np.mean(news[0] * states[0].conj())) < SLACK
    assert abs(np.mean(news[0] * news[1].conj())) < SLACK


def test_gauss_markov_at_its_ends():
    h, other = (jnp.asarray(single(complex_normal(s, 4, 5))) for s in (1, 2))
    np.testing.assert_array_equal(gauss_markov(KEY, h, jnp.float32(1.0)), h)
    np.testing.assert_array_equal(gauss_markov(KEY, h, jnp.float32(-1.0)), -h)
    fresh = gauss_markov(KEY, h, jnp.float32(0.0))
    assert fresh.dtype == jnp.complex64
    np.testing.assert_array_equal(fresh, gauss_markov(KEY, other, jnp.float32(0.0)))
    assert np.all(np.asarray(fresh) != 0.0)
    assert not np.any(np.asarray(fresh) == np.asarray(gauss_markov(jax.random.key(1), h, jnp.float32(0.0))))


def test_gauss_markov_takes_correlation_and_power_per_link(x64):
    h = jnp.asarray(complex_normal(3, 2, 3))
    rho, power = jnp.asarray([[0.5], [-0.4]]), jnp.asarray([1.0, 4.0, 9.0])
    moved = np.asarray(gauss_markov(KEY, h, rho, power))
    assert moved.dtype == complex
    noise = np.asarray(gauss_markov(KEY, 0 * h, jnp.asarray(0.0)))  # the same key draws the same unit noise
    expected = np.asarray(rho) * np.asarray(h) + np.sqrt(1 - np.asarray(rho) ** 2) * np.sqrt(np.asarray(power)) * noise
    np.testing.assert_allclose(moved, expected, rtol=1e-12)


def test_estimated_channel_has_the_error_it_is_given():
    # Three channels of very different strength, each with its own error.
    scale, error = np.array([1e-6, 1.0, 30.0]), np.array([0.1, 0.01, 1.0])
    H = single(scale[:, None, None] * complex_normal(4, 3, 200, 200))
    seen = estimated_channel(KEY, jnp.asarray(H), jnp.asarray(error, jnp.float32))
    assert seen.dtype == jnp.complex64
    gap = double(seen) - double(H)
    power = np.mean(np.abs(double(H)) ** 2, axis=(-2, -1))
    ratio = np.mean(np.abs(gap) ** 2, axis=(-2, -1)) / power
    np.testing.assert_allclose(ratio, error, rtol=5 / 200)
    for b in range(3):
        unit = gap[b] / np.sqrt(error[b] * power[b])
        assert abs(np.mean(unit)) < 5 / 200
        assert abs(np.mean(unit**2)) < np.sqrt(2) * 5 / 200
        assert abs(np.mean(unit * double(H)[b].conj()) / np.sqrt(power[b])) < 5 / 200
    assert abs(np.mean(gap[0] * gap[1].conj()) / np.sqrt(np.prod(error[:2] * power[:2]))) < 5 / 200


def test_estimate_without_error_is_the_channel():
    H = jnp.asarray(single(complex_normal(5, 2, 3, 4)))
    np.testing.assert_array_equal(estimated_channel(KEY, H, jnp.float32(0.0)), H)


def test_estimate_of_a_dark_channel_has_finite_slopes():
    dark = jnp.zeros((2, 3, 4), jnp.complex64)
    np.testing.assert_array_equal(estimated_channel(KEY, dark, jnp.float32(0.1)), dark)
    slope = jax.jit(jax.grad(lambda H: jnp.sum(jnp.real(fading.estimated_channel(KEY, H, jnp.float32(0.1))))))(dark)
    assert np.all(np.isfinite(np.asarray(slope)))


RADIUS, CENTRE = 5.0, np.array([10.0, -4.0, 1.5])


def start(seed, count=64, step=1.0):
    """Positions in the disc, a third of them close to its edge, and velocities that go a step in a second."""
    rng = np.random.default_rng(seed)
    distance = RADIUS * np.sqrt(rng.uniform(0.0, 1.0, count))
    distance[: count // 3] = RADIUS * (1 - 10.0 ** rng.uniform(-6, -2, count // 3))
    place, heading = rng.uniform(-np.pi, np.pi, (2, count))
    position = np.stack([distance * np.cos(place), distance * np.sin(place), rng.uniform(0, 2, count)], axis=-1)
    velocity = step * np.stack([np.cos(heading), np.sin(heading), np.zeros(count)], axis=-1)
    return position + np.array([CENTRE[0], CENTRE[1], 0.0]), velocity


def test_inside_the_disc_motion_is_straight(x64):
    position, velocity = start(0)
    moved, turned = (
        np.asarray(x) for x in move_in_disc(*(jnp.asarray(x) for x in (position, velocity, 0.7, CENTRE, RADIUS)))
    )
    straight = np.array([ref.free_step(p, v, 0.7) for p, v in zip(position, velocity, strict=True)])
    inside = np.array([ref.distance_from_axis(p, CENTRE) for p in straight]) < RADIUS
    assert 8 < np.sum(inside) < 60
    np.testing.assert_allclose(moved[inside], straight[inside], rtol=1e-12)
    np.testing.assert_array_equal(turned[inside], velocity[inside])
    # Outside, the velocity has turned; its part along the edge and the height stay.
    assert np.all(np.any(turned[~inside] != velocity[~inside], axis=-1))
    np.testing.assert_array_equal(moved[:, 2], position[:, 2])
    np.testing.assert_array_equal(turned[:, 2], 0.0)


@given(st.integers(0, 10_000), st.floats(1e-3, 0.99))
def test_a_step_shorter_than_the_radius_never_leaves_the_disc(seed, fraction):
    position, velocity = (single(x) for x in start(seed, step=fraction * RADIUS))
    moved, turned = move_in_disc(
        jnp.asarray(position), jnp.asarray(velocity), jnp.float32(1.0), jnp.asarray(single(CENTRE)), jnp.float32(RADIUS)
    )
    assert moved.dtype == turned.dtype == jnp.float32
    distance = np.array([ref.distance_from_axis(p, CENTRE) for p in double(moved)])
    # Coordinates of up to 15 m carry an ulp each.
    assert np.all(distance <= RADIUS + 4 * 15 * EPS32)
    speed = np.linalg.norm(double(turned), axis=-1)
    np.testing.assert_allclose(speed, np.linalg.norm(double(velocity), axis=-1), rtol=16 * EPS32)


def test_a_long_walk_stays_inside_keeps_its_speed_and_visits_all_quarters(x64):
    position, velocity = (jnp.asarray(x) for x in start(1, count=16, step=2.0))
    speed = np.linalg.norm(velocity, axis=-1)

    def step(state, _):
        state = fading.move_in_disc(*state, jnp.asarray(0.35), jnp.asarray(CENTRE), jnp.asarray(RADIUS))
        return state, state

    _, (path, velocities) = jax.jit(lambda s: jax.lax.scan(step, s, None, length=2000))((position, velocity))
    offset = np.asarray(path)[..., :2] - CENTRE[:2]
    assert np.max(np.linalg.norm(offset, axis=-1)) <= RADIUS * (1 + 100 * EPS64)
    # Each reflection turns the velocity with a few roundings: at most 2000 of them.
    np.testing.assert_allclose(
        np.linalg.norm(velocities, axis=-1), np.broadcast_to(speed, (2000, 16)), rtol=8000 * EPS64
    )
    quarters = {(x > 0, y > 0) for x, y in offset.reshape(-1, 2)}
    assert len(quarters) == 4
    # Nobody sticks to the edge: each walker's steps are as long as its speed says, on the whole.
    travelled = np.linalg.norm(np.diff(np.asarray(path), axis=0), axis=-1)
    assert np.all(np.median(travelled, axis=0) > 0.9 * 0.35 * speed)


def test_at_the_edge_only_the_outward_velocity_turns(x64):
    # A step of 2 % of the radius turns the edge's normal by at most 0.02 rad, in the mean of two places by less.
    position, velocity = start(3, count=256, step=0.02 * RADIUS)
    arguments = position, velocity, 1.0, CENTRE, RADIUS
    _, turned = (np.asarray(x) for x in move_in_disc(*(jnp.asarray(x) for x in arguments)))
    outward = (position - CENTRE)[:, :2] / np.linalg.norm((position - CENTRE)[:, :2], axis=-1, keepdims=True)
    change = (velocity - turned)[:, :2]
    hit = np.linalg.norm(change, axis=-1) > 0
    assert np.sum(hit) > 5
    across = change[:, 0] * outward[:, 1] - change[:, 1] * outward[:, 0]
    assert np.all(np.abs(across[hit]) <= 0.03 * np.linalg.norm(change[hit], axis=-1))
    assert np.all(np.sum(change * outward, axis=-1)[hit] > 0)
    # Who was turned goes inwards, to within the same angle.
    speed = 0.02 * RADIUS
    assert np.all(np.sum(turned[:, :2] * outward, axis=-1)[hit] < 0.03 * speed)


def test_a_head_on_reflection_comes_straight_back(x64):
    # From 4 m out at 2 m/s: 1 m to the edge and 1 m back, or a mirror image of the overshoot: the same place.
    position, velocity = jnp.asarray([14.0, -4.0, 1.0]), jnp.asarray([2.0, 0.0, 0.0])
    moved, turned = fading.move_in_disc(position, velocity, jnp.asarray(1.0), jnp.asarray(CENTRE), jnp.asarray(RADIUS))
    np.testing.assert_allclose(moved, [14.0, -4.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(turned, [-2.0, 0.0, 0.0], atol=1e-12)


def test_batches_and_gradients_of_motion():
    position, velocity = (jnp.asarray(single(x)) for x in start(2))
    rest = jnp.float32(0.7), jnp.asarray(single(CENTRE)), jnp.float32(RADIUS)
    together = move_in_disc(position, velocity, *rest)
    alone = move_in_disc(position[5], velocity[5], *rest)
    for one, other in zip(together, alone, strict=True):
        assert_close(one[5] + 1.0, double(other) + 1.0, 16 * EPS32)
    # At rest, one of them in the very middle of the disc.
    position = position.at[0].set(rest[1])
    still = jnp.zeros_like(velocity)
    slope = jax.jit(jax.grad(lambda p, v: jnp.sum(fading.move_in_disc(p, v, *rest)[0]), (0, 1)))(position, still)
    assert all(np.all(np.isfinite(np.asarray(s))) for s in slope)
