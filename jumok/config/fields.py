"""What options a config class has: names, types and values, also of the classes inside it."""

from __future__ import annotations

import dataclasses
import functools
import keyword
from collections.abc import Mapping
from typing import Any
from typing import get_type_hints as _evaluate


def flag(name: str) -> str:
    """A field's name as it is typed behind the dashes: bpe_size -> bpe-size, from_ -> from."""
    return name.rstrip("_").replace("_", "-")


def field_name(flag: str) -> str:
    """The way back: the field of an option that was typed, or stands in a file; also where that has underscores."""
    name = flag.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


@functools.cache
def type_hints(cls: type) -> dict[str, Any]:
    """The types of a config class's fields; evaluated once, since `translate` checks its options at every call."""
    return _evaluate(cls)


def options(cls: type) -> Mapping[str, dataclasses.Field]:
    """All options of a config class and of the classes inside it, by name."""
    return _options(cls)


@functools.cache
def _options(cls: type) -> Mapping[str, dataclasses.Field]:
    fields: dict[str, dataclasses.Field] = {}
    hints = type_hints(cls)
    for f in dataclasses.fields(cls):
        inner: Any = hints[f.name]
        fields |= options(inner) if isinstance(inner, type) and dataclasses.is_dataclass(inner) else {f.name: f}
    return fields


def value_of(config: Any, name: str) -> Any:
    """The value of an option, wherever in the config it stands. KeyError if there is none of this name.

    A class inside the config is no option, whatever its field is called: `jumok study` has a `model`, a folder, and in it
    stands another `model`, the sizes of networks.
    """
    for f in dataclasses.fields(config):
        v = getattr(config, f.name)
        if not dataclasses.is_dataclass(v):
            if f.name == name:
                return v
        elif name in options(type(v)):
            return value_of(v, name)
    raise KeyError(name)


def to_dict(config: Any) -> dict[str, Any]:
    """The config as plain nested dicts, for JSON."""
    return dataclasses.asdict(config)
