"""Lines in, lines out: `jumok translate`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from jumok import config
from jumok.cli._options import SEARCH, Options, Positional
from jumok.cli._printing import one_line, put, say, warn
from jumok.config import LoadConfig, SearchConfig
from jumok.errors import ConfigError
from jumok.places import LinesPath, ModelPath

if TYPE_CHECKING:
    from jumok.runtime.translation import Translation


@dataclass(frozen=True)
class Translate(Options):
    """Translate lines: a line in, a line out, always.

    echo attention | jumok translate model --beam 5
    jumok translate model words.txt --beam 5 --nbest 3 --confidence
    jumok translate model words.txt --sample 3 --json > samples.jsonl
    """

    model: Positional[ModelPath]
    """Model folder, or several that write together, an ensemble: A,B,C."""
    file: Positional[LinesPath] = "-"
    """What to translate (.gz too; - = standard input): a source a line (several with a TAB between two), with features SOURCE, a
    TAB, FEATURES; a table (line 1 has more TABs), in the columns of the training pairs; or JSONL. Lines do not wait for more."""
    search: SearchConfig = field(default_factory=SearchConfig)
    prefix_column: int = 0
    """Column of a table that has a --prefix for each line; 0 = none. In JSONL it is the key "prefix", or "prefix_tokens"."""
    loading: LoadConfig = field(default_factory=LoadConfig)
    json: bool = False
    """A JSON object a line: text, tokens, attention weights, scores, and the n-best list."""
    confidence: bool = False
    """Two more columns for each output: the probability of the whole output, and of its least likely token (0 to 1)."""

    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {
        "files": ("model", "file"),
        **SEARCH,
        "output": ("json", "confidence"),
        "computing": ("engine", "batch_size", "config"),
    }
    READ_ON: ClassVar[str] = "docs/decoding.md, docs/input.md, docs/commands.md"

    def check(self, where: str) -> None:
        config.check(self.search, where)
        if self.prefix_column < 0:
            raise ConfigError(f"{where}: prefix_column is {self.prefix_column}; it must be 0 or more")
        if self.confidence and self.json:
            raise ConfigError(
                f"{where}: confidence adds columns to lines of text, but json is on, which has the probabilities always: "
                "leave --confidence out"
            )


def columns(t: Translation, scores: bool, confidence: bool) -> str:
    """An output, and those of its n-best list, as columns: the text; and, as they are asked for, its score and its probabilities."""
    cells: list[str] = []
    for output in (t, *t.alternatives):
        cells += [one_line(output.text), *[f"{output.score:.4f}"] * scores]
        if confidence:
            from jumok.explain.confidence import columns as probabilities

            cells += probabilities(output)
    return "\t".join(cells)


def translate(o: Translate, given: Collection[str]) -> int:
    from jumok.decode.answers import answers
    from jumok.runtime import load
    from jumok.text.sources import SourceFile

    written: Callable[[Translation], str] = lambda t: one_line(t.text)  # noqa: E731
    if o.json:
        from jumok.explain import to_json_line as written
    elif o.search.outputs > 1 or o.confidence:
        written = partial(columns, scores=o.search.outputs > 1, confidence=o.confidence)
    note = lambda text: say(f"note: {text}")  # noqa: E731
    model, flush = load(o.model, o.loading.engine), lambda: sys.stdout.flush()
    for t in answers(model, SourceFile(o.file, o.prefix_column), o.search, flush=flush, warn=warn, note=note):
        put(written(t))
    return 0
