"""Attention weights as links: the source position of each output token, a monotone path, and words for subwords.

Letters: T output steps, S source positions; weights [T, S], rows sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from jumok.errors import JumokError
from jumok.runtime.translation import Translation


def weights_of(translation: Translation) -> np.ndarray:
    """The weights [T, S] for a drawing. Raises JumokError if there are none."""
    if translation.weights is None:
        if not translation.source_tokens:
            why = "an empty source is not read; give a text, or write .json"
        elif not translation.tokens:
            why = translation.problem or "the source is too long to be read; give a shorter one"
        else:
            why = "the model was trained with attention none; train with --attention general, or write .json"
        raise JumokError(f"drawing {translation.source[:40]!r}: the translation has no attention weights, because {why}")
    expected = (len(translation.tokens), len(translation.source_tokens))
    assert translation.weights.shape == expected, (translation.weights.shape, expected)
    return translation.weights


def hard_links(weights: np.ndarray) -> list[tuple[int, int]]:
    """Links each output step j to its source position i of largest weight: [(i, j)], T links, the first i among equals."""
    return [(int(i), j) for j, i in enumerate(weights.argmax(axis=1))]


def best_path(weights: np.ndarray) -> np.ndarray:
    """The monotone path s_1 ≤ s_2 ≤ … ≤ s_T with the highest Σ_t ln a_t(s_t): [T] positions, S ≥ 1. O(T·S).

    As in Viterbi search, best(t, s) = ln a_t(s) + max over s' ≤ s of best(t − 1, s'); the first s among equals. A weight of
    0 counts as float32's smallest number, so that a single 0 does not make all paths equal.
    """
    T, S = weights.shape
    logs = np.log(np.maximum(weights, np.finfo(np.float32).tiny), dtype=np.float64)
    positions, came_from = np.arange(S), np.zeros((T, S), np.int64)
    best = np.zeros(S)
    for t in range(T):
        highest = np.maximum.accumulate(best)
        rises = np.concatenate([[True], highest[1:] > highest[:-1]])
        came_from[t] = np.maximum.accumulate(np.where(rises, positions, 0))  # the first position of the highest value up to s
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


VITERBI = "viterbi"
"""A method beside METHODS, for monotonic alignments: it needs the model, not only the weights."""


def path_links(path: np.ndarray, source_units: Sequence[int], target_units: Sequence[int]) -> list[tuple[int, int]]:
    """As `unit_links`, from the source position of each target token: path, int [T]. There is no link from a position outside all units."""
    assert len(path) == len(target_units), (len(path), len(target_units))
    pairs = zip((source_units[s] for s in path.tolist()), target_units, strict=True)
    return sorted({(i, j) for i, j in pairs if i >= 0 and j >= 0})


def unit_links(
    weights: np.ndarray, source_units: Sequence[int], target_units: Sequence[int], method: str = "argmax"
) -> list[tuple[int, int]]:
    """Links (i, j), in order and without repeats, between units: words, or the tokens themselves.

    Two units are linked if a token of one is linked with a token of the other (Zenkel, Wuebker & DeNero 2019, for subwords).
    `method` (of METHODS) chooses, for each target token, one of the source tokens that belong to a unit. There is no link if
    the weight there is no higher than on a position outside all units (`</s>`, features, blanks): attention was then not on a
    word. Such a step costs the path the same at every position.

    Args:
        weights: [T, S].
        source_units, target_units: the unit of each of the S and T tokens, counted from 0; -1 for none.
    """
    rows, columns = (np.array([k for k, unit in enumerate(units) if unit >= 0], int) for units in (target_units, source_units))
    assert weights.shape == (len(target_units), len(source_units)), (weights.shape, len(target_units), len(source_units))
    if not len(rows) or not len(columns):
        return []
    others = np.delete(weights[rows], columns, axis=1).max(axis=1, initial=0)
    inside = weights[np.ix_(rows, columns)]
    chosen = METHODS[method](np.maximum(inside, others[:, None]))
    linked = inside[np.arange(len(rows)), chosen] > others
    return sorted({(source_units[columns[s]], target_units[t]) for t, s in zip(rows[linked], chosen[linked], strict=True)})
