"""What targets look like: how many words and characters most of them have, so that a metric can be chosen that tells something."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_high

# Scripts that put no blank between words: kana, Han, Thai, Lao, Burmese, Khmer.
_WITHOUT_BLANKS = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)
LONGEST_WORD = 24  # characters; what is longer between two blanks is no word
LONGEST_WITHOUT_BLANKS = 6  # characters of these scripts in a word
IN_A_WORD = 2  # of them, usually


@dataclass(frozen=True)
class Shape:
    """Medians over texts.

    Attributes:
        words: parts between blanks that can be words: no longer than words are.
        estimated: words, where a script without blanks has one for every two characters.
        characters: code points.
    """

    words: float
    estimated: float
    characters: float


def shape(texts: Sequence[str]) -> Shape:
    """The shape of one text or more."""
    parts = [text.split() for text in texts]
    return Shape(
        words=median_high(sum(map(_is_word, some)) for some in parts),
        estimated=median_high(sum(map(_estimated, some)) for some in parts),
        characters=median_high(map(len, texts)),
    )


def _is_word(part: str) -> bool:
    return len(part) <= LONGEST_WORD and len(_WITHOUT_BLANKS.findall(part)) <= LONGEST_WITHOUT_BLANKS


def _estimated(part: str) -> float:
    return max(1.0, len(_WITHOUT_BLANKS.findall(part)) / IN_A_WORD)
