"""The edit distance of two sequences: by the package `rapidfuzz` where it is installed, else here; both give the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence


def edits(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """The fewest insertions, deletions and substitutions that turn `a` into `b` (Levenshtein)."""
    return _edits()(a, b)


@functools.cache
def _edits() -> Callable[[Sequence[Hashable], Sequence[Hashable]], int]:
    try:
        from rapidfuzz.distance import Levenshtein
    except ModuleNotFoundError:
        return plain
    return Levenshtein.distance


def plain(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """`edits` without a package, by Myers (1999) in the form of Hyyrö (2003): a column of the table of edits at once.

    Going down a column of the table, its numbers rise by one, fall by one or stay: bit i of `rises` and `falls` says so for
    token i of `a`, in integers of any length.
    """
    if not a:
        return len(b)
    places: dict[Hashable, int] = {}
    for i, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << i
    all_of_a, last = (1 << len(a)) - 1, 1 << len(a) - 1
    rises, falls, distance = all_of_a, 0, len(a)
    for token in b:
        same = places.get(token, 0)
        diagonal = (((same & rises) + rises) ^ rises) | same | falls  # where the number up left is the number here
        more = falls | ~(diagonal | rises) & all_of_a  # across, from the column before: bits that rise …
        less = diagonal & rises  # … and fall
        distance += bool(more & last) - bool(less & last)
        more, less = more << 1 | 1, less << 1
        rises, falls = (less | ~(diagonal | more)) & all_of_a, diagonal & more & all_of_a
    return distance
