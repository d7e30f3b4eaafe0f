"""Beam search for one sentence: what `jumok.decode.search.beam` does, without the bookkeeping of a batch.

Beams that cannot go on are left out, and few arrays are made, since for one sentence calls cost more than numbers.

Letters: K beams, S source positions, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count

import numpy as np

from jumok.config import SearchConfig
from jumok.decode.backend import Backend, for_one
from jumok.decode.choice import CHUNKS, FEW, normaliser_of
from jumok.decode.hypotheses import Hypothesis, Past, Step, Tip, steps_of
from jumok.decode.ranking import Ranking
from jumok.decode.rules import Rule, never
from jumok.text.vocabulary import END, START

Array = np.ndarray

_ALONE = np.zeros(1, np.int64)  # the index of the only sentence


def beam_one(
    backend: Backend, source: Array, options: SearchConfig, limit: int, ranking: Ranking, rules: Sequence[Rule]
) -> list[Hypothesis]:
    """As `jumok.decode.search.beam`, for a single sentence, source int [S], END last, and with the usual choice of candidates."""
    start, step = for_one(backend)
    forbidden = never(rules)
    finished: list[Tip] = []
    cut: list[Tip] = []
    floor = -np.inf  # the score of the nbest-th finished hypothesis, if there are so many
    parents, tokens, totals = _ALONE, np.array([START]), np.zeros(1)
    state = start(source)
    trail: list[Step] = []

    def tip(length: int, total: float, parent: int, token: int) -> Tip:
        return Tip(ranking.score(total, length, partial(looked, trail, parent, length)), total, length, parent, token)

    for length in count(1):
        state, logits, weights = step(state, parents, tokens)
        bases = totals - normaliser_of(backend, logits)
        if forbidden is None:
            past = Past(trail, _ALONE, len(tokens))
            for rule in rules:
                logits = rule(past, logits)
        else:
            for token in forbidden:
                logits[:, token] = -np.inf
        on: list[tuple[int, int, float]] = []
        ends: list[tuple[int, float]] = []
        for rank, (parent, token, total) in enumerate(continuations(logits, bases, 2 * options.beam)):
            if total == -np.inf:
                continue
            if token != END:
                on.append((parent, token, total))
                if len(on) == options.beam:
                    break  # what comes behind it is not among the best `beam`
            elif rank < options.beam:
                ends.append((parent, total))
        grown, written, reached = zip(*on, strict=True) if on else ((), (), ())
        parents, tokens, totals = np.array(grown, np.int64), np.array(written, np.int64), np.array(reached, np.float64)
        trail.append(Step(_ALONE, parents[None], tokens[None], None if weights is None else weights[None], totals[None]))
        if ends:
            finished += [tip(length, total, parent, END) for parent, total in ends]
            if len(finished) >= options.nbest:
                floor = sorted(t.score for t in finished)[-options.nbest]
        if not on:
            break
        top = max(reached)
        if length >= limit:
            cut = [tip(length, total, parent, token) for parent, token, total in on]
            break
        full = len(finished) >= options.beam and floor >= ranking.bound(top, length)
        if full or floor >= ranking.bound(top, float(limit)):
            break
    tips = [*sorted(finished, key=_falling), *sorted(cut, key=_falling)][: options.nbest]
    return [_hypothesis(trail, tip) for tip in tips]


def continuations(logits: Array, bases: Array, number: int) -> list[tuple[int, int, float]]:
    """As `jumok.decode.choice.best_continuations`, for one sentence: logits [K, V], bases [K] -> (parent, token, log-probability).

    Only those values are sorted that reach a bound: the number-th highest of the maxima of disjoint chunks, or of the values
    themselves where these are few.
    """
    K, V = logits.shape
    chunks = min(V, max(CHUNKS, 4 * number))
    if logits.size <= FEW or K * chunks < number:
        values = (logits + bases[:, None]).ravel()
        places = None
        if values.size > number:
            ordered = values.copy()
            ordered.partition(values.size - number)
            (places,) = (values >= ordered[values.size - number]).nonzero()
            values = values[places]
    else:
        maxima = (np.maximum.reduce(logits[:, : V // chunks * chunks].reshape(K, -1, chunks), 1) + bases[:, None]).ravel()
        maxima.partition(maxima.size - number)
        bound = maxima[maxima.size - number]
        least = np.nextafter((bound - bases).astype(np.float32), np.float32(-np.inf))  # rounding must leave none out
        (places,) = (logits >= least[:, None]).ravel().nonzero()
        values = logits.ravel()[places] + bases[places // V]
    order = (-values).argsort(kind="stable")[:number]
    which = order if places is None else places[order]
    return [(*divmod(place, V), value) for place, value in zip(which.tolist(), values[order].tolist(), strict=True)]


def looked(trail: Sequence[Step], parent: int, length: int) -> Array | None:
    """The weights [length, S] of a hypothesis whose last token, the `length`-th, grew from beam `parent`."""
    rows: list[Array] = []
    for step in reversed(trail[:length]):
        if step.weights is None:
            return None
        if rows:
            parent = step.parents[0, parent]
        rows.append(step.weights[0, parent])
    return np.array(rows[::-1])


def _hypothesis(trail: Sequence[Step], tip: Tip) -> Hypothesis:
    tokens, beam = [tip.token], tip.parent
    totals = np.full((1, tip.length), tip.log_probability)
    for t in range(tip.length - 1, 0, -1):
        step = trail[t - 1]
        tokens.append(int(step.tokens[0, beam]))
        totals[0, t - 1] = step.totals[0, beam]
        beam = step.parents[0, beam]
    weights = looked(trail, tip.parent, tip.length)
    return Hypothesis(tuple(tokens[::-1]), tip.log_probability, tip.score, weights, tip.token == END, steps_of(totals)[0])


def _falling(tip: Tip) -> float:
    return -tip.score
