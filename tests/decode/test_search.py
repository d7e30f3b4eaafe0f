"""Search against the whole space and against a naive loop; and what it must not depend on."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, log_softmax, random_logits, sentences

from jumok.config import ModelConfig, SearchConfig
from jumok.decode.choice import best
from jumok.decode.hypotheses import Hypothesis
from jumok.decode.ranking import LengthPenalty
from jumok.decode.search import beam as beam_search
from jumok.decode.search import search
from jumok.runtime.model import NumpyModel
from jumok.runtime.parameters import random_parameters
from jumok.text.vocabulary import END, PAD, START, UNK


def run(model, first=(5,), limit=4, lengths=None, **options) -> list[list[Hypothesis]]:
    source = np.zeros((len(first), 3), int)
    source[:, 0] = first
    limits = np.broadcast_to(limit, len(first))
    return search(model, source, np.array(lengths or [3] * len(first)), SearchConfig(**options), limits)


def all_finished(logits, first: int, V: int, limit: int, penalty: float) -> list[tuple[float, float, tuple[int, ...]]]:
    """(score, log-probability, tokens) of every output that ends within the limit, best first."""
    writable = [t for t in range(V) if t not in (PAD, START, END)]
    found = []
    for n in range(limit):
        for prefix in itertools.product(writable, repeat=n):
            tokens = (*prefix, END)
            total = sum(float(log_softmax(logits(first, tokens[:i]))[t]) for i, t in enumerate(tokens))
            found.append((total / len(tokens) ** penalty, total, tokens))
    return sorted(found, reverse=True)


# --- against the whole space


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    V=st.integers(4, 6),
    limit=st.integers(1, 4),
    nbest=st.integers(1, 6),
    penalty=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    end=st.sampled_from([-3.0, 0.0]),
)
def test_a_beam_as_wide_as_the_space_is_exhaustive(seed, V, limit, nbest, penalty, end) -> None:
    logits = random_logits(seed, V, end)
    want = all_finished(logits, 5, V, limit, penalty)[:nbest]
    (found,) = run(Planted(logits), limit=limit, beam=200, nbest=nbest, length_penalty=penalty)
    finished = [h for h in found if h.finished]
    assert [h.tokens for h in finished] == [tokens for _, _, tokens in want]
    np.testing.assert_allclose([h.score for h in finished], [score for score, _, _ in want], atol=1e-5)
    np.testing.assert_allclose([h.log_probability for h in finished], [total for _, total, _ in want], atol=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_planted_answer_behind_a_poor_start_is_found_by_beam_and_missed_by_greedy(penalty: float) -> None:
    answer = (5, 6, 5, END)

    def logits(first: int, prefix: tuple[int, ...]) -> np.ndarray:
        out = np.zeros(7)
        out[END] = -9.0
        if prefix == ():
            out[4], out[5] = 5.0, 4.5  # 4 looks better than 5
        elif prefix == answer[: len(prefix)]:
            out[answer[len(prefix)]] = 12.0  # and after 5 everything is certain
        return out

    (greedy,) = run(Planted(logits), limit=6)
    assert greedy[0].tokens[0] == 4
    (found,) = run(Planted(logits), limit=6, beam=2, length_penalty=penalty)
    assert found[0].tokens == answer
    assert [(h.tokens, s) for h in found for s, _, t in all_finished(logits, 5, 7, 4, penalty)[:1]] == [
        (answer, pytest.approx(found[0].score, abs=1e-5))
    ]


# --- against a naive loop


def naive_greedy(logits, first: int, limit: int) -> tuple[tuple[int, ...], float]:
    tokens, total = (), 0.0
    while len(tokens) < limit and tokens[-1:] != (END,):
        row = log_softmax(logits(first, tokens))
        best = max((t for t in range(len(row)) if t not in (PAD, START)), key=lambda t: (row[t], -t))
        tokens, total = (*tokens, best), total + float(row[best])
    return tokens, total


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.lists(st.tuples(st.integers(3, 9), st.integers(1, 9)), min_size=1, max_size=6))
def test_beam_one_is_greedy_is_the_naive_loop(seed: int, sentences: list[tuple[int, int]]) -> None:
    logits = random_logits(seed, 8, -1.0)
    first, limits = [f for f, _ in sentences], np.array([l for _, l in sentences])
    found = run(Planted(logits), first, limits)
    source = np.zeros((len(first), 3), int)
    source[:, 0] = first
    general = beam_search(Planted(logits), source, np.full(len(first), 3), SearchConfig(), limits, LengthPenalty(1.0))
    for (h,), (other,), f, limit in zip(found, general, first, limits, strict=True):
        tokens, total = naive_greedy(logits, f, limit)
        assert h.tokens == other.tokens == tokens
        assert h.log_probability == pytest.approx(total, abs=1e-5)
        assert other.log_probability == pytest.approx(h.log_probability, abs=1e-9)
        assert h.score == pytest.approx(other.score) == h.log_probability / len(tokens)
        assert h.finished == other.finished == (tokens[-1] == END)
        np.testing.assert_array_equal(h.weights, other.weights)


# --- what comes out


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    sentences=st.lists(st.tuples(st.integers(3, 9), st.integers(1, 7), st.integers(1, 3)), min_size=1, max_size=5),
    beam=st.integers(1, 6),
    penalty=st.sampled_from([0.0, 1.0]),
    data=st.data(),
)
def test_hypotheses_are_ranked_distinct_and_carry_their_own_weights(seed, sentences, beam, penalty, data) -> None:
    nbest = data.draw(st.integers(1, beam))
    logits = random_logits(seed, 9, -1.0)
    first, limits, lengths = (list(column) for column in zip(*sentences, strict=True))
    options = {"beam": beam, "nbest": nbest, "length_penalty": penalty}
    found = run(Planted(logits), first, np.array(limits), lengths, **options)
    for own, f, limit, length in zip(found, first, limits, lengths, strict=True):
        assert 1 <= len(own) <= nbest
        assert [h.finished for h in own] == sorted((h.finished for h in own), reverse=True)
        for _, group in itertools.groupby(own, key=lambda h: h.finished):
            scores = [h.score for h in group]
            assert scores == sorted(scores, reverse=True)
        assert len({h.tokens for h in own}) == len(own)
        for h in own:
            assert h.finished == (h.tokens[-1] == END) and END not in h.tokens[:-1]
            assert not {PAD, START} & set(h.tokens)
            assert len(h.tokens) == limit if not h.finished else len(h.tokens) <= limit
            total = sum(float(log_softmax(logits(f, h.tokens[:i]))[t]) for i, t in enumerate(h.tokens))
            assert h.log_probability == pytest.approx(total, abs=1e-5)
            assert h.score == pytest.approx(h.log_probability / len(h.tokens) ** penalty)
            want = [Planted.weights(h.tokens[:i], length, length) for i in range(len(h.tokens))]
            np.testing.assert_allclose(h.weights, want, atol=1e-6)
        # alone, the sentence gives the same
        (alone,) = run(Planted(logits), [f], limit, [length], **options)
        assert [(h.tokens, h.log_probability) for h in alone] == [(h.tokens, h.log_probability) for h in own]


def test_pads_and_start_are_not_written_but_keep_their_probability() -> None:
    (found,) = run(Planted(lambda first, prefix: np.array([9.0, 9.0, 0.0, 1.0])), limit=2, beam=1)
    assert found[0].tokens == (UNK, UNK) and not found[0].finished
    assert found[0].log_probability == pytest.approx(2 * (1 - math.log(2 * math.exp(9) + 1 + math.e)), abs=1e-5)
    (found,) = run(Planted(lambda first, prefix: np.array([9.0, 9.0, 0.0, 1.0])), limit=2, beam=4, nbest=4)
    assert [h.tokens for h in found] == [(UNK, END), (END,), (UNK, UNK)]


def test_equals_go_to_the_lower_token() -> None:
    def flat(first: int, prefix: tuple[int, ...]) -> np.ndarray:
        out = np.zeros(300)
        out[END] = -1.0
        return out

    for beam in (1, 3):
        (found,) = run(Planted(flat), limit=3, beam=beam, nbest=beam)
        assert [h.tokens for h in found] == [(3, 3, 3 + i) for i in range(beam)]


def test_as_many_poor_endings_as_beams_do_not_end_the_search_while_a_better_hypothesis_goes_on() -> None:
    A, X, Y = 4, 5, 6

    def logits(first: int, prefix: tuple[int, ...]) -> np.ndarray:
        p = np.full(7, 1e-6)
        if prefix in ((), (A,)):  # END is among the best two, but a poor end
            p[[A, END, X, Y]] = 0.8, 0.1, 0.06, 0.04
        elif prefix == (A, A):
            p[[A, END]] = 0.98, 0.02
        else:
            p[[END, A]] = (0.98, 0.02) if prefix == (A, A, A) else (0.02, 0.98)
        return np.log(p / p.sum())

    (found,) = search(Planted(logits), np.array([[4, END]]), np.array([2]), SearchConfig(beam=2, nbest=2), np.array([9]))
    assert found[0].tokens == (A, A, A, END)
    assert found[0].log_probability == pytest.approx(np.log(0.8 * 0.8 * 0.98 * 0.98), abs=1e-4)


def test_at_the_limit_what_is_cut_only_fills_up_behind_what_ended() -> None:
    def logits(first: int, prefix: tuple[int, ...]) -> np.ndarray:
        return np.array([0, 0, 1.0 if prefix == () else -20, 2, 1.5])

    (one,) = run(Planted(logits), limit=3, beam=3)
    assert one[0].tokens == (END,)  # with a low score, but it ended
    (three,) = run(Planted(logits), limit=3, beam=3, nbest=3)
    assert [h.finished for h in three] == [True, False, False]
    assert three[1].score > three[0].score


def test_no_sentences_give_no_hypotheses() -> None:
    model = Planted(random_logits(1, 5))
    assert search(model, np.zeros((0, 0), int), np.zeros(0, int), SearchConfig(beam=2), np.zeros(0, int)) == []


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 1500), st.integers(1, 60), st.data())
def test_best_is_a_stable_sort(seed: int, rows: int, columns: int, different: int, data) -> None:
    values = np.random.default_rng(seed).integers(0, different, (rows, columns)).astype(np.float32)
    number = data.draw(st.integers(1, min(columns, 100)))
    np.testing.assert_array_equal(best(values, number), np.argsort(-values, axis=1, kind="stable")[:, :number])


def test_best_with_fewer_possible_than_asked_for() -> None:
    values = np.array([[-np.inf, -np.inf, 1.0, 2.0], [-np.inf, 0.0, -np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(best(values, 4), [[3, 2, 0, 1], [1, 0, 2, 3]])


# --- with the NumPy model


def small(attention: str = "general") -> NumpyModel:
    c = ModelConfig(attention=attention, embedding=8, hidden=12, score_size=6, readout_size=9, tie="none", layers=2)
    return NumpyModel(c, {name: 4 * a for name, a in random_parameters(c, 40, 30, 5).items()})


@pytest.mark.parametrize("attention", ["general", "concat", "none"])
@pytest.mark.parametrize("beam", [1, 2, 5])
def test_weights_and_log_probabilities_are_those_of_forced_decoding(attention: str, beam: int) -> None:
    model = small(attention)
    source, lengths, limits = sentences()
    found = search(model, source, lengths, SearchConfig(beam=beam, nbest=beam), limits)
    for own, s, n in zip(found, source, lengths, strict=True):
        for h in own:
            tokens = np.array([h.tokens])
            log_probabilities, weights = model.score(s[None, :n], np.array([n]), tokens, np.array([len(h.tokens)]))
            assert h.log_probability == pytest.approx(float(log_probabilities.sum(dtype=float)), abs=1e-4)
            if attention == "none":
                assert h.weights is None
            else:
                assert h.weights.shape == (len(h.tokens), n)
                np.testing.assert_allclose(h.weights, weights[0], atol=1e-5)
                np.testing.assert_allclose(h.weights.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("beam", [1, 4])
def test_the_batch_and_its_order_change_nothing(beam: int) -> None:
    model = small()
    source, lengths, limits = sentences(12)
    options = SearchConfig(beam=beam, nbest=beam)
    together = search(model, source, lengths, options, limits)
    order = np.random.default_rng(0).permutation(12)
    turned = search(model, source[order], lengths[order], options, limits[order])
    assert len({h.tokens for own in together for h in own}) > 8  # outputs differ, so that there is something to mix up
    for place, i in enumerate(order):
        (alone,) = search(model, source[i : i + 1, : lengths[i]], lengths[i : i + 1], options, limits[i : i + 1])
        for h, other, one in zip(together[i], turned[place], alone, strict=True):
            assert h.tokens == other.tokens == one.tokens
            assert h.log_probability == pytest.approx(other.log_probability, abs=1e-4)
            assert h.log_probability == pytest.approx(one.log_probability, abs=1e-4)
            np.testing.assert_allclose(h.weights, one.weights, atol=1e-5)
