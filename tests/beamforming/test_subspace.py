"""The channel's row space: nothing is lost in it."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.tools import EPS32, EPS64, complex_normal, double

from thzjax.beamforming.subspace import compact, lift, orthonormal
from thzjax.systems.base import Design
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_isac import IrsIsac
from thzjax.systems.scenario import build, preset

CHANNELS = 3


def hybrid(rays, **changes):
    sizes = {"bs_shape": (2, 3), "surface_shape": (3, 4), "sensor_shape": (2, 2), "num_active": 5, "num_users": 3}
    return HrisScenario(**sizes, num_rays_bs=rays, min_sinr_db=-20.0, **changes)


SCENARIOS = {"rank 1": hybrid(0), "rank 4": hybrid(3), "rank 6 of 64": preset("paper-b")}
RANKS = {"rank 1": 1, "rank 4": 4, "rank 6 of 64": 6}


@functools.partial(jax.jit, static_argnums=0)
def both_ways(system, params, keys):
    """Channels, their compact form and basis, and the outcome of one random design in the basis and lifted."""
    channels = jax.vmap(system.sample, in_axes=(0, None))(keys, params)
    small, basis = compact(system, channels)
    design = system.random_design(jax.random.key(1), params, small)
    design = system.project(params, small, design)
    lifted = Design(lift(basis, design.beamformer), design.reflection)
    return (
        channels,
        small,
        basis,
        design,
        lifted,
        system.outcome(params, small, design),
        system.outcome(params, channels, lifted),
    )


def check(name, eps):
    system, params = build(SCENARIOS[name])
    keys = jax.random.split(jax.random.key(7), CHANNELS)
    found = jax.tree.map(double, both_ways(system, params, keys))
    channels, small, basis, design, lifted, inside, outside = found
    rank, antennas = RANKS[name], system.spec.antennas
    assert system.spec.rank == rank
    assert basis.shape == (CHANNELS, antennas, rank)
    assert small.bs_to_surface.shape == (CHANNELS, system.spec.elements, rank)
    # Products of M numbers of modulus up to 1.
    tolerance = 4 * antennas * eps
    gram = np.conj(np.swapaxes(basis, -1, -2)) @ basis
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(rank), gram.shape), rtol=0, atol=tolerance)
    G = channels.bs_to_surface
    # G lies in the basis: its rows are combinations of `rank` departures. Nearly parallel ones cost digits in float32.
    spanned = G @ basis @ np.conj(np.swapaxes(basis, -1, -2))
    np.testing.assert_allclose(spanned, G, rtol=0, atol=30 * tolerance * np.max(np.abs(G)))
    power, power_lifted = (np.sum(np.abs(d.beamformer) ** 2, axis=(-2, -1)) for d in (design, lifted))
    np.testing.assert_allclose(power_lifted, power, rtol=tolerance)
    # Outcomes: sums over N elements more; the bound's elimination amplifies what is left by its condition (some 1e2).
    elements = system.spec.elements
    np.testing.assert_allclose(outside.rates, inside.rates, rtol=0, atol=30 * elements * eps * np.max(inside.rates))
    for constraint, value in inside.slack.items():
        allowed = 1e4 * eps * (1 + np.abs(value))
        assert np.all(np.abs(outside.slack[constraint] - value) <= allowed), constraint


@pytest.mark.parametrize("name", [pytest.param("rank 1", marks=pytest.mark.full), "rank 6 of 64"])
def test_an_outcome_in_the_basis_is_the_outcome_of_all_antennas(name):
    check(name, EPS32)


@pytest.mark.parametrize("name", ["rank 1", pytest.param("rank 4", marks=pytest.mark.full)])
def test_the_same_in_float64(name, x64):
    check(name, EPS64)


@pytest.mark.parametrize(
    "scenario", [hybrid(5), hybrid(9), hybrid(3, csi_error=0.1)], ids=["M", "more rays", "estimated"]
)
def test_where_the_rank_is_full_nothing_changes(scenario):
    """Estimation errors fill every dimension."""
    system, params = build(scenario)
    unchanged(system, jax.eval_shape(system.sample, jax.random.key(0), params))


def test_nothing_changes_for_a_linear_array_with_its_direct_links():
    unchanged(IrsIsac(), types.SimpleNamespace(bs_to_surface=jnp.ones((16, 5)), direct=jnp.ones((4, 5))))


def unchanged(system, channels):
    small, basis = compact(system, channels)
    assert small is channels
    assert basis is None
    W = jnp.ones((6, 4), jnp.complex64)
    assert lift(None, W) is W


basis_of = jax.jit(orthonormal)


@given(st.integers(0, 10_000), st.floats(-6, 6), st.floats(0, 5))
def test_orthonormal_columns_span_the_given_ones(seed, decades, closeness):
    """Also where the columns are nearly parallel, the second 10^-closeness away from the first."""
    columns = complex_normal(seed, 7, 3)
    columns[:, 1] = columns[:, 0] + 10.0**-closeness * columns[:, 1]
    columns = (10.0**decades * columns).astype(np.complex64)
    basis = double(basis_of(columns))
    np.testing.assert_allclose(np.conj(basis).T @ basis, np.eye(3), rtol=0, atol=40 * EPS32)
    # What the basis leaves of every column is rounding of that column.
    columns = double(columns)
    rest = columns - basis @ (np.conj(basis).T @ columns)
    assert np.all(np.linalg.norm(rest, axis=0) <= 40 * EPS32 * np.linalg.norm(columns, axis=0))
    # Gram and Schmidt: column j of the basis needs the first j columns only.
    coefficients = np.conj(basis).T @ columns
    below = np.abs(np.tril(coefficients, -1))
    assert np.all(below <= 40 * EPS32 * np.linalg.norm(columns, axis=0))


def test_a_zero_column_stays_zero():
    columns = complex_normal(0, 5, 2).astype(np.complex64)
    columns[:, 1] = 0
    basis = np.asarray(orthonormal(jnp.asarray(columns)))
    assert np.all(basis[:, 1] == 0)
    np.testing.assert_allclose(np.linalg.norm(basis[:, 0]), 1, rtol=4 * EPS32)
