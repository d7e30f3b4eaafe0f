"""Links of a pair taken in both directions, made into one set; the table COMBINE.

A model links each target word by what it attends to, and a model of the other direction each source word. What both say is
likely right; what one of them says may fill the gaps (Och & Ney 2003, section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

Link = tuple[int, int]
Links = AbstractSet[Link]


def grow_diagonal(a: Links, b: Links) -> set[Link]:
    """What both say, and from there, link by link, each link of either that lies diagonally beside one that is in already and
    joins two words that have none yet.

    As in the published outputs called "grow-diagonal" of shared/data/word-alignment. Moses' grow-diag (Koehn et al. 2005) takes
    more: there it is enough that one of the two words has no link.
    """
    found, union = set(a & b), a | b
    sources, targets = {i for i, _ in found}, {j for _, j in found}
    beside = sorted(found)
    while beside:
        grown = []
        for i, j in beside:
            for link in ((i - 1, j - 1), (i - 1, j + 1), (i + 1, j - 1), (i + 1, j + 1)):
                if link in union and link[0] not in sources and link[1] not in targets:
                    grown.append(link)
                    sources.add(link[0])
                    targets.add(link[1])
        found.update(grown)
        beside = sorted(grown)
    return found


def _intersection(a: Links, b: Links) -> set[Link]:
    return set(a & b)


def _union(a: Links, b: Links) -> set[Link]:
    return set(a | b)


COMBINE: dict[str, Callable[[Links, Links], set[Link]]] = {
    "grow-diagonal": grow_diagonal,
    "intersection": _intersection,
    "union": _union,
}
"""Source-target links of either direction -> one set; the order of the two does not matter."""
