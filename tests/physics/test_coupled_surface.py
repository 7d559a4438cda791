"""Surfaces whose elements couple: scattering of isotropic elements, and the inverse that takes it in."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import hybrid_surface as ref
from reference.link import cascaded_channel
from reference.tools import EPS32, assert_near, complex_normal, double, single
from reference.units import C

from thzjax.physics import link, surface

# Compiled once per shape here; the last tests hold them against batches, vmap and their eager selves.
coupled_channel = jax.jit(link.coupled_channel)
coupled_reflection = jax.jit(surface.coupled_reflection)
isotropic_scattering = jax.jit(surface.isotropic_scattering)

FREQ = 3e11
K, M, N = 3, 4, 6
seeds = st.integers(0, 10_000)


def grid_m(spacing):
    """2 x 3 elements in the y-z plane, spacing in wavelengths."""
    return np.array([[0.0, row, column] for row in range(2) for column in range(3)]) * spacing * C / FREQ


def scattered_m(seed):
    """Elements at least 0.15 wavelengths apart in a cube of one wavelength."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < N:
        point = rng.uniform(0.0, 1.0, 3)
        if all(np.linalg.norm(point - other) > 0.15 for other in found):
            found.append(point)
    return np.array(found) * C / FREQ


@functools.cache
def half_wave():
    return ref.isotropic_scattering(grid_m(0.5), FREQ)


def phases(seed):
    return np.exp(2j * np.pi * np.random.default_rng(seed).random(N))


def parts(seed, psi=None):
    """direct, surface_to_user, psi, S, bs_to_surface."""
    psi = phases(seed) if psi is None else psi
    return complex_normal(seed, K, M), complex_normal(seed + 1, K, N), psi, half_wave(), complex_normal(seed + 2, N, M)


def norm(x):
    return np.linalg.norm(x, 2)


@pytest.mark.parametrize("positions", [grid_m(0.5), grid_m(0.2), scattered_m(1)])
def test_scattering_matches_reference(x64, positions):
    S = isotropic_scattering(jnp.asarray(positions), FREQ)
    assert S.dtype == jnp.complex128
    assert_near(S, ref.isotropic_scattering(positions, FREQ), 1e-10)


def test_scattering_float32():
    positions, freq = single(scattered_m(2)), np.float32(FREQ)
    S = isotropic_scattering(jnp.asarray(positions), jnp.asarray(freq))
    assert S.dtype == jnp.complex64
    expected = ref.isotropic_scattering(double(positions), float(freq))
    Z, one = ref.impedances(double(positions), float(freq)), np.eye(N)
    # k d (at most 2 pi sqrt(3)) by some 6 roundings turns Z_nm by as much; dS = (I - S) dZ (Z + I)^-1, and the
    # elimination itself costs 4 N eps of its condition number.
    inverse = np.linalg.inv(Z + one)
    error = 6 * (1 + 2 * np.pi * np.sqrt(3)) * np.linalg.norm(Z - one) * norm(one - expected) * norm(inverse)
    bound = EPS32 * (error + 4 * N * np.linalg.cond(Z + one) * norm(expected))
    assert bound < 1e-3
    assert norm(double(S) - expected) < bound


def test_two_elements_have_a_closed_form(x64):
    # The even and the odd mode see 1 + z and 1 - z: S = ((1 +- z) - 1)/((1 +- z) + 1), and half their sum.
    for turn in (0.4, np.pi, 40.0):
        positions = jnp.asarray([[0.1, -0.2, 0.3], [0.1, 0.6 * turn - 0.2, 0.8 * turn + 0.3]])
        S = np.asarray(isotropic_scattering(positions, C / (2 * np.pi)))
        z = 1j * np.exp(-1j * turn) / turn
        assert_near(S, np.array([[-z * z, 2 * z], [2 * z, -z * z]]) / (4 - z * z), 1e-10)


@given(st.integers(0, 200))
def test_scattering_is_reciprocal_and_passive(x64, seed):
    S = np.asarray(isotropic_scattering(jnp.asarray(scattered_m(seed)), FREQ))
    assert_near(S.T, S, 1e-12)
    assert np.max(np.abs(S)) > 0.05
    assert np.min(np.linalg.eigvalsh(np.eye(N) - S.conj().T @ S)) > -1e-12


def test_scattering_fades_with_distance_and_knows_only_wavelengths(x64):
    sizes = [norm(np.asarray(isotropic_scattering(jnp.asarray(grid_m(d)), FREQ))) for d in (0.5, 5.5, 50.5, 5000.5)]
    assert np.all(np.diff(sizes) < 0)
    # Far apart S is Z/2 without its diagonal: each of N - 1 neighbours at most 1/(2 k d).
    assert sizes[-1] < (N - 1) / (4 * np.pi * 5000.5)
    stretched = isotropic_scattering(jnp.asarray(2 * grid_m(0.4)), FREQ / 2)
    assert_near(stretched, np.asarray(isotropic_scattering(jnp.asarray(grid_m(0.4)), FREQ)), 1e-12)


def test_scattering_gradient_by_positions_is_finite_and_right(x64):
    positions, weights = scattered_m(3) * FREQ / C, complex_normal(0, N, N)

    @jax.jit
    def loss(p):
        return jnp.sum(jnp.real(surface.isotropic_scattering(p * C / FREQ, FREQ) * weights))

    slope = np.asarray(jax.jit(jax.grad(loss))(jnp.asarray(positions)))
    assert np.all(np.isfinite(slope))  # the distance of an element to itself has no gradient
    for seed in range(3):
        step = 1e-6 * complex_normal(seed, N, 3).real
        rise = float(loss(jnp.asarray(positions + step)) - loss(jnp.asarray(positions - step)))
        # Third derivatives, at most (2 pi/0.15)^3 of the slope's scale, times the step squared.
        assert rise / 2 == pytest.approx(np.sum(slope * step), rel=1e-6, abs=1e-6 * norm(slope) * norm(step))


def test_without_coupling_the_surface_is_a_diagonal(x64):
    direct, to_user, psi, _, G = parts(0, 3.0 * complex_normal(5, N))
    dark = jnp.zeros((N, N), complex)
    assert_near(coupled_reflection(jnp.asarray(psi), dark), np.diag(psi), 1e-14)
    H = coupled_channel(*(jnp.asarray(x) for x in (direct, to_user, psi)), dark, jnp.asarray(G))
    assert_near(H, cascaded_channel(direct, to_user, psi, G), 1e-12)


def test_coupled_surface_and_channel_match_reference(x64):
    for seed in range(3):
        arguments = parts(seed, 1.4 * complex_normal(seed, N))
        middle = coupled_reflection(*(jnp.asarray(x) for x in arguments[2:4]))
        assert middle.dtype == jnp.complex128
        assert_near(middle, ref.coupled_reflection(*arguments[2:4]), 1e-10)
        H = coupled_channel(*(jnp.asarray(x) for x in arguments))
        assert H.dtype == jnp.complex128
        assert_near(H, ref.coupled_channel(*arguments), 1e-10)


def test_an_unsymmetric_scattering_matrix_is_not_transposed(x64):
    S = 0.15 * complex_normal(8, N, N)
    middle = np.asarray(coupled_reflection(jnp.asarray(phases(0)), jnp.asarray(S)))
    assert_near(middle, ref.coupled_reflection(phases(0), S), 1e-10)
    assert norm(middle - middle.T) > 0.1 * norm(middle)
    direct, to_user, psi, _, G = parts(0)
    H = coupled_channel(*(jnp.asarray(x) for x in (direct, to_user, psi, S, G)))
    assert_near(H, ref.coupled_channel(direct, to_user, psi, S, G), 1e-10)


@given(seeds)
def test_coupling_is_the_sum_over_all_bounces(x64, seed):
    psi, S = phases(seed), half_wave()
    assert norm(S) < 0.5
    # Terms fall by ||S|| each: 2^-60 is 1e-18.
    series = ref.scattered_series(psi, S, 60)
    assert_near(coupled_reflection(jnp.asarray(psi), jnp.asarray(S)), series, 1e-10)
    # One bounce is not enough: coupling matters here.
    assert norm(series - np.diag(psi)) > 0.1


@given(seeds)
def test_reciprocal_elements_make_a_reciprocal_surface_that_keeps_its_strength(x64, seed):
    psi = jnp.asarray(phases(seed))
    middle = np.asarray(coupled_reflection(psi, jnp.asarray(half_wave())))
    assert_near(middle.T, middle, 1e-12)
    # The lossless load psi turns the waves that leave S into those that enter it: a = middle e arrives, S a + e
    # leaves, and psi keeps every |a_n|.
    entering = complex_normal(seed, N)
    arriving = middle @ entering
    leaving = half_wave() @ arriving + entering
    np.testing.assert_allclose(np.abs(arriving), np.abs(leaving), rtol=1e-10)


@pytest.mark.parametrize("off", [[0], [2, 5], [0, 1, 2, 3, 4], list(range(N))])
def test_dark_elements_leave_zero_rows_and_columns(x64, off):
    psi = 1.2 * phases(1)
    psi[off] = 0.0
    arguments = parts(1, psi)
    middle = np.asarray(coupled_reflection(jnp.asarray(psi), jnp.asarray(half_wave())))
    np.testing.assert_array_equal(middle[off], 0.0)
    np.testing.assert_array_equal(middle[:, off], 0.0)
    expected = ref.coupled_reflection(psi, half_wave())
    assert norm(middle - expected) <= 1e-10 * norm(expected)
    assert_near(coupled_channel(*(jnp.asarray(x) for x in arguments)), ref.coupled_channel(*arguments), 1e-10)


@pytest.mark.parametrize("dark", [False, True])
def test_coupled_float32(dark):
    psi = phases(2)
    psi[0] = 0.0 if dark else psi[0]
    arguments = [single(x) for x in parts(2, psi)]
    direct, to_user, psi, S, G = (double(x) for x in arguments)
    middle = coupled_reflection(*(jnp.asarray(x) for x in arguments[2:4]))
    assert middle.dtype == jnp.complex64
    expected = ref.coupled_reflection(psi, S)
    # Elimination of I - S psi (or its like) costs 4 N eps of its condition number.
    bound = 4 * N * EPS32 * np.linalg.cond(np.eye(N) - S * psi)
    assert bound < 1e-4
    assert norm(double(middle) - expected) <= bound * norm(expected)
    H = coupled_channel(*(jnp.asarray(x) for x in arguments))
    assert H.dtype == jnp.complex64
    products = norm(to_user) * norm(expected) * norm(G) * (bound + 4 * N * EPS32)
    assert norm(double(H) - ref.coupled_channel(direct, to_user, psi, S, G)) <= products + 2 * EPS32 * norm(direct)


@pytest.mark.parametrize("dark", [False, True])
def test_gradients_by_phases_and_amplitudes_are_those_of_finite_differences(x64, dark):
    direct, to_user, _, S, G = (jnp.asarray(x) for x in parts(3))
    W = jnp.asarray(complex_normal(7, M, K))
    amplitude = np.linspace(0.5, 1.5, N)
    amplitude[0] = 0.0 if dark else amplitude[0]
    settings = jnp.asarray(np.concatenate([amplitude, np.angle(phases(4))]))

    @jax.jit
    def loss(x):
        psi = surface.reflection(x[:N], x[N:])
        return link.sum_rate(link.coupled_channel(direct, to_user, psi, S, G), W, 0.5)

    slope = np.asarray(jax.jit(jax.grad(loss))(settings))
    differences = [float(loss(settings + d) - loss(settings - d)) / 2e-6 for d in 1e-6 * np.eye(2 * N)]
    # A loss near 10 rounds to 1e-15, over the step 1e-9; central differences add 1e-12 of the third derivative.
    np.testing.assert_allclose(slope, differences, rtol=1e-6, atol=1e-7)
    assert np.all(np.abs(slope[1:N]) > 1e-3)
    assert (abs(slope[N]) < 1e-15) == dark  # the phase of a dark element means nothing, its amplitude does
    assert abs(slope[0]) > 1e-3


def test_batch_vmap_and_eager_agree():
    S = jnp.asarray(single(half_wave()))
    draws = [parts(seed) for seed in range(4)]
    direct, to_user, psi, _, G = (jnp.asarray(single(np.stack(x))) for x in zip(*draws, strict=True))
    # Two orders of the same sums of bounded terms; the condition number of I - S psi is below 3 as ||S|| < 0.5.
    rtol = 3 * 4 * N * EPS32
    middle = np.asarray(surface.coupled_reflection(psi, S))
    assert middle.shape == (4, N, N)
    assert_near(jax.jit(jax.vmap(surface.coupled_reflection, (0, None)))(psi, S), middle, rtol)
    H = np.asarray(link.coupled_channel(direct, to_user, psi, S, G))
    assert H.shape == (4, K, M)
    assert_near(jax.jit(jax.vmap(link.coupled_channel, (0, 0, 0, None, 0)))(direct, to_user, psi, S, G), H, rtol)
    for b in range(4):
        assert_near(coupled_reflection(psi[b], S), middle[b], rtol)
        assert_near(coupled_channel(direct[b], to_user[b], psi[b], S, G[b]), H[b], rtol)
    sweep = surface.coupled_reflection(psi[0], jnp.stack([S, 0 * S]))
    assert_near(sweep[1], np.diag(np.asarray(psi[0])), 4 * EPS32)
    # One surface before a batch of channels, and a batch of surfaces before one channel.
    shared = link.coupled_channel(direct[0], to_user[0], psi[0], S, G)
    several = link.coupled_channel(direct[0], to_user[0], psi[0], jnp.stack([S, 0 * S]), G[0])
    assert_near(shared[3], np.asarray(coupled_channel(direct[0], to_user[0], psi[0], S, G[3])), rtol)
    assert_near(several[1], np.asarray(link.cascaded_channel(direct[0], to_user[0], psi[0], G[0])), rtol)
