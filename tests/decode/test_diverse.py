"""Diverse beams beside the algorithm of the paper, which takes a step of all groups at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, log_softmax, random_logits
from random_models import CHAINS, config, padded, parameters, sources

from jumok.config import SearchConfig
from jumok.decode.hypotheses import Past
from jumok.decode.rules import NEVER, RULES
from jumok.decode.search import Policy, beam, search, search_one
from jumok.runtime.model import NumpyModel
from jumok.text.vocabulary import END

V = 9
Output = tuple[tuple[int, ...], float]


def not_twice(past: Past, logits: np.ndarray) -> np.ndarray:
    for row, written in zip(logits, past.tokens(), strict=True):
        row[[t for t in written if t != END]] = -np.inf
    return logits


def in_step(logits, first: int, limit: int, o: SearchConfig, power: float) -> list[list[Output]]:
    """Vijayakumar et al. 2016, algorithm 1, with the rules for the end of a search that `search` has: each group's n-best list."""
    k = o.beam // o.groups
    beams: list[list[Output]] = [[((), 0.0)] for _ in range(o.groups)]
    finished: list[list[Output]] = [[] for _ in range(o.groups)]
    going = [True] * o.groups
    score = lambda h: h[1] / len(h[0]) ** power  # noqa: E731
    for length in range(1, limit + 1):
        times = np.zeros(V)
        for g in range(o.groups):
            if not going[g]:
                continue
            grown = []
            for prefix, total in beams[g]:
                row = log_softmax(logits(first, prefix))
                allowed = [t for t in range(V) if t not in NEVER and (t == END or t not in prefix)]
                grown += [
                    ((*prefix, t), total + float(row[t]), total + float(row[t]) - o.diversity * times[t]) for t in allowed
                ]
            grown = sorted(grown, key=lambda h: -h[2])[: 2 * k]
            finished[g] += [(t, total) for t, total, _ in grown[:k] if t[-1] == END]
            beams[g] = [(t, total) for t, total, _ in grown if t[-1] != END][:k]
            for tokens, *_ in grown[:k]:
                times[tokens[-1]] += 1
            scores = sorted(map(score, finished[g]), reverse=True)
            n = min(k, o.nbest)
            floor = scores[n - 1] if len(scores) >= n else -np.inf
            best = max((total for _, total in beams[g]), default=-np.inf)
            if floor >= best / limit**power or (len(finished[g]) >= k and floor >= best / length**power):
                going[g], beams[g] = False, []
    return [
        [*sorted(f, key=score, reverse=True), *sorted(b, key=score, reverse=True)][: min(k, o.nbest)]
        for f, b in zip(finished, beams, strict=True)
    ]


def merged(lists: list[list[Output]], number: int, power: float) -> list[Output]:
    order = lambda h: (h[0][-1] != END, -h[1] / len(h[0]) ** power)  # noqa: E731
    chosen: list[Output] = []
    for place in range(max(map(len, lists))):
        for h in sorted((own[place] for own in lists if len(own) > place), key=order):
            if h[0] not in [tokens for tokens, _ in chosen]:
                chosen.append(h)
    return sorted(chosen[:number], key=order)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    asked=st.lists(st.tuples(st.integers(3, 9), st.integers(1, 6)), min_size=1, max_size=4),
    groups=st.integers(2, 3),
    size=st.integers(1, 3),
    strength=st.sampled_from([0.0, 0.5, 3.0, 20.0]),
    data=st.data(),
)
def test_groups_find_what_the_algorithm_of_the_paper_finds(seed, asked, groups, size, strength, data) -> None:
    logits = random_logits(seed, V, -1.0)
    firsts, limits = (list(column) for column in zip(*asked, strict=True))
    nbest = data.draw(st.integers(1, groups * size))
    options = SearchConfig(beam=groups * size, groups=groups, diversity=strength, nbest=nbest, length_penalty=0.7)
    source = np.zeros((len(asked), 3), int)
    source[:, 0] = firsts
    policy = Policy(rules=(*RULES, not_twice))
    found = search(Planted(logits), source, np.full(len(asked), 3), options, np.array(limits), policy)
    for own, first, limit in zip(found, firsts, limits, strict=True):
        wanted = merged(in_step(logits, first, limit, options, 0.7), nbest, 0.7)
        assert [h.tokens for h in own] == [tokens for tokens, _ in wanted]
        np.testing.assert_allclose([h.log_probability for h in own], [total for _, total in wanted], atol=1e-5)
        for h in own:
            assert h.score == pytest.approx(h.log_probability / len(h.tokens) ** 0.7)
            np.testing.assert_allclose(
                h.weights, [Planted.weights(h.tokens[:t], 3, 3) for t in range(len(h.tokens))], atol=1e-6
            )


def test_diversity_by_hand() -> None:
    """After the first group's A, a second A costs λ: B (ln 0.3) is better than A (ln 0.6) if λ > ln 2."""
    A, B, C = 4, 5, 6

    def logits(first, prefix):
        p = np.full(7, 1e-9)
        if prefix == ():
            p[[A, B, C]] = 0.6, 0.3, 0.1
        else:
            p[END] = 1.0
        return np.log(p)

    def firsts(groups: int, strength: float) -> list[int]:
        options = SearchConfig(beam=groups, groups=groups, diversity=strength, nbest=groups)
        (found,) = search(Planted(logits), np.array([[5, END]]), np.array([2]), options, np.array([4]))
        return [h.tokens[0] for h in found]

    assert firsts(2, 0.69) == [A]  # twice the same output is one
    assert firsts(2, 0.70) == [A, B]
    assert firsts(3, 0.70) == [A, B]  # the third: A once, B once: the first again
    assert firsts(3, 1.80) == [A, B, C]  # ln 6 = 1.79


def test_one_group_or_no_diversity_is_the_plain_search() -> None:
    model = NumpyModel(config(), parameters(config()))
    source, lengths = padded(sources(config()))
    limits = np.full(len(source), 8)
    plain = beam(model, source, lengths, SearchConfig(beam=3, nbest=3), limits)
    for options in (SearchConfig(beam=3, nbest=3, groups=1), SearchConfig(beam=6, nbest=3, groups=2, diversity=0.0)):
        found = search(model, source, lengths, options, limits)
        assert [[h.tokens for h in own] for own in found] == [[h.tokens for h in own] for own in plain]


@pytest.mark.parametrize("c", [config(), config(attention="none"), CHAINS[0]])
def test_diverse_outputs_do_not_depend_on_their_batch(c) -> None:
    model = NumpyModel(c, parameters(c))
    source, lengths = padded(sources(c))
    options, limits = SearchConfig(beam=4, groups=4, nbest=4, diversity=2.0), np.array([6, 9, 3, 8, 5])
    together = search(model, source, lengths, options, limits)
    assert np.mean([len({h.tokens[0] for h in own}) for own in together]) > 2  # groups begin differently
    for own, ids, n, limit in zip(together, source, lengths, limits, strict=True):
        assert [h.tokens for h in search_one(model, ids[:n], options, int(limit))] == [h.tokens for h in own]
