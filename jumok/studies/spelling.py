"""An invented spelling, whose letters stand for no, one or two phones, so that the right links of every word are known."""

from __future__ import annotations

import random

from jumok.measure import Gold
from jumok.studies.data import Splits

PLAIN = {c: c.upper() for c in "bdfgklmnprstvz"}
TWO_LETTERS = {"sh": "Š", "ch": "Č", "th": "Θ", "ee": "Ē"}
TWO_PHONES = {"x": "KS", "q": "KV"}
SILENT = ("gh", "w")  # no phone
SHORT, LONG = dict(zip("aiou", "AIOU", strict=True)), dict(zip("aiou", "ĀĪŌŪ", strict=True))
MOST_SYLLABLES = 4
TRAIN, DEV, TEST = 200, 100, 300


def invented() -> tuple[str, Splits]:
    """Words of 1 to 4 syllables, no word in two splits; always the same."""
    rng = random.Random(2019)
    seen: set[str] = set()
    splits: Splits = {"test": [], "dev": [], "train": []}
    for name, size in (("test", TEST), ("dev", DEV), ("train", TRAIN)):
        while len(splits[name]) < size:
            word = _word(rng)
            if word not in seen:
                seen.add(word)
                splits[name].append((word, spoken(word)[0]))
    about = (
        "made here: words in an invented spelling. Most letters stand for one phone; sh, ch, th and ee for one together; x and q for two; gh, w and e at "
        "the end for none; and that e makes the vowel before it long"
    )
    return about, splits


def _word(rng: random.Random) -> str:
    begins = [*PLAIN, *TWO_LETTERS, *TWO_PHONES]
    begins.remove("ee")
    word = ""
    for _ in range(rng.randint(1, MOST_SYLLABLES)):
        word += rng.choice(SILENT) if rng.random() < 0.15 else ""
        word += rng.choice(begins)
        word += rng.choice([*SHORT, "ee"])
    if rng.random() < 0.6:
        word += rng.choice(list(PLAIN)) + "e" * (rng.random() < 0.5)
    return word


def spoken(word: str) -> tuple[str, Gold]:
    """The phones of a word of the invented spelling, and the links (letter, phone), counted from 0.

    Silent letters have none. Of two letters for one phone either is right: their links are possible, the others sure.
    """
    phones, i = "", 0
    sure, possible = set[tuple[int, int]](), set[tuple[int, int]]()
    while i < len(word):
        unit = word[i : i + 2] if word[i : i + 2] in (*TWO_LETTERS, *SILENT) else word[i]
        written = _phones(word, i, unit)
        links = {(i + a, len(phones) + b) for a in range(len(unit)) for b in range(len(written))}
        possible |= links
        sure |= links if len(unit) == 1 else set()
        phones, i = phones + written, i + len(unit)
    return phones, Gold(frozenset(sure), frozenset(possible))


def _phones(word: str, i: int, unit: str) -> str:
    if unit in SILENT or (unit == "e" and i == len(word) - 1):
        return ""
    if unit in SHORT:
        return (LONG if i == len(word) - 3 and word[-1] == "e" and word[-2] in PLAIN else SHORT)[unit]
    return {**PLAIN, **TWO_LETTERS, **TWO_PHONES}[unit]
