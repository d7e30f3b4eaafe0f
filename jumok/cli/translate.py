"""Lines in, lines out: `jumok translate`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import ClassVar

from tyro.conf import OmitArgPrefixes, Positional

from jumok import config
from jumok.cli._options import Options
from jumok.cli._printing import one_line, say, warn
from jumok.config import LoadConfig, SearchConfig
from jumok.places import LinesPath, ModelPath


@dataclass(frozen=True)
class Translate(Options):
    """Translate lines: a line in, a line out, always.

    echo attention | jumok translate model --beam 5
    """

    model: Positional[ModelPath]
    """Model folder."""
    file: Positional[LinesPath] = "-"
    """What to translate (.gz too; - = standard input): a source a line, with features SOURCE, a TAB, FEATURES; a table (line 1
    has a TAB, with features two), in the columns of the training pairs; or JSONL. Lines that have come do not wait for more."""
    search: OmitArgPrefixes[SearchConfig] = field(default_factory=SearchConfig)
    loading: OmitArgPrefixes[LoadConfig] = field(default_factory=LoadConfig)
    json: bool = False
    """A JSON object a line: text, tokens, attention weights, scores, and the n-best list."""

    READ_ON: ClassVar[str] = "docs/input.md, docs/commands.md"

    def check(self, where: str) -> None:
        config.check(self.search, where)


def translate(o: Translate, given: Collection[str]) -> int:
    from jumok.decode.answers import answers
    from jumok.runtime import Translation, load

    written: Callable[[Translation], str] = lambda t: one_line(t.text)  # noqa: E731
    if o.json:
        from jumok.explain import to_json_line as written
    elif o.search.nbest > 1:
        written = lambda t: "\t".join(f"{one_line(n.text)}\t{n.score:.4f}" for n in (t, *t.alternatives))  # noqa: E731
    note = lambda text: say(f"note: {text}")  # noqa: E731
    for t in answers(load(o.model, o.loading.engine), o.file, o.search, flush=lambda: sys.stdout.flush(), warn=warn, note=note):
        print(written(t))
    return 0
