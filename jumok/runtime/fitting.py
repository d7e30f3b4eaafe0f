"""Whether several models fit together, to be averaged or to write together: they must read and write the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jumok.errors import FolderError
from jumok.runtime.folder import Folder
from jumok.text.codec import Codec, Side

NAMED = 3  # tokens that an error names
# Settings of text that may differ, since the vocabularies are compared themselves.
FREE = ("min_count", "max_tokens", "bpe_size", "joint_vocabulary")


def fitted(folders: Sequence[Folder]) -> list[Folder]:
    """The same models, all with the first one's codec.

    Vocabularies with the same tokens in another order (their counts differ with the pairs that were held out) are brought into the
    first one's order, and the rows of the arrays with them: such a model computes what it did before.

    Raises:
        FolderError: a model's text settings, tokenizers or vocabularies differ from the first one's; it says how.
    """
    first, *others = folders
    return [first, *(_fitted(other, first) for other in others)]


def _fitted(other: Folder, first: Folder) -> Folder:
    if wrong := _difference(other, first):
        raise FolderError(
            f"{other.path}: does not fit {first.path}: {wrong}; models that work together must read and write the same tokens"
        )
    source, target = (_order(*sides) for sides in _sides(other.codec, first.codec).values())
    rows = {"target.embedding": target, "source.embedding": source, "readout.output": target, "readout.bias": target}
    arrays = {name: array[rows[name]] if name in rows else array for name, array in other.parameters.items()}
    return replace(other, parameters=arrays, codec=first.codec)


def _sides(other: Codec, first: Codec) -> dict[str, tuple[Side, Side]]:
    return {"source": (other.source, first.source), "target": (other.target, first.target)}


def _order(other: Side, first: Side) -> np.ndarray | slice:
    """For each id of the first's vocabulary the id of the same token in the other's."""
    tokens = first.vocabulary.tokens(range(len(first)))
    if other.vocabulary.tokens(range(len(other))) == tokens:
        return slice(None)
    specials = len(tokens) - len(first.vocabulary.counts)
    return np.array([*range(specials), *other.vocabulary.ids(tokens[specials:])])


def _difference(other: Folder, first: Folder) -> str:
    """How the texts that two models read and write differ, in words; "" if they do not."""
    for name, value in vars(first.config.text).items():
        own = getattr(other.config.text, name)
        if own != value and name not in FREE:
            return f"its {name} is {own!r}, not {value!r}"
    if other.codec.joint != first.codec.joint:
        return "one has a joint vocabulary, the other one for each side"
    for side, (a, b) in _sides(other.codec, first.codec).items():
        if a.tokenizer.to_dict() != b.tokenizer.to_dict():
            return f"its {side} tokenizer has learned other subwords"
        own, wanted = (set(s.vocabulary.tokens(range(4, len(s)))) for s in (a, b))
        if own != wanted:
            parts = [f"lacks {_named(wanted - own)}"] * bool(wanted - own)
            parts += [f"has {_named(own - wanted)} beside"] * bool(own - wanted)
            return f"its {side} vocabulary {' and '.join(parts)}"
    return ""


def _named(tokens: set[str]) -> str:
    some = " ".join(repr(token) for token in sorted(tokens)[:NAMED])
    return some + (f" and {len(tokens) - NAMED:,} more" if len(tokens) > NAMED else "")
