"""Pieces: what each token of a vocabulary adds to a text, and which tokens can write a given text.

Here a text is *marked*: written with all pieces as they stand behind others. So for tokens that carry their blank (space, word,
bpe), it begins with one: "a man" is " a man", of the pieces " a" and " man".

Letters: V vocabulary.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

from jumok.text.codec import Side
from jumok.text.shape import WITHOUT_BLANKS
from jumok.text.vocabulary import SPECIALS, UNK

Node = dict[str, Any]  # a character -> the next node; "" -> the ids whose piece ends here


class Pieces:
    """The pieces of one side's vocabulary.

    Attributes:
        side: tokenizer and vocabulary.
        lead: what a marked text begins with, a blank or nothing.
        composes: whether outputs are composed (forms NFD and NFKD), so that a letter and its marks become one character.
        texts: V pieces; "" for specials but <unk>.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        join, self._probe = side.tokenizer.join, side.tokenizer.cut(["x"])[0]
        self._before = len(join(self._probe))
        self.lead = join([*self._probe, *self._probe])[self._before :].removesuffix("x")
        self.composes = side.tokenizer.form in ("NFD", "NFKD")
        own = side.vocabulary.tokens(range(len(SPECIALS), len(side)))
        self.texts = ["", "", "", self.of(side.tokenizer.unknown), *map(self.of, own)]

    def of(self, token: str) -> str:
        """The piece of any token, known or not."""
        return self.side.tokenizer.join([*self._probe, token])[self._before :]

    def cut(self, text: str) -> tuple[list[str], str]:
        """The tokens of a text, and the marked text that they write."""
        tokens = self.side.tokenizer.tokens(text)
        return tokens, "".join(map(self.of, tokens))

    def inner(self, text: str) -> list[str]:
        """The pieces of a text's tokens, the first without its blank: what the text is where it stands inside another."""
        tokens, _ = self.cut(text)
        pieces = [self.of(token) for token in tokens]
        return [pieces[0].removeprefix(self.lead), *pieces[1:]] if pieces else []

    @cached_property
    def tree(self) -> Node:
        """All pieces, but for <unk>'s, by their characters."""
        root: Node = {}
        for i, piece in enumerate(self.texts):
            if i < len(SPECIALS):
                continue
            node = root
            for c in piece:
                node = node.setdefault(c, {})
            node.setdefault("", []).append(i)
        return root

    def below(self, node: Node) -> Iterator[int]:
        """The ids of all pieces that go on from here."""
        waiting = [node]
        while waiting:
            for c, inner in waiting.pop().items():
                if c:
                    waiting.append(inner)
                else:
                    yield from inner

    def along(self, text: str, start: int) -> Iterator[tuple[int, Node]]:
        """The nodes on the way along text[start:], as far as there are some: (position behind, node)."""
        node = self.tree
        for i in range(start, len(text)):
            found = node.get(text[i])
            if found is None:
                return
            node = found
            yield i + 1, node

    def ways(self, text: str, closed: bool, banned: frozenset[int] = frozenset()) -> Ways:
        """How tokens that are not banned can write a marked text and what may follow it; see `Ways`.

        Args:
            closed: the text ends where a token ends. Else the last token may go on behind it.
        """
        n = len(text)
        choices: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        reached = {0}
        for at in range(n):
            if at not in reached:
                continue
            if not closed and UNK not in banned and self.lead == text[at:] and self.texts[UNK].startswith(self.lead or "x"):
                choices[at].append((UNK, n))
            for behind, node in self.along(text, at):
                choices[at] += [(i, behind) for i in node.get("", ()) if i not in banned]
                if node.get("") and any(i not in banned for i in node[""]):
                    reached.add(behind)
                if behind == n and not closed:
                    inner = {c: to for c, to in node.items() if c and not (self.composes and continues(c))}
                    choices[at] += [(i, n) for i in self.below(inner) if i not in banned]
        least: list[int | None] = [None] * n + [0]
        for at in range(n - 1, -1, -1):
            counts = [1 + rest for _, behind in choices[at] if (rest := least[behind]) is not None]
            least[at] = min(counts, default=None)
        kept = [[(i, behind) for i, behind in own if least[behind] is not None] for own in choices]
        farthest = max((behind for at in reached if at < n for behind, _ in self.along(text, at)), default=0)
        return Ways(text, kept, least[0], farthest)


class Ways:
    """The ways to write a text.

    Attributes:
        text: the marked text.
        choices: for each position of it, the tokens that lead on to its end, each with the position behind it.
        least: the fewest tokens that write it; None if none do.
        farthest: how many of its characters can be written at all.
    """

    def __init__(self, text: str, choices: list[list[tuple[int, int]]], least: int | None, farthest: int) -> None:
        self.text, self.choices, self.least, self.farthest = text, choices, least, farthest


@lru_cache(4096)
def continues(c: str) -> bool:
    """Whether a character may become one with the letter before it, when text is composed: marks, and vowels and finals of Hangul."""
    return unicodedata.category(c)[0] == "M" or "\u1160" <= c <= "\u11ff"


@lru_cache(4096)
def in_word(c: str) -> bool:
    """Whether a character is part of a word: letters, digits, _ and combining marks."""
    return c.isalnum() or c == "_" or continues(c)


@lru_cache(4096)
def joins(c: str) -> bool:
    """Whether a character beside a word makes it a longer one; those of scripts without blanks do not."""
    return in_word(c) and not WITHOUT_BLANKS.match(c)
