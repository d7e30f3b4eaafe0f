"""Search for a model's best outputs: greedy and beam search, many sentences at once, over any backend.

Ranking, rules, and how a step chooses among tokens are arguments (`Policy`). The outputs for a sentence do not depend on the
other sentences of the batch.

Letters: B sentences still searched, K beams a sentence, N = B·K rows, S source positions, T steps of a hypothesis, V target
vocabulary.
"""

from __future__ import annotations

from functools import partial
from itertools import count

import numpy as np

from jumok.config import SearchConfig
from jumok.decode.backend import Backend
from jumok.decode.choice import best_continuations, likeliest, normaliser
from jumok.decode.hypotheses import Hypothesis, Past, Step, Tip, attention, hypotheses
from jumok.decode.policy import PLAIN, Policy
from jumok.decode.ranking import LengthPenalty, Ranking, ranking_of
from jumok.decode.rules import never
from jumok.text.vocabulary import END, START

Array = np.ndarray

MOST_WEIGHTS = 1 << 27
MOST_AT_ONCE = 64  # beams of a backend's own beam search


def search(
    backend: Backend,
    source: Array,
    lengths: Array,
    options: SearchConfig,
    limits: Array,
    policy: Policy = PLAIN,
) -> list[list[Hypothesis]]:
    """Finds the best outputs for each sentence, by beam search.

    At each step, candidates that end and are among the best `beam` are finished, and the best `beam` of the others go on. The
    search of a sentence stops

    - when no beam can still enter the n-best list; or
    - when `beam` hypotheses are finished, and no beam has so far a better score than the last of the n-best list (it could
      only get one by tokens that are likelier than all before); or
    - at the sentence's limit.

    Among equals the lower token id wins. A beam of 1 is greedy search, whatever the ranking: the likeliest token at each step.

    Args:
        backend: see `jumok.decode.backend.Backend`.
        source: int [B, S], padded at the end.
        lengths: int [B].
        options: `beam` and `nbest`; `length_penalty`, unless the policy has a ranking.
        limits: int [B], the most tokens to write for each sentence, the end token included; 1 or more.
        policy: ranking, rules, and how a step chooses.

    Returns:
        For each sentence, 1 to nbest hypotheses: finished ones first, then by falling score.
    """
    lengths, limits = np.asarray(lengths), np.asarray(limits)
    assert len(source) == len(lengths) == len(limits) and (limits >= 1).all()
    if len(source) == 0:
        return []
    if options.beam == 1:
        return [[h] for h in greedy(backend, source, lengths, options, limits, policy)]
    return beam(backend, source, lengths, options, limits, policy)


def search_one(
    backend: Backend,
    source: Array,
    options: SearchConfig,
    limit: int,
    policy: Policy = PLAIN,
) -> list[Hypothesis]:
    """As `search`, for a single sentence: source int [S], END last.

    Takes the backend's faster way for one sentence, if it has one and options and policy ask for no more than that offers. It
    writes the same tokens, see `jumok.decode.backend.OneSentence`.
    """
    one, forbidden = getattr(backend, "one", None), never(policy.rules)
    at_once = one is not None and (not hasattr(backend, "greedy") or _fits(source, np.array([limit]), 1))
    if one is None or not at_once or forbidden is None or options.beam > 1:
        return search(backend, source[None], np.array([len(source)]), options, np.array([limit]), policy)[0]
    tokens, total, weights = one(source, limit, forbidden)
    return [_written(_ranking(policy, options), tokens, total, weights)]


def _written(ranking: Ranking, tokens: list[int], total: float, weights: Array | None) -> Hypothesis:
    score = ranking.score(total, len(tokens), partial(_given, weights))
    return Hypothesis(tuple(tokens), total, score, weights, tokens[-1] == END)


def greedy(
    backend: Backend,
    source: Array,
    lengths: Array,
    options: SearchConfig,
    limits: Array,
    policy: Policy = PLAIN,
) -> list[Hypothesis]:
    """`beam` with a beam of 1, in fewer calls. Returns one hypothesis for each sentence."""
    many, forbidden = getattr(backend, "greedy", None), never(policy.rules)
    if many is not None and _fits(source, limits, 1) and forbidden is not None and policy.choose is likeliest:
        ranking = _ranking(policy, options)
        return [_written(ranking, *found) for found in many(source, lengths, limits, forbidden)]
    alive = np.arange(len(source))
    final, sizes = np.zeros(len(source)), np.zeros(len(source), np.int64)
    tokens, totals = np.full(len(source), START), np.zeros(len(source))
    first = np.zeros((len(source), 1), np.int64)  # every sentence's one beam
    state = backend.start(source, lengths)
    trail: list[Step] = []
    for length in count(1):
        state, logits, weights = backend.step(state, tokens[:, None])
        logits = logits[:, 0]
        totals -= _normaliser(backend, logits)
        past = Past(trail, alive, 1)
        for rule in policy.rules:
            logits = rule(past, logits)
        tokens = policy.choose(past, logits)
        totals += logits[np.arange(len(tokens)), tokens]
        trail.append(Step(alive, first[: len(alive)], tokens[:, None], weights))
        done = (tokens == END) | (limits <= length)
        if done.any():
            final[alive[done]], sizes[alive[done]] = totals[done], length
            stay = np.flatnonzero(~done)
            if len(stay) == 0:
                break
            state = backend.select(state, stay, first[: len(stay)])
            alive, tokens, totals, limits = alive[stay], tokens[stay], totals[stay], limits[stay]
    return _collected(trail, final, sizes, lengths, source.shape[1], _ranking(policy, options))


def _ranking(policy: Policy, options: SearchConfig) -> Ranking:
    return policy.ranking or ranking_of(options)


def _normaliser(backend: Backend, logits: Array) -> Array:
    """`normaliser`, or zeros [N] where the backend has normalised already."""
    return np.zeros(len(logits)) if getattr(backend, "normalised", False) else normaliser(logits)


def _collected(
    trail: list[Step], totals: Array, sizes: Array, lengths: Array, width: int, ranking: Ranking
) -> list[Hypothesis]:
    """The hypotheses of a trail with one beam. Their log-probabilities are `totals` [B], their lengths `sizes` [B]."""
    ids = np.zeros((len(totals), len(trail)), np.int64)
    everything = None if trail[0].weights is None else np.zeros((*ids.shape, width), np.float32)
    for t, step in enumerate(trail):
        ids[step.sentences, t] = step.tokens[:, 0]
        if everything is not None and step.weights is not None:
            everything[step.sentences, t] = step.weights[:, 0]
    hypotheses = []
    for row, (total, T, S) in enumerate(zip(totals.tolist(), sizes.tolist(), lengths.tolist(), strict=True)):
        weights = None if everything is None else everything[row, :T, :S].copy()
        tokens = tuple(ids[row, :T].tolist())
        score = ranking.score(total, T, partial(_given, weights))
        hypotheses.append(Hypothesis(tokens, total, score, weights, tokens[-1] == END))
    return hypotheses


def _given(weights: Array | None) -> Array | None:
    return weights


def beam(
    backend: Backend,
    source: Array,
    lengths: Array,
    options: SearchConfig,
    limits: Array,
    policy: Policy = PLAIN,
) -> list[list[Hypothesis]]:
    """`search` with a beam of any size."""
    ranking = _ranking(policy, options)
    if (found := _at_once(backend, source, lengths, options, limits, policy)) is not None:
        return found
    finished: list[list[Tip]] = [[] for _ in range(len(source))]
    cut: list[list[Tip]] = [[] for _ in range(len(source))]
    floor = np.full(len(source), -np.inf)  # the score of the nbest-th finished hypothesis, if there are so many
    alive = np.arange(len(source))
    tokens, totals = np.full((len(source), 1), START), np.zeros((len(source), 1))
    state = backend.start(source, lengths)
    trail: list[Step] = []

    def tip(sentence: int, length: int, total: float, parent: int, token: int) -> Tip:
        looked = partial(attention, trail, sentence, parent, length, int(lengths[sentence]))
        return Tip(ranking.score(total, length, looked), total, length, parent, token)

    for length in count(1):
        state, logits, weights = backend.step(state, tokens)
        (B, K, V), past = logits.shape, Past(trail, alive, tokens.shape[1])
        logits = logits.reshape(B * K, V)
        bases = totals.reshape(-1) - _normaliser(backend, logits)
        for rule in policy.rules:
            logits = rule(past, logits)
        # twice the beam: at most half of these end, so that `beam` of them go on
        parents, tokens, totals = policy.candidates(past, logits.reshape(B, K, V), bases.reshape(B, K), 2 * options.beam)
        ends = (tokens == END) & (totals > -np.inf)
        on = np.argsort(ends, axis=1, kind="stable")[:, : options.beam]
        rows = np.arange(B)[:, None]
        trail.append(Step(alive, parents[rows, on], tokens[rows, on], weights))
        for row, rank in np.argwhere(ends[:, : options.beam]).tolist():
            tips = finished[alive[row]]
            tips.append(tip(int(alive[row]), length, float(totals[row, rank]), int(parents[row, rank]), END))
            if len(tips) >= options.nbest:
                floor[alive[row]] = sorted(t.score for t in tips)[-options.nbest]
        parents, tokens = trail[-1].parents, trail[-1].tokens
        totals = np.where(ends, -np.inf, totals)[rows, on]
        # log-probabilities only fall, so that no beam can end with a better score than this bound
        bound = ranking.bound(totals.max(1), limits[alive].astype(float))
        at_limit = limits[alive] <= length
        full = np.array([len(finished[sentence]) >= options.beam for sentence in alive])
        full &= floor[alive] >= ranking.bound(totals.max(1), length)
        done = at_limit | full | (floor[alive] >= bound)
        for row in np.flatnonzero(at_limit).tolist():
            cut[alive[row]] = [
                tip(int(alive[row]), length, total, parent, token)
                for total, parent, token in zip(*(a[row].tolist() for a in (totals, parents, tokens)), strict=True)
                if total > -np.inf
            ]
        stay = np.flatnonzero(~done)
        if len(stay) == 0:
            break
        state = backend.select(state, stay, parents[stay])
        alive, tokens, totals = alive[stay], tokens[stay], totals[stay]
    tips = [(_ranked(f) + _ranked(c))[: options.nbest] for f, c in zip(finished, cut, strict=True)]
    return hypotheses(trail, tips, lengths)


def _at_once(
    backend: Backend, source: Array, lengths: Array, options: SearchConfig, limits: Array, policy: Policy
) -> list[list[Hypothesis]] | None:
    """`beam` by the backend's own search, where it has one and options and policy ask for no more than that offers; else None."""
    beams, forbidden, ranking = getattr(backend, "beam", None), never(policy.rules), _ranking(policy, options)
    if beams is None or forbidden is None or policy.candidates is not best_continuations or type(ranking) is not LengthPenalty:
        return None
    if options.beam > MOST_AT_ONCE or not _fits(source, limits, options.beam):
        return None
    divisors = np.array([1.0, *(length**ranking.power for length in range(1, int(limits.max()) + 1))])
    found = beams(source, lengths, limits, forbidden, options, divisors)
    return [
        [Hypothesis(tuple(tokens), total, score, weights, tokens[-1] == END) for tokens, total, score, weights in outputs]
        for outputs in found
    ]


def _fits(source: Array, limits: Array, beam: int) -> bool:
    """Whether the weights of the longest outputs fit in memory. A backend's own search takes that memory before it begins."""
    return source.size * int(limits.max()) * beam <= MOST_WEIGHTS


def _ranked(tips: list[Tip]) -> list[Tip]:
    return sorted(tips, key=lambda tip: -tip.score)
