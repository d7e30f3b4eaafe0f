"""The NumPy model against the formulas of the paper, written out one number at a time; and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from random_models import (
    CASES,
    CHAIN_IDS,
    CHAINS,
    IDS,
    SOURCES,
    VS,
    V,
    config,
    padded,
    parameters,
    reference,
    sources,
)

from jumok.config import ModelConfig
from jumok.errors import FolderError
from jumok.runtime import model as module
from jumok.runtime.cells import CELLS
from jumok.runtime.model import NumpyModel
from jumok.runtime.parameters import check, random_parameters, shapes
from jumok.text.vocabulary import END, PAD, START

TARGETS = [[4, 5, END], [18, END], [9, 9, 9, 9, END], [END], [17, 3, END]]


# --- the reference: one sentence, one step, float64


# --- against the reference


@pytest.mark.parametrize("c", CASES, ids=IDS)
def test_steps_follow_the_formulas_for_every_sentence_of_a_batch(c: ModelConfig) -> None:
    p = parameters(c)
    source, lengths = padded(sources(c))
    target, target_lengths = padded(TARGETS)
    model = NumpyModel(c, p)
    state, tokens = model.start(source, lengths), np.full((len(source), 1), START)
    for t in range(target.shape[1]):
        state, logits, weights = model.step(state, tokens)
        assert logits.dtype == np.float32 and (weights is None) == (c.attention == "none")
        for b, (s, y) in enumerate(zip(sources(c), TARGETS, strict=True)):
            if t < target_lengths[b]:
                want, want_weights = reference(c, p, s, y)
                np.testing.assert_allclose(logits[b, 0], want[t], atol=2e-5)
                if weights is not None and want_weights is not None:
                    assert weights.dtype == np.float32
                    np.testing.assert_allclose(weights[b, 0, : len(s)], want_weights[t], atol=1e-5)
                    assert (weights[b, 0, len(s) :] == 0).all()
        tokens = target[:, t : t + 1]


@pytest.mark.parametrize("c", CASES, ids=IDS)
def test_score_follows_the_formulas(c: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCORED_ROWS", 4)  # so that these few positions take several rounds
    p = parameters(c)
    found, weights = NumpyModel(c, p).score(*padded(sources(c)), *padded(TARGETS))
    for b, (s, y) in enumerate(zip(sources(c), TARGETS, strict=True)):
        logits, want = reference(c, p, s, y)
        log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        np.testing.assert_allclose(found[b, : len(y)], log_probabilities[np.arange(len(y)), y], atol=2e-5)
        assert (found[b, len(y) :] == 0).all()
        assert (weights is None) == (want is None)
        if weights is not None and want is not None:
            np.testing.assert_allclose(weights[b, : len(y), : len(s)], want, atol=1e-5)
            assert (weights[b, len(y) :] == 0).all() and (weights[b, :, len(s) :] == 0).all()


# --- what results must not depend on


@pytest.mark.parametrize("c", CASES + CHAINS, ids=IDS + CHAIN_IDS)
def test_pads_are_never_read(c: ModelConfig) -> None:
    model = NumpyModel(c, parameters(c))
    tokens = np.full((len(SOURCES), 1), START)
    results = []
    for pad, extra in ((PAD, 0), (11, 0), (12, 3)):
        source, lengths = padded(sources(c), pad, extra)
        results.append(model.step(model.start(source, lengths), tokens)[1])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_allclose(results[0], results[2], atol=1e-6)


@pytest.mark.parametrize("c", CASES + CHAINS, ids=IDS + CHAIN_IDS)
def test_batch_mates_and_their_order_do_not_matter(c: ModelConfig) -> None:
    model = NumpyModel(c, parameters(c))
    own, tokens = sources(c), np.full((len(SOURCES), 1), START)
    together = model.step(model.start(*padded(own)), tokens)[1]
    turned = model.step(model.start(*padded(own[::-1])), tokens)[1][::-1]
    alone = [model.step(model.start(*padded([s])), np.array([[START]]))[1][0] for s in own]
    np.testing.assert_allclose(together, turned, atol=1e-6)
    np.testing.assert_allclose(together, np.array(alone), atol=1e-6)


def test_what_was_asked_before_cannot_be_observed() -> None:
    c = config(embedding=33, hidden=64)
    p = random_parameters(c, 100, 100, 1)
    fresh, used = NumpyModel(c, p), NumpyModel(c, p)
    generator = np.random.default_rng(0)
    for _ in range(5):
        state = used.start(generator.integers(3, 100, (4, 3)), np.array([3, 3, 3, 3]))
        used.step(state, generator.integers(3, 100, (4, 1)))
    source, lengths, token = np.array([[50, 3, 99, END]]), np.array([4]), np.array([[77]])
    np.testing.assert_array_equal(
        fresh.step(fresh.start(source, lengths), token)[1], used.step(used.start(source, lengths), token)[1]
    )


def test_a_vocabulary_too_large_for_a_table_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    c = config(layers=2)
    p = parameters(c)
    with_table = NumpyModel(c, p).score(*padded(SOURCES), *padded(TARGETS))
    monkeypatch.setattr(module, "TABLE_BYTES", 0)
    without = NumpyModel(c, p)
    assert without.source_rows.table is None
    found = without.score(*padded(SOURCES), *padded(TARGETS))
    np.testing.assert_allclose(found[0], with_table[0], atol=1e-5)
    _, logits, _ = without.step(without.start(*padded(SOURCES)), np.full((5, 1), START))
    np.testing.assert_allclose(logits[0, 0], reference(c, p, SOURCES[0], TARGETS[0])[0][0], atol=2e-5)


# --- the protocol


def test_a_state_can_be_used_twice() -> None:
    model = NumpyModel(config(layers=2), parameters(config(layers=2)))
    start = model.start(*padded(SOURCES))
    tokens = np.full((5, 1), START)
    middle, first, _ = model.step(start, tokens)
    first = first.copy()
    model.step(middle, tokens)
    np.testing.assert_array_equal(model.step(start, tokens)[1], first)


@pytest.mark.parametrize("c", CASES, ids=IDS)
def test_select_keeps_sentences_and_reorders_beams(c: ModelConfig) -> None:
    model = NumpyModel(c, parameters(c))
    own = sources(c)
    state, _, _ = model.step(model.start(*padded(own)), np.full((5, 1), START))
    state = model.select(state, np.arange(5), np.zeros((5, 3), int))  # three beams, all alike
    tokens = np.array([[4, 5, 6]] * 5)
    state, logits, _ = model.step(state, tokens)
    chosen, parents = np.array([0, 3, 4]), np.array([[2, 0], [1, 1], [0, 2]])
    state = model.select(state, chosen, parents)
    _, logits, weights = model.step(state, np.full((3, 2), 9))
    for row, b in enumerate(chosen):
        for k in range(2):
            before = int(tokens[b, parents[row, k]])
            want, want_weights = reference(c, parameters(c), own[b], [before, 9, END])  # reads START, before, 9
            np.testing.assert_allclose(logits[row, k], want[2], atol=2e-5)
            if weights is not None and want_weights is not None:
                np.testing.assert_allclose(weights[row, k, : len(own[b])], want_weights[2], atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_huge_weights_do_not_overflow(cell: str) -> None:
    c = config(attention="concat", cell=cell)
    model = NumpyModel(c, parameters(c, scale=1e4))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found, _ = model.score(*padded(SOURCES), *padded(TARGETS))
        _, logits, _ = model.step(model.start(*padded(SOURCES)), np.full((5, 1), START))
    assert not np.isnan(found).any() and np.isfinite(logits).all()


# --- the arrays of a model


def test_shapes_of_a_small_model() -> None:
    assert shapes(config(attention="concat"), VS, V) == {
        "source.embedding": (21, 5),
        "target.embedding": (19, 5),
        "encoder.0.forward.w_ih": (12, 5),
        "encoder.0.forward.w_hh": (12, 3),
        "encoder.0.forward.bias": (12,),
        "encoder.0.backward.w_ih": (12, 5),
        "encoder.0.backward.w_hh": (12, 3),
        "encoder.0.backward.bias": (12,),
        "decoder.0.w_ih": (24, 5),
        "decoder.0.w_hh": (24, 6),
        "decoder.0.bias": (24,),
        "attention.W_q": (4, 6),
        "attention.W_m": (4, 6),
        "attention.v": (4,),
        "readout.w_h": (7, 6),
        "readout.w_c": (7, 6),
        "readout.output": (19, 7),
        "readout.bias": (19,),
    }


def test_shapes_follow_readout_ties_and_layers() -> None:
    assert shapes(config(readout="linear"), VS, V)["readout.output"] == (V, 12)
    assert shapes(config(readout="linear", attention="none"), VS, V)["readout.output"] == (V, 6)
    assert "readout.w_c" not in shapes(config(attention="none"), VS, V)
    assert "readout.output" not in shapes(config(tie="target", readout_size=5), VS, V)
    assert "source.embedding" not in shapes(config(tie="all", readout_size=5), V, V)
    assert shapes(config(layers=2), VS, V)["encoder.1.backward.w_ih"] == (12, 6)
    assert shapes(config(attention="location"), VS, V)["attention.W_a"] == (4, 6)
    assert shapes(config(window="local-p"), VS, V)["window.W_p"] == (4, 6)
    assert not any(name.startswith("window.") for name in shapes(config(window="local-m"), VS, V))
    assert shapes(config(input_feeding=True), VS, V)["decoder.0.w_feed"] == (24, 7)
    assert shapes(config(input_feeding=True, layers=2), VS, V)["decoder.0.w_ih"] == (24, 5)
    assert shapes(config(cell="gru"), VS, V)["decoder.0.w_hh"] == (18, 6)
    assert shapes(config(cell="rnn"), VS, V)["encoder.0.forward.bias"] == (3,)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: p.pop("decoder.0.w_hh"), r"decoder\.0\.w_hh is missing; wanted one of shape \[24, 6\]"),
        (lambda p: p.update({"readout.bias": np.zeros(7, np.float32)}), r"readout\.bias has shape \[7\].* want \[19\]"),
        (lambda p: p.update({"readout.bias": np.zeros(19)}), r"readout\.bias is float64; wanted float32"),
        (lambda p: p["readout.bias"].fill(np.nan), r"readout\.bias holds numbers that are not finite"),
        (lambda p: p.update(extra=np.zeros(1, np.float32)), r"the array extra is not part of this model"),
    ],
)
def test_arrays_that_do_not_fit_are_named(change, says: str) -> None:
    p = parameters(config())
    check(p, config(), VS, V)
    change(p)
    with pytest.raises(FolderError, match=says):
        check(p, config(), VS, V, "here")
