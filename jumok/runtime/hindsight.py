"""Weights as they are known in the end: what a search found, forced through the model once more, for posteriors given all that was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np

from jumok.runtime.model import NumpyModel
from jumok.runtime.search import Hypothesis
from jumok.text.batches import in_length_order

Array = np.ndarray


def in_hindsight(
    model: NumpyModel, sources: Sequence[list[int]], found: Sequence[Sequence[Hypothesis]]
) -> list[list[Array | Callable[[], Array] | None]]:
    """The weights [T, S] of each source's hypotheses, or a function that finds them.

    With soft attention they are those of the search. With a monotonic alignment a search knows at step t nothing of what comes
    after t: the first function that is called forces all these outputs at once. Who only wants the text never waits for it.
    """
    if model.weights == "attention":
        return [[h.weights for h in own] for own in found]
    flat = [(i, k) for i, own in enumerate(found) for k in range(len(own))]
    written = [list(found[i][k].tokens) for i, k in flat]

    @cache
    def forced() -> dict[tuple[int, int], Array]:
        seen = {}
        for batch in in_length_order([sources[i] for i, _ in flat], written, len(flat)):
            _, weights = model.force(batch.source, batch.source_lengths, batch.target, batch.target_lengths)
            assert weights is not None
            for row, at in enumerate(batch.rows.tolist()):
                own = weights[row, : batch.target_lengths[row], : batch.source_lengths[row]]
                seen[flat[at]] = np.ascontiguousarray(own)
        return seen

    def weights_of(i: int, k: int) -> Array:
        return forced()[i, k]

    return [[partial(weights_of, i, k) for k in range(len(own))] for i, own in enumerate(found)]
