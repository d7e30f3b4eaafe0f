"""Examples that a page offers: from a file, or a few lines of the pairs that the model was trained with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

from jumok.decode.translator import Translator
from jumok.errors import JumokError
from jumok.page.build import Example
from jumok.text import read_pairs
from jumok.text.sources import read_sources

SHOWN = 6
LOOKED_AT = 2000  # lines of the training's pairs among which examples are chosen


def given_examples(file: str, model: Translator, *, warn: Callable[[str], None]) -> list[Example]:
    """The lines of a file, as `jumok translate` and `jumok train` read them: sources, or pairs in the model's own columns."""
    text, found = model.config.text, list[Example]()
    try:
        pairs = list(islice(read_pairs(file, text, warn=warn), LOOKED_AT))
        return [Example(p.source, p.features, p.target) for p in pairs if p.source.strip()]
    except JumokError:
        pass  # not a table of pairs: lines of sources
    for source in read_sources(file, text, warn=warn, note=lambda _: None, tabs=False):
        if source is not None and not source.problem and source.text.strip():
            found.append(Example(source.text, source.features))
    return found


def own_examples(model: Translator) -> list[Example]:
    """A few pairs of the model's dev or training file, of usual length, if it is still where it was; else none."""
    training = model.config.training
    for name in ("dev", "pairs"):
        path = training.get(name)
        if not isinstance(path, str) or not path or path == "-" or not all(Path(p).is_file() for p in path.split(",")):
            continue
        try:
            pairs = list(islice(read_pairs(path, model.config.text, warn=lambda _: None), LOOKED_AT))
        except JumokError:
            continue
        if pairs:
            return _usual([Example(p.source, p.features, p.target) for p in pairs if p.source.strip()])
    return []


def _usual(all_of_them: list[Example]) -> list[Example]:
    """Some of middle length, spread over the file."""
    by_length = sorted(range(len(all_of_them)), key=lambda i: (len(all_of_them[i].source), i))
    middle = sorted(by_length[len(by_length) // 3 : max(1, 2 * len(by_length) // 3)])
    step = max(1, len(middle) // SHOWN)
    return [all_of_them[i] for i in middle[::step][:SHOWN]]
