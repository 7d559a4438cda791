"""One page: its widgets, what they ask for, and how what was seen comes back. What a browser sends is not trusted."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import Button, CategoricalSlider, CustomJS, Div, Select, Slider, Spinner, TextInput

from thzjax.errors import ConfigError
from thzjax.experiment.explore import LARGEST_DROP, State, choose, slide, to_drop
from thzjax.experiment.explore_numbers import ANGLES_DEG, Curves, Explorer, Seen, numbers
from thzjax.experiment.places import at_angles
from thzjax.explorer import drawing, markup
from thzjax.systems.layout import Point

WIDTH_PX, LEFT_PX, GAP_PX = 1284, 262, 12
PLOT_PX = (503, 318)
SLOW_S = 0.3
"""A design that takes longer is announced."""
Work = Callable[[], Any]
Run = Callable[[Work, Callable[[Any], None]], None]
"""`run(work, done)` does some work elsewhere, then calls `done` with what it gave or the `ConfigError` that it raised
while nobody else touches the document."""


def at_once(work: Work, done: Callable[[Any], None]) -> None:
    """A `Run` that does the work where it stands."""
    try:
        result = work()
    except ConfigError as refusal:
        result = refusal
    done(result)


class Page:
    """A document and the state that it shows.

    One piece of work is under way at a time; of the states asked for meanwhile only the last is looked at.

    Attributes:
      state: asked for.
      shown: last seen.
      widgets: by name, as the document's models are called.
    """

    def __init__(self, explorer: Explorer, run: Run = at_once) -> None:
        self.explorer, self._run = explorer, run
        self.state: State = explorer.start
        self.shown: Seen = explorer.look(explorer.start)
        self._busy = self._writing = self._closed = False
        self._to_place = False
        self.widgets: dict[str, Any] = {}
        self._make()
        self._draw(self.shown)
        self._say("ready", "ready")

    # --- what is on it --------------------------------------------------------------------------------------------

    def _make(self) -> None:
        known, start = self.explorer.controls, self.state
        for name, slider in known.sliders.items():
            widget = Slider(title=slider.title, start=slider.low, end=slider.high, step=slider.step, value=slider.start,
                            name=name, width=LEFT_PX - 12, format="0[.]00")  # fmt: skip
            self._on(widget, "value", lambda value, name=name: slide(self.state, known, name, value))
        for name in ("elements", "bits"):
            choice = known.choices[name]
            widget = CategoricalSlider(title=choice.title, categories=list(choice.options), value=choice.start,
                                       name=name, width=LEFT_PX - 12)  # fmt: skip
            # Only where it is let go: every size on the way would be compiled.
            self._on(widget, "value_throttled", lambda label, name=name: choose(self.state, known, name, label))
        air = known.choices["air"]
        widget = Select(title=air.title, options=list(air.options), value=air.start, name="air", width=LEFT_PX - 12)
        self._on(widget, "value", lambda label: choose(self.state, known, "air", label))
        widget = Select(title="Design", options=self.explorer.methods, value=start.method, name="method",
                        width=LEFT_PX - 12)  # fmt: skip
        self._on(widget, "value", lambda method: self.explorer.use(self.state, method))
        widget = Spinner(title="Channel drop", low=0, high=LARGEST_DROP, step=1, value=start.drop, name="drop",
                         width=LEFT_PX - 12)  # fmt: skip
        self._on(widget, "value", lambda drop: to_drop(self.state, drop), place=True)
        reset = Button(label="Start again", name="reset", width=LEFT_PX - 12)
        reset.on_click(self.reset)
        self.widgets["reset"] = reset
        for name in ("status", "tiles", "rates", "slacks"):
            self.widgets[name] = Div(text="", name=name)
        # A line as high as its letters cuts off underscores.
        look = "input { font-family: monospace; line-height: 1.5 }"
        field = TextInput(name="command", width=WIDTH_PX - 120, stylesheets=[look])
        copy = Button(label="Copy command", name="copy", width=108)
        copying = CustomJS(args={"field": field}, code="navigator.clipboard.writeText(field.value)")
        copy.js_on_event("button_click", copying)
        self.widgets |= {"command": field, "copy": copy}
        columns = drawing.room_columns(self.shown, self._scale_m)
        self.widgets["map"], self.sources = drawing.room_figure(self.explorer.extent_m, columns)
        for name in ("live", "users", "target"):
            self.sources[name].on_change("data", lambda attr, old, new, name=name: self._moved(name, new))
        for name, title, curves in (("bs", "Base station", self.shown.bs), ("surface", "Surface", self._reflected())):
            plot, sources = drawing.pattern_figure(self.shown, curves, title, name, PLOT_PX)
            self.widgets[name], self.sources = plot, self.sources | sources

    def _on(self, widget: Any, attribute: str, change: Callable[[Any], State], place: bool = False) -> None:
        """Have a widget's value, whenever it changes, make another state."""
        self.widgets[widget.name] = widget

        def changed(attr: str, old: Any, new: Any) -> None:
            if not self._writing:
                self._to_place |= place
                self._ask(lambda: change(new))

        widget.on_change(attribute, changed)

    def layout(self) -> Any:
        """Everything in its place, for a window of 1300 x 900."""
        w = self.widgets
        w["tiles"].width, w["status"].width = WIDTH_PX, WIDTH_PX - LEFT_PX - GAP_PX
        wide = WIDTH_PX - LEFT_PX - 2 * GAP_PX - PLOT_PX[0] - 4
        w["rates"].width = w["slacks"].width = wide
        name = Div(text=markup.heading(self.explorer.preset), width=LEFT_PX)
        head = column(row(name, w["status"], spacing=GAP_PX, styles={"align-items": "center"}), w["tiles"], spacing=4)
        names = ["method", *self.explorer.controls.sliders, "elements", "bits", "air", "drop", "reset"]
        left = column(*(w[name] for name in names), Div(text=markup.advice(self._has_target), width=LEFT_PX - 12),
                      width=LEFT_PX, spacing=7)  # fmt: skip
        upper = row(w["map"], column(w["rates"], w["slacks"], spacing=14, width=wide), spacing=GAP_PX)
        lower = row(w["bs"], w["surface"], spacing=4)
        foot = row(w["command"], w["copy"], spacing=8)
        return column(head, row(left, column(upper, lower, spacing=4), spacing=GAP_PX), foot, width=WIDTH_PX, spacing=4)

    @property
    def _has_target(self) -> bool:
        return "target" in self.shown.layout.nodes

    @property
    def _scale_m(self) -> float:
        return float(np.max(np.ptp(self.explorer.extent_m, axis=1)))

    def _reflected(self) -> Curves:
        """What the surface sends; nothing at all where there is none."""
        if self.shown.surface is not None:
            return self.shown.surface
        names = [f"user {k + 1}" for k in range(len(self.shown.rates))] + (["target"] if self._has_target else [])
        return Curves({name: np.zeros(len(ANGLES_DEG)) for name in names}, {}, "W")

    # --- what it asks for -----------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Back to the state that it began with."""
        with self._quietly():
            for name, slider in self.explorer.controls.sliders.items():
                self.widgets[name].value = slider.start
            for name, choice in self.explorer.controls.choices.items():
                self.widgets[name].value = choice.start
            self.widgets["method"].value = self.explorer.start.method
            self.widgets["drop"].value = self.explorer.start.drop
        self._to_place = True
        self._ask(lambda: self.explorer.start)

    def _moved(self, name: str, data: Any) -> None:
        """Users, or the target, were put somewhere: while they are dragged ("live"), or for good."""
        if self._writing:
            return
        nodes, users = self.shown.layout.nodes, len(self.shown.rates)

        def change() -> State:
            try:
                x, y = list(data["x"]), list(data["y"])
            except (KeyError, TypeError):
                raise ConfigError("places must be numbers in metres") from None
            state = self.state
            parts = {name: (x, y)}
            if name == "live":
                parts = {"users": (x[:users], y[:users]), "target": (x[users:], y[users:])}
            for part, place in parts.items():
                if part == "users" and self._elsewhere(place, self._users_asked()):
                    heights = [nodes[f"user {k + 1}"].position_m[2] for k in range(users)]
                    state = self.explorer.place_users(state, *place, heights)
                if part == "target" and self._has_target and self._elsewhere(place, self._target_asked()):
                    state = self.explorer.place_target(state, *place, self._target_asked()[0][2])
            return state

        self._to_place |= name != "live"
        self._ask(change)

    def _users_asked(self) -> list[Point]:
        """Where the state asked for has the users: its own places, or the drop's as far as they are known."""
        nodes = self.shown.layout.nodes.values()
        return list(self.state.users_m or [node.position_m for node in nodes if node.kind == "user"])

    def _target_asked(self) -> list[Point]:
        scenario = self.state.scenario
        return [at_angles(scenario.target_dist_m, *scenario.target_deg)]

    @staticmethod
    def _elsewhere(place: tuple[list[Any], list[Any]], asked: list[Point]) -> bool:
        """Whether x and y are not those asked for, to the millimetre; what is no number is elsewhere, too."""
        try:
            return not np.allclose(np.asarray(place, float), np.asarray(asked).T[:2], rtol=0, atol=1e-3)
        except (TypeError, ValueError):
            return True

    def _ask(self, change: Callable[[], State]) -> None:
        """Ask for what a change makes of the state; where it makes nothing, say why."""
        try:
            self.state = change()
        except ConfigError as refusal:
            self._refuse(str(refusal))
            return
        self._next()

    def _next(self) -> None:
        """Look at the state asked for, unless something is under way."""
        if self._busy:
            return
        self._busy, state = True, self.state
        if not self.explorer.ready(state):
            self._say("busy", f"compiling {state.method}, N = {math.prod(state.scenario.surface_shape)} …")
        elif self.shown.seconds > SLOW_S:
            self._say("busy", "computing …")
        self._run(lambda: self.explorer.look(state), lambda result: self._done(state, result))

    def _done(self, state: State, result: Any) -> None:
        self._busy = False
        if self._closed:
            return
        if state != self.state:  # what is known of the newer one is more than this
            if isinstance(result, Seen) and not self._to_place:
                self._draw(result)
            self._next()
        elif isinstance(result, Seen):
            self._draw(result)
            self._say("ready", result.note or "ready")
        else:
            self._refuse(str(result))

    # --- what comes back ------------------------------------------------------------------------------------------

    def _refuse(self, why: str) -> None:
        """Say why nothing came of it; what is shown stays, and whoever was put elsewhere goes back there."""
        self._say("refused", why)
        if self._to_place and not self._busy:
            self._place()

    def _say(self, kind: str, text: str) -> None:
        self.widgets["status"].text = markup.status(kind, text)

    def _draw(self, seen: Seen) -> None:
        """Show what was seen; where someone stands only if that is not what the browser itself has just said."""
        self.shown = seen
        with self._quietly():
            columns = drawing.room_columns(seen, self._scale_m)
            for name in ("open", "blocked", "losses", "arrays", "names"):
                self.sources[name].data = columns[name]
            if self._to_place:
                self._place()
            self._pattern("bs", seen.bs, self._bs_title(seen))
            self._pattern("surface", self._reflected(), f"Surface, N = {seen.drop.system.spec.elements}")
            colours = [colour for colour, _ in drawing.looks(len(seen.rates))]
            self.widgets["tiles"].text = markup.tiles(numbers(seen))
            self.widgets["rates"].text = markup.rates([float(x) for x in seen.rates], colours)
            self.widgets["slacks"].text = markup.slacks(seen.slack, seen.held)
            self.widgets["command"].value = self.explorer.command(seen.state)

    def _place(self) -> None:
        """Put users and target where they were last seen."""
        self._to_place = False
        columns = drawing.room_columns(self.shown, self._scale_m)
        with self._quietly():
            for name in ("users", "target"):
                self.sources[name].data = columns[name]

    def _pattern(self, name: str, curves: Curves, title: str) -> None:
        columns, marks, (low, high) = drawing.pattern_columns(curves)
        self.sources[f"{name} curves"].data = columns
        self.sources[f"{name} marks"].data = marks
        self.widgets[name].y_range.update(start=low, end=high)
        self.widgets[name].title.text = title

    @staticmethod
    def _bs_title(seen: Seen) -> str:
        if seen.bs.unit != "p_ref":
            return f"Base station, P = {seen.state.scenario.p_bs_dbm:g} dBm"
        threshold = seen.state.scenario.pattern_threshold
        limit = "no threshold" if threshold is None else f"threshold {threshold:g}"
        return f"Base station's beam pattern: error {seen.measures['pattern_error']:.3f}, {limit}"

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        """Write into widgets without taking it for a wish."""
        before, self._writing = self._writing, True
        try:
            yield
        finally:
            self._writing = before

    def close(self) -> None:
        """The tab is gone: forget what it showed."""
        self._closed = True


def show_on(document: Document, explorer: Explorer, run: Run = at_once) -> Page:
    """Fill a document with a page."""
    page = Page(explorer, run)
    document.title = f"thzjax explore {explorer.preset}"
    document.add_root(page.layout())
    document.on_session_destroyed(lambda context: page.close())
    return page
