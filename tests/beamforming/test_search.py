"""Searches over designs: coordinate by coordinate, greedy, and at random."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.tools import EPS64

from thzjax.beamforming import designs, get_design
from thzjax.beamforming.coordinate import CONTINUOUS_LEVELS, phase_levels, search_beams, search_elements
from thzjax.beamforming.greedy import AMPLITUDES, dft_codebook, greedy
from thzjax.beamforming.score import finished
from thzjax.beamforming.subspace import compact, lift
from thzjax.systems.base import Design
from thzjax.systems.hris_isac import HrisIsac
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_isac import IrsIsac
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build

CHANNELS = 8
# Three elements of four levels: 64 surfaces in all.
TINY = IrsScenario(surface_shape=(1, 3), phase_bits=2, num_antennas=3, num_users=2, element_gain_dbi=40.0)
HYBRID = HrisScenario(
    bs_shape=(2, 3),
    surface_shape=(2, 3),
    sensor_shape=(2, 2),
    num_active=2,
    num_users=2,
    num_rays_bs=2,
    p_surface_dbm=-25.0,
    max_crb_rad2=1.0,
    min_sinr_db=-20.0,
)


@functools.cache
def drawn(scenario):
    system, params = build(scenario)
    keys = jax.random.split(jax.random.key(1), CHANNELS)
    return system, params, jax.jit(jax.vmap(system.sample, in_axes=(0, None)))(keys, params)


@functools.partial(jax.jit, static_argnums=0)
def scores(system, params, channels, design):
    return finished(system, params, channels, design)[1]


@functools.partial(jax.jit, static_argnums=0)
def searched(system, params, channels, design):
    return search_elements(system, params, channels, design, phase_levels(system))


@functools.cache
def every_surface():
    """A random design of the tiny system, all its surfaces and their scores `[64, C]`."""
    system, params, channels = drawn(TINY)
    design = system.random_design(jax.random.key(2), params, channels)
    surfaces = np.array(list(itertools.product(phase_levels(system), repeat=3)), np.complex64)
    every = jax.vmap(
        lambda psi: scores(system, params, channels, design.replace(reflection=jnp.tile(psi, (CHANNELS, 1))))
    )
    return design, surfaces, np.asarray(every(jnp.asarray(surfaces)))


def index_of(surfaces, reflection):
    """Which of all surfaces each channel has, `[C]`."""
    return np.argmin(np.sum(np.abs(surfaces[:, None] - np.asarray(reflection)) ** 2, axis=-1), axis=0)


def test_a_search_started_beside_the_best_surface_finds_it():
    """Element 0 is searched first: all others as in the best of 64 surfaces, it takes that one's level and stays."""
    system, params, channels = drawn(TINY)
    design, surfaces, values = every_surface()
    best = surfaces[np.argmax(values, axis=0)]
    beside = best * np.array([-1, 1, 1])
    found, value = searched(system, params, channels, design.replace(reflection=jnp.asarray(beside, jnp.complex64)))
    np.testing.assert_allclose(value, np.max(values, axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        np.take_along_axis(values, index_of(surfaces, found.reflection)[None], 0)[0], value, rtol=1e-5
    )


def test_repeated_searches_end_where_no_single_element_can_do_better():
    system, params, channels = drawn(TINY)
    design, surfaces, values = every_surface()
    start, history = design, []
    for _ in range(8):
        start, value = searched(system, params, channels, start)
        history.append(np.asarray(value))
    history = np.array(history)
    assert np.all(np.diff(history, axis=0) >= 0)
    assert np.all(history[0] >= np.asarray(scores(system, params, channels, design)))
    assert np.all(history[-1] == history[-2])
    for c in range(CHANNELS):
        differ = np.sum(np.abs(surfaces - np.asarray(start.reflection[c])) > 0.1, axis=-1)
        # 9 surfaces differ in one element; to float32's rounding of a rate none is better.
        assert np.sum(differ == 1) == 9
        assert np.max(values[differ == 1, c]) <= history[-1, c] * (1 + 1e-5)


def test_the_beams_and_the_other_parts_stay():
    system, params, channels = drawn(TINY)
    design = every_surface()[0]
    np.testing.assert_array_equal(searched(system, params, channels, design)[0].beamformer, design.beamformer)


def test_a_beam_search_takes_the_best_beam_of_each_stream():
    system, params, channels = drawn(TINY)
    design, *_ = every_surface()
    code = np.sqrt(float(params.power_w) / 2) * dft_codebook((3, 1))
    code = jnp.asarray(np.broadcast_to(code, (CHANNELS, 3, 3)), jnp.complex64)
    # From beams of the codebook: then a search is over nine pairs of them.
    start = design.replace(beamformer=code[..., :2])
    found, value = jax.jit(functools.partial(search_beams, system))(params, channels, start, code)
    np.testing.assert_array_equal(found.reflection, start.reflection)

    def with_pair(pair):
        return np.asarray(scores(system, params, channels, start.replace(beamformer=code[..., list(pair)])))

    pairs = {pair: with_pair(pair) for pair in itertools.product(range(3), repeat=2)}
    # Stream 0 first, stream 1 as it was; then stream 1.
    for c in range(CHANNELS):
        first = max(range(3), key=lambda i, c=c: pairs[i, 1][c])
        best = max(pairs[first, i][c] for i in range(3))
        assert float(value[c]) == pytest.approx(best, rel=1e-5)


def test_phase_levels():
    np.testing.assert_allclose(phase_levels(IrsIsac(phase_bits=2)), [1, 1j, -1, -1j], atol=4 * EPS64)
    continuous = phase_levels(HrisIsac(), AMPLITUDES)
    assert len(continuous) == len(AMPLITUDES) * CONTINUOUS_LEVELS
    np.testing.assert_allclose(np.unique(np.round(np.abs(continuous), 12)), sorted(AMPLITUDES))
    np.testing.assert_allclose(continuous[:CONTINUOUS_LEVELS] ** CONTINUOUS_LEVELS, 1, atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (2, 3), (4, 4)])
def test_the_codebook_is_orthonormal_and_points_over_the_whole_circle(shape):
    code = dft_codebook(shape)
    size = shape[0] * shape[1]
    np.testing.assert_allclose(np.conj(code).T @ code, np.eye(size), rtol=0, atol=8 * size * EPS64)
    np.testing.assert_allclose(np.abs(code), size**-0.5, rtol=1e-12)
    # Beam (i, j) turns by i/rows from row to row and by j/cols from column to column, element index row*cols + col.
    for i, j in itertools.product(range(shape[0]), range(shape[1])):
        row, col = np.indices(shape)
        expected = np.exp(2j * np.pi * (i * row / shape[0] + j * col / shape[1])) / size**0.5
        np.testing.assert_allclose(code[:, i * shape[1] + j], expected.ravel(), atol=1e-13)


@functools.partial(jax.jit, static_argnums=(0, 3))
def greedily(system, params, channels, sweeps):
    small, basis = compact(system, channels)
    design = greedy(system, params, small, basis, sweeps)
    return Design(lift(basis, design.beamformer), design.reflection)


@pytest.mark.parametrize("scenario", [TINY, pytest.param(HYBRID, marks=pytest.mark.full)], ids=["irs", "hybrid"])
def test_every_greedy_sweep_is_as_good_as_the_one_before(scenario):
    system, params, channels = drawn(scenario)
    first, once, twice = (greedily(system, params, channels, sweeps) for sweeps in (0, 1, 2))
    values = np.array([np.asarray(scores(system, params, channels, design)) for design in (first, once, twice)])
    # Compiled apart, the same score may differ in its last digits.
    assert np.all(np.diff(values, axis=0) >= -1e-5 * np.abs(values[:-1]) - 1e-6)
    assert np.mean(values[1] > values[0] + 1e-3) >= 0.75


def test_the_greedy_start_is_the_beam_that_each_user_hears_best():
    """Of the codebook's parts in the row space of G at unit norm, at equal power; the sensing stream is silent."""
    system, params, channels = drawn(HYBRID)
    design = jax.tree.map(np.asarray, greedily(system, params, channels, 0))
    largest = np.where(np.asarray(system.active(channels)), float(params.max_amplitude), 1)
    np.testing.assert_allclose(design.reflection, largest, rtol=1e-6)
    H = np.asarray(system.effective_channel(channels, design.reflection))
    for c in range(CHANNELS):
        rows = np.linalg.svd(np.asarray(channels.bs_to_surface[c]))[2][: system.spec.rank]
        beams = np.conj(rows).T @ rows @ dft_codebook((2, 3))
        beams *= np.sqrt(float(params.power_w) / 2) / np.linalg.norm(beams, axis=0)
        heard = np.abs(H[c] @ beams)
        np.testing.assert_array_equal(design.beamformer[c, :, 2], 0)
        for k in range(2):
            assert abs(H[c, k] @ design.beamformer[c, :, k]) == pytest.approx(np.max(heard[k]), rel=1e-4)
            expected = H[c] @ beams[:, np.argmax(heard[k])]
            np.testing.assert_allclose(H[c] @ design.beamformer[c, :, k], expected, rtol=0, atol=1e-4 * np.max(heard))


@pytest.mark.parametrize("scenario", [TINY, pytest.param(HYBRID, marks=pytest.mark.full)], ids=["irs", "hybrid"])
def test_the_best_of_random_is_the_best_of_them(scenario, monkeypatch):
    monkeypatch.setattr(designs, "RANDOM_TRIALS", 3)
    system, params, channels = drawn(scenario)
    key = jax.random.key(11)
    design = jax.jit(get_design("best_of_random", "joint"), static_argnums=0)(system, params, channels, key)
    small, basis = compact(system, channels)
    values = []
    for one in jax.random.split(key, 3):
        drawn_one = system.random_design(one, params, small)
        drawn_one = Design(lift(basis, drawn_one.beamformer), drawn_one.reflection)
        values.append(np.asarray(scores(system, params, channels, drawn_one)))
    found = np.asarray(scores(system, params, channels, design))
    np.testing.assert_allclose(found, np.max(values, axis=0), rtol=1e-4, atol=1e-5)
    assert len(set(np.argmax(values, axis=0).tolist())) > 1
