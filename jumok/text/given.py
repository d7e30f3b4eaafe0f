"""Features and pairs as Python hands them over, in the one form that a command line, a table and JSON have, too.

Features are a sequence of strings, each one feature; or one string, with the model's separator between them: ["V", "PST"] or "V;PST".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jumok.config import BETWEEN, TextConfig
from jumok.errors import DataError
from jumok.text.pairs import Pair, features_in

Features = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Own:
    """What one line asks of its output; None is what is asked of all.

    Attributes:
        prefix: how the output begins, a text or tokens; "" and () are none.
        require: texts that occur in it.
    """

    prefix: str | tuple[str, ...] | None = None
    require: tuple[str, ...] | None = None


def features_of(given: Any, separator: str, where: str) -> tuple[str, ...]:
    """Features in either form -> one string each; empty ones are passed over, and None has none. DataError for anything else."""
    if isinstance(given, str):
        return features_in(given, separator)
    if given is None:
        return ()
    if not isinstance(given, Sequence) or isinstance(given, bytes) or not all(isinstance(feature, str) for feature in given):
        raise DataError(
            f"features of {where} are {given!r:.80}; wanted a sequence of strings, such as ['V', 'PST'], or 'V;PST'"
        )
    return tuple(feature for feature in given if feature)


def is_tuple_of_sources(given: Any) -> bool:
    """Whether this is one line of several sources: a tuple of strings."""
    return isinstance(given, tuple) and all(isinstance(part, str) for part in given)


def one_source(given: Any, text: TextConfig, where: str) -> str:
    """One line of a model with several sources: a tuple or list of as many strings, or a string with a TAB between two of them.

    An empty line stays empty. DataError for anything else.
    """
    parts = [given] if isinstance(given, str) else given
    n = len(text.source_columns)
    good = isinstance(parts, tuple | list) and all(isinstance(part, str) for part in parts)
    if good and isinstance(given, str):
        parts = given.split(BETWEEN)
    if good and parts == [""]:
        return ""
    if not good or len(parts) != n or any(BETWEEN in part for part in parts):
        have = f"has {len(parts)} source{'s' * (len(parts) != 1)}" if good and len(parts) != n else f"is {given!r:.80}"
        with_tab = "with a TAB between two of them"
        wanted = f"{n} sources {with_tab}" if isinstance(given, str) else f"{n} strings in a tuple, or one string {with_tab}"
        raise DataError(f"{where} {have}; this model reads {n}, those of columns {text.source_column}: wanted {wanted}")
    return BETWEEN.join(parts)


def pairs_of(given: Iterable[Any], text: TextConfig) -> Iterator[Pair | None]:
    """Pairs, and tuples (source, target) or (source, target, features) -> pairs, whose features are strings; None stays.

    `text`: the settings of the model that reads them.
    """
    for i, one in enumerate(given, 1):
        if isinstance(one, Pair):
            rest: list[Any] = [one.source, one.target, one.features]
            where = one.where or f"pair {i}"
        elif one is None:
            yield None
            continue
        else:
            where, rest = f"pair {i}", list(one) if isinstance(one, tuple | list) and len(one) in (2, 3) else [None, None]
        source, target, *features = rest
        if text.several and source is not None:
            source = one_source(source, text, where)
        if not isinstance(source, str) or not isinstance(target, str):
            raise DataError(
                f"pair {i} is {one!r:.80}; wanted a Pair, or a tuple (source, target) or (source, target, features)"
            )
        yield Pair(source, target, features_of(features[0], text.features_separator, f"pair {i}") if features else (), where)
