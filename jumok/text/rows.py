"""Rows: many lists of ids in one flat array, in memory or mapped from a file, so that a batch is padded without a loop."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import chain

import numpy as np

from jumok.text.vocabulary import PAD

PIECE = 2**20  # numbers in one step of a checksum


class Rows:
    """N lists of ids of unequal length.

    Args:
        flat: all ids, one list after the other, and a PAD at the end, which becomes every pad of a batch.
        starts: [N] the index in `flat` at which each list begins.
        lengths: [N].
    """

    def __init__(self, flat: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
        assert len(starts) == len(lengths) and len(flat) and flat[-1] == PAD
        self.flat, self.starts, self.lengths = flat, starts, lengths

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]] | Rows) -> Rows:
        """Lists as rows; rows are returned as they are."""
        if isinstance(lists, Rows):
            return lists
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        total = int(lengths.sum())
        flat = np.full(total + 1, PAD, np.int64)
        flat[:total] = np.fromiter(chain.from_iterable(lists), np.int64, total)
        return cls(flat, np.cumsum(lengths) - lengths, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> np.ndarray:
        """The ids of one list."""
        start = int(self.starts[row])
        return self.flat[start : start + int(self.lengths[row])]

    def checksum(self, before: int = 0) -> int:
        """CRC-32 of all ids and lengths, continued from `before`; the same for rows in memory and on the disk."""
        for array in (self.flat, self.lengths):
            for start in range(0, len(array), PIECE):
                before = zlib.crc32(array[start : start + PIECE].astype(np.int64).tobytes(), before)
        return before

    def padded(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """rows [B] -> ([B, longest], lengths [B]), int64, padded with PAD."""
        lengths = self.lengths[rows].astype(np.int64)
        columns = np.arange(lengths.max(initial=0))
        places = np.where(columns < lengths[:, None], self.starts[rows].astype(np.int64)[:, None] + columns, len(self.flat) - 1)
        return self.flat[places].astype(np.int64, copy=False), lengths
