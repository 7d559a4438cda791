"""The explorer under load: pages that are opened, moved and closed, and what its process holds meanwhile.

    python -m benchmarks.soak_explore [paper-a] [--minutes 30] [--pages 4] [--set num_users=3 ...] [--quick]

Pages here are clients that speak the browser's protocol to the server, so no browser is needed. Each move changes one
slider, or puts the users elsewhere, or now and then chooses another size, phase resolution or design; a page is closed
after a while and another opened. One JSON line: resident memory and the slope of it over the second half, by least
squares, with its standard error [MiB a minute]; threads, open files and memory maps at the half and at the end.
"""

import argparse
import asyncio
import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.client.websocket import WebSocketClientConnectionWrapper
from bokeh.document import Document
from bokeh.models import Slider
from bokeh.protocol import Protocol
from bokeh.protocol.receiver import Receiver
from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.websocket import websocket_connect

from . import frame
from .memory import slope

EVERY_S = 2.0
"""Between two looks at the process."""
PAUSE_S = 0.1
"""Between two moves."""
CLOSE = 0.01
"""Chance of a move to close its page and open another."""
COMPILE = 0.02
"""Chance of a move to ask for another size, phase resolution or design."""
QUICK = ("mrt", "rzf", "wmmse_sum", "random")
"""Designs that compile in seconds."""
SOON_S = 120.0
"""What a move asks for must have come by then."""


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", nargs="?", default="paper-a")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument("--pages", type=int, default=4, help="open at a time (default 4)")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="options of the scenario")
    parser.add_argument("--cores", type=int, default=2, help="CPU cores to run on (default 2)")
    parser.add_argument("--quick", action="store_true", help="two minutes")
    return parser.parse_args()


@contextlib.contextmanager
def explorer(preset: str, overrides: list[str], folder: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """A running explorer and its address."""
    command = [sys.executable, "-m", "thzjax", "explore", preset, "--no-open"]
    command += ["--set", *overrides] if overrides else []
    errors = folder / "errors.txt"
    with errors.open("w") as stream, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True) as run:
        try:
            assert run.stdout is not None
            found = re.search(r"http://\S+", run.stdout.readline())
            if found is None:
                raise SystemExit(f"the explorer did not start: {errors.read_text()}")
            yield run, found[0]
        finally:
            run.terminate()
            run.wait(timeout=120)


def held(process: int) -> dict[str, float]:
    """Resident memory [MiB], threads, open files and memory maps of a process."""
    root = Path(f"/proc/{process}")
    return {
        "resident_mib": frame.resident_mib(process),
        "threads": float(len(os.listdir(root / "task"))),
        "files": float(len(os.listdir(root / "fd"))),
        "maps": float((root / "maps").read_bytes().count(b"\n")),
    }


class Tab:
    """One tab as the server sees it: a copy of the document that it keeps for the tab, which follows it and moves it.

    Bokeh's own client overhears what the server sends while it waits for an answer, so it cannot follow.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = WebSocketClientConnectionWrapper(socket)
        self._protocol = Protocol()
        self._receiver = Receiver(self._protocol)
        self._sending: set[asyncio.Task] = set()
        self.document = Document()
        self.complaints: list[str] = []
        self._loaded = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str) -> "Tab":
        """A tab that has loaded its page."""
        token = generate_jwt_token(generate_session_id())
        tab = cls(await websocket_connect(url.replace("http", "ws", 1) + "ws", subprotocols=["bokeh", token]))
        await asyncio.wait_for(tab._loaded.wait(), SOON_S)
        return tab

    async def _read(self) -> None:
        while (fragment := await self._socket.read_message()) is not None:
            message = await self._receiver.consume(fragment)
            kind = None if message is None else message.msgtype
            if kind == "ACK":
                await self._protocol.create("PULL-DOC-REQ").send(self._socket)
            elif kind == "PULL-DOC-REPLY":
                message.push_to_document(self.document)
                self.document.on_change(self._changed)
                self._loaded.set()
            elif kind == "PATCH-DOC":
                message.apply_to_document(self.document, self)
            elif kind == "ERROR":
                self.complaints.append(str(message.content))

    def _changed(self, event: Any) -> None:
        if event.setter is not self:  # not what the server has just said
            sending = asyncio.ensure_future(self._protocol.create("PATCH-DOC", [event]).send(self._socket))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    def model(self, name: str) -> Any:
        """A widget or source by name."""
        return self.document.get_model_by_name(name)

    def text(self, name: str) -> str:
        """What a text says."""
        return self.model(name).text

    def let_go(self, name: str, chosen: str) -> None:
        """Let go of a slider of choices; a browser says where in a property that only it may write."""
        widget = self.model(name)
        widget.lookup("value_throttled")._set(widget, widget.value, chosen)

    async def until(self, change: Callable[[], bool]) -> None:
        """Wait until something is so.

        Raises:
          TimeoutError: not within `SOON_S`.
        """
        begin = time.monotonic()
        while not change():
            if time.monotonic() - begin > SOON_S:
                raise TimeoutError(f"no answer within {SOON_S:.0f} s: {self.text('status')}")
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """As a tab that is closed."""
        self._socket.close()
        await self._reading


def move(tab: Tab, dice: random.Random) -> None:
    """Change one thing: mostly a slider or places, now and then what is to be compiled."""
    if dice.random() < COMPILE:
        name = dice.choice(["elements", "bits", "method"])
        if name != "method":
            tab.let_go(name, dice.choice(list(tab.model(name).categories)))
            return
        quick = [each for each in tab.model(name).options if each.split("/")[0] in QUICK]
        tab.model(name).value = dice.choice(quick)
    elif dice.random() < 0.7:
        slider = dice.choice(sorted(tab.document.select({"type": Slider}), key=lambda each: each.name))
        slider.value = dice.uniform(slider.start, slider.end)
    else:  # every user a little way off; some of these places are refused
        users = tab.model("users")
        moved = {key: [x + dice.gauss(0, 0.3) for x in users.data[key]] for key in ("x", "y")}
        users.data = {**users.data, **moved}


async def soak(
    url: str, process: int, minutes: float, pages: int
) -> tuple[np.ndarray, list[dict[str, float]], dict[str, int]]:
    """(minutes since the start, what was held then, how much was done) of an explorer under load."""
    dice = random.Random(0)
    tabs = [await Tab.open(url) for _ in range(pages)]
    times, seen, done = [], [], {"moves": 0, "pages": pages, "complaints": 0}
    begin = looked = time.monotonic()
    while (now := time.monotonic()) - begin < 60 * minutes:
        i = dice.randrange(pages)
        if dice.random() < CLOSE:
            await tabs[i].close()
            tabs[i] = await Tab.open(url)
            done["pages"] += 1
        move(tabs[i], dice)
        done["moves"] += 1
        await asyncio.sleep(PAUSE_S)
        # A browser, too, shows what is compiled before its user goes on.
        await tabs[i].until(lambda tab=tabs[i]: "…" not in tab.text("status"))
        done["complaints"] += len(tabs[i].complaints)
        tabs[i].complaints.clear()
        if now - looked > EVERY_S:
            looked = now
            times.append((now - begin) / 60)
            seen.append(held(process))
    for tab in tabs:
        await tab.close()
    return np.asarray(times), seen, done


def main(given: argparse.Namespace) -> None:
    """One explorer, loaded and watched."""
    minutes = 2.0 if given.quick else given.minutes
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with explorer(given.preset, given.set, folder) as (run, url):
            times, seen, done = asyncio.run(soak(url, run.pid, minutes, given.pages))
        complaints = (folder / "errors.txt").read_text()
    sys.stderr.write(complaints)
    errors = [line for line in complaints.splitlines() if "Error" in line]
    later = times > times[-1] / 2
    resident = np.array([each["resident_mib"] for each in seen])
    rise, error = slope(times[later], resident[later])
    half, end = seen[int(np.argmax(later))], seen[-1]
    frame.emit(
        {
            "benchmark": "soak_explore",
            "what": f"thzjax explore {given.preset}, {given.pages} pages",
            "minutes": minutes,
            **done,
            "most_resident_mib": float(resident.max()),
            "growth_mib_per_minute": rise,
            "growth_standard_error": error,
            **{f"{name}_at_half": value for name, value in half.items()},
            **{f"{name}_at_end": value for name, value in end.items()},
            "errors": len(errors),
            **frame.environment(),
        }
    )


if __name__ == "__main__":
    options = parse()
    frame.pin(options.cores)
    main(options)
