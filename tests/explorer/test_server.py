"""The server: this machine alone, its own origin alone, and nothing left of a page whose tab was closed."""

import asyncio
import gc
import socket
import weakref

import pytest

pytest.importorskip("bokeh", reason="the extra `explore` is not installed")

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from benchmarks.soak_explore import Tab
from thzjax.errors import ConfigError
from thzjax.explorer import server
from thzjax.explorer.server import HOST, bind, serving

pytestmark = pytest.mark.usefixtures("quickly_compiled")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Pages are forgotten at once, and the server takes whatever port is free."""
    monkeypatch.setattr(server, "UNUSED_MS", 50)
    monkeypatch.setattr(server, "CHECK_MS", 50)
    monkeypatch.setattr(server, "PORT", 0)


def served(explorer, visit):
    """What `visit(server, port)` gives while pages of the explorer are served."""

    async def run():
        sockets = bind()
        async with serving(explorer, sockets) as running:
            return await asyncio.wait_for(visit(running, sockets[0].getsockname()[1]), 120)

    return asyncio.run(run())


async def fetched(url, **headers):
    """Status and text of a page."""
    try:
        answer = await AsyncHTTPClient().fetch(HTTPRequest(url, headers=headers))
    except HTTPClientError as refusal:
        return refusal.code, ""
    return answer.code, answer.body.decode()


def test_the_page_is_served_on_this_machine_alone(explorer):
    async def visit(running, port):
        del running
        return [
            await fetched(f"http://{HOST}:{port}/"),
            await fetched(f"http://{HOST}:{port}/", Host=f"localhost:{port}"),
            await fetched(f"http://{HOST}:{port}/", Host="rebound.example"),
            await fetched(f"http://{HOST}:{port}/", Host=f"127.0.0.1.rebound.example:{port}"),
            await fetched(f"http://{HOST}:{port}/../../etc/passwd"),
            await fetched(f"http://{HOST}:{port}/static/..%2f..%2f..%2f..%2fetc/passwd"),
        ]

    own, local, *foreign = served(explorer, visit)
    for status, text in (own, local):
        assert status == 200
        assert "thzjax explore" in text
        assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")  # no script from elsewhere
    assert {status for status, _ in foreign} <= {403, 404}
    for each in bind(None):
        assert each.family == socket.AF_INET
        assert each.getsockname()[0] == "127.0.0.1"
        each.close()


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:1", "null", "http://127.0.0.1.evil.example"]
)
def test_a_foreign_page_gets_no_websocket(explorer, origin, caplog):
    async def visit(running, port):
        del running
        request = HTTPRequest(f"ws://{HOST}:{port}/ws", headers={"Origin": origin})
        with pytest.raises(HTTPClientError) as refusal:
            await websocket_connect(request, subprotocols=["bokeh", "token"])
        return refusal.value.code

    assert served(explorer, visit) == 403
    assert "Refusing websocket connection" in caplog.text


async def moved(tab):
    """What a tab shows before and after a slider is moved, users are, and nonsense is sent."""
    seen = [tab.text("rates")]
    for widget, values in (
        ("power", {"value": 0.0}),
        ("users", {"data": {**tab.model("users").data, "x": [4.0, 4.4], "y": [0.5, -0.5]}}),
    ):
        tab.model(widget).update(**values)
        await tab.until(lambda: tab.text("rates") != seen[-1])
        seen.append(tab.text("rates"))
    tab.model("users").data = {**tab.model("users").data, "y": [99.0, 99.0]}
    await tab.until(lambda: "cannot stand" in tab.text("status"))
    await tab.until(lambda: tab.model("users").data["y"][0] < 99)
    tab.let_go("elements", "nonsense")
    await tab.until(lambda: "has no option" in tab.text("status"))
    assert tab.complaints == []
    return seen, list(tab.model("users").data["y"])


def test_a_tab_moves_the_numbers_and_leaves_nothing_behind(explorer, monkeypatch):
    pages = []
    show_on = server.show_on

    def remembered(*args):
        page = show_on(*args)
        pages.append(weakref.ref(page))
        return page

    monkeypatch.setattr(server, "show_on", remembered)

    async def visit(running, port):
        tab = await Tab.open(f"http://{HOST}:{port}/")
        found = await moved(tab)
        assert len(running.get_sessions("/")) == 1
        await tab.close()
        for _ in range(200):
            if not running.get_sessions("/"):
                break
            await asyncio.sleep(0.05)
        return found, len(running.get_sessions("/"))

    (seen, y), left = served(explorer, visit)
    assert len(set(seen)) == 3
    assert y == pytest.approx([0.5, -0.5])
    assert left == 0
    gc.collect()
    assert [page() for page in pages] == [None]


def test_too_many_pages_are_refused(explorer, monkeypatch):
    monkeypatch.setattr(server, "MOST_PAGES", 1)

    async def visit(running, port):
        del running
        tabs = [await Tab.open(f"http://{HOST}:{port}/") for _ in range(2)]
        found = [tab.model("power") for tab in tabs], [model.text for model in tabs[1].document.roots]
        for tab in tabs:
            await tab.close()
        return found

    (slider, none), (told,) = served(explorer, visit)
    assert slider is not None
    assert none is None
    assert "1 pages are open already" in told


def test_a_taken_port_is_refused_in_a_line():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1 cannot be used"):
            bind(port)
        server.PORT = port
        free = bind()
        assert free[0].getsockname()[1] not in (0, port)
        for each in free:
            each.close()
    for port in (0, -1, 65536):
        with pytest.raises(ConfigError, match="must lie in"):
            bind(port)


def test_work_that_fails_says_so_on_the_page(caplog):
    from concurrent.futures import ThreadPoolExecutor

    class Page:
        """A document whose next tick is now."""

        @staticmethod
        def add_next_tick_callback(callback):
            callback()

    def fail():
        raise ZeroDivisionError("inside")

    def refuse():
        raise ConfigError("too small")

    found = []
    with ThreadPoolExecutor(1) as pool:
        run = server.in_background(Page, pool)
        for work in (fail, refuse, lambda: "seen"):
            run(work, found.append)
    assert [type(each) for each in found] == [ConfigError, ConfigError, str]
    assert "ZeroDivisionError" in str(found[0])
    assert "too small" in str(found[1])
    assert "inside" in caplog.text
