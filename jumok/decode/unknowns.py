"""Unknowns: the source token that takes the place of an <unk> in the text of an output: the one that had most attention there.

Jean et al. 2015 (section 3.3) and Luong et al. 2015 replaced unknown words so. Letters: T output tokens, S source positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from jumok.config import BETWEEN
from jumok.text.codec import Codec, is_feature
from jumok.text.vocabulary import UNK

Copied = tuple[tuple[int, int], ...]  # (position of an <unk> in the output, position in the source that it was copied from)


def copied(ids: Sequence[int], source_tokens: Sequence[str], weights: np.ndarray) -> Copied:
    """For each <unk> of an output the source position that is copied: of those with text, the one with the largest weight.

    Args:
        ids: T tokens of the output.
        source_tokens: S tokens, features first and the end token last, which are never copied; nor is what stands between two sources.
        weights: [T, S], in the order of `source_tokens`.
    """
    first = next((i for i, token in enumerate(source_tokens) if not is_feature(token)), len(source_tokens))
    if first >= len(source_tokens) - 1:
        return ()
    places = [s for s in range(first, len(source_tokens) - 1) if source_tokens[s] != BETWEEN]
    if not places:
        return ()
    return tuple((t, places[int(weights[t, places].argmax())]) for t, token in enumerate(ids) if token == UNK)


def text_with_copies(
    codec: Codec, ids: Sequence[int], source_tokens: Sequence[str], found: Copied, may: Callable[[str], bool]
) -> tuple[str, Copied]:
    """The text of an output with source tokens in place of <unk>, and those copies that were made.

    Args:
        may: whether an output may have this text; a copy after which it may not is not made.
    """
    tokens: list[str | None] = [None] * len(ids)
    text, made = codec.decode_target(ids), []
    for t, s in found:
        tokens[t] = _as_target(codec, source_tokens[s])
        tried = codec.decode_target(ids, tokens)
        if may(tried):
            text = tried
            made.append((t, s))
        else:
            tokens[t] = None
    return text, tuple(made)


def _as_target(codec: Codec, token: str) -> str:
    """A source token as the target's tokenizer has it. With the same tokenizer it stays glued to the word before it, or not."""
    source, target = codec.source.tokenizer, codec.target.tokenizer
    token = target.in_form(token)
    if type(source) is type(target):
        return token
    return target.unknown.replace("<unk>", source.join([token])) if "<unk>" in target.unknown else source.join([token])
