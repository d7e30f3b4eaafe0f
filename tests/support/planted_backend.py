"""A backend that is a table of planted logits, for tests of decoding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jumok.text.vocabulary import END, PAD


@dataclass(frozen=True)
class Written:
    """A state of `Planted`: the sources, and what each beam has written."""

    source: np.ndarray
    lengths: np.ndarray
    prefixes: list[list[tuple[int, ...]]]


class Planted:
    """A model that is a function: `logits(first source id, prefix)` -> [V]; weights that tell the prefix they were made for."""

    def __init__(self, logits) -> None:
        self.logits = logits

    def start(self, source, lengths) -> Written:
        return Written(source, lengths, [[()] for _ in source])

    def step(self, state: Written, tokens: np.ndarray):
        assert tokens.shape == (len(state.source), len(state.prefixes[0]))
        prefixes = [[(*p, int(t)) for p, t in zip(*row, strict=True)] for row in zip(state.prefixes, tokens, strict=True)]
        logits = [[self.logits(int(s[0]), p[1:]) for p in own] for s, own in zip(state.source, prefixes, strict=True)]
        weights = [
            [self.weights(p[1:], n, len(s)) for p in own]
            for s, n, own in zip(state.source, state.lengths, prefixes, strict=True)
        ]
        return Written(state.source, state.lengths, prefixes), np.array(logits, np.float32), np.array(weights, np.float32)

    def select(self, state: Written, sentences, parents) -> Written:
        prefixes = [[state.prefixes[s][p] for p in own] for s, own in zip(sentences, parents, strict=True)]
        return Written(state.source[sentences], state.lengths[sentences], prefixes)

    @staticmethod
    def weights(prefix: tuple[int, ...], length: int, width: int) -> np.ndarray:
        row = np.zeros(width)
        row[:length] = np.random.default_rng([7, *prefix]).dirichlet(np.ones(length))
        return row


def random_logits(seed: int, V: int, end: float = 0.0):
    """Different for every prefix; `end` is added to the end token's."""

    def logits(first: int, prefix: tuple[int, ...]) -> np.ndarray:
        out = np.random.default_rng([seed, first, *prefix]).normal(0, 2, V)
        out[END] += end
        return out

    return logits


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float32).astype(np.float64)
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


def sentences(number: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(2)
    lengths = generator.integers(1, 9, number)
    source = np.where(np.arange(lengths.max()) < lengths[:, None], generator.integers(3, 40, (number, lengths.max())), PAD)
    return source, lengths, 2 * lengths + 3
