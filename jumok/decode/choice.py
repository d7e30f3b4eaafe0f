"""How a step of search chooses among tokens: the likeliest one, or the likeliest continuations of a beam.

Letters: B sentences still searched, K beams a sentence, N = B·K rows, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jumok.decode.hypotheses import Past

Array = np.ndarray

CHUNKS = 64  # in `best`: more find a closer bound, fewer find it sooner
FEW = 1024  # values that are sorted whole, in less time than a bound takes

# how a greedy step chooses: (past, logits [N, V] after the rules) -> tokens [N]
Choose = Callable[[Past, Array], Array]
# how a step of a beam chooses: (past, logits [B, K, V] after the rules, bases [B, K], number) -> the best first: parents, tokens,
# log-probabilities, each [B, at most number]; a token's log-probability is its logit plus its beam's base
Candidates = Callable[[Past, Array, Array, int], tuple[Array, Array, Array]]


def likeliest(past: Past, logits: Array) -> Array:
    """The likeliest token of each row: logits [N, V] -> [N]."""
    return logits.argmax(1)


def best_continuations(past: Past, logits: Array, bases: Array, number: int) -> tuple[Array, Array, Array]:
    """The likeliest continuations of each sentence; see `Candidates`.

    The best of a beam are the same before and after softmax, so that only theirs are normalised, in float64, where different
    logits stay different.
    """
    B, K, V = logits.shape
    logits = logits.reshape(B * K, V)
    each = min(number, V)
    tokens = best(logits, each)
    values = logits[np.arange(B * K)[:, None], tokens] + bases.reshape(-1, 1)
    values, tokens = values.reshape(B, -1), tokens.reshape(B, -1)
    order = np.argsort(-values, axis=1, kind="stable")[:, :number]
    rows = np.arange(B)[:, None]
    return order // each, tokens[rows, order], values[rows, order]


def normaliser(logits: Array) -> Array:
    """log Σ exp of each row of logits [N, V], float64 [N]: what a logit must lose to be a log-probability."""
    highest = logits.max(1)
    total = np.exp(logits - highest[:, None]).sum(1)
    return highest + np.log(total, dtype=np.float64)


def best(values: Array, number: int) -> Array:
    """Columns of the highest values of each row, highest first, the lower column first between equals: [N, number].

    The number-th highest of the maxima of disjoint chunks is a bound that at least `number` values reach, and few more.
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
