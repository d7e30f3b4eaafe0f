"""Word vectors from a file: the text format of word2vec, GloVe and fastText, also as .gz.

A line is a token and its numbers, with blanks between them. A first line of two whole numbers (tokens, numbers each) may stand
before them. Letters: V tokens of a vocabulary, D numbers of a vector.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jumok.errors import DataError
from jumok.text.codec import is_feature

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
    several lines for one, the first counts.

    Args:
        warn: called with a line if the file has more or fewer vectors than its first line says, or two different ones for a token.

    Raises:
        DataError: the file cannot be read, or a line is not a token and D numbers; it says which.
    """
    wanted = _spellings(tokens)
    found: dict[int, tuple[int, np.ndarray]] = {}
    size = said = lines = 0
    again: dict[int, str] = {}  # line -> the token that it repeats
    for number, line in enumerate(_lines(path), 1):
        parts = line.rstrip().split(" ")
        if number == 1 and len(parts) == 2 and all(part.isdecimal() for part in parts):
            said, size = map(int, parts)
            continue
        if parts == [""]:
            continue
        size = size or len(parts) - 1
        if not 0 < size <= WIDEST or len(parts) <= size:
            raise DataError(
                f"{path}:{number}: {len(parts) - 1} numbers; a token and {size or 'its'} numbers were wanted: {line[:60]!r}"
            )
        lines += 1
        for rank, i in wanted.get(" ".join(parts[:-size]), ()):
            if i not in found or rank <= found[i][0]:
                row = _numbers(parts[-size:], f"{path}:{number}", line)
                if i not in found or rank < found[i][0]:
                    found[i] = rank, row
                elif (row != found[i][1]).any():
                    again.setdefault(number, tokens[i])
    if said and lines != said:
        warn(f"{path}: vectors promised by the first line: {said:,}, found: {lines:,}; is the file whole?")
    if again:
        number, token = next(iter(again.items()))
        warn(
            f"{path}: lines that repeat a token with other numbers: {len(again):,} (first line {number}: {token!r}); the token's first "
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
    try:
        opened = gzip.open if os.fspath(path).endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8", errors="replace", newline="\n") as file:
            for line in file:
                yield line.rstrip("\r\n")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; wanted word vectors as text (word2vec, GloVe, fastText)") from None
    except (OSError, EOFError, zlib.error) as e:
        raise DataError(f"{path}: cannot be read ({getattr(e, 'strerror', None) or e}); wanted word vectors as text") from None
