"""What is known once the whole output is: posteriors of an alignment, the likeliest one, and which tokens were copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np

from jumok.decode.backend import Backend, Tracing, tracing
from jumok.decode.hypotheses import Hypothesis
from jumok.text.batches import Batch, in_length_order

Array = np.ndarray
Late = Array | Callable[[], Array] | None  # an array, or what computes it


def in_hindsight(
    backend: Backend, sources: Sequence[list[int]], found: Sequence[Sequence[Hypothesis]]
) -> list[list[tuple[Hypothesis, Late, Late]]]:
    """Each source's hypotheses with their weights [T, S] and how far each token was copied [T], or with functions that compute them.

    With soft attention the weights are those of the search. With a monotonic alignment, a search does not know at step t what
    follows: the first of the functions that is called scores all these outputs at once. If only the text is used, none is called.
    If the model does not copy, the third is None.
    """
    if getattr(backend, "weights", "attention") == "attention":
        return [[(h, h.weights, None) for h in own] for own in found]
    flat = [(i, k) for i, own in enumerate(found) for k in range(len(own))]
    written = [list(found[i][k].tokens) for i, k in flat]

    @cache
    def looked_at() -> dict[tuple[int, int], tuple[Array, Array | None]]:
        seen = {}
        for batch in in_length_order([sources[i] for i, _ in flat], written, len(flat)):
            _, weights, copied = scored(backend, batch)
            assert weights is not None
            for row, at in enumerate(batch.rows.tolist()):
                S, T = batch.source_lengths[row], batch.target_lengths[row]
                own = np.ascontiguousarray(weights[row, :T, :S])
                seen[flat[at]] = own, None if copied is None else copied[row, :T].copy()
        return seen

    def late(i: int, k: int, which: int) -> Array:
        found = looked_at()[i, k][which]
        assert found is not None
        return found

    def copied(i: int, k: int) -> Late:
        return partial(late, i, k, 1) if copies(backend) else None

    return [[(h, partial(late, i, k, 0), copied(i, k)) for k, h in enumerate(own)] for i, own in enumerate(found)]


def copies(backend: Backend) -> bool:
    """Whether the backend's model copies tokens, and the backend can say which."""
    able = tracing(backend)
    return able is not None and able.copies is not None


def scored(backend: Backend, batch: Batch) -> tuple[Array, Array | None, Array | None]:
    """What the model makes of a batch's targets: log-probabilities and weights, as from `Backend.score`, and how far each token was
    copied [B, T], or None."""
    given = batch.source, batch.source_lengths, batch.target, batch.target_lengths
    able = tracing(backend)
    if able is None or able.copies is None:
        log_probabilities, weights = backend.score(*given)
        return log_probabilities, at_most_one(weights), None
    found = able.trace(*given)
    return found.log_probabilities, at_most_one(found.weights), at_most_one(found.copied)


def at_most_one(probabilities: Array | None) -> Array | None:
    """Probabilities that a recursion in float32 has rounded; those that came out above 1 are 1."""
    return None if probabilities is None else np.minimum(probabilities, 1)


def paths(backend: Tracing, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> list[Array]:
    """The likeliest alignment of each target: positions [T] that never go back.

    Args:
        sources, targets: ids, END last.
    """
    found: dict[int, Array] = {}
    for batch in in_length_order(sources, targets, 64):
        path = backend.trace(batch.source, batch.source_lengths, batch.target, batch.target_lengths, path=True).path
        assert path is not None
        for row, i in enumerate(batch.rows.tolist()):
            found[i] = path[row, : batch.target_lengths[row]]
    return [found[i] for i in range(len(sources))]
