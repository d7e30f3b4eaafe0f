"""Evaluates a model on test pairs: its outputs, the gold, and the metrics."""

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
    """The outputs of a model for test pairs, and how good they are.

    Attributes:
        gold: the distinct sources and their references.
        outputs: one for each source.
        measured: the metrics that could be measured, in the given order.
        remarks: number of sources with each kind of remark.
    """

    gold: GoldText
    outputs: list[Translation]
    measured: list[Measured]
    remarks: dict[str, int]


def trained_options(model: Translator) -> MeasureOptions:
    """The options with which dev figures were measured in training, so that test figures are comparable with them."""
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
    """Translates the distinct sources of test pairs, and measures the best output of each.

    Args:
        pairs: several targets of one source are alternatives, any of which is right.
        search: with nbest 1: one output is measured.
        tokenize: unit of BLEU; "" for that of the training.
        warn: called once each about gold in another form, a metric left out because its package is missing, and remarks on
            sources and outputs (see `jumok.decode.remarks`).
        advance: called with the number of further pairs that are done.

    Raises:
        ConfigError: no such metric or option. MissingExtra: the only metric's package is missing. DataError: no pairs.
    """
    if search.nbest > 1:
        raise ConfigError(
            f"--nbest is {search.nbest}; only one output per source is measured: leave it out (translate --nbest lists more)"
        )
    options = dataclasses.replace(trained_options(model), lowercase=lowercase)
    options = dataclasses.replace(options, tokenize=tokenize) if tokenize else options
    usable = _usable(metrics, options, warn)
    gold = gold_text(pairs, model.codec.written, warn)
    outputs: list[Translation] = []
    pairs_of = Counter((p.source, p.features) for p in pairs)
    for start in range(0, len(gold.sources), TOGETHER * search.batch_size):
        some = gold.sources[start : start + TOGETHER * search.batch_size]
        texts, features = [source for source, _ in some], [given for _, given in some]
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
    """The metrics whose packages are installed, found before the work by measuring one correct line."""
    usable = []
    for name in metrics:
        try:
            measure(name, ["a"], [["a"]], options)
            usable.append(name)
        except MissingExtra as e:
            if len(metrics) == 1:
                raise
            warn(f"left out: {e}")
    return usable
