"""The lists that options name, of whole outputs or of words: from a file, or given as they are."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from jumok.config import SearchConfig
from jumok.errors import ConfigError, DataError
from jumok.text.lines import read_lines, source_name


def stamp(options: SearchConfig) -> tuple[tuple[int, int] | None, ...]:
    """Time and size of the files that the options name, which tell whether a file is the same as before.

    A pipe has none: its time changes while it is written, and it cannot be read again.
    """
    found: list[tuple[int, int] | None] = []
    for file in (options.only, options.only_words):
        try:
            facts = os.stat(file) if isinstance(file, str) and file else None
        except OSError:
            facts = None
        found.append(None if facts is None or not stat.S_ISREG(facts.st_mode) else (facts.st_mtime_ns, facts.st_size))
    return tuple(found)


def read_once(options: SearchConfig) -> SearchConfig:
    """The options with the entries of their lists in place of the files, for several searches: a pipe cannot be read twice.

    Raises:
        ConfigError, DataError: as from `entries_of`.
    """
    lists: dict[str, Any] = {
        name: tuple(entries_of(name, getattr(options, name))[0]) for name in ("only", "only_words") if getattr(options, name)
    }
    return replace(options, **lists)


def entries_of(option: str, given: str | Sequence[str]) -> tuple[list[str], str]:
    """The entries of a list that an option gives, and what it is called in messages.

    Raises:
        ConfigError: there are none.
        DataError: a line is no text, or has more than one column.
    """
    where = source_name(given) if isinstance(given, str) else option
    entries = list(dict.fromkeys(_lines(given, where) if isinstance(given, str) else given))
    if not entries:
        raise ConfigError(f"{where}: the list of {option} is empty; wanted a text a line")
    return entries, where


def _lines(file: str, where: str) -> Iterator[str]:
    for line in read_lines(file, warn=lambda _: None):
        if line.text is None:
            raise DataError(f"{where}:{line.number}: {line.problem}")
        if "\t" in line.text:
            raise DataError(f"{where}:{line.number}: the line has a TAB; wanted one text a line; for column 2 alone: cut -f2")
        if line.text.strip():
            yield line.text
