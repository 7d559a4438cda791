"""Reflecting elements against float64 references."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import surface as ref
from reference.tools import EPS32, assert_close, assert_near, single

from thzjax.physics.surface import nearest_phasor, practical_amplitude, quantised_phase, reflection

PHASES = np.linspace(-3.0, 9.0, 13)


@pytest.mark.parametrize("options", [{}, {"min_amplitude": 0.5, "horizontal_rad": 0.2, "steepness": 2.3}])
def test_practical_amplitude_matches_reference(x64, options):
    actual = practical_amplitude(jnp.asarray(PHASES), **options)
    assert actual.dtype == jnp.float64
    assert_close(actual, [ref.practical_amplitude(p, **options) for p in PHASES], 1e-10)
    positional = practical_amplitude(jnp.asarray(PHASES), *options.values())
    np.testing.assert_array_equal(positional, actual)


def test_practical_amplitude_float32():
    phases = single(PHASES)
    actual = practical_amplitude(jnp.asarray(phases))
    assert actual.dtype == jnp.float32
    # Subtracting the offset rounds phases up to 9 rad by 9 eps / 2, the slope is below 0.64, and the power
    # adds a few ulp.
    expected = np.array([ref.practical_amplitude(float(p)) for p in phases])
    assert np.max(np.abs(np.asarray(actual, np.float64) - expected)) < 8 * EPS32


@given(st.floats(-10.0, 10.0), st.floats(0.0, 1.0), st.floats(0.5, 4.0))
def test_practical_amplitude_stays_between_its_least_and_one(phase, least, steepness):
    a = float(practical_amplitude(jnp.float32(phase), jnp.float32(least), jnp.float32(1.3), jnp.float32(steepness)))
    assert least - 2 * EPS32 <= a <= 1.0 + 2 * EPS32


def test_practical_amplitude_peak_and_trough(x64):
    horizontal = 0.43 * np.pi
    assert float(practical_amplitude(jnp.asarray(horizontal + np.pi / 2))) == pytest.approx(1.0, abs=1e-15)
    assert float(practical_amplitude(jnp.asarray(horizontal - np.pi / 2))) == pytest.approx(0.2, abs=1e-15)
    ideal = practical_amplitude(jnp.asarray(PHASES), 1.0)
    np.testing.assert_allclose(ideal, 1.0, rtol=1e-15)


def test_practical_amplitude_slope_at_the_trough():
    # base^1.6 has the slope 0 at base = 0: not NaN from 0 * inf.
    slope = jax.vmap(jax.grad(practical_amplitude))(jnp.asarray([-0.07 * np.pi, 0.43 * np.pi], jnp.float32))
    assert np.all(np.isfinite(slope))
    assert abs(float(slope[0])) < 1e-3
    # d/dphase = (1 - g) k / 2^k cos(phase - h) (sin(phase - h) + 1)^(k - 1) at phase = h.
    assert float(slope[1]) == pytest.approx(0.8 * 1.6 / 2**1.6, rel=1e-5)


@pytest.mark.parametrize("levels", ["standard", "paper"])
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_quantised_phase_matches_reference(x64, bits, levels):
    index = np.arange(2**bits)
    actual = quantised_phase(jnp.asarray(index), bits, levels=levels)
    assert actual.dtype == jnp.float64
    expected = np.array([ref.quantised_phase(i, bits, levels) for i in index])
    np.testing.assert_allclose(actual, expected, rtol=1e-10)
    np.testing.assert_array_equal(quantised_phase(jnp.asarray(index), bits, levels), actual)


def test_quantised_phase_float32():
    actual = quantised_phase(jnp.arange(8, dtype=jnp.int32), 3)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, [ref.quantised_phase(i, 3) for i in range(8)], rtol=2 * EPS32)
    assert quantised_phase(jnp.zeros((2, 5), jnp.int32), 2).shape == (2, 5)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_standard_levels_are_distinct_and_paper_levels_are_not(bits):
    index = jnp.arange(2**bits)
    standard = np.exp(1j * np.asarray(quantised_phase(index, bits), np.float64))
    gaps = np.abs(standard[:, None] - standard[None, :]) + 2 * np.eye(2**bits)
    assert np.min(gaps) == pytest.approx(2 * np.sin(np.pi / 2**bits), abs=1e-5)
    paper = np.exp(1j * np.asarray(quantised_phase(index, bits, levels="paper"), np.float64))
    assert abs(paper[0] - paper[-1]) < 4 * EPS32 * np.pi
    assert np.unique(np.round(paper, 4)).size == 2**bits - 1


def test_quantised_phase_refuses_unknown_levels():
    with pytest.raises(ValueError, match="level"):
        quantised_phase(jnp.arange(4), 2, levels="half")


def test_reflection_matches_reference(x64):
    amplitude, phase = np.linspace(0.2, 5.0, 13), PHASES
    actual = reflection(jnp.asarray(amplitude), jnp.asarray(phase))
    assert actual.dtype == jnp.complex128
    assert_close(actual, ref.reflection(amplitude, phase), 1e-10)


def test_reflection_float32_and_broadcast():
    phase = single(PHASES)
    actual = reflection(jnp.asarray([[1.0], [0.5]], jnp.float32), jnp.asarray(phase))
    assert actual.dtype == jnp.complex64
    assert actual.shape == (2, 13)
    for row, amplitude in zip(actual, (1.0, 0.5), strict=True):
        assert_near(row, ref.reflection([amplitude] * 13, [float(p) for p in phase]), 4 * EPS32)


@given(st.floats(0.0, 5.0), st.floats(-6.3, 6.3))
def test_reflection_has_the_amplitude_and_phase_it_was_given(amplitude, phase):
    amplitude, phase = float(np.float32(amplitude)), float(np.float32(phase))
    psi = complex(reflection(jnp.float32(amplitude), jnp.float32(phase)))
    assert abs(psi) == pytest.approx(amplitude, rel=4 * EPS32, abs=1e-37)
    assert abs(psi * np.exp(-1j * phase) - amplitude) <= 4 * EPS32 * amplitude + 1e-37


@given(st.floats(-np.pi, np.pi), st.floats(-30.0, 30.0), st.integers(1, 6), st.sampled_from(["standard", "paper"]))
def test_the_nearest_phasor_is_that_of_the_nearest_level(angle, log_modulus, bits, levels):
    count = 2**bits if levels == "standard" else 2**bits - 1
    away = np.angle(np.exp(1j * (angle - 2 * np.pi * np.arange(count) / count)))
    nearest, *others = np.sort(np.abs(away))
    if others and others[0] - nearest < 1e-5:
        return  # between two levels float32 may see either
    direction = np.complex64(np.exp(log_modulus) * np.exp(1j * angle))
    expected = np.exp(2j * np.pi * np.argmin(np.abs(away)) / count)
    actual = np.asarray(nearest_phasor(jnp.asarray([direction]), bits, levels))[0]
    # As many turns by rounded constants as there are bits; an angle of up to 2 pi before its cosine for other levels.
    assert abs(actual - expected) < (2 + 2 * bits) * EPS32 + (8 * EPS32 if levels == "paper" else 0)


@pytest.mark.parametrize("levels", ["standard", "paper"])
def test_nothing_counts_as_phase_zero_and_a_level_is_its_own_nearest(levels):
    assert complex(nearest_phasor(jnp.zeros((1,), jnp.complex64), 3, levels)[0]) == 1
    turn = jnp.asarray(np.exp(1j * np.linspace(0.0, 6.2, 77)), jnp.complex64)
    once = nearest_phasor(turn, 3, levels)
    np.testing.assert_array_equal(nearest_phasor(once, 3, levels), once)
