"""Absorption models against plain sums over lines, published values and one another."""

import itertools
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import absorption as ref
from reference.tools import EPS32, assert_close, double, single

from thzjax.errors import ConfigError
from thzjax.physics import absorption
from thzjax.physics.absorption import constant_absorption

PARTS = ("total", "dry", "wet")
# Compiled once per shape here; the host's errors need the plain functions.
p676 = {part: jax.jit(lambda *a, part=part: absorption.p676_attenuation(*a, part=part)) for part in PARTS}
simplified = jax.jit(absorption.simplified_absorption)

PER_M = math.log(10.0) / 1e4  # of 1 dB/km
STANDARD = (101_325.0, 288.15, 7.5e-3)
# Frequency, dry pressure, temperature, vapour density: wings, lines and windows, ground to stratosphere.
STATES = np.array(
    [
        [1e9, 101_325.0, 288.15, 7.5e-3],
        [60e9, 95_000.0, 300.0, 1.2e-2],
        [118.75e9, 101_325.0, 250.0, 1e-4],
        [183.31e9, 50_000.0, 260.0, 3e-3],
        [350e9, 101_325.0, 288.15, 7.5e-3],
        [0.55e12, 101_325.0, 288.15, 7.5e-3],
        [556.935985e9, 100.0, 220.0, 1e-6],
        [0.98792e12, 20_000.0, 240.0, 1e-4],
        [1e12, 103_000.0, 320.0, 4e-2],
    ]
)


def columns(states, rounding=double):
    return tuple(jnp.asarray(rounding(column)) for column in np.asarray(states).T)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_constant_absorption_is_the_coefficient_it_is_given(x64, shape):
    k = np.full(shape, 6.7141e-4)
    actual = constant_absorption(k)
    assert actual.dtype == jnp.float64
    np.testing.assert_array_equal(actual, k)


def test_constant_absorption_keeps_float32_and_may_be_traced():
    k = jnp.asarray([1e-4, 0.7], jnp.float32)
    assert constant_absorption(k).dtype == jnp.float32
    np.testing.assert_array_equal(jax.jit(jax.vmap(constant_absorption))(k), k)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(3 * constant_absorption(x)))(k), [3, 3])


@pytest.mark.parametrize("part", PARTS)
def test_p676_matches_reference(x64, part):
    for states in (STATES, STATES * np.array([1.0, 1.0, 1.0, 0.0])):
        actual = p676[part](*columns(states))
        assert actual.dtype == jnp.float64
        expected = np.array([ref.p676_attenuation(*state, part) for state in states])
        size = np.array([ref.p676_magnitude(*state, part) for state in states])
        # Line mixing cancels far from the lines: relative to what is summed.
        assert np.all(np.abs(np.asarray(actual) - expected) <= 1e-10 * size)
    assert absorption.p676_attenuation(*columns(STATES)).shape == (9,)  # total by default


@given(
    st.floats(1e9, 1e12), st.floats(10.0, 1.05e5), st.floats(200.0, 320.0), st.floats(0.0, 4e-2), st.sampled_from(PARTS)
)
def test_p676_matches_reference_anywhere(freq_hz, pressure_pa, temperature_k, density, part):
    with jax.enable_x64(True):
        state = freq_hz, pressure_pa, temperature_k, density
        actual = float(p676[part](*(jnp.asarray(x) for x in state)))
    assert abs(actual - ref.p676_attenuation(*state, part)) <= 1e-10 * ref.p676_magnitude(*state, part)


def test_p676_matches_itur():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        itur = pytest.importorskip("itur.models.itu676")
    itur.change_version(12)  # whose lines and formulas -13 keeps
    functions = {"total": itur.gamma_exact, "dry": itur.gamma0_exact, "wet": itur.gammaw_exact}
    for part, function in functions.items():
        expected = [float(function(f / 1e9, p / 100.0, 1e3 * rho, t).value) * PER_M for f, p, t, rho in STATES.tolist()]
        with jax.enable_x64(True):
            assert_close(p676[part](*columns(STATES)), np.array(expected), 1e-10)


def test_p676_gives_the_published_validation_values(x64):
    arguments = jnp.asarray(350e9), *(jnp.asarray(x) for x in STANDARD)
    assert float(p676["dry"](*arguments)) == pytest.approx(0.0368056270504571 * PER_M, rel=1e-12)
    assert float(p676["wet"](*arguments)) == pytest.approx(10.1226731395126 * PER_M, rel=1e-12)
    total = float(p676["total"](jnp.asarray(0.55e12), *arguments[1:]))
    assert total == pytest.approx(0.741, abs=5e-4)  # 1100 times the 6.7141e-4 that is in use as a constant


def near_lines():
    """Float32 states a few line widths round every line, at 1 hPa and at ground pressure."""
    rng = np.random.default_rng(0)
    states = []
    for gas in ("oxygen", "water_vapour"):
        for row in ref.lines(gas):
            for pressure_pa in (100.0, 101_325.0):
                width_hz = 3e6 + row[3] * 1e5 * pressure_pa / 100.0
                states.append([row[0] * 1e9 + width_hz * rng.uniform(-2, 2), pressure_pa, 260.0, 1e-5])
    states = np.array(states)
    states = states[states[:, 0] < 1e12]
    states[:, 2] = rng.uniform(210.0, 310.0, len(states))
    return single(states)


@pytest.mark.parametrize("part", PARTS)
def test_p676_float32_near_lines(part):
    states = np.concatenate([near_lines(), single(STATES)])
    actual = p676[part](*columns(states, single))
    assert actual.dtype == jnp.float32
    wide = states.astype(float).tolist()
    expected = np.array([ref.p676_attenuation(*state, part) for state in wide])
    size = np.array([ref.p676_magnitude(*state, part) for state in wide])
    # exp(a2 (1 - theta)) carries up to 12 eps, powers of theta 5, the width 8 and twice in F, sums 8: below 48.
    # The distance to a line must be exact: half an ulp of 0.55 THz is already 1 % of a width at 1 hPa.
    assert np.max(np.abs(np.asarray(actual, float) - expected) / size) < 48 * EPS32


@pytest.mark.parametrize("density", [7.5e-3, 0.0])
@pytest.mark.parametrize("pressure_pa", [101_325.0, 100.0, 0.0])
def test_p676_slopes(x64, pressure_pa, density):
    state = [0.3251e12, pressure_pa, 280.0, density]
    slopes = jax.jit(jax.grad(absorption.p676_attenuation, argnums=(0, 1, 2, 3)))(*(jnp.asarray(x) for x in state))
    # Central differences of fourth order; pressure and density may be stepped below zero, the formulas are analytic.
    steps = [1e5, 1e-2 if pressure_pa < 1e3 else 10.0, 0.05, 1e-6]
    for number, (slope, step) in enumerate(zip(slopes, steps, strict=True)):
        assert np.isfinite(float(slope))
        values = []
        for shift in (-2, -1, 1, 2):
            moved = list(state)
            moved[number] += shift * step
            values.append(ref.p676_attenuation(*moved))
        wanted = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        rounding = 1e-15 * max(abs(v) for v in values) / step
        # At zero vapour the self-broadened line is the steepest function here: 1e-6 is its fifth derivative's share.
        assert abs(float(slope) - wanted) <= 1e-6 * abs(wanted) + 20 * rounding


def test_p676_of_nothing_is_zero_with_finite_slopes():
    nothing = tuple(jnp.float32(x) for x in (0.3e12, 0.0, 280.0, 0.0))
    for part in PARTS:
        assert float(p676[part](*nothing)) == 0.0
    slopes = jax.jit(jax.grad(absorption.p676_attenuation, argnums=(0, 1, 2, 3)))(*nothing)
    assert all(np.isfinite(float(slope)) for slope in slopes)
    assert float(slopes[3]) > 0.0  # a first trace of vapour absorbs


@given(st.floats(1e9, 1e12), st.floats(200.0, 320.0), st.floats(1e-5, 4e-2))
def test_p676_parts_add_up_and_absorb(freq_hz, temperature_k, density):
    state = (jnp.float32(x) for x in (freq_hz, 1e5, temperature_k, density))
    state = tuple(state)
    total, dry, wet = (float(p676[part](*state)) for part in PARTS)
    assert dry > 0.0
    assert wet > 0.0
    assert total == pytest.approx(dry + wet, rel=4 * EPS32)


MODELS = {
    "p676": (absorption.p676_attenuation, STANDARD, 1e9, 1e12),
    "simplified": (absorption.simplified_absorption, (101_325.0, 288.15, 0.5), 275e9, 400e9),
}


@pytest.mark.parametrize("model", MODELS)
def test_outside_its_band_a_model_gives_no_number(model):
    function, state, low, high = MODELS[model]
    state = tuple(jnp.float32(x) for x in state)
    inside = jnp.asarray([low, 1.01 * low, 0.99 * high, high], jnp.float32)  # the edges belong to the band
    outside = jnp.asarray([0.99 * low, 1.01 * high], jnp.float32)
    both = jnp.concatenate([inside, outside])
    for f in (*outside, both):
        with pytest.raises(ConfigError, match="freq_hz"):
            function(f, *state)
    on_host = np.asarray(function(inside, *state))
    for trace in (jax.jit(function), jax.vmap(function, in_axes=(0, None, None, None))):
        values = np.asarray(trace(both, *state))
        assert np.all(np.isnan(values[4:]))
        assert_close(values[:4], on_host, 100 * EPS32)
    # What lies outside must not spoil the slopes of what lies inside.
    slope = jax.jit(jax.grad(lambda f: jnp.nansum(function(f, *state))))(both)
    assert np.all(np.isfinite(np.asarray(slope[:4])))


def test_an_unknown_part_is_refused():
    with pytest.raises(ConfigError):
        absorption.p676_attenuation(*columns(STATES[:1], single), part="damp")


HUMID = np.array(
    [
        [f, p, t, rh]
        for f in (275e9, 300e9, 325.15e9, 349e9, 379.6e9, 381e9, 400e9)
        for p, t, rh in ((101_325.0, 296.0, 0.5), (90_000.0, 310.0, 0.9), (101_325.0, 260.0, 0.0))
    ]
)


def test_humidity_matches_reference(x64):
    _, pressure_pa, temperature_k, humidity = columns(HUMID)
    p_w = absorption.saturation_vapour_pressure_pa(pressure_pa, temperature_k)
    density = absorption.vapour_density(humidity, pressure_pa, temperature_k)
    rows = HUMID.tolist()
    assert p_w.dtype == density.dtype == jnp.float64
    assert_close(p_w, [ref.saturation_vapour_pressure_pa(p, t) for _, p, t, _ in rows], 1e-10)
    assert_close(density, [ref.vapour_density(rh, p, t) for _, p, t, rh in rows], 1e-10)
    # Water boils where its vapour has the air's pressure: the fit of room temperatures is 4 % high there.
    assert float(absorption.saturation_vapour_pressure_pa(*columns([[101_325.0, 373.15]]))[0]) == pytest.approx(
        101_325.0, rel=0.05
    )
    # Half-humid air at 20 degrees Celsius carries 8.65 g/m^3.
    half = absorption.vapour_density(*columns([[0.5, 101_325.0, 293.15]]))
    assert float(half[0]) == pytest.approx(8.65e-3, rel=0.01)


def test_simplified_matches_reference(x64):
    actual = simplified(*columns(HUMID))
    assert actual.dtype == jnp.float64
    assert_close(actual, [ref.simplified_absorption(*row) for row in HUMID.tolist()], 1e-10)


def test_simplified_float32():
    states = single(HUMID)
    actual = simplified(*columns(states, single))
    assert actual.dtype == jnp.float32
    for value, (f, *air) in zip(np.asarray(actual, float), states.astype(float).tolist(), strict=True):
        y1, y2, g = ref.simplified_terms(f, *air)
        step = 1e-5 * f
        moved = np.array([ref.simplified_terms(f + sign * step, *air)[:2] for sign in (1, -1)])
        slope = f * np.sum(np.abs(moved[0] - moved[1])) / (2 * step)
        # The wavenumber is rounded to an eps, each polynomial term to 4 eps with its sums; humidity enters squared
        # and carries 12 eps: T - 273.15 loses half an ulp of T, 17.5/256 of it, and the exponent up to 3 eps more.
        bound = EPS32 * (2 * slope + 4 * sum(abs(x) for x in g) + 32 * (y1 + y2))
        assert abs(value - (y1 + y2 + math.fsum(g))) <= bound


def test_simplified_follows_p676_within_a_factor_of_three(x64):
    freq_hz = jnp.linspace(275e9, 400e9, 501)
    pressure_pa, temperature_k, density = (jnp.asarray(x) for x in STANDARD)
    humidity = density / absorption.vapour_density(jnp.asarray(1.0), pressure_pa, temperature_k)
    ratio = np.asarray(
        simplified(freq_hz, pressure_pa, temperature_k, humidity)
        / p676["total"](freq_hz, pressure_pa, temperature_k, density)
    )
    away = np.abs(np.asarray(freq_hz) - 375e9) > 6.5e9
    # Its window is too clear; its 380 GHz line stands 0.5 GHz low, so the flank below that is above P.676's.
    assert 0.38 < np.min(ratio) < 0.39
    assert 0.88 < np.max(ratio[away]) < 0.93
    assert 1.05 < np.max(ratio) < 1.10


def test_windows_lie_between_the_water_lines(x64):
    freq_hz = np.linspace(300e9, 800e9, 2001)
    k_abs = p676["total"](jnp.asarray(freq_hz), *STANDARD)
    limit = 0.03
    windows = absorption.transmission_windows(freq_hz, k_abs, limit)
    for line_ghz in (380.2, 448.0, 556.9, 620.7, 752.0):
        assert not any(low < line_ghz * 1e9 < high for low, high in windows)
    # At every edge inside the range the absorption is the limit, to what a linear step of 0.25 GHz is worth.
    inner = [edge for window in windows for edge in window if edge not in (freq_hz[0], freq_hz[-1])]
    assert len(inner) >= 10
    np.testing.assert_allclose(p676["total"](jnp.asarray(inner), *STANDARD), limit, rtol=0.01)
    for freq, k in zip(freq_hz, np.asarray(k_abs), strict=True):
        assert (k <= limit) == any(low <= freq <= high for low, high in windows)


@given(st.lists(st.floats(0, 2), min_size=2, max_size=12), st.floats(0.1, 1.9))
def test_windows_are_where_a_broken_line_is_low(values, limit):
    freq = np.arange(len(values), dtype=float)
    windows = absorption.transmission_windows(freq, values, limit)
    fine = np.linspace(0, len(values) - 1, 40 * (len(values) - 1) + 1)
    clear = np.interp(fine, freq, values)
    inside = np.array([any(low <= f <= high for low, high in windows) for f in fine])
    # Away from the edges, where rounding decides.
    decided = np.abs(clear - limit) > 1e-9
    assert np.array_equal(inside[decided], (clear <= limit)[decided])
    assert all(low <= high for low, high in windows)
    assert all(one[1] < two[0] for one, two in itertools.pairwise(windows))


@pytest.mark.parametrize("freq", [[1.0], [2.0, 1.0], [1.0, 1.0], [[1.0, 2.0]]])
def test_windows_need_ascending_frequencies(freq):
    with pytest.raises(ConfigError, match="ascending"):
        absorption.transmission_windows(freq, np.ones(np.shape(freq)), 1.0)
