"""Loads the explorer's page in a headless Chromium, as a person would, and takes its picture for the documents.

    python docs/explore_page.py            # writes docs/explore.png
    python docs/explore_page.py paper-b    # writes docs/explore-paper-b.png

The browser is spoken to over its debugging protocol, with the websocket client that the explorer's server comes with;
the test of the page uses the same `chromium`.
"""

import asyncio
import base64
import contextlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZE_PX = (1300, 900)
LARGEST_MESSAGE = 1 << 26
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-quic", "--remote-debugging-port=0",
)  # fmt: skip
USER_AT = """
(() => {
  const page = Bokeh.documents[0]
  const view = Bokeh.index.get_one(page.get_model_by_name("map"))
  const box = view.canvas_view.el.getBoundingClientRect()
  const users = page.get_model_by_name("users").data
  const scale = view.frame.x_scale.compute(1) - view.frame.x_scale.compute(0)
  return [box.left + view.frame.x_scale.compute(users.x[%d]), box.top + view.frame.y_scale.compute(users.y[%d]), scale]
})()
"""
"""Where on the screen a user is, and how many pixels a metre has."""
HANDLE_AT = """
(() => {
  const view = Bokeh.index.get_one(Bokeh.documents[0].get_model_by_name("%s"))
  const box = view.shadow_el.querySelector(".noUi-handle").getBoundingClientRect()
  return [box.left + box.width/2, box.top + box.height/2]
})()
"""
"""Where on the screen a slider's handle is."""


class Tab:
    """A page in the browser.

    Attributes:
      complaints: what went to the console as a warning or an error, and exceptions that nothing caught.
    """

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection, self._waiting, self._last = connection, {}, 0
        self.complaints: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while (text := await self._connection.read_message()) is not None:
            message = json.loads(text)
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
                continue
            said = message["params"]
            if message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(said["exceptionDetails"]))
            elif message["method"] == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
                self.complaints.append(" ".join(str(part.get("value")) for part in said["args"]))
            elif message["method"] == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a method of the protocol."""
        self._last += 1
        answer = self._waiting[self._last] = asyncio.get_running_loop().create_future()
        await self._connection.write_message(json.dumps({"id": self._last, "method": method, "params": params}))
        message = await asyncio.wait_for(answer, 60)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    async def evaluate(self, script: str) -> Any:
        """The value of a script in the page."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    async def text(self, name: str) -> str:
        """The text, or the value, of a model of the page."""
        model = f'Bokeh.documents[0].get_model_by_name("{name}")'
        return str(await self.evaluate(f"{model}.text ?? {model}.value"))

    async def until(self, script: str, seconds: float = 60) -> None:
        """Wait until a script is true."""
        for _ in range(int(20 * seconds)):
            if await self.evaluate(script):
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"not within {seconds} s: {script}")

    async def until_not(self, name: str, text: str, seconds: float = 60) -> str:
        """Wait until a model's text is another one, and nothing is under way; that text."""
        for _ in range(int(20 * seconds)):
            found = await self.text(name)
            if found != text and "…" not in await self.text("status"):
                return found
            await asyncio.sleep(0.05)
        raise TimeoutError(f"{name} is still {text}")

    async def open(self, url: str) -> None:
        """Load the explorer's page and wait until it is drawn."""
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)
        await self.until("typeof Bokeh !== 'undefined' && Bokeh.documents?.length === 1 && Bokeh.documents[0].is_idle")

    async def mouse(self, kind: str, at: tuple[float, float], buttons: int = 1) -> None:
        """One event of the mouse, "Moved", "Pressed" or "Released", with the left button down unless told."""
        button = "left" if buttons or kind == "Released" else "none"
        await self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=at[0], y=at[1], button=button,
                        buttons=buttons, clickCount=int(button == "left"))  # fmt: skip

    async def grab(self, start: tuple[float, float], towards: tuple[float, float]) -> None:
        """Press at a place of the screen and be at another at once: what rests for 0.3 s is no drag."""
        await self.mouse("Moved", start, buttons=0)
        await asyncio.gather(self.mouse("Pressed", start), self.mouse("Moved", towards))

    async def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 6) -> None:
        """Grab what is at a place of the screen, move, and let go at another."""
        way = [tuple(a + (b - a) * i / steps for a, b in zip(start, end, strict=True)) for i in range(1, steps + 1)]
        await self.grab(start, way[steps // 2])
        for at in way[steps // 2 :]:
            await self.mouse("Moved", at)
            await asyncio.sleep(0.03)
        await self.mouse("Released", end, buttons=0)

    async def drag_user(self, user: int, by_m: tuple[float, float]) -> None:
        """Drag a user, counted from 0, so far [m]."""
        x, y, scale = await self.evaluate(USER_AT % (user, user))
        await self.drag((x, y), (x + scale * by_m[0], y - scale * by_m[1]))

    async def drag_slider(self, name: str, by_px: float) -> None:
        """Drag a slider's handle so far to the right [pixels]."""
        x, y = await self.evaluate(HANDLE_AT % name)
        await self.drag((x, y), (x + by_px, y))

    async def picture(self, path: Path) -> None:
        """What the window shows, as PNG."""
        found = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Tab]:
    """A tab of a browser of its own, of `SIZE_PX`."""
    if CHROMIUM is None:
        raise SystemExit("no Chromium on this machine")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={SIZE_PX[0]},{SIZE_PX[1]}", "about:blank",
            stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        draining = None
        try:
            assert process.stderr is not None
            while not (found := re.search(rb"listening on ws://([\d.:]+)/", line := await process.stderr.readline())):
                if not line:
                    raise RuntimeError("the browser did not start")
            draining = asyncio.create_task(process.stderr.read())  # what it goes on to say must go somewhere
            answer = await AsyncHTTPClient().fetch(f"http://{found[1].decode()}/json/list")
            target = next(each for each in json.loads(answer.body) if each["type"] == "page")
            connection = await websocket_connect(target["webSocketDebuggerUrl"], max_message_size=LARGEST_MESSAGE)
            try:
                tab = Tab(connection)
                await tab.call(
                    "Emulation.setDeviceMetricsOverride",
                    width=SIZE_PX[0], height=SIZE_PX[1], deviceScaleFactor=1, mobile=False,
                )  # fmt: skip
                yield tab
            finally:
                connection.close()
        finally:
            process.terminate()
            await process.wait()
            if draining is not None:
                await draining


async def take(preset: str, path: Path) -> list[str]:
    """The picture of a preset's page, after a user was dragged; what the browser complained of."""
    from thzjax.experiment.explore_numbers import Explorer
    from thzjax.explorer.server import bind, serving
    from thzjax.systems.scenario import preset as find

    explorer = Explorer(preset, find(preset))
    explorer.look(explorer.start)
    sockets = bind()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
    async with serving(explorer, sockets), chromium() as tab:
        await tab.open(url)
        before = await tab.text("rates")
        await tab.drag_user(0, (0.3, 0.4))
        await tab.until_not("rates", before)
        await asyncio.sleep(1)
        await tab.picture(path)
        return tab.complaints


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "paper-a"
    end = "" if name == "paper-a" else f"-{name}"
    for complaint in asyncio.run(take(name, Path(__file__).with_name(f"explore{end}.png"))):
        print(complaint, file=sys.stderr)
