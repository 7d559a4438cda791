"""The page's figures, and the columns that fill them: what is drawn is a plain function of what was seen."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, Range1d
from bokeh.plotting import figure

from thzjax.experiment.explore_numbers import ANGLES_DEG, Curves, Seen
from thzjax.plotting.designs import LOOKS
from thzjax.plotting.style import GREEN, GREY, INK, PALE, PURPLE
from thzjax.systems.irs_scenario import IrsScenario

DASHES = {"-": "solid", "--": "dashed", "-.": "dashdot", ":": "dotted"}
MAP_PX = (440, 330)
RANGE_DB = 40.0
"""Levels further below the strongest are not drawn."""
ARM = 0.04
"""Half of an array's bar, as a share of the room's longer side."""
AT = 0.62
"""Where on a path its loss stands, as a share of its length."""
EVERY_MS = 80
"""While something is dragged its place is sent so often."""
GRAB_PX = 14
"""The nearest within this of the pointer is dragged, alone: Bokeh's own tool takes along all that it touches."""
DRAGGING = """
if (cb_obj.event_name === "panstart") {
  const reach = grab_px * (x_range.end - x_range.start) / width_px
  const marks = sources.flatMap((source) => [...source.data.x].map((x, i) =>
    ({source, i, dx: x - cb_obj.x, dy: source.data.y[i] - cb_obj.y})))
  const far = (mark) => Math.hypot(mark.dx, mark.dy)
  live.held = marks.filter((mark) => far(mark) < reach).sort((a, b) => far(a) - far(b))[0]
}
const {source, i, dx, dy} = live.held ?? {}
if (source == null || i >= source.data.x.length) return
const within = (value, range) => Math.min(Math.max(value, range.start), range.end)
source.data.x[i] = within(cb_obj.x + dx, x_range)
source.data.y[i] = within(cb_obj.y + dy, y_range)
source.change.emit()
const now = Date.now()
if (cb_obj.event_name === "panend") {
  live.held = null
  source.setv({data: source.data}, {check_eq: false})
} else if (now - (live.sent_at ?? 0) >= every_ms) {
  live.sent_at = now
  const all = (key) => sources.flatMap((source) => [...source.data[key]])
  live.data = {x: all("x"), y: all("y")}
}
"""
"""Who is under the pointer goes with it; "live" hears of it meanwhile, and the source itself at the end."""
Columns = dict[str, list[Any]]


def looks(users: int) -> list[tuple[str, str]]:
    """(colour, dash) of every user; the dash repeats later than the colour would be told apart."""
    return list(itertools.islice(itertools.cycle(LOOKS[:4]), users))


def frame(extent_m: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ranges of x and y that show an area with equal scales in a frame of `MAP_PX`."""
    middle, size = extent_m.mean(axis=1), np.ptp(extent_m, axis=1)
    half = max(size[0] / MAP_PX[0], size[1] / MAP_PX[1]) * np.asarray(MAP_PX) / 2
    low, high = middle - half, middle + half
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def room_columns(seen: Seen, scale_m: float) -> dict[str, Columns]:
    """What the map shows, by source: paths, their losses, arrays, names, users, target.

    Args:
      seen: what to show.
      scale_m: the longer side of the room [m], to which arrays are drawn.
    """
    nodes, links, area = seen.layout
    paths: dict[str, Columns] = {kind: {"x0": [], "y0": [], "x1": [], "y1": []} for kind in ("open", "blocked")}
    losses: Columns = {"x": [], "y": [], "text": [], "colour": []}
    for link in links:
        start, end = (nodes[name].position_m for name in (link.start, link.end))
        for key, value in zip(("x0", "y0", "x1", "y1"), (*start[:2], *end[:2]), strict=True):
            paths["blocked" if link.blocked else "open"][key].append(value)
        if math.isfinite(link.loss_db):
            middle = [(1 - AT) * a + AT * b for a, b in zip(start[:2], end[:2], strict=True)]
            text = f"{link.loss_db:.0f} dB" + (", blocked" if link.blocked else "")
            for key, value in zip(losses, (*middle, text, GREY if link.blocked else INK), strict=True):
                losses[key].append(value)
    arrays: Columns = {"x0": [], "y0": [], "x1": [], "y1": [], "colour": []}
    names: Columns = {"x": [], "y": [], "text": [], "colour": []}
    for name, node in nodes.items():
        x, y, z = node.position_m
        colour = {"surface": GREEN, "target": PURPLE}.get(node.kind, INK)
        if node.along is not None:
            dx, dy = (ARM * scale_m * part for part in node.along)
            for key, value in zip(arrays, (x - dx, y - dy, x + dx, y + dy, colour), strict=True):
                arrays[key].append(value)
        if node.kind in ("bs", "surface"):
            label = f"{name}, z {z:.1f} m" if abs(z) >= 0.05 else name
            for key, value in zip(names, (x, y, label, colour), strict=True):
                names[key].append(value)
    colours = [colour for colour, _ in looks(len(seen.rates))]
    users = [node.position_m for node in nodes.values() if node.kind == "user"]
    targets = [node.position_m for node in nodes.values() if node.kind == "target"]
    return {
        "area": {"x": [float(x) for x in area[:, 0]], "y": [float(y) for y in area[:, 1]]},
        **paths,
        "losses": losses,
        "arrays": arrays,
        "names": names,
        "users": _points(users, [f"user {k + 1}" for k in range(len(users))], colours),
        "target": _points(targets, ["target"] * len(targets), [PURPLE] * len(targets)),
    }


def _points(places: Sequence[Any], texts: list[str], colours: list[str]) -> Columns:
    return {"x": [p[0] for p in places], "y": [p[1] for p in places], "text": texts, "colour": colours}


def room_figure(extent_m: np.ndarray, columns: dict[str, Columns]) -> tuple[Any, dict[str, ColumnDataSource]]:
    """The map with its sources by name, and "live", which says while a user or the target is dragged where they are."""
    sources = {name: ColumnDataSource(data=data, name=name) for name, data in columns.items()}
    sources["live"] = ColumnDataSource(data={"x": [], "y": []}, name="live")
    x_range, y_range = frame(extent_m)
    plot = figure(
        frame_width=MAP_PX[0], frame_height=MAP_PX[1], x_range=Range1d(*x_range), y_range=Range1d(*y_range), tools="",
        toolbar_location=None, x_axis_label="x [m]", y_axis_label="y [m]", title="Drag to move", name="map",
    )  # fmt: skip
    plot.patch("x", "y", source=sources["area"], fill_color="#e9f1f8", line_color=PALE, line_width=0.8)
    ends = {"x0": "x0", "y0": "y0", "x1": "x1", "y1": "y1"}
    plot.segment(**ends, source=sources["open"], line_color=GREY, line_width=1.2)
    plot.segment(**ends, source=sources["blocked"], line_color=GREY, line_width=1, line_dash=[4, 4])
    plot.segment(**ends, source=sources["arrays"], line_color="colour", line_width=6)
    note = {"text": "text", "text_color": "colour", "background_fill_color": "white", "background_fill_alpha": 0.75}
    plot.text("x", "y", source=sources["losses"], text_font_size="10px", text_align="center", text_baseline="middle",
              **note)  # fmt: skip
    named = note | {"text_font_size": "12px", "x_offset": 9, "y_offset": -7}
    plot.text("x", "y", source=sources["names"], **named)
    for name, marker, size in (("users", "circle", 18), ("target", "star", 24)):
        plot.scatter("x", "y", source=sources[name], marker=marker, size=size, fill_color="colour", line_color="white",
                     line_width=1.5)  # fmt: skip
    for name in ("users", "target"):
        plot.text("x", "y", source=sources[name], **named)
    moving = CustomJS(
        args={"sources": [sources["users"], sources["target"]], "live": sources["live"], "x_range": plot.x_range,
              "y_range": plot.y_range, "grab_px": GRAB_PX, "width_px": MAP_PX[0], "every_ms": EVERY_MS},
        code=DRAGGING,
    )  # fmt: skip
    for event in ("panstart", "pan", "panend"):
        plot.js_on_event(event, moving)
    _plain(plot)
    return plot, sources


def curve_names(seen: Seen, curves: Curves) -> list[str]:
    """Labels of a pattern's curves in the order of their columns; paper A's has the sum of all users before them."""
    return ["all users", *curves.values] if curves.unit == "p_ref" else list(curves.values)


def pattern_columns(curves: Curves) -> tuple[Columns, Columns, tuple[float, float]]:
    """(curves, marks, range of y) of a pattern: over p_ref, or EIRP in dBm down to `RANGE_DB` below the strongest."""
    values = [np.asarray(each, float) for each in curves.values.values()]
    if curves.unit == "p_ref":
        values = [np.sum(values, axis=0), *values]
        span = 0.0, 1.06 * max(float(np.max(values[0])), 1.1)
    else:
        strongest = max((float(np.max(each)) for each in values), default=0.0)
        top = 10 * math.log10(strongest) + 30 if strongest > 0 else 0.0
        span = top - RANGE_DB, top + 2
        floor = 10 ** ((span[0] - 30) / 10)
        values = [np.maximum(10 * np.log10(np.maximum(each, floor)) + 30, span[0]) for each in values]
    columns = {"angle": ANGLES_DEG.tolist()} | {f"c{i}": each.round(5).tolist() for i, each in enumerate(values)}
    users = [name for name in curves.values if name.startswith("user ")]
    colours = dict(zip(users, (colour for colour, _ in looks(len(users))), strict=True)) | {"target": PURPLE}
    height = span[0] + 0.015 * (span[1] - span[0])
    marks = {
        "x": [float(angle) for angle in curves.marks_deg.values()],
        "y": [height] * len(curves.marks_deg),
        "colour": [colours.get(name, INK) for name in curves.marks_deg],
    }
    return columns, marks, span


def pattern_figure(
    seen: Seen, curves: Curves, title: str, name: str, size_px: tuple[int, int]
) -> tuple[Any, dict[str, ColumnDataSource]]:
    """A pattern with its sources, "NAME curves" and "NAME marks"; paper A's has the desired beams behind it."""
    columns, marks, span = pattern_columns(curves)
    sources = {
        f"{name} {kind}": ColumnDataSource(data=data, name=f"{name} {kind}")
        for kind, data in (("curves", columns), ("marks", marks))
    }
    scenario = seen.state.scenario
    over_p_ref = curves.unit == "p_ref"
    label = f"power / p_ref (p_ref = {1e3 * scenario.p_ref_w:g} mW)" if over_p_ref else "EIRP [dBm]"
    where = "direction from broadside [deg]" if name == "bs" else "azimuth [deg]"
    plot = figure(
        width=size_px[0], height=size_px[1], x_range=Range1d(-90, 90), y_range=Range1d(*span), tools="",
        toolbar_location=None, x_axis_label=where, y_axis_label=label, title=title, name=name,
    )  # fmt: skip
    if over_p_ref and isinstance(scenario, IrsScenario):
        half = scenario.pattern_width_deg / 2
        edges = [(angle - half, angle + half) for angle in scenario.pattern_targets_deg]
        plot.quad(left=[low for low, _ in edges], right=[high for _, high in edges], bottom=0, top=1,
                  fill_color="#cfcfcf", line_color=None, legend_label="desired")  # fmt: skip
    users = iter(looks(len(seen.rates)))
    for i, text in enumerate(curve_names(seen, curves)):
        total, sensing = text == "all users", text in ("sensing", "target")
        colour, dash = (INK, "-") if total else (PURPLE, "-") if sensing else next(users)
        plot.line("angle", f"c{i}", source=sources[f"{name} curves"], line_color=colour, line_dash=DASHES[dash],
                  line_width=2.2 if total else 1.5, legend_label=text)  # fmt: skip
    plot.scatter("x", "y", source=sources[f"{name} marks"], marker="triangle", size=11, fill_color="colour",
                 line_color="white")  # fmt: skip
    _plain(plot)
    legend = plot.legend[0]
    legend.update(orientation="horizontal", label_text_font_size="11px", spacing=4, padding=0, margin=2, glyph_width=16,
                  border_line_color=None, label_standoff=3, click_policy="hide")  # fmt: skip
    plot.add_layout(legend, "above")
    return plot, sources


def _plain(plot: Any) -> None:
    """The look that all figures share."""
    plot.title.update(text_font_size="13px", text_color=INK)
    look = {"axis_label_text_font_size": "12px", "axis_label_text_font_style": "normal", "axis_line_color": GREY}
    for axis in plot.axis:
        axis.update(**look, major_label_text_font_size="11px")
    for grid in plot.grid:
        grid.update(grid_line_color="#e4e4e4")
    plot.outline_line_color = None
