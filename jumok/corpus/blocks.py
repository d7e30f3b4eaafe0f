"""Blocks: files of pairs in pieces of some megabytes. One process cuts them, any process reads one and gets columns.

A block is read line by line, by the reader of whole files (`jumok.text.pairs`), so that warnings and errors are the same.
Only if every line is an ordinary pair, the columns are split all at once, which is faster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, BinaryIO

import numpy as np

from jumok.config import BETWEEN, TextConfig
from jumok.errors import DataError
from jumok.text.lines import BOM, MOST_CHARACTERS, lines_of, opened, raw_lines, read, source_name
from jumok.text.oddities import Oddities
from jumok.text.pairs import NAMED_SINGLY, Empty, LeftOut, Pair, entries, features_in, is_json, unequal

SIZE = 4 * 2**20  # bytes of a block, both files together; it ends with a whole line


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of one file, or as many of two parallel files.

    Attributes:
        before: number of lines before the block.
        raw: the bytes, of each file.
        position: bytes from the beginning of the files to the end of the block, as they are on the disk (packed, if .gz).
    """

    before: int
    raw: tuple[bytes, ...]
    position: int


@dataclass(slots=True)
class Columns:
    """The pairs of a block, a list for each column; and the lines that are not pairs.

    Attributes:
        features: None if no pair has any.
        lines: the pairs' line numbers.
        notices: in order, (what, where, False) for each remark on a file (byte order mark, CRLF), and (why, where, True) for
            each of the first lines left out.
        reasons: how many lines were left out in all, by reason.
        odd: what `Oddities` found.
        error: the error that ends reading, or ""; the columns have the pairs before it.
    """

    sources: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    features: list[tuple[str, ...]] | None = None
    lines: Sequence[int] = ()
    notices: list[tuple[str, str, bool]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    odd: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def facts(self) -> dict[str, Any]:
        """Everything but the pairs, as JSON values."""
        return {"notices": self.notices, "reasons": dict(self.reasons), "odd": self.odd, "error": self.error}


def cut(files: Sequence[str], size: int) -> Iterator[Block]:
    """Cuts one file, or two parallel files, into blocks; the same blocks every time.

    Raises:
        DataError: a file is missing, a folder, damaged; parallel files have unequal lengths. Whole lines before the error are
            yielded first.
    """
    with ExitStack() as stack:
        streams = [stack.enter_context(opened(file)) for file in files]
        plain = len(files) == 1 and not files[0].endswith(".gz")
        yield from _cut_plain(streams[0], files[0], size) if plain else _cut_by_line(streams, files, size)


def _cut_plain(stream: BinaryIO, file: str, size: int) -> Iterator[Block]:
    before, name = 0, source_name(file)
    while raw := read(stream, f"{name}:{before + 1}", size):
        if not raw.endswith(b"\n"):
            raw += next(raw_lines(stream, name), b"")
        yield Block(before, (raw,), stream.tell())
        before += raw.count(b"\n")


def _cut_by_line(streams: Sequence[BinaryIO], files: Sequence[str], size: int) -> Iterator[Block]:
    names = [source_name(file) for file in files]
    readers = [raw_lines(stream, name) for stream, name in zip(streams, names, strict=True)]
    held: list[tuple[bytes, ...]] = []
    before, length = 0, 0

    def block() -> Block:
        position = sum(getattr(stream, "fileobj", stream).tell() for stream in streams)
        return Block(before, tuple(map(b"".join, zip(*held, strict=True))), position)

    try:
        for lines in zip_longest(*readers):
            if None in lines:
                if before + len(held) == 0:
                    _check_first(lines, names)
                more = 1 + sum(1 for reader in readers for _ in reader)
                have = before + len(held)
                raise unequal(names, [have if line is None else have + more for line in lines])
            held.append(lines)
            length += sum(map(len, lines))
            if length >= size:
                yield block()
                before, length, held = before + len(held), 0, []
    except DataError:
        if held:
            yield block()
        raise
    if held:
        yield block()


def _check_first(lines: Sequence[bytes | None], names: Sequence[str]) -> None:
    """DataError if a first line shows that its file is none that can be read; that comes before unequal lengths."""
    for raw, name in zip(lines, names, strict=True):
        if raw is not None:
            next(lines_of(raw, name, 0, lambda *_: None), None)


def read_block(raw: Sequence[bytes], before: int, files: Sequence[str], text: TextConfig) -> Columns:
    """The pairs of a block, by the rules of `read_pairs`.

    Args:
        raw, before: as in `Block`.
        files: names of the files, as `files_of` gives them.
    """
    columns = _ordinary(raw, before, files, text) or _line_by_line(raw, before, files, text)
    odd = Oddities(text, files)
    odd.look(columns.lines, columns.sources, columns.targets)
    columns.odd = odd.facts()
    return columns


def _line_by_line(raw: Sequence[bytes], before: int, files: Sequence[str], text: TextConfig) -> Columns:
    columns = Columns()

    def remark(what: str, where: str) -> None:
        columns.notices.append((what, where, False))

    readers = [lines_of(part, source_name(file), before, remark) for part, file in zip(raw, files, strict=True)]
    features: list[tuple[str, ...]] = []
    lines: list[int] = []
    for entry in _or_error(entries(readers, files, text)):
        if isinstance(entry, Pair):
            columns.sources.append(entry.source)
            columns.targets.append(entry.target)
            features.append(entry.features)
            lines.append(int(entry.where.rpartition(":")[2]))
        elif isinstance(entry, Empty):
            columns.reasons[entry.reason] += 1
            if columns.reasons.total() <= NAMED_SINGLY:
                columns.notices.append((entry.reason, entry.where, True))
        else:
            columns.error = str(entry)
            break
    columns.features, columns.lines = features if any(features) else None, lines
    return columns


def _or_error(entries: Iterator[Pair | DataError]) -> Iterator[Pair | DataError]:
    """The entries; an error that ends reading is the last one."""
    try:
        yield from entries
    except DataError as e:
        yield e


def _ordinary(raw: Sequence[bytes], before: int, files: Sequence[str], text: TextConfig) -> Columns | None:
    """The columns of a block, if every line is an ordinary pair; None if it has to be read line by line."""
    if len(files) == 1 and is_json(files[0]):
        return None
    sides = [_ordinary_lines(part, before) for part in raw]
    if None in sides:
        return None
    columns: list[list[str]] | None
    places: Sequence[int]
    if len(files) == 2 and text.several:
        return None
    if len(files) == 2:
        columns, places = [side[:-1].split("\n") for side in sides if side], (0, 1, -1)
    else:
        columns, places = _table(raw[0], sides[0] or ""), [c - 1 for c in _places(text)]
    if columns is None or len(columns) <= max(places):
        return None
    *of_sources, target, features_place = places
    sources, targets = columns[of_sources[0]], columns[target]
    if len(of_sources) > 1:
        sources = list(map(BETWEEN.join, zip(*(columns[place] for place in of_sources), strict=True)))
    if not (all(map(str.strip, sources)) and all(map(str.strip, targets))):
        return None
    features = None
    if features_place >= 0 and any(columns[features_place]):
        lists = [features_in(cell, text.features_separator) for cell in columns[features_place]]
        features = lists if any(lists) else None
    return Columns(sources, targets, features, range(before + 1, before + 1 + len(sources)))


def _places(text: TextConfig) -> tuple[int, ...]:
    return *text.source_columns, text.target_column, text.features_column


def _ordinary_lines(raw: bytes, before: int) -> str | None:
    """The text, with a line feed at its end; None if there may be a warning about a line."""
    if b"\r" in raw or b"\0" in raw or (before == 0 and raw.startswith(BOM)):
        return None
    raw = raw if raw.endswith(b"\n") else raw + b"\n"
    ends = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord("\n"))
    if np.diff(ends, prepend=-1).max() > MOST_CHARACTERS:  # bytes, of which there are as many or more
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _table(raw: bytes, text: str) -> list[list[str]] | None:
    """The columns of a text whose bytes are `raw`, if all lines have equally many; else None."""
    bytes_ = np.frombuffer(raw if raw.endswith(b"\n") else raw + b"\n", np.uint8)
    marks = bytes_[(bytes_ == ord("\t")) | (bytes_ == ord("\n"))]
    width = int(np.argmax(marks == ord("\n"))) + 1
    ends = np.zeros(width, bool)
    ends[-1] = True
    if len(marks) % width or ((marks.reshape(-1, width) == ord("\n")) != ends).any():
        return None
    cells = text[:-1].replace("\n", "\t").split("\t")
    return [cells[column::width] for column in range(width)]


class Warnings:
    """Gives the warnings of all blocks as those of one file: each remark once a file, left-out lines counted together."""

    def __init__(self, files: Sequence[str], text: TextConfig, warn: Callable[[str], None]) -> None:
        self.files, self.warn, self.left_out = files, warn, LeftOut(warn)
        self.odd = Oddities(text, list(map(source_name, files)))
        self._remarks: set[tuple[str, str]] = set()  # (file, what)

    def add(self, facts: dict[str, Any]) -> None:
        """Gives the warnings of the next block. DataError if it has a line that ends reading."""
        added = Counter[str]()
        for what, where, left_out in facts["notices"]:
            if left_out:
                self.left_out.add(where, what)
                added[what] += 1
            else:
                self._remark(what, where)
        self.left_out.count_more(Counter(facts["reasons"]) - added)
        if facts["error"]:
            raise DataError(facts["error"])
        self.odd.add(facts["odd"])

    def _remark(self, what: str, where: str) -> None:
        file = where.rpartition(":")[0]
        if (file, what) not in self._remarks:
            self._remarks.add((file, what))
            self.warn(f"{where}: {what}")

    def finish(self, pairs: int) -> None:
        """Gives the warnings that need the whole file. DataError if there was no pair."""
        self.left_out.sum_up(self.files, pairs)
        self.odd.tell(self.warn)
