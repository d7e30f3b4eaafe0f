"""The command line: finds the command, reads its options, calls it.

A command is a file in this folder: `translate.py` holds a dataclass `Translate`, its options, and a function `translate`, which
takes them and the names of those that were given, calls the library, prints, and returns the exit status. That is all: it is
found by its name. Files with a `_` in front are no commands.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import jumok
from jumok import edge
from jumok.errors import ConfigError

FIRST = (
    "train",
    "translate",
    "evaluate",
    "explain",
    "page",
    "align",
    "study",
    "info",
    "quickstart",
)  # in --help; then the others
HELP = ("-h", "--help", "help")

Command = Callable[[Any, Collection[str]], int]


class _Commands(Mapping[str, tuple[type, Command]]):
    """name -> its options and its function; a command's file is imported when it is asked for."""

    def __init__(self) -> None:
        found = {m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")}
        self._names = [*(n for n in FIRST if n in found), *sorted(found.difference(FIRST))]

    def __getitem__(self, name: str) -> tuple[type, Command]:
        if name not in self._names:
            raise KeyError(name)
        module = importlib.import_module(f"jumok.cli.{name}")
        return getattr(module, name.title()), getattr(module, name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


COMMANDS: Mapping[str, tuple[type, Command]] = _Commands()


def prepare(arguments: list[str]) -> None:
    """Imports what the command line asks for, and does nothing else."""
    name = arguments[0] if arguments else "--help"
    for asked in COMMANDS if name in HELP else [name] if name in COMMANDS else []:
        COMMANDS[asked]


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 2 for what the user can mend, 130 for Ctrl-C."""
    return edge.guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in HELP:
        from jumok.cli import _help

        print(_help.overview({name: kind for name, (kind, _) in COMMANDS.items()}))
        return 0
    if name in ("-V", "--version"):
        print(f"jumok {jumok.__version__}")
        return 0
    if name not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(name, COMMANDS, n=1)
        raise ConfigError(
            f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(COMMANDS)}")
        )
    kind, command = COMMANDS[name]
    from jumok.cli import _options, _words

    if word := _words.help_asked(rest):
        from jumok.cli import _help

        default, _ = _options.defaults(kind, _words.so_far(kind, rest))
        print(_help.page(kind, default, everything=word == "--help-all"))
        return 0
    options: Any
    options, given = _options.read(kind, rest)
    return command(options, given)
