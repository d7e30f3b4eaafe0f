"""Rankings by numbers worked out by hand, and against all outputs there are."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, log_softmax, random_logits
from random_models import CHAINS, config, padded, parameters, sources

from jumok.config import SearchConfig
from jumok.decode.ranking import LEAST, Covered, LengthPenalty, WuLengthPenalty, ranking_of
from jumok.decode.search import greedy, search, search_one
from jumok.errors import ConfigError
from jumok.runtime.model import NumpyModel
from jumok.text.vocabulary import END, PAD, START

# --- by hand


def test_length_penalties_by_hand() -> None:
    """Total -6 over 7 tokens: (5 + 7) / 6 = 2."""
    assert LengthPenalty(0.0).score(-6.0, 7) == WuLengthPenalty(0.0).score(-6.0, 7) == -6
    assert LengthPenalty(1.0).score(-6.0, 7) == pytest.approx(-6 / 7)
    assert WuLengthPenalty(1.0).score(-6.0, 7) == -3
    assert WuLengthPenalty(2.0).score(-6.0, 7) == -1.5
    assert WuLengthPenalty(0.2).score(-6.0, 7) == pytest.approx(-6 / 1.148698, rel=1e-6)  # 2 ** 0.2
    assert WuLengthPenalty(1.0).score(-6.0, 1) == -6  # (5 + 1) / 6


# three tokens over four positions; columns sum to 1.3, 0.5, 1.0 and 0.2
LOOKED = np.array([[0.9, 0.1, 0.0, 0.0], [0.3, 0.2, 0.5, 0.0], [0.1, 0.2, 0.5, 0.2]], np.float32)


def test_coverage_by_hand() -> None:
    """ln 1 + ln 0.5 + ln 1 + ln 0.2 = ln 0.1 = -2.302585, times β."""
    for beta in (0.2, 1.0):
        ranking = Covered(WuLengthPenalty(1.0), beta)
        assert ranking.score(-6.0, 7, lambda: LOOKED) == pytest.approx(-3 - beta * 2.302585, abs=1e-6)
        assert ranking.bound(-6.0, 7) == -3
    nowhere = np.array([[1.0, 0.0, 0.0]])
    assert Covered(LengthPenalty(0.0), 0.5).score(-1.0, 1, lambda: nowhere) == pytest.approx(-1 + 0.5 * 2 * math.log(LEAST))
    assert LEAST == 1e-3  # a position that was never looked at still has a finite logarithm


def test_options_ask_for_rankings() -> None:
    assert ranking_of(SearchConfig(length_penalty=0.7)) == LengthPenalty(0.7)
    assert ranking_of(SearchConfig(length_norm="wu", length_penalty=0.2)) == WuLengthPenalty(0.2)
    assert ranking_of(SearchConfig(length_norm="wu", coverage_penalty=0.3)) == Covered(WuLengthPenalty(1.0), 0.3)


def test_what_makes_a_difference_is_said() -> None:
    for options, words in (
        (SearchConfig(), "greedy"),
        (SearchConfig(beam=5), "beam 5, length penalty 1"),
        (
            SearchConfig(beam=4, length_norm="wu", length_penalty=0.2, coverage_penalty=0.2),
            "beam 4, length penalty 0.2 (wu), coverage penalty 0.2",
        ),
        (SearchConfig(beam=6, groups=3), "beam 6, length penalty 1, 3 groups, diversity 0.5"),
        (SearchConfig(beam=6, mbr="chrf"), "beam 6, length penalty 1, minimum Bayes risk by chrf"),
        (SearchConfig(sample=1), "a sample, seed 1"),
        (SearchConfig(sample=20, mbr="bleu"), "20 samples, seed 1, minimum Bayes risk by bleu"),
        (
            SearchConfig(sample=2, temperature=0.5, top_k=4, top_p=0.9, seed=3),
            "2 samples, temperature 0.5, top-k 4, top-p 0.9, seed 3",
        ),
    ):
        assert str(options) == words


# --- bounds


@given(
    st.sampled_from([LengthPenalty(0.7), WuLengthPenalty(0.0), WuLengthPenalty(0.9), Covered(WuLengthPenalty(1.3), 0.4)]),
    st.floats(-50, 0),
    st.integers(1, 30),
    st.floats(-5, 0),
    st.integers(0, 10),
)
def test_no_continuation_scores_above_the_bound(ranking, total, length, fall, more) -> None:
    weights = np.random.default_rng(length).dirichlet(np.ones(4), length + more)
    best = ranking.score(total + fall, length + more, lambda: weights)
    assert best <= ranking.bound(total, length + more) + 1e-12
    assert ranking.bound(total + fall, length) <= ranking.bound(total, length + more) + 1e-12  # it rises with both


# --- against the whole space


def all_finished(logits, V: int, limit: int, ranking, width: int) -> list[tuple[float, tuple[int, ...]]]:
    """(score, tokens) of every output that ends within the limit, best first."""
    found = []
    for n in range(limit):
        for prefix in itertools.product([t for t in range(V) if t not in (PAD, START, END)], repeat=n):
            tokens = (*prefix, END)
            total = sum(float(log_softmax(logits(5, tokens[:i]))[t]) for i, t in enumerate(tokens))
            weights = np.array([Planted.weights(tokens[:i], width, width) for i in range(len(tokens))], np.float32)
            found.append((ranking.score(total, len(tokens), lambda w=weights: w), tokens))  # type: ignore[misc]
    return sorted(found, reverse=True)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    V=st.integers(4, 6),
    limit=st.integers(1, 4),
    nbest=st.integers(1, 6),
    norm=st.sampled_from(["power", "wu"]),
    penalty=st.sampled_from([0.0, 0.2, 1.0, 2.0]),
    beta=st.sampled_from([0.0, 0.2, 2.0]),
)
def test_a_beam_as_wide_as_the_space_is_exhaustive(seed, V, limit, nbest, norm, penalty, beta) -> None:
    logits = random_logits(seed, V)
    options = SearchConfig(beam=200, nbest=nbest, length_norm=norm, length_penalty=penalty, coverage_penalty=beta)
    want = all_finished(logits, V, limit, ranking_of(options), 3)[:nbest]
    (found,) = search(Planted(logits), np.array([[5, 0, 0]]), np.array([3]), options, np.array([limit]))
    finished = [h for h in found if h.finished]
    assert [h.tokens for h in finished] == [tokens for _, tokens in want]
    np.testing.assert_allclose([h.score for h in finished], [score for score, _ in want], atol=1e-5)


def test_the_coverage_penalty_turns_a_choice() -> None:
    """The likelier output looks at one position only; the other at both."""
    A, B = 4, 5

    class TwoWays(Planted):
        @staticmethod
        def weights(prefix, length, width):
            return np.array([0.0, 1.0]) if B in prefix else np.array([1.0, 0.0])

    def logits(first, prefix):
        p = np.full(6, 1e-9)
        p[[A, B]] = (0.6, 0.4) if prefix == () else (1e-9, 1e-9)
        p[END] = 1e-9 if prefix == () else 1.0
        return np.log(p)

    source, lengths, limits = np.array([[4, END]]), np.array([2]), np.array([5])
    (plain,) = search(TwoWays(logits), source, lengths, SearchConfig(beam=2), limits)
    (covered,) = search(TwoWays(logits), source, lengths, SearchConfig(beam=2, coverage_penalty=0.2), limits)
    assert plain[0].tokens == (A, END) and covered[0].tokens == (B, END)
    assert covered[0].score == pytest.approx(math.log(0.4) / 2, abs=1e-5)


# --- with every way to search, and every kind of model


@pytest.mark.parametrize(
    "c", [config(), config(reverse_source=True, bidirectional=False), config(window="local-m", window_size=1), CHAINS[0]]
)
def test_scores_are_those_of_the_attention_of_the_steps(c) -> None:
    model = NumpyModel(c, parameters(c))
    source, lengths = padded(sources(c))
    limits = np.full(len(source), 8)
    for options in (
        SearchConfig(),
        SearchConfig(beam=3, nbest=3),
        SearchConfig(sample=3),
        SearchConfig(beam=4, groups=2, nbest=3),
    ):
        options = SearchConfig(**{**vars(options), "coverage_penalty": 0.3, "length_norm": "wu"})
        together = search(model, source, lengths, options, limits)
        for own, ids, n in zip(together, source, lengths, strict=True):
            for h, alone in zip(own, search_one(model, ids[:n], options, 8), strict=True):
                covered = np.clip(h.weights.sum(0, dtype=float), LEAST, 1)
                wanted = h.log_probability / ((5 + len(h.tokens)) / 6) + 0.3 * np.log(covered).sum()
                assert h.score == pytest.approx(wanted, abs=1e-5) and math.isfinite(h.score)
                assert alone.tokens == h.tokens and alone.score == pytest.approx(h.score, abs=1e-3)


def test_without_attention_there_is_no_coverage() -> None:
    c = config(attention="none")
    model, ids = NumpyModel(c, parameters(c)), np.array(sources(c)[0])
    for options in (
        SearchConfig(coverage_penalty=0.1),
        SearchConfig(beam=2, coverage_penalty=0.1),
        SearchConfig(sample=2, coverage_penalty=0.1),
    ):
        with pytest.raises(ConfigError, match=r"coverage_penalty is 0.1, but this model has no attention .*; leave it out"):
            search_one(model, ids, options, 5)
        with pytest.raises(ConfigError, match=r"coverage_penalty is 0\.1"):
            search(model, ids[None], np.array([len(ids)]), options, np.array([5]))
    with pytest.raises(ConfigError, match=r"coverage_penalty is 0\.1"):
        greedy(model, ids[None], np.array([len(ids)]), SearchConfig(coverage_penalty=0.1), np.array([5]))
