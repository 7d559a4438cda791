"""Parameter sweeps as the command line writes them: `name=start:stop:step` or `name=a,b,c`."""

from collections.abc import Sequence
from decimal import ROUND_UP, Context, Decimal, InvalidOperation

import numpy as np

from thzjax.errors import ConfigError

MOST_POINTS = 200
SNAP = Decimal("1e-3")
"""A point this close to the stop, in steps, is the stop: six digits of a step, 5e-6 of it, over 200 steps."""
HOW = "write NAME=START:STOP:STEP or NAME=A,B,C"


def parse_sweep(text: str) -> tuple[str, tuple[str, ...]]:
    """The swept parameter's name and its values, as text for `apply_overrides([f"{name}={value}"])`.

    Args:
      text: "name=start:stop:step", with the stop included where a step hits it, and a negative step where
        stop < start; or a list "name=0.5,1,2,none", separated by ";" where a value has commas of its own, as in
        "surface_shape=4,4;4,6". A range is computed in decimals: 0.1:0.5:0.1 is 0.1, 0.2, 0.3, 0.4, 0.5.

    Returns:
      (name, values), 2 to `MOST_POINTS` values in the order given.

    Raises:
      ConfigError: not of that form, an impossible range, too few or too many values, or one value twice.
    """
    name, equals, rest = (part.strip() for part in text.partition("="))
    if not equals:
        raise ConfigError(f"sweep {text!r} has no '=': {HOW}")
    if len(name.split()) != 1:
        raise ConfigError(f"sweep {text!r} names no parameter, or several: {HOW}")
    if not rest:
        raise ConfigError(f"sweep {name!r} has no values: {HOW}")
    if ":" in rest and ";" not in rest:
        values = _range(name, rest)
    else:
        values = [value.strip() for value in rest.split(";" if ";" in rest else ",")]
        if "" in values:
            raise ConfigError(f"sweep {name!r} has an empty value: take out the separator that is too many")
        if len(values) > MOST_POINTS:
            raise ConfigError(f"sweep {name!r} has {len(values)} values: list at most {MOST_POINTS}")
    if len(values) < 2:
        raise ConfigError(
            f"sweep {name!r} has the single value {values[0]!r}: give at least 2, or fix it by an override"
        )
    seen: dict[tuple[float | str, ...], str] = {}
    for value in values:
        if (meaning := _meaning(value)) in seen:
            first = seen[meaning]
            twice = f"{value!r} twice" if first == value else f"one value as {first!r} and as {value!r}"
            raise ConfigError(f"sweep {name!r} has {twice}: list it once, and part values that have commas by ';'")
        seen[meaning] = value
    return name, tuple(values)


def axis_values(values: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Where the values of a sweep stand on an axis.

    Args:
      values: as `parse_sweep` returns them, P texts.

    Returns:
      (positions `[P]`, tick labels): the numbers themselves and None where all are finite numbers; otherwise
      0..P-1 and one text each, with "4,6" as "4 x 6" and other tuples as "-30, 30".
    """
    positions = np.array([_number(value) for value in values], dtype=np.float64)
    if np.all(np.isfinite(positions)):
        return positions, None
    return np.arange(len(values), dtype=np.float64), tuple(_label(value) for value in values)


def _range(name: str, text: str) -> list[str]:
    """The points of "start:stop:step"."""
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 3:
        raise ConfigError(f"sweep {name}={text!r} is not a range: write {name}=START:STOP:STEP, or a list with commas")
    start, stop, step = (_decimal(name, part) for part in parts)
    span = stop - start
    if step == 0:
        raise ConfigError(f"sweep {name}={text!r} has a step of 0: write a step that leads from START to STOP")
    if span * step < 0:
        raise ConfigError(
            f"sweep {name}={text!r} steps away from its stop: write {name}={parts[0]}:{parts[1]}:{_plain(-step)}"
        )
    steps = span / step
    if steps + SNAP >= MOST_POINTS:
        least = _plain(Context(prec=2, rounding=ROUND_UP).divide(span, Decimal(MOST_POINTS - 1)))
        raise ConfigError(
            f"sweep {name}={text!r} has more than {MOST_POINTS} points: write {name}={parts[0]}:{parts[1]}:{least}, "
            f"or a longer step"
        )
    points = [start + i * step for i in range(int(steps + SNAP) + 1)]
    if abs(points[-1] - stop) <= SNAP * abs(step):
        points[-1] = stop
    return [_plain(point) for point in points]


def _decimal(name: str, text: str) -> Decimal:
    """A finite decimal that floats can hold."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or (value != 0 and abs(value.adjusted()) > 300):
        raise ConfigError(f"sweep {name!r}: {text!r} is not a number: write {name}=START:STOP:STEP with three numbers")
    return value


def _plain(value: Decimal) -> str:
    """The shortest text, with an exponent only far from 1: an integer is written so that `int` reads it."""
    value = value.normalize() if value else Decimal(0)  # not -0
    return format(value, "f" if -5 <= value.adjusted() <= 15 else "e")


def _number(text: str) -> float:
    """The number a text is, or NaN."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _meaning(value: str) -> tuple[float | str, ...]:
    """What two texts of one value share: 0.5 and .50, or None and none."""
    parts = [part.strip() for part in value.split(",")]
    return tuple(number if np.isfinite(number := _number(part)) else part.lower() for part in parts)


def _label(value: str) -> str:
    """A value as a tick label."""
    parts = [part.strip() for part in value.split(",")]
    if value.lower() == "none":
        return "none"
    return (" x " if all(part.isdecimal() for part in parts) else ", ").join(parts)
