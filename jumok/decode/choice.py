"""Choices: how a step of search chooses among tokens: the likeliest one, or the likeliest continuations of a beam.

Letters: B sentences still searched, K beams a sentence, N = B·K rows, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from jumok.decode.hypotheses import Past

if TYPE_CHECKING:
    from jumok.decode.backend import Backend

Array = np.ndarray

CHUNKS = 64  # in `best`: more chunks give a closer bound, fewer are faster
FEW = 1024  # up to so many values, sorting them all is faster

# how a greedy step chooses: (past, logits [N, V] after the rules) -> tokens [N]
Choose = Callable[[Past, Array], Array]
# how a step of beam search chooses: (past, logits [B, K, V] after the rules, bases [B, K], number) -> parents, tokens,
# log-probabilities, each [B, at most number], the best first; a log-probability is the token's logit plus its beam's base
Candidates = Callable[[Past, Array, Array, int], tuple[Array, Array, Array]]


def likeliest(past: Past, logits: Array) -> Array:
    """The likeliest token of each row: logits [N, V] -> [N]."""
    return logits.argmax(1)


def best_continuations(past: Past, logits: Array, bases: Array, number: int) -> tuple[Array, Array, Array]:
    """The likeliest continuations of each sentence; see `Candidates`.

    The best of a beam are the same before and after softmax, so that only these are normalised; in float64, so that different
    logits stay different.
    """
    B, K, V = logits.shape
    logits = logits.reshape(B * K, V)
    width = min(number, V)
    tokens = best(logits, width)
    values = logits[np.arange(B * K)[:, None], tokens] + bases.reshape(-1, 1)
    values, tokens = values.reshape(B, -1), tokens.reshape(B, -1)
    order = np.argsort(-values, axis=1, kind="stable")[:, :number]
    rows = np.arange(B)[:, None]
    return order // width, tokens[rows, order], values[rows, order]


def normaliser(logits: Array) -> Array:
    """log Σ exp of each row of logits [N, V], float64 [N]. A logit minus this is a log-probability."""
    highest = np.maximum.reduce(logits, 1)
    total = np.add.reduce(np.exp(logits - highest[:, None]), 1)
    return highest + np.log(total, dtype=np.float64)


def normaliser_of(backend: Backend, logits: Array) -> Array:
    """`normaliser` of the logits [N, V] of a backend's step; zeros [N] where it has normalised already."""
    return np.zeros(len(logits)) if getattr(backend, "normalised", False) else normaliser(logits)


def best(values: Array, number: int) -> Array:
    """The columns of the highest values of each row, highest first; of equals, the lower column first: [N, number].

    The number-th highest of the maxima of disjoint chunks is a bound that at least `number` values reach, and few others.
    """
    N, V = values.shape
    if values.size <= FEW:
        return np.argsort(-values, axis=1, kind="stable")[:, :number]
    chunks = min(V, max(CHUNKS, 4 * number))
    maxima = values[:, : V // chunks * chunks].reshape(N, -1, chunks).max(1)
    bound = np.partition(maxima, chunks - number, axis=1)[:, chunks - number]
    rows, columns = np.divmod(np.flatnonzero(values >= bound[:, None]), V)
    order = np.lexsort((columns, -values[rows, columns], rows))
    first = np.searchsorted(rows, np.arange(N))
    return columns[order[first[:, None] + np.arange(number)]]
