"""Byte pair encoding of words (Sennrich, Haddow & Birch 2016, section 3.2): merges are learned from text, and applied.

Learning is done by the package `tokenizers`; applying is done here, so that running a model does not need that package. A word
begins with ▁, and no token crosses into the next one. A ▁ of the text itself is written as a blank.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise

from jumok.errors import MissingExtra

Merges = Mapping[tuple[str, str], tuple[int, str]]

KEPT = 1 << 15  # words whose tokens are remembered, those used last
LONGEST = 100  # characters of a word that is remembered


def learn(marked: Iterable[str], size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Texts in which each word begins with ▁ -> their alphabet, sorted, and merges, first learned first.

    Learns until both have `size` entries together, or no pair is left that occurs twice. Raises MissingExtra.
    """
    try:
        from tokenizers import Tokenizer
        from tokenizers.models import BPE
        from tokenizers.pre_tokenizers import Split
        from tokenizers.trainers import BpeTrainer
    except ModuleNotFoundError as e:
        raise MissingExtra("learning the tokenizer bpe", "train", "tokenizers") from e
    engine = Tokenizer(BPE())
    engine.pre_tokenizer = Split("▁", "merged_with_next")
    trainer = BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False, special_tokens=[])
    engine.train_from_iterator(marked, trainer)
    model = json.loads(engine.to_str())["model"]
    return sorted(token for token in model["vocab"] if len(token) == 1), [(a, b) for a, b in model["merges"]]


def cutter(merges: Sequence[tuple[str, str]]) -> Callable[[str], list[str]]:
    """A function from a text to its tokens. It remembers words (at most KEPT), and threads may share it."""
    ranks = {pair: (rank, pair[0] + pair[1]) for rank, pair in enumerate(merges)}

    def tokens(word: str) -> tuple[str, ...]:
        return tuple(merge("▁" + word.replace("▁", " "), ranks))

    known = lru_cache(KEPT)(tokens)

    def cut(text: str) -> list[str]:
        found: list[str] = []
        for word in text.split(" ") if text else ():
            found += known(word) if len(word) <= LONGEST else tokens(word)
        return found

    return cut


def merge(word: str, merges: Merges) -> list[str]:
    """The tokens of one word: of all pairs that stand side by side the one learned first becomes one token, the leftmost
    of equals, until none is left that was learned.

    Takes n log n for n characters: the pairs wait in a heap, and the tokens are linked to their neighbours.

    Args:
        merges: pair -> (its place among the merges, the token it becomes).
    """
    tokens, n = list(word), len(word)
    before, after = list(range(-1, n - 1)), list(range(1, n + 1))
    waiting = [(merges[pair][0], i) for i, pair in enumerate(pairwise(word)) if pair in merges]
    heapify(waiting)
    while waiting:
        rank, i = heappop(waiting)
        j = after[i]
        place, joined = merges.get((tokens[i], tokens[j]), (-1, "")) if j < n else (-1, "")
        if place != rank:
            continue  # one of the two has been merged with another since
        tokens[i], tokens[j] = joined, ""
        after[i] = right = after[j]
        left = before[i]
        if right < n:
            before[right] = i
            if (joined, tokens[right]) in merges:
                heappush(waiting, (merges[joined, tokens[right]][0], i))
        if left >= 0 and (tokens[left], joined) in merges:
            heappush(waiting, (merges[tokens[left], joined][0], left))
    return [token for token in tokens if token]
