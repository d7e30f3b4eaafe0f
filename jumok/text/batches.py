"""Batches: padded arrays with lengths, pooled by length, in an order that follows from seed and epoch alone.

Letters: B pairs in a batch, S longest source of the batch, T longest target; N pairs in all. Lengths count END.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from jumok.text.vocabulary import PAD


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs as arrays, all int64, padded with PAD at the end of a row.

    Attributes:
        source: [B, S] ids, END last.
        source_lengths: [B].
        target: [B, T] ids, END last, no START; [B, 0] where there are no targets.
        target_lengths: [B].
        rows: [B] the pairs' places in the lists the batch was made from.
    """

    source: np.ndarray
    source_lengths: np.ndarray
    target: np.ndarray
    target_lengths: np.ndarray
    rows: np.ndarray

    def part(self, number: int, of: int) -> Batch:
        """Every `of`-th pair from `number` on, padded no further than these need; none where the batch has too few.

        The parts of a batch are disjoint, together they are the batch, and neighbours in length are dealt out to all of them.
        """
        chosen = slice(number, None, of)
        lengths, target_lengths = self.source_lengths[chosen], self.target_lengths[chosen]
        source = self.source[chosen, : lengths.max(initial=0)]
        return Batch(source, lengths, self.target[chosen, : target_lengths.max(initial=0)], target_lengths, self.rows[chosen])


class _Rows:
    """Lists of unequal length as one flat array, so that a batch is padded without a loop over its rows."""

    def __init__(self, lists: Sequence[Sequence[int]]) -> None:
        self.lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        total = int(self.lengths.sum())
        self._flat = np.full(total + 1, PAD, np.int64)  # the last entry stands for every pad
        self._flat[:total] = np.fromiter(chain.from_iterable(lists), np.int64, total)
        self._starts = np.cumsum(self.lengths) - self.lengths

    def padded(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """rows [B] -> ([B, longest], lengths [B])."""
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max(initial=0))
        places = np.where(columns < lengths[:, None], self._starts[rows][:, None] + columns, len(self._flat) - 1)
        return self._flat[places], lengths


class Batches:
    """All pairs, once an epoch, in batches of about equal lengths.

    An epoch shuffles all pairs, cuts them into pools of `pool` batches, sorts each pool by target length and, among equals, by
    source length, cuts it into batches, and shuffles all batches.

    Args:
        sources: N lists of ids, END last.
        targets: N lists of ids, END last.
        batch_size: pairs in a batch; or
        batch_tokens: target positions in a batch, pads included, at most (a longer target is a batch of its own).
        pool: batches sorted by length together.
        seed: 0 or more.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        *,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        pool: int = 64,
        seed: int = 1,
    ) -> None:
        assert len(sources) == len(targets)
        assert (batch_size is None) != (batch_tokens is None)
        self._sources, self._targets = _Rows(sources), _Rows(targets)
        self._batch_size, self._batch_tokens = batch_size, batch_tokens
        self._seed = seed
        if batch_tokens is not None:
            batch_size = max(1, int(batch_tokens / max(1.0, float(self._targets.lengths.mean())))) if targets else 1
        assert batch_size is not None
        self._pool = pool * batch_size

    def __len__(self) -> int:
        """Batches in an epoch: the same in all with `batch_size`; with `batch_tokens` those of epoch 0 (see `length`)."""
        return self.length(0)

    def length(self, epoch: int) -> int:
        """Batches in this epoch; with `batch_tokens` it differs a little from one to the next."""
        if self._batch_size is not None:
            return -(-len(self._sources.lengths) // self._batch_size)
        return len(self.plan(epoch))

    def fingerprint(self) -> int:
        """A number that changes when pairs come, go, change their lengths or their order (CRC-32 of all lengths)."""
        return zlib.crc32(self._targets.lengths.tobytes(), zlib.crc32(self._sources.lengths.tobytes()))

    def plan(self, epoch: int) -> list[np.ndarray]:
        """The epoch's batches in order, each as its rows; a pure function of the data's lengths, seed and epoch."""
        random = np.random.default_rng([self._seed, epoch])
        order = random.permutation(len(self._sources.lengths))
        batches = []
        for start in range(0, len(order), self._pool):
            pool = order[start : start + self._pool]
            source, target = self._sources.lengths[pool], self._targets.lengths[pool]
            # Up and down in turn, so that a batch across two target lengths has sources of about one length.
            snake = np.where(target % 2, source, -source)
            batches += self._cut(pool[np.lexsort((snake, target))])
        return [batches[i] for i in random.permutation(len(batches))]

    def _cut(self, rows: np.ndarray) -> list[np.ndarray]:
        if self._batch_size is not None:
            return [rows[i : i + self._batch_size] for i in range(0, len(rows), self._batch_size)]
        assert self._batch_tokens is not None
        cuts, start = [], 0
        for i, longest in enumerate(self._targets.lengths[rows].tolist()):  # rising, so the newest is the longest
            if i > start and (i + 1 - start) * longest > self._batch_tokens:
                cuts.append(i)
                start = i
        return np.split(rows, cuts)

    def batch(self, rows: np.ndarray) -> Batch:
        """These pairs as arrays, in this order."""
        return Batch(*self._sources.padded(rows), *self._targets.padded(rows), rows)

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The epoch's batches from the `skip`-th on (a run that is taken up again skips those it has seen)."""
        for rows in self.plan(epoch)[skip:]:
            yield self.batch(rows)


def in_length_order(
    sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]] | None, batch_size: int
) -> Iterator[Batch]:
    """All pairs once, longest source first, for decoding and for the loss on dev; `rows` says where each belongs.

    Without targets, `target` is [B, 0] and `target_lengths` are 0.
    """
    source = _Rows(sources)
    target = _Rows(targets if targets is not None else [[] for _ in sources])
    assert len(source.lengths) == len(target.lengths)
    order = np.lexsort((-target.lengths, -source.lengths))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield Batch(*source.padded(rows), *target.padded(rows), rows)
