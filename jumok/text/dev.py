"""Dev pairs: checked against the training pairs, or set aside from them by source; of pairs in memory or of a stream."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest

from jumok.errors import DataError
from jumok.text.pairs import Pair

Key = tuple[str, str, tuple[str, ...]]
SHARE, MOST = 1 / 20, 2000  # of all pairs are set aside; at most so many
LOOKED_AT = 40_000  # sources that may be set aside: those with the lowest hashes


def key(pair: Pair) -> Key:
    """What makes two pairs the same."""
    return pair.source, pair.target, pair.features


class Overlap:
    """Which dev pairs are training pairs too, found while the training pairs go by."""

    def __init__(self, dev: Iterable[Key]) -> None:
        self.dev = frozenset(dev)
        self._sources = frozenset(source for source, _, _ in self.dev)
        self.shared: set[Key] = set()
        self.others = False  # whether some training pair is no dev pair

    def look(
        self, sources: Sequence[str], targets: Sequence[str], features: Sequence[tuple[str, ...]] | None
    ) -> tuple[set[Key], bool]:
        """Training pairs as columns (features None where no pair has any) -> dev pairs among them, whether there are others."""
        seen = [
            (source, targets[i], features[i] if features else ())
            for i, source in enumerate(sources)
            if source in self._sources  # few are, and that is quickly seen
        ]
        common = [pair for pair in seen if pair in self.dev]
        return set(common), len(common) < len(sources)

    def add(self, shared: Iterable[Key], others: bool) -> None:
        """What `look` saw."""
        self.shared.update(shared)
        self.others = self.others or others

    def judge(self, dev: Sequence[Pair], warn: Callable[[str], None]) -> None:
        """Refuse dev pairs that are the training pairs; warn where some of them are.

        Raises:
            DataError: the two sets are equal.
        """
        name = _file(dev[0]) if dev else "dev"
        if dev and not self.others and self.shared == self.dev:
            raise DataError(
                f"{name}: the dev pairs are the training pairs; a model picked by pairs it has seen cannot be trusted; "
                "give others, or leave --dev out (1 in 20 training pairs is then held out)"
            )
        common = sum(key(pair) in self.shared for pair in dev)
        if common:
            share = f"{100 * common / len(dev):.1f} %"
            warn(f"{name}: {common:,} of {len(dev):,} dev pairs ({share}) are training pairs too; dev figures will be too good")


def check_dev(train: Sequence[Pair], dev: Sequence[Pair], warn: Callable[[str], None]) -> None:
    """Refuse dev pairs that are the training pairs; warn where some of them are.

    A pair is the same where source, target and features are.

    Raises:
        DataError: the two sets are equal.
    """
    overlap = Overlap(map(key, dev))
    overlap.add(*overlap.look([p.source for p in train], [p.target for p in train], [p.features for p in train]))
    overlap.judge(dev, warn)


def split_dev(pairs: Sequence[Pair], seed: int, share: float = SHARE, most: int = MOST) -> tuple[list[Pair], list[Pair]]:
    """Pairs -> (train, dev), split by source: all pairs of a source are on one side, both sides keep their order.

    Dev has about `share` of the pairs and at most `most`, but at least one source. Which sources follows from their SHA-256
    with the seed, so that it is the same on every machine and in any order of the file.

    Raises:
        DataError: fewer than two different sources.
    """
    sizes = Counter(p.source for p in pairs)
    first = nsmallest(LOOKED_AT, hashed(sizes, seed))
    held = set_aside(
        [(source, sizes[source]) for _, source in first], len(pairs), _file(pairs[0]) if pairs else "", share, most
    )
    return [p for p in pairs if p.source not in held], [p for p in pairs if p.source in held]


def hashed(sources: Iterable[str], seed: int) -> list[tuple[bytes, str]]:
    """Each source behind its SHA-256 with the seed."""
    begin = b"%d\t" % seed
    return [(hashlib.sha256(begin + source.encode("utf-8", "surrogatepass")).digest(), source) for source in sources]


def set_aside(first: Sequence[tuple[str, int]], total: int, file: str, share: float = SHARE, most: int = MOST) -> set[str]:
    """The sources that are set aside for dev.

    Args:
        first: the LOOKED_AT sources with the lowest hashes, lowest first, each with how many pairs have it.
        total: pairs in all.
        file: named in the error.

    Raises:
        DataError: fewer than two different sources.
    """
    if len(first) < 2:
        where = f"{file}: " if file else ""
        raise DataError(f"{where}fewer than 2 different sources; they cannot be split into training and dev; give --dev")
    wanted = max(1, min(most, round(share * total)))
    held: set[str] = set()
    taken = 0
    for source, size in first[:-1]:  # one source is left for training, whatever the share
        if taken + size <= wanted:
            held.add(source)
            taken += size
        if taken == wanted:
            break
    return held or {min(first, key=lambda entry: entry[1])[0]}  # all have more pairs than wanted: the one with fewest


def _file(pair: Pair) -> str:
    return pair.where.rpartition(":")[0] or "pairs"
