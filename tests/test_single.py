"""The path for one sentence writes what the search for many writes, for every model there is."""

from __future__ import annotations

import numpy as np
import pytest
from test_runtime_model import CASES, CHAIN_IDS, CHAINS, IDS, V, parameters, sources

from jumok.config import ModelConfig, SearchConfig
from jumok.runtime.model import NumpyModel
from jumok.runtime.search import search
from jumok.runtime.single import greedy
from jumok.text.vocabulary import PAD, START


@pytest.mark.parametrize("c", CASES + CHAINS, ids=IDS + CHAIN_IDS)
def test_one_sentence_is_written_as_in_a_batch(c: ModelConfig) -> None:
    p = parameters(c)
    model = NumpyModel(c, p)
    for source in sources(c):
        ids = np.array(source)
        (expected,) = search(model, ids[None], np.array([len(ids)]), SearchConfig(), np.array([9]))
        found = greedy(model, ids, 9, 1.0)
        assert found.tokens == expected[0].tokens
        assert found.finished == expected[0].finished
        assert found.log_probability == pytest.approx(expected[0].log_probability, rel=1e-5, abs=1e-5)
        assert found.score == pytest.approx(expected[0].score, rel=1e-5, abs=1e-5)
        if expected[0].weights is None:
            assert found.weights is None
        else:
            np.testing.assert_allclose(found.weights, expected[0].weights, atol=2e-6)
        assert not {PAD, START} & set(found.tokens)


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
            found = greedy(NumpyModel(c, p), np.array(source), 9, 1.0)
            lengths.add(len(found.tokens))
            finished.add(found.finished)
    assert len(lengths) >= 4 and finished == {True, False}
