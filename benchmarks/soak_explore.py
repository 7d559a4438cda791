"""The explorer under load: pages that are opened, moved and closed, and what its process holds meanwhile.

    python -m benchmarks.soak_explore [paper-a] [--minutes 30] [--pages 4] [--set num_users=3 ...] [--quick]

Pages here are clients that speak the browser's protocol to the server, so no browser is needed. Each move changes one
slider, or puts the users elsewhere, or now and then chooses another size, phase resolution or design; a page is closed
after a while and another opened. One JSON line: resident memory and the slope of it over the second half, by least
squares, with its standard error [MiB a minute]; threads, open files and memory maps at the half and at the end.
"""

import argparse
import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

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


class Client:
    """One page: the document that the server keeps for it, moved from here."""

    def __init__(self, url: str, dice: random.Random) -> None:
        from bokeh.client import pull_session

        self.session, self.dice = pull_session(url=url), dice

    def model(self, name: str) -> Any:
        """A widget or source by name."""
        return self.session.document.get_model_by_name(name)

    def move(self) -> None:
        """Change one thing, and wait until the page has answered."""
        kind = "size" if self.dice.random() < COMPILE else self.dice.choice(["slider", "slider", "users"])
        getattr(self, kind)()
        self.settle()

    def slider(self) -> None:
        """Some slider, anywhere in its range."""
        from bokeh.models import Slider

        slider = self.dice.choice(list(self.session.document.select({"type": Slider})))
        slider.value = self.dice.uniform(slider.start, slider.end)

    def users(self) -> None:
        """Every user a little way off; some of these places are refused."""
        users = self.model("users")
        moved = {key: [x + self.dice.gauss(0, 0.3) for x in users.data[key]] for key in ("x", "y")}
        users.data = {**users.data, **moved}

    def size(self) -> None:
        """Another size, phase resolution or design."""
        widget = self.model(self.dice.choice(["elements", "bits", "method"]))
        if hasattr(widget, "categories"):
            # A browser says where a slider was let go in a property that only it may write.
            chosen = self.dice.choice(list(widget.categories))
            widget.lookup("value_throttled")._set(widget, widget.value_throttled, chosen)
            return
        quick = [name for name in widget.options if name.split("/")[0] in ("mrt", "rzf", "wmmse_sum", "random")]
        widget.value = self.dice.choice(quick)

    def settle(self) -> None:
        """Wait until nothing is under way any more."""
        until = time.monotonic() + SOON_S
        self.session.pull()  # this client overhears what the server sends while it waits for an answer
        while "…" in self.model("status").text:
            if time.monotonic() > until:
                raise SystemExit(f"no answer within {SOON_S:.0f} s: {self.model('status').text}")
            time.sleep(0.2)
            self.session.pull()

    def close(self) -> None:
        """As a tab that is closed."""
        self.session.close()


def soak(
    url: str, process: int, minutes: float, pages: int
) -> tuple[np.ndarray, list[dict[str, float]], dict[str, int]]:
    """(minutes since the start, what was held then, how much was done) of an explorer under load."""
    dice = random.Random(0)
    clients = [Client(url, dice) for _ in range(pages)]
    times, seen, done = [], [], {"moves": 0, "pages": pages}
    begin = looked = time.monotonic()
    while (now := time.monotonic()) - begin < 60 * minutes:
        i = dice.randrange(pages)
        if dice.random() < CLOSE:
            clients[i].close()
            clients[i] = Client(url, dice)
            done["pages"] += 1
        clients[i].move()
        done["moves"] += 1
        time.sleep(PAUSE_S)
        if now - looked > EVERY_S:
            looked = now
            times.append((now - begin) / 60)
            seen.append(held(process))
    for client in clients:
        client.close()
    return np.asarray(times), seen, done


def main(given: argparse.Namespace) -> None:
    """One explorer, loaded and watched."""
    minutes = 2.0 if given.quick else given.minutes
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with explorer(given.preset, given.set, folder) as (run, url):
            times, seen, done = soak(url, run.pid, minutes, given.pages)
        complaints = [line for line in (folder / "errors.txt").read_text().splitlines() if "Error" in line]
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
            "complaints": len(complaints),
            **frame.environment(),
        }
    )


if __name__ == "__main__":
    options = parse()
    frame.pin(options.cores)
    main(options)
