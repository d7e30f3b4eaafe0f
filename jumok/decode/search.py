"""Search for a model's best outputs: greedy and beam, many sentences at once, whatever library the model is in.

Letters: B sentences still searched, K beams a sentence, S source positions, T steps of a hypothesis, V target vocabulary.
Greedy search is the beam of 1. What is found for a sentence does not depend on the sentences searched beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import numpy as np

from jumok.config import SearchConfig
from jumok.text.vocabulary import END, PAD, START

Array = np.ndarray

CHUNKS = 64  # in `_best`: more find a closer bound, fewer find it sooner
FEW = 1024  # values that are sorted whole, in less time than a bound takes


class Steps(Protocol):
    """What a model must offer to be searched. Arrays are NumPy's; the state is the model's own affair."""

    def start(self, source: Array, lengths: Array) -> Any:
        """source int [B, S] padded at the end, lengths int [B] -> state with one beam a sentence."""

    def step(self, state: Any, tokens: Array) -> tuple[Any, Array, Array | None]:
        """tokens int [B, K] -> state, logits float32 [B, K, V] that search may write to, weights [B, K, S] or None."""

    def select(self, state: Any, sentences: Array, parents: Array) -> Any:
        """The state with only these sentences, int [B'], and of each these beams, int [B', K']."""


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One output for one sentence.

    Attributes:
        tokens: T ids, the end token last if `finished`.
        log_probability: sum of the tokens' natural-log probabilities.
        score: log_probability / T ** length_penalty; hypotheses are ranked by it.
        weights: [T, S] attention, S the sentence's own length; None without attention.
        finished: False if the length limit cut it.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    weights: Array | None
    finished: bool


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step leaves behind, to be followed back from the ends.

    sentences [B]: which they are; parents, tokens [B, K]: each new beam's; weights [B, K before, S].
    """

    sentences: Array
    parents: Array
    tokens: Array
    weights: Array | None


@dataclass(frozen=True, slots=True)
class _Tip:
    """The last token of a hypothesis, and the beam it grew from. `length` counts this token."""

    score: float
    log_probability: float
    length: int
    parent: int
    token: int


def search(model: Steps, source: Array, lengths: Array, options: SearchConfig, limits: Array) -> list[list[Hypothesis]]:
    """The best outputs for each sentence, by beam search.

    A candidate that ends and is among the best `beam` of its step is finished; the best `beam` that go on stay. A sentence is
    done when none that goes on can still enter its n-best list; or, with `beam` finished hypotheses, when none that goes on has
    so far a better score than the n-best list's last (it could only get one by words likelier than all before); or at its limit.
    Between equals the lower token id wins. Pads and the start token are never written.

    Args:
        model: NumPy's or torch's, see `Steps`.
        source: int [B, S], padded at the end.
        lengths: int [B].
        options: beam, nbest and length_penalty are used.
        limits: int [B], the most tokens to write for each sentence, the end token included; 1 or more.

    Returns:
        for each sentence 1 to nbest hypotheses, finished ones first, then by falling score.
    """
    lengths, limits = np.asarray(lengths), np.asarray(limits)
    assert len(source) == len(lengths) == len(limits) and (limits >= 1).all()
    if len(source) == 0:
        return []
    if options.beam == 1:
        return _greedy(model, source, lengths, options.length_penalty, limits)
    return _beam(model, source, lengths, options, limits)


def _greedy(model: Steps, source: Array, lengths: Array, penalty: float, limits: Array) -> list[list[Hypothesis]]:
    """`_beam` with a beam of 1, in fewer calls: the one hypothesis of each sentence."""
    alive = np.arange(len(source))
    final, sizes = np.zeros(len(source)), np.zeros(len(source), np.int64)
    tokens, totals = np.full(len(source), START), np.zeros(len(source))
    state = model.start(source, lengths)
    steps: list[tuple[Array, Array, Array | None]] = []
    for length in count(1):
        state, logits, weights = model.step(state, tokens[:, None])
        logits = logits[:, 0]
        totals -= _normaliser(logits)
        tokens = logits.argmax(1)
        totals += logits[np.arange(len(tokens)), tokens]
        steps.append((alive, tokens, weights))
        done = (tokens == END) | (limits <= length)
        if done.any():
            final[alive[done]], sizes[alive[done]] = totals[done], length
            stay = np.flatnonzero(~done)
            if len(stay) == 0:
                break
            state = model.select(state, stay, np.zeros((len(stay), 1), np.int64))
            alive, tokens, totals, limits = alive[stay], tokens[stay], totals[stay], limits[stay]
    ids = np.zeros((len(source), len(steps)), np.int64)
    attention = None if steps[0][2] is None else np.zeros((*ids.shape, source.shape[1]), np.float32)
    for t, (alive, tokens, weights) in enumerate(steps):
        ids[alive, t] = tokens
        if attention is not None and weights is not None:
            attention[alive, t] = weights[:, 0]
    found = []
    for row, (total, T, S) in enumerate(zip(final.tolist(), sizes.tolist(), lengths.tolist(), strict=True)):
        own = None if attention is None else attention[row, :T, :S].copy()
        written = tuple(ids[row, :T].tolist())
        found.append([Hypothesis(written, total, total / T**penalty, own, written[-1] == END)])
    return found


def _beam(model: Steps, source: Array, lengths: Array, options: SearchConfig, limits: Array) -> list[list[Hypothesis]]:
    beam, nbest, penalty = options.beam, options.nbest, options.length_penalty
    finished: list[list[_Tip]] = [[] for _ in range(len(source))]
    cut: list[list[_Tip]] = [[] for _ in range(len(source))]
    floor = np.full(len(source), -np.inf)  # the score of the nbest-th finished hypothesis, where there are so many
    alive = np.arange(len(source))
    tokens, totals = np.full((len(source), 1), START), np.zeros((len(source), 1))
    state = model.start(source, lengths)
    trail: list[_Step] = []
    for length in count(1):
        state, logits, weights = model.step(state, tokens)
        # twice the beam, of which at most half end: enough go on
        parents, tokens, totals = _candidates(logits, totals, 2 * beam)
        ends = (tokens == END) & (totals > -np.inf)
        for row, rank in np.argwhere(ends[:, :beam]).tolist():
            total, tips = float(totals[row, rank]), finished[alive[row]]
            tips.append(_Tip(total / length**penalty, total, length, int(parents[row, rank]), END))
            if len(tips) >= nbest:
                floor[alive[row]] = sorted(tip.score for tip in tips)[-nbest]
        on = np.argsort(ends, axis=1, kind="stable")[:, :beam]
        rows = np.arange(len(alive))[:, None]
        parents, tokens = parents[rows, on], tokens[rows, on]
        totals = np.where(ends, -np.inf, totals)[rows, on]
        trail.append(_Step(alive, parents, tokens, weights))
        # log-probabilities only fall, so that no beam can end with a better score than this bound
        bound = totals.max(1) / limits[alive].astype(float) ** penalty
        at_limit = limits[alive] <= length
        full = np.array([len(finished[sentence]) >= beam for sentence in alive])
        full &= floor[alive] >= totals.max(1) / length**penalty
        done = at_limit | full | (floor[alive] >= bound)
        for row in np.flatnonzero(at_limit).tolist():
            cut[alive[row]] = [
                _Tip(total / length**penalty, total, length, parent, token)
                for total, parent, token in zip(*(a[row].tolist() for a in (totals, parents, tokens)), strict=True)
                if total > -np.inf
            ]
        stay = np.flatnonzero(~done)
        if len(stay) == 0:
            break
        state = model.select(state, stay, parents[stay])
        alive, tokens, totals = alive[stay], tokens[stay], totals[stay]
    tips = [(_ranked(f) + _ranked(c))[:nbest] for f, c in zip(finished, cut, strict=True)]
    return _follow(trail, tips, lengths)


def _ranked(tips: list[_Tip]) -> list[_Tip]:
    return sorted(tips, key=lambda tip: -tip.score)


def _normaliser(logits: Array) -> Array:
    """log Σ exp of each row of logits [N, V], float64 [N]; then takes the tokens that are never written out of the race.

    In this order, since their probability stays theirs, as under forced decoding.
    """
    highest = logits.max(1)
    total = np.exp(logits - highest[:, None]).sum(1)
    logits[:, PAD] = -np.inf
    logits[:, START] = -np.inf
    return highest + np.log(total, dtype=np.float64)


def _candidates(logits: Array, totals: Array, number: int) -> tuple[Array, Array, Array]:
    """The best continuations of each sentence, best first: parents, tokens, totals, each [B, at most number].

    logits [B, K, V] (overwritten), totals [B, K] the beams' log-probabilities so far. The best of a beam are the same before
    and after softmax, so that only theirs are normalised, in float64, where different logits stay different.
    """
    B, K, V = logits.shape
    logits = logits.reshape(B * K, V)
    normaliser = _normaliser(logits)
    each = min(number, V)
    tokens = _best(logits, each)
    values = logits[np.arange(B * K)[:, None], tokens] + (totals.reshape(-1) - normaliser)[:, None]
    values, tokens = values.reshape(B, -1), tokens.reshape(B, -1)
    order = np.argsort(-values, axis=1, kind="stable")[:, :number]
    rows = np.arange(B)[:, None]
    return order // each, tokens[rows, order], values[rows, order]


def _best(values: Array, number: int) -> Array:
    """Columns of the highest values of each row, highest first, the lower column first between equals: [N, number].

    The number-th highest of the maxima of disjoint chunks is a bound that at least `number` values reach, and few more.
    """
    N, V = values.shape
    if values.size <= FEW:
        return np.argsort(-values, axis=1, kind="stable")[:, :number]
    chunks = min(V, max(CHUNKS, 4 * number))
    maxima = values[:, : V // chunks * chunks].reshape(N, -1, chunks).max(1)
    bound = np.partition(maxima, chunks - number, axis=1)[:, chunks - number]
    rows, columns = np.divmod(np.flatnonzero(values >= bound[:, None]), V)
    order = np.lexsort((columns, -values[rows, columns], rows))
    first = np.searchsorted(rows, np.arange(N))
    return columns[order[first[:, None] + np.arange(number)]]


def _follow(trail: list[_Step], tips: list[list[_Tip]], lengths: Array) -> list[list[Hypothesis]]:
    """The hypotheses that end in these tips, followed back through the steps, all together."""
    flat = [(sentence, tip) for sentence, own in enumerate(tips) for tip in own]
    owners = np.array([sentence for sentence, _ in flat])
    steps = np.array([tip.length for _, tip in flat])
    tokens = np.zeros((len(flat), len(trail)), np.int64)
    tokens[np.arange(len(flat)), steps - 1] = [tip.token for _, tip in flat]
    beams = np.array([tip.parent for _, tip in flat])  # at each step on the way back: the beam before it
    weights = None
    if trail[0].weights is not None:
        weights = np.zeros((len(flat), len(trail), trail[0].weights.shape[-1]), np.float32)
    for t in range(len(trail), 0, -1):
        step = trail[t - 1]
        rows = np.searchsorted(step.sentences, owners)
        inner, there = np.flatnonzero(steps > t), np.flatnonzero(steps >= t)
        tokens[inner, t - 1] = step.tokens[rows[inner], beams[inner]]
        beams[inner] = step.parents[rows[inner], beams[inner]]
        if weights is not None and step.weights is not None:
            weights[there, t - 1] = step.weights[rows[there], beams[there]]
    found: list[list[Hypothesis]] = [[] for _ in tips]
    for m, (sentence, tip) in enumerate(flat):
        own = None if weights is None else weights[m, : tip.length, : lengths[sentence]].copy()
        ids = tuple(tokens[m, : tip.length].tolist())
        found[sentence].append(Hypothesis(ids, tip.log_probability, tip.score, own, tip.token == END))
    return found
