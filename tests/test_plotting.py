"""Every picture: its axes say what and in which unit, it copes with gaps, and it leaves matplotlib as it was."""

import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from thzjax import plotting

RNG = np.random.default_rng(0)
GRID = np.arange(-900, 901) / 10
DESIRED = (np.abs(GRID) <= 5).astype(float)
LINES = {
    "wmmse, focused": 3.95, "wmmse_sum, focused": 3.93, "rzf, focused": 1.72, "mrt, focused": 1.61,
    "zf, focused": 0.64, "wmmse, random": 1.61, "wmmse_sum, random": 1.6, "rzf, random": 1.2,
    "mrt, random": 1.11, "zf, random": 0.29, "random, random": 0.18,
}  # fmt: skip


def records(multiplier=True):
    untrained = {"env_steps": 0.0, "validation/rate_feasible": 1.9, "validation/pattern_error": 6.3}
    trained = [
        {
            "env_steps": 500.0 * i,
            "episodes": 10.0 * i,
            "sum_rate": 2 + 0.1 * i,
            "pattern_error": 4 - 0.1 * i,
            "validation/rate_feasible": 2 + 0.1 * i if i % 2 else None,
            "validation/pattern_error": 4 - 0.11 * i,
        }
        | ({"mu/beam_pattern": 0.05 * i} if multiplier else {})
        for i in range(1, 19)
    ]
    return [untrained, *trained]


def row(method, rate, learned=False, **other):
    return {
        "method": method, "surface": "focused", "rate": 1.1 * rate, "rate_feasible": rate, "ci_low": rate - 0.05,
        "ci_high": rate + 0.05, "violation_rate": 0.25, "learned": learned,
    } | other  # fmt: skip


def patterns():
    mean = 1 + np.cos(np.deg2rad(GRID))
    return {label: {"mean": mean, "low": 0.5 * mean, "high": 2 * mean, "error": 1.234} for label in ("ppo", "zf")}


FIGURES = {
    "learning_curve": lambda: plotting.learning_curve(records()),
    "capacity": lambda: plotting.capacity_against_episodes(records(), LINES),
    "beam_patterns": lambda: plotting.beam_patterns(GRID, DESIRED, patterns(), 1e-3),
    "pattern_error": lambda: plotting.pattern_error_curve(records(), 2.0, 0.28, 0.0763),
    "histogram": lambda: plotting.pattern_error_histogram(RNG.gamma(6, 0.3, 100), 2.0),
    "comparison": lambda: plotting.method_comparison([row("wmmse", 3.9), row("ppo", 3.6, learned=True)]),
}
LABELS = {
    "learning_curve": [("environment steps", "sum rate [bit/s/Hz]")],
    "capacity": [("training episodes", "feasible sum rate [bit/s/Hz]")],
    "beam_patterns": [("direction from broadside [deg]", "radiated power / p_ref\n(p_ref = 1 mW)")],
    "pattern_error": [
        ("", "beam-pattern error\n[dimensionless]"),
        ("training episodes", "multiplier μ\n[bit/s/Hz]"),
    ],
    "histogram": [("beam-pattern error [dimensionless]", "share of channels [%]")],
    "comparison": [("sum rate [bit/s/Hz]", "")],
}


def written(figure):
    """Every text of a figure's axes and legends."""
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


@pytest.mark.parametrize("name", FIGURES)
def test_axes_say_what_and_in_which_unit(name):
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in FIGURES[name]().axes] == LABELS[name]


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    outer = figure.bbox
    for text in figure.findobj(matplotlib.text.Text):
        if text.get_text() and text.get_visible():
            box = text.get_window_extent()
            # Tick labels beyond the limits exist but are not drawn.
            if not any(text in (tick.label1, tick.label2) for ax in figure.axes for tick in ticks(ax)):
                assert outer.x0 <= box.x0 <= box.x1 <= outer.x1, text.get_text()
                assert outer.y0 <= box.y0 <= box.y1 <= outer.y1, text.get_text()


def ticks(ax):
    return [*ax.xaxis.get_major_ticks(), *ax.yaxis.get_major_ticks()]


def test_labels_at_the_right_do_not_overlap():
    figure = FIGURES["capacity"]()
    figure.draw_without_rendering()
    # A Text's own extent, without the leader line of the annotation.
    boxes = sorted(
        (matplotlib.text.Text.get_window_extent(text) for text in figure.axes[0].texts), key=lambda box: box.y0
    )
    assert len(boxes) == len(LINES) + 1
    middles = np.array([(box.y0 + box.y1) / 2 for box in boxes])
    assert np.diff(middles).min() >= 0.9 * 9 / 72 * figure.dpi  # 9 pt letters


@pytest.mark.parametrize("gap", [0.05, 0.2, 0.9])
def test_spread_keeps_order_and_distance(gap):
    wanted = np.array([0.9, 0.1, 0.11, 0.12, 0.95])
    placed = plotting._spread(wanted, gap)
    assert np.array_equal(np.argsort(placed, kind="stable"), np.argsort(wanted, kind="stable"))
    assert np.diff(np.sort(placed)).min() >= min(gap, 0.25) - 1e-12
    assert placed.min() >= -1e-12
    assert placed.max() <= 1 + 1e-12


def test_spread_leaves_alone_what_is_far_apart():
    assert np.allclose(plotting._spread(np.array([0.8, 0.1, 0.4]), 0.1), [0.8, 0.1, 0.4])


def test_curves_start_at_the_untrained_policy_and_skip_gaps():
    validation = plotting.capacity_against_episodes(records(), {}).axes[0].lines[0]
    assert validation.get_xdata()[0] == 0
    assert validation.get_ydata()[0] == 1.9
    assert len(validation.get_xdata()) == 1 + 9
    assert np.all(np.isfinite(validation.get_ydata()))


def test_episodes_stand_on_top_of_the_environment_steps():
    figure = FIGURES["learning_curve"]()
    figure.draw_without_rendering()
    top = figure.axes[0].child_axes[0]
    assert top.get_xlabel() == "episodes"
    assert np.allclose(np.array(figure.axes[0].get_xlim()) / 50, top.get_xlim())


@pytest.mark.parametrize("these", [[], [{"env_steps": 0.0}], [{"env_steps": 0.0, "validation/rate_feasible": 1.0}]])
def test_few_records_are_drawn(these, tmp_path):
    for number, figure in enumerate(
        [
            plotting.learning_curve(these),
            plotting.capacity_against_episodes(these, {}),
            plotting.pattern_error_curve(these, None, 0.28, 0.08),
        ]
    ):
        plotting.save(figure, tmp_path / str(number))


def test_reference_lines_of_the_error():
    text = written(FIGURES["pattern_error"]())
    assert {"threshold 2", "transmit nothing 0.28", "least reachable 0.0763"} <= set(text)
    text = written(plotting.pattern_error_curve(records(multiplier=False), None, 0.28, 0.0763))
    assert not any(t.startswith("threshold") for t in text)
    assert "no multiplier in use" in text


def test_patterns_carry_their_error_and_the_desired_edges():
    figure = FIGURES["beam_patterns"]()
    assert {"desired", "ppo, error 1.23", "zf, error 1.23"} <= set(written(figure))
    edges = figure.axes[0].collections[0].get_paths()[0].vertices
    inside = edges[edges[:, 1] == 1, 0]
    assert np.allclose([inside.min(), inside.max()], [-5.05, 5.05])  # half a grid step beyond the last inside


@pytest.mark.parametrize(
    ("errors", "threshold", "title"),
    [
        ([1.0, 3.0, 5.0, 1.5], 2.0, "2 of 4 channels (50.0 %) above the threshold of 2"),
        (np.full(8, np.float32(2 * (1 + 5e-7))), 2.0, "0 of 8 channels (0.0 %) above the threshold of 2"),
        ([2.5, np.nan], 2.0, "1 of 1 channels (100.0 %) above the threshold of 2"),
        ([1.0, 3.0], None, "2 channels, no threshold"),
        ([], 2.0, ""),
    ],
)
def test_histogram_counts_single_channels(errors, threshold, title):
    ax = plotting.pattern_error_histogram(np.array(errors), threshold).axes[0]
    assert ax.get_title(loc="left") == title
    if title:
        assert np.isclose(sum(bar.get_height() for bar in ax.patches), 100)
        red = matplotlib.colors.to_rgba(plotting.VERMILLION)
        above = sum(bar.get_height() for bar in ax.patches if bar.get_facecolor() == red)
        assert np.isclose(above, float(match[1]) if (match := re.search(r"\(([\d.]+) %", title)) else 0)


def test_comparison_is_sorted_and_coloured():
    rows = [row("zf", 0.6), row("wmmse", 3.9), row("ppo", 3.6, learned=True), row("odd", 1.0, violation_rate=None)]
    figure = plotting.method_comparison(rows)
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == [f"{m}, focused" for m in ("wmmse", "ppo", "odd", "zf")]
    assert [label.get_color() == plotting.BLUE for label in labels] == [False, True, False, False]
    assert [text.get_text() for text in figure.axes[0].texts] == ["25.0 %", "25.0 %", "–", "25.0 %", "violates"]


def test_a_dollar_sign_is_a_dollar_sign(tmp_path):
    plotting.save(plotting.method_comparison([row("$x_{", 1.0)]), tmp_path / "figure")


@pytest.mark.parametrize("name", FIGURES)
def test_svg_ids_are_unique_and_references_hold(name):
    texts = [plotting.to_svg(FIGURES[name](), prefix, "what <it> shows") for prefix in ("a", "b")]
    page = "".join(texts)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 0
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)
    assert {a or b for a, b in used} <= set(ids)
    assert "http" not in page
    assert 'aria-label="what &lt;it&gt; shows"' in texts[0]
    for text in texts:
        assert text.startswith("<svg")
        ElementTree.fromstring(text)


def test_svg_ids_differ_by_content_without_a_prefix():
    first = re.findall(r'\bid="([^"]+)"', plotting.to_svg(FIGURES["histogram"]()))
    second = re.findall(r'\bid="([^"]+)"', plotting.to_svg(FIGURES["comparison"]()))
    assert not set(first) & set(second)


def test_save_writes_both_files_and_repeats_itself(tmp_path):
    png, svg = plotting.save(FIGURES["comparison"](), tmp_path / "new" / "v1.2")
    assert (png.name, svg.name) == ("v1.2.png", "v1.2.svg")
    assert png.read_bytes()[:4] == b"\x89PNG"
    ElementTree.parse(svg)
    _, again = plotting.save(FIGURES["comparison"](), tmp_path / "again" / "v1.2")
    assert svg.read_bytes() == again.read_bytes()


def test_matplotlib_is_left_as_it_was(tmp_path):
    before = dict(matplotlib.rcParams)
    for name, draw in FIGURES.items():
        plotting.save(draw(), tmp_path / name)
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []
