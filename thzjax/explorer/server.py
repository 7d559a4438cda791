"""Hands out pages to browsers on this machine, and to nobody else.

The server listens on the loopback address alone. It answers only requests whose Host header names that address, which
a foreign page whose name was rebound to it does not, and opens websockets only for its own origin. A page has its own
document; it is forgotten a few seconds after its tab is closed.
"""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import socket
import webbrowser
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.models import Div
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.routing import HostMatches, Rule, RuleRouter

from thzjax.errors import ConfigError
from thzjax.experiment.explore_numbers import Explorer
from thzjax.explorer import markup
from thzjax.explorer.page import Run, Work, show_on

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
PORT = 5006
MOST_PAGES = 16
LARGEST_MESSAGE = 1 << 20
"""Bytes; what a page sends are numbers and places."""
UNUSED_MS, CHECK_MS = 5000, 3000
"""A page without a connection is forgotten after so long, looked for so often."""
log = logging.getLogger(__name__)


def bind(port: int | None = None) -> list[socket.socket]:
    """Sockets on the loopback address: of the given port, or of `PORT` or, where that is taken, of a free one.

    Raises:
      ConfigError: the port is taken or cannot be used.
    """
    if port is not None and not 1 <= port <= 65535:
        raise ConfigError(f"port={port} must lie in 1..65535")
    for wanted in (port,) if port is not None else (PORT, 0):
        try:
            listening = socket.create_server((HOST, wanted), backlog=128)
        except OSError as error:
            refusal = os.strerror(error.errno) if error.errno else str(error)
        else:
            listening.setblocking(False)
            return [listening]
    raise ConfigError(f"port {wanted} of {HOST} cannot be used ({refusal}): give another --port, or none")


def in_background(document: Document, pool: ThreadPoolExecutor) -> Run:
    """A `Run` that works in another thread and comes back on the document's own."""

    def run(work: Work, done: Callable[[Any], None]) -> None:
        def job() -> None:
            try:
                result = work()
            except ConfigError as refusal:
                result = refusal
            except Exception as error:  # a page must say so and not wait for ever
                log.exception("the explorer failed on a state")
                result = ConfigError(f"this failed: {type(error).__name__}; the terminal has the details")
            # The page may have gone meanwhile.
            with contextlib.suppress(RuntimeError):
                document.add_next_tick_callback(functools.partial(done, result))

        pool.submit(job)

    return run


def application(explorer: Explorer, pool: ThreadPoolExecutor, pages: Callable[[], int]) -> Application:
    """What fills a new document; beyond `MOST_PAGES` pages it says that there are too many."""

    def fill(document: Document) -> None:
        if pages() >= MOST_PAGES:
            text = f"{MOST_PAGES} pages are open already: close some, wait a few seconds and load this one again"
            document.add_root(Div(text=markup.status("refused", text), width=900))
            return
        show_on(document, explorer, in_background(document, pool))
        document.on_session_destroyed(collect_soon)

    return Application(FunctionHandler(fill))


def collect_soon(context: Any) -> None:
    """Free a page that has gone: a document is a web of cycles, which would pile up until Python looks for them."""
    del context
    IOLoop.current().add_callback(gc.collect)


@contextlib.asynccontextmanager
async def serving(explorer: Explorer, sockets: list[socket.socket]) -> AsyncIterator[BaseServer]:
    """Serve pages on bound sockets as long as the context lasts."""
    port = sockets[0].getsockname()[1]
    pool = ThreadPoolExecutor(1, thread_name_prefix="thzjax-explore")
    served: list[BaseServer] = []
    app = BokehTornado(
        {"/": application(explorer, pool, lambda: len(served[0].get_sessions("/")))},
        extra_websocket_origins=[f"{name}:{port}" for name in NAMES],
        websocket_max_message_size_bytes=LARGEST_MESSAGE,
        unused_session_lifetime_milliseconds=UNUSED_MS,
        check_unused_sessions_milliseconds=CHECK_MS,
        include_headers=[],  # nothing of a request is kept in a page's token
        include_cookies=[],
    )
    own = "|".join(name.replace(".", r"\.") for name in NAMES)
    http = HTTPServer(RuleRouter([Rule(HostMatches(f"^({own})$"), app)]))
    http.add_sockets(sockets)
    server = BaseServer(IOLoop.current(), app, http)
    served.append(server)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        await http.close_all_connections()
        pool.shutdown(wait=False, cancel_futures=True)


def serve(explorer: Explorer, sockets: list[socket.socket], browser: bool, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, which is raised again.

    Args:
      explorer: what pages look at; what it starts with must have been looked at.
      sockets: from `bind`.
      browser: open one.
      say: told the address.
    """
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    url = f"http://{HOST}:{sockets[0].getsockname()[1]}/"

    async def until_stopped() -> None:
        async with serving(explorer, sockets):
            say(url)
            if browser:
                # In a thread: a browser that runs in the terminal would hold the page that it loads.
                await asyncio.to_thread(webbrowser.open, url)
            await asyncio.Event().wait()

    asyncio.run(until_stopped())
