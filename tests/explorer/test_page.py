"""A page without a browser: what widgets say changes what is shown, what cannot be is refused, the last wish wins."""

import math
import shlex

import numpy as np
import pytest

pytest.importorskip("bokeh", reason="the extra `explore` is not installed")

from bokeh.document import Document

from thzjax.errors import ConfigError
from thzjax.experiment.explore import slide
from thzjax.explorer.page import Page, at_once, show_on

pytestmark = pytest.mark.usefixtures("quickly_compiled")


@pytest.fixture
def page(explorer):
    return show_on(Document(), explorer)


@pytest.fixture
def page_b(hybrid):
    return show_on(Document(), hybrid)


def text(page, name):
    widget = page.widgets[name]
    return widget.value if name == "command" else widget.text


def drop_users(page, x, y):
    """What arrives when users are let go of."""
    page.sources["users"].data = {**page.sources["users"].data, "x": x, "y": y}


@pytest.mark.parametrize("name", ["page", "page_b"])
def test_the_document_is_whole(name, request):
    page = request.getfixturevalue(name)
    (root,) = page.widgets["tiles"].document.roots
    document = root.document
    document.validate()
    assert document.title == f"thzjax explore {page.explorer.preset}"
    models = {model.name for model in root.references() if model.name}
    shown = {"map", "bs", "surface", "tiles", "rates", "slacks", "status", "command", "users", "target", "live"}
    assert shown <= models
    assert {*page.explorer.controls.sliders, *page.explorer.controls.choices, "method", "drop", "reset"} <= models
    assert len(str(document.to_json())) < 2e6


@pytest.mark.parametrize("name", ["page", "page_b"])
def test_a_slider_moves_the_numbers(name, request):
    page = request.getfixturevalue(name)
    before = {what: text(page, what) for what in ("tiles", "rates", "command")}
    widget = page.widgets["power"]
    widget.value = widget.start + 5
    explorer = page.explorer
    seen = explorer.look(slide(explorer.start, explorer.controls, "power", widget.start + 5))
    assert f"sum {seen.rates.sum():.3f}" in text(page, "rates")
    assert all(text(page, what) != was for what, was in before.items())
    assert "✓" in text(page, "status")
    for curves in ("bs curves", "surface curves"):
        data = page.sources[curves].data
        assert {len(column) for column in data.values()} == {361}
        assert all(np.all(np.isfinite(column)) for column in data.values())


def test_a_value_out_of_range_is_clipped(page):
    for wanted in (1e30, -1e30):
        page.widgets["power"].value = wanted
        low, high = page.widgets["power"].start, page.widgets["power"].end
        shown = 10 * math.log10(page.shown.state.scenario.power_w) + 30
        assert shown == pytest.approx(min(max(wanted, low), high), abs=1e-4)
    # The range is the program's, not the widget's, which the browser could change.
    page.widgets["power"].update(start=-1e6, end=1e6, value=1e5)
    assert 10 * math.log10(page.shown.state.scenario.power_w) + 30 == pytest.approx(40, abs=1e-4)


def test_users_that_are_dropped_elsewhere_move_the_rates(page):
    before, rates = page.shown, text(page, "rates")
    x, y = (list(page.sources["users"].data[key]) for key in ("x", "y"))
    drop_users(page, [x[0] + 0.4, x[1]], [y[0], y[1] - 0.2])
    assert text(page, "rates") != rates
    assert not np.allclose(page.shown.rates, before.rates)
    assert page.sources["users"].data["x"][0] == pytest.approx(x[0] + 0.4, abs=1e-3)
    assert any(word.startswith("--users-at=") for word in shlex.split(text(page, "command")))
    page.reset()
    assert page.shown.state == page.explorer.start
    assert page.sources["users"].data["x"] == pytest.approx(x)
    assert "--users-at" not in text(page, "command")


def test_while_users_are_dragged_they_are_followed_and_not_touched(page):
    x, y = (list(page.sources["users"].data[key]) for key in ("x", "y"))
    page.sources["live"].data = {"x": [x[0] + 0.3, x[1]], "y": y}
    assert page.shown.state.users_m[0][0] == pytest.approx(x[0] + 0.3, abs=1e-3)
    assert page.sources["users"].data["x"] == x  # the browser has them
    drop_users(page, [x[0] + 0.6, x[1]], y)
    assert page.shown.state.users_m[0][0] == pytest.approx(x[0] + 0.6, abs=1e-3)
    # Back where the drop has them.
    drop_users(page, x, y)
    assert page.shown.state.users_m[0][0] == pytest.approx(x[0], abs=1e-3)


@pytest.mark.parametrize(
    "data",
    [
        {"x": [4.0, 4.0], "y": [99.0, 0.0], "text": [], "colour": []},  # clipped to the map, behind the surface
        {"x": [0.0, 4.0], "y": [0.0, 0.0]},
        {"x": [4.0], "y": [0.0]},
        {"x": [], "y": []},
        {"x": [4.0, math.nan], "y": [0.0, 0.0]},
        {"x": ["__import__('os')", 4.0], "y": [0.0, 0.0]},
        {"z": [1.0, 2.0]},
    ],
)
@pytest.mark.filterwarnings("ignore:.*columns.*must be of the same length")
def test_places_that_cannot_be_are_refused_and_users_go_back(page, data):
    before = {key: list(values) for key, values in page.sources["users"].data.items()}
    page._moved("users", data)
    assert "✗" in text(page, "status")
    assert page.shown.state == page.explorer.start
    assert {key: list(values) for key, values in page.sources["users"].data.items()} == before
    page.widgets["power"].value = 5.0
    assert "✓" in text(page, "status")


def test_the_target_is_moved_like_a_user(page_b):
    page = page_b
    (x,), (y,) = (page.sources["target"].data[key] for key in ("x", "y"))
    tiles = text(page, "tiles")
    page.sources["target"].data = {**page.sources["target"].data, "x": [x + 0.5], "y": [y]}
    assert "bound" in tiles
    assert text(page, "tiles") != tiles
    assert page.shown.layout.nodes["target"].position_m[0] == pytest.approx(x + 0.5, abs=2e-3)
    assert "target_dist_m=" in text(page, "command")
    users = page.sources["users"].data
    page.sources["live"].data = {"x": [*users["x"], x], "y": [*users["y"], y]}
    assert page.shown.layout.nodes["target"].position_m[0] == pytest.approx(x, abs=2e-3)
    assert page.shown.state.users_m is None
    page._moved("target", {"x": [-3.0], "y": [0.0]})
    assert "target cannot be" in text(page, "status")


def test_another_size_is_looked_at_where_the_slider_is_let_go(page):
    widget = page.widgets["elements"]
    old = widget.value
    widget.value = "4 (2×2)"  # on the way
    assert page.shown.state == page.explorer.start
    widget.trigger("value_throttled", old, "4 (2×2)")
    assert page.shown.drop.system.surface_shape == (2, 2)
    assert "N = 4" in page.widgets["surface"].title.text
    widget.trigger("value_throttled", "4 (2×2)", "no surface")
    assert page.shown.surface is None
    assert "N = 0" in page.widgets["surface"].title.text


def test_what_does_not_exist_is_refused(page):
    page.widgets["elements"].trigger("value_throttled", "", "1000000 (1000×1000)")
    assert "has no option" in text(page, "status")
    page.widgets["method"].options = ["../../etc/passwd"]
    page.widgets["method"].value = "../../etc/passwd"
    assert "is unknown" in text(page, "status")
    page.widgets["drop"].value = -3
    assert "whole number" in text(page, "status")
    assert page.shown.state == page.explorer.start
    page.widgets["drop"].value = 3
    assert page.shown.state.drop == 3
    assert "--drop 3" in text(page, "command")


def test_a_limit_that_nothing_can_meet_says_so_and_keeps_the_picture(page, explorer):
    tiles = text(page, "tiles")
    page.state = page.state.__class__(explorer.start.scenario.__class__(pattern_threshold=1e-3), "mrt/focused")
    page._next()
    assert "least beam-pattern error" in text(page, "status")
    assert text(page, "tiles") == tiles
    page.widgets["threshold"].value = 3.0
    assert "✓" in text(page, "status")


class Slow:
    """A `Run` whose work waits until it is told to go on."""

    def __init__(self):
        self.waiting = []

    def __call__(self, work, done):
        self.waiting.append((work, done))

    def go_on(self):
        work, done = self.waiting.pop(0)
        at_once(work, done)


def test_of_what_is_asked_for_meanwhile_only_the_last_is_looked_at(explorer):
    slow = Slow()
    page = Page(explorer, slow)
    for value in (1.0, 2.0, 3.0, 4.0):
        page.widgets["power"].value = value
    assert len(slow.waiting) == 1
    slow.go_on()
    assert len(slow.waiting) == 1  # the last of the others
    slow.go_on()
    assert not slow.waiting
    assert 10 * math.log10(page.shown.state.scenario.power_w) + 30 == pytest.approx(4, abs=1e-4)


def test_compilation_is_announced(explorer):
    slow = Slow()
    page = Page(explorer, slow)
    page.widgets["bits"].trigger("value_throttled", "3 bit", "1 bit")
    assert "compiling mrt/focused, N = 6 …" in text(page, "status")
    slow.go_on()
    assert "✓" in text(page, "status")


def test_a_page_that_is_gone_draws_no_more(explorer):
    slow = Slow()
    page = Page(explorer, slow)
    page.widgets["power"].value = 1.0
    page.close()
    slow.go_on()
    assert page.shown.state == explorer.start
    assert not slow.waiting


def test_a_refusal_while_something_is_under_way_puts_users_back_after_it(explorer):
    slow = Slow()
    page = Page(explorer, slow)
    x = list(page.sources["users"].data["x"])
    page.widgets["power"].value = 1.0
    drop_users(page, [0.0, x[1]], [0.0, 0.0])
    assert "cannot stand" in text(page, "status")
    slow.go_on()
    assert page.sources["users"].data["x"] == pytest.approx(x)


def test_work_that_refuses_hands_its_refusal_over():
    def refuse():
        raise ConfigError("no")

    found = []
    at_once(refuse, found.append)
    assert isinstance(found[0], ConfigError)
