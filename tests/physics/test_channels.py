"""Ray and wideband channels against sums over rays, and the statistics of drawn rays."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import array_geometry
from reference import channels as ref
from reference.arrays import upa_steering
from reference.tools import EPS32, assert_close, assert_near, complex_normal, double, single
from scipy import stats

from thzjax.physics import arrays, channels

ray_channel = jax.jit(channels.ray_channel)
delay_response = jax.jit(channels.delay_response)
wideband = jax.jit(channels.wideband_channel, static_argnums=(3, 4), static_argnames=("spacing", "squint"))

CARRIER_HZ = 0.3e12
PHASE_TOLERANCE = 1e-4  # rad, the promise that a path's phase keeps in float32
P = 3


def rays_of(seed, batch=()):
    rng = np.random.default_rng(seed)
    shape = (*batch, P)
    return (complex_normal(seed, *shape), rng.uniform(0.0, 1e-7, shape), *rng.uniform(-1.2, 1.2, (4, *shape)))


def to_rays(fields, rounding=double):
    return channels.Rays(*(jnp.asarray(rounding(x)) for x in fields))


def test_ray_channel_matches_reference(x64):
    parts = complex_normal(0, 2, P), complex_normal(1, 2, P, 4), complex_normal(2, 2, P, 5)
    actual = ray_channel(*(jnp.asarray(x) for x in parts))
    assert actual.dtype == jnp.complex128
    assert_near(actual, np.array([ref.ray_channel(*a) for a in zip(*parts, strict=True)]), 1e-10)
    # Swapping the ends conjugates the steering vectors and transposes the channel.
    back = ray_channel(jnp.asarray(parts[0]), jnp.asarray(parts[2].conj()), jnp.asarray(parts[1].conj()))
    assert_near(np.swapaxes(back, -1, -2), np.asarray(actual), 1e-12)


def test_ray_channel_float32():
    parts = tuple(single(x) for x in (complex_normal(3, P), complex_normal(4, P, 4), complex_normal(5, P, 5)))
    actual = ray_channel(*(jnp.asarray(x) for x in parts))
    assert actual.dtype == jnp.complex64
    # Sums of P products of three complex factors.
    assert_near(actual, ref.ray_channel(*(double(x) for x in parts)), 4 * (P + 2) * EPS32)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (8, 10), (0, 0)])
def test_a_planar_sum_is_the_sum_of_planar_responses(x64, shape):
    weights = jnp.asarray(complex_normal(6, 2, P))
    angles = np.random.default_rng(7).uniform(-1.2, 1.2, (2, 2, P))
    cosines = jnp.asarray(np.cos(angles[1]) * np.sin(angles[0])), jnp.asarray(np.sin(angles[1]))
    actual = channels.planar_sum(weights, *arrays.axis_responses(*cosines, shape))
    assert actual.shape == (2, shape[0] * shape[1])
    for i in range(2):
        paths = [w * np.asarray(upa_steering(*a, shape)) for w, a in zip(weights[i], angles[:, i].T, strict=True)]
        if actual.size:
            assert_near(actual[i], np.sum(paths, axis=0).ravel(), 1e-12)


def test_subcarrier_offsets(x64):
    for num in (1, 4, 5):
        offsets = channels.subcarrier_offsets(20e9, num)
        assert offsets.shape == (num,)
        assert offsets.dtype == jnp.float64
        np.testing.assert_allclose(offsets, ref.subcarrier_offsets(20e9, num), rtol=1e-12, atol=1e-3)
        assert abs(float(jnp.sum(offsets))) < 1e-3


def phases():
    """Offsets to 10 GHz and delays to 100 ns, extremes among them, as float32."""
    rng = np.random.default_rng(0)
    offset_hz = single(np.concatenate([[0.0, 1e10, -1e10, 1.0], rng.uniform(-1e10, 1e10, 60)]))
    delay_s = single(np.concatenate([[0.0, 1e-7, 1e-12], rng.uniform(0.0, 1e-7, 61)]))
    return offset_hz, delay_s


def test_delay_response_matches_reference(x64):
    offset_hz, delay_s = (double(x) for x in phases())
    actual = delay_response(jnp.asarray(offset_hz), jnp.asarray(delay_s))
    assert actual.dtype == jnp.complex128
    assert_near(actual, ref.delay_response(offset_hz, delay_s), 1e-10)
    batch = delay_response(jnp.asarray(offset_hz), jnp.asarray(delay_s.reshape(4, 16)))
    assert batch.shape == (4, 64, 16)
    assert_near(batch[1], np.asarray(actual)[:, 16:32], 1e-12)


def test_delay_response_keeps_its_phase_in_float32():
    offset_hz, delay_s = phases()
    actual = delay_response(jnp.asarray(offset_hz), jnp.asarray(delay_s))
    assert actual.dtype == jnp.complex64
    expected = ref.delay_response(double(offset_hz), double(delay_s))
    # A thousand turns: their product rounded to half an ulp is off by 1.9e-4 rad. What a path's phase may be off holds
    # for a delay's too; with whole turns taken out of the exact product it would be 5 eps.
    assert np.max(np.abs(double(actual) - expected)) < PHASE_TOLERANCE
    assert np.all(np.asarray(actual)[0] == 1.0)


@pytest.mark.parametrize("squint", [True, False])
def test_wideband_matches_reference(x64, squint):
    fields, offset_hz = rays_of(1), np.array([-8e9, 0.0, 3e9])
    actual = wideband(to_rays(fields), jnp.asarray(offset_hz), jnp.asarray(CARRIER_HZ), (2, 2), (3, 1), squint=squint)
    assert actual.dtype == jnp.complex128
    expected = ref.wideband_channel(fields, offset_hz, CARRIER_HZ, (2, 2), (3, 1), squint=squint)
    assert_near(actual, expected, 1e-10)


def test_wideband_batches_spacing_and_order(x64):
    fields, offset_hz = rays_of(2, (2,)), np.array([-8e9, 1e9])
    arguments = jnp.asarray(offset_hz), jnp.asarray(CARRIER_HZ), (2, 2), (3, 1), (0.3, 0.7), True
    actual = channels.wideband_channel(to_rays(fields), *arguments)
    assert actual.shape == (2, 2, 4, 3)
    expected = [
        ref.wideband_channel([x[b] for x in fields], offset_hz, CARRIER_HZ, (2, 2), (3, 1), (0.3, 0.7))
        for b in range(2)
    ]
    assert_near(actual, np.array(expected), 1e-10)


def test_wideband_float32():
    fields, offset_hz = [single(x) for x in rays_of(3)], single([-8e9, 0.0, 3e9])
    actual = wideband(to_rays(fields, single), jnp.asarray(offset_hz), jnp.float32(CARRIER_HZ), (4, 2), (3, 1))
    assert actual.dtype == jnp.complex64
    expected = ref.wideband_channel(
        [double(x) for x in fields], double(offset_hz), float(np.float32(CARRIER_HZ)), (4, 2), (3, 1)
    )
    # Steering phases of at most 3 pi + pi and 2 pi rad with 4 roundings each, products and the sum, and the delay's.
    rays = np.sum(np.abs(fields[0]))
    bound = rays * ((4 * 19 + 4 * P) * EPS32 + PHASE_TOLERANCE)
    assert np.max(np.abs(double(actual) - expected)) < bound


def test_wideband_reciprocity(x64):
    amplitude, delay_s, *ends = rays_of(4)
    offset_hz = jnp.asarray([-8e9, 0.0, 3e9])
    there = wideband(to_rays((amplitude, delay_s, *ends)), offset_hz, jnp.asarray(CARRIER_HZ), (2, 2), (3, 1))
    swapped = amplitude, delay_s, ends[2], ends[3], ends[0], ends[1]
    back = wideband(to_rays(swapped), offset_hz, jnp.asarray(CARRIER_HZ), (3, 1), (2, 2))
    assert_near(np.swapaxes(back, -1, -2), np.asarray(there), 1e-12)


def test_at_the_carrier_the_wideband_channel_is_the_narrowband_sum(x64):
    fields = rays_of(5)
    actual = wideband(to_rays(fields), jnp.asarray([0.0, 2e9, -1e9]), jnp.asarray(CARRIER_HZ), (2, 2), (3, 1))
    arrival = np.array([upa_steering(a, e, (2, 2)) for a, e in zip(fields[2], fields[3], strict=True)])
    departure = np.array([upa_steering(a, e, (3, 1)) for a, e in zip(fields[4], fields[5], strict=True)])
    narrow = ray_channel(*(jnp.asarray(x) for x in (fields[0], arrival, departure.conj())))
    assert_near(actual[0], np.asarray(narrow), 1e-12)


def test_without_squint_only_the_delays_turn_the_rays(x64):
    # A lone ray: one matrix, turned as a whole by its delay.
    fields = [x[:1] for x in rays_of(6)]
    offset_hz = np.array([-8e9, 0.0, 3e9])
    build = functools.partial(
        channels.wideband_channel, to_rays(fields), jnp.asarray(offset_hz), jnp.asarray(CARRIER_HZ), (4, 4), (3, 1)
    )
    flat, squinted = np.asarray(build(squint=False)), np.asarray(build())
    turns = np.exp(-2j * np.pi * offset_hz * fields[1][0])
    assert_near(flat, turns[:, None, None] * flat[1], 1e-10)
    assert_near(squinted[1], flat[1], 1e-12)
    # With squint the elements drift apart by 2 pi (f/fc - 1) times their distance in wavelengths.
    positions = array_geometry.upa_positions((4, 4), (0.5, 0.5))
    u = array_geometry.direction_vector(fields[2][0], fields[3][0])
    drift = np.exp(2j * np.pi * offset_hz[2] / CARRIER_HZ * positions @ u)
    assert_near(squinted[2][:, 0] / flat[2][:, 0], drift, 1e-10)


KEYS, NUM = 2000, 8
SPREADS = (0.6, 0.2, 3e-9)


@pytest.fixture(scope="module")
def drawn():
    keys = jax.random.split(jax.random.key(0), KEYS)
    build = jax.jit(jax.vmap(lambda key: channels.draw_rays(key, NUM, *SPREADS, 2.5)))
    return jax.tree.map(np.asarray, build(keys))


def test_drawn_rays_have_their_shapes_and_power(drawn):
    for field in vars(drawn).values():
        assert field.shape == (KEYS, NUM)
    assert drawn.amplitude.dtype == np.complex64
    assert drawn.delay_s.dtype == drawn.arrival_azimuth_rad.dtype == np.float32
    # |a|^2 is exponential, so its mean over n draws has the relative deviation 1 / sqrt(n); five of them.
    samples = drawn.amplitude.astype(complex).ravel()
    slack = 5 / np.sqrt(samples.size)
    assert np.mean(np.abs(samples) ** 2) * NUM == pytest.approx(2.5, rel=slack)
    total = np.sum(np.abs(drawn.amplitude.astype(complex)) ** 2, axis=-1)
    assert np.mean(total) == pytest.approx(2.5, rel=slack)
    # Circular: neither a mean nor a pseudo-variance, of deviations sigma / sqrt(n) and sqrt(2) sigma^2 / sqrt(n).
    scale = np.sqrt(2.5 / NUM)
    assert abs(np.mean(samples)) < slack * scale
    assert abs(np.mean(samples**2)) < np.sqrt(2) * slack * scale**2


def test_drawn_rays_follow_their_distributions(drawn):
    deviation = np.sqrt(2.5 / NUM / 2)
    azimuth, elevation, delay_s = SPREADS
    wanted = {
        "arrival_azimuth_rad": stats.uniform(-azimuth, 2 * azimuth),
        "departure_azimuth_rad": stats.uniform(-azimuth, 2 * azimuth),
        "arrival_elevation_rad": stats.uniform(-elevation, 2 * elevation),
        "departure_elevation_rad": stats.uniform(-elevation, 2 * elevation),
        "delay_s": stats.expon(scale=delay_s),
    }
    samples = {name: np.asarray(getattr(drawn, name), float).ravel() for name in wanted}
    samples["real"], samples["imag"] = (f(drawn.amplitude).ravel().astype(float) for f in (np.real, np.imag))
    wanted["real"] = wanted["imag"] = stats.norm(scale=deviation)
    for name, distribution in wanted.items():
        # A true draw falls below this once in a million.
        assert stats.kstest(samples[name], distribution.cdf).pvalue > 1e-6, name
    # All drawn apart: no correlation beyond five of its deviations, between fields or between neighbouring rays.
    correlation = np.corrcoef(np.array(list(samples.values())))
    assert np.max(np.abs(correlation - np.eye(len(correlation)))) < 5 / np.sqrt(KEYS * NUM)
    for name in ("delay_s", "arrival_azimuth_rad"):
        rays = np.corrcoef(np.asarray(getattr(drawn, name), float).T)
        assert np.max(np.abs(rays - np.eye(NUM))) < 5 / np.sqrt(KEYS)


def test_drawn_rays_depend_on_the_key_alone():
    first, again = (channels.draw_rays(jax.random.key(1), 4, *SPREADS) for _ in range(2))
    other = channels.draw_rays(jax.random.key(2), 4, *SPREADS)
    for one, two, three in zip(*(vars(rays).values() for rays in (first, again, other)), strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.any(np.asarray(one) == np.asarray(three))
    doubled = channels.draw_rays(jax.random.key(1), 4, *SPREADS, power=4.0)
    assert_close(doubled.amplitude, 2 * double(first.amplitude), 4 * EPS32)
