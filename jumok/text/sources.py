"""Sources to translate: lines, a table or JSON Lines, told apart by rules that hold line by line; one `Source` for every line.

The first line that is not blank decides what a file or a stream is:

- JSON Lines: by its name (as for pairs), or if that line is an object with "source".
- A table: if that line has a TAB. Its columns are the model's own, as in its training pairs. A model with features also takes
  SOURCE, TAB, FEATURES: a line with two columns is that, one with more is of a table.
- Otherwise lines of text. To a model that learned TABs from its sources every line is text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jumok.config import TextConfig
from jumok.errors import DataError
from jumok.text.lines import Line, arriving_lines, source_name
from jumok.text.oddities import Oddities
from jumok.text.pairs import TOLD_ONE_BY_ONE, check_separator, features_in, is_json, json_features, json_object, json_string

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One line to translate. `where` is "file:line"; a line that cannot be used is an empty text, with its `problem`."""

    text: str
    features: tuple[str, ...] = ()
    where: str = ""
    problem: str = ""


def read_sources(file: str, text: TextConfig, *, warn: Warn, note: Warn, tabs: bool = False) -> Iterator[Source | None]:
    """A source for every line, in order; None each time before the next line has to be waited for.

    Args:
        file: a file (`.gz` too; `-` = standard input).
        text: columns of a table and the features' separator.
        warn: given one-line messages: lines that cannot be used (the first few one by one), and what is odd, at the end.
        note: given one line on how the file is read, where that is not line by line as text.
        tabs: whether a TAB is part of a source.

    Raises:
        DataError: file missing, a folder, damaged, of a kind that is no text.
    """
    check_separator(text)
    name = source_name(file)
    reader = _Reader(name, text, note, tabs, _json_line if is_json(file) else None)
    odd = Oddities(text, (name,), ("source",))
    refused = 0
    for line in arriving_lines(file, warn=warn):
        if line is None:
            yield None
            continue
        source, target = reader.read(line)
        if source.problem:
            refused += 1
            if refused <= TOLD_ONE_BY_ONE:
                warn(f"{source.where}: {source.problem}; an empty line is written for it")
        else:
            odd.see(line.number, source.text, target)
        yield source
    if refused > TOLD_ONE_BY_ONE:
        warn(f"{name}: {refused:,} lines in all could not be used; the first {TOLD_ONE_BY_ONE} are named above")
    odd.tell(warn)
    reader.tell(warn)


class _Reader:
    """Lines as sources, once it is settled what they are."""

    def __init__(self, name: str, text: TextConfig, note: Warn, tabs: bool, kind: _Kind | None) -> None:
        self.name, self.text, self.note, self.tabs, self.kind = name, text, note, tabs, kind
        self.noted = False  # that the lines are a table's
        self.stray: list[str] = []  # lines of text with a TAB: the first, and for each of them one more

    def read(self, line: Line) -> tuple[Source, str]:
        """The source, and what a table has as its target."""
        where = f"{self.name}:{line.number}"
        if line.text is None:
            return Source("", (), where, line.problem or ""), ""
        if self.kind is None and line.text.strip():
            self.kind = self._settle(line.text, where)
        try:
            text, features, target = (self.kind or _text_line)(self, line.text, where)
        except DataError as e:
            return Source("", (), where, str(e).removeprefix(f"{where}: ")), ""
        return Source(text, features, where), target

    def tell(self, warn: Warn) -> None:
        """At the end: lines of text that have a TAB."""
        if self.stray:
            n = len(self.stray)
            which = f"{n:,} lines have a TAB, and are" if n > 1 else "the line has a TAB, and is"
            warn(
                f"{self.stray[0]}: {which} read as text, since the file does not begin as a table; for column 1 alone: cut -f1"
            )

    def _settle(self, first: str, where: str) -> _Kind:
        if self.tabs:
            return _whole_line
        if first.lstrip().startswith("{"):
            try:
                json_string(json_object(first, where), "source", where)
            except DataError:
                pass
            else:
                self.note(f'{where}: a JSON object with "source"; read as JSON Lines')
                return _json_line
        if self.text.features_column:
            return _line_with_features
        return _table_line if "\t" in first else _text_line


_Kind = Callable[[_Reader, str, str], tuple[str, tuple[str, ...], str]]


def _text_line(reader: _Reader, content: str, where: str) -> tuple[str, tuple[str, ...], str]:
    if "\t" in content:
        reader.stray.append(where)
    return content, (), ""


def _whole_line(reader: _Reader, content: str, where: str) -> tuple[str, tuple[str, ...], str]:
    return content, (), ""


def _table_line(reader: _Reader, content: str, where: str) -> tuple[str, tuple[str, ...], str]:
    """The source in the model's own column."""
    if not content.strip():
        return "", (), ""
    cells, text = content.split("\t"), reader.text
    wanted = {"source": text.source_column} | ({"features": text.features_column} if text.features_column else {})
    places = ", ".join(f"{what} in column {n}" for what, n in wanted.items())
    if len(cells) < max(wanted.values()):
        have = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        also = ", or two: SOURCE, a TAB, FEATURES" if text.features_column else ""
        raise DataError(
            f"{where}: the line has {have}, wanted {max(wanted.values())} as in the training pairs ({places}){also}"
        )
    if not reader.noted:
        reader.noted = True
        reader.note(f"{where}: the line has {len(cells)} columns; read as a table, {places}; the rest is passed over")
    cell = cells[text.features_column - 1] if text.features_column else ""
    target = cells[text.target_column - 1] if len(cells) >= text.target_column else ""
    return cells[text.source_column - 1], features_in(cell, text.features_separator), target


def _line_with_features(reader: _Reader, content: str, where: str) -> tuple[str, tuple[str, ...], str]:
    """SOURCE, TAB, FEATURES; or, with more columns than two, of a table."""
    source, *cells = content.split("\t")
    if len(cells) > 1:
        return _table_line(reader, content, where)
    return source, features_in(cells[0] if cells else "", reader.text.features_separator), ""


def _json_line(reader: _Reader, content: str, where: str) -> tuple[str, tuple[str, ...], str]:
    if not content.strip():
        return "", (), ""
    entry = json_object(content, where, wanted='{"source": "…"}')
    return json_string(entry, "source", where), json_features(entry, where, reader.text), ""
