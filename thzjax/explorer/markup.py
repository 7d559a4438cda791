"""The page's texts as HTML: plain functions of numbers; whatever comes from outside is escaped."""

import html
import math
from collections.abc import Mapping, Sequence

from thzjax.plotting.style import BLUE, GREEN, GREY, INK, VERMILLION

FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
KINDS = {"ready": (GREEN, "✓"), "busy": (BLUE, "…"), "refused": (VERMILLION, "✗")}
"""Colour and sign of a state of the page: the sign tells them apart without the colour."""


def signed(value: float) -> str:
    """A slack with its sign, three digits, and a real minus."""
    if not math.isfinite(value):
        return "−∞" if value < 0 else "+∞"
    return f"{value:+.3g}".replace("-", "−")


def heading(preset: str) -> str:
    """The page's name."""
    look = f"{FONT};color:{INK};font-size:18px;font-weight:600;white-space:nowrap"
    return f'<div style="{look}">thzjax explore · {html.escape(preset)}</div>'


def status(kind: str, text: str) -> str:
    """What the page is doing, or why it refused ("ready", "busy", "refused")."""
    colour, sign = KINDS[kind]
    return (
        f'<div role="status" style="{FONT};font-size:13px;line-height:17px;color:{colour};max-height:34px;'
        f'overflow:hidden"><b>{sign}</b> {html.escape(text)}</div>'
    )


def tiles(numbers: Sequence[tuple[str, str]]) -> str:
    """The line of numbers."""
    cells = "".join(
        f'<div><div style="font-size:11px;color:{GREY}">{html.escape(what)}</div>'
        f'<div style="font-size:15px;font-weight:600;white-space:nowrap">{html.escape(value)}</div></div>'
        for what, value in numbers
    )
    return f'<div style="{FONT};color:{INK};display:flex;gap:26px;flex-wrap:wrap">{cells}</div>'


def _table(title: str, rows: Sequence[str]) -> str:
    return (
        f'<div style="{FONT};color:{INK};font-size:13px"><div style="font-weight:600;margin:2px 0 4px">{title}</div>'
        f'<div style="display:grid;grid-template-columns:auto 1fr auto;gap:3px 8px;align-items:center">{"".join(rows)}'
        "</div></div>"
    )


def _bar(left: float, width: float, colour: str, middle: bool = False) -> str:
    """A bar from `left` on, in shares of the room; `middle` marks the zero of a scale from -1 to 1."""
    line = f'<div style="position:absolute;left:50%;top:0;bottom:0;width:1px;background:{GREY}"></div>'
    return (
        '<div style="position:relative;height:13px;background:#f1f1f1">'
        f'<div style="position:absolute;left:{100 * left:.2f}%;width:{100 * width:.2f}%;top:0;bottom:0;'
        f'background:{colour}"></div>{line if middle else ""}</div>'
    )


def rates(values: Sequence[float], colours: Sequence[str]) -> str:
    """Bars of the users' rates [bit/s/Hz], of the lengths that they have beside the largest."""
    top = max([*values, 1e-9])
    rows = [
        f'<div style="color:{colour};font-weight:600">user {k + 1}</div>{_bar(0, max(value, 0) / top, colour)}'
        f'<div style="text-align:right;min-width:44px">{value:.3f}</div>'
        for k, (value, colour) in enumerate(zip(values, colours, strict=True))
    ]
    return _table(f"Rates [bit/s/Hz], sum {sum(values):.3f}", rows)


def slacks(slack: Mapping[str, float], held: Mapping[str, bool]) -> str:
    """Bars of slacks from -1 to 1 in units of the limit, with a word for what the colour says."""
    rows = []
    for name, value in slack.items():
        colour, word = (GREEN, "✓ holds") if held[name] else (VERMILLION, "✗ violated")
        share = min(max(value, -1.0), 1.0) / 2 if math.isfinite(value) else -0.5
        rows.append(
            f"<div>{html.escape(name)}</div>{_bar(0.5 + min(share, 0), abs(share), colour, middle=True)}"
            f'<div style="color:{colour};min-width:112px">{word}, {signed(value)}</div>'
        )
    return _table("Slack of the constraints, share of the limit", rows)


def advice(target: bool) -> str:
    """How to use the page."""
    what = "a user, or the target," if target else "a user"
    return (
        f'<div style="{FONT};font-size:12px;color:{GREY};line-height:16px">Drag {what} on the map. All else of the '
        "channel stays as drawn: the phases and angles of scattered rays, which elements amplify. Powers and limits "
        "answer at once; another size, phase resolution or design is compiled first.</div>"
    )
