"""Compares word alignments with gold ones: links in, alignment error rate, precision and recall out; the table LINK_METRICS.

Letters, as in Och & Ney 2003 ("A Systematic Comparison of Various Statistical Alignment Models", section 5): A links of an
aligner, S sure and P possible gold links (every sure link is possible too); N lines. A link (i, j) joins source word i
and target word j; both are counted from 0 here, whatever a file does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from jumok import __version__
from jumok.errors import DataError
from jumok.measure.metrics import Measured
from jumok.text.lines import read_lines, source_name

Link = tuple[int, int]
Warn = Callable[[str], None]
_GOLD_COLUMN = 3


@dataclass(frozen=True, slots=True)
class Gold:
    """The gold links of one line: S, and P with S in it. `where` is "file:line"."""

    sure: frozenset[Link]
    possible: frozenset[Link]
    where: str = "gold"


@dataclass(frozen=True)
class LinkMetric:
    """A metric of links.

    Attributes:
        name: as in LINK_METRICS.
        counts: A and the Gold of one line -> numerator and denominator; the value is 100 · Σ numerator / Σ denominator over
            all lines, and 0 where Σ denominator is 0 (the precision of no links).
        unit, higher_is_better: as in `Metric`.
    """

    name: str
    counts: Callable[[AbstractSet[Link], Gold], tuple[int, int]]
    unit: str
    higher_is_better: bool


def _aer(A: AbstractSet[Link], gold: Gold) -> tuple[int, int]:
    """AER = 1 − (|A∩S| + |A∩P|) / (|A| + |S|)."""
    most = len(A) + len(gold.sure)
    return most - len(A & gold.sure) - len(A & gold.possible), most


def _precision(A: AbstractSet[Link], gold: Gold) -> tuple[int, int]:
    """|A∩P| / |A|."""
    return len(A & gold.possible), len(A)


def _recall(A: AbstractSet[Link], gold: Gold) -> tuple[int, int]:
    """|A∩S| / |S|."""
    return len(A & gold.sure), len(gold.sure)


LINK_METRICS: dict[str, LinkMetric] = {
    "aer": LinkMetric("aer", _aer, unit="%", higher_is_better=False),
    "link-precision": LinkMetric("link-precision", _precision, unit="%", higher_is_better=True),
    "link-recall": LinkMetric("link-recall", _recall, unit="%", higher_is_better=True),
}


def measure_links(links: Sequence[AbstractSet[Link]], gold: Sequence[Gold]) -> list[Measured]:
    """All LINK_METRICS over N lines, each from sums over the whole file.

    Raises:
        DataError: the numbers of lines differ, or the gold has no sure link.
    """
    if len(links) != len(gold):
        raise DataError(
            f"measuring links: got {len(links):,} lines of links and {len(gold):,} of gold; the numbers must be equal; "
            "check that both belong to the same pairs and that no line was lost"
        )
    sure, possible = sum(len(g.sure) for g in gold), sum(len(g.possible) for g in gold)
    if not sure:
        raise DataError(
            "measuring links: the gold has no sure link (i-j); AER and recall divide by their number, so there must be at least one"
        )
    signature = f"n:{len(gold)}|sure:{sure}|possible:{possible}|version:jumok-{__version__}"
    values = []
    for name, metric in LINK_METRICS.items():
        counts = np.array([metric.counts(A, g) for A, g in zip(links, gold, strict=True)], dtype=np.float64)
        above, below = (int(part) for part in counts.sum(axis=0))
        values.append(
            Measured(
                name=name,
                value=100 * above / below if below else 0.0,
                signature=f"{name}|{signature}",
                detail={"links": sum(map(len, links)), "numerator": above, "denominator": below, "lines": len(gold)},
                counts=counts if below else None,
            )
        )
    return values


def read_gold(path: str, *, warn: Warn) -> list[Gold]:
    """Reads gold links, one line per pair: `i-j` sure, `ipj` only possible, counted from 1, separated by blanks.

    Args:
        path: links alone, or a table with the links in its third column, after source and target (`.gz` too; `-` is
            standard input). An empty line, or an empty third column, has no links.
        warn: called with one-line messages: byte order mark, CRLF.

    Raises:
        DataError, with file and line: not a link, a number below 1, two columns; a file that cannot be read.
    """
    gold = []
    for where, line in _lines(path, warn):
        cells = line.split("\t")
        if len(cells) == _GOLD_COLUMN - 1:
            raise DataError(f"{where}: the line has 2 columns; expected links alone, or source TAB target TAB links")
        parsed = [_link(token, "-p", 1, where) for token in cells[_GOLD_COLUMN - 1 if len(cells) > 1 else 0].split()]
        sure = frozenset(link for link, kind in parsed if kind == "-")
        gold.append(Gold(sure, frozenset(link for link, _ in parsed), where))
    return gold


def read_links(path: str, *, reverse: bool = False, warn: Warn) -> list[frozenset[Link]]:
    """Reads links as aligners write them (the "Pharaoh" format): `i-j`, counted from 0, separated by blanks, one line per pair.

    Args:
        path: a file (`.gz` too; `-` is standard input).
        reverse: whether the file has target-source; the result is source-target either way.
        warn: as in `read_gold`.

    Raises:
        DataError, with file and line: not a link; a file that cannot be read.
    """
    by_line = []
    for where, line in _lines(path, warn):
        links = (_link(token, "-", 0, where)[0] for token in line.split())
        by_line.append(frozenset((j, i) if reverse else (i, j) for i, j in links))
    return by_line


def check_range(gold: Gold, source: int, target: int) -> None:
    """Checks that a line's gold links are within its `source` and `target` words. DataError, with file and line, if not."""
    for i, j in sorted(gold.possible):
        if i >= source or j >= target:
            raise DataError(
                f"{gold.where}: the gold links {i + 1} and {j + 1} (counted from 1), but the pair has {source} source and "
                f"{target} target words; check that the sentences are tokenised as in the gold"
            )


def _lines(path: str, warn: Warn) -> Iterator[tuple[str, str]]:
    name = source_name(path)
    for line in read_lines(path, warn=warn):
        where = f"{name}:{line.number}"
        if line.text is None:
            raise DataError(f"{where}: {line.problem}")
        yield where, line.text


def _link(token: str, kinds: str, first: int, where: str) -> tuple[Link, str]:
    match = re.fullmatch(rf"([0-9]{{1,9}})([{kinds}])([0-9]{{1,9}})", token)
    if match is None:
        examples = " or ".join(f"3{kind}4" for kind in reversed(kinds))
        raise DataError(
            f"{where}: {token[:40]!r} is not a link; expected two numbers such as {examples}, with blanks between links"
        )
    i, j = int(match[1]) - first, int(match[3]) - first
    if i < 0 or j < 0:
        raise DataError(f"{where}: the link {token} has a number below {first}; gold links count from 1")
    return (i, j), match[2]
