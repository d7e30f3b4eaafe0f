"""How likely a model finds given targets: log-probability and perplexity, of each pair and of all together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jumok.decode.translator import Translator
from jumok.runtime.translation import Translation
from jumok.text.given import Features, pairs_of
from jumok.text.pairs import Pair

TOGETHER = 1024  # pairs that are read ahead and sorted by length together
MOST = 700.0  # e to the power of more is beyond float64

Pairs = Iterable[Pair | tuple[str, str] | tuple[str, str, Features] | None]


@dataclass(frozen=True)
class Likelihood:
    """The probability of one target, or of many together.

    Attributes:
        lines: how many targets. tokens: all their tokens, the end tokens counted.
        log_probability: the sum of the tokens' natural-log probabilities.
    """

    lines: int
    tokens: int
    log_probability: float

    @property
    def per_token(self) -> float:
        """log-probability / tokens; 0 without tokens."""
        return self.log_probability / self.tokens if self.tokens else 0.0

    @property
    def perplexity(self) -> float:
        """e to the power of -per_token: 1 if the model was certain, the size of the vocabulary if it had no idea."""
        return math.exp(min(MOST, -self.per_token))

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "lines": self.lines,
            "tokens": self.tokens,
            "log_probability": self.log_probability,
            "per_token": self.per_token,
            "perplexity": self.perplexity,
        }


def likelihood(scored: Translation | Iterable[Translation]) -> Likelihood:
    """The likelihood of what `model.score` gives: of one target, or of many together. What was not read counts for nothing."""
    each = [t for t in ([scored] if isinstance(scored, Translation) else scored) if t.tokens]
    return Likelihood(len(each), sum(len(t.tokens) for t in each), sum((t.log_probability for t in each), 0.0))


def score_pairs(model: Translator, pairs: Pairs) -> Iterator[tuple[Pair | None, Translation | None, str]]:
    """Scores the target of each pair, in order, as a stream.

    Yields:
        The pair (None for a line without one), what `model.score` makes of it, and why it was not read, or "".
    """
    stream = pairs_of(pairs, model.config.text)
    while chunk := list(islice(stream, TOGETHER)):
        problems = ["there is no pair" if pair is None else _problem(model, pair) for pair in chunk]
        read = [pair for pair, problem in zip(chunk, problems, strict=True) if pair is not None and not problem]
        scored = iter(model.score([p.source for p in read], [p.target for p in read], [p.features for p in read]))
        for pair, problem in zip(chunk, problems, strict=True):
            yield pair, None if problem else next(scored), problem


def _problem(model: Translator, pair: Pair) -> str:
    codec = model.codec
    for name, n in (
        ("source", len(codec.source_tokens(pair.source, pair.features))),
        ("target", len(codec.target.tokenizer.tokens(pair.target))),
    ):
        if n >= model.longest:
            return f"the {name} has {n:,} tokens, too many for this model; it must have fewer than {model.longest:,}"
    return ""
