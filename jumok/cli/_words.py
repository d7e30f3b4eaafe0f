"""A command line becomes values by name, as the dataclass of a command's options has them.

    --name VALUE, --name=VALUE     an option; of several times the last counts, with a warning
    --name VALUE VALUE …           a list: all words as far as the next option; several times add up
    --name, --no-name              yes or no
    WORD, -                        an option that stands without a name (`Positional`), in order
    -- WORD …                      what follows has no names, even if it begins with dashes

A dash and an underscore in a name are the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from jumok import config
from jumok.errors import ConfigError

T = TypeVar("T")
WHERE = "command line"
HELP = ("--help", "-h", "--help-all")
OLD_VALUES = ("True", "False", "None")  # what Jumok wrote behind an option before it was a flag: --copy True


class _WithoutName:
    """The mark of an option that stands without a name."""


POSITIONAL = _WithoutName()
Positional = Annotated[T, POSITIONAL]


@dataclass(frozen=True)
class Option:
    """An option as it is typed, and as `--help` shows it.

    Attributes:
        hint: its type.
        kind: the class it is a field of.
        default: MISSING if it must be given.
        section: the name of that class among the command's options; "" for the command's own.
        positional: it stands without a name.
    """

    name: str
    hint: Any
    kind: type
    default: Any
    section: str = ""
    positional: bool = False

    @property
    def is_list(self) -> bool:
        return get_origin(self.hint) is tuple

    @property
    def is_flag(self) -> bool:
        """Whether it is yes or no; or neither, so that the data decide."""
        return bool in (self.hint, *get_args(self.hint))

    @property
    def typed(self) -> str:
        """--beam, or, without a name, MODEL; [FILE] if it may be left out."""
        if not self.positional:
            return f"--{config.flag(self.name)}"
        return self.name.upper() if self.default is MISSING else f"[{self.name.upper()}]"


def options(kind: type) -> dict[str, Option]:
    """All options of a command and of the sections in it, by name; those without a name first."""
    marked = get_type_hints(kind, include_extras=True)
    found = [
        replace(option, positional=not option.section and POSITIONAL in getattr(marked[option.name], "__metadata__", ()))
        for option in _options(kind, "")
    ]
    return {option.name: option for option in found}


def _options(kind: type, section: str) -> Iterator[Option]:
    hints = config.type_hints(kind)
    for f in sorted(fields(kind), key=lambda f: f.kw_only is True):
        if is_dataclass(hints[f.name]):
            yield from _options(hints[f.name], f.name)
        else:
            yield Option(f.name, hints[f.name], kind, f.default, section)


def values(kind: type, arguments: Sequence[str], command: str, warn: Callable[[str], None]) -> dict[str, Any]:
    """The values that are typed, by name.

    Args:
        kind: the dataclass of a command's options.
        command: how it is called, for errors: "jumok translate".
        warn: called with a line where an option is given twice.

    Raises:
        ConfigError: there is no such option, a value is missing or of the wrong type, or there is a word too many.
    """
    known = options(kind)
    found, words, loose = dict[str, Any](), list(arguments), list[str]()
    while words:
        word = words.pop(0)
        if word == "--":
            loose += words
            break
        if _looks_like_an_option(known, word):
            name, value = _named(known, word, words, command)
            if name in found and name == "config":
                raise ConfigError(f"{WHERE}: --config is given twice; it takes one file")
            if name in found and not known[name].is_list:
                warn(f"{known[name].typed} is given twice; the last one counts: {value!r}")
            found[name] = (*found.get(name, ()), *value) if known[name].is_list else value
        else:
            loose.append(word)
    return found | _without_names(known, loose, command)


def _looks_like_an_option(known: Mapping[str, Option], word: str) -> bool:
    """Also where a text editor made a long dash of two."""
    if word[:1] in ("–", "—"):
        return config.field_name(word.lstrip("–—-").partition("=")[0]) in known
    return word.startswith("-") and word != "-" and not _is_number(word)


def so_far(kind: type, arguments: Sequence[str]) -> dict[str, Any]:
    """As `values`, for a line that asks for help: nothing if something is wrong with it."""
    asked = [word for word in arguments if word not in HELP]
    try:
        return values(kind, asked, "", lambda _: None)
    except ConfigError:
        return {}


def help_asked(arguments: Sequence[str]) -> str | None:
    """The word that asks for help, if there is one among the options."""
    named = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return next((word for word in HELP if word in named), None)


def _named(known: Mapping[str, Option], word: str, words: list[str], command: str) -> tuple[str, Any]:
    """Name and value of the option that begins with `word`; takes the words of its value from `words`."""
    typed, equals, joined = word.partition("=")
    name, negative = config.field_name(typed[2:]), False
    if name not in known and name.startswith("no_") and name[3:] in known and known[name[3:]].is_flag:
        name, negative = name[3:], True
    if name not in known or not typed.startswith("--") or known[name].positional:
        raise ConfigError(f"{WHERE}: there is no option {typed}; {_advice(known, typed, command)}")
    option = known[name]
    if option.is_flag:
        if not equals and NoneType in get_args(option.hint) and words and words[0] in OLD_VALUES:
            equals, joined = "=", words.pop(0)
        if equals and (negative or joined not in OLD_VALUES):
            both = f"--{config.flag(name)}, or --no-{config.flag(name)}"
            raise ConfigError(f"{WHERE}: {typed} is {joined!r}; it takes no value: write {both}")
        return name, _read(option, joined) if equals else not negative
    given = [joined] if equals else []
    while words and not equals and not words[0].startswith("--") and (option.is_list or not given):
        given.append(words.pop(0))
    if not given:
        after = words[0] if words and config.field_name(words[0][2:]) not in known else ""
        more = (
            f"a value that begins with dashes is written {typed}={after}" if after else "leave it out, or say what it is to be"
        )
        raise ConfigError(f"{WHERE}: {typed} has no value; {more}")
    return name, tuple(given) if option.is_list else _read(option, given[0])


def _read(option: Option, text: str) -> Any:
    """A text as the type of the option."""
    kinds = get_args(option.hint) or (option.hint,)
    value: Any = None if text == "None" and NoneType in kinds else text
    if bool in kinds:
        value = {"True": True, "False": False}.get(text, value)
    for kind in (int, float):
        if kind in kinds:
            with contextlib.suppress(ValueError, TypeError):
                value = kind(value)
                break
    return config.value_of_type(option.hint, value, option.name, WHERE)


def _without_names(known: Mapping[str, Option], words: Sequence[str], command: str) -> dict[str, Any]:
    """The words that stand without a name, in order; a list takes all that are left."""
    found: dict[str, Any] = {}
    for option in known.values():
        if not option.positional:
            continue
        if words and option.is_list:
            found[option.name], words = tuple(words), ()
        elif words:
            found[option.name], words = _read(option, words[0]), words[1:]
    if words:
        raise ConfigError(
            f"{WHERE}: {words[0]!r} is one word too many; wanted {_usage(known, command)} [options]; "
            "a text with blanks stands in quotes, and a list of words ends with the next option"
        )
    return found


def missing(kind: type, names: Sequence[str], command: str) -> ConfigError:
    """The error for options that must be given and are not."""
    known = options(kind)
    which = " and ".join(known[name].typed for name in names)
    return ConfigError(f"{WHERE}: {which} not given; wanted {_usage(known, command)}; {command} --help says more")


def _usage(known: Mapping[str, Option], command: str) -> str:
    return " ".join([command, *(option.typed for option in known.values() if option.positional)])


def _advice(known: Mapping[str, Option], typed: str, command: str) -> str:
    if (name := config.field_name(typed[2:])) in known and typed.startswith("--"):
        return f"{name.upper()} is given by its place: {_usage(known, command)}"
    if typed[0] in "–—":
        return f"that is a long dash; did you mean --{typed.lstrip('–—-')}?"
    if not typed.startswith("--"):
        return "options begin with two dashes; what begins with a dash and is none stands behind --"
    import difflib

    names = [option.typed for option in known.values() if not option.positional]
    names += [f"--no-{config.flag(option.name)}" for option in known.values() if option.is_flag]
    near = difflib.get_close_matches(typed.replace("_", "-"), names, n=1)
    return f"did you mean {near[0]}?" if near else f"{command} --help-all shows them all"


def _is_number(word: str) -> bool:
    with contextlib.suppress(ValueError):
        float(word)
        return True
    return False
