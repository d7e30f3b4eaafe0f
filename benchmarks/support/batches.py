"""Random sentences for benchmarks of training: what is timed does not depend on what they say."""

import numpy as np

from jumok.text import END, PAD, Batch


def random_batch(rows: int, length: int, vocabulary: int, seed: int = 1) -> Batch:
    """`rows` pairs with sides of length - 2 to length + 2 tokens, END last, shortest first."""
    random = np.random.default_rng(seed)

    def side() -> tuple[np.ndarray, np.ndarray]:
        lengths = np.sort(random.integers(max(1, length - 2), length + 3, rows))
        ids = random.integers(4, vocabulary, (rows, lengths.max()))
        ids[np.arange(ids.shape[1]) >= lengths[:, None]] = PAD
        ids[np.arange(rows), lengths - 1] = END
        return ids, lengths

    return Batch(*side(), *side(), np.arange(rows))
