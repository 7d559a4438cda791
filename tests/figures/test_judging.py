"""Verdicts follow from data whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thzjax.figures import judging
from thzjax.figures.frame import Curve, Finding, Trace, overall

RNG = np.random.default_rng(0)
CHANNELS = RNG.normal(size=200)
SEEDS = 0.02 * RNG.normal(size=3)


def curve(means, noise=0.05, seeds=SEEDS, x=None):
    """A curve of given means: common channels, small differences between seeds, independent noise."""
    means = np.asarray(means, float)
    values = means[:, None, None] + np.asarray(seeds)[None, :, None] + CHANNELS
    values = values + noise * np.random.default_rng(1).normal(size=values.shape)
    axis = np.arange(len(means), dtype=float) if x is None else np.asarray(x, float)
    return Curve(axis, values, np.zeros(values.shape, bool))


def flatline(value, count=3):
    return curve([value] * count, seeds=[0.0])


def test_a_clear_lead_holds_and_its_opposite_does_not():
    a, b = curve([3, 3, 3]), flatline(2.5)
    found = judging.above("a above b", "r", a, b)
    assert (found.verdict, found.unit) == ("holds", "bit/s/Hz")
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.2
    assert judging.above("b above a", "r", b, a, learned=False).verdict == "does not hold"
    assert judging.above("a above b by 1", "r", a, b, at_least=1.0).verdict == "does not hold"


def test_paired_differences_see_what_spread_of_channels_hides():
    # Channels differ by 1, the curves by 0.05: unpaired intervals of 200 channels are +-0.14 wide.
    assert (
        judging.above("", "r", curve([1.05], 0.01, [0.0]), curve([1.0], 0.01, [0.0]), learned=False).verdict == "holds"
    )


def test_a_lead_that_one_seed_does_not_share_depends():
    a = curve([2.0], seeds=[0.9, 1.0, -0.1])
    assert judging.above("", "r", a, curve([2.0], seeds=[0.0])).verdict == "depends"
    values = np.array([0.9, 1.0, -0.1])
    assert judging.of_seeds("", "r", values).verdict == "depends"


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_are_not_judged(seeds):
    few = curve([1, 2, 3], seeds=SEEDS[:seeds])
    for found in (
        judging.above("", "r", few, flatline(0)),
        judging.grows("", "r", few),
        judging.flattens("", "r", few),
        judging.flat("", "r", few, learned=True),
        judging.of_seeds("", "r", np.ones(seeds)),
    ):
        assert found.verdict == "not judged"
    assert judging.grows("", "r", few, learned=False).verdict == "holds"


def test_growth():
    assert judging.grows("", "r", curve([1, 2, 3])).verdict == "holds"
    # A level step does not contradict growth; a falling one does.
    assert judging.grows("", "r", curve([1, 2, 2, 3])).verdict == "holds"
    assert judging.grows("", "r", curve([1, 3, 2.5, 4])).verdict == "does not hold"
    assert judging.grows("", "r", curve([3, 2, 1])).verdict == "does not hold"
    assert judging.grows("", "r", curve([3, 1, 2], x=[2, 0, 1])).verdict == "holds"


def test_flatness_and_flattening():
    assert judging.flat("", "r", flatline(5)).verdict == "holds"
    assert judging.flat("", "r", curve([5, 5.5, 6], seeds=[0.0])).verdict == "does not hold"
    assert judging.flattens("", "r", curve([0, 3, 4, 4.5])).verdict == "holds"
    assert judging.flattens("", "r", curve([0, 1, 3, 6])).verdict == "does not hold"
    # Equal steps over an axis whose intervals widen are a falling slope.
    assert judging.flattens("", "r", curve([0, 1, 2], x=[0, 1, 3])).verdict == "holds"


def test_a_range():
    assert judging.between("", "r", flatline(1.0), 0.5, 1.5).verdict == "holds"
    assert judging.between("", "r", flatline(3.0), 0.5, 1.5).verdict == "does not hold"
    assert judging.between("", "r", flatline(1.5), 0.5, 1.5).verdict == "depends"


@settings(max_examples=25)
@given(st.integers(5, 60), st.floats(0.05, 0.5), st.floats(-3, 3))
def test_settling_is_found_where_it_was_put(length, share, start):
    at = max(1, int(share * length))
    values = np.where(np.arange(length) < at, start, start + 2.0)
    trace = Trace(10.0 * np.arange(length), np.stack([values, values]))
    if at <= length - max(1, length // 10):
        np.testing.assert_array_equal(judging.settled_at(trace), [10.0 * at, 10.0 * at])


def test_a_level_is_reached_where_it_was_put():
    trace = Trace(10.0 * np.arange(5), np.array([[0.0, 1, 2, 3, 4], [0, 0, 0, 5, 0], [0, 1, 1, 1, 1]]))
    np.testing.assert_array_equal(judging.reached_at(trace, np.array([2.0, 4.5, 2.0])), [20.0, 30.0, 40.0])


@pytest.mark.parametrize(
    ("apart", "wanted"), [(0.0, "holds"), (0.4, "holds"), (0.5, "depends"), (-2.0, "does not hold")]
)
def test_alike_within_a_distance(apart, wanted):
    noise = np.random.default_rng(0).normal(size=(1, 3, 64))
    a = Curve(np.zeros(1), noise * 0.1 + apart, np.zeros(noise.shape, bool))
    b = Curve(np.zeros(1), np.zeros((1, 1, 64)), np.zeros((1, 1, 64), bool))
    assert judging.alike("", "", a, b, 0, 0.5).verdict == wanted


@pytest.mark.parametrize(("share", "wanted"), [(0.8, "holds"), (0.95, "does not hold")])
def test_keeping_a_share(share, wanted):
    first = np.random.default_rng(0).uniform(1, 2, (1, 1, 64))
    rates = np.concatenate([first, 0.9 * first])
    curve = Curve(np.arange(2.0), rates, np.zeros(rates.shape, bool))
    found = judging.keeps("", "", curve, 1, curve, 0, share)
    assert found.verdict == wanted
    np.testing.assert_allclose(found.value, (0.9 - share) * rates[0].mean(), rtol=1e-12)


def test_the_interval_of_seeds_is_students():
    # Mean 2, deviation 1, three seeds: 4.3027/sqrt(3) = 2.4841 (Student's t with 2 degrees of freedom).
    value, low, high = judging.seeds_interval(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose((value, low, high), (2, 2 - 2.4841, 2 + 2.4841), atol=1e-4)


def finding(verdict, regime):
    return Finding("", verdict, 0, 0, 0, "", regime)


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([("holds", "a"), ("holds", "b")], "holds"),
        ([("holds", "a"), ("does not hold", "a")], "does not hold"),
        ([("holds", "a"), ("depends", "a")], "depends"),
        ([("holds", "a"), ("does not hold", "b")], "depends"),
        ([("does not hold", "a"), ("does not hold", "b")], "does not hold"),
        ([("not judged", "a")], "not judged"),
        ([("not judged", "a"), ("holds", "b")], "holds"),
        ([("holds", "a"), ("not judged", "a")], "not judged"),
    ],
)
def test_a_claim_of_several_statements(parts, wanted):
    assert overall([finding(*part) for part in parts]) == wanted
