"""Weights as they are known in the end: what a search found, forced through the model once more, for posteriors given all that was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jumok.runtime.model import NumpyModel
from jumok.runtime.search import Hypothesis
from jumok.text.batches import in_length_order


def in_hindsight(model: NumpyModel, sources: Sequence[list[int]], found: Sequence[list[Hypothesis]]) -> list[list[Hypothesis]]:
    """The hypotheses of each source with the weights that `NumpyModel.force` gives; with soft attention, as they are.

    A search only goes forward: its weights at step t know nothing of what was written after t.
    """
    if model.weights == "attention":
        return list(found)
    flat = [(i, k) for i, own in enumerate(found) for k in range(len(own))]
    written = [list(found[i][k].tokens) for i, k in flat]
    seen = [list(own) for own in found]
    most = max(map(len, found), default=1) * len(found)
    for batch in in_length_order([sources[i] for i, _ in flat], written, max(1, most)):
        _, weights = model.force(batch.source, batch.source_lengths, batch.target, batch.target_lengths)
        assert weights is not None
        for row, at in enumerate(batch.rows.tolist()):
            i, k = flat[at]
            own = weights[row, : batch.target_lengths[row], : batch.source_lengths[row]]
            seen[i][k] = replace(seen[i][k], weights=np.ascontiguousarray(own))
    return seen
