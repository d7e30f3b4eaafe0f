"""N-best lists ranked again with another model: `jumok rescore`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from jumok.cli._options import Options, Positional
from jumok.cli._printing import put, say, warn
from jumok.cli.translate import columns
from jumok.config import LoadConfig
from jumok.errors import ConfigError, DataError
from jumok.places import ModelPath, PairsPath

if TYPE_CHECKING:
    from jumok.decode.translator import Translator
    from jumok.explain.nbest import Listed
    from jumok.runtime.translation import Translation

TOGETHER = 256  # lines whose outputs are scored together


@dataclass(frozen=True)
class Rescore(Options):
    """Rank the outputs of n-best lists again, with what another model says of them: a line in, a line out.

    jumok rescore other nbest.jsonl --weight 0.3
    jumok rescore other words.txt,nbest.txt --nbest 3
    """

    model: Positional[ModelPath]
    """Model folder, or several that judge together, an ensemble: A,B,C."""
    lists: Positional[PairsPath]
    """What `jumok translate --nbest` wrote: with --json, that file (- = standard input); else SOURCES,NBEST, the file that was
    translated and the lines of text."""
    loading: LoadConfig = field(default_factory=LoadConfig)
    weight: float = 0.5
    """Share of this model's score in the new one; the rest is the score in the list. 0 = as it was; 1 = this model's alone."""
    length_penalty: float = 1.0
    """This model's score is log-probability / length ** length-penalty; 0 = no normalisation."""
    nbest: int = 1
    """Outputs written for a line, with their scores if there are several."""
    json: bool = False
    """A JSON object a line, as it was read, with the new scores and in the new order."""

    READ_ON: ClassVar[str] = "docs/decoding.md, docs/commands.md"

    def check(self, where: str) -> None:
        from jumok.decode.rescoring import check

        check(self.weight, self.length_penalty)
        if self.nbest < 1:
            raise ConfigError(f"{where}: nbest is {self.nbest}; it must be 1 or more")


def rescore(o: Rescore, given: Collection[str]) -> int:
    from jumok.explain.data import to_json_line
    from jumok.explain.nbest import read_nbest
    from jumok.runtime import load
    from jumok.runtime.translation import Translation

    model = load(o.model, o.loading.engine)
    tabs = "\t" in model.codec.source.vocabulary
    lists = read_nbest(o.lists, model.config.text, warn=warn, note=lambda text: say(f"note: {text}"), tabs=tabs)
    n = usable = 0
    empty = Translation("", "", (), (), None, 0.0, 0.0)
    while chunk := list(islice(lists, TOGETHER)):
        for listed, t in zip(chunk, _rescored(model, chunk, o), strict=True):
            n, usable = n + 1, usable + (listed.outputs is not None)
            t = t or empty
            t = replace(t, alternatives=t.alternatives[: o.nbest - 1])
            put(to_json_line(t) if o.json else columns(t, scores=o.nbest > 1, confidence=False))
    if n and not usable:
        raise DataError(f"{o.lists}: none of its {n:,} lines could be used; wanted what `jumok translate --nbest` writes")
    return 0


def _rescored(model: Translator, chunk: list[Listed], o: Rescore) -> Iterator[Translation | None]:
    from jumok.decode.rescoring import rescore

    outputs = [listed.outputs for listed in chunk]
    known = [t for t in outputs if t is not None]
    features = [listed.features for listed in chunk if listed.outputs is not None]
    done = iter(rescore(model, known, weight=o.weight, length_penalty=o.length_penalty, features=features))
    for t in outputs:
        yield None if t is None else next(done)
