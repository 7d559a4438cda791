"""Values that no sound configuration has, scenarios far from the presets, and what must be true of every refusal."""

import dataclasses
import json
import math

from hypothesis import strategies as st

from thzjax.errors import ConfigError
from thzjax.systems.limits import RANGES

NO_NUMBERS = (math.nan, math.inf, -math.inf)
ODD_NUMBERS = (0, -0.0, -1, 1, 2, 3, 0.5, 1e-300, 1e300, -1e300, 2**31, 2**63, -(2**63), 10**400, 1e-45, 3.5e38)
WRONG_KINDS = (
    None, True, False, "", "abc", "1", "..", "../../x", "a\nb", [], [[]], {}, {"a": 1}, [1], [None], ["x", 3],
)  # fmt: skip
GARBAGE = st.sampled_from((*NO_NUMBERS, *ODD_NUMBERS, *WRONG_KINDS))
# Static: other values are other programs.
STATIC = ("csi_error", "phase_bits", "num_active")


def told_in_one_line(refusal):
    """Every refusal is one line that says something."""
    assert isinstance(refusal, ConfigError)
    text = str(refusal)
    assert text.strip()
    assert "\n" not in text
    assert len(text) < 1000


def within(name, default):
    """Values that a range allows: its ends, what lies about the default by decades, and anything between."""
    low, high = RANGES[name]
    near = [default * 10.0**k for k in range(-6, 7)] if default else [0.0]
    if isinstance(default, int) and not isinstance(default, bool):
        return st.integers(int(low), min(int(high), 2**31 - 1))
    picks = [low, high, *(x for x in near if low <= x <= high)]
    return st.one_of(st.sampled_from(picks), st.floats(low, high))


@st.composite
def changed(draw, base, most=6):
    """A scenario with up to so many of its physical numbers changed, a few of them to what cannot be."""
    fields = {
        field.name: getattr(base, field.name)
        for field in dataclasses.fields(base)
        if field.name in RANGES and field.name not in STATIC and not field.name.startswith(("num_", "user_antennas"))
    }
    changes = {}
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=most, unique=True)):
        default = fields[name]
        parts = default if isinstance(default, tuple) else (default,)
        if draw(st.integers(0, 15)) == 0:
            value = draw(st.sampled_from((*NO_NUMBERS, *ODD_NUMBERS)))
            value = (value, *parts[1:]) if isinstance(default, tuple) else value
        else:
            value = tuple(draw(within(name, part if part is not None else 1.0)) for part in parts)
            value = value if isinstance(default, tuple) else value[0]
        changes[name] = value
    for name in ("user_spread_deg", "ray_spread_deg", "target_deg", "bs_arrival_deg", "bs_departure_deg"):
        if hasattr(base, name) and draw(st.integers(0, 3)) == 0:
            limit = 89.8
            changes[name] = tuple(draw(st.floats(0 if "spread" in name else -limit, limit)) for _ in range(2))
    if hasattr(base, "pattern_targets_deg") and draw(st.integers(0, 3)) == 0:
        changes["pattern_targets_deg"] = tuple(draw(st.lists(st.floats(-90, 90), max_size=4)))
    if draw(st.integers(0, 3)) == 0:
        changes["absorption"] = draw(st.sampled_from(("p676", "simplified", "constant")))
        changes["freq_hz"] = draw(st.floats(1e9, 1e12))
    return dataclasses.replace(base, **changes)


def leaves(data, path=()):
    """(path, value) of everything in a JSON value that is no object or list."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            yield from leaves(value, (*path, i))
    else:
        yield path, data


def replaced(data, path, value):
    """A JSON value with another one at a path."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(data[path[0]], path[1:], value)
    return copy


def removed(data, path):
    """A JSON value without what stands at a path."""
    copy = dict(data) if isinstance(data, dict) else list(data)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = removed(data[path[0]], path[1:])
    return copy


@st.composite
def damaged_json(draw, text):
    """JSON text as bytes, with one or two things wrong: a value, a field, a cut, a bit, or all of it."""
    data = json.loads(text)
    kind = draw(st.sampled_from(("value", "value", "value", "lost", "more", "cut", "bit", "whole")))
    paths = [path for path, _ in leaves(data)]
    if kind == "value":
        for path in draw(st.lists(st.sampled_from(paths), min_size=1, max_size=2)):
            data = replaced(data, path, draw(GARBAGE))
        return dumped(data)
    if kind == "lost":
        return dumped(removed(data, draw(st.sampled_from(paths))))
    if kind == "more" and isinstance(data, dict):
        return dumped(data | {draw(st.text(max_size=5)): draw(GARBAGE)})
    if kind == "whole":
        deep = (
            "[" * 100_000,
            '{"a":' * 50_000,
            "9" * 5000,
            "NaN",
            '"\\ud800"',
            "null",
            "[]",
            "{}",
            "",
            "\ufeff{}",
            "1e999",
        )
        return draw(st.sampled_from(deep)).encode("utf-8", "surrogatepass")
    raw = text.encode()
    if kind == "bit":
        return flipped(raw, draw(st.integers(0, len(raw) - 1)), draw(st.integers(0, 7)))
    return raw[: draw(st.integers(0, len(raw) - 1))]


def dumped(data):
    """JSON as Python writes it, with NaN and infinity where they are."""
    return json.dumps(data).encode()


def flipped(raw, at, bit):
    """Bytes with one bit turned."""
    return raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :]


def sixteenths(raw):
    """Bytes cut at every sixteenth of their length."""
    return [raw[: len(raw) * i // 16] for i in range(16)]
