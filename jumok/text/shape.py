"""The shape of targets: how many words and characters they usually have, so that a fitting metric can be chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_high

# Scripts without blanks between words: kana, Han, Thai, Lao, Burmese, Khmer.
WITHOUT_BLANKS = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)
LONGEST_WORD = 24  # characters; a longer part between two blanks is not counted as a word
LONGESTWITHOUT_BLANKS = 6  # the most characters of these scripts in a word
IN_A_WORD = 2  # characters of these scripts in a usual word


@dataclass(frozen=True)
class Shape:
    """Medians over texts.

    Attributes:
        words: parts between blanks that are no longer than words are.
        estimated: words, with one for every two characters of a script without blanks.
        characters: code points.
    """

    words: float
    estimated: float
    characters: float


def shape(texts: Sequence[str]) -> Shape:
    """The shape of one or more texts."""
    parts = [text.split() for text in texts]
    return Shape(
        words=median_high(sum(map(_is_word, some)) for some in parts),
        estimated=median_high(sum(map(_estimated, some)) for some in parts),
        characters=median_high(map(len, texts)),
    )


def _is_word(part: str) -> bool:
    return len(part) <= LONGEST_WORD and len(WITHOUT_BLANKS.findall(part)) <= LONGESTWITHOUT_BLANKS


def _estimated(part: str) -> float:
    return max(1.0, len(WITHOUT_BLANKS.findall(part)) / IN_A_WORD)
