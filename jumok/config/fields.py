"""What options a config class has: names, types and values, also of the classes inside it."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any
from typing import get_type_hints as _evaluate


@functools.cache
def type_hints(cls: type) -> dict[str, Any]:
    """The types of a config class's fields; evaluated once, since `translate` checks its options at every call."""
    return _evaluate(cls)


def options(cls: type) -> dict[str, dataclasses.Field]:
    """All options of a config class and of the classes inside it, by name."""
    fields: dict[str, dataclasses.Field] = {}
    hints = type_hints(cls)
    for f in dataclasses.fields(cls):
        inner: Any = hints[f.name]
        fields |= options(inner) if isinstance(inner, type) and dataclasses.is_dataclass(inner) else {f.name: f}
    return fields


def value_of(config: Any, name: str) -> Any:
    """The value of an option, wherever in the config it stands. KeyError if there is none of this name."""
    for f in dataclasses.fields(config):
        v = getattr(config, f.name)
        if f.name == name:
            return v
        if dataclasses.is_dataclass(v) and name in options(type(v)):
            return value_of(v, name)
    raise KeyError(name)


def to_dict(config: Any) -> dict[str, Any]:
    """The config as plain nested dicts, for JSON."""
    return dataclasses.asdict(config)
