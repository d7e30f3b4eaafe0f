"""Beam search for one sentence finds what beam search for many finds, with every model, rule, choice and ranking."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, random_logits
from random_models import CASES, CHAIN_IDS, CHAINS, IDS, parameters, sources

from jumok.config import ModelConfig, SearchConfig
from jumok.decode.alone import continuations
from jumok.decode.choice import best_continuations
from jumok.decode.hypotheses import Hypothesis, Past
from jumok.decode.policy import PLAIN, Policy
from jumok.decode.rules import RULES
from jumok.decode.search import beam, search_one
from jumok.runtime import few
from jumok.runtime.few import Few
from jumok.runtime.model import NumpyModel
from jumok.text.vocabulary import END


def both(
    model, source: np.ndarray, options: SearchConfig, limit: int, policy: Policy = PLAIN
) -> tuple[list[Hypothesis], list[Hypothesis]]:
    """What the search for many finds, and what the search for one finds."""
    lengths, limits = np.full(2, len(source)), np.full(2, limit)
    expected, again = beam(model, np.stack([source, source]), lengths, options, limits, policy)
    assert [h.tokens for h in expected] == [h.tokens for h in again]
    return expected, search_one(model, source, options, limit, policy)


def check(expected: list[Hypothesis], found: list[Hypothesis], near: float = 0.0, weights: float = 0.0) -> None:
    """The same tokens; log-probabilities as near a token, and weights, as said."""
    assert [(h.tokens, h.finished) for h in found] == [(h.tokens, h.finished) for h in expected]
    for h, other in zip(found, expected, strict=True):
        assert abs(h.log_probability - other.log_probability) <= near * len(h.tokens)
        assert abs(h.score - other.score) <= near * len(h.tokens)
        np.testing.assert_allclose(h.token_log_probabilities, other.token_log_probabilities, rtol=0, atol=2 * near)
        assert (h.weights is None) == (other.weights is None)
        if h.weights is not None and other.weights is not None:
            assert h.weights.dtype == np.float32
            np.testing.assert_allclose(h.weights, other.weights, atol=weights)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    V=st.sampled_from([4, 6, 9, 300]),
    limit=st.integers(1, 7),
    width=st.integers(2, 6),
    penalty=st.sampled_from([0.0, 1.0, 2.0]),
    end=st.sampled_from([-3.0, 0.0, 3.0]),
    data=st.data(),
)
def test_a_planted_model_gives_the_same_to_the_bit(seed, V, limit, width, penalty, end, data) -> None:
    options = SearchConfig(beam=width, nbest=data.draw(st.integers(1, width)), length_penalty=penalty)
    check(*both(Planted(random_logits(seed, V, end)), np.array([5, 6, 7]), options, limit))


@pytest.mark.parametrize("c", CASES + CHAINS, ids=IDS + CHAIN_IDS)
def test_every_kind_of_model(c: ModelConfig) -> None:
    model = NumpyModel(c, parameters(c))
    for source in sources(c):
        for width in (2, 5):
            check(*both(model, np.array(source), SearchConfig(beam=width, nbest=2), 9), near=1e-5, weights=5e-5)


def test_a_model_whose_products_go_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few, "COLUMNS", 4)
    monkeypatch.setattr(few, "CELLS", 6 * 12 * 4)
    for c in CASES[:8]:
        model = NumpyModel(c, parameters(c))
        for source in sources(c):
            check(*both(model, np.array(source), SearchConfig(beam=4), 9), near=1e-5, weights=5e-5)
        assert model.products.w_hh[-1]._blocks is not None


# --- rules, choices, rankings


@dataclass(frozen=True)
class Once:
    """No token twice; asks for what the rows have written."""

    def __call__(self, past: Past, logits: np.ndarray) -> np.ndarray:
        for row, written in zip(logits, past.tokens(), strict=True):
            row[[t for t in written if t != END]] = -np.inf
        return logits


@dataclass(frozen=True)
class Looking:
    """Prefers outputs that look at the first position; so it needs the weights of every step, also of the last."""

    def score(self, total, length, attention) -> float:
        weights = attention()
        assert weights.shape[0] == length
        return total / length + 3 * float(weights[:, 0].mean())

    def bound(self, total, length):
        return total / length + 3


def least(past: Past, logits: np.ndarray, bases: np.ndarray, number: int):
    """Only continuations of the best beam; weights of the past are asked for."""
    assert past.tokens().shape == (logits[..., 0].size, len(past.trail))
    assert past.trail == [] or past.weights().shape == (logits[..., 0].size, len(past.trail), 3)
    logits[:, 1:] = -np.inf
    return best_continuations(past, logits, bases, number)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), width=st.integers(2, 5), end=st.sampled_from([-3.0, 0.0]), data=st.data())
def test_rules_choices_and_rankings_count_as_in_a_batch(seed, width, end, data) -> None:
    policy = Policy(
        data.draw(st.sampled_from([None, Looking()])),
        data.draw(st.sampled_from([RULES, (*RULES, Once())])),
        candidates=data.draw(st.sampled_from([best_continuations, least])),
    )
    options = SearchConfig(beam=width, nbest=data.draw(st.integers(1, width)))
    expected, found = both(Planted(random_logits(seed, 8, end)), np.array([5, 6, 7]), options, 7, policy)
    check(expected, found)


def test_where_nothing_may_be_written_there_is_nothing() -> None:
    def nothing(past: Past, logits: np.ndarray) -> np.ndarray:
        logits[:] = -np.inf
        return logits

    expected, found = both(Planted(random_logits(1, 8)), np.array([5, 6]), SearchConfig(beam=3), 5, Policy(rules=(nothing,)))
    assert expected == found == []


# --- its parts


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    K=st.integers(1, 6),
    V=st.integers(1, 700),
    different=st.sampled_from([1, 3, 1000]),
    number=st.integers(1, 12),
    barred=st.sampled_from([0.0, 0.5, 0.99]),
)
def test_continuations_are_those_of_a_batch(seed, K, V, different, number, barred) -> None:
    random = np.random.default_rng(seed)
    logits = random.integers(0, different, (K, V)).astype(np.float32) / 7
    logits[random.random((K, V)) < barred] = -np.inf
    bases = -random.integers(0, 3, K) * random.random()
    expected = zip(*(a[0].tolist() for a in best_continuations(None, logits[None], bases[None], number)), strict=True)  # type: ignore[arg-type]
    found = continuations(logits, bases, number)
    assert [one for one in found if one[2] > -np.inf] == [one for one in expected if one[2] > -np.inf]


@pytest.mark.parametrize(("K", "I", "O"), [(1, 30, 200), (2, 7, 128), (5, 40, 131), (5, 2000, 150), (16, 9, 600), (17, 9, 600)])
def test_products_with_few_rows(K: int, I: int, O: int) -> None:
    random = np.random.default_rng(1)
    x, w = random.normal(size=(K, I)).astype(np.float32), random.normal(size=(I, O)).astype(np.float32)
    for order in (w, np.asfortranarray(w)):
        np.testing.assert_allclose(x @ Few(order), x @ w, rtol=1e-4, atol=1e-4)


def test_the_copy_that_products_use_does_not_travel() -> None:
    w = Few(np.asfortranarray(np.ones((9, 256), np.float32)))
    x = np.ones((3, 9), np.float32)
    np.testing.assert_array_equal(x @ w, 9)
    assert w._blocks is not None
    again = pickle.loads(pickle.dumps(w))
    assert again._blocks is None
    np.testing.assert_array_equal(x @ again, 9)
