"""A model measured on test pairs: its outputs beside the gold, both in one form, and the metrics of them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jumok.config import SearchConfig
from jumok.decode.remarks import LONGER, Remarks
from jumok.decode.translator import Translator
from jumok.errors import ConfigError, MissingExtra
from jumok.measure.gold import GoldText, gold_text
from jumok.measure.metrics import METRICS, Measured, MeasureOptions, measure, options_for
from jumok.runtime.translation import Translation
from jumok.text.pairs import Pair

GREEDY = SearchConfig()
TOGETHER = 16  # batches that are sorted by length together


@dataclass(frozen=True)
class Evaluated:
    """What a model made of test pairs.

    Attributes:
        gold: the different sources and their references.
        outputs: one for each of them.
        measured: the metrics that could be measured, in the order asked for.
        remarks: how many sources had what was remarkable, by what it was.
    """

    gold: GoldText
    outputs: list[Translation]
    measured: list[Measured]
    remarks: dict[str, int]


def trained_options(model: Translator) -> MeasureOptions:
    """How a model's outputs were looked at when dev picked it: what makes dev and test figures comparable."""
    learn = model.config.training.get("learn")
    tokenize = learn.get("tokenize") if isinstance(learn, dict) else None
    return options_for(model.config.text, tokenize if isinstance(tokenize, str) else None)


def evaluate(
    model: Translator,
    pairs: Sequence[Pair],
    metrics: Sequence[str] = tuple(METRICS),
    search: SearchConfig = GREEDY,
    tokenize: str = "",
    lowercase: bool = False,
    warn: Callable[[str], None] = lambda _: None,
    advance: Callable[[int], None] = lambda _: None,
) -> Evaluated:
    """Translates the different sources of test pairs, and measures the best output of each.

    Args:
        pairs: several targets of one source are alternatives, any of which is right.
        search: with nbest 1: one output is measured.
        tokenize: of BLEU; "" for that of the training.
        warn: told once where gold is put in another form, of a metric that is left out because its package is missing, and of
            sources and outputs that are remarkable (see `jumok.decode.remarks`).
        advance: told how many more pairs are done.

    Raises:
        ConfigError: no such metric or option. MissingExtra: the only metric's package is missing. DataError: no pairs.
    """
    if search.nbest > 1:
        raise ConfigError(
            f"--nbest is {search.nbest}; one output for each source is measured: leave it out (translate --nbest lists more)"
        )
    options = dataclasses.replace(trained_options(model), lowercase=lowercase)
    options = dataclasses.replace(options, tokenize=tokenize) if tokenize else options
    usable = _usable(metrics, options, warn)
    gold = gold_text(pairs, model.codec.written, warn)
    outputs: list[Translation] = []
    pairs_of = Counter((p.source, p.features) for p in pairs)
    for start in range(0, len(gold.sources), TOGETHER * search.batch_size):
        some = gold.sources[start : start + TOGETHER * search.batch_size]
        texts, features = [source for source, _ in some], [own for _, own in some]
        outputs += model.translate(texts, features=features, **vars(search))
        advance(sum(pairs_of[key] for key in some))
    remarks = Remarks(model, "an empty output is compared", LONGER)
    lines = {(p.source, p.features): p.where for p in reversed(pairs)}  # the first of each
    for key, output in zip(gold.sources, outputs, strict=True):
        remarks.see(lines[key], output)
    remarks.tell(warn)
    measured = [measure(name, [t.text for t in outputs], gold.references, options) for name in usable]
    return Evaluated(gold, outputs, measured, remarks.counts())


def _usable(metrics: Sequence[str], options: MeasureOptions, warn: Callable[[str], None]) -> list[str]:
    """The metrics whose packages are there; what cannot be is found out before the work, on a line that is right."""
    found = []
    for name in metrics:
        try:
            measure(name, ["a"], [["a"]], options)
            found.append(name)
        except MissingExtra as e:
            if len(metrics) == 1:
                raise
            warn(f"left out: {e}")
    return found
