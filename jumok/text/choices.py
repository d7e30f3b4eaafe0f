"""Several targets for one source, each with its share: which of them a pair is trained on in an epoch.

Letters: N pairs, D different sources, M targets written for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jumok.text.rows import Rows

GOLDEN = 0.6180339887498949  # steps of it, modulo 1, fill the interval from 0 to 1 most evenly, however many there are


@dataclass(frozen=True, eq=False)
class Choices:
    """Targets to choose from, beside each pair's own.

    Attributes:
        own: N targets, each pair's own.
        rows: M targets as ids, those of one source side by side.
        starts: [D + 1] where the targets of each source begin; those of source d are starts[d] to starts[d + 1] - 1, or none.
        shares: [M] float64; those of one source add up to 1.
        sources: [N] the number of each pair's source.
        gold: [N] how often each pair's own target is taken, from 0 to below 1; always where its source has no other.
    """

    own: Rows
    rows: Rows
    starts: np.ndarray
    shares: np.ndarray
    sources: np.ndarray
    gold: np.ndarray

    def draw(self, seed: int, epoch: int) -> np.ndarray:
        """int64 [N]: which of the M targets each pair has in this epoch; -1 = its own.

        A pair begins at a place of its own between 0 and 1 and goes on by a fixed step from epoch to epoch. So it has each target
        as often as its share says, as nearly as that can be after any number of epochs.
        """
        places = (np.random.default_rng([seed, 0, 1]).random(len(self.sources)) + epoch * GOLDEN) % 1.0
        first, last = self.starts[self.sources], self.starts[self.sources + 1] - 1
        within = (places - self.gold) / (1.0 - self.gold)
        # source d has the stretch from d to d + 1 of one line, on which each target ends where its share does
        owners = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        before = np.concatenate([[0.0], np.cumsum(self.shares)])
        ends = owners + before[1:] - before[self.starts[owners]] if len(owners) else before[1:]
        found = np.searchsorted(ends, self.sources + within, side="right")
        return np.where((within < 0) | (last < first), -1, np.clip(found, first, last))


def together(one: Rows, other: Rows) -> Rows:
    """The rows of both, one after the other."""
    flat = np.concatenate([one.flat[:-1], other.flat])
    starts = np.concatenate([one.starts, other.starts + len(one.flat) - 1])
    return Rows(flat, starts, np.concatenate([one.lengths, other.lengths]))
