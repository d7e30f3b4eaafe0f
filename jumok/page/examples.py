"""Examples that a page offers: from a file, from Python, or a few of the pairs that the model was trained with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from jumok.errors import DataError, JumokError
from jumok.page.build import Example
from jumok.runtime.folder import FolderConfig
from jumok.text import read_pairs
from jumok.text.given import features_of
from jumok.text.sources import read_sources

SHOWN = 8
LOOKED_AT = 5000  # lines of the training's pairs among which examples are chosen


def given_examples(file: str, config: FolderConfig, *, warn: Callable[[str], None]) -> list[Example]:
    """The first lines of a file that can be used: pairs in the model's columns, or sources, as `jumok translate` reads them.

    Raises:
        DataError: the file is missing or not text.
    """
    found = [
        Example(source.text, source.features)
        for source in read_sources(file, config.text, warn=warn, note=lambda _: None)
        if source is not None and not source.problem and source.text.strip()
    ][:SHOWN]
    golds: dict[str, str] = {}
    if file != "-":
        with contextlib.suppress(JumokError):  # it may have sources alone
            golds = {pair.source: pair.target for pair in read_pairs(file, config.text, warn=lambda _: None)}
    return [Example(e.source, e.features, golds.get(e.source, "")) for e in found]


def examples_of(given: Sequence[Any], separator: str) -> list[Example]:
    """Sources, or tuples (source, gold) or (source, gold, features), as Python gives them. DataError for anything else."""
    if isinstance(given, str):
        given = [given]
    found = []
    for i, one in enumerate(given, 1):
        source, gold, *rest = (
            (one, "") if isinstance(one, str) else one if isinstance(one, tuple) and len(one) in (2, 3) else (None, "")
        )
        if not isinstance(source, str) or not isinstance(gold, str):
            raise DataError(
                f"example {i} is {one!r:.80}; wanted a string, or a tuple (source, gold) or (source, gold, features)"
            )
        found.append(Example(source, features_of(rest[0], separator, f"example {i}") if rest else (), gold))
    return found


def own_examples(config: FolderConfig) -> list[Example]:
    """A few pairs of the model's dev or training file, of usual length, if it is still where it was; else none."""
    for name in ("dev", "pairs"):
        path = config.training.get(name)
        if not isinstance(path, str) or path in ("", "-") or not all(Path(part).is_file() for part in path.split(",")):
            continue
        try:
            pairs = list(islice(read_pairs(path, config.text, warn=lambda _: None), LOOKED_AT))
        except JumokError:
            continue
        if pairs:
            return _usual([Example(p.source, p.features, p.target) for p in pairs if p.source.strip()])
    return []


def _usual(examples: list[Example]) -> list[Example]:
    """Some of middle length, spread over the file."""
    by_length = sorted(range(len(examples)), key=lambda i: (len(examples[i].source), i))
    middle = sorted(by_length[len(by_length) // 3 : max(1, 2 * len(by_length) // 3)])
    return [examples[i] for i in middle[:: max(1, len(middle) // SHOWN)][:SHOWN]]
