"""Word vectors from a file: the text format of word2vec, GloVe and fastText, also as .gz.

A line is a token and its numbers, with blanks or tabs between them. A first line of two whole numbers (tokens, numbers each) may
stand before them. Letters: V tokens of a vocabulary, D numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jumok.errors import DataError
from jumok.text.codec import is_feature
from jumok.text.lines import BOM, opened, read, source_name

WIDEST = 10_000  # numbers of a vector


@dataclass(frozen=True)
class Vectors:
    """What a file has for a vocabulary.

    Attributes:
        ids: of the tokens that were found, int [found], rising.
        rows: their vectors, float32 [found, D].
    """

    ids: np.ndarray
    rows: np.ndarray

    @property
    def size(self) -> int:
        """D."""
        return self.rows.shape[1]


def read_vectors(path: str, tokens: Sequence[str], warn: Callable[[str], None]) -> Vectors:
    """The vectors of these tokens, which are those of a vocabulary, specials included.

    A token is looked for as it is; then without the mark of a word's beginning; then in small letters. Features have none. Of
    several lines for one, the first counts. Without a first line that gives D, it is as many numbers as the first vector ends with:
    a token may have blanks in it.

    Args:
        path: of the file, also a .gz; `-` is standard input. A byte order mark and the CR of CRLF are passed over.
        warn: called with a line if the file has more or fewer vectors than its first line says, or two different ones for a token.

    Raises:
        DataError: the file cannot be read, or a line is not a token and D numbers; it says which.
    """
    wanted, name = _spellings(tokens), source_name(path)
    found: dict[int, tuple[int, np.ndarray]] = {}
    size = said = lines = 0
    again: dict[int, str] = {}  # line -> the token that it repeats
    for number, line in enumerate(_lines(path), 1):
        parts = line.rstrip().replace("\t", " ").split(" ")
        if number == 1 and len(parts) == 2 and all(part.isdecimal() for part in parts):
            said, size = map(int, parts)
            continue
        if parts == [""]:
            continue
        size = size or _numbers_at_the_end(parts)
        if not 0 < size <= WIDEST or len(parts) <= size:
            count = _numbers_at_the_end(parts)
            raise DataError(f"{name}:{number}: {count} numbers; a token and {size or 'its'} numbers were wanted: {line[:60]!r}")
        lines += 1
        for rank, i in wanted.get(" ".join(parts[:-size]), ()):
            if i not in found or rank <= found[i][0]:
                row = _numbers(parts[-size:], f"{name}:{number}", line)
                if i not in found or rank < found[i][0]:
                    found[i] = rank, row
                elif (row != found[i][1]).any():
                    again.setdefault(number, tokens[i])
    if said and lines != said:
        warn(f"{name}: vectors promised by the first line: {said:,}, found: {lines:,}; is the file whole?")
    if again:
        number, token = next(iter(again.items()))
        warn(
            f"{name}: lines that repeat a token with other numbers: {len(again):,} (first line {number}: {token!r}); the token's first "
            "line counts"
        )
    ids = sorted(found)
    rows = np.array([found[i][1] for i in ids], np.float32).reshape(len(ids), size)
    return Vectors(np.array(ids, np.int64), rows)


def _spellings(tokens: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """spelling -> (how far it is from the token, the token's id) of each token that it may stand for."""
    wanted: dict[str, list[tuple[int, int]]] = {}
    for i, token in enumerate(tokens):
        if not is_feature(token):
            bare = token.removeprefix("▁")
            for rank, spelling in enumerate(dict.fromkeys((token, bare, bare.lower()))):
                if spelling:
                    wanted.setdefault(spelling, []).append((rank, i))
    return wanted


def _numbers_at_the_end(parts: list[str]) -> int:
    """How many of the last words are numbers; the first is the token, whatever it is."""
    count = 0
    for word in reversed(parts[1:]):
        try:
            float(word)
        except ValueError:
            break
        count += 1
    return count


def _numbers(words: list[str], where: str, line: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            row = np.array(words, np.float64).astype(np.float32)
    except ValueError:
        raise DataError(f"{where}: not a token and {len(words)} numbers: {line[:60]!r}") from None
    if not np.isfinite(row).all():
        raise DataError(f"{where}: a number is not finite: {line[:60]!r}")
    return row


def _lines(path: str) -> Iterator[str]:
    """Lines without their ends; bytes that are not UTF-8, in tokens that nobody asks for, do not matter."""
    with opened(path) as stream:
        number = 0
        while raw := read(stream, f"{source_name(path)}:{number + 1}"):
            number += 1
            yield (raw.removeprefix(BOM) if number == 1 else raw).decode("utf-8", "replace").rstrip("\r\n")
