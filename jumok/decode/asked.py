"""What is asked for beside a search: rules, beginnings of single lines, and what becomes of <unk>; most calls ask for nothing.

This file is light, so that calls without rules do not import them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jumok.config import SearchConfig
from jumok.decode.policy import Policy, policy_of
from jumok.errors import ConfigError, DataError
from jumok.text.codec import Codec

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


def own_prefixes(options: dict[str, Any], text: Any) -> tuple[dict[str, Any], list[Prefix | None] | None]:
    """The options for all lines, and the beginning for each line if `prefix` or `prefix_tokens` has one for each.

    Raises:
        DataError: they are not as many as lines, or not texts or sequences of tokens.
    """
    per_line = {name: options[name] for name in ("prefix", "prefix_tokens") if _one_each(name, options.get(name))}
    if not per_line:
        return options, None
    if len(per_line) > 1:
        raise DataError("prefix and prefix_tokens both have one for each line; give one of the two")
    name, values = next(iter(per_line.items()))
    if isinstance(text, str) or not isinstance(text, Sequence):
        raise DataError(f"{name} is {values!r:.80}, one for each line, but text is a single one; wanted one {name}")
    if len(values) != len(text):
        raise DataError(f"{name} has {len(values)}, but there are {len(text)} line(s); wanted one for each, or one for all")
    for i, value in enumerate(values, 1):
        good = isinstance(value, str) if name == "prefix" else _texts(value)
        if not good and value is not None:
            wanted = "a string" if name == "prefix" else "a sequence of strings"
            raise DataError(f"{name} of line {i} is {value!r:.80}; wanted {wanted}, or None")
    rest = {key: value for key, value in options.items() if key != name}
    return rest, [value if value is None or isinstance(value, str) else tuple(value) for value in values]


def _one_each(name: str, value: Any) -> bool:
    if not isinstance(value, list | tuple):
        return False
    return name == "prefix" or not all(isinstance(one, str) for one in value)


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


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
        from jumok.decode.rulebook import Rulebook, stamp
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

    def asked(self, options: SearchConfig, prefixes: Sequence[Prefix | None] | None, lines: int) -> Asked | None:
        """What these lines ask for; None if nothing."""
        own = prefixes is not None and any(prefix is not None for prefix in prefixes)
        if not own and not asks(options):
            return None
        for i, prefix in enumerate(prefixes or (), 1):
            if prefix is not None and not isinstance(prefix, str) and not _texts(prefix):
                raise DataError(f"prefix of line {i} is {prefix!r:.80}; wanted a string, a sequence of strings, or None")
        book = self.book(options)
        if not own or prefixes is None:
            return Asked(self.codec, book, [book.usual] * lines)
        return Asked(self.codec, book, [_wish(book, prefix) for prefix in prefixes])


def _wish(book: Rulebook, prefix: Prefix | None) -> Wish | str:
    if prefix is None:
        return book.usual
    try:
        return book.wish(prefix if isinstance(prefix, str) else tuple(prefix))
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
