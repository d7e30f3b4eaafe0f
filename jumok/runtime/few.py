"""Products of few rows with a large matrix, as the beams of one sentence need them: faster in blocks of columns.

BLAS packs a large matrix anew for every product, which takes longer than to multiply five rows with it. Blocks that lie
together in memory are small enough for its kernels without packing, where it has them (on CPUs with AVX-512 they are about
twice as fast), and cost nothing where it has not. `benchmarks.speed.beam` measures it.

Letters: K rows, I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray

COLUMNS = 64  # in a block
MOST_ROWS = 16  # with more rows, one product is as fast
CELLS = 1_000_000  # rows x inputs x COLUMNS that the kernels without packing take


class Few:
    """A matrix [I, O] on the right of products with few rows: `x @ Few(w)` is x @ w up to rounding, [K, O].

    The blocks are a copy of the matrix, made when they are first needed.
    """

    __array_ufunc__ = None  # so that NumPy leaves `x @ self` to __rmatmul__

    def __init__(self, w: Array) -> None:
        self.w = w
        self._blocks: Array | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without the copy."""
        return {"w": self.w, "_blocks": None}

    def __rmatmul__(self, x: Array) -> Array:
        (K, I), O = x.shape, self.w.shape[1]
        count = O // COLUMNS
        if K > MOST_ROWS or count < 2 or K * I * COLUMNS > CELLS or (K * I * O <= CELLS and self.w.flags.c_contiguous):
            return x @ self.w
        whole = count * COLUMNS
        if self._blocks is None:
            self._blocks = np.ascontiguousarray(self.w[:, :whole].reshape(I, count, COLUMNS).swapaxes(0, 1))
        out = np.empty((K, O), np.float32)
        np.matmul(x, self._blocks, out=out[:, :whole].reshape(K, count, COLUMNS).swapaxes(0, 1))
        if whole < O:
            np.matmul(x, self.w[:, whole:], out=out[:, whole:])
        return out
