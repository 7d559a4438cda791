"""`name=value` overrides of nested frozen dataclasses, and their JSON form."""

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from thzjax.errors import ConfigError
from thzjax.systems.limits import fits, kind_in_words, short

T = TypeVar("T")
Overrides = Mapping[str, Any] | Iterable[str]
"""Options by name with their values, or as `name=value` texts."""


def _fields(config: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted name -> type of every leaf field."""
    hints = typing.get_type_hints(type(config))
    leaves = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            leaves |= _fields(value, f"{prefix}{field.name}.")
        else:
            leaves[prefix + field.name] = hints[field.name]
    return leaves


def _full_name(name: str, known: list[str]) -> str:
    """The dotted name that `name` means: itself, or the one field it ends."""
    if name in known:
        return name
    matches = [k for k in known if k.endswith("." + name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(f"option {name!r} is ambiguous: write one of {', '.join(matches)}")
    near = difflib.get_close_matches(name, [*known, *(k.rsplit(".", 1)[-1] for k in known)], n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "`thzjax info PRESET` lists the options"
    raise ConfigError(f"option {name!r} is unknown: {hint}")


def _parse(name: str, text: str, kind: Any) -> Any:
    """`text` as a value of the field's type; tuples are comma-separated."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if text.lower() == "none" and type(None) in args:
            return None
        return _parse(name, text, next(a for a in args if a is not type(None)))
    if origin is tuple:
        parts = [part for part in text.split(",") if part.strip()]
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_parse(name, part, args[0]) for part in parts)
        if len(parts) != len(args):
            raise ConfigError(f"{name}={text!r} needs {len(args)} comma-separated values, not {len(parts)}")
        return tuple(_parse(name, part, arg) for part, arg in zip(parts, args, strict=True))
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{name}={text!r} must be true or false")
        return text.lower() == "true"
    try:
        value = kind(text.strip())
    except ValueError:
        raise ConfigError(f"{name}={short(repr(text))} is not a {kind.__name__}") from None
    if not fits(value, kind):
        raise ConfigError(f"{name}={short(text)} is too large for {kind_in_words(kind)}")
    return value


def get_field(config: Any, name: str) -> Any:
    """The value of a dotted field."""
    return functools.reduce(getattr, name.split("."), config)


def replace_field(config: T, name: str, value: Any) -> T:
    """`config` with another value of a dotted field."""
    head, _, rest = name.partition(".")
    new = replace_field(getattr(config, head), rest, value) if rest else value
    return dataclasses.replace(config, **{head: new})


def apply_overrides(config: T, assignments: Iterable[str]) -> T:
    """`config` with `name=value` assignments applied; a name may be dotted or, if unambiguous, a field's own.

    Raises:
      ConfigError: unknown or ambiguous name (with the nearest ones), or a value of the wrong kind.
    """
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"override {assignment!r} is not of the form name=value")
        leaves = _fields(config)
        full = _full_name(name.strip(), list(leaves))
        config = replace_field(config, full, _parse(full, text, leaves[full]))
    return config


def as_assignments(overrides: Overrides) -> tuple[str, ...]:
    """`name=value` texts of a mapping such as {"num_users": 3, "surface_shape": (6, 6)}; texts are left as they are."""
    if isinstance(overrides, str):
        return (overrides,)
    if not isinstance(overrides, Mapping):
        return tuple(overrides)

    def text(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)

    return tuple(f"{name}={text(value)}" for name, value in overrides.items())


def to_json(config: Any) -> dict[str, Any]:
    """Nested plain dictionaries; tuples become lists."""
    return dataclasses.asdict(config)


def from_json(default: T, data: dict[str, Any], source: str) -> T:
    """`default` with the values of a JSON object, field by field; tuples are made of lists again.

    Raises:
      ConfigError: a field the configuration does not have, or a value of another kind.
    """
    if not isinstance(data, dict):
        what = type(default).__name__
        raise ConfigError(f"{source} is not a configuration: {short(data)} stands for the options of {what}")
    names, hints = {field.name for field in dataclasses.fields(default)}, typing.get_type_hints(type(default))
    for name in data:
        if name not in names:
            raise ConfigError(
                f"{source}: field {short(repr(name))} is unknown to this version; use the version that wrote it"
            )
    values = {}
    for name, value in data.items():
        current = getattr(default, name)
        if dataclasses.is_dataclass(current):
            values[name] = from_json(current, value, source)
        elif not fits(value, hints[name]):
            wanted = kind_in_words(hints[name])
            raise ConfigError(f"{source} is not a configuration: {name}={short(value)} must be {wanted}")
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(default, **values)


def differences(a: Any, b: Any) -> list[str]:
    """Dotted names whose values differ between two configurations of one type."""
    flat_a, flat_b = flatten(to_json(a)), flatten(to_json(b))
    return sorted(name for name in flat_a.keys() | flat_b.keys() if flat_a.get(name) != flat_b.get(name))


def flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names; tuples become lists."""
    flat = {}
    for name, value in data.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
