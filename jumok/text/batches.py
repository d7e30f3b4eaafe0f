"""Batches: padded arrays with lengths, pooled by length, in an order that depends only on seed and epoch.

Letters: B pairs in a batch, S longest source of the batch, T longest target; N pairs in all. Lengths count END.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jumok.text.choices import Choices, together
from jumok.text.recut import Recutting
from jumok.text.rows import Rows

CHUNK = 1 << 20  # lengths in one step of a checksum


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs as arrays, all int64, padded with PAD at the end of a row.

    Attributes:
        source: [B, S] ids, END last.
        source_lengths: [B].
        target: [B, T] ids, END last, no START; [B, 0] if there are no targets.
        target_lengths: [B].
        rows: [B] the indices of the pairs in the lists that the batch was made from.
    """

    source: np.ndarray
    source_lengths: np.ndarray
    target: np.ndarray
    target_lengths: np.ndarray
    rows: np.ndarray

    def part(self, number: int, of: int) -> Batch:
        """Every `of`-th pair, beginning with pair `number`; without padding that they do not need. It may be empty.

        Together, the parts of a batch are the batch, and each gets pairs of all lengths.
        """
        chosen = slice(number, None, of)
        lengths, target_lengths = self.source_lengths[chosen], self.target_lengths[chosen]
        source = self.source[chosen, : lengths.max(initial=0)]
        return Batch(source, lengths, self.target[chosen, : target_lengths.max(initial=0)], target_lengths, self.rows[chosen])


class Batches:
    """All pairs, once an epoch, in batches of pairs with about equal lengths.

    An epoch shuffles all pairs, cuts them into pools of `pool` batches, sorts each pool by target length and, among equals, by
    source length, cuts it into batches, and shuffles all batches.

    Args:
        sources: N lists of ids, END last, or the same as `Rows`; or what cuts them, and the pairs' own targets, anew for each epoch.
        targets: lists as of sources; or choices, of which each epoch takes one for each pair.
        batch_size: pairs in a batch; or
        batch_tokens: the most target positions in a batch, padding included (a longer target is a batch of its own).
        pool: how many batches are sorted by length together; the more, the less padding.
        seed: 0 or more.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[int]] | Rows | Recutting,
        targets: Sequence[Sequence[int]] | Rows | Choices,
        *,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        pool: int = 512,
        seed: int = 1,
    ) -> None:
        self._recutting = sources if isinstance(sources, Recutting) else None
        if isinstance(sources, Recutting):
            sources = sources.usual[0]
        self._choices = targets if isinstance(targets, Choices) else None
        own = targets.own if isinstance(targets, Choices) else Rows.of(targets)
        assert len(sources) == len(own)
        assert (batch_size is None) != (batch_tokens is None)
        self._sources = Rows.of(sources)
        self._targets = own if self._choices is None else together(own, self._choices.rows)
        self._batch_size, self._batch_tokens = batch_size, batch_tokens
        self._seed = seed
        if batch_tokens is not None:
            mean = float(self._targets.lengths.mean()) if len(self._targets) else 1.0
            batch_size = max(1, int(batch_tokens / max(1.0, mean)))
        assert batch_size is not None
        self._pool = pool * batch_size
        self._cut_for = -1, self._sources, self._targets  # an epoch, and the rows as they are cut in it
        self._counts: dict[int, int] = {}  # epoch -> its number of batches
        self._fingerprint: int | None = None

    def __len__(self) -> int:
        """The number of batches in an epoch; with `batch_tokens`, in epoch 0 (see `length`)."""
        return self.length(0)

    def length(self, epoch: int) -> int:
        """The number of batches in this epoch; with `batch_tokens`, it differs a little between epochs."""
        if self._batch_size is not None:
            return -(-len(self._sources) // self._batch_size)
        if epoch not in self._counts:
            self.plan(epoch)
        return self._counts[epoch]

    def fingerprint(self) -> int:
        """A number that changes when pairs are added or removed, or change lengths or order (CRC-32 of all lengths)."""
        if self._fingerprint is None:
            checksum = 0
            for rows in (self._sources, self._targets):
                for start in range(0, len(rows), CHUNK):
                    checksum = zlib.crc32(rows.lengths[start : start + CHUNK].astype(np.int64).tobytes(), checksum)
            self._fingerprint = checksum
        return self._fingerprint

    def plan(self, epoch: int) -> list[np.ndarray]:
        """The epoch's batches in order, each as row indices; a pure function of the data's lengths, seed and epoch."""
        random = np.random.default_rng([self._seed, epoch])
        order = random.permutation(np.arange(len(self._sources), dtype=np.int32))
        chosen = self._chosen(epoch)
        sources, targets = self._rows(epoch)
        longest = max(int(rows.lengths.max(initial=0)) for rows in (sources, targets))
        narrow = np.min_scalar_type(-longest - 1)  # NumPy sorts short integers by radix, in a tenth of the time
        batches: list[np.ndarray] = []
        for start in range(0, len(order), self._pool):
            pool = order[start : start + self._pool]
            source = sources.lengths[pool].astype(narrow)
            target = targets.lengths[pool if chosen is None else chosen[pool]].astype(narrow)
            # Up and down in turn, so that a batch across two target lengths has sources of about one length.
            snake = np.where(target % 2, source, -source)
            by_source = np.argsort(snake, kind="stable")
            by_both = by_source[np.argsort(target[by_source], kind="stable")]
            pool[:] = pool[by_both]
            batches += self._cut(pool, target[by_both])
        self._counts[epoch] = len(batches)
        return [batches[i] for i in random.permutation(len(batches))]

    def _rows(self, epoch: int) -> tuple[Rows, Rows]:
        """Sources and targets as they are cut in this epoch; targets to choose from stay as they are."""
        if self._recutting is None:
            return self._sources, self._targets
        if self._cut_for[0] != epoch:
            sources, targets = self._recutting.draw(epoch)
            self._cut_for = epoch, sources, targets if self._choices is None else together(targets, self._choices.rows)
        return self._cut_for[1:]

    def _cut(self, rows: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
        """Cuts a sorted pool into batches. `lengths` are those of its targets."""
        if self._batch_size is not None:
            return [rows[i : i + self._batch_size] for i in range(0, len(rows), self._batch_size)]
        assert self._batch_tokens is not None
        longest, batches, start = lengths.tolist(), [], 0  # lengths rise, so the last of a batch is its longest

        def positions(last: int) -> int:
            """Target positions of a batch from `start` to `last`."""
            return (last + 1 - start) * longest[last]

        while start < len(rows):
            end = bisect_right(range(len(rows)), self._batch_tokens, start + 1, key=positions)
            batches.append(rows[start:end])
            start = end
        return batches

    def _chosen(self, epoch: int) -> np.ndarray | None:
        """For each pair the row of the target that it has in this epoch; None = its own."""
        if self._choices is None:
            return None
        drawn, own = self._choices.draw(self._seed, epoch), np.arange(len(self._sources))
        return np.where(drawn < 0, own, drawn + len(own))

    def batch(self, rows: np.ndarray, epoch: int = 0, chosen: np.ndarray | None = None) -> Batch:
        """These pairs as arrays, in this order, cut as in this epoch; `chosen`: for each of all pairs the row of its target."""
        sources, targets = self._rows(epoch)
        target = targets.padded(rows if chosen is None else chosen[rows])
        return Batch(*sources.padded(rows), *target, rows.astype(np.int64, copy=False))

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The epoch's batches, without the first `skip` (a resumed run skips those it has seen)."""
        chosen = self._chosen(epoch)
        for rows in self.plan(epoch)[skip:]:
            yield self.batch(rows, epoch, chosen)


def in_length_order(
    sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]] | None, batch_size: int
) -> Iterator[Batch]:
    """All pairs once, longest source first, for decoding and for the loss on dev; `rows` are their indices.

    Without targets, `target` is [B, 0] and `target_lengths` are 0.
    """
    source = Rows.of(sources)
    target = Rows.of(targets if targets is not None else [[] for _ in sources])
    assert len(source.lengths) == len(target.lengths)
    order = np.lexsort((-target.lengths, -source.lengths))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield Batch(*source.padded(rows), *target.padded(rows), rows)
