"""What `jumok --help` and `jumok COMMAND --help` print."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import shutil
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import jumok
from jumok.cli._options import Options, command_of
from jumok.cli._words import Option, options
from jumok.config import flag, value_of
from jumok.places import place_of

LEFT = 26  # columns for an option and what it takes
WIDEST, NARROWEST = 100, 60
CAPITALS = {int: "N", float: "X", str: "TEXT"}
OF_A_PLACE = {
    "pairs": "PAIRS",
    "lines": "FILE",
    "options": "FILE",
    "vectors": "FILE",
    "file": "FILE",
    "model": "FOLDER",
    "folder": "FOLDER",
}


def overview(commands: Mapping[str, type]) -> str:
    """Name, first sentence and first example of each command, from the docstring of its options."""
    title = f"jumok {jumok.__version__}: sequence-to-sequence models with attention"
    lines = [title, "", "usage: jumok COMMAND …   (jumok COMMAND --help)", ""]
    for name, kind in commands.items():
        first, _, example, *_ = _words(kind)
        lines += [f"  {name:<11} {first}", f"  {'':<11}   $ {example}"]
    return "\n".join(lines)


def page(kind: type[Options], default: Options | None, everything: bool) -> str:
    """One command: usage, what it is for, examples, its options in groups, and where to read on.

    Args:
        default: values that hold where the command line says nothing; None: those of the class.
        everything: every option with all that is said about it; else those of its GROUPS, with the first sentence.
    """
    entries = _entries(kind, default)
    short = bool(kind.GROUPS) and not everything
    groups = dict(kind.GROUPS) if short else _sections(entries)
    if short and default is not None:
        shown = {name for names in groups.values() for name in names}
        groups["set otherwise than usual"] = [
            name for name, e in entries.items() if name not in shown and e.default != e.option.default
        ]
    first, _, *examples = _words(kind)
    names = [entry.shown for entry in entries.values() if entry.option.positional]
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size((80, 24)).columns))
    usage = f"usage: {command_of(kind)} {' '.join(names)} [options]".replace("  ", " ")
    lines = [usage, "", *textwrap.wrap(first, width), *(f"  $ {example}" for example in examples)]
    for title, members in ((title, names) for title, names in groups.items() if names):
        lines += ["", title] if title else [""]
        for name in members:
            lines += entries[name].lines(width, short)
    lines += ["", f"{'  --help':<{LEFT}}Show this."]
    if kind.GROUPS:
        lines.append(f"{'  --help-all':<{LEFT}}Show all {len(entries)} options, and all that is said about each.")
    return "\n".join([*lines, "", *textwrap.wrap(f"Read on: {kind.READ_ON}", width)])


@dataclasses.dataclass(frozen=True)
class _Entry:
    """An option with what `--help` says about it, and the value that it has if nobody gives one."""

    option: Option
    default: Any
    meaning: str

    @property
    def shown(self) -> str:
        """PAIRS, [FILE], --beam, or both flags of what the data decide where nobody does."""
        name = flag(self.option.name)
        if self.option.positional:
            return self.option.typed
        if set(get_args(self.option.hint)) == {bool, NoneType}:
            return f"--{name}, --no-{name}"
        return f"--no-{name}" if self.default is True else f"--{name}"

    @property
    def takes(self) -> str:
        """What stands behind its name: N, TEXT, NAME; nothing behind a flag."""
        kinds = [k for k in (get_args(self.option.hint) or (self.option.hint,)) if k is not NoneType]
        if self.option.positional or bool in kinds:
            return ""
        if place := place_of(self.option.kind, self.option.name):
            return OF_A_PLACE[place.kind]
        if self.option.is_list:
            return "TEXT …"
        return "NAME" if self.choices else CAPITALS[kinds[0]]

    @property
    def choices(self) -> list[str]:
        """The names that it can be, where there is a list of them."""
        return [
            c for part in (self.option.hint, *get_args(self.option.hint)) if get_origin(part) is Literal for c in get_args(part)
        ]

    def lines(self, width: int, short: bool) -> list[str]:
        """Name on the left, meaning on the right."""
        left = f"  {self.shown} {self.takes}".rstrip()
        listed = self.choices and self.meaning.startswith(f"{self.choices[0]}: ")  # what each value means
        meaning = self.meaning if listed or not short else _first_sentence(self.meaning)
        more = [] if all(choice in meaning for choice in self.choices) else [", ".join(self.choices)]
        if self.default not in (dataclasses.MISSING, None, "", ()) and not isinstance(self.default, bool):
            more.append(f"default {' '.join(self.default) if isinstance(self.default, tuple) else self.default}")
        meaning = f"{meaning.removesuffix('.')} ({'; '.join(more)})." if more else meaning
        right = textwrap.wrap(meaning, width - LEFT, break_long_words=False, break_on_hyphens=False)
        if len(left) > LEFT - 2:
            return [left, *(" " * LEFT + line for line in right)]
        return [f"{left:<{LEFT}}{right[0]}", *(" " * LEFT + line for line in right[1:])]


def _first_sentence(text: str) -> str:
    """As far as the first full stop outside brackets; or, but for a list of values, the first semicolon."""
    depth = 0
    ends = ". " if ": " in text.partition(";")[0] else ".; "
    for i, c in enumerate(text[:-1]):
        depth += (c == "(") - (c == ")")
        if depth == 0 and c in ends[:-1] and text[i + 1] == " ":
            return text[:i] + "."
    return text


def _entries(kind: type[Options], default: Options | None) -> dict[str, _Entry]:
    """Every option of a command; `default` as in `page`."""
    return {
        name: _Entry(option, option.default if default is None else value_of(default, name), meanings(option.kind)[name])
        for name, option in options(kind).items()
    }


def _sections(entries: Mapping[str, _Entry]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, entry in entries.items():
        found.setdefault(entry.option.section, []).append(name)
    return found


@functools.cache
def meanings(kind: type) -> dict[str, str]:
    """What stands in the docstring under each field of a class and of its bases, on one line.

    From the source, for `python -OO` has no docstrings.
    """
    found: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        if dataclasses.is_dataclass(cls):
            for field, text in pairwise(_definition(cls).body):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                    found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found


def _words(kind: type) -> list[str]:
    """The lines of a class's docstring: what it is for, an empty one, and an example each."""
    return [line.strip() for line in (ast.get_docstring(_definition(kind)) or "").splitlines()]


def _definition(kind: type) -> ast.ClassDef:
    definition = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(definition, ast.ClassDef)
    return definition
