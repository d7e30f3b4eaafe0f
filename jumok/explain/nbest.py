"""Reads n-best lists as `jumok translate --nbest` writes them: JSON Lines, or the sources and the lines of text.

A line of text has, for each output, the text and its score. It does not have the source; that comes from a second file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

from jumok.config import TextConfig
from jumok.errors import DataError
from jumok.explain.data import from_json
from jumok.runtime.translation import Translation
from jumok.text.lines import Line, read_lines, source_name
from jumok.text.pairs import NAMED_SINGLY, files_of, unequal
from jumok.text.sources import Source, read_sources

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Listed:
    """A line's n-best list.

    Attributes:
        where: "file:line".
        outputs: the outputs with their scores; of a list without tokens only source, text and score are known. None for a line that
            cannot be used.
        features: of the source, if the list has no tokens.
    """

    where: str
    outputs: Translation | None
    features: tuple[str, ...] = ()


def read_nbest(path: str, text: TextConfig, *, warn: Warn, note: Warn, tabs: bool = False) -> Iterator[Listed]:
    """Yields the n-best list of every line. A line that cannot be used has none, and gets a warning.

    Args:
        path: JSON Lines, as `jumok translate --nbest N --json` writes them (`-` = standard input); or "SOURCES,NBEST": what was
            translated, and what `jumok translate --nbest N` made of it. All may end in `.gz`.
        text, note, tabs: for SOURCES, as for `read_sources`.

    Raises:
        DataError: a file is missing, a folder, damaged, or not text; the two have not as many lines.
    """
    files = files_of(path)
    found = _json(files[0], warn) if len(files) == 1 else _text((files[0], files[1]), text, warn, note, tabs)
    refused = 0
    for listed, problem in found:
        refused += bool(problem)
        if problem and refused <= NAMED_SINGLY:
            warn(f"{listed.where}: {problem}; an empty line is written for it")
        yield listed
    if refused > NAMED_SINGLY:
        warn(f"{path}: {refused:,} lines in all could not be used; the first {NAMED_SINGLY} are named above")


def _json(file: str, warn: Warn) -> Iterator[tuple[Listed, str]]:
    for line in read_lines(file, warn=warn):
        where = f"{source_name(file)}:{line.number}"
        try:
            yield Listed(where, from_json(_usable(line))), ""
        except DataError as e:
            more = "" if line.text and line.text.lstrip().startswith("{") else "; for lines of text give SOURCES,NBEST"
            yield Listed(where, None), f"{e}{more}"


def _text(files: tuple[str, str], text: TextConfig, warn: Warn, note: Warn, tabs: bool) -> Iterator[tuple[Listed, str]]:
    sources = (s for s in read_sources(files[0], text, warn=warn, note=note, tabs=tabs) if s is not None)
    lists = read_lines(files[1], warn=warn)
    for number, (source, line) in enumerate(zip_longest(sources, lists), 1):
        if source is None or line is None:
            more = number + sum(1 for _ in (lists if source is None else sources))
            raise unequal(files, (number - 1, more) if source is None else (more, number - 1))
        where = f"{source_name(files[1])}:{line.number}"
        try:
            yield Listed(where, None if source.problem else _listed(source, _usable(line)), source.features), ""
        except DataError as e:
            yield Listed(where, None, source.features), str(e)


def _usable(line: Line) -> str:
    if line.text is None:
        raise DataError(line.problem or "")
    return line.text


def _listed(source: Source, content: str) -> Translation:
    """The outputs of a line: text, a TAB, score, for each."""
    cells = content.split("\t")
    if len(cells) % 2:
        have = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        raise DataError(f"the line has {have}; wanted two for each output, its text and its score")
    pairs = zip(cells[::2], cells[1::2], strict=True)
    outputs = [Translation(source.text, words, (), (), None, 0.0, _score(number)) for words, number in pairs]
    return replace(outputs[0], alternatives=tuple(outputs[1:]))


def _score(cell: str) -> float:
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not -1e300 < score <= 0:
        raise DataError(
            f"{cell[:40]!r} stands where a score should, a number up to 0; wanted TEXT, a TAB, SCORE for each output (of --mbr or "
            "--confidence, give what translate writes with --json)"
        )
    return score
