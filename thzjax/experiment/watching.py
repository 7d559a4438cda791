"""A run as lines of text for whoever watches it from another terminal."""

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path

from thzjax.experiment.progress import describe, in_words
from thzjax.experiment.runs import INTERRUPTED, NOT_BEGUN, RUNNING, UNREADABLE, RunState, pooled

BLOCKS = "▁▂▃▄▅▆▇█"
SHOWN = 12
"""Runs of a group that have a line each; of more the rest is counted."""
HANGING = 15


def sparkline(values: Sequence[float], width: int) -> str:
    """Values as blocks from the lowest to the highest, at most so many; of more, each is the mean of its share."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    edges = [i * len(values) // count for i in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((mean - low) * scale)] for mean in means)


def bar(done: int, total: int, width: int) -> str:
    """A bar of so many characters, filled as far as done."""
    filled = round(width * min(done / total, 1.0)) if total else 0
    return "█" * filled + "░" * (width - filled)


def _large(count: float) -> str:
    """2.048 M, 153.6 k, 640."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.4g}{unit}"
    return f"{count:.0f}"


def headline(state: RunState) -> str:
    """What it is, and how it stands."""
    if state.state == UNREADABLE:
        return f"{state.folder}: {state.why}"
    who = f" ({state.why})" if state.why else ""
    return (
        f"{state.folder}: {state.agent}, policy {state.policy}, on {state.preset}, seed {state.seed}: "
        f"{state.state}{who}"
    )


def share(state: RunState) -> str:
    """How far it is, how fast it goes, and how long it still takes."""
    parts = [f"{state.record} of {state.records} records", f"{_large(state.env_steps)} of {_large(state.steps)} steps"]
    if state.state == RUNNING and state.steps_per_second:
        parts.append(f"{_large(state.steps_per_second)} steps/s")
    if state.seconds_left is not None:
        parts.append(f"{in_words(state.seconds_left)} left")
    return ", ".join(parts)


def one_line(states: Sequence[RunState]) -> str:
    """Runs in one line, the means of several, for a log."""
    state = pooled(states)
    if not state.metrics:
        return headline(state)
    return f"{100 * state.record / state.records:3.0f} %  {describe(state.metrics)}, {share(state)}"


def view(folder: Path, states: Sequence[RunState], width: int = 80) -> list[str]:
    """Runs as lines of at most `width` characters (40 at least), but for the names of folders.

    Progress, the learning curve, means while training, who violates, what the multipliers did, and how to go on with
    what was interrupted; of several runs their means, and a line for each.
    """
    width = max(width, 40)
    state = pooled(states)
    several = len(states) > 1
    lines = [f"{folder}: {len(states)} runs side by side, their means"] if several else [headline(state)]
    if state.state == UNREADABLE:
        return [headline(each) for each in states]
    room = max(width - HANGING, 10)
    percent = f"{100 * state.record / state.records:3.0f} %"
    lines += [f"{bar(state.record, state.records, room)} {percent}", share(state)]
    if state.metrics:
        lines += ["", *_curve(state, width), *_measures(state, width)]
    if several:
        lines += ["", *_each(states, width)]
    if state.state in (INTERRUPTED, NOT_BEGUN):
        lines += ["", f"go on with: thzjax train --resume {folder}"]
    return lines


def _field(name: str, text: str, width: int) -> list[str]:
    hanging = " " * HANGING
    return textwrap.wrap(f"{name:{HANGING}s}{text}", width, subsequent_indent=hanging, drop_whitespace=True)


def _curve(state: RunState, width: int) -> list[str]:
    rate = f"{state.curve[-1]:.3f} bit/s/Hz on the validation channels, best {max(state.curve):.3f}"
    lines = _field("feasible rate", rate, width)
    drawn = " " * HANGING + sparkline(state.curve, max(width - HANGING, 10))
    return [*lines, drawn] if len(state.curve) > 1 else lines


def _measures(state: RunState, width: int) -> list[str]:
    m, lines = state.metrics, []
    named = {"return": "episode_return", "sum rate": "sum_rate", "pattern error": "pattern_error"}
    if training := [f"{label} {m[name]:.2f}" for label, name in named.items() if name in m]:
        lines += _field("in training", ", ".join(training), width)
    if "validation/violation_rate" in m:
        before, after = (100 * m.get(f"validation/violation_rate{kind}", 0.0) for kind in ("", "_feasible"))
        text = f"{before:.1f} % of the channels as designed, {after:.1f} % after scaling"
        lines += _field("violating", text, width)
    prices = [f"{name[3:]} {value:.2f}" for name, value in m.items() if name.startswith("mu/") and value >= 0.005]
    prices += [f"lambda {m['lambda_mean']:.2f}"] if "lambda_mean" in m else []
    return lines + (_field("multipliers", ", ".join(prices), width) if prices else [])


def _each(states: Sequence[RunState], width: int) -> list[str]:
    shown = states[:SHOWN]
    longest = max(len(state.folder.name) for state in shown)
    lines = []
    for state in shown:
        head = f"{state.folder.name:{longest}s} {state.state:11s}"
        if state.curve:
            head += f" {100 * state.record / state.records:3.0f} %  {state.curve[-1]:7.3f}  "
            head += sparkline(state.curve, max(width - len(head), 0))
        lines.append(head.rstrip())
    return lines + ([f"and {len(states) - SHOWN} more"] if len(states) > SHOWN else [])
