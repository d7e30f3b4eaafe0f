"""A list of whole outputs as a trie of their tokens, so that search writes one of them and nothing else.

The outputs stand sorted in one array; a node of the trie is a range of them that have the same beginning. So a list of 100,000
outputs takes a few megabytes, and only what search looks at is ever expanded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jumok.decode.automata import Allowed, State
from jumok.text.vocabulary import END

Range = tuple[int, int, int]  # first output, one behind the last, tokens they have in common


@dataclass(frozen=True, eq=False)
class Children:
    """What may follow a node: token -> the next node; the tokens; for each the length of the shortest output below it."""

    nodes: dict[int, Range]
    tokens: Allowed
    least: np.ndarray


class Trie:
    """Outputs, each a sequence of ids with END last, and different from the others.

    Attributes:
        shortest, longest: the tokens of the shortest and of the longest output.
    """

    def __init__(self, given: Iterable[tuple[int, ...]]) -> None:
        outputs = sorted(given)
        self.lengths = np.array([len(ids) for ids in outputs], np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
        self.ids = np.fromiter((i for ids in outputs for i in ids), np.int32, int(self.lengths.sum()))
        self.shortest, self.longest = int(self.lengths.min()), int(self.lengths.max())
        self.root: Range = (0, len(outputs), 0)
        self._children: dict[Range, Children] = {}

    def children(self, node: Range) -> Children:
        """What may follow a node."""
        if node not in self._children:
            first, behind, depth = node
            tokens = self.ids[self.starts[first:behind] + depth]
            cuts = np.concatenate([[0], np.flatnonzero(np.diff(tokens)) + 1])
            ends = [*cuts[1:].tolist(), behind - first]
            nodes = {
                token: (first + start, first + end, depth + 1)
                for token, start, end in zip(tokens[cuts].tolist(), cuts.tolist(), ends, strict=True)
            }
            least = np.minimum.reduceat(self.lengths[first:behind], cuts)
            self._children[node] = Children(nodes, Allowed(tokens[cuts].tolist(), only=True), least)
        return self._children[node]


@dataclass(frozen=True)
class Listed:
    """The output is one of a trie that has at most `limit` tokens. A state is a node."""

    trie: Trie
    limit: int

    def start(self) -> State:
        return self.trie.root

    def allowed(self, state: State) -> Allowed:
        children = self.trie.children(state)
        if self.trie.longest <= self.limit:
            return children.tokens
        return Allowed(children.tokens.tokens[children.least <= self.limit].tolist(), only=True)

    def after(self, state: State, token: int) -> State:
        return None if token == END else self.trie.children(state).nodes.get(token)
