"""What search finds, and the trail of steps along which a hypothesis is followed back to its beginning.

Letters: B sentences still searched, K beams a sentence, N = B·K rows, M hypotheses followed, S source positions, t steps done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jumok.text.vocabulary import END

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One output for one sentence.

    Attributes:
        tokens: T ids, the end token last if `finished`.
        log_probability: sum of the tokens' natural-log probabilities.
        score: what hypotheses are ranked by, see `jumok.decode.ranking`; with the length penalty log_probability / T ** power.
        weights: [T, S] attention, S the sentence's own length; None without attention.
        finished: False if the length limit cut it.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    weights: Array | None
    finished: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What one step leaves behind, to be followed back from the ends.

    sentences [B]: which they are, rising; parents, tokens [B, K]: each new beam's; weights [B, K before, S].
    """

    sentences: Array
    parents: Array
    tokens: Array
    weights: Array | None


@dataclass(frozen=True, slots=True)
class Tip:
    """The last token of a hypothesis, and the beam it grew from. `length` counts this token."""

    score: float
    log_probability: float
    length: int
    parent: int
    token: int


@dataclass(frozen=True, slots=True)
class Past:
    """What the N rows of a step have behind them; looked up only when asked for, and only while the step lasts.

    Attributes:
        trail: the steps done, t of them.
        sentences: int [B], which sentences the rows belong to.
        beams: K rows a sentence, side by side.
    """

    trail: Sequence[Step]
    sentences: Array
    beams: int

    def owners(self) -> Array:
        """int [N], the sentence of each row, as numbered in the batch that search was given."""
        return np.repeat(self.sentences, self.beams)

    def tokens(self) -> Array:
        """int [N, t], what each row has written so far."""
        return self._follow()[0]

    def weights(self) -> Array | None:
        """float32 [N, t, S], where each row has looked so far; None without attention."""
        return self._follow()[1]

    def _follow(self) -> tuple[Array, Array | None]:
        owners, t = self.owners(), len(self.trail)
        if t == 0:
            return np.zeros((len(owners), 0), np.int64), None
        last = self.trail[-1]
        place = np.searchsorted(last.sentences, owners), np.tile(np.arange(self.beams), len(self.sentences))
        tokens, weights = follow(self.trail, owners, last.parents[place], np.full(len(owners), t))
        tokens[:, -1] = last.tokens[place]
        return tokens, weights


def follow(trail: Sequence[Step], owners: Array, parents: Array, lengths: Array) -> tuple[Array, Array | None]:
    """M hypotheses followed back through the steps, all together.

    Args:
        owners: int [M], their sentences.
        parents: int [M], the beam that each one's last token grew from.
        lengths: int [M], their tokens, the last counted.

    Returns:
        tokens int [M, t], 0 at the last and beyond; weights float32 [M, t, S], 0 beyond the last, or None.
    """
    beams = parents.copy()  # at each step on the way back: the beam before it
    tokens = np.zeros((len(owners), len(trail)), np.int64)
    weights = None
    if trail[0].weights is not None:
        weights = np.zeros((len(owners), len(trail), trail[0].weights.shape[-1]), np.float32)
    for t in range(len(trail), 0, -1):
        step = trail[t - 1]
        rows = np.searchsorted(step.sentences, owners)
        inner, there = np.flatnonzero(lengths > t), np.flatnonzero(lengths >= t)
        tokens[inner, t - 1] = step.tokens[rows[inner], beams[inner]]
        beams[inner] = step.parents[rows[inner], beams[inner]]
        if weights is not None and step.weights is not None:
            weights[there, t - 1] = step.weights[rows[there], beams[there]]
    return tokens, weights


def attention(trail: Sequence[Step], owner: int, parent: int, length: int, width: int) -> Array | None:
    """The weights [length, width] of one hypothesis, as for `follow`, over a source of `width` positions."""
    weights = follow(trail[:length], np.array([owner]), np.array([parent]), np.array([length]))[1]
    return None if weights is None else weights[0, :, :width]


def hypotheses(trail: Sequence[Step], tips: list[list[Tip]], widths: Array) -> list[list[Hypothesis]]:
    """For each sentence the hypotheses that end in its tips; widths int [B], the lengths of the sources."""
    flat = [(sentence, tip) for sentence, own in enumerate(tips) for tip in own]
    owners = np.array([sentence for sentence, _ in flat], np.int64)
    parents = np.array([tip.parent for _, tip in flat], np.int64)
    lengths = np.array([tip.length for _, tip in flat], np.int64)
    tokens, weights = follow(trail, owners, parents, lengths)
    tokens[np.arange(len(flat)), lengths - 1] = [tip.token for _, tip in flat]
    found: list[list[Hypothesis]] = [[] for _ in tips]
    for m, (sentence, tip) in enumerate(flat):
        own = None if weights is None else weights[m, : tip.length, : widths[sentence]].copy()
        ids = tuple(tokens[m, : tip.length].tolist())
        found[sentence].append(Hypothesis(ids, tip.log_probability, tip.score, own, tip.token == END))
    return found
