"""What is asked for beside a search: rules, beginnings of single lines, and what becomes of <unk>; most calls ask for nothing.

This file is light, so that calls without rules do not import them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jumok.config import SearchConfig
from jumok.config.building import plain
from jumok.decode.policy import Policy, policy_of
from jumok.errors import ConfigError, DataError
from jumok.text.codec import Codec
from jumok.text.given import Own

if TYPE_CHECKING:
    from jumok.decode.rulebook import Rulebook, Wish
    from jumok.decode.unknowns import Copied
    from jumok.text.pieces import Pieces

Prefix = str | Sequence[str]  # how an output begins: a text, or tokens

NAMES = [
    "prefix",
    "prefix_tokens",
    "forbid",
    "forbid_text",
    "allow",
    "require",
    "min_length",
    "no_repeat",
    "only",
    "only_words",
]


def asks(options: SearchConfig) -> bool:
    """Whether these options ask for anything of this."""
    return options.unknown != "keep" or any(getattr(options, name) for name in NAMES)


OWN = {"prefix": "a string", "prefix_tokens": "a sequence of strings", "require": "a sequence of strings"}  # one for each line


def own_of(options: dict[str, Any], text: Any) -> tuple[dict[str, Any], list[Own | Prefix | None] | None]:
    """The options for all lines, and what each line asks for where `prefix`, `prefix_tokens` or `require` has one for each.

    Raises:
        DataError: they are not as many as lines, or not texts or sequences of texts.
    """
    per_line = {name: given for name in OWN if _one_each(name, given := plain(options.get(name)))}
    if not per_line:
        return options, None
    for name, values in per_line.items():
        _check_own(name, values, text)
    if "prefix" in per_line and "prefix_tokens" in per_line:
        raise DataError("prefix and prefix_tokens both have one for each line; give one of the two")
    n = len(next(iter(per_line.values())))
    prefixes, required = per_line.get("prefix", per_line.get("prefix_tokens", [None] * n)), per_line.get("require", [None] * n)
    own: list[Own | Prefix | None] = [
        Own(p if p is None or isinstance(p, str) else tuple(p), None if r is None else tuple(r))
        for p, r in zip(prefixes, required, strict=True)
    ]
    return {key: value for key, value in options.items() if key not in per_line}, own


def _one_each(name: str, value: Any) -> bool:
    """Whether an option has one for each line: a list of texts, or of lists of texts."""
    if not isinstance(value, list | tuple):
        return False
    return name == "prefix" or not all(isinstance(one, str) for one in value)


def _check_own(name: str, values: Any, text: Any) -> None:
    if isinstance(text, str) or not isinstance(text, Sequence):
        raise DataError(f"{name} is {values!r:.80}, one for each line, but text is a single one; wanted one {name}")
    if len(values) != len(text):
        raise DataError(f"{name} has {len(values)}, but there are {len(text)} line(s); wanted one for each, or one for all")
    for i, value in enumerate(values, 1):
        good = isinstance(value, str) if name == "prefix" else _texts(plain(value))
        if not good and value is not None:
            raise DataError(f"{name} of line {i} is {value!r:.80}; wanted {OWN[name]}, or None")


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) and one.strip() for one in value)


def in_words(options: SearchConfig) -> str:
    """The rules of these options, as they are given: ", forbid A B, no-repeat 2"; "" if there are none."""
    given = {name: getattr(options, name) for name in NAMES} | {"unknown": "" if options.unknown == "keep" else options.unknown}
    shown = {name: value if not isinstance(value, tuple) else " ".join(value) for name, value in given.items() if value}
    return "".join(f", {name.replace('_', '-')} {value!s:.80}" for name, value in shown.items())


class Requests:
    """What the calls of one model ask for.

    Args:
        codec: of the model.
        attention: whether it has attention, from which <unk> can be copied.
    """

    def __init__(self, codec: Codec, attention: bool) -> None:
        self.codec, self.attention = codec, attention
        self._pieces: Pieces | None = None
        self._book: Rulebook | None = None

    def __reduce__(self) -> tuple[type[Requests], tuple[Codec, bool]]:
        return Requests, (self.codec, self.attention)  # what is kept here is made again

    def book(self, options: SearchConfig) -> Rulebook:
        """The rules of these options; those of the last call are kept.

        Raises:
            ConfigError, DataError: as from `Rulebook`.
        """
        from jumok.decode.lists import stamp
        from jumok.decode.rulebook import Rulebook
        from jumok.text.pieces import Pieces

        if options.unknown == "copy" and not self.attention:
            raise ConfigError("unknown is 'copy', but the model has no attention to find the token with; give keep or forbid")
        self._pieces = self._pieces or Pieces(self.codec.target)
        if self._book is None or (self._book.options, self._book.stamp) != (options, stamp(options)):
            self._book = Rulebook(options, self._pieces, self._book)
        return self._book

    def notes(self, options: SearchConfig) -> list[str]:
        """What is remarkable about the lists that these options name; it is told once."""
        if not asks(options):
            return []
        book = self.book(options)
        notes, book.notes = book.notes, []
        return notes

    def asked(self, options: SearchConfig, own: Sequence[Own | Prefix | None] | None, lines: int) -> Asked | None:
        """What these lines ask for; None if nothing.

        Raises:
            ConfigError, DataError: as from `Rulebook`; or what a line asks for is not text.
        """
        some = own is not None and any(one is not None for one in own)
        if not some and not asks(options):
            return None
        book = self.book(options)
        if own is None or not some:
            return Asked(self.codec, book, [book.usual] * lines)
        return Asked(self.codec, book, [_wish(book, _own(one, i)) for i, one in enumerate(own, 1)])


def _own(one: Any, i: int) -> Own:
    if isinstance(one, Own):
        return one
    if one is not None and not isinstance(one, str) and not _texts(one):
        raise DataError(f"prefix of line {i} is {one!r:.80}; wanted a string, a sequence of strings, or None")
    return Own(one if one is None or isinstance(one, str) else tuple(one))


def _wish(book: Rulebook, own: Own) -> Wish | str:
    try:
        return book.wish(own)
    except ConfigError as e:
        return str(e)


@dataclass(frozen=True)
class Asked:
    """What some lines ask for.

    Attributes:
        wishes: of each line; a string says why there can be no output.
    """

    codec: Codec
    book: Rulebook
    wishes: list[Wish | str]

    def of(self, lines: Sequence[int]) -> Asked:
        """What these lines ask for."""
        return replace(self, wishes=[self.wishes[i] for i in lines])

    def problem(self, line: int) -> str:
        """Why a line can have no output; "" if it can."""
        wish = self.wishes[line]
        return wish if isinstance(wish, str) else ""

    def _wish(self, line: int) -> Wish:
        wish = self.wishes[line]
        assert not isinstance(wish, str)
        return wish

    def limit(self, line: int, usual: int) -> int:
        """The most tokens of a line's output; `usual` is what the length of its source gives."""
        return self.book.limit(self._wish(line), usual)

    def policy(self, lines: Sequence[int], limits: Sequence[int]) -> Policy:
        """How a search for these lines chooses."""
        return policy_of(self.book.options, self.book, [self._wish(line) for line in lines], limits)

    def failure(self, limit: int) -> str:
        """Says that a search found no output."""
        return self.book.failure(limit)

    def text(self, ids: Sequence[int], source_tokens: Sequence[str], weights: Any) -> tuple[str, Copied]:
        """The text of an output, and what was copied into it. `weights` [T, S], or a function that computes them."""
        from jumok.decode.unknowns import copied, text_with_copies
        from jumok.text.vocabulary import UNK

        if self.book.options.unknown != "copy" or UNK not in ids:
            return self.codec.decode_target(ids), ()
        found: np.ndarray = weights() if callable(weights) else weights
        return text_with_copies(self.codec, ids, source_tokens, copied(ids, source_tokens, found), self.book.may)
