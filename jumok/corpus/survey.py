"""Survey: a first pass over all pairs for what must be known before they are cut: dev's sources, text for bpe to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from jumok.config import TextConfig, build
from jumok.corpus.blocks import read_block
from jumok.text.dev import LOOKED_AT, hashed

SAMPLE = 500_000  # pairs that bpe learns from, at most; spread evenly over the lines


class Surveying:
    """Looks at a block, in whichever process.

    A block's facts: `pairs` in it; `sample`: (line, source, target) of pairs on every so-manieth line; `first`: (hash, source,
    pairs that have it) of sources with low hashes; and all that `Columns.told` has.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.files, self.seed, self.looked_at = settings["files"], settings["seed"], settings["looked_at"]
        self.text = build(TextConfig, settings["text"], "survey")

    def __call__(self, header: dict[str, Any], raw: Sequence[bytes]) -> dict[str, Any]:
        """Block -> facts. Header: lines `before` it, `every` so many lines a sample (0 = none), hashes `below` this."""
        columns = read_block(raw, header["before"], self.files, self.text)
        every, first = header["every"], []
        if self.seed is not None:
            below, seen = bytes.fromhex(header["below"]), Counter(columns.sources)
            lowest = sorted(each for each in hashed(seen, self.seed) if each[0] <= below)[: self.looked_at]
            first = [(found.hex(), source, seen[source]) for found, source in lowest]
        rows = zip(columns.lines, columns.sources, columns.targets, strict=True)
        sample = [row for row in rows if row[0] % every == 0] if every else []
        return columns.told() | {"pairs": len(columns.sources), "sample": sample, "first": first}


class Survey:
    """What all blocks together told, in the order they come.

    Attributes:
        pairs: so far.
        every: a sample is taken from so many lines; 0 = from none.
        below: sources with a higher hash are of no interest any more.
    """

    def __init__(self, sample: bool, most: int = SAMPLE, looked_at: int = LOOKED_AT) -> None:
        self.pairs, self.most, self.looked_at = 0, most, looked_at
        self.every = 1 if sample else 0
        self.below = "ff" * 32
        self._sample: list[tuple[int, str, str]] = []
        self._first: dict[str, tuple[str, int]] = {}

    def add(self, facts: dict[str, Any]) -> None:
        """The facts of the next block."""
        self.pairs += facts["pairs"]
        self._sample += [(line, source, target) for line, source, target in facts["sample"] if line % self.every == 0]
        while len(self._sample) > self.most:
            self.every *= 2
            self._sample = [row for row in self._sample if row[0] % self.every == 0]
        for found, source, n in facts["first"]:
            if found <= self.below:
                self._first[found] = source, n + (self._first[found][1] if found in self._first else 0)
        if len(self._first) > 2 * self.looked_at:
            self._keep_lowest()

    def _keep_lowest(self) -> None:
        lowest = sorted(self._first)[: self.looked_at]
        self._first = {found: self._first[found] for found in lowest}
        if len(lowest) == self.looked_at:
            self.below = lowest[-1]

    def first(self) -> list[tuple[str, int]]:
        """The sources with the lowest hashes, lowest first, and how many pairs have each; as `set_aside` wants them."""
        self._keep_lowest()
        return list(self._first.values())

    def sample(self, held: Iterable[str]) -> tuple[list[str], list[str]]:
        """Sources and targets for bpe to learn from, without those of the `held` sources."""
        gone = frozenset(held)
        kept = [(source, target) for _, source, target in self._sample if source not in gone]
        return [source for source, _ in kept], [target for _, target in kept]
