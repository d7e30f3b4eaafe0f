"""What the options of every command have in common, and how a command line and a TOML file become them."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import keyword
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro

from jumok import config, places, toml
from jumok.cli._printing import warn
from jumok.config.fields import value_of
from jumok.errors import ConfigError
from jumok.places import OptionsPath


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
    def usual(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
        """Defaults, by name, that depend on what is asked for: on the command line, or by `values` of a file."""
        return {}


# options of a search that `--help` shows, for commands that have them all
SEARCH = {
    "search": ("beam", "nbest", "length_penalty", "max_length"),
    "what outputs must be like": ("prefix", "forbid", "require", "only", "no_repeat", "unknown"),
    "samples": ("sample", "temperature", "mbr"),
}
Kind = TypeVar("Kind", bound=Options)


def read(kind: type[Kind], arguments: Sequence[str], prog: str) -> tuple[Kind, set[str]]:
    """The options that a command line gives, over those of its `--config`; and the names of all that are given."""
    default, given = defaults(kind, arguments)
    words = toml.without_echoes(_as_fields(_with_values(arguments, kind)), default)
    chosen = _read_typed(kind, words, default)
    if chosen is None:
        chosen = _read_all(kind, words, default, prog)
    for name in toml.given(arguments, kind):
        if config.options(kind)[name].default == value_of(chosen, name) == ():
            raise ConfigError(f"command line: --{config.flag(name)} has no value; leave it out, or say what it is to be")
    options = places.settle(chosen)
    options.check("command line")
    return options, given


def _with_values(arguments: Sequence[str], kind: type[Options]) -> list[str]:
    """The arguments with a value for each yes-or-no option that the data decide where nobody does: `--copy` is `--copy True`."""
    hints = {name: hint for part in _parts(kind) for name, hint in config.type_hints(part).items()}
    named = [config.flag(name) for name, hint in hints.items() if set(get_args(hint)) == {bool, NoneType}]
    full: dict[str, list[str]] = {}
    for name in (*named, *(name.replace("-", "_") for name in named)):
        full |= {
            f"--{name}": [f"--{name}", "True"],
            f"--no-{name}": [f"--{name}", "False"],
            f"--no_{name}": [f"--{name}", "False"],
        }
    words: list[str] = []
    for word, after in zip(arguments, [*arguments, ""][1:], strict=True):
        words += full.get(word, [word]) if after not in ("True", "False", "None") else [word]
    return words


def _parts(kind: type) -> Iterator[type]:
    """A class of options, and those inside it."""
    yield kind
    for hint in config.type_hints(kind).values():
        if dataclasses.is_dataclass(hint):
            yield from _parts(hint)  # type: ignore[arg-type]


def _as_fields(arguments: Sequence[str]) -> list[str]:
    """The arguments with the names of fields where these differ from what is typed: --from is the field `from_`."""
    named = ((word, *word.partition("=")) for word in arguments)
    differing = {f"--{word}": f"--{config.field_name(word)}" for word in keyword.kwlist}
    return [differing[name] + equals + value if name in differing else word for word, name, equals, value in named]


def _read_all(kind: type[Kind], words: Sequence[str], default: Kind | None, prog: str) -> Kind:
    """The options by tyro; it ends the process with a message where something is wrong."""
    usual: Any = tyro.MISSING_NONPROP if default is None else default
    with warnings.catch_warnings():  # warned of: a list from a TOML file in place of a file's name
        warnings.filterwarnings("ignore", message="The field .* is annotated with type")
        return tyro.cli(kind, args=words, prog=prog, config=(tyro.conf.FlagCreatePairsOff,), default=usual)


def _read_typed(kind: type[Kind], words: Sequence[str], default: Kind | None) -> Kind | None:
    """As `_read_all`, in a fraction of the time: tyro is shown the options that are typed, not all that could be.

    None where something may be wrong; `_read_all` has the words for it.
    """
    typed = {config.field_name(word.partition("=")[0][2:]) for word in words if word.startswith("--")}
    typed = {name if name in config.options(kind) else name.removeprefix("no_") for name in typed}
    if not typed <= config.options(kind).keys():
        return None
    shown = dataclasses.make_dataclass("Shown", _shown(kind, default, typed), kw_only=True)
    with contextlib.redirect_stderr(io.StringIO()):  # where it writes in spite of `console_outputs`
        try:
            found: Any = tyro.cli(
                shown, args=words, description="", config=(tyro.conf.FlagCreatePairsOff,), console_outputs=False
            )
        except SystemExit:
            return None
    return _made(kind, default, vars(found))


def _shown(kind: type, default: Any, typed: Collection[str]) -> Iterator[tuple[str, Any, Any]]:
    """Name, type and default of the options that are typed, and of those that stand without a name or must be given."""
    plain, marked = config.type_hints(kind), get_type_hints(kind, include_extras=True)
    for f in dataclasses.fields(kind):
        value = f.default if default is None else getattr(default, f.name)
        marks = getattr(marked[f.name], "__metadata__", ())
        needed = value in (MISSING, tyro.MISSING)
        if dataclasses.is_dataclass(plain[f.name]):  # a section
            if not config.options(plain[f.name]).keys().isdisjoint(typed):
                yield from _shown(plain[f.name], None if default is None else value, typed)
        elif needed or f.name in typed or tyro.conf.Positional in marks:
            # a bare tuple is the same to tyro, and spares it the import of typeguard: 70 ms
            hint = tuple if plain[f.name] == tuple[str, ...] else plain[f.name]
            # what is typed needs a default only where it says which flag there is, --x or --no-x
            asked = needed or (f.name in typed and tyro.conf.Positional not in marks and hint is not bool)
            yield f.name, Annotated[(hint, *marks)] if marks else hint, field() if asked else field(default=value)


def _made(kind: Any, default: Any, found: Mapping[str, Any]) -> Any:
    """The options with the values that were found, and else with those of `default`, or of the class."""
    values = {} if default is None else {f.name: getattr(default, f.name) for f in dataclasses.fields(kind)}
    for name, hint in config.type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            values[name] = _made(hint, values.get(name), found)
        elif name in found:
            values[name] = found[name]
    return kind(**values)


def defaults(kind: type[Kind], arguments: Sequence[str]) -> tuple[Kind | None, set[str]]:
    """What holds where the command line says nothing (None: as the class has it); and the names of all options that are given."""
    path, values, given = toml.defaults(arguments, kind, warn)
    usual = kind.usual(arguments, values)
    if path is None and not usual:
        return None, given
    if path is None:
        return _built(kind, usual, prog_words(kind)), given
    _built(kind, values, path).check(path)
    sections = {name for name, value in values.items() if isinstance(value, dict)}
    flat = {name: value for name, value in values.items() if name not in sections}
    flat |= {name: value for section in sections for name, value in values[section].items()}
    flat = {config.field_name(name): value for name, value in flat.items()}
    if not set(toml.LENGTHS).isdisjoint(flat):
        usual = {name: value for name, value in usual.items() if name not in toml.LENGTHS}
    return _built(kind, usual | flat, path), given


def prog_words(kind: type[Options]) -> str:
    """The command as it is typed."""
    return f"jumok {kind.__name__.lower()}"


def _built(kind: type[Kind], values: Mapping[str, Any], where: str) -> Kind:
    """The options with these values; what must be given and is not, the parser still asks for."""
    hints = config.type_hints(kind)  # type: ignore[arg-type]
    needed = [f.name for f in dataclasses.fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    open_ = [name for name in needed if name not in values]
    filled = {name: _something(hints[name]) for name in open_}
    made = config.build(kind, {**values, **filled}, where)
    return dataclasses.replace(made, **dict.fromkeys(open_, tyro.MISSING))


def _something(hint: Any) -> Any:
    """A value of this type, for an option that the parser still asks for."""
    origin = get_origin(hint)
    return get_args(hint)[0] if origin is Literal else () if origin is tuple else ""
