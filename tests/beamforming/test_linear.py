"""Linear beamformers and power scalings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import beamforming as ref
from reference.tools import EPS32, assert_close, assert_near, complex_normal, single

from thzjax import beamforming

# Compiled once per shape here; physics/test_habits.py holds them against their eager selves.
clip_rows = jax.jit(beamforming.clip_rows)
mrt = jax.jit(beamforming.mrt)
rzf = jax.jit(beamforming.rzf)
scale_per_antenna = jax.jit(beamforming.scale_per_antenna)
scale_total = jax.jit(beamforming.scale_total)
zf = jax.jit(beamforming.zf)

K, M = 3, 5
seeds = st.integers(0, 10_000)


def channel(seed, users=K):
    return jnp.asarray(single(complex_normal(seed, users, M)))


def beams(seed):
    return jnp.asarray(single(complex_normal(seed, M, K)))


def powers(W):
    return np.sum(np.abs(np.asarray(W, np.complex128)) ** 2, axis=-1)


@pytest.mark.parametrize("users", [1, 3, 5])
def test_beamformers_match_reference(x64, users):
    H = complex_normal(users, 2, users, M)
    for function, reference in (
        (mrt, ref.mrt),
        (zf, ref.zf),
        (lambda h: rzf(h, 0.3, 2.0), lambda h: ref.rzf(h, 0.3, 2.0)),
    ):
        actual = function(jnp.asarray(H))
        assert actual.dtype == jnp.complex128
        assert_near(actual, np.stack([reference(h) for h in H]), 1e-10)


def test_beamformers_float32():
    for seed in range(5):
        H = single(complex_normal(seed, K, M))
        wide = H.astype(np.complex128)
        assert_near(mrt(jnp.asarray(H)), ref.mrt(wide), 4 * EPS32)
        # Solving with H H^H magnifies rounding by its condition number, the square of H's.
        condition = np.linalg.cond(wide) ** 2
        pairs = (zf(jnp.asarray(H)), ref.zf(wide)), (rzf(jnp.asarray(H), 0.1, 1.0), ref.rzf(wide, 0.1, 1.0))
        for actual, expected in pairs:
            assert actual.dtype == jnp.complex64
            assert_near(actual, expected, (4 + condition) * 4 * EPS32)


@given(seeds)
def test_columns_have_unit_norm(seed):
    H = channel(seed)
    for W in (mrt(H), zf(H), rzf(H, 0.2, 3.0)):
        assert W.shape == (M, K)
        np.testing.assert_allclose(powers(W.T), 1.0, rtol=8 * EPS32)


@given(seeds)
def test_zero_forcing_nulls(seed):
    H = np.asarray(channel(seed))
    heard = H.astype(np.complex128) @ np.asarray(zf(jnp.asarray(H)))
    leaked = np.max(np.abs(heard - np.diag(np.diag(heard))))
    scale = np.max(np.linalg.norm(H, axis=1))
    assert leaked <= 16 * EPS32 * scale * np.linalg.cond(H) ** 2
    # The own channel is real and positive: columns of H^H (H H^H)^-1 over a positive norm.
    assert np.all(np.diag(heard).real > 0)
    assert np.max(np.abs(np.diag(heard).imag)) <= 16 * EPS32 * scale * np.linalg.cond(H) ** 2


@given(seeds)
def test_matched_beams_hear_themselves_best(seed):
    H = channel(seed)
    own = np.abs(np.diag(np.asarray(H @ mrt(H))))
    np.testing.assert_allclose(own, np.sqrt(powers(H)), rtol=16 * EPS32)
    for other in (zf(H), rzf(H, 0.5, 1.0), jnp.asarray(single(ref.unit_columns(complex_normal(seed, M, K))))):
        assert np.all(np.abs(np.diag(np.asarray(H @ other))) <= own * (1 + 16 * EPS32))


@given(seeds)
def test_regularised_beams_lie_between_matched_and_zero_forcing(seed):
    # The noise over power ratio decides: at a great one the matched filter, at a small one the nulls.
    H = channel(seed)
    assert_near(rzf(H, 1e5, 1.0), np.asarray(mrt(H)), 1e-3)
    condition = np.linalg.cond(np.asarray(H)) ** 2
    assert_near(rzf(H, 1e-7, 1.0), np.asarray(zf(H)), (64 * EPS32 + 1e-6) * condition)
    # Only the ratio counts.
    assert_near(rzf(H, 0.2, 1.0), np.asarray(rzf(H, 2.0, 10.0)), 64 * EPS32 * condition)


def test_regularised_beams_survive_collinear_users():
    # Rank one: zero forcing does not exist, the regularised beams still do.
    H = jnp.asarray(single(complex_normal(0, K, 1) @ complex_normal(1, 1, M)))
    W = rzf(H, 0.1, 1.0)
    assert np.all(np.isfinite(np.asarray(W)))
    np.testing.assert_allclose(powers(W.T), 1.0, rtol=1e-5)


def test_scalings_match_reference(x64):
    W = complex_normal(0, 4, M, K)
    for function, reference in (
        (scale_total, ref.scale_total),
        (scale_per_antenna, ref.scale_per_antenna),
        (clip_rows, ref.clip_rows),
    ):
        actual = function(jnp.asarray(W), 9.0)
        assert actual.dtype == jnp.complex128
        assert_near(actual, np.stack([reference(w, 9.0) for w in W]), 1e-10)


@given(seeds, st.floats(1e-6, 1e3))
def test_scale_total_spends_all_power(seed, power):
    W = scale_total(beams(seed), jnp.float32(power))
    assert np.sum(powers(W)) == pytest.approx(power, rel=16 * EPS32)


@given(seeds, st.floats(1e-6, 1e3))
def test_scale_per_antenna_fills_the_strongest_antenna(seed, power):
    before = beams(seed)
    W = scale_per_antenna(before, jnp.float32(power))
    assert np.max(powers(W)) == pytest.approx(power / M, rel=16 * EPS32)
    ratio = np.asarray(W) / np.asarray(before)
    assert_near(ratio, np.full((M, K), ratio[0, 0]), 8 * EPS32)  # one number for all: nulls stay
    assert ratio[0, 0].real > 0


@given(seeds, st.floats(1.0, 60.0))
def test_clip_rows_is_feasible_idempotent_and_leaves_the_rest(seed, power):
    before = np.asarray(beams(seed))
    W = np.asarray(clip_rows(jnp.asarray(before), jnp.float32(power)))
    assert np.max(powers(W)) <= power / M * (1 + 8 * EPS32)
    weak = powers(before) <= power / M * (1 - 8 * EPS32)
    np.testing.assert_array_equal(W[weak], before[weak])
    np.testing.assert_allclose(powers(W)[~weak], np.minimum(powers(before), power / M)[~weak], rtol=16 * EPS32)
    assert_near(clip_rows(jnp.asarray(W), jnp.float32(power)), W, 8 * EPS32)


@given(seeds)
def test_clip_rows_is_the_nearest_feasible_point(seed):
    before, power = np.asarray(beams(seed), np.complex128), 6.0
    projected = np.asarray(clip_rows(beams(seed), jnp.float32(power)), np.complex128)
    gap = np.linalg.norm(before - projected)
    others = complex_normal(seed + 1, 200, M, K)
    others *= np.sqrt(power / M / np.sum(np.abs(others) ** 2, axis=-1, keepdims=True))
    near = np.stack([ref.clip_rows(projected + 0.1 * o, power) for o in others[:20]])
    for candidates in (others, near):
        distances = np.linalg.norm(before - candidates, axis=(1, 2))
        assert np.min(distances) >= gap * (1 - 8 * EPS32)
    # The obtuse angle criterion of a projection on a convex set.
    inner = np.sum(np.real(np.conj(before - projected) * (others - projected)), axis=(1, 2))
    assert np.max(inner) <= 64 * EPS32 * np.sum(np.abs(before) ** 2)


def test_clip_rows_at_zero_and_far_inside_has_the_identity_as_gradient():
    W = beams(0).at[1].set(0.0)
    slope = jax.grad(lambda w: jnp.sum(jnp.real(clip_rows(w, 1e3)) + 2.0 * jnp.imag(clip_rows(w, 1e3))))(W)
    assert_close(slope, np.full((M, K), 1.0 - 2.0j), 4 * EPS32)


def test_wide_dynamic_range_of_channels():
    # Channels of THz links are 1e-6 and less: squares of squares must not underflow.
    H = channel(3)
    small = H * jnp.asarray(1e-7, H.dtype)
    assert_near(mrt(small), np.asarray(mrt(H)), 16 * EPS32)
    condition = np.linalg.cond(np.asarray(H)) ** 2
    assert_near(zf(small), np.asarray(zf(H)), 64 * EPS32 * condition)
    assert_near(rzf(small, 1e-14 * 0.3, 1.0), np.asarray(rzf(H, 0.3, 1.0)), 64 * EPS32 * condition)
