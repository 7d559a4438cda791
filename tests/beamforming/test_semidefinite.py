"""Relaxed surface phases: a bound that nothing exceeds, and phases that come near it."""

import functools
import sys

import numpy as np
import pytest
from reference import fractional as ref
from reference.tools import complex_normal

from thzjax.beamforming.semidefinite import semidefinite_phases
from thzjax.errors import ConfigError

K, M = 2, 3
WEIGHTS = np.array([0.3, 2.0])
either_weights = pytest.mark.parametrize("weighted", [False, True])


def setting(seed, elements, users=K, antennas=M, direct=1.0):
    return (
        direct * complex_normal(seed, users, antennas),
        complex_normal(seed + 100, users, elements),
        complex_normal(seed + 200, elements, antennas),
    )


@functools.cache
def solved(seed, elements, weighted=False):
    pytest.importorskip("cvxpy")
    channel = setting(seed, elements)
    weights = WEIGHTS if weighted else None
    phase, bound = semidefinite_phases(*channel, weights)
    assert phase.shape == (elements,)
    assert phase.dtype == np.float64
    assert isinstance(bound, float)
    return channel, weights, phase, bound, ref.received_by_all(*channel, phase, weights)


@either_weights
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bound_and_phases_enclose_the_best_of_a_fine_grid(seed, weighted):
    levels = 64
    channel, weights, _, bound, reached = solved(seed, 3, weighted)
    best = ref.best_on_grid(*channel, levels, weights)
    assert best <= bound
    assert reached <= bound
    # Some grid point is within half a step of the optimum in every phase. The slope is zero there, and along x the
    # objective sum_ij |R_ij| cos(phase_ij + x_i - x_j) bends by at most sum_ij |R_ij| (x_i - x_j)^2.
    paths = np.concatenate([channel[1][:, :, None] * channel[2], channel[0][:, None]], axis=1)
    R = np.einsum("k,knm,kjm->nj", np.ones(K) if weights is None else weights, paths, paths.conj())
    loss = np.sum(np.abs(R)) * (2 * np.pi / levels) ** 2 / 2
    assert best - 1e-12 * best <= reached <= best + loss
    # What rounding promises, and what it gives on so small a surface.
    assert reached >= np.pi / 4 * bound
    assert reached >= 0.98 * bound


@pytest.mark.parametrize("seed", [3, 4])
def test_larger_surfaces_keep_the_promise_and_no_phases_beat_the_bound(seed):
    channel, _, phase, bound, reached = solved(seed, 12)
    assert np.pi / 4 * bound <= reached <= bound
    # No single element has a better phase, and no random phases reach it.
    for n in range(12):
        for turn in np.linspace(0.01, 2 * np.pi - 0.01, 25):
            turned = phase + turn * (np.arange(12) == n)
            assert ref.received_by_all(*channel, turned) <= reached * (1 + 1e-9)
    random = np.random.default_rng(seed).uniform(-np.pi, np.pi, (200, 12))
    assert max(ref.received_by_all(*channel, phases) for phases in random) < reached


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_one_user_over_a_rank_one_link_has_its_closed_form(scale):
    pytest.importorskip("cvxpy")
    elements = 8
    h, g = scale * complex_normal(1, elements), scale * complex_normal(2, elements)
    departure = np.exp(1j * np.arange(M)) / np.sqrt(M)
    phase, bound = semidefinite_phases(np.zeros((1, M)), h[None], np.outer(g, departure))
    expected = np.sum(np.abs(h * g)) ** 2
    assert ref.received_by_all(np.zeros((1, M)), h[None], np.outer(g, departure), phase) == pytest.approx(
        expected, rel=1e-10
    )
    assert expected <= bound <= expected * (1 + 1e-6)


def test_one_user_with_one_antenna_adds_all_paths_in_phase():
    pytest.importorskip("cvxpy")
    direct, h, G = setting(5, 6, users=1, antennas=1)
    phase, bound = semidefinite_phases(direct, h, G)
    expected = (abs(direct[0, 0]) + np.sum(np.abs(h[0] * G[:, 0]))) ** 2
    assert ref.received_by_all(direct, h, G, phase) == pytest.approx(expected, rel=1e-10)
    assert expected <= bound <= expected * (1 + 1e-6)
    # The direct path counts as it is: each element turns its own path onto it.
    turned = np.angle(h[0] * np.exp(1j * phase) * G[:, 0] / direct[0, 0])
    np.testing.assert_allclose(turned, 0, atol=1e-6)


def test_small_channels_give_the_same_phases():
    channel, _, phase, bound, _ = solved(0, 3)
    direct, h, G = channel
    small, small_bound = semidefinite_phases(1e-9 * direct, 1e-4 * h, 1e-5 * G)
    np.testing.assert_allclose(np.angle(np.exp(1j * (small - phase))), 0, atol=1e-5)
    assert small_bound == pytest.approx(1e-18 * bound, rel=1e-6)


def test_the_seed_fixes_the_phases_and_no_draws_are_needed():
    channel, _, phase, bound, reached = solved(3, 12)
    again, same = semidefinite_phases(*channel)
    np.testing.assert_array_equal(again, phase)
    assert same == bound
    undrawn, _ = semidefinite_phases(*channel, randomisations=0)
    # The leading eigenvector alone, improved element by element.
    assert np.pi / 4 * bound <= ref.received_by_all(*channel, undrawn) <= bound
    assert reached <= bound


def test_without_a_surface_or_without_anything():
    pytest.importorskip("cvxpy")
    direct, h, G = setting(6, 0)
    phase, bound = semidefinite_phases(direct, h, G)
    assert phase.shape == (0,)
    assert bound == pytest.approx(np.sum(np.abs(direct) ** 2), rel=1e-12)
    phase, bound = semidefinite_phases(*(0 * x for x in setting(6, 4)))
    np.testing.assert_array_equal(phase, np.zeros(4))
    assert bound == 0


def test_what_cannot_work_is_refused():
    pytest.importorskip("cvxpy")
    direct, h, G = setting(7, 4)
    cases = (
        ((direct, h, G.T), {}, "do not fit"),
        ((direct[0], h, G), {}, "do not fit"),
        ((direct, h, G), {"weights": np.ones(3)}, "weights has shape"),
        ((direct, h, G), {"weights": np.array([1.0, -0.5])}, "-0.5"),
        ((direct, h, G), {"randomisations": -1}, "randomisations=-1"),
    )
    for arguments, options, words in cases:
        with pytest.raises(ConfigError, match=words) as caught:
            semidefinite_phases(*arguments, **options)
        assert "\n" not in str(caught.value)


def test_without_the_solver_the_user_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(ConfigError, match=r"pip install 'thzjax\[baselines\]'"):
        semidefinite_phases(*setting(8, 2))
