"""Evaluates a model on test pairs: its outputs, the gold, and the metrics."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jumok import config
from jumok.config import SearchConfig, build
from jumok.decode.asked import in_words
from jumok.decode.remarks import LONGER, Remarks
from jumok.decode.translator import Translator, load
from jumok.errors import ConfigError, DataError, MissingExtra
from jumok.keywords import done_by
from jumok.measure.gold import GoldText, check_uncut, gold_text
from jumok.measure.metrics import METRICS, Measured, MeasureOptions, measure, options_for
from jumok.measure.reliability import CALIBRATION, calibration
from jumok.measure.report import table
from jumok.places import expand
from jumok.runtime.translation import Translation
from jumok.text.given import Features, pairs_of
from jumok.text.pairs import Pair, read_pairs

Pairs = str | Path | Sequence[Pair | tuple[str, str] | tuple[str, str, Features]]
TOGETHER = 16  # batches that are sorted by length together


@dataclass(frozen=True)
class Evaluation:
    """The outputs of a model for test pairs, and how good they are; `print` shows the metrics as a table.

    Attributes:
        metrics: by name, those that could be measured, in the given order: `metrics["accuracy"].value`.
        gold: the distinct sources and their references.
        outputs: a `Translation` for each source.
        remarks: number of sources with each kind of remark.
        search: how outputs were searched for: "greedy" or "beam 5, length penalty 1".
    """

    metrics: dict[str, Measured]
    gold: GoldText
    outputs: list[Translation]
    remarks: dict[str, int]
    search: str

    @property
    def sources(self) -> list[str]:
        """The different sources, in the order of their first line."""
        return [source for source, _ in self.gold.sources]

    @property
    def references(self) -> list[list[str]]:
        """All right targets of each source, in the form that outputs have."""
        return self.gold.references

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {m.value:.2f}" for name, m in self.metrics.items())
        return f"<Evaluation of {len(self.outputs):,} sources, {self.search}: {figures}>"

    def __str__(self) -> str:
        return "\n".join([f"{len(self.outputs):,} sources, {self.search}", *table(list(self.metrics.values()))])


def trained_options(model: Translator) -> MeasureOptions:
    """The options with which dev figures were measured in training, so that test figures are comparable with them."""
    learn = model.config.training.get("learn")
    tokenize = learn.get("tokenize") if isinstance(learn, dict) else None
    return options_for(model.config.text, tokenize if isinstance(tokenize, str) else None)


def _evaluate(
    model: Translator | str | Path | Sequence[str | Path],
    pairs: Pairs,
    metrics: Sequence[str] = tuple(METRICS),
    *,
    tokenize: str = "",
    lowercase: bool = False,
    warn: Callable[[str], None] | None = None,
    **options: Any,
) -> Evaluation:
    if warn is None:
        said: list[str] = []
        try:
            return _evaluate(model, pairs, metrics, tokenize=tokenize, lowercase=lowercase, warn=said.append, **options)
        finally:
            for text in said:
                warnings.warn(text, stacklevel=3)  # at the line that calls `evaluate`
    advance: Callable[[int], None] = options.pop("advance", lambda _: None)
    search = build(SearchConfig, options, "evaluate")
    if search.outputs > 1:
        raise ConfigError(
            f"evaluate: {search.outputs} outputs of each source are asked for, and one is measured: give sample=1, or mbr to choose one"
        )
    model = model if isinstance(model, Translator) else load(model)
    choice = dataclasses.replace(trained_options(model), lowercase=lowercase)
    choice = dataclasses.replace(choice, tokenize=tokenize) if tokenize else choice
    for text in model.notes(search):
        warn(text)
    usable = _usable([metrics] if isinstance(metrics, str) else metrics, choice, warn)
    read = _pairs(pairs, model, warn)
    gold = gold_text(read, model.codec.written, warn)
    if "bleu" in usable:
        check_uncut(gold.references, choice, warn)
    outputs: list[Translation] = []
    counts = Counter((p.source, p.features) for p in read)
    for start in range(0, len(gold.sources), TOGETHER * search.batch_size):
        some = gold.sources[start : start + TOGETHER * search.batch_size]
        texts, features = [source for source, _ in some], [given for _, given in some]
        outputs += model.translate(texts, features=features, **vars(search))
        advance(sum(counts[key] for key in some))
    remarks = Remarks(model, "an empty output is compared", LONGER)
    lines = {(p.source, p.features): p.where for p in reversed(read)}  # the first of each
    for key, output in zip(gold.sources, outputs, strict=True):
        remarks.see(lines[key], output)
    remarks.tell(warn)
    texts = [t.text for t in outputs]
    measured = {
        name: calibration([t.probability for t in outputs], texts, gold.references, choice)
        if name == CALIBRATION
        else measure(name, texts, gold.references, choice)
        for name in usable
    }
    return Evaluation(measured, gold, outputs, remarks.counts(), str(search) + in_words(search))


@done_by(_evaluate)
def evaluate(
    model: Translator | str | Path | Sequence[str | Path],
    pairs: Pairs,
    metrics: Sequence[str] = tuple(METRICS),
    *,
    # options: SearchConfig -nbest
    beam: int = 1,
    length_penalty: float = 1.0,
    max_length: int | None = None,
    batch_size: int = 64,
    length_norm: config.LengthNormName = "power",
    coverage_penalty: float = 0.0,
    groups: int = 1,
    diversity: float = 0.5,
    sample: int = 0,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 1,
    mbr: str = "",
    prefix: str | Sequence[str] = "",
    prefix_tokens: Sequence[str] | Sequence[Sequence[str]] = (),
    forbid: Sequence[str] = (),
    forbid_text: Sequence[str] = (),
    allow: Sequence[str] = (),
    require: Sequence[str] | Sequence[Sequence[str]] = (),
    min_length: int = 0,
    no_repeat: int = 0,
    only: str | Path | Sequence[str] = "",
    only_words: str | Path | Sequence[str] = "",
    unknown: config.UnknownName = "keep",
    # end of options
    tokenize: str = "",
    lowercase: bool = False,
    warn: Callable[[str], None] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Translates the different sources of test pairs, and measures the best output of each.

    Args:
        model: a `Translator`, the path of a model folder, or several paths: an ensemble, as for `jumok.load`.
        pairs: a path, as for `jumok.train`; or a sequence of `jumok.text.Pair`, or of tuples (source, target) or (source, target,
            features). Several targets of one source are alternatives, any of which is right.
        metrics: names of `jumok.measure.METRICS`, or one of them; and calibration, whether the probabilities of outputs are right.
        tokenize: sacrebleu's tokenizer for BLEU; "" for that of the training.
        lowercase: compare without regard to case.
        warn: called once each about gold in another form, about tokens that BLEU cuts again, about a metric that is left out because
            its package is missing, and of sources and outputs that are remarkable. Default: Python's warnings.
        advance: called with the number of further pairs that are done.

    All options of `SearchConfig`, without `nbest`:
        beam: Hypotheses kept at each step; 1 = greedy.
        length_penalty: Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation.
        max_length: Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs.
        batch_size: Lines decoded together.
        length_norm: What length_penalty is the power of: power = length; wu = (5 + length) / 6, as in Wu et al. 2016.
        coverage_penalty: Ranks hypotheses lower that leave source positions out: adds this times Σ log min(coverage, 1), as in
            Wu et al. 2016.
        groups: Diverse beams: into how many groups beam is divided; each is kept from tokens that those before it write at the
            same step.
        diversity: How much a token loses in log-probability for each hypothesis of an earlier group that writes it at the same
            step.
        sample: Draws this many outputs of each line from the model's distribution, instead of a search for the best; 0 = none.
        temperature: With sample: logits are divided by it; below 1 likely tokens become likelier, above 1 all become more
            equal.
        top_k: With sample: only the k likeliest tokens of a step can be drawn; 0 = all.
        top_p: With sample: only the likeliest tokens of a step that together reach this probability can be drawn; 1 = all.
        seed: With sample: another seed gives other samples. A line has the same samples wherever it stands.
        mbr: Minimum Bayes risk: of all samples, or of the whole beam, writes the output nearest to all of them by this metric
            of evaluate (accuracy, token-error-rate, bleu, chrf, …).
        prefix: Every output begins with this text, whose last word may go on. A line's own goes before it (JSONL key "prefix").
        prefix_tokens: As prefix, but target tokens, which are written as they are.
        forbid: Target tokens that are not written.
        forbid_text: Texts that occur in no output. Beginning and end of an output count as a blank.
        allow: Only these target tokens are written.
        require: Texts that occur in every output, as words (char: anywhere). Needs a beam of one more than their tokens. A
            line's own (JSONL key "require") go before them.
        min_length: Fewest tokens written for a line; as for max_length, </s> is one.
        no_repeat: With 3, no three tokens in a row are written twice in an output, and likewise with other numbers; 0 = all
            may.
        only: File of all outputs there may be, one a line; the likeliest of them is found for each line.
        only_words: File of all words that outputs may have, one a line; punctuation between them is free.
        unknown: keep: <unk> may be written; forbid: it is not; copy: the source token with the most attention takes its place
            in the text.

    Raises:
        ConfigError: no such metric or option. MissingExtra: the only metric's package is missing. DataError: no pairs, or what is
            none. FolderError: no model folder.
    """
    raise NotImplementedError


def _pairs(given: Pairs, model: Translator, warn: Callable[[str], None]) -> list[Pair]:
    """The pairs of a file, or those given; DataError where there are none."""
    if isinstance(given, str | Path):
        return read_pairs(expand(str(given), "pairs"), model.config.text, warn=warn)
    read = [pair for pair in pairs_of(given, model.config.text) if pair is not None]
    if not read:
        raise DataError("evaluate: there are no pairs; wanted a path, or a sequence of pairs")
    return read


def _usable(metrics: Sequence[str], options: MeasureOptions, warn: Callable[[str], None]) -> list[str]:
    """The metrics whose packages are installed, found before the work by measuring one correct line."""
    usable = []
    if not metrics:
        raise ConfigError(f"evaluate: no metric is asked for; there are {', '.join(METRICS)}, {CALIBRATION}")
    for name in metrics:
        try:
            if name not in (CALIBRATION, *METRICS):
                raise ConfigError(f"metric is {name!r}; it must be one of {', '.join(METRICS)}, {CALIBRATION}")
            if name != CALIBRATION:
                measure(name, ["a"], [["a"]], options)
            usable.append(name)
        except MissingExtra as e:
            if len(metrics) == 1:
                raise
            warn(f"left out: {e}")
    return usable
