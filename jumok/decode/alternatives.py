"""Alternatives: the tokens that could come next after the beginning of an output, how likely each is, and where each would look.

Letters: S source positions, k alternatives, V target vocabulary, T tokens of the beginning and one more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jumok.decode.backend import Backend
from jumok.decode.choice import best, normaliser_of
from jumok.decode.hindsight import at_most_one
from jumok.decode.rules import NEVER
from jumok.errors import ConfigError, DataError
from jumok.text.codec import Codec
from jumok.text.forms import form_advice
from jumok.text.vocabulary import START

Array = np.ndarray

USUAL = 10  # how many are shown


@dataclass(frozen=True, eq=False)
class Alternative:
    """A token that could come next.

    Attributes:
        token: `</s>` is the end of the output.
        text: the output so far, with this token.
        probability, log_probability: of the token, given what is written before it; the natural logarithm.
        weights: [S] where it would look; None without attention. With soft attention that is the same for every token, since the
            weights are known before the token; with a monotonic alignment it is the posterior given the token.
    """

    token: str
    text: str
    probability: float
    log_probability: float
    weights: Array | None

    def __repr__(self) -> str:
        return f"<{self.token!r} {self.probability:.4f}>"


@dataclass(frozen=True, eq=False)
class Alternatives:
    """The likeliest next tokens, best first. It can be used like a sequence of them.

    Attributes:
        source, source_tokens: what was read.
        prefix: the tokens that are written before.
        log_probability: of the prefix.
        found: the alternatives.
        rest: the probability of all other tokens together.
        weights_kind: as in `Translation`.
    """

    source: str
    source_tokens: tuple[str, ...]
    prefix: tuple[str, ...]
    log_probability: float
    found: tuple[Alternative, ...]
    rest: float
    weights_kind: str

    def __iter__(self) -> Iterator[Alternative]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, i: int) -> Alternative:
        return self.found[i]


@dataclass(frozen=True)
class Next:
    """What a model says of the next token: ids and log-probabilities [k] of the likeliest; weights [k, S] or None; the
    log-probability of what is written before."""

    ids: Array
    log_probabilities: Array
    weights: Array | None
    before: float


def next_tokens(backend: Backend, source: Array, written: Sequence[int], k: int) -> Next:
    """The k likeliest tokens after those that are written, by the steps of a search: source int [S], END last."""
    state, before = backend.start(source[None], np.array([len(source)])), 0.0
    logits, weights = np.empty(0), None
    for t, token in enumerate([START, *written]):
        state, found, weights = backend.step(state, np.array([[token]]))
        logits = found[0].astype(np.float64) - normaliser_of(backend, found[0])[:, None]
        if t < len(written):
            before += float(logits[0, written[t]])
    may = logits.copy()
    may[:, list(NEVER)] = -np.inf
    (ids,) = best(may, k)
    if weights is not None and getattr(backend, "weights", "attention") == "posterior":
        outputs = np.array([[*written, token] for token in ids.tolist()])
        sources, lengths = np.tile(source, (len(ids), 1)), np.full(len(ids), len(source))
        _, posterior = backend.score(sources, lengths, outputs, np.full(len(ids), outputs.shape[1]))
        assert posterior is not None
        looked = at_most_one(posterior[:, -1])
    else:
        looked = None if weights is None else np.tile(weights[0], (len(ids), 1))
    return Next(ids, logits[0, ids], looked, before)


def number_of(k: int | None, codec: Codec) -> int:
    """How many are wanted. ConfigError if k is not among 1 and the tokens that can be written."""
    most = len(codec.target) - len(NEVER)
    if k is None:
        return min(USUAL, most)
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 1 <= k <= most:
        raise ConfigError(f"k is {k!r}; it must be 1 to {most:,}, the tokens that the model can write")
    return int(k)


def beginning(prefix: str | Sequence[str], codec: Codec) -> list[int]:
    """The ids of a beginning. A text is cut into tokens as if it were whole; tokens are taken as they are.

    Raises:
        DataError: it is neither, or has a token that the model does not know.
    """
    if not isinstance(prefix, str) and not (isinstance(prefix, Sequence) and all(isinstance(token, str) for token in prefix)):
        raise DataError(f"prefix is {prefix!r:.80}; wanted a string, or a sequence of target tokens")
    tokens = codec.target.tokenizer.tokens(prefix) if isinstance(prefix, str) else list(prefix)
    if unknown := [token for token in tokens if token not in codec.target.vocabulary]:
        advice = form_advice(unknown, codec.target.vocabulary.tokens(range(len(codec.target))))
        raise DataError(
            f"prefix: the model cannot write {unknown[0]!r}, which is no token of its target vocabulary"
            + f"; {advice}" * bool(advice)
        )
    return codec.target.vocabulary.ids(tokens)
