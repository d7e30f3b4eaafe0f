"""A survey: a first pass over all pairs that finds what tokenising needs: the sources of dev, and text for bpe to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from jumok.config import TextConfig, build
from jumok.corpus.blocks import read_block
from jumok.text.dev import LOOKED_AT, composed, hashed

SAMPLE = 500_000  # most pairs that bpe learns from; spread evenly over the lines


class Surveying:
    """Surveys blocks, in any process.

    The facts of a block, as JSON values:

        pairs       number of pairs
        sample      (line, source, target) of the pairs whose line number is a multiple of `every`
        first       (hash, source, number of pairs with it) of the sources with the lowest hashes
        …           all of `Columns.facts`
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.files, self.seed, self.looked_at = settings["files"], settings["seed"], settings["looked_at"]
        self.text = build(TextConfig, settings["text"], "survey")

    def __call__(self, header: dict[str, Any], raw: Sequence[bytes]) -> dict[str, Any]:
        """Surveys a block, and returns the facts.

        The header has the number of lines `before` the block, the distance `every` of sampled lines (0 = no sample), and the
        highest hash that may still count, `below`.
        """
        columns = read_block(raw, header["before"], self.files, self.text)
        every, first = header["every"], []
        if self.seed is not None:
            below, seen = bytes.fromhex(header["below"]), Counter(map(composed, columns.sources))
            lowest = sorted(entry for entry in hashed(seen, self.seed) if entry[0] <= below)[: self.looked_at]
            first = [(digest.hex(), source, seen[source]) for digest, source in lowest]
        rows = zip(columns.lines, columns.sources, columns.targets, strict=True)
        sample = [row for row in rows if row[0] % every == 0] if every else []
        return columns.facts() | {"pairs": len(columns.sources), "sample": sample, "first": first}


class Survey:
    """The facts of all blocks together, added in order.

    Attributes:
        pairs: number of pairs so far.
        every: distance of the lines that are sampled; 0 = no sample.
        below: the highest hash that may still count.
    """

    def __init__(self, sample: bool, most: int = SAMPLE, looked_at: int = LOOKED_AT) -> None:
        self.pairs, self.most, self.looked_at = 0, most, looked_at
        self.every = 1 if sample else 0
        self.below = "ff" * 32
        self._sample: list[tuple[int, str, str]] = []
        self._first: dict[str, tuple[str, int]] = {}

    def add(self, facts: dict[str, Any]) -> None:
        """Adds the facts of the next block."""
        self.pairs += facts["pairs"]
        self._sample += [(line, source, target) for line, source, target in facts["sample"] if line % self.every == 0]
        while len(self._sample) > self.most:
            self.every *= 2
            self._sample = [row for row in self._sample if row[0] % self.every == 0]
        for digest, source, n in facts["first"]:
            if digest <= self.below:
                self._first[digest] = source, n + (self._first[digest][1] if digest in self._first else 0)
        if len(self._first) > 2 * self.looked_at:
            self._keep_lowest()

    def _keep_lowest(self) -> None:
        lowest = sorted(self._first)[: self.looked_at]
        self._first = {digest: self._first[digest] for digest in lowest}
        if len(lowest) == self.looked_at:
            self.below = lowest[-1]

    def first(self) -> list[tuple[str, int]]:
        """The sources with the lowest hashes, lowest first, and how many pairs have each; for `set_aside`."""
        self._keep_lowest()
        return list(self._first.values())

    def sample(self, held: Iterable[str]) -> tuple[list[str], list[str]]:
        """Sources and targets for bpe to learn from, without those of the `held` sources."""
        gone = frozenset(held)
        kept = [(source, target) for _, source, target in self._sample if composed(source) not in gone]
        return [source for source, _ in kept], [target for _, target in kept]
