"""The options of decoding: how a trained model is searched for its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional

from jumok.places import ListPath

UnknownName = Literal["keep", "forbid", "copy"]
LineText = str  # of every line; in Python, also one for each line
LineTexts = tuple[str, ...]  # the same


@dataclass(frozen=True)
class SearchConfig:
    """How a trained model is searched for its best output."""

    beam: int = 1
    """Hypotheses kept at each step; 1 = greedy."""
    nbest: int = 1
    """Hypotheses returned for a line (at most --beam)."""
    length_penalty: float = 1.0
    """Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation."""
    max_length: Optional[int] = None  # noqa: UP045 - tyro imports typeguard, 70 ms, to check an `int | None`
    """Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs."""
    batch_size: int = 64
    """Lines decoded together."""
    prefix: LineText = ""
    """Every output begins with this text, whose last word may go on. A line's own goes before it (JSONL key "prefix")."""
    prefix_tokens: LineTexts = ()
    """As --prefix, but target tokens, which are written as they are."""
    forbid: tuple[str, ...] = ()
    """Target tokens that are not written."""
    forbid_text: tuple[str, ...] = ()
    """Texts that occur in no output. Beginning and end of an output count as a blank."""
    allow: tuple[str, ...] = ()
    """Only these target tokens are written."""
    require: LineTexts = ()
    """Texts that occur in every output, as words (char: anywhere). Needs a --beam of one more than their tokens. A line's own (JSONL
    key "require") go before them."""
    min_length: int = 0
    """Fewest tokens written for a line; as for --max-length, </s> is one."""
    no_repeat: int = 0
    """No so many tokens in a row are written twice in an output; 0 = they may."""
    only: ListPath = ""
    """File of all outputs there may be, one a line; the likeliest of them is found for each line."""
    only_words: ListPath = ""
    """File of all words that outputs may have, one a line; punctuation between them is free."""
    unknown: UnknownName = "keep"
    """keep: <unk> may be written; forbid: it is not; copy: the source token with the most attention takes its place in the text."""
