"""Permittivity and impedance of building materials against the table, row by row."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import materials as ref
from reference.tools import EPS32, assert_close, double, single

from thzjax.errors import ConfigError
from thzjax.physics import materials
from thzjax.physics.propagation import fresnel_reflection

NAMES = sorted(materials.MATERIALS)
fresnel = jax.jit(fresnel_reflection)


def inside(rows):
    """Twelve frequencies [Hz] in the rows' ranges, all edges included."""
    return np.resize([1e9 * f for *_, low, high in rows for f in (low, math.sqrt(low * high), 0.9 * high, high)], 12)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_stands_in_the_recommendation(name):
    assert set(materials.MATERIALS[name]) <= set(ref.PUBLISHED[name])


# (material, GHz, relative permittivity, conductivity [S/m]), worked out by hand from the rows that stand alone there.
SPOTS = [
    ("concrete", 100.0, 5.24, 1.6945),
    ("concrete", 200.0, 5.17, 4.6719),
    ("brick", 10.0, 3.91, 0.034401),
    ("plasterboard", 10.0, 2.73, 0.073947),
    ("wood", 1.0, 1.99, 0.0047),
    ("glass", 10.0, 6.31, 0.078651),
    ("ceiling_board", 10.0, 1.48, 0.013074),
    ("metal", 10.0, 1.0, 1e7),
]


@pytest.mark.parametrize("spot", SPOTS, ids=lambda spot: f"{spot[0]}-{spot[1]:g}")
def test_spot_values(x64, spot):
    name, ghz, permittivity, conductivity = spot
    eps = complex(materials.relative_permittivity(name, jnp.asarray(1e9 * ghz)))
    assert eps.real == pytest.approx(permittivity, rel=1e-12)
    # The recommendation gives 17.98 to four digits (2.8e-4), and sigma above has four or five (5e-5).
    assert -eps.imag == pytest.approx(17.98 * conductivity / ghz, rel=3.3e-4)


@pytest.mark.parametrize("name", NAMES)
def test_materials_match_reference(x64, name):
    rows = materials.MATERIALS[name]
    freq_hz = inside(rows)
    eps = materials.relative_permittivity(name, jnp.asarray(freq_hz))
    z = materials.wave_impedance(name, jnp.asarray(freq_hz))
    assert eps.dtype == z.dtype == jnp.complex128
    assert_close(eps, [ref.relative_permittivity(rows, f) for f in freq_hz], 1e-10)
    assert_close(z, [ref.wave_impedance(rows, f) for f in freq_hz], 1e-10)


def test_materials_may_be_traced(x64):
    freq_hz = jnp.asarray(inside(materials.MATERIALS["glass"]))
    for function in (materials.relative_permittivity, materials.wave_impedance):
        expected = np.asarray(function("glass", freq_hz))
        assert_close(jax.jit(function, static_argnums=0)("glass", freq_hz), expected, 1e-12)
        assert_close(jax.jit(jax.vmap(lambda f, g=function: g("glass", f)))(freq_hz), expected, 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_materials_float32(name):
    rows = materials.MATERIALS[name]
    freq_hz = single(inside(rows))
    eps = materials.relative_permittivity(name, jnp.asarray(freq_hz))  # a rounded edge still belongs to its range
    z = materials.wave_impedance(name, jnp.asarray(freq_hz))
    assert eps.dtype == z.dtype == jnp.complex64
    widened = [(*row[:4], row[4] * (1 - EPS32), row[5] * (1 + EPS32)) for row in rows]
    wanted = np.array([ref.relative_permittivity(widened, f) for f in freq_hz.astype(float)])
    # f^d by logarithm and exponential: |d ln f| <= 10 rounds to 5 eps, three products more.
    assert np.all(np.abs(double(eps).real / wanted.real - 1) < 10 * EPS32)
    assert np.all(np.abs(double(eps).imag - wanted.imag) <= 16 * EPS32 * np.abs(wanted.imag))
    assert_close(z, [ref.wave_impedance(widened, f) for f in freq_hz.astype(float)], 16 * EPS32)


def test_the_table_is_sound():
    for rows in materials.MATERIALS.values():
        for a, _, c, _, low, high in rows:
            assert a >= 1.0
            assert c >= 0.0
            assert 0.0 < low < high


@pytest.mark.parametrize("name", NAMES)
def test_materials_are_passive_at_all_angles(name):
    freq_hz = jnp.asarray(single(inside(materials.MATERIALS[name])))
    eps = np.asarray(materials.relative_permittivity(name, freq_hz))
    assert np.all(eps.real >= 1.0)
    assert np.all(eps.imag <= 0.0)
    z = np.asarray(materials.wave_impedance(name, freq_hz))
    assert np.all(z.real > 0.0)
    incidence = np.linspace(0.0, np.pi / 2, 31)
    gamma = fresnel(jnp.asarray(z[:, None]), jnp.asarray(single(incidence)))
    assert np.max(np.abs(np.asarray(gamma))) <= 1.0 + 8 * EPS32


def test_vacuum_like_and_metal_limits(x64):
    # A conductor at 10 GHz has |Z| = sqrt(2 pi f mu0 / sigma) and a phase of 45 degrees, and reflects all.
    z = complex(materials.wave_impedance("metal", jnp.asarray(10e9)))
    mu0 = ref.Z0 / ref.C
    assert abs(z) == pytest.approx(math.sqrt(2 * math.pi * 10e9 * mu0 / 1e7), rel=1e-6)
    assert math.atan2(z.imag, z.real) == pytest.approx(math.pi / 4, abs=1e-6)
    assert complex(fresnel(jnp.asarray(z), jnp.asarray(0.3))) == pytest.approx(-1.0, abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_outside_all_rows_there_is_no_number(name):
    rows = materials.MATERIALS[name]
    edges = 1e9 * min(r[4] for r in rows), 1e9 * max(r[5] for r in rows)
    outside = [0.9 * edges[0], 1.1 * edges[1]]
    for function in (materials.relative_permittivity, materials.wave_impedance):
        for f in outside:
            with pytest.raises(ConfigError, match=name.replace("_", ".")):
                function(name, jnp.float32(f))
    both = jnp.asarray([*outside, 1.001 * edges[0]], jnp.float32)
    values = np.asarray(jax.vmap(lambda f: materials.wave_impedance(name, f))(both))
    assert np.all(np.isnan(values[:2]))
    assert np.isfinite(values[2])


def test_a_gap_between_rows_is_outside():
    gap = jnp.float32(60e9)  # brick is measured up to 40 GHz and again from 110 GHz
    with pytest.raises(ConfigError, match="brick"):
        materials.relative_permittivity("brick", gap)
    for function in (materials.relative_permittivity, materials.wave_impedance):
        assert np.isnan(complex(jax.jit(function, static_argnums=0)("brick", gap)))
    with pytest.raises(ConfigError):
        materials.relative_permittivity("brick", jnp.asarray([20e9, 60e9], jnp.float32))


@pytest.mark.parametrize("name", NAMES)
def test_extrapolation_takes_the_row_with_the_nearest_edge(x64, name):
    rows = materials.MATERIALS[name]
    freq_hz = np.geomspace(1e8, 2e12, 60)
    eps = materials.relative_permittivity(name, jnp.asarray(freq_hz), True)
    z = materials.wave_impedance(name, jnp.asarray(freq_hz), extrapolate=True)
    assert_close(eps, [ref.relative_permittivity(rows, f, extrapolate=True) for f in freq_hz], 1e-10)
    assert_close(z, [ref.wave_impedance(rows, f, extrapolate=True) for f in freq_hz], 1e-10)


SLOPED = ("glass", "floorboard")
slopes = {
    name: jax.jit(jax.jacfwd(lambda f, n=name: materials.relative_permittivity(n, f, extrapolate=True)))
    for name in SLOPED
}


@given(st.sampled_from(SLOPED), st.floats(1e9, 1e12))
def test_slope_by_frequency_is_the_power_law_s(name, freq_hz):
    rows = materials.MATERIALS[name]
    _, b, _, d, _, _ = ref.row_for(rows, freq_hz, extrapolate=True)
    eps = ref.relative_permittivity(rows, freq_hz, extrapolate=True)
    with jax.enable_x64(True):
        slope = complex(slopes[name](jnp.asarray(freq_hz)))
    assert slope.real == pytest.approx(b * eps.real / freq_hz, rel=1e-9, abs=1e-30)
    assert slope.imag == pytest.approx((d - 1.0) * eps.imag / freq_hz, rel=1e-9, abs=1e-30)
