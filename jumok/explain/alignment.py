"""Attention weights as links: the source position of each output token, a monotone path, and words for subwords.

Letters: T output steps, S source positions; weights [T, S], rows sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from jumok.errors import JumokError
from jumok.runtime.translation import Translation


def weights_of(translation: Translation) -> np.ndarray:
    """The weights [T, S] that a drawing needs. Raises JumokError where there are none."""
    if translation.weights is None:
        raise JumokError(
            f"drawing {translation.source!r}: the translation has no attention weights; a model trained with attention "
            "none has no weights to draw, nor has an empty source; train with --attention general, or write .json"
        )
    expected = (len(translation.tokens), len(translation.source_tokens))
    assert translation.weights.shape == expected, (translation.weights.shape, expected)
    return translation.weights


def hard_links(weights: np.ndarray) -> list[tuple[int, int]]:
    """Each output step j linked to the source position i that it weighed most: [(i, j)], T links, first i among equals."""
    return [(int(i), j) for j, i in enumerate(weights.argmax(axis=1))]


def best_path(weights: np.ndarray) -> np.ndarray:
    """The monotone path s_1 ≤ s_2 ≤ … ≤ s_T with the highest Σ_t ln a_t(s_t): [T] positions, S ≥ 1. O(T·S).

    As in Viterbi's search, best(t, s) = ln a_t(s) + max over s' ≤ s of best(t − 1, s'); the first s among equals. A weight of
    0 counts as float32's smallest, so that one of them does not make all paths alike.
    """
    T, S = weights.shape
    logs = np.log(np.maximum(weights, np.finfo(np.float32).tiny), dtype=np.float64)
    positions, came_from = np.arange(S), np.zeros((T, S), np.int64)
    best = np.zeros(S)
    for t in range(T):
        highest = np.maximum.accumulate(best)
        rises = np.concatenate([[True], highest[1:] > highest[:-1]])
        came_from[t] = np.maximum.accumulate(np.where(rises, positions, 0))  # where the highest up to s stands first
        best = highest + logs[t]
    path = np.zeros(T, np.int64)
    s = int(best.argmax()) if T else 0
    for t in reversed(range(T)):
        path[t] = s
        s = came_from[t, s]
    return path


def _argmax(weights: np.ndarray) -> np.ndarray:
    return weights.argmax(axis=1)


METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "argmax": _argmax,
    "path": best_path,
}
"""weights [T, S], S ≥ 1 -> a source position for each step, [T]."""


def unit_links(
    weights: np.ndarray, source_units: Sequence[int], target_units: Sequence[int], method: str = "argmax"
) -> list[tuple[int, int]]:
    """Links (i, j), in order and each once, between units that tokens are parts of: words, or the tokens themselves.

    Two units are linked where a token of the one is with a token of the other (Zenkel, Wuebker & DeNero 2019, for subwords).
    A target token is linked where `method` (of METHODS) puts it among the source tokens that are part of a unit; but it has no
    link where the weight there is no higher than on some position that is part of none (`</s>`, features, blanks): what it
    looked at most was not a word. To the path such a step costs the same wherever it stands.

    Args:
        weights: [T, S].
        source_units, target_units: the unit of each of S and of T tokens, counted from 0; -1 for what is part of none.
    """
    rows, columns = (np.array([k for k, unit in enumerate(units) if unit >= 0], int) for units in (target_units, source_units))
    assert weights.shape == (len(target_units), len(source_units)), (weights.shape, len(target_units), len(source_units))
    if not len(rows) or not len(columns):
        return []
    others = np.delete(weights[rows], columns, axis=1).max(axis=1, initial=0)
    own = weights[np.ix_(rows, columns)]
    chosen = METHODS[method](np.maximum(own, others[:, None]))
    linked = own[np.arange(len(rows)), chosen] > others
    return sorted({(source_units[columns[s]], target_units[t]) for t, s in zip(rows[linked], chosen[linked], strict=True)})
