"""Byte pair encoding of words (Sennrich, Haddow & Birch 2016, section 3.2): learns merges from text, and applies them.

The package `tokenizers` learns; this file applies, so that running a model does not need that package. A word begins with ▁,
and no token reaches into the next word. A ▁ of the text itself is written as a blank.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise

from jumok.errors import MissingExtra

Merges = Mapping[tuple[str, str], tuple[int, str]]

KEPT = 1 << 15  # words whose tokens are cached: those used last
LONGEST = 101  # characters of a word that is cached, its ▁ among them


def learn(marked: Iterable[str], size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Learns merges from texts in which each word begins with ▁.

    Stops when alphabet and merges have `size` entries together, or when no pair occurs twice.

    Returns:
        The sorted alphabet, and the merges in the order in which they were learned.

    Raises:
        MissingExtra: the package `tokenizers` is not installed.
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


def ranked(merges: Sequence[tuple[str, str]]) -> Merges:
    """Merges, in the order in which they were learned, as `merge` looks them up."""
    return {pair: (rank, pair[0] + pair[1]) for rank, pair in enumerate(merges)}


def words(text: str) -> list[str]:
    """The parts of a text that are cut each by itself: its words, each with its ▁."""
    return ["▁" + word.replace("▁", " ") for word in text.split(" ")] if text else []


def cutter(merges: Merges) -> Callable[[str], list[str]]:
    """A function from a text to its tokens. It caches at most KEPT words, and threads may share it."""

    def tokens(word: str) -> tuple[str, ...]:
        return tuple(merge(word, merges))

    known = lru_cache(KEPT)(tokens)

    def cut(text: str) -> list[str]:
        pieces: list[str] = []
        for word in words(text):
            pieces += known(word) if len(word) <= LONGEST else tokens(word)
        return pieces

    return cut


def merge(word: str, merges: Merges) -> list[str]:
    """The tokens of one word.

    Of all neighbouring pairs, the one learned first becomes one token (of equals, the leftmost), until no pair is left that
    was learned. This takes n log n steps for n characters: pairs wait in a heap, and tokens are linked to their neighbours.

    Args:
        merges: pair -> (its rank among the merges, the token it becomes).
    """
    tokens, n = list(word), len(word)
    before, after = list(range(-1, n - 1)), list(range(1, n + 1))
    waiting = [(merges[pair][0], i) for i, pair in enumerate(pairwise(word)) if pair in merges]
    heapify(waiting)
    while waiting:
        rank, i = heappop(waiting)
        j = after[i]
        now, joined = merges.get((tokens[i], tokens[j]), (-1, "")) if j < n else (-1, "")
        if now != rank:
            continue  # one of the two has been merged with another token since
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


def merge_with_dropout(word: str, merges: Merges, dropout: float, draw: Callable[[], float]) -> list[str]:
    """As `merge`, but each merge that is possible is passed over with this probability, drawn anew before each step.

    That is algorithm 1 of Provilkov, Emelianenko & Voita 2020; it ends when no merge is left that was not passed over. This takes n²
    steps.

    Args:
        draw: gives numbers from 0 to below 1.
    """
    tokens = list(word)
    while True:
        best, place, joined = len(merges), -1, ""
        for i, pair in enumerate(pairwise(tokens)):
            rank, both = merges.get(pair, (best, ""))
            if rank < best and draw() >= dropout:
                best, place, joined = rank, i, both
        if place < 0:
            return tokens
        tokens[place : place + 2] = [joined]
