"""Unit conversions against float64 formulas."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import units as ref
from reference.tools import EPS32, assert_close, single

from thzjax import units

DB = np.array([-174.0, -107.0, -30.0, -3.0, 0.0, 0.5, 10.0, 40.0])
POWER = np.array([1e-17, 1e-9, 0.5, 1.0, 2.0, 1e3, 1e8])


def each(function, values):
    return np.array([function(float(v)) for v in values])


def test_constants():
    assert float(units.SPEED_OF_LIGHT) == 299_792_458.0
    assert float(units.FREE_SPACE_IMPEDANCE) == 376.730313412


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("db_to_linear", DB),
        ("linear_to_db", np.array([1e-17, 1e-9, 0.5, 2.0, 1e3, 1e8])),
        ("dbm_to_watt", DB),
        ("watt_to_dbm", POWER),
        ("db_per_km_to_per_m", np.array([0.02, 1.0, 100.0, 3218.0])),
        ("per_m_to_db_per_km", np.array([6.7141e-4, 0.01, 0.741])),
    ],
)
def test_float64_matches_the_formula(x64, name, values):
    actual = getattr(units, name)(jnp.asarray(values))
    assert actual.dtype == jnp.float64
    assert_close(actual, each(getattr(ref, name), values), 1e-12)


@pytest.mark.parametrize("name", ["db_to_linear", "dbm_to_watt"])
def test_float32_from_decibels(name):
    # exp(t) magnifies the half-ulp rounding of its argument t = x ln(10)/10 to |t| eps relative error.
    values = single(DB)
    actual = getattr(units, name)(jnp.asarray(values))
    assert actual.dtype == jnp.float32
    expected = each(getattr(ref, name), values)
    bound = (4.0 + np.abs(DB) * np.log(10.0) / 10.0) * EPS32
    np.testing.assert_array_less(np.abs(np.asarray(actual, np.float64) / expected - 1.0), bound)


@pytest.mark.parametrize(("name", "offset"), [("linear_to_db", 0.0), ("watt_to_dbm", 30.0)])
def test_float32_to_decibels(name, offset):
    # A logarithm turns relative into absolute error: 10/ln(10) eps by its argument, eps |value| by rounding.
    values = single(POWER)
    actual = getattr(units, name)(jnp.asarray(values))
    assert actual.dtype == jnp.float32
    expected = each(getattr(ref, name), values)
    bound = 2.0 * EPS32 * (np.abs(expected) + offset + 10.0)
    np.testing.assert_array_less(np.abs(np.asarray(actual, np.float64) - expected), bound)


@pytest.mark.parametrize("name", ["db_per_km_to_per_m", "per_m_to_db_per_km"])
def test_float32_absorption_units(name):
    values = single([6.7141e-4, 0.741, 3.0, 3218.0])
    actual = getattr(units, name)(jnp.asarray(values))
    assert actual.dtype == jnp.float32
    assert_close(actual, each(getattr(ref, name), values), 2 * EPS32)  # one rounded factor, one product


@given(st.floats(-200.0, 200.0))
def test_decibels_there_and_back(x):
    # The way back adds 10/ln(10) times the relative error on the way there.
    bound = 2.0 * EPS32 * (2.0 * abs(x) + 30.0)
    x = jnp.float32(x)
    assert abs(float(units.linear_to_db(units.db_to_linear(x))) - float(x)) <= bound
    assert abs(float(units.watt_to_dbm(units.dbm_to_watt(x))) - float(x)) <= bound + 60.0 * EPS32


def test_absorption_units_describe_one_loss(x64):
    db_per_km = jnp.asarray([0.1, 3.0, 25.0])
    remaining = jnp.exp(-1000.0 * units.db_per_km_to_per_m(db_per_km))
    assert_close(remaining, np.asarray(units.db_to_linear(-db_per_km)), 1e-12)
    assert_close(units.per_m_to_db_per_km(units.db_per_km_to_per_m(db_per_km)), db_per_km, 1e-14)
