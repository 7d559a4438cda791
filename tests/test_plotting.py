"""Every picture: its axes say what and in which unit, it copes with gaps, and it leaves matplotlib as it was."""

import itertools
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from thzjax import plotting
from thzjax.plotting import style
from thzjax.plotting.sweep import COLOURS, MOST_MARKERS

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


def swept(mean, violation=0.0, band=0.1):
    mean = np.asarray(mean, dtype=float)
    return {
        "mean": mean, "low": mean - band, "high": mean + band, "violation": np.broadcast_to(violation, mean.shape),
    }  # fmt: skip


def sweep(number=5, label="method {}", points=5, labels=None, **other):
    """Curves 0, 1, .. of rising rates, the even ones infeasible on some channels at the first points."""
    x = 30 + 5.0 * np.arange(points)
    violation = np.where(np.arange(points) < 2, 0.3, 0)
    curves = {label.format(i): swept((i + 1) * (1 + 0.01 * x), violation * (i % 2 == 0)) for i in range(number)}
    return plotting.sweep_curves(x, labels, curves, "transmit power [dBm]", **other)


SWEEPS = {
    "sweep": lambda: sweep(anchors={"single user": np.linspace(8, 9, 5)}),
    "sweep of one": lambda: sweep(1),
    "sweep of many": lambda: sweep(
        14, "beam_pattern_optimum {}, focused", 7, [f"{i} x {i}, of the larger kind" for i in range(7)]
    ),
    "sweep with long names": lambda: sweep(3, "a method whose author was at a loss for a shorter name {}"),
}
FIGURES = {
    "learning_curve": lambda: plotting.learning_curve(records()),
    "capacity": lambda: plotting.capacity_against_episodes(records(), LINES),
    "beam_patterns": lambda: plotting.beam_patterns(GRID, DESIRED, patterns(), 1e-3),
    "user_beam_patterns": lambda: plotting.user_beam_patterns(GRID, DESIRED, RNG.uniform(0, 1, (4, len(GRID))), 1e-3),
    "pattern_error": lambda: plotting.pattern_error_curve(records(), 2.0, 0.28, 0.0763),
    "histogram": lambda: plotting.pattern_error_histogram(RNG.gamma(6, 0.3, 100), 2.0),
    "comparison": lambda: plotting.method_comparison([row("wmmse", 3.9), row("ppo", 3.6, learned=True)]),
    "sweep": SWEEPS["sweep"],
}
LABELS = {
    "learning_curve": [("environment steps", "sum rate [bit/s/Hz]")],
    "capacity": [("training episodes", "feasible sum rate [bit/s/Hz]")],
    "beam_patterns": [("direction from broadside [deg]", "radiated power / p_ref\n(p_ref = 1 mW)")],
    "user_beam_patterns": [("direction from broadside [deg]", "radiated power / p_ref\n(p_ref = 1 mW)")],
    "pattern_error": [
        ("", "beam-pattern error\n[dimensionless]"),
        ("training episodes", "multiplier μ\n[bit/s/Hz]"),
    ],
    "histogram": [("beam-pattern error [dimensionless]", "share of channels [%]")],
    "comparison": [("sum rate [bit/s/Hz]", "")],
    "sweep": [("transmit power [dBm]", "feasible sum rate [bit/s/Hz]")],
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
    placed = style.spread(wanted, gap)
    assert np.array_equal(np.argsort(placed, kind="stable"), np.argsort(wanted, kind="stable"))
    assert np.diff(np.sort(placed)).min() >= min(gap, 0.25) - 1e-12
    assert placed.min() >= -1e-12
    assert placed.max() <= 1 + 1e-12


def test_spread_leaves_alone_what_is_far_apart():
    assert np.allclose(style.spread(np.array([0.8, 0.1, 0.4]), 0.1), [0.8, 0.1, 0.4])


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
        red = matplotlib.colors.to_rgba(style.VERMILLION)
        above = sum(bar.get_height() for bar in ax.patches if bar.get_facecolor() == red)
        assert np.isclose(above, float(match[1]) if (match := re.search(r"\(([\d.]+) %", title)) else 0)


def test_comparison_is_sorted_and_coloured():
    rows = [row("zf", 0.6), row("wmmse", 3.9), row("ppo", 3.6, learned=True), row("odd", 1.0, violation_rate=None)]
    figure = plotting.method_comparison(rows)
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == [f"{m}, focused" for m in ("wmmse", "ppo", "odd", "zf")]
    assert [label.get_color() == style.BLUE for label in labels] == [False, True, False, False]
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


def markers(figure):
    """(x, marker, colour, filled) of every marker drawn."""
    return [
        (float(x), line.get_marker(), line.get_color(), line.get_markerfacecolor() != "white")
        for line in figure.axes[0].lines
        if line.get_linestyle() == "None" and len(line.get_xdata())
        for x, y in zip(*line.get_data(), strict=True)
        if np.isfinite(y)
    ]


def curve_lines(figure):
    return [line for line in figure.axes[0].lines if line.get_linestyle() != "None" and line.get_color() != style.GREY]


@pytest.mark.parametrize("name", SWEEPS)
def test_names_and_ticks_of_a_sweep_keep_clear(name):
    figure = SWEEPS[name]()
    figure.draw_without_rendering()
    ax = figure.axes[0]

    def extents(texts):
        return [matplotlib.text.Text.get_window_extent(text) for text in texts]

    names = sorted(extents(ax.texts), key=lambda box: box.y0)
    assert all(box.x0 >= ax.bbox.x1 for box in names)
    # Text extents have leading above and below: a tenth of a line may overlap without the letters touching.
    slack = 0.1 * 9 / 72 * figure.dpi
    assert all(above.y0 >= below.y1 - slack for below, above in itertools.pairwise(names))
    shown = ax.get_xticklabels()
    legend = figure.legends[0].get_texts()
    for box in extents([*ax.texts, *shown, *legend, ax.xaxis.label, ax.yaxis.label]):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
    if shown[0].get_rotation() == 0:
        assert all(right.x0 > left.x1 for left, right in itertools.pairwise(extents(shown)))
    else:
        # Lines slanted by 50 degrees, apart by the size of their letters.
        step = np.diff([text.get_transform().transform(text.get_position())[0] for text in shown]).min()
        assert step * np.sin(np.deg2rad(50)) > 9 / 72 * figure.dpi
    assert ax.bbox.width > 0.4 * figure.bbox.width


def test_markers_are_open_where_channels_are_infeasible():
    shares = [np.nan, 0, 0.01, 1]
    figure = plotting.sweep_curves([1, 2, 3, 4], None, {"zf": swept([1, 2, 2, 0], shares)}, "users")
    assert {x: filled for x, *_, filled in markers(figure)} == {1: True, 2: True, 3: False, 4: False}
    words = "open: some channels without feasible design"
    assert words in written(figure)
    assert words not in written(plotting.sweep_curves([1, 2], None, {"zf": swept([1, 2])}, "users"))
    # Where nothing is drawn, nothing is open.
    assert words not in written(plotting.sweep_curves([1, 2], None, {"zf": swept([1, np.nan], [0, 1])}, "users"))


def test_a_long_sweep_keeps_its_infeasible_points():
    points = 200
    for bad in (0, 7, 101, 199):
        curve = swept(np.ones(points), np.arange(points) == bad)
        drawn = markers(plotting.sweep_curves(np.arange(points), None, {"zf": curve}, "x"))
        assert len(drawn) <= MOST_MARKERS
        (at,) = [x for x, *_, filled in drawn if not filled]
        assert at <= bad < at + points / MOST_MARKERS
        lonely = swept(np.where(np.arange(points) == bad, 1, np.nan))
        drawn = markers(plotting.sweep_curves(np.arange(points), None, {"zf": lonely}, "x"))
        assert [x for x, *_ in drawn] == [bad]


def test_the_best_curve_at_the_last_point_comes_first():
    curves = {
        "falls": swept([5, 4, 1]), "best": swept([1, 2, 3]), "ends": swept([9, 9, np.nan]),
        "never": swept([np.nan] * 3), "equal to best": swept([2, 2, 3]),
    }  # fmt: skip
    figure = plotting.sweep_curves([2, 3, 4], None, curves, "users")
    # Written from the bottom up.
    names = ["● best", "■ equal to best", "▲ falls", "◆ ends", "▼ never (nowhere applicable)"]
    assert [text.get_text() for text in figure.axes[0].texts] == names[::-1]
    figure.draw_without_rendering()
    top = {text.get_text(): text.xyann[1] for text in figure.axes[0].texts}
    assert top["● best"] > top["■ equal to best"]
    assert [text.get_color() for text in figure.axes[0].texts][::-1] == list(COLOURS[:5])
    # The order in which the values were listed does not matter: last is rightmost.
    turned = {label: {key: values[::-1] for key, values in curve.items()} for label, curve in curves.items()}
    again = plotting.sweep_curves([4, 3, 2], None, turned, "users")
    for one, other in zip(figure.axes[0].lines, again.axes[0].lines, strict=True):
        assert np.array_equal(one.get_xydata(), other.get_xydata(), equal_nan=True)


def test_texts_stay_with_their_points():
    figure = plotting.sweep_curves([1, 0], ["none", "0.5"], {"zf": swept([7, 1])}, "threshold")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0.5", "none"]
    assert curve_lines(figure)[0].get_ydata().tolist() == [1, 7]


def test_twenty_curves_differ_without_colour_and_sixty_with_it():
    figure = sweep(60, points=2)
    dashes = [(line.get_color(), line.get_linestyle()) for line in curve_lines(figure)]
    # All points of a curve are open or none is: one set of markers each. The legend's sample has no data.
    signs = [
        line.get_marker() for line in figure.axes[0].lines if len(line.get_xdata()) and line.get_marker() != "None"
    ]
    assert len(dashes) == len(signs) == 60
    assert len({(*dash, sign) for dash, sign in zip(dashes, signs, strict=True)}) == 60
    assert len({(dash, sign) for (_, dash), sign in zip(dashes[:20], signs, strict=False)}) == 20


def test_gaps_stay_gaps_and_lonely_points_have_bars():
    figure = plotting.sweep_curves(
        np.arange(6), None, {"zf": swept([1, 2, np.nan, 3, np.nan, 4])}, "users", anchors={"bound": np.full(6, 9.0)}
    )
    (line,) = curve_lines(figure)
    assert np.array_equal(np.isnan(line.get_ydata()), [False, False, True, False, True, False])
    assert [x for x, *_ in markers(figure)] == [0, 1, 3, 5]
    bars = [c for c in figure.axes[0].collections if isinstance(c, matplotlib.collections.LineCollection)]
    ends = np.concatenate([bar.get_segments() for bar in bars])
    assert np.allclose(ends, [[[3, 2.9], [3, 3.1]], [[5, 3.9], [5, 4.1]]])
    (anchor,) = [line for line in figure.axes[0].lines if 9 in line.get_ydata()]
    assert (anchor.get_color(), anchor.is_dashed()) == (style.GREY, True)
    assert "bound" in written(figure)


ODD = {
    "all equal": ([2, 3], {"a": swept([2, 2], band=0), "b": swept([2, 2], band=0)}),
    "all zero": ([2, 3], {"a": swept([0, 0], band=0)}),
    "negative": ([2, 3], {"a": swept([-60, -58])}),
    "one point": ([2], {"a": swept([1])}),
    "one place": ([2, 2], {"a": swept([1, 2])}),
    "nothing finite": ([2, 3], {"a": swept([np.nan, np.nan], np.nan)}),
    "no curve": ([2, 3], {}),
    "no point": ([], {"a": swept([])}),
    "tiny": ([1e-13, 2e-13], {"a": swept([1e-9, 2e-9], band=1e-10)}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_sweeps_are_drawn(name, tmp_path):
    x, curves = ODD[name]
    figure = plotting.sweep_curves(x, None, curves, "users", anchors={"bound": 1.1 * np.array(x)} if x else ())
    plotting.save(figure, tmp_path / "sweep")
    low, high = figure.axes[0].get_ylim()
    values = np.concatenate([np.zeros(0), *(curve[key] for curve in curves.values() for key in ("low", "high"))])
    values = values[np.isfinite(values)]
    assert low < high
    assert np.all((low <= values) & (values <= high))
    assert low == 0 or values.min() < 0


@pytest.mark.parametrize(
    ("x", "scale", "ticks_at"),
    [
        ([1e-3, 1e-2, 0.1, 1], "log", ["0.001", "0.01", "0.1", "1"]),
        ([30, 35, 40, 45, 50], "linear", ["30", "35", "40", "45", "50"]),
        ([2.75e11, 3e11, 3.25e11], "linear", ["2.75e+11", "3e+11", "3.25e+11"]),
        ([0, 1, 100], "linear", None),
        (np.arange(1, 31), "linear", None),
        ([299792458, 299792459], "linear", None),  # six digits do not tell them apart
        (np.geomspace(1, 50, 12), "log", ["1", "2", "5", "10", "20", "50"]),
        (np.geomspace(1e-3, 1e3, 25), "log", None),
    ],
)
def test_the_axis_suits_the_values(x, scale, ticks_at):
    figure = plotting.sweep_curves(x, None, {"zf": swept(np.ones(len(x)))}, "users")
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert ax.get_xscale() == scale
    low, high = ax.get_xlim()
    inside = [(v, t.get_text()) for v, t in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True) if low <= v <= high]
    assert len(inside) >= 2
    if ticks_at:
        assert [text for _, text in inside] == ticks_at
    elif scale == "linear":
        assert all(v == round(v) for v, _ in inside)  # whole numbers have whole ticks


def test_seed_curves_draw_the_mean_and_name_it():
    steps = np.arange(5) * 1000.0
    values = np.array([[1.0, 2, 3, 4, 5], [1, 2, 3, 4, np.nan], [1, 4, 5, 6, 7]])
    figure = plotting.seed_curves({"ppo": (steps, values), "nothing yet": (steps, np.full((2, 5), np.nan))})
    ax = figure.axes[0]
    assert len(ax.lines) == 1
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1, 8 / 3, 11 / 3, 14 / 3, 6])
    assert [text.get_text() for text in ax.texts] == ["ppo 6.00"]
