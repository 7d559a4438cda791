"""The page's texts: escaped, and readable without their colours."""

import math

import pytest

from thzjax.explorer import markup

NASTY = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "text",
    [
        markup.heading(NASTY), markup.status("refused", NASTY), markup.tiles([(NASTY, NASTY)]),
        markup.slacks({NASTY: 0.1}, {NASTY: True}),
    ],
)  # fmt: skip
def test_what_comes_from_outside_is_escaped(text):
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_violation_is_said_in_words():
    text = markup.slacks({"beam_pattern": -0.25, "antenna_power": 0.5, "crb": -1e6}, {
        "beam_pattern": False, "antenna_power": True, "crb": False})  # fmt: skip
    assert "✗ violated, −0.25" in text
    assert "✓ holds, +0.5" in text
    # From the middle 12.5 % to the left, 25 % to the right, and no further than the edge.
    assert "left:37.50%;width:12.50%" in text
    assert "left:50.00%;width:25.00%" in text
    assert "left:0.00%;width:50.00%" in text


def test_slacks_that_are_no_numbers_have_a_sign():
    written = {0.0: "+0", -0.5: "−0.5", 1234.5: "+1.23e+03", -math.inf: "−∞", math.inf: "+∞"}
    assert {x: markup.signed(x) for x in written} == written
    assert "−∞" in markup.slacks({"crb": -math.inf}, {"crb": False})


def test_rates_have_bars_beside_the_largest():
    text = markup.rates([1.0, 4.0, 0.0], ["#000", "#111", "#222"])
    assert "sum 5.000" in text
    assert [f"width:{share}%" in text for share in ("25.00", "100.00", "0.00")] == [True] * 3


def test_every_state_has_a_sign_of_its_own():
    assert len({sign for _, sign in markup.KINDS.values()}) == len(markup.KINDS)
    assert "target" in markup.advice(True)
    assert "target" not in markup.advice(False)
