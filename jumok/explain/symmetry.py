"""Merges the links of a pair in both directions into one set; the table COMBINE.

A model links each target word by its attention, and a model of the other direction links each source word. Links in both sets
are probably right; links in one set may fill the gaps (Och & Ney 2003, section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

Link = tuple[int, int]
Links = AbstractSet[Link]


def grow_diagonal(a: Links, b: Links) -> set[Link]:
    """The links in both sets; then, step by step, links in either that are diagonal neighbours of an accepted link and join two
    words that have no link yet.

    As in the published outputs called "grow-diagonal" for the English-French gold set. Moses' grow-diag (Koehn et al. 2005)
    accepts more links: only one of the two words must have no link.
    """
    links, union = set(a & b), a | b
    sources, targets = {i for i, _ in links}, {j for _, j in links}
    beside = sorted(links)
    while beside:
        grown = []
        for i, j in beside:
            for link in ((i - 1, j - 1), (i - 1, j + 1), (i + 1, j - 1), (i + 1, j + 1)):
                if link in union and link[0] not in sources and link[1] not in targets:
                    grown.append(link)
                    sources.add(link[0])
                    targets.add(link[1])
        links.update(grown)
        beside = sorted(grown)
    return links


def _intersection(a: Links, b: Links) -> set[Link]:
    return set(a & b)


def _union(a: Links, b: Links) -> set[Link]:
    return set(a | b)


COMBINE: dict[str, Callable[[Links, Links], set[Link]]] = {
    "grow-diagonal": grow_diagonal,
    "intersection": _intersection,
    "union": _union,
}
"""Two sets of source-target links -> one set; the order of the two does not matter."""
