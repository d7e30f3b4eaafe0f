"""Sources to translate, from lines of text, a table or JSON Lines: one `Source` for every line.

The first line that is not blank decides what a file or a stream is:

- JSON Lines: if the name says so (as for pairs), or if that line is an object with "source".
- A table: if that line has a TAB. (A model with several sources reads them with a TAB between two, and, if it has features, a TAB
  and FEATURES behind them. A line with more columns than that is of a table.) Its columns are those of the model's training pairs. A model with features also reads
  SOURCE, TAB, FEATURES: a line with two columns is that, a line with more columns is of a table.
- Lines of text: in all other cases, and always for a model that has learned TABs from its sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jumok.config import TextConfig
from jumok.errors import ConfigError, DataError
from jumok.text.given import Own
from jumok.text.lines import Line, arriving_lines, source_name
from jumok.text.oddities import Oddities
from jumok.text.pairs import (
    NAMED_SINGLY,
    check_separator,
    columns_of,
    features_in,
    is_json,
    json_features,
    json_object,
    json_source,
    json_string,
    source_in,
)

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One line to translate. `where` is "file:line". A line that cannot be used has a `problem` and an empty text.

    `own` is what it asks of its output; None if that is nothing.
    """

    text: str
    features: tuple[str, ...] = ()
    where: str = ""
    problem: str = ""
    own: Own | None = None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of sources.

    Attributes:
        path: a file (`.gz` too; `-` = standard input).
        prefix_column: the column of a table, which the file then is, that says how each output begins; 0 = none.
    """

    path: str
    prefix_column: int = 0


def read_sources(
    file: str | SourceFile, text: TextConfig, *, warn: Warn, note: Warn, tabs: bool = False
) -> Iterator[Source | None]:
    """Yields a source for every line, in order; and None before it waits for the next line.

    Args:
        file: a path, or more about it.
        text: the columns of a table, and the separator of features.
        warn: takes one-line messages: lines that cannot be used (the first few one by one), and oddities, at the end.
        note: takes a line that says how the file is read, unless it is read as lines of text.
        tabs: whether a TAB is part of a source.

    Raises:
        ConfigError: the column of the beginnings cannot be.
        DataError: the file is missing, a folder, damaged, or not text.
    """
    given = SourceFile(file) if isinstance(file, str) else file
    check_separator(text)
    name = source_name(given.path)
    reader = _Reader(name, text, note, tabs, _json_line if is_json(given.path) else None)
    if given.prefix_column:
        _check_column(given, text)
        reader.prefix_column, reader.kind = given.prefix_column, reader.kind or _table_line
    odd = Oddities(text, (name,), ("source",))
    refused = 0
    for line in arriving_lines(given.path, warn=warn):
        if line is None:
            yield None
            continue
        source, target = reader.read(line)
        if source.problem:
            refused += 1
            if refused <= NAMED_SINGLY:
                warn(f"{source.where}: {source.problem}; an empty line is written for it")
        else:
            odd.see(line.number, source.text, target)
        yield source
    if refused > NAMED_SINGLY:
        warn(f"{name}: {refused:,} lines in all could not be used; the first {NAMED_SINGLY} are named above")
    odd.tell(warn)
    reader.tell(warn)


def _check_column(file: SourceFile, text: TextConfig) -> None:
    n = file.prefix_column
    if is_json(file.path):
        raise ConfigError(f'prefix_column is {n}, but {file.path} is JSON Lines; there it is the key "prefix" of each object')
    for what, column in (*columns_of(text).items(), ("features", text.features_column)):
        if n == column:
            raise ConfigError(f"prefix_column is {n}, but that column has the {what}; give another, or 0 for none")


class _Reader:
    """Turns lines into sources; the first line that is not blank decides how."""

    def __init__(self, name: str, text: TextConfig, note: Warn, tabs: bool, kind: _Kind | None) -> None:
        self.name, self.text, self.note, self.tabs, self.kind = name, text, note, tabs, kind
        self.noted = False  # whether a note has said that this is a table
        self.prefix_column = 0
        self.stray: list[str] = []  # where there are lines of text with a TAB

    def read(self, line: Line) -> tuple[Source, str]:
        """The source of a line, and its target, if it is a line of a table."""
        where = f"{self.name}:{line.number}"
        if line.text is None:
            return Source("", (), where, line.problem or ""), ""
        if self.kind is None and line.text.strip():
            self.kind = self._settle(line.text, where)
        try:
            text, features, target, own = (self.kind or _text_line)(self, line.text, where)
        except DataError as e:
            return Source("", (), where, str(e).removeprefix(f"{where}: ")), ""
        return Source(text, features, where, "", own), target

    def tell(self, warn: Warn) -> None:
        """Warns of lines of text that have a TAB; called at the end."""
        if self.stray:
            n = len(self.stray)
            which = f"{n:,} lines have a TAB, and are" if n > 1 else "the line has a TAB, and is"
            warn(
                f"{self.stray[0]}: {which} read as text, since the file does not begin as a table; for column 1 alone: cut -f1"
            )

    def _settle(self, first: str, where: str) -> _Kind:
        if self.tabs and not self.text.several:
            return _whole_line
        if first.lstrip().startswith("{"):
            try:
                json_source(json_object(first, where), where, self.text)
            except DataError:
                pass
            else:
                self.note(f'{where}: a JSON object with "source"; read as JSON Lines')
                return _json_line
        if self.text.several:
            return _line_with_sources
        if self.text.features_column:
            return _line_with_features
        return _table_line if "\t" in first else _text_line


_Read = tuple[str, tuple[str, ...], str, Own | None]  # source, features, target, what is asked of the output
_Kind = Callable[[_Reader, str, str], _Read]


def _text_line(reader: _Reader, content: str, where: str) -> _Read:
    if "\t" in content:
        reader.stray.append(where)
    return content, (), "", None


def _whole_line(reader: _Reader, content: str, where: str) -> _Read:
    return content, (), "", None


def _table_line(reader: _Reader, content: str, where: str) -> _Read:
    """The source in the column of the training pairs."""
    if not content.strip():
        return "", (), "", None
    cells, text = content.split("\t"), reader.text
    wanted = columns_of(text) | ({"features": text.features_column} if text.features_column else {})
    wanted |= {"prefix": reader.prefix_column} if reader.prefix_column else {}
    places = ", ".join(f"{what} in column {n}" for what, n in wanted.items())
    if len(cells) < max(wanted.values()):
        have = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        also = ", or two: SOURCE, a TAB, FEATURES" if text.features_column and not reader.prefix_column else ""
        if text.several and not reader.prefix_column:
            with_features = " (FEATURES behind them)" if text.features_column else ""
            also = f", or the {len(text.source_columns)} sources alone, with a TAB between two{with_features}"
        like = "" if reader.prefix_column else " as in the training pairs"
        raise DataError(f"{where}: the line has {have}, wanted {max(wanted.values())}{like} ({places}){also}")
    if not reader.noted:
        reader.noted = True
        reader.note(f"{where}: the line has {len(cells)} columns; read as a table, {places}; other columns are ignored")
    cell = cells[text.features_column - 1] if text.features_column else ""
    has_target = len(cells) >= text.target_column != reader.prefix_column
    target = cells[text.target_column - 1] if has_target else ""
    own = Own(cells[reader.prefix_column - 1]) if reader.prefix_column else None
    return source_in(cells, text), features_in(cell, text.features_separator), target, own


def _line_with_sources(reader: _Reader, content: str, where: str) -> _Read:
    """The sources with a TAB between two, and FEATURES behind them; a line with other columns is of a table."""
    if not content.strip():
        return "", (), "", None
    cells, n = content.split("\t"), len(reader.text.source_columns)
    if len(cells) == n:
        return content, (), "", None
    if len(cells) == n + 1 and reader.text.features_column:
        return "\t".join(cells[:n]), features_in(cells[n], reader.text.features_separator), "", None
    return _table_line(reader, content, where)


def _line_with_features(reader: _Reader, content: str, where: str) -> _Read:
    """SOURCE, TAB, FEATURES; a line with more than two columns is of a table."""
    source, *cells = content.split("\t")
    if len(cells) > 1:
        return _table_line(reader, content, where)
    return source, features_in(cells[0] if cells else "", reader.text.features_separator), "", None


def _json_line(reader: _Reader, content: str, where: str) -> _Read:
    if not content.strip():
        return "", (), "", None
    entry = json_object(content, where, wanted='{"source": "…"}')
    return json_source(entry, where, reader.text), json_features(entry, where, reader.text), "", _json_own(entry, where)


def _json_own(entry: dict, where: str) -> Own | None:
    """What stands under "prefix" or "prefix_tokens", and "require"; None if nothing does."""
    prefix = json_string(entry, "prefix", where) if entry.get("prefix") is not None else None
    tokens, require = _json_texts(entry, "prefix_tokens", where), _json_texts(entry, "require", where)
    if prefix is not None and tokens is not None:
        raise DataError(f'{where}: "prefix" and "prefix_tokens" are both given; give one of the two')
    if prefix is None and tokens is None and require is None:
        return None
    return Own(prefix if tokens is None else tokens, require)


def _json_texts(entry: dict, key: str, where: str) -> tuple[str, ...] | None:
    texts = entry.get(key)
    if texts is not None and (not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() for t in texts)):
        raise DataError(f'{where}: "{key}" is {texts!r:.60}; wanted a list of strings')
    return None if texts is None else tuple(texts)
