"""Pairs of source and target from a TSV, from JSON Lines or from two parallel files.

`read_pairs` leaves out a pair with an empty side, with a warning; anything else that is wrong ends reading with a `DataError`
that names file and line. `read_every_pair` gives a result for every line, whatever is wrong with it. Neither changes the text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from jumok.config import BETWEEN, TextConfig
from jumok.errors import ConfigError, DataError
from jumok.places import parallel
from jumok.text.lines import Line, lines_in, opened, source_name
from jumok.text.oddities import Oddities

Warn = Callable[[str], None]
NAMED_SINGLY = 3  # lines that cannot be used and get a warning each; the rest are counted

_WANTED_JSON = '{"source": "…", "target": "…"}'


@dataclass(frozen=True, slots=True)
class Pair:
    """One example. `where` is "file:line"."""

    source: str
    target: str
    features: tuple[str, ...] = ()
    where: str = ""

    @property
    def line(self) -> int:
        """The number of its line; 0 if it has none."""
        number = self.where.rpartition(":")[2]
        return int(number) if number.isdecimal() else 0


def read_pairs(path: str, text: TextConfig, *, warn: Warn) -> list[Pair]:
    """Reads all pairs of a file whose two sides are not empty, in order.

    Args:
        path: a file. `.jsonl` or `.json`: an object a line, with "source", "target" and, optionally, "features" (a list, or a
            string as in a TSV); other keys are ignored. Any other name: a TSV. "A,B", if no file has that name: two parallel
            files. Of several sources, "source" is a list, and a line of A has them with a TAB between two. All may end in `.gz`; `-` is a TSV on standard input.
        text: the columns of a TSV, and the separator of features. Empty features ("V;;PST") are ignored.
        warn: takes one-line messages: byte order mark, CRLF, lines left out, and oddities (`jumok.text.oddities`).

    Raises:
        DataError: the file is missing, a folder, damaged, or has no pairs; a line is not UTF-8, has a NUL, a million
            characters, or too few columns; JSON is not as above; parallel files have unequal lengths.
    """
    left_out, pairs = LeftOut(warn), []
    odd = Oddities(text, list(map(source_name, files_of(path))))
    for entry in _entries(path, text, warn):
        if isinstance(entry, Pair):
            pairs.append(entry)
        elif isinstance(entry, Empty):
            left_out.add(entry.where, entry.reason)
        else:
            raise entry
    left_out.sum_up(files_of(path), len(pairs))
    odd.look(_Numbers(pairs), [p.source for p in pairs], [p.target for p in pairs])
    odd.tell(warn)
    return pairs


def read_every_pair(path: str, text: TextConfig, *, warn: Warn) -> Iterator[Pair | None]:
    """Yields a pair for every line of a file, in order. For a line that cannot be used: None, and a warning that names it.

    Args:
        path, text, warn: as for `read_pairs`.

    Raises:
        DataError: the file is missing, a folder or damaged; parallel files have unequal lengths.
    """
    odd = Oddities(text, list(map(source_name, files_of(path))))
    for entry in _entries(path, text, warn):
        if isinstance(entry, Pair):
            odd.see(entry.line, entry.source, entry.target)
            yield entry
        else:
            warn(f"{entry}; it gets an empty line")
            yield None
    odd.tell(warn)


class _Numbers(Sequence[int]):
    """The line numbers of pairs, worked out only when asked for."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, row: Any) -> Any:
        return self.pairs[row].line


class Empty(DataError):
    """A line with nothing on one side."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where, self.reason = where, reason


def _entries(path: str, text: TextConfig, warn: Warn) -> Iterator[Pair | DataError]:
    files = files_of(path)
    with ExitStack() as stack:  # all are opened first: that a file is none to read comes before what its lines are like
        streams = [stack.enter_context(opened(file)) for file in files]
        lines = [lines_in(stream, source_name(file), warn=warn) for stream, file in zip(streams, files, strict=True)]
        yield from entries(lines, files, text)


def entries(lines: Sequence[Iterator[Line]], files: Sequence[str], text: TextConfig) -> Iterator[Pair | DataError]:
    """Yields each line, or two parallel lines, as a pair; or an error, if they are none.

    Args:
        lines: of the one file or of the two parallel files.
        files: their names, as `files_of` gives them.
    """
    check_separator(text)
    if len(files) == 2:
        return _parallel(lines[0], lines[1], (source_name(files[0]), source_name(files[1])), len(text.source_columns))
    return _by_line(lines[0], source_name(files[0]), _json_line if is_json(files[0]) else _tsv_line, text)


def check_separator(text: TextConfig) -> None:
    """Raises ConfigError if the separator of features is empty."""
    if not text.features_separator:
        raise ConfigError("features_separator is ''; it must be one character or more")


def is_json(file: str) -> bool:
    """Whether the name of a file of pairs says that it has a JSON object a line."""
    return file.removesuffix(".gz").endswith((".jsonl", ".json"))


def _by_line(
    lines: Iterator[Line], name: str, read: Callable[[str, str, TextConfig], Pair], text: TextConfig
) -> Iterator[Pair | DataError]:
    for line in lines:
        where = f"{name}:{line.number}"
        try:
            content = _usable(line, name)
            yield read(content, where, text) if content.strip() else Empty(where, "the line is blank")
        except DataError as e:
            yield e


class LeftOut:
    """Counts the lines that are left out, and warns of the first few one by one."""

    def __init__(self, warn: Warn) -> None:
        self.warn = warn
        self.reasons: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.reasons.total()

    def add(self, where: str, reason: str) -> None:
        self.reasons[reason] += 1
        if self.count <= NAMED_SINGLY:
            self.warn(f"{where}: {reason}; left out")

    def count_more(self, reasons: Counter[str]) -> None:
        """Adds lines without a warning; how many, by reason."""
        self.reasons += reasons

    def sum_up(self, files: Sequence[str], pairs: int) -> None:
        """Warns of the lines that were only counted; called after the last line, with the number of pairs.

        Raises:
            DataError: there are no pairs.
        """
        name = " and ".join(map(source_name, files))
        if self.count > NAMED_SINGLY:
            by_reason = ", ".join(f"{reason}: {n:,}" for reason, n in self.reasons.most_common())
            self.warn(
                f"{name}: {self.count:,} lines are left out in all ({by_reason}); the first {NAMED_SINGLY} are named above"
            )
        if not pairs:
            why = f"all {self.count:,} lines were left out" if self.count else "the file is empty"
            raise DataError(f"{name}: no pairs: {why}; wanted at least one line with a source and a target")


def _filled(pair: Pair, where_target: str | None = None) -> Pair:
    """The pair, unless a side is blank; raises Empty if one is."""
    if pair.source.strip() and pair.target.strip():
        return pair
    if pair.source.strip():
        raise Empty(where_target or pair.where, "the target is empty")
    raise Empty(pair.where, "the source is empty" if pair.target.strip() else "source and target are empty")


def _tsv_line(content: str, where: str, text: TextConfig) -> Pair:
    places = columns_of(text)
    columns = {**places, "target": text.target_column}
    if text.features_column:
        columns["features"] = text.features_column
    wanted = max(columns.values())
    cells = content.split("\t")
    if len(cells) < wanted:
        have = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        shown = ", ".join(f"{side} in {n}" for side, n in columns.items())
        raise DataError(f"{where}: the line has {have}, wanted at least {wanted} ({shown}); put one TAB between columns")
    cell = cells[text.features_column - 1] if text.features_column else ""
    source, target = source_in(cells, text), cells[text.target_column - 1]
    return _filled(Pair(source, target, features_in(cell, text.features_separator), where))


def _json_line(content: str, where: str, text: TextConfig) -> Pair:
    entry = json_object(content, where)
    source, target = json_source(entry, where, text), json_string(entry, "target", where)
    return _filled(Pair(source, target, json_features(entry, where, text), where))


def json_object(content: str, where: str, wanted: str = _WANTED_JSON) -> dict:
    """The JSON object on a line. DataError if there is none."""
    try:
        entry = json.loads(content)
    except (ValueError, RecursionError) as e:
        raise DataError(f"{where}: not JSON ({e}); wanted one object a line, {wanted}") from None
    if not isinstance(entry, dict):
        raise DataError(f"{where}: JSON that is not an object; wanted one object a line, {wanted}")
    return entry


def columns_of(text: TextConfig) -> dict[str, int]:
    """The columns of the sources by name: "source", or "source 1", "source 2" …"""
    columns = text.source_columns
    return {f"source {i}" if text.several else "source": n for i, n in enumerate(columns, 1)}


def source_in(cells: Sequence[str], text: TextConfig) -> str:
    """The source in the cells of a line; several with a TAB between two."""
    return BETWEEN.join(cells[n - 1] for n in text.source_columns)


def json_source(entry: dict, where: str, text: TextConfig) -> str:
    """The source of an object; of several sources, which are a list of strings, the texts with a TAB between two."""
    if not text.several:
        return json_string(entry, "source", where)
    parts, n = entry.get("source"), len(text.source_columns)
    if not isinstance(parts, list) or len(parts) != n or not all(isinstance(p, str) and BETWEEN not in p for p in parts):
        shown = _short(parts) if "source" in entry else "missing"
        raise DataError(f'{where}: "source" is {shown}; wanted a list of {n} strings without TABs, one for each source')
    for part in parts:
        _check_json_string(part, "source", where)
    return BETWEEN.join(parts)


def json_features(entry: dict, where: str, text: TextConfig) -> tuple[str, ...]:
    """The features of an object, given as a list or as a string as in a TSV; () if there are none."""
    features = entry.get("features", "")
    if isinstance(features, str):
        features = features_in(features, text.features_separator)
    if not isinstance(features, list | tuple) or not all(isinstance(f, str) for f in features):
        raise DataError(f'{where}: "features" is {_short(features)}; wanted a list of strings or one string')
    for feature in features:
        _check_json_string(feature, "features", where)
    return tuple(f for f in features if f)


def json_string(entry: dict, key: str, where: str) -> str:
    """The text under a key of an object. DataError if there is no such key, or no text."""
    if key not in entry:
        raise DataError(f'{where}: no key "{key}" (keys: {_short(", ".join(entry))}); wanted {_WANTED_JSON}')
    if not isinstance(entry[key], str):
        raise DataError(f'{where}: "{key}" is {_short(entry[key])}; wanted a string')
    _check_json_string(entry[key], key, where)
    return entry[key]


def _check_json_string(value: str, key: str, where: str) -> None:
    """Refuses what only an escape of JSON can write, and no line of text can hold."""
    if "\0" in value:
        raise DataError(f'{where}: a NUL character in "{key}"; wanted text; take it out')
    if "\n" in value:
        raise DataError(f'{where}: a line feed in "{key}"; source and target are one line each; take it out')
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f'{where}: half a surrogate pair (\\ud800 to \\udfff) in "{key}"; wanted whole characters') from None


def _parallel(
    sources: Iterator[Line], targets: Iterator[Line], names: tuple[str, str], columns: int
) -> Iterator[Pair | DataError]:
    for number, (source, target) in enumerate(zip_longest(sources, targets), 1):
        if source is None or target is None:
            more = number + sum(1 for _ in (targets if source is None else sources))
            raise unequal(names, (number - 1, more) if source is None else (more, number - 1))
        where, where_target = f"{names[0]}:{source.number}", f"{names[1]}:{target.number}"
        try:
            text = _usable(source, names[0])
            if problem := "" if columns == 1 else wrong_number(text, columns):
                raise DataError(f"{where}: {problem}")
            yield _filled(Pair(text, _usable(target, names[1]), (), where), where_target)
        except DataError as e:
            yield e


def wrong_number(text: str, columns: int) -> str:
    """What is wrong with a text that should have so many sources, with a TAB between two; "" if nothing is."""
    have = text.count(BETWEEN) + 1
    if have == columns:
        return ""
    return f"the line has {have} source{'s' * (have > 1)}, wanted {columns}; put one TAB between two sources"


def unequal(names: Sequence[str], lines: Sequence[int]) -> DataError:
    """The error for two parallel files with these numbers of lines."""
    (fewest, shorter), (most, longer) = sorted(zip(lines, names, strict=True))
    return DataError(
        f"{longer}:{fewest + 1}: this line has no counterpart: {longer} has {most:,} lines, {shorter} {fewest:,}; "
        "parallel files need the same number of lines"
    )


def files_of(path: str) -> tuple[str, ...]:
    """The two files of "A,B", or else the one file.

    Raises:
        DataError: there is a comma, but neither is it one file nor can it be two.
    """
    if "," not in path or Path(path).exists():
        return (path,)
    parts = parallel(path)
    if parts is None:
        raise DataError(f"{path}: there is no such file; for two parallel files give SOURCE,TARGET")
    return parts


def _usable(line: Line, name: str) -> str:
    if line.text is None:
        raise DataError(f"{name}:{line.number}: {line.problem}")
    return line.text


def features_in(cell: str, separator: str) -> tuple[str, ...]:
    """The features in a cell, without empty ones."""
    return tuple(part for part in cell.split(separator) if part)


def _short(value: object) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:59] + "…"
