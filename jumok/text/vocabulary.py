"""The vocabulary: tokens to ids and back, with the counts of the tokens in training.

Ids 0 to 3 are the four specials; the tokens follow, by falling count. Specials are ids, not strings: a token "<s>" of the text
has an entry of its own, or is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from jumok.errors import FolderError

SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
PAD, START, END, UNK = range(4)


class Vocabulary:
    """Tokens and their ids. Two vocabularies are equal if tokens and counts are.

    Args:
        tokens: the tokens, without the specials, all different; the first gets id 4.
        counts: how often each was seen in training.
    """

    def __init__(self, tokens: Sequence[str], counts: Sequence[int]) -> None:
        assert len(tokens) == len(counts)
        self.counts = list(counts)
        self._tokens = [*SPECIALS, *tokens]
        self._ids = {token: i for i, token in enumerate(tokens, len(SPECIALS))}
        assert len(self._ids) == len(tokens)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], min_count: int = 1) -> Vocabulary:
        """The tokens seen at least `min_count` times, by falling count, ties by code point."""
        kept = sorted((token for token, n in counts.items() if n >= min_count), key=lambda token: (-counts[token], token))
        return cls(kept, [counts[token] for token in kept])

    @classmethod
    def build(cls, token_lists: Iterable[Sequence[str]], min_count: int = 1) -> Vocabulary:
        """The vocabulary of these token lists."""
        return cls.from_counts(Counter(chain.from_iterable(token_lists)), min_count)

    def __len__(self) -> int:
        """The number of entries, specials included; ids are 0 to len - 1."""
        return len(self._tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._tokens == other._tokens and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """The ids of the tokens; UNK for an unknown one."""
        get = self._ids.get
        return [get(token, UNK) for token in tokens]

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """The tokens of the ids; specials as in SPECIALS."""
        return [self._tokens[i] for i in ids]

    def to_dict(self) -> dict[str, Any]:
        """JSON values, for `from_dict`."""
        return {"tokens": self._tokens[len(SPECIALS) :], "counts": self.counts}

    @classmethod
    def from_dict(cls, values: Any, where: str) -> Vocabulary:
        """The vocabulary from values of `to_dict`. FolderError, with the file `where`, if they are damaged."""
        tokens = values.get("tokens") if isinstance(values, dict) else None
        counts = values.get("counts") if isinstance(values, dict) else None
        if not isinstance(tokens, list) or not all(isinstance(token, str) and token for token in tokens):
            raise FolderError(f"{where}: the vocabulary's tokens are not a list of strings; the file is damaged")
        if len(set(tokens)) < len(tokens):
            twice = next(token for token, n in Counter(tokens).items() if n > 1)
            raise FolderError(f"{where}: the vocabulary has the token {twice!r} twice; the file is damaged")
        if not isinstance(counts, list) or len(counts) != len(tokens) or not all(type(n) is int and n >= 0 for n in counts):
            raise FolderError(f"{where}: the vocabulary's counts are not one number a token; the file is damaged")
        return cls(tokens, counts)
