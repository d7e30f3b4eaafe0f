"""Builds a config from values by name, as they come from TOML, JSON and keyword arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from jumok.config.checking import check
from jumok.config.fields import field_name, options, type_hints
from jumok.errors import ConfigError
from jumok.places import expanded, takes_list

Config = TypeVar("Config")
_IN_WORDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def build(cls: type[Config], values: dict[str, Any], where: str) -> Config:
    """Builds a config from flat or nested names.

    Args:
        cls: the config class.
        values: {"attention": "dot", …} or {"model": {"attention": "dot"}, …}, as from TOML, JSON or keyword arguments.
        where: the source of the values, for errors: a file, "the command line", "jumok.train".

    Raises:
        ConfigError: an unknown name, or a value that is not possible; says what was wanted.
    """
    known = options(cls)
    sections = {f.name for f in dataclasses.fields(cls) if f.name not in known}  # type: ignore[arg-type]
    flat: dict[str, Any] = {}
    for name, value in values.items():
        section = isinstance(value, dict) and field_name(name) not in known
        if section and name not in sections:
            near = _near(name, sections)
            wanted = f"did you mean [{near[0]}]?" if near else f"there are {', '.join(f'[{s}]' for s in sorted(sections))}"
            raise ConfigError(f"{where}: there is no section [{name}]" + (f"; {wanted}" if sections else ""))
        for option, chosen in (value if section else {name: value}).items():
            if field_name(option) in flat:
                raise ConfigError(f"{where}: {option} is given twice; give it once")
            flat[field_name(option)] = chosen
    for name in flat:
        if name not in known:
            near = _near(name, known)
            raise ConfigError(f"{where}: there is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return check(expanded(_fill(cls, flat, where)), where)


def _near(name: str, names: Iterable[str]) -> list[str]:
    """The name that is most like this one, if one is."""
    import difflib  # which few processes need

    return difflib.get_close_matches(name, names, n=1)


def build_often(cls: type[Config], values: dict[str, Any], where: str) -> Config:
    """As `build`, for calls that come with the same values again and again: these are checked once."""
    key: Any = (cls, where, *((name, type(value), value) for name, value in values.items()))
    try:
        return _kept(*key)
    except TypeError:  # a list among the values, which is not kept
        return build(cls, values, where)


@lru_cache(64)
def _kept(cls: Any, where: str, *values: tuple[str, type, Any]) -> Any:
    return build(cls, {name: value for name, _, value in values}, where)


def _fill(cls: type[Config], flat: dict[str, Any], where: str) -> Config:
    made = {}
    for name, hint in type_hints(cls).items():  # type: ignore[arg-type]
        if dataclasses.is_dataclass(hint):
            made[name] = _fill(hint, flat, where)  # type: ignore[arg-type]
        elif name in flat:
            given = plain(flat[name])
            several = isinstance(given, list | tuple) and takes_list(cls, name)
            made[name] = value_of_type(tuple[str, ...] if several else hint, given, name, where)
            if several and not made[name]:
                raise ConfigError(f"{where}: {name} is an empty list; wanted a file, or one text or more")
    return cls(**made)


def plain(value: Any) -> Any:
    """NumPy's numbers, texts and arrays as Python's own; all else as it is."""
    return value.tolist() if type(value).__module__ == "numpy" and hasattr(value, "tolist") else value


def value_of_type(hint: Any, value: Any, name: str, where: str) -> Any:
    """`value` as an option `name` of the type `hint` has it. ConfigError if it cannot be."""
    if hint == int | str:  # a number, or several
        return _numbers(value, name, where)
    choices, names = _choices(hint)
    if names:  # a Literal, maybe optional
        if value in names or (value is None and type(None) in choices):
            return value
        raise ConfigError(f"{where}: {name} is {value!r}; it can be {', '.join(names)}")
    if value is None and type(None) in choices:
        return None
    if get_origin(hint) is tuple:
        if isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
            return tuple(map(str, value))
        raise ConfigError(f"{where}: {name} is {value!r}; it must be a list of texts")
    if float in choices and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if str in choices and isinstance(value, Path):
        return str(value)
    for kind in (bool, int, float, str):
        if kind in choices and type(value) is kind:
            return value
    wanted = " or ".join(_IN_WORDS.get(c, str(c)) for c in choices if c is not type(None))
    raise ConfigError(f"{where}: {name} is {value!r}; it must be {wanted}")


@cache
def _choices(hint: Any) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The types that an option of this type can have, and the words that it can be."""
    choices = tuple(c for part in (get_args(hint) or (hint,)) for c in (get_args(part) or (part,)))
    return choices, tuple(c for c in choices if isinstance(c, str))


def _numbers(value: Any, name: str, where: str) -> int | str:
    """3, "1,4", (1, 4) -> 3, "1,4", "1,4"."""
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    if type(value) not in (int, str, list, tuple) or not parts or not all(_is_number(part) for part in parts):
        raise ConfigError(f"{where}: {name} is {value!r}; it must be a number, or several with a comma between two: 1,4")
    return ",".join(str(int(part)) for part in parts) if len(parts) > 1 else int(parts[0])


def _is_number(part: Any) -> bool:
    return type(part) is int or (isinstance(part, str) and part.strip().isascii() and part.strip().isdecimal())
