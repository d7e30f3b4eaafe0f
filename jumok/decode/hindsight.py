"""Weights given the whole output: the model scores what a search found once more, for the posteriors of an alignment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np

from jumok.decode.backend import Backend
from jumok.decode.hypotheses import Hypothesis
from jumok.text.batches import in_length_order

Array = np.ndarray
Weights = Array | Callable[[], Array] | None


def in_hindsight(
    backend: Backend, sources: Sequence[list[int]], found: Sequence[Sequence[Hypothesis]]
) -> list[list[tuple[Hypothesis, Weights]]]:
    """Each source's hypotheses with their weights [T, S], or with a function that computes them.

    With soft attention the weights are those of the search. With a monotonic alignment, a search does not know at step t what
    follows: the first of the functions that is called scores all these outputs at once. If only the text is used, none is called.
    """
    if getattr(backend, "weights", "attention") == "attention":
        return [[(h, h.weights) for h in own] for own in found]
    flat = [(i, k) for i, own in enumerate(found) for k in range(len(own))]
    written = [list(found[i][k].tokens) for i, k in flat]

    @cache
    def scored() -> dict[tuple[int, int], Array]:
        seen = {}
        for batch in in_length_order([sources[i] for i, _ in flat], written, len(flat)):
            _, weights = backend.score(batch.source, batch.source_lengths, batch.target, batch.target_lengths)
            assert weights is not None
            for row, at in enumerate(batch.rows.tolist()):
                own = weights[row, : batch.target_lengths[row], : batch.source_lengths[row]]
                seen[flat[at]] = np.ascontiguousarray(own)
        return seen

    def weights_of(i: int, k: int) -> Array:
        return scored()[i, k]

    return [[(h, partial(weights_of, i, k)) for k, h in enumerate(own)] for i, own in enumerate(found)]
