"""The path for one sentence writes what the search for many writes, for every model there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import CASES, CHAIN_IDS, CHAINS, IDS, V, padded, parameters, reference, sources

from jumok.config import ModelConfig, SearchConfig
from jumok.decode.hypotheses import Hypothesis
from jumok.decode.rules import NEVER
from jumok.decode.search import search, search_one
from jumok.runtime.model import NumpyModel
from jumok.text.vocabulary import PAD, START


def alone(model: NumpyModel, source: np.ndarray, limit: int) -> Hypothesis:
    """What the sentence's own path finds."""
    (found,) = search_one(model, source, SearchConfig(), limit)
    return found


@pytest.mark.parametrize("c", CASES + CHAINS, ids=IDS + CHAIN_IDS)
def test_one_sentence_is_written_as_in_a_batch(c: ModelConfig) -> None:
    p = parameters(c)
    model = NumpyModel(c, p)
    for source in sources(c):
        ids = np.array(source)
        (expected,) = search(model, ids[None], np.array([len(ids)]), SearchConfig(), np.array([9]))
        found = alone(model, ids, 9)
        assert found.tokens == expected[0].tokens
        assert found.finished == expected[0].finished
        assert found.log_probability == pytest.approx(expected[0].log_probability, rel=1e-5, abs=1e-5)
        assert found.score == pytest.approx(expected[0].score, rel=1e-5, abs=1e-5)
        if expected[0].weights is None:
            assert found.weights is None
        else:
            np.testing.assert_allclose(found.weights, expected[0].weights, atol=2e-6)
        assert not {PAD, START} & set(found.tokens)


@settings(max_examples=60)
@given(st.sampled_from(CASES), st.integers(0, 10**6), st.sampled_from([1.0, 2.5, 6.0]), st.integers(1, 20))
def test_a_batch_of_many_writes_the_same_and_its_numbers_are_as_near_as_promised(c, seed, scale, limit) -> None:
    """The bounds are those of `single.greedy`'s docstring."""
    model = NumpyModel(c, parameters(c, seed, scale))
    source, lengths = padded(sources(c))
    together = search(model, source, lengths, SearchConfig(), np.full(len(lengths), limit))
    for ids, (expected,) in zip(sources(c), together, strict=True):
        found = alone(model, np.array(ids), limit)
        assert (found.tokens, found.finished) == (expected.tokens, expected.finished)
        most, most_of_weights = (1e-5, 5e-5) if scale < 6 else (1e-4, 5e-4)
        assert abs(found.log_probability - expected.log_probability) <= most * len(found.tokens)
        if found.weights is not None:
            np.testing.assert_allclose(found.weights, expected.weights, atol=most_of_weights)


@pytest.mark.parametrize("c", CASES, ids=IDS)
def test_one_sentence_follows_the_formulas(c: ModelConfig) -> None:
    """Against the formulas in float64, one number at a time: each token is the likeliest that may be written."""
    p = parameters(c)
    for source in sources(c):
        tokens, each, weights = NumpyModel(c, p).one(np.array(source), 5, NEVER)
        logits, wanted = reference(c, p, source, tokens)
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        np.testing.assert_allclose(each, logs[np.arange(len(tokens)), tokens], atol=1e-4)
        logs[:, list(NEVER)] = -np.inf
        assert logs.argmax(1).tolist() == tokens
        if wanted is not None:
            np.testing.assert_allclose(weights, wanted, atol=1e-5)


def test_what_may_not_be_written_is_not() -> None:
    c = CASES[0]
    model = NumpyModel(c, parameters(c))
    for source in sources(c):
        free, _, _ = model.one(np.array(source), 9, ())
        without, each, _ = model.one(np.array(source), 9, (free[0],))
        assert free[0] not in without
        logs, _ = model.score(*padded([source]), *padded([without]))
        np.testing.assert_allclose(each, logs[0], atol=1e-4)  # probabilities stay what they were


def test_a_table_too_large_to_keep_gives_the_same_row(monkeypatch: pytest.MonkeyPatch) -> None:
    c = CASES[0]
    kept = NumpyModel(c, parameters(c))
    monkeypatch.setattr("jumok.runtime.model.TABLE_BYTES", 0)
    fresh = NumpyModel(c, parameters(c))
    assert fresh.target_rows.table is None
    for token in (0, 17, V - 1):  # the last block of a table is a short one
        np.testing.assert_allclose(fresh.target_rows.row(token), kept.target_rows.row(token), atol=1e-6)


def test_outputs_of_several_lengths_are_among_those_compared() -> None:
    """The comparison above would mean little if every output were cut at the limit or ended at once."""
    lengths, finished = set(), set()
    for c in CASES:
        p = parameters(c)
        for source in sources(c):
            found = alone(NumpyModel(c, p), np.array(source), 9)
            lengths.add(len(found.tokens))
            finished.add(found.finished)
    assert len(lengths) >= 4 and finished == {True, False}
