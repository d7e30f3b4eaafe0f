"""Weights as they are known in the end: what a search found, scored by the model once more, for posteriors given all that was written."""

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
    """Each source's hypotheses with their weights [T, S], or with a function that finds them.

    With soft attention they are those of the search. With a monotonic alignment a search knows at step t nothing of what comes
    after t: the first function that is called scores all these outputs at once. Who only wants the text never waits for it.
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
