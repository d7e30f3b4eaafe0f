"""What the options of every command have in common, and how they come from a command line over a TOML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin

from jumok import config, places, toml
from jumok.cli import _words
from jumok.cli._printing import warn
from jumok.cli._words import Positional
from jumok.places import OptionsPath

__all__ = ["SEARCH", "Options", "Positional"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of each command's options.

    Attributes:
        GROUPS: title -> names of the options that `--help` shows under it; the others come with `--help-all`. Empty: all are shown.
        READ_ON: pages that say more.
    """

    GROUPS: ClassVar[Mapping[str, Sequence[str]]] = {}
    READ_ON: ClassVar[str] = "docs/commands.md"

    config: OptionsPath = ""
    """TOML file with any of these options but this one, by name; what stands on the command line goes over it."""

    def check(self, where: str) -> None:
        """ConfigError if values or their combination cannot be; `where` names the command line or the file."""

    @classmethod
    def usual(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Defaults, by name, that depend on what is asked for: `values` of a file, or typed."""
        return {}


# options of a search that `--help` shows, for commands that have them all
SEARCH = {
    "search": ("beam", "nbest", "length_penalty", "max_length"),
    "what outputs must be like": ("prefix", "forbid", "require", "only", "no_repeat", "unknown"),
    "samples": ("sample", "temperature", "mbr"),
}
RANKING = {"length_penalty", "length_norm", "coverage_penalty"}  # options of a search with a beam
Kind = TypeVar("Kind", bound=Options)


def read(kind: type[Kind], arguments: Sequence[str]) -> tuple[Kind, set[str]]:
    """The options that a command line gives, over those of its `--config`; and the names of all that are given.

    Raises:
        ConfigError: something is wrong with them, or missing.
    """
    command = command_of(kind)
    typed = _words.values(kind, arguments, command, warn)
    default, given = defaults(kind, typed)
    chosen = _made(kind, default, typed)
    if open_ := [f.name for f in dataclasses.fields(kind) if getattr(chosen, f.name) is MISSING]:
        raise _words.missing(kind, open_, command)
    options = places.settle(chosen)
    options.check("command line")
    search = getattr(options, "search", None)
    if isinstance(search, config.SearchConfig) and search.beam == 1:
        for name in sorted(given & RANKING):
            warn(
                f"--{config.flag(name)} has no effect on what is written: it ranks the hypotheses of a --beam; give --beam 5, say"
            )
    return options, given


def _made(kind: Any, default: Any, typed: Mapping[str, Any]) -> Any:
    """The options with the values that are typed, and else with those of `default`, or of the class; MISSING where there is none."""
    values = {}
    for f in dataclasses.fields(kind):
        hint = config.type_hints(kind)[f.name]
        value = getattr(default, f.name, MISSING)
        if dataclasses.is_dataclass(hint):
            values[f.name] = _made(hint, None if value is MISSING else value, typed)
        elif f.name in typed:
            values[f.name] = typed[f.name]
        elif value is not MISSING or f.default is f.default_factory is MISSING:
            values[f.name] = value
    return kind(**values)


def defaults(kind: type[Kind], typed: Mapping[str, Any]) -> tuple[Kind | None, set[str]]:
    """What holds where nothing is typed (None: as the class has it); and the names of all options that are given."""
    path, values, given = toml.defaults(typed, warn)
    usual = kind.usual({**values, **typed})
    if path is None and not usual:
        return None, given
    if path is None:
        return _built(kind, usual, command_of(kind)), given
    _built(kind, values, path).check(path)
    sections = {name for name, value in values.items() if isinstance(value, dict)}
    flat = {name: value for name, value in values.items() if name not in sections}
    flat |= {name: value for section in sections for name, value in values[section].items()}
    flat = {config.field_name(name): value for name, value in flat.items()}
    if not set(toml.LENGTHS).isdisjoint(flat):
        usual = {name: value for name, value in usual.items() if name not in toml.LENGTHS}
    return _built(kind, usual | flat, path), given


def command_of(kind: type[Options]) -> str:
    """The command as it is called."""
    return f"jumok {kind.__name__.lower()}"


def _built(kind: type[Kind], values: Mapping[str, Any], where: str) -> Kind:
    """The options with these values; MISSING for what must be given and is not, which may be typed."""
    hints = config.type_hints(kind)  # type: ignore[arg-type]
    needed = [f.name for f in dataclasses.fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    open_ = [name for name in needed if name not in values]
    filled = {name: _something(hints[name]) for name in open_}
    made = config.build(kind, {**values, **filled}, where)
    return dataclasses.replace(made, **dict.fromkeys(open_, MISSING))  # type: ignore[arg-type]


def _something(hint: Any) -> Any:
    """A value of this type, for an option that may still be typed."""
    origin = get_origin(hint)
    return get_args(hint)[0] if origin is Literal else () if origin is tuple else ""
