"""Sweeps as text: the range meant is the range run, values reach the configuration, and errors say what to write."""

import dataclasses
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thzjax.errors import ConfigError
from thzjax.experiment.overrides import apply_overrides
from thzjax.experiment.sweep_spec import MOST_POINTS, axis_values, parse_sweep


@dataclasses.dataclass(frozen=True)
class Link:
    power_w: float = 1.0
    num_users: int = 4
    surface_shape: tuple[int, int] = (4, 4)
    pattern_threshold: float | None = 2.0


@dataclasses.dataclass(frozen=True)
class Config:
    scenario: Link = Link()


SWEEPS = {
    "absorption=30:50:5": ("30", "35", "40", "45", "50"),
    "k=0.1:0.5:0.1": ("0.1", "0.2", "0.3", "0.4", "0.5"),
    "k=50:30:-10": ("50", "40", "30"),
    "k=-1:1:1": ("-1", "0", "1"),
    "k=1:-0:-0.50": ("1", "0.5", "0"),
    "k=0:10:4": ("0", "4", "8"),  # the stop is not hit
    "k=0:1:0.333333": ("0", "0.333333", "0.666666", "1"),  # hit, by what six digits of a step can say
    "k=0:1:0.3333334": ("0", "0.3333334", "0.6666668", "1"),  # and from beyond
    "k=0:1:0.333": ("0", "0.333", "0.666", "0.999"),  # not within
    "f=1e3:3e3:1e3": ("1000", "2000", "3000"),  # integers, for fields that are
    "noise=1e-12:3e-12:1e-12": ("1e-12", "2e-12", "3e-12"),
    "power=0.5,1,2,none": ("0.5", "1", "2", "none"),
    " power = 0.5 , 1 ": ("0.5", "1"),
    "power=1;2": ("1", "2"),
    "surface_shape=4,4;4,6;6,6": ("4,4", "4,6", "6,6"),
    "phase_levels=standard,paper": ("standard", "paper"),
}


@pytest.mark.parametrize("text", SWEEPS)
def test_sweeps(text):
    assert parse_sweep(text) == (text.partition("=")[0].strip(), SWEEPS[text])


digits = st.integers(-(10**6), 10**6)


@given(start=digits, step=digits.filter(bool), places=st.integers(0, 6), more=st.integers(1, MOST_POINTS - 1))
def test_a_range_is_exact_in_decimals(start, step, places, more):
    def text(number):
        return f"{number}e-{places}"

    _, values = parse_sweep(f"x={text(start)}:{text(start + more * step)}:{text(step)}")
    exact = [Fraction(start + i * step, 10**places) for i in range(more + 1)]
    assert [Fraction(value) for value in values] == exact
    # And short: no digit that the exact number does not need. The sign, a leading zero and the point are not digits.
    assert all(len(re.sub(r"e.*|\D", "", value).strip("0")) <= 9 for value in values)
    positions, labels = axis_values(values)
    assert labels is None
    assert positions.tolist() == [float(number) for number in exact]  # the nearest floats


def test_values_reach_the_configuration():
    def swept(text, field):
        name, values = parse_sweep(text)
        return [getattr(apply_overrides(Config(), [f"{name}={v}"]).scenario, field) for v in values]

    assert swept("power_w=0.1:0.3:0.1", "power_w") == [0.1, 0.2, 0.3]
    assert swept("scenario.num_users=2e0:4:1", "num_users") == [2, 3, 4]
    assert swept("surface_shape=4,4;4,6", "surface_shape") == [(4, 4), (4, 6)]
    assert swept("pattern_threshold=1,None", "pattern_threshold") == [1.0, None]


BAD = {
    "power_w": "no '='",
    "": "no '='",
    "=1:2:1": "names no parameter",
    "power w=1:2:1": "or several",
    "two\nlines=1:2": "or several",
    "power_w= ": "no values",
    "k=1,,2": "empty value",
    "k=1,2,": "empty value",
    "k=0:1:0": "step of 0",
    "k=0:1:-0.0": "step of 0",
    "k=0:1:-0.5": "write k=0:1:0.5",
    "k=1:0:0.5": "write k=1:0:-0.5",
    "k=a:1:1": "'a' is not a number",
    "k=0:inf:1": "'inf' is not a number",
    "k=0:1:nan": "'nan' is not a number",
    "k=0:1:": "'' is not a number",
    "k=0:1e999999:1": "'1e999999' is not a number",
    "k=0:1:1e-999999": "'1e-999999' is not a number",
    "k=1:5": "write k=START:STOP:STEP",
    "k=1:2:3,5": "'3,5' is not a number",
    "k=1:2:3:4": "write k=START:STOP:STEP",
    "k=0:1:0.001": "more than 200 points",
    "k=0:200:1": "more than 200 points",
    "k=0:-1e300:-1e-300": "more than 200 points",
    "k=" + ",".join(map(str, range(201))): "201 values",
    "k=3": "single value '3'",
    "k=3:3:1": "single value '3'",
    "k=3:4:2": "single value '3'",
    "surface_shape=4,4": "has '4' twice",
    "k=0.5,.50": "one value as '0.5' and as '.50'",
    "k=none,1,None": "one value as 'none' and as 'None'",
    "surface_shape=4,4;4, 4": "one value as '4,4' and as '4, 4'",
    "k=two\nlines": "single value",
}


@pytest.mark.parametrize("text", BAD)
def test_errors_say_what_to_write(text):
    with pytest.raises(ConfigError) as caught:
        parse_sweep(text)
    message = str(caught.value)
    assert BAD[text] in message
    assert "\n" not in message
    assert ": " in message  # what is wrong: what to do
    for advice in re.findall(r"write (k=[-\d.e+:]+)", message):
        assert 2 <= len(parse_sweep(advice)[1]) <= MOST_POINTS


@pytest.mark.parametrize("span", ["0:1:", "0:0.7:", "5:-6.3:-", "0:199.01:", "0:2e-9:"])
def test_the_step_advised_for_a_long_range_is_the_shortest_of_two_digits(span):
    with pytest.raises(ConfigError) as caught:
        parse_sweep(f"k={span}1e-12")
    points = len(parse_sweep(re.search(r"write (k=\S+),", str(caught.value))[1])[1])
    # A step of two digits, rounded away from 0, is at most 10 % longer than one that makes 199 steps.
    assert (MOST_POINTS - 1) / 1.1 - 1 < points <= MOST_POINTS


def test_the_longest_sweeps_are_accepted():
    assert len(parse_sweep("k=1:200:1")[1]) == MOST_POINTS
    assert len(parse_sweep("k=" + ",".join(map(str, range(200))))[1]) == MOST_POINTS


@pytest.mark.parametrize(
    ("values", "positions", "labels"),
    [
        (("30", "35.5", "1e2"), [30, 35.5, 100], None),
        (("5", "-3"), [5, -3], None),
        (("0.5", "2", "none"), [0, 1, 2], ("0.5", "2", "none")),
        (("None", "1"), [0, 1], ("none", "1")),
        (("4,4", "4, 6", "10,10"), [0, 1, 2], ("4 x 4", "4 x 6", "10 x 10")),
        (("-30,30", "0.5,1"), [0, 1], ("-30, 30", "0.5, 1")),
        (("standard", "paper"), [0, 1], ("standard", "paper")),
        (("1", "inf"), [0, 1], ("1", "inf")),
        (("nan", "1"), [0, 1], ("nan", "1")),
    ],
)
def test_axis_values(values, positions, labels):
    where, texts = axis_values(values)
    assert np.array_equal(where, positions)
    assert where.dtype == np.float64
    assert texts == labels


def test_a_step_of_six_digits_reaches_its_stop():
    # 1/7, 1/199 and 1/189: the last digit is off by up to a half, which the steps add up.
    for steps, step in [(7, "0.142857"), (199, "0.00502513"), (189, "0.00529101")]:
        values = parse_sweep(f"k=0:1:{step}")[1]
        assert len(values) == steps + 1
        assert values[-1] == "1"
