"""The metrics: hypotheses and references in, a number with its signature out; the table METRICS.

Letters: N lines. Hypotheses are N strings, references N lists of one or more strings (any of them is right for the line).
A number means little without the way it was measured, so each carries a signature, as in sacrebleu (Post 2018).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from jumok import __version__
from jumok.config import TextConfig
from jumok.errors import ConfigError, DataError, need
from jumok.measure.edits import edits
from jumok.text.tokenizers import TOKENIZERS

Unit = Literal["char", "space"]
Form = Literal["NFC", "none"]
IN_CHARACTERS = ("char", "zh", "ja-mecab")  # tokenizers of BLEU for text without blanks between words
References = Sequence[Sequence[str]]


@dataclass(frozen=True)
class MeasureOptions:
    """How metrics treat text; what a metric uses is in its signature."""

    unit: Unit = "char"
    """Tokens of the token error rate. char: code points, blanks included; space: whatever is between blanks (phones, words)."""
    tokenize: str = "13a"
    """sacrebleu's tokenizer for BLEU: 13a, none (text is tokenised already), char, intl, zh, ja-mecab, ko-mecab, ..."""
    lowercase: bool = False
    """Ignore case (str.lower), in every metric."""
    form: Form = "none"
    """NFC: outputs and references are composed (NFC) and blanks at their ends are removed before they are compared, so that
    text that looks the same is the same; `options_for` sets this. none: compare code point by code point."""

    def comparable(self, text: str) -> str:
        """An output or a reference in the form in which it is compared."""
        text = unicodedata.normalize("NFC", text).strip() if self.form == "NFC" else text
        return text.lower() if self.lowercase else text


def options_for(text: TextConfig, tokenize: str | None) -> MeasureOptions:
    """The options for a model's outputs, the same in training, `jumok evaluate` and studies, so that figures are comparable.

    Tokens of the token error rate are characters if the model's tokens are, or if BLEU counts characters; else whatever is
    between blanks.

    Args:
        tokenize: as the model was trained (`LearnConfig.tokenize`); None for a model from before it was recorded.
    """
    cut = TOKENIZERS[text.target_tokenizer]
    tokenize = tokenize or ("none" if cut.between_blanks else "13a")
    fine = cut.characters or (not cut.between_blanks and tokenize in IN_CHARACTERS)
    return MeasureOptions(unit="char" if fine else "space", tokenize=tokenize, form="NFC")


@dataclass(frozen=True)
class Measured:
    """The value of one metric.

    Attributes:
        name: the key in METRICS.
        value: the number, in the metric's unit (0 to 100; a token error rate may be above 100).
        signature: how the number was measured; two values are comparable if their signatures are equal.
        detail: further numbers by name.
        counts: [N, 2] float64, a numerator and a denominator for each line with value = 100 · Σ numerator / Σ denominator;
            None for a metric that is not such a ratio (BLEU, chrF).
    """

    name: str
    value: float
    signature: str
    detail: dict[str, Any]
    counts: np.ndarray | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Metric:
    """A metric and its properties.

    Attributes:
        name: as in METRICS.
        function: (hypotheses, references, options) -> Measured; `measure` has checked its input.
        unit: what follows the number: "%", or "" for a score from 0 to 100.
        higher_is_better: the direction that model selection follows.
        needs: a package beyond Jumok's own dependencies, or None.
        title: its name in a sentence.
        second: another metric, which studies show next to it.
        column: its heading in the log of a training; fields of MeasureOptions in braces are filled in; "" for its name.
        advice: what to do if it is the same at every evaluation.
    """

    name: str
    function: Callable[[Sequence[str], References, MeasureOptions], Measured]
    unit: str
    higher_is_better: bool
    needs: str | None
    title: str
    second: str = "accuracy"
    column: str = ""
    advice: str = "another --metric may tell more"


class PairLike(Protocol):
    """What `merge_references` needs of a `jumok.text.pairs.Pair`."""

    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def features(self) -> tuple[str, ...]: ...


def merge_references(
    pairs: Iterable[PairLike], targets: Iterable[str] | None = None
) -> tuple[list[tuple[str, tuple[str, ...]]], list[list[str]]]:
    """The distinct (source, features) of pairs, in the order of their first line, and all targets of each, without repeats.

    A dictionary such as CMUdict lists a word once for each of its pronunciations; any of them is right.

    Args:
        targets: used instead of the targets of the pairs, one for each pair.
    """
    pairs = list(pairs)
    merged: dict[tuple[str, tuple[str, ...]], dict[str, None]] = {}
    for pair, target in zip(pairs, (p.target for p in pairs) if targets is None else targets, strict=True):
        merged.setdefault((pair.source, pair.features), {})[target] = None
    return list(merged), [list(alternatives) for alternatives in merged.values()]


def measure(
    name: str, hypotheses: Sequence[str], references: References, options: MeasureOptions = MeasureOptions()
) -> Measured:
    """One metric over N lines, hypotheses and references in the same form (`MeasureOptions.form`).

    References that become equal count once. Raises ConfigError (no such metric or option), DataError (lines), MissingExtra (package)."""
    if name not in METRICS:
        raise ConfigError(f"metric is {name!r}; it must be one of {', '.join(METRICS)}")
    if len(hypotheses) != len(references):
        raise DataError(
            f"measuring {name}: got {len(hypotheses)} hypotheses and {len(references)} lists of references; "
            "there must be one list for each hypothesis; check that no line was lost"
        )
    if not hypotheses:
        raise DataError(f"measuring {name}: there are no lines; check that the test file is not empty")
    for line, alternatives in enumerate(references, 1):
        if isinstance(alternatives, str) or not alternatives:
            raise DataError(
                f"measuring {name}: line {line} has {alternatives!r} as references; "
                "it must be a list of one or more strings; leave the line out or give it a reference"
            )
    metric = METRICS[name]
    if metric.needs:
        need(f"the metric {name}", "train", metric.needs)
    hypotheses = [options.comparable(text) for text in hypotheses]
    references = [list(dict.fromkeys(map(options.comparable, alternatives))) for alternatives in references]
    return metric.function(hypotheses, references, options)


def _signature(references: References, options: MeasureOptions, **more: str) -> str:
    sizes = {len(alternatives) for alternatives in references}
    parts = {
        "refs": str(sizes.pop()) if len(sizes) == 1 else "var",
        "n": str(len(references)),
        "case": "lc" if options.lowercase else "mixed",
        **_form(options),
        **more,
        "version": f"jumok-{__version__}",
    }
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def _form(options: MeasureOptions) -> dict[str, str]:
    return {} if options.form == "none" else {"form": f"{options.form},trimmed"}


def _with_form(signature: str, options: MeasureOptions) -> str:
    """A signature of sacrebleu's, with the form added."""
    return "|".join([signature, *(f"{key}:{value}" for key, value in _form(options).items())])


def _accuracy(hypotheses: Sequence[str], references: References, options: MeasureOptions) -> Measured:
    """Percent of lines that equal one of their references, in the form of the options."""
    right = np.array([h in set(r) for h, r in zip(hypotheses, references, strict=True)], dtype=np.float64)
    value = 100 * float(right.mean())
    return Measured(
        name="accuracy",
        value=value,
        signature="accuracy|" + _signature(references, options),
        detail={"wer": 100 - value, "correct": int(right.sum()), "lines": len(right)},
        counts=np.stack([right, np.ones_like(right)], axis=1),
    )


def _token_error_rate(hypotheses: Sequence[str], references: References, options: MeasureOptions) -> Measured:
    """100 · Σ edits to the nearest reference / Σ tokens of that reference.

    Edits are Levenshtein's (insert, delete, substitute at cost 1), so extra tokens count as errors wherever they are, also at
    the start. Nearest means fewest edits; among equals, the reference with most tokens, so that the order of the references
    does not matter.
    """
    if options.unit not in ("char", "space"):
        raise ConfigError(f"unit of token-error-rate is {options.unit!r}; it must be 'char' or 'space'")

    def cut(text: str) -> Sequence[str]:
        return text if options.unit == "char" else text.split()

    counts = np.zeros((len(hypotheses), 2))
    for line, (hypothesis, alternatives) in enumerate(zip(hypotheses, references, strict=True)):
        tokens = cut(hypothesis)
        gold = [cut(alternative) for alternative in alternatives]
        counts[line] = min(((edits(tokens, g), len(g)) for g in gold), key=lambda pair: (pair[0], -pair[1]))
    wrong, total = (int(part) for part in counts.sum(axis=0))
    if total == 0:
        raise DataError("measuring token-error-rate: all references are empty; there must be at least one token")
    return Measured(
        name="token-error-rate",
        value=100 * wrong / total,
        signature="token-error-rate|" + _signature(references, options, tok=options.unit, near="min-edits,longest"),
        detail={"edits": wrong, "tokens": total, "lines": len(counts)},
        counts=counts,
    )


def _streams(references: References) -> list[list[str | None]]:
    """References by number instead of by line, as sacrebleu takes them; None if a line has fewer."""
    most = max(len(alternatives) for alternatives in references)
    return [[r[k] if k < len(r) else None for r in references] for k in range(most)]


def _bleu(hypotheses: Sequence[str], references: References, options: MeasureOptions) -> Measured:
    """BLEU over the whole corpus (Papineni et al. 2002), as sacrebleu computes it."""
    from sacrebleu.metrics import BLEU

    if options.tokenize not in BLEU.TOKENIZERS or not options.tokenize:
        known = ", ".join(name for name in BLEU.TOKENIZERS if name)
        raise ConfigError(f"tokenize of bleu is {options.tokenize!r}; it must be one of sacrebleu's: {known}")
    try:
        # force: `jumok.measure.gold.check_uncut` warns of tokenised text, once and in our words
        bleu = BLEU(tokenize=options.tokenize, lowercase=options.lowercase, force=True)
    except (ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"tokenize of bleu: {options.tokenize!r} cannot be used here ({reason}); install what it needs"
        ) from error
    score = bleu.corpus_score(list(hypotheses), _streams(references))  # type: ignore[arg-type]
    return Measured(
        name="bleu",
        value=float(score.score),
        signature=_with_form(f"BLEU|{bleu.get_signature()}", options),
        detail={
            "precisions": [float(p) for p in score.precisions],
            "brevity_penalty": float(score.bp),
            "hypothesis_tokens": int(score.sys_len),
            "reference_tokens": int(score.ref_len),
            "lines": len(hypotheses),
        },
    )


def _chrf(hypotheses: Sequence[str], references: References, options: MeasureOptions) -> Measured:
    """chrF2 over the whole corpus (Popović 2015), as sacrebleu computes it."""
    from sacrebleu.metrics import CHRF

    chrf = CHRF(lowercase=options.lowercase)
    score = chrf.corpus_score(list(hypotheses), _streams(references))  # type: ignore[arg-type]
    return Measured(
        name="chrf",
        value=float(score.score),
        signature=_with_form(f"chrF2|{chrf.get_signature()}", options),
        detail={"char_order": int(score.char_order), "beta": int(score.beta), "lines": len(hypotheses)},
    )


METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        "accuracy",
        _accuracy,
        unit="%",
        higher_is_better=True,
        needs=None,
        title="accuracy",
        second="token-error-rate",
        advice="--metric chrf or token-error-rate suits targets that are seldom right as a whole",
    ),
    "token-error-rate": Metric(
        "token-error-rate",
        _token_error_rate,
        unit="%",
        higher_is_better=False,
        needs=None,
        title="token error rate",
        column="TER ({unit})",
        advice="--metric loss tells more of such a model",
    ),
    "bleu": Metric(
        "bleu",
        _bleu,
        unit="",
        higher_is_better=True,
        needs="sacrebleu",
        title="BLEU",
        second="chrf",
        column="BLEU ({tokenize})",
        advice="--metric chrf suits targets with few words in common with any output",
    ),
    "chrf": Metric(
        "chrf",
        _chrf,
        unit="",
        higher_is_better=True,
        needs="sacrebleu",
        title="chrF",
        second="bleu",
        column="chrF",
        advice="--metric token-error-rate or loss tells more of such a model",
    ),
}
