"""BPE dropout (Provilkov, Emelianenko & Voita 2020): for each epoch, the words of the training pairs are cut anew.

So a model sees a word in many pieces, and learns what the pieces mean. Each different word is cut some times at the start; an epoch
then takes one of these cuttings for each place where the word stands, which costs little more than copying the ids.

Letters: N texts, W different parts (words, and tokens that are never cut), K cuttings of each.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from jumok.config import BETWEEN
from jumok.errors import ConfigError
from jumok.text import bpe
from jumok.text.codec import Codec, Side, feature_tokens
from jumok.text.pairs import Pair
from jumok.text.rows import Rows
from jumok.text.tokenizers import BpeTokenizer
from jumok.text.vocabulary import END, UNK

CUTTINGS = 10  # of each word: an epoch in ten repeats the cutting of a word


@dataclass(frozen=True, eq=False)
class Recut:
    """Texts of one side, and the cuttings of their parts.

    Attributes:
        parts: N lists of the numbers of parts, from 0.
        pool: W * K lists of ids; those of part w are K w to K w + K - 1.
    """

    parts: Rows
    pool: Rows

    def rows(self, drawn: np.random.Generator) -> Rows:
        """All N texts as ids, each part in a cutting drawn for it."""
        numbers = self.parts.flat[:-1]
        chosen = numbers * CUTTINGS + drawn.integers(CUTTINGS, size=len(numbers))
        lengths = self.pool.lengths[chosen]
        ends = np.cumsum(lengths)
        places = np.repeat(self.pool.starts[chosen] - (ends - lengths), lengths) + np.arange(lengths.sum())
        of_texts = np.add.reduceat(lengths, self.parts.starts)
        return Rows(np.append(self.pool.flat[places], self.pool.flat[-1]), np.cumsum(of_texts) - of_texts, of_texts)

    def longest(self) -> int:
        """The most tokens that a text can have."""
        most = self.pool.lengths.reshape(-1, CUTTINGS).max(1)
        return int(np.add.reduceat(most[self.parts.flat[:-1]], self.parts.starts).max())


@dataclass(frozen=True, eq=False)
class Recutting:
    """Both sides of the training pairs.

    Attributes:
        usual: sources and targets as they are usually cut.
        sources, targets: the same, to be cut anew; None for a side whose tokens are not learned.
    """

    usual: tuple[Rows, Rows]
    sources: Recut | None
    targets: Recut | None
    seed: int

    def draw(self, epoch: int) -> tuple[Rows, Rows]:
        """Sources and targets as they are cut in this epoch, a pure function of it."""
        drawn = np.random.default_rng([self.seed, epoch, 2])
        sides = zip((self.sources, self.targets), self.usual, strict=True)
        one, other = (usual if recut is None else recut.rows(drawn) for recut, usual in sides)
        return one, other

    def longest_source(self) -> int:
        """The most tokens that a source can have."""
        usual = int(self.usual[0].lengths.max())
        return usual if self.sources is None else max(usual, self.sources.longest())


def recutting(codec: Codec, pairs: Sequence[Pair], usual: tuple[Rows, Rows], dropout: float, seed: int) -> Recutting:
    """The cuttings for these pairs.

    Args:
        usual: sources and targets of the pairs as `codec` encodes them.
        dropout: the share of merges that are passed over each time.

    Raises:
        ConfigError: neither side's tokens are learned.
    """
    sources = _recut(codec.source, ((p.source, p.features) for p in pairs), dropout, seed)
    targets = _recut(codec.target, ((p.target, ()) for p in pairs), dropout, seed)
    if sources is None and targets is None:
        names = f"{codec.source.tokenizer.name} and {codec.target.tokenizer.name}"
        raise ConfigError(f"the model cuts texts by {names}, so --bpe-dropout has nothing to do; leave it out")
    return Recutting(usual, sources, targets, seed)


def _recut(side: Side, texts: Iterable[tuple[str, Sequence[str]]], dropout: float, seed: int) -> Recut | None:
    tokenizer = side.tokenizer
    if not isinstance(tokenizer, BpeTokenizer):
        return None
    draw = random.Random(seed).random
    words: dict[str, int] = {}  # a word, and the number of it as a part
    fixed: dict[str, int] = {}  # a token that is never cut, and the same
    pool = [[END]] * CUTTINGS  # part 0: </s>

    def of_word(word: str) -> int:
        """The number of a word, which is cut when it is met first. A cutting with a token that the vocabulary lacks is not taken."""
        if word not in words:
            words[word] = len(pool) // CUTTINGS
            usual = side.vocabulary.ids(tokenizer.cut_word(word, 0, draw))
            found = [side.vocabulary.ids(tokenizer.cut_word(word, dropout, draw)) for _ in range(CUTTINGS)]
            pool.extend(usual if UNK in ids else ids for ids in found)
        return words[word]

    def of_token(token: str) -> int:
        if token not in fixed:
            fixed[token] = len(pool) // CUTTINGS
            pool.extend([side.vocabulary.ids([token])] * CUTTINGS)
        return fixed[token]

    rows: list[list[int]] = []
    for text, features in texts:
        row = [of_token(token) for token in feature_tokens(features)]
        for i, part in enumerate(tokenizer.in_form(text).split(BETWEEN) if tokenizer.several else [tokenizer.in_form(text)]):
            row += [of_token(BETWEEN)] * (i > 0) + [of_word(word) for word in bpe.words(part)]
        rows.append([*row, 0])
    return Recut(Rows.of(rows), Rows.of(pool))
