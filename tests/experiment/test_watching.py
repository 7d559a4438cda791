"""What a watcher reads: lines that fit, that name what matters, and that end with how to go on."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import group, run_folder

from thzjax.experiment.lock import hold
from thzjax.experiment.runs import run_state, states_in
from thzjax.experiment.watching import BLOCKS, SHOWN, bar, one_line, sparkline, view

FINITE = st.floats(-1e6, 1e6)


@given(st.lists(FINITE, max_size=200), st.integers(0, 60))
def test_a_sparkline_fits_and_rises_with_its_values(values, width):
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    if 1 < len(values) <= width:
        for (a, x), (b, y) in itertools.pairwise(zip(values, line, strict=True)):
            assert (BLOCKS.index(x) - BLOCKS.index(y)) * (a - b) >= 0


def test_a_sparkline_of_more_values_than_places_has_their_means():
    assert sparkline([0, 0, 1, 1, 2, 2, 3, 3], 4) == sparkline([0, 1, 2, 3], 4) == "▁▃▆█"
    assert sparkline([1.5] * 5, 3) == "▁▁▁"


@given(st.integers(0, 100), st.integers(1, 100), st.integers(1, 50))
def test_a_bar_is_as_wide_as_it_should_be_and_full_at_the_end(done, total, width):
    text = bar(done, total, width)
    assert len(text) == width
    assert (text.count("█") == width) or done < total


@pytest.mark.parametrize("width", [20, 60, 100])
def test_a_running_run_is_shown_with_everything_that_matters(tmp_path, width):
    run_folder(tmp_path / "run", 4)
    with hold(tmp_path / "run"):
        lines = view(tmp_path / "run", states_in(tmp_path / "run"), width)
    text = "\n".join(lines)
    for part in ("running (process", " 40 %", "4 of 10 records", "256 of 640 steps", "128 steps/s", "3 s left"):
        assert part in text
    flat = " ".join(text.split())
    for part in ("2.400 bit/s/Hz", "best 2.400", "sum rate 3.25", "25.0 %", "beam_pattern 0.70", "lambda 1.00", "█"):
        assert part in flat
    assert "--resume" not in text
    # The first names a folder, which may be long; the third one is a sentence that no terminal of 40 columns breaks.
    assert all(len(line) <= max(width, 40) for line in lines[3:])


@pytest.mark.parametrize(("done", "says"), [(4, "go on with: thzjax train"), (10, "finished"), (-1, "not begun")])
def test_a_run_that_does_not_go_on_says_so(tmp_path, done, says):
    run_folder(tmp_path / "run", done)
    text = "\n".join(view(tmp_path / "run", states_in(tmp_path / "run")))
    assert says in text
    assert (done == 10) == ("--resume" not in text)


def test_runs_side_by_side_have_their_means_and_a_line_each(tmp_path):
    group(tmp_path / "g", 4, seeds=SHOWN + 2)
    lines = view(tmp_path / "g", states_in(tmp_path / "g"), 100)
    assert lines[0].endswith(f"{SHOWN + 2} runs side by side, their means")
    assert sum(line.startswith("seed-") for line in lines) == SHOWN
    assert "and 2 more" in lines
    assert "2.400" in next(line for line in lines if line.startswith("seed-0 "))


def test_a_log_gets_a_line(tmp_path):
    run_folder(tmp_path / "run", 4)
    (tmp_path / "empty").mkdir()
    line = one_line([run_state(tmp_path / "run")])
    assert line.startswith(" 40 %  return 3.00, sum rate 3.25")
    assert "4 of 10 records" in line
    assert "config.json does not exist" in one_line([run_state(tmp_path / "empty")])
    assert "config.json does not exist" in view(tmp_path / "empty", [run_state(tmp_path / "empty")])[0]
