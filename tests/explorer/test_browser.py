"""The explorer in a real browser, where there is one: it loads, a slider and a dragged user move the numbers."""

import asyncio
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

pytest.importorskip("bokeh", reason="the extra `explore` is not installed")

from thzjax.experiment.explore_numbers import Explorer
from thzjax.explorer.server import bind, serving
from thzjax.systems.scenario import preset

PAGE = Path(__file__).parents[2] / "docs" / "explore_page.py"


def helper():
    """`docs/explore_page.py`, which takes the documents' pictures."""
    specification = importlib.util.spec_from_file_location("explore_page", PAGE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


explore_page = helper()
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(explore_page.CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.usefixtures("quickly_compiled"),
]


def visited(explorer, visit):
    """What `visit(tab)` gives in a browser that has loaded the page of an explorer, and what the browser said."""

    async def run():
        explorer.look(explorer.start)
        sockets = bind()
        async with serving(explorer, sockets), explore_page.chromium() as tab:
            await tab.open(f"http://127.0.0.1:{sockets[0].getsockname()[1]}/")
            return await visit(tab), tab.complaints

    return asyncio.run(run())


def test_a_slider_and_a_dragged_user_move_the_numbers(tmp_path):
    async def visit(tab):
        seen = [await tab.text("rates")]
        await tab.drag_slider("power", -60)  # with more, the threshold on the beam pattern keeps the rates
        seen.append(await tab.until_not("rates", seen[-1]))
        for by_m in ((0.5, 0.4), (-0.3, 0.0)):
            await tab.drag_user(0, by_m)
            seen.append(await tab.until_not("rates", seen[-1]))
        command = await tab.text("command")
        await tab.drag_user(0, (0.0, 3.5))  # behind the surface, as far as the map goes
        await tab.until('Bokeh.documents[0].get_model_by_name("status").text.includes("cannot stand")')
        seen.append(await tab.text("rates"))
        await tab.drag_slider("elements", -60)
        seen.append(await tab.until_not("rates", seen[-1], seconds=120))
        return seen, command

    explorer = Explorer("paper-a", preset("paper-a"), method="mrt/focused")
    (seen, command), complaints = visited(explorer, visit)
    assert complaints == []
    assert len(set(seen)) == len(seen)
    assert "power_w=" in command
    assert "--users-at=" in command


PLACES = "(({x, y}) => [...x].map((_, k) => [x[k], y[k]]))(Bokeh.documents[0].get_model_by_name('users').data)"


def test_of_two_who_stand_close_one_is_dragged():
    async def visit(tab):
        (x0, y0), (x1, y1), *_ = start = await tab.evaluate(PLACES)
        await tab.drag_user(0, (x1 + 0.1 - x0, y1 - y0))  # 5 pixels beside the other: a mark has a radius of 9
        await tab.until("Bokeh.documents[0].is_idle")
        rates = await tab.text("rates")
        close = await tab.evaluate(PLACES)
        await tab.drag_user(0, (0.0, 0.5))
        await tab.until_not("rates", rates)
        return start, close, await tab.evaluate(PLACES)

    (start, close, apart), complaints = visited(Explorer("paper-a", preset("paper-a"), method="mrt/focused"), visit)
    assert complaints == []
    np.testing.assert_allclose(close[1:], start[1:], atol=2e-3)  # places go to the millimetre
    np.testing.assert_allclose(apart[1:], start[1:], atol=2e-3)
    np.testing.assert_allclose(np.subtract(apart[0], close[0]), (0.0, 0.5), atol=0.04)  # of some 50 pixels a metre


def test_what_is_dragged_is_followed_before_it_is_let_go():
    async def visit(tab):
        before = await tab.text("rates")
        x, y, scale = await tab.evaluate(explore_page.USER_AT % (1, 1))
        await tab.grab((x, y), (x + 8, y))
        for by in range(10, 40, 2):
            await tab.mouse("Moved", (x + by, y))
            await asyncio.sleep(0.03)
        during = await tab.until_not("rates", before)
        await tab.mouse("Released", (x + 38, y), buttons=0)
        return before, during, scale

    explorer = Explorer("paper-a", preset("paper-a"), method="mrt/focused")
    (before, during, scale), complaints = visited(explorer, visit)
    assert during != before
    assert scale > 10
    assert complaints == []


@pytest.mark.parametrize("name", ["paper-a", "paper-b"])
def test_the_page_fills_its_window_and_no_more(name, tmp_path):
    shot = tmp_path / "shot.png"

    async def visit(tab):
        await asyncio.sleep(1)
        await tab.picture(shot)
        return await tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")

    (width, height), complaints = visited(Explorer(name, preset(name), method="mrt/focused"), visit)
    assert complaints == []
    wide, high = explore_page.SIZE_PX
    assert width <= wide
    assert height <= high
    ink = imread(shot)[..., :3].min(axis=-1) < 0.9
    assert ink.shape == (high, wide)
    # Something from top to bottom and from side to side: in each of so many parts of the window.
    bands, columns = np.array_split(ink, 6, axis=0), np.array_split(ink, 8, axis=1)
    assert min(part.mean() for part in (*bands, *columns)) > 0.002
