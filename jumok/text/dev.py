"""Dev pairs: checked against the training pairs, or held out from them by source; for pairs in memory and for a stream."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest

from jumok.errors import DataError
from jumok.text.pairs import Pair

Key = tuple[str, str, tuple[str, ...]]
Asked = tuple[str, tuple[str, ...]]  # what a model reads: source and features
SHARE, MOST = 1 / 20, 2000  # the share of all pairs that is held out, and the most pairs
LOOKED_AT = 40_000  # sources that may be held out: those with the lowest hashes


def key(pair: Pair) -> Key:
    """The parts of a pair that decide whether two pairs are the same."""
    return composed(pair.source), composed(pair.target), pair.features


def composed(text: str) -> str:
    """The text in NFC: one text may be written in several forms, and is the same to a model."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def asked(source: str, features: tuple[str, ...]) -> Asked:
    """What decides whether two pairs ask a model the same."""
    return composed(source), features


class Overlap:
    """The dev pairs that are training pairs too, or that contradict some, collected while the training pairs are read."""

    def __init__(self, dev: Iterable[Key]) -> None:
        self.dev = frozenset(dev)
        self._sources = frozenset(source for source, _, _ in self.dev)
        self.shared: set[Key] = set()
        self.seen: set[Asked] = set()  # what training pairs have, with whatever target
        self.others = False  # whether some training pair is not a dev pair

    def look(
        self, sources: Sequence[str], targets: Sequence[str], features: Sequence[tuple[str, ...]] | None
    ) -> tuple[set[Key], set[Asked], bool]:
        """Looks through training pairs, given as columns (features None if no pair has any).

        Returns:
            The dev pairs among them; sources, with features, that may be dev's; and whether there are other pairs.
        """
        seen = [
            (source, composed(targets[i]), features[i] if features else ())
            for i, source in enumerate(map(composed, sources))
            if source in self._sources  # a quick test that few pass
        ]
        common = [pair for pair in seen if pair in self.dev]
        return set(common), {(source, own) for source, _, own in seen}, len(common) < len(sources)

    def add(self, shared: Iterable[Key], seen: Iterable[Asked], others: bool) -> None:
        """Adds a result of `look`."""
        self.shared.update(shared)
        self.seen.update(seen)
        self.others = self.others or others

    def judge(self, dev: Sequence[Pair], warn: Callable[[str], None]) -> list[int]:
        """Refuses dev pairs that are the training pairs; warns if some of them are, or contradict some.

        Returns:
            Which of `dev` may pick a model: not those whose source training has with other targets only. A model gets them right
            only where it has not learned its pairs, so they would pick the one that learned least. If they are more than half of
            dev, the data are such, and all are taken.

        Raises:
            DataError: the two sets are equal.
        """
        name = _file(dev[0]) if dev else "dev"
        if dev and not self.others and self.shared == self.dev:
            raise DataError(
                f"{name}: the dev pairs are the training pairs, so that they cannot show which model is best; "
                "give other pairs, or leave --dev out (1 in 20 training pairs is then held out)"
            )
        common = sum(key(pair) in self.shared for pair in dev)
        if common:
            share = f"{100 * common / len(dev):.1f} %"
            warn(f"{name}: {common:,} of {len(dev):,} dev pairs ({share}) are training pairs too; dev figures will be too good")
        right = {(source, features) for source, _, features in self.shared}
        against = {i for i, p in enumerate(dev) if (one := asked(p.source, p.features)) in self.seen and one not in right}
        if not against:
            return list(range(len(dev)))
        share, few = f"{100 * len(against) / len(dev):.1f} %", 2 * len(against) <= len(dev)
        what = "left out of dev, or the model that learned least would be kept" if few else "too many to be left out of dev"
        warn(
            f"{name}: the sources of {len(against):,} of {len(dev):,} dev pairs ({share}) have only other targets in training; {what}"
        )
        return [i for i in range(len(dev)) if not few or i not in against]


def check_dev(train: Sequence[Pair], dev: Sequence[Pair], warn: Callable[[str], None]) -> list[Pair]:
    """The dev pairs that may pick a model, as `Overlap.judge` says; warns of what dev has in common with training.

    Two pairs are the same if source, target and features are.

    Raises:
        DataError: the two sets are equal.
    """
    overlap = Overlap(map(key, dev))
    overlap.add(*overlap.look([p.source for p in train], [p.target for p in train], [p.features for p in train]))
    return [dev[i] for i in overlap.judge(dev, warn)]


def split_dev(pairs: Sequence[Pair], seed: int, share: float = SHARE, most: int = MOST) -> tuple[list[Pair], list[Pair]]:
    """Splits pairs into (train, dev), by source: all pairs with the same source are in one part. Their order stays.

    Dev has about `share` of the pairs and at most `most`, but at least one source. The SHA-256 of seed and source decides
    which sources: the same ones on every machine, in whatever order the file has them.

    Raises:
        DataError: fewer than two different sources.
    """
    sizes = Counter(composed(p.source) for p in pairs)
    first = nsmallest(LOOKED_AT, hashed(sizes, seed))
    held = set_aside(
        [(source, sizes[source]) for _, source in first], len(pairs), _file(pairs[0]) if pairs else "", share, most
    )
    parts: tuple[list[Pair], list[Pair]] = [], []
    for p in pairs:
        parts[composed(p.source) in held].append(p)
    return parts


def hashed(sources: Iterable[str], seed: int) -> list[tuple[bytes, str]]:
    """(SHA-256 of seed and source, source) for each source."""
    import hashlib  # here, since translating needs none, and OpenSSL takes 6 ms to load

    begin = b"%d\t" % seed
    return [(hashlib.sha256(begin + source.encode("utf-8", "surrogatepass")).digest(), source) for source in sources]


def set_aside(first: Sequence[tuple[str, int]], total: int, file: str, share: float = SHARE, most: int = MOST) -> set[str]:
    """Chooses the sources that are held out for dev.

    Args:
        first: the LOOKED_AT sources with the lowest hashes, lowest first, and how many pairs have each.
        total: the number of all pairs.
        file: its name, for the error.

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
