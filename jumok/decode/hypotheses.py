"""Hypotheses: the outputs of search, and the trail of steps that leads from the end of each back to its beginning.

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
        score: by which hypotheses are ranked, see `jumok.decode.ranking`; with the length penalty, log_probability / T ** power.
        weights: [T, S] attention, S the sentence's own length; None without attention.
        finished: False if it was cut at the length limit.
        token_log_probabilities: [T] float32, the natural-log probability of each token given those before it.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    weights: Array | None
    finished: bool
    token_log_probabilities: Array | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What is kept of one step.

    Attributes:
        sentences: int [B], indices of the sentences, rising.
        parents: int [B, K], the beam that each new beam grew from.
        tokens: int [B, K], the token that each new beam has written.
        weights: [B, K before the step, S], or None.
        totals: float64 [B, K], the log-probability of each new beam.
    """

    sentences: Array
    parents: Array
    tokens: Array
    weights: Array | None
    totals: Array


@dataclass(frozen=True, slots=True)
class Tip:
    """The last token of a hypothesis, and the beam that it grew from. `length` counts this token."""

    score: float
    log_probability: float
    length: int
    parent: int
    token: int


@dataclass(frozen=True, slots=True)
class Past:
    """The past of the N rows of a step. It is computed only when asked for; use it only during that step.

    Attributes:
        trail: the t steps so far.
        sentences: int [B], the sentences that the rows belong to.
        beams: K, the rows of each sentence, side by side.
    """

    trail: Sequence[Step]
    sentences: Array
    beams: int

    def owners(self) -> Array:
        """The sentence of each row, int [N], by its index in the batch that search was given."""
        return np.repeat(self.sentences, self.beams)

    def tokens(self) -> Array:
        """The tokens that each row has written so far, int [N, t]."""
        return self._follow()[0]

    def weights(self) -> Array | None:
        """The attention weights of each row so far, float32 [N, t, S]; None without attention."""
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


def follow(
    trail: Sequence[Step], owners: Array, parents: Array, lengths: Array, totals: Array | None = None
) -> tuple[Array, Array | None]:
    """Follows M hypotheses back through the steps, all together.

    Args:
        owners: int [M], their sentences.
        parents: int [M], the beam that each one's last token grew from.
        lengths: int [M], their numbers of tokens, the last one counted.
        totals: float64 [M, t], into which each one's log-probability after each token but the last is written.

    Returns:
        Tokens int [M, t], 0 from the last one on; weights float32 [M, t, S], 0 behind the last token, or None.
    """
    beams = parents.copy()  # at each step on the way back: the beam before it
    tokens = np.zeros((len(owners), len(trail)), np.int64)
    weights = None
    if trail[0].weights is not None:
        weights = np.zeros((len(owners), len(trail), trail[0].weights.shape[-1]), np.float32)
    for t in range(len(trail), 0, -1):
        step = trail[t - 1]
        rows = np.searchsorted(step.sentences, owners)
        inner, reached = np.flatnonzero(lengths > t), np.flatnonzero(lengths >= t)
        tokens[inner, t - 1] = step.tokens[rows[inner], beams[inner]]
        if totals is not None:
            totals[inner, t - 1] = step.totals[rows[inner], beams[inner]]
        beams[inner] = step.parents[rows[inner], beams[inner]]
        if weights is not None and step.weights is not None:
            weights[reached, t - 1] = step.weights[rows[reached], beams[reached]]
    return tokens, weights


def attention(trail: Sequence[Step], owner: int, parent: int, length: int, width: int) -> Array | None:
    """The weights [length, width] of one hypothesis over a source of `width` positions. Arguments as for `follow`."""
    weights = follow(trail[:length], np.array([owner]), np.array([parent]), np.array([length]))[1]
    return None if weights is None else weights[0, :, :width]


def hypotheses(trail: Sequence[Step], tips: list[list[Tip]], widths: Array) -> list[list[Hypothesis]]:
    """The hypotheses of each sentence that end in its tips. `widths` int [B] are the lengths of the sources."""
    flat = [(sentence, tip) for sentence, seen in enumerate(tips) for tip in seen]
    owners = np.array([sentence for sentence, _ in flat], np.int64)
    parents = np.array([tip.parent for _, tip in flat], np.int64)
    lengths = np.array([tip.length for _, tip in flat], np.int64)
    totals = np.zeros((len(flat), len(trail)))
    tokens, weights = follow(trail, owners, parents, lengths, totals)
    tokens[np.arange(len(flat)), lengths - 1] = [tip.token for _, tip in flat]
    totals[np.arange(len(flat)), lengths - 1] = [tip.log_probability for _, tip in flat]
    each = steps_of(totals)
    outputs: list[list[Hypothesis]] = [[] for _ in tips]
    for m, (sentence, tip) in enumerate(flat):
        seen = None if weights is None else weights[m, : tip.length, : widths[sentence]].copy()
        ids = tuple(tokens[m, : tip.length].tolist())
        outputs[sentence].append(Hypothesis(ids, tip.log_probability, tip.score, seen, tip.token == END, each[m, : tip.length]))
    return outputs


def steps_of(totals: Array) -> Array:
    """The log-probability of each token, from those of the outputs up to it: float64 [M, t] -> float32 [M, t]."""
    each = totals.copy()
    with np.errstate(invalid="ignore"):  # behind a token that rules forbid
        each[:, 1:] -= totals[:, :-1]
    return each.astype(np.float32)
