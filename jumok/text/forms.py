"""Unicode forms: one letter may be one character or several (é, or e and U+0301). To a model these are different tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from typing import Any


class Letters:
    """Collects the letters of many texts that are written in two forms, so that a model has several tokens for one letter.

    `count` texts have a letter that is not in NFC, the first of them in line `first`.
    """

    def __init__(self) -> None:
        self.composed: set[str] = set()  # letters that are written as one character, and could be several
        self.apart: set[str] = set()  # such letters, where they are written otherwise
        self.count, self.first = 0, 0
        self._seen: set[str] = set()

    def see(self, numbers: Sequence[int], start: int, texts: Sequence[str], joined: str) -> None:
        """Adds texts, which stand in lines numbers[start], numbers[start + 1], …; `joined` has them all."""
        if joined.isascii():
            return
        new = set(joined) - self._seen
        self._seen |= new
        self.composed.update(
            c for c in new if not c.isascii() and unicodedata.normalize("NFD", c) != c == unicodedata.normalize("NFC", c)
        )
        if unicodedata.is_normalized("NFC", joined):
            return
        for i, text in enumerate(texts):
            if not unicodedata.is_normalized("NFC", text):
                self.apart |= set(unicodedata.normalize("NFC", text)) - set(text)
                self._count(1, numbers[start + i])

    def facts(self) -> list[Any]:
        """All results, as JSON values, for `add`."""
        return ["".join(sorted(self.composed)), "".join(sorted(self.apart)), self.count, self.first]

    def add(self, facts: Sequence[Any]) -> None:
        """Adds the facts of the texts that follow."""
        self.composed |= set(facts[0])
        self.apart |= set(facts[1])
        if facts[2]:
            self._count(facts[2], facts[3])

    def both(self) -> list[str]:
        """The letters that are written in two forms."""
        return sorted(self.composed & self.apart)

    def _count(self, count: int, first: int) -> None:
        self.first = min(self.first, first) if self.count else first
        self.count += count


def other_form(unknown: Collection[str], known: Collection[str]) -> str:
    """The Unicode form, NFC or NFD, of the known tokens, if at least half of the unknown ones are new in their form alone; else ""."""
    characters = set[str]().union(*known)
    taken_apart = set[str]().union(*(unicodedata.normalize("NFD", token) for token in known))
    new = [token for token in unknown if not set(token) <= characters]
    as_nfc = [token for token in new if set(token) <= taken_apart or set(unicodedata.normalize("NFC", token)) <= characters]
    if any(map(_is_part, as_nfc)) and 2 * len(as_nfc) >= len(unknown):
        return "NFC"
    as_nfd = [token for token in new if set(unicodedata.normalize("NFD", token)) <= characters]
    return "NFD" if as_nfd and 2 * len(as_nfd) >= len(unknown) else ""


def form_advice(unknown: Collection[str], known: Collection[str]) -> str:
    """What to do about unknown tokens of a model, if they are new in their form alone; else ""."""
    form = other_form(unknown, known)
    return f"use {form}, as the model's training pairs do" if form else ""


def _is_part(token: str) -> bool:
    """Whether a token has marks or jamo, which are parts of a letter in NFC, or a letter that is another one there."""
    return unicodedata.normalize("NFC", token) != token or any(
        unicodedata.combining(c) or "\u1100" <= c <= "\u11ff" for c in token
    )
