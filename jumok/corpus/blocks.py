"""Blocks: files of pairs in pieces of some megabytes, cut by one process and read by any; a piece becomes columns.

A block is read line by line by the reader of whole files (`jumok.text.pairs`), so that it warns of the same and refuses the
same; only where every line of it is as it should be, its columns are cut out all at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, BinaryIO

import numpy as np

from jumok.config import TextConfig
from jumok.errors import DataError
from jumok.text.lines import BOM, CRLF, MOST_CHARACTERS, lines_of, opened, raw_lines, read, source_name
from jumok.text.oddities import Oddities
from jumok.text.pairs import TOLD_ONE_BY_ONE, Empty, LeftOut, Pair, entries, features_in, is_json, unequal

SIZE = 4 * 2**20  # bytes of a block, of both files together; the last line is whole


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of one file, or as many of two parallel files.

    Attributes:
        before: lines that stand before it.
        raw: bytes of each file.
        position: bytes of the files up to its end, as they lie on the disk.
    """

    before: int
    raw: tuple[bytes, ...]
    position: int


@dataclass(slots=True)
class Columns:
    """The pairs of a block, each column a list; and what was not a pair.

    Attributes:
        features: None where no pair has any.
        lines: the pairs' line numbers.
        notices: in their order, (where, why) of the first lines left out, and ("", what) of byte order mark and CRLF.
        reasons: how many lines were left out in all, by reason.
        odd: what `Oddities` found.
        error: what ends reading, if anything does; the columns have what stood before it.
    """

    sources: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    features: list[tuple[str, ...]] | None = None
    lines: Sequence[int] = ()
    notices: list[tuple[str, str]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    odd: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def told(self) -> dict[str, Any]:
        """All but the pairs, as JSON values."""
        return {"notices": self.notices, "reasons": dict(self.reasons), "odd": self.odd, "error": self.error}


def cut(files: Sequence[str], size: int) -> Iterator[Block]:
    """The blocks of one file or of two parallel ones, in order; the same every time.

    Raises:
        DataError: a file is missing, a folder, damaged; parallel files of unequal length. What stands before comes first.
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


def read_block(raw: Sequence[bytes], before: int, files: Sequence[str], text: TextConfig) -> Columns:
    """A block's pairs, by the rules of `read_pairs`. Args: a Block's, and the names of its files as `files_of` gives them."""
    found = _ordinary(raw, before, files, text) or _line_by_line(raw, before, files, text)
    odd = Oddities(text, files)
    odd.look(found.lines, found.sources, found.targets)
    found.odd = odd.facts()
    return found


def _line_by_line(raw: Sequence[bytes], before: int, files: Sequence[str], text: TextConfig) -> Columns:
    found = Columns()

    def warn(text: str) -> None:
        found.notices.append(("", text))

    readers = [lines_of(part, source_name(file), before, warn) for part, file in zip(raw, files, strict=True)]
    features: list[tuple[str, ...]] = []
    lines: list[int] = []
    for entry in _or_error(entries(readers, files, text)):
        if isinstance(entry, Pair):
            found.sources.append(entry.source)
            found.targets.append(entry.target)
            features.append(entry.features)
            lines.append(int(entry.where.rpartition(":")[2]))
        elif isinstance(entry, Empty):
            found.reasons[entry.reason] += 1
            if found.reasons.total() <= TOLD_ONE_BY_ONE:
                found.notices.append((entry.where, entry.reason))
        else:
            found.error = str(entry)
            break
    found.features, found.lines = features if any(features) else None, lines
    return found


def _or_error(found: Iterator[Pair | DataError]) -> Iterator[Pair | DataError]:
    """The entries, and last of all what ended reading, as an entry."""
    try:
        yield from found
    except DataError as e:
        yield e


def _ordinary(raw: Sequence[bytes], before: int, files: Sequence[str], text: TextConfig) -> Columns | None:
    """The columns of a block whose every line is a pair and no less or more; None where it has to be read line by line."""
    if len(files) == 1 and is_json(files[0]):
        return None
    sides = [_ordinary_lines(part, before) for part in raw]
    if None in sides:
        return None
    columns: list[list[str]] | None
    places: Sequence[int]
    if len(files) == 2:
        columns, places = [side[:-1].split("\n") for side in sides if side], (0, 1, -1)
    else:
        columns, places = _table(raw[0], sides[0] or ""), [c - 1 for c in _places(text)]
    if columns is None or len(columns) <= max(places):
        return None
    sources, targets = (columns[place] for place in places[:2])
    if not (all(map(str.strip, sources)) and all(map(str.strip, targets))):
        return None
    features = None
    if places[2] >= 0 and any(columns[places[2]]):
        found = [features_in(cell, text.features_separator) for cell in columns[places[2]]]
        features = found if any(found) else None
    return Columns(sources, targets, features, range(before + 1, before + 1 + len(sources)))


def _places(text: TextConfig) -> tuple[int, int, int]:
    return text.source_column, text.target_column, text.features_column


def _ordinary_lines(raw: bytes, before: int) -> str | None:
    """The text, with a line feed at its end; None where there is anything to tell of a line."""
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
    """The columns of text (`raw` are its bytes), if all its lines have as many."""
    bytes_ = np.frombuffer(raw if raw.endswith(b"\n") else raw + b"\n", np.uint8)
    marks = bytes_[(bytes_ == ord("\t")) | (bytes_ == ord("\n"))]
    width = int(np.argmax(marks == ord("\n"))) + 1
    ends = np.zeros(width, bool)
    ends[-1] = True
    if len(marks) % width or ((marks.reshape(-1, width) == ord("\n")) != ends).any():
        return None
    cells = text[:-1].replace("\n", "\t").split("\t")
    return [cells[column::width] for column in range(width)]


class Telling:
    """Blocks' warnings as those of one file: what is told once a file is told once, and left-out lines are counted together."""

    def __init__(self, files: Sequence[str], text: TextConfig, warn: Callable[[str], None]) -> None:
        self.files, self.warn, self.left_out = files, warn, LeftOut(warn)
        self.odd = Oddities(text, list(map(source_name, files)))
        self._once: set[str] = set()

    def add(self, facts: dict[str, Any]) -> None:
        """DataError where the block has a line that ends reading."""
        for where, what in facts["notices"]:
            if where:
                self.left_out.add(where, what)
            else:
                self._warn(what)
        self.left_out.count_more(Counter(facts["reasons"]) - Counter(what for where, what in facts["notices"] if where))
        if facts["error"]:
            raise DataError(facts["error"])
        self.odd.add(facts["odd"])

    def _warn(self, text: str) -> None:
        if text.endswith(CRLF):
            name = text.removesuffix(CRLF).rpartition(":")[0].rpartition(":")[0]
            if name in self._once:
                return
            self._once.add(name)
        self.warn(text)

    def finish(self, pairs: int) -> None:
        """DataError where there was no pair."""
        self.left_out.sum_up(self.files, pairs)
        self.odd.tell(self.warn)
