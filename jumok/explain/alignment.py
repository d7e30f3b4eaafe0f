"""Attention weights as numbers to work with: hard links, and how spread out each step's attention is.

Letters: T output steps, S source positions; weights [T, S], rows sum to 1.
"""

from __future__ import annotations

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


def entropy(weights: np.ndarray) -> np.ndarray:
    """-Σ_s a_t(s) ln a_t(s) for each step: [T] float64 in nats, from 0 (one position) to ln S (all alike)."""
    a = weights.astype(np.float64)
    return -(a * np.log(np.where(a > 0, a, 1))).sum(axis=1) + 0.0  # + 0.0: no negative zero
