"""Live progress on a terminal; a line now and then where there is none."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

SECONDS_BETWEEN_LINES = 10.0


def in_words(seconds: float) -> str:
    """A duration as precise as anyone wants to know it: 45 s, 12 min, 3 h 20 min, 5 days."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 72 else f"{hours / 24:.0f} days"


def paced(
    say: Callable[[str], None], total: int, unit: str = "", every_s: float = 0.0, shares: Sequence[float] | None = None
) -> Callable[[str, int], None]:
    """`tell(text, done)`: a text with how much is done, how fast, and how long the rest takes if it goes on so.

    The clock starts with this call.

    Args:
      say: takes the lines.
      total: how much there is to do.
      unit: what is counted, for its rate; without it no rate is said.
      every_s: nothing is said sooner after the last line, or after the start, than this.
      shares: of the time that each takes, in any unit; all alike by default.
    """
    begin = last = time.monotonic()

    def tell(text: str, done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < every_s:
            return
        last, taken = now, now - begin
        parts = [f"{done} of {total}{unit and ' ' + unit}"]
        if done and taken > 0:
            rate = done / taken
            parts += [f"{rate:{',.0f' if rate >= 100 else '.3g'}} {unit}/s"] if unit else []
            ahead = (total - done) / done if shares is None else sum(shares[done:]) / sum(shares[:done])
            parts += [f"{in_words(taken * ahead)} left"] if done < total else []
        say(f"{text} ({', '.join(parts)})")

    return tell


def describe(metrics: dict[str, Any]) -> str:
    """The numbers worth watching, on one line; those that a record lacks are left out, as the untrained policy's."""
    named = {"return": "episode_return", "sum rate": "sum_rate", "pattern error": "pattern_error"}
    parts = [f"{label} {metrics[name]:.2f}" for label, name in named.items() if name in metrics]
    parts += [f"{name} {value:.2f}" for name, value in metrics.items() if name.startswith("mu/") and value >= 0.005]
    parts += [f"lambda {metrics['lambda_mean']:.2f}"] if "lambda_mean" in metrics else []
    return ", ".join([*parts, f"feasible {metrics['validation/rate_feasible']:.3f}"])


class TrainingProgress:
    """Episode return, sum rate, beam-pattern error, multipliers, environment steps/s and time left."""

    def __init__(self) -> None:
        self._bar = None
        self._last = 0.0

    def start(self, config: Any, done: int, runs: int = 1) -> None:
        """Begin at record `done` of the run, or of several runs side by side, whose means are shown."""
        self._total = config.records
        if not sys.stderr.isatty():
            many = f" of {runs} runs side by side" if runs > 1 else ""
            print(f"compiling, then {config.records - done} of {config.records} records{many} to go", file=sys.stderr)
            return
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            TextColumn("{task.fields[rate]}"),
        )
        self._task = self._bar.add_task("", total=config.records, completed=done, rate="compiling")
        # The numbers stand below the bar: beside it they would push it off a narrow terminal.
        self._live = Live(self._bar, console=Console(stderr=True), refresh_per_second=4)
        self._live.start()

    def update(self, record: int, metrics: dict[str, Any], steps_per_second: float, seconds_left: float) -> None:
        """Show one record."""
        rate = f"{steps_per_second / 1000:.1f} k steps/s"
        if self._bar:
            from rich.console import Group

            self._bar.update(self._task, completed=record, rate=rate)
            self._live.update(Group(self._bar, describe(metrics)))
            return
        now = time.monotonic()
        if now - self._last > SECONDS_BETWEEN_LINES or record == self._total:
            self._last = now
            share = f"{100 * record / self._total:3.0f} %"
            print(f"{share}  {describe(metrics)}, {rate}, {in_words(seconds_left)} left", file=sys.stderr)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._bar:
            self._live.stop()
            self._bar = None


class Several:
    """Several that follow a run's progress, as one."""

    def __init__(self, followers: Sequence[Any]) -> None:
        self._followers = followers

    def start(self, config: Any, done: int, runs: int = 1) -> None:
        """Begin, all of them."""
        for follower in self._followers:
            follower.start(config, done, runs)

    def update(self, *record: Any) -> None:
        """One record to all of them."""
        for follower in self._followers:
            follower.update(*record)

    def stop(self) -> None:
        """End, the last one first."""
        for follower in reversed(self._followers):
            follower.stop()
