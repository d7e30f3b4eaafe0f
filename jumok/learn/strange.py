"""Tokens of dev that no training pair has: a few are usual, many mean another language, script or Unicode form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from jumok.decode.remarks import named
from jumok.text.codec import is_feature
from jumok.text.forms import other_form
from jumok.text.vocabulary import UNK

if TYPE_CHECKING:
    from jumok.learn.data import Data

MANY = 0.1  # of the tokens of a side
MOST = 0.5


def check_strange(data: Data, dev_ids: tuple[list[list[int]], list[list[int]]], warn: Callable[[str], None]) -> None:
    """Warns if many tokens of dev are in no training pair, or if they would be in another Unicode form.

    Args:
        dev_ids: sources and targets of `data.dev`; none where dev is a part of the training pairs.
    """
    dev, codec, (sources, targets) = data.dev, data.codec, dev_ids
    for name, side, ids in (("source", codec.source, sources), ("target", codec.target, targets)):
        with_unknown = [i for i, row in enumerate(ids) if UNK in row]
        if not with_unknown:
            continue
        first = dev[with_unknown[0]].where
        unknown = Counter[str]()
        for i in with_unknown:
            pair = dev[i]
            tokens = codec.source_tokens(pair.source, pair.features) if name == "source" else side.tokenizer.tokens(pair.target)
            unknown.update(token for token, id_ in zip(tokens, ids[i], strict=False) if id_ == UNK and not is_feature(token))
        share = unknown.total() / sum(len(row) - 1 for row in ids)
        form = other_form(unknown, side.vocabulary.tokens(range(len(side))))
        if share <= MANY and not form:
            continue
        pairs = f"{len(with_unknown):,} of {len(dev):,} pairs"
        what = f"{first}: the model will not know {100 * share:.1f} % of the {name} tokens of dev ({pairs}): {named(unknown)}"
        if form:
            warn(f"{what}; write them in {form}, as in the training pairs, or train with --{name}-form {form}")
        else:
            warn(f"{what}{'; is it the right file?' if share > MOST else ''}")
