"""Pictures of rooms, budgets, beams, surfaces, air and fronts: units on axes, nothing cut off, the numbers given."""

import itertools
import re

import matplotlib
import numpy as np
import pytest
from matplotlib.transforms import Bbox

from thzjax import plotting
from thzjax.plotting import labels
from thzjax.plotting.fronts import efficient
from thzjax.plotting.style import BLUE, GREEN, INK, ORANGE, VERMILLION, new_axes

RNG = np.random.default_rng(0)
NODES = {
    "BS": ("bs", (0.0, 0.0, 0.0), (0.0, 1.0)), "surface": ("surface", (4.0, 3.0, 0.5), (1.0, 0.0)),
    "user 1": ("user", (5.2, 0.8, 0.0)), "user 2": ("user", (5.3, 0.7, 0.0)), "target": ("target", (2.5, 1.5, 0.5)),
}  # fmt: skip
LINKS = [
    ("BS", "surface", 5.0, 101.3, False), ("surface", "user 1", 2.6, 95.5, False),
    ("surface", "user 2", 2.7, 95.9, False), ("surface", "target", 2.1, 93.1, False),
    ("BS", "user 1", 5.3, 134.8, True),
    ("BS", "user 2", 5.3, np.inf, True),
]  # fmt: skip
GAINS = [("transmit power", 13.0), ("gain", 25.0), ("spreading", -101.3), ("alone", None), ("absorption", -0.015)]
NOISES = [("receiver noise", -84.0), ("other streams", 3.2)]
ANGLES = np.arange(-180, 181) / 2
CURVES = {f"user {k}": 10.0**-k * np.cos(np.deg2rad(ANGLES - 20 * k)) ** 2 + 1e-9 for k in (1, 2)}
FREQ = np.linspace(300e9, 500e9, 400)
POINTS = {
    "quick": (2.4, 0.3, 0.2, 0.4), "middling": (15.0, 1.6, 1.5, 1.7), "beaten": (20.0, 1.2, 1.1, 1.3),
    "learned": (40.0, 3.2, 3.1, 3.3), "slow": (15000.0, 4.0, 3.9, 4.1),
}  # fmt: skip
AREA = 2 * np.stack([np.cos(np.linspace(0, 7, 50)), np.sin(np.linspace(0, 7, 50))], axis=-1) + [4, 0]
X, Y = np.linspace(0.5, 5.5, 6), np.linspace(-1.5, 2.5, 5)


def cells():
    values = RNG.uniform(0.1, 5, (5, 6))
    values[0, 0], values[1, 1] = np.nan, 0
    return values


FIGURES = {
    "scenario_map": lambda: plotting.scenario_map(NODES, LINKS, AREA),
    "scenario_map, no area": lambda: plotting.scenario_map(NODES, LINKS),
    "budget_waterfall": lambda: plotting.budget_waterfall(GAINS, NOISES, "SINR"),
    "eirp_pattern": lambda: plotting.eirp_pattern(ANGLES, CURVES, {"user 1": 20.0, "surface": -40.0}),
    "eirp_polar": lambda: plotting.eirp_polar(ANGLES, CURVES, {"user 1": 20.0, "surface": -40.0}),
    "direction_map": lambda: plotting.direction_map(
        np.arange(-90, 91, 10.0), np.arange(-60, 61, 10.0), RNG.uniform(0, 1, (13, 19)), {"user 1": (20.0, -5.0)}
    ),
    "surface_map": lambda: plotting.surface_map(np.exp(2j * np.pi * RNG.uniform(size=12)), (3, 4)),
    "surface_map, hybrid": lambda: plotting.surface_map(RNG.uniform(1, 5, 80) * np.exp(1j * np.arange(80)), (8, 10)),
    "room_map": lambda: plotting.room_map(X, Y, cells(), "sum rate [bit/s/Hz]", NODES),
    "room_map, logarithmic, barred": lambda: plotting.room_map(
        X, Y, cells(), "bound [deg]", NODES, True, np.eye(5, 6) > 0, "no feasible design"
    ),
    "absorption_spectrum": lambda: plotting.absorption_spectrum(
        FREQ, {"total": 1e3 / (1 + ((FREQ - 380e9) / 2e9) ** 2) + 1, "dry": np.full(400, 0.1)},
        [(300e9, 376e9), (384e9, 500e9)], (100.0, "1 dB over 10 m"), (350e9, 5.0),
    ),
    "pareto_front": lambda: plotting.pareto_front(POINTS, "time [µs]", "rate [bit/s/Hz]", ["learned"]),
}  # fmt: skip


def texts(figure):
    return [t for t in figure.findobj(matplotlib.text.Text) if t.get_text() and t.get_visible()]


@pytest.mark.parametrize("name", FIGURES)
def test_every_number_has_its_unit(name):
    for ax in FIGURES[name]().axes:
        named = [ax.get_xlabel(), ax.get_ylabel()]
        assert any(named)
        assert all(re.search(r"\[\S.*\]$", text) for text in named if text)
        # An axis with numbers on it says of what.
        for axis, text in zip((ax.xaxis, ax.yaxis), named, strict=True):
            written = [tick.get_text() for tick in axis.get_ticklabels()]
            numbers = [t for t in written if re.fullmatch(r"[−-]?[\d.]+(×10.*)?", t)]
            assert text or not numbers


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    outer = figure.bbox
    ticks = {id(label) for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for tick in
             (*axis.get_major_ticks(), *axis.get_minor_ticks()) for label in (tick.label1, tick.label2)}  # fmt: skip
    for text in texts(figure):
        if id(text) in ticks:
            continue  # those beyond the limits exist but are not drawn
        box = text.get_window_extent()
        # A pixel and a half: half a line of anti-aliasing at either side.
        assert outer.x0 - 1.5 <= box.x0 <= box.x1 <= outer.x1 + 1.5, text.get_text()
        assert outer.y0 - 1.5 <= box.y0 <= box.y1 <= outer.y1 + 1.5, text.get_text()


@pytest.mark.parametrize("name", FIGURES)
def test_both_files_are_written_and_matplotlib_is_left_alone(name, tmp_path):
    before = dict(matplotlib.rcParams)
    png, svg = plotting.save(FIGURES[name](), tmp_path / "new" / "picture")
    assert png.stat().st_size > 3000
    assert "<svg" in svg.read_text(encoding="utf-8")
    assert dict(matplotlib.rcParams) == before


def test_losses_stand_on_their_paths_and_apart():
    figure = FIGURES["scenario_map"]()
    figure.draw_without_rendering()
    (ax,) = figure.axes
    found = {t.get_text(): t for t in ax.texts}
    assert {f"{loss:.1f} dB" for *_, loss, _ in LINKS if np.isfinite(loss)} < set(found)
    assert {"surface, z 0.5 m", "target, z 0.5 m", "user 1", "user 2", "BS"} < set(found)
    for start, end, _, loss, blocked in LINKS:
        if np.isfinite(loss):
            label = found[f"{loss:.1f} dB"]
            a, b = (np.array(NODES[name][1][:2]) for name in (start, end))
            off = np.array(label.xy) - a
            assert abs(off[0] * (b - a)[1] - off[1] * (b - a)[0]) < 1e-9
            assert label.get_color() == (VERMILLION if blocked else INK)
    boxes = [matplotlib.text.Text.get_window_extent(t) for t in ax.texts if t.get_text()]
    assert all(labels.overlap(a, b) < 0.05 * min(a.width * a.height, b.width * b.height)
               for a, b in itertools.combinations(boxes, 2))  # fmt: skip


def bars(figure):
    """(row, left end, right end, colour) of every bar."""
    return [
        (round(p.get_y() + p.get_height() / 2), p.get_x(), p.get_x() + p.get_width(),
         matplotlib.colors.to_hex(p.get_facecolor()).upper()) for p in figure.axes[0].patches
    ]  # fmt: skip


def test_a_waterfall_goes_from_level_to_level():
    figure = FIGURES["budget_waterfall"]()
    found = {row: (low, high, colour) for row, low, high, colour in bars(figure)}
    assert found.keys() == {1, 2, 4, 7, 9}
    np.testing.assert_allclose([found[1][:2], found[2][:2]], [(13, 38), (38, 38 - 101.3)])
    np.testing.assert_allclose(found[4][:2], (-63.3, -63.315))
    np.testing.assert_allclose(found[7][:2], (-84, -80.8))
    np.testing.assert_allclose(found[9][:2], (-80.8, -63.315))
    assert [found[row][2] for row in (1, 2, 7, 9)] == [BLUE, VERMILLION, ORANGE, GREEN]
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert names == ["transmit power", "gain", "spreading", "alone", "absorption", "received power", "receiver noise",
                     "other streams", "noise in all", "SINR"]  # fmt: skip
    values = {t.xy[1]: t.get_text() for t in figure.axes[0].texts}
    assert (values[2], values[3], values[4], values[9]) == ("−101.3 dB", "−63.3 dBm", "−0.01 dB", "+17.5 dB")


def test_a_signal_below_the_noise_is_marked():
    figure = plotting.budget_waterfall([("power", -90.0)], [("noise", -84.0)])
    ((row, low, high, colour),) = bars(figure)
    assert (row, low, high, colour) == (3, -84.0, -90.0, VERMILLION)


def test_patterns_are_levels_and_what_is_below_says_so():
    curves = CURVES | {"nobody": np.full(len(ANGLES), 1e-12)}
    figure = plotting.eirp_pattern(ANGLES, curves)
    (ax,) = figure.axes
    first = ax.lines[0].get_ydata()
    at = int(np.argmax(CURVES["user 1"]))
    assert np.isclose(first[at], 10 * np.log10(CURVES["user 1"][at]) + 30)
    assert np.isclose(ax.get_ylim()[0], first[at] - 40)
    assert "nobody (below the scale)" in {t.get_text() for t in figure.legends[0].get_texts()}


def test_a_polar_pattern_has_the_same_levels_round():
    (ax,) = plotting.eirp_polar(ANGLES, {"only": CURVES["user 1"]}).axes
    line = next(line for line in ax.lines if line.get_label() == "only")
    x, y = line.get_data()
    level = 10 * np.log10(CURVES["user 1"]) + 30
    span = 42.0
    np.testing.assert_allclose(np.hypot(x, y), np.clip((level - level.max() + 40) / span, 0, None), atol=1e-12)
    strong = np.hypot(x, y) > 0.1
    np.testing.assert_allclose(np.rad2deg(np.arctan2(x, y))[strong], ANGLES[strong], atol=1e-9)


def test_a_room_map_draws_the_cells_it_was_given():
    values = cells()
    figure = plotting.room_map(X, Y, values, "rate [bit/s/Hz]", NODES)
    drawn = figure.axes[0].collections[0].get_array()
    assert np.array_equal(np.ma.getmaskarray(drawn), np.isnan(values))
    assert np.array_equal(drawn.compressed(), values[~np.isnan(values)])
    barred = values == 0
    figure = plotting.room_map(X, Y, values, "rate [bit/s/Hz]", NODES, False, barred, "none")
    assert np.array_equal(np.ma.getmaskarray(figure.axes[0].collections[0].get_array()), np.isnan(values) | barred)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["none"]


def test_a_room_with_nothing_to_show_is_drawn(tmp_path):
    figure = plotting.room_map(X, Y, np.full((5, 6), np.nan), "bound [deg]", NODES, logarithmic=True)
    plotting.save(figure, tmp_path / "empty")


def test_a_surface_has_its_elements_where_they_are():
    psi = np.exp(1j * np.linspace(-3, 3, 12))
    (first, _) = plotting.surface_map(psi, (3, 4)).axes
    drawn = first.collections[0].get_array()
    assert drawn.shape == (4, 3)
    assert np.isclose(drawn[1, 2], np.rad2deg(np.angle(psi[2 * 4 + 1])))
    figure = plotting.surface_map(2 * psi, (3, 4))
    assert len(figure.axes) == 4  # phase, amplitude, and a bar of colours for each
    assert np.allclose(figure.axes[1].collections[0].get_array(), 20 * np.log10(2))


def test_windows_are_shaded_where_they_are():
    figure = FIGURES["absorption_spectrum"]()
    spans = [p.get_extents().transformed(figure.axes[0].transData.inverted()) for p in figure.axes[0].patches]
    np.testing.assert_allclose([(s.x0, s.x1) for s in spans], [(300, 376), (384, 500)])
    assert {"300\nto 376", "384\nto 500"} <= {t.get_text() for t in texts(figure)}


def test_the_front_is_what_none_beats():
    assert efficient(POINTS) == ["quick", "middling", "learned", "slow"]
    assert efficient({"a": (1, 1), "same": (1, 1), "better": (1, 2)}) == ["better"]
    assert efficient({}) == []
    figure = FIGURES["pareto_front"]()
    assert figure.axes[0].get_xscale() == "log"
    assert {t.get_text() for t in figure.axes[0].texts} >= set(POINTS)
    step = next(line for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post")
    np.testing.assert_array_equal(step.get_ydata(), [0.3, 1.6, 3.2, 4.0])
    plotting.pareto_front({"unknown": (np.nan, 1, 1, 1)}, "time [s]", "rate [bit/s/Hz]")


def test_a_label_takes_the_first_place_that_is_free():
    figure, ax = new_axes(3)
    ax.set(xlim=(0, 10), ylim=(0, 10))
    figure.draw_without_rendering()
    taken = [labels.marker_box(ax, 5, 5)]
    first = labels.beside_point(5, 5)
    labels.put(ax, "one", first, taken)
    labels.put(ax, "two", first, taken)
    right, left = (t.get_position() for t in ax.texts)
    assert right[0] > 0 > left[0]
    assert right[1] == left[1] == 0
    assert len(taken) == 3
    assert labels.overlap(taken[1], taken[2]) == 0
    # Nowhere inside on the right: the label stays in the axes.
    labels.put(ax, "a long label at the edge", labels.beside_point(9.9, 2), taken)
    assert taken[-1].x1 <= ax.bbox.x1
    assert labels.overlap(Bbox([[0, 0], [2, 2]]), Bbox([[1, 1], [4, 3]])) == 1
