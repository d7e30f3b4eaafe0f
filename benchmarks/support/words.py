"""Real words without targets, for `--teacher-sources`: the commonest of a language that no file of a task has.

They come from the package `wordfreq` (Speer 2022), in the order of their frequency; it is not installed with the rest. A word with a
character that the sources of training lack is left out, and so is every source of train, dev and test: the last two stay new. Where
training is in capitals, the words are, too.
"""

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence

SHORTEST = 2  # characters
# parts of tasks -> the package's name of their language
CODES = {
    "english": "en",
    "bul": "bg",
    "dut": "nl",
    "gre": "el",
    "hin": "hi",
    "jpn": "ja",
    "lit": "lt",
    "rum": "ro",
    "vie": "vi",
}


def common(part: str) -> Iterable[str]:
    """Words of a part's language, the commonest first.

    The package writes every s of Greek as it stands inside a word; at the end of words it is mended here.
    """
    try:
        from wordfreq import iter_wordlist  # type: ignore[import-not-found]
    except ImportError:
        sys.exit("--words: they come from the package wordfreq, which is not installed; run: pip install wordfreq")
    return (f"{word[:-1]}ς" if word.endswith("σ") else word for word in iter_wordlist(CODES[part]))


def new(words: Iterable[str], train: Sequence[str], *others: Sequence[str]) -> Iterator[str]:
    """Those of `words` that are none of the sources of the files, and have no character that training lacks."""
    characters = "".join(train)
    if characters.isupper():
        words = map(str.upper, words)
    known, letters = set(itertools.chain(train, *others)), set(characters)
    return (word for word in words if len(word) >= SHORTEST and word not in known and letters.issuperset(word))
