"""Live progress on a terminal; a line now and then where there is none."""

import sys
import time
from typing import Any

SECONDS_BETWEEN_LINES = 10.0


def describe(metrics: dict[str, Any]) -> str:
    """The numbers worth watching, on one line."""
    parts = [f"return {metrics['episode_return']:.2f}", f"sum rate {metrics['sum_rate']:.2f}"]
    if "pattern_error" in metrics:
        parts.append(f"pattern error {metrics['pattern_error']:.2f}")
    parts += [f"{name} {value:.2f}" for name, value in metrics.items() if name.startswith("mu/") and value >= 0.005]
    parts += [f"lambda {metrics['lambda_mean']:.2f}", f"feasible {metrics['validation/rate_feasible']:.3f}"]
    return ", ".join(parts)


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
            print(f"{share}  {describe(metrics)}, {rate}, {seconds_left:.0f} s left", file=sys.stderr)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._bar:
            self._live.stop()
            self._bar = None
