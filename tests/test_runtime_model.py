"""The NumPy model against the formulas of the paper, written out one number at a time; and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from jumok.config import ModelConfig
from jumok.errors import FolderError
from jumok.runtime import model as module
from jumok.runtime.cells import CELLS
from jumok.runtime.model import NumpyModel
from jumok.runtime.parameters import check, random_parameters, shapes
from jumok.scores import ATTENTIONS
from jumok.text.vocabulary import END, PAD, START
from jumok.windows import WINDOWS

VS, V = 21, 19  # entries of the vocabularies
SOURCES = [[7, 4, 9, 20, END], [5, END], [END], [6, 6, 8, END], [4, 5, 6, 7, 8, END]]
TARGETS = [[4, 5, END], [18, END], [9, 9, 9, 9, END], [END], [17, 3, END]]


def config(**changes: object) -> ModelConfig:
    values = {
        "attention": "general",
        "embedding": 5,
        "hidden": 6,
        "score_size": 4,
        "location_length": 4,
        "readout_size": 7,
        "tie": "none",
    }
    return ModelConfig(**(values | changes))  # type: ignore[arg-type]


CASES = [
    config(attention=a, readout=r, layers=l, bidirectional=b)
    for a in ATTENTIONS
    for r in ("tanh", "linear")
    for l, b in ((1, True), (2, False), (3, True))
] + [config(tie=tie, readout_size=5, attention=a) for tie in ("target", "all") for a in ("dot", "none")]
CASES += [config(cell=cell, layers=l, bidirectional=b) for cell in CELLS if cell != "lstm" for l, b in ((1, True), (2, False))]
CASES += [config(reverse_source=True, bidirectional=b, attention=a) for b in (True, False) for a in ("concat", "none")]
CASES += [config(window=w, window_size=D, attention=a) for w in WINDOWS for D in (1, 2) for a in ("dot", "concat")]
CASES += [config(input_feeding=True, attention=a, layers=l) for a in ATTENTIONS if a != "none" for l in (1, 2)]
CASES += [config(input_feeding=True, cell=cell) for cell in CELLS if cell != "lstm"]
CASES += [config(input_feeding=True, window=w, window_size=2) for w in WINDOWS]
CASES += [config(input_feeding=True, tie="all", readout_size=5, reverse_source=True)]
# against all alignments written out, in test_monotonic.py; here, what they must not depend on
CHAINS = [config(alignment="monotonic", attention=a) for a in ATTENTIONS if a != "none"]
CHAINS += [config(alignment="monotonic", readout="linear", layers=2), config(alignment="monotonic", tie="all", readout_size=5)]
CHAIN_IDS = [f"monotonic-{c.attention}-{c.readout}-{c.tie}" for c in CHAINS]
IDS = [
    f"{c.attention}-{c.readout}-{c.layers}-{'both' if c.bidirectional else 'one'}-{c.tie}-{c.cell}{'-reversed' * c.reverse_source}"
    f"-{c.window}{c.window_size}{'-fed' * c.input_feeding}"
    for c in CASES
]


def parameters(c: ModelConfig, seed: int = 3, scale: float = 2.5) -> dict[str, np.ndarray]:
    """Large enough for tanh and σ to bend."""
    vs = V if c.tie == "all" else VS
    return {name: a * np.float32(scale) for name, a in random_parameters(c, vs, V, seed).items()}


def padded(lists: list[list[int]], pad: int = PAD, extra: int = 0) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(l) for l in lists])
    out = np.full((len(lists), lengths.max() + extra), pad)
    for row, ids in zip(out, lists, strict=True):
        row[: len(ids)] = ids
    return out, lengths


def sources(c: ModelConfig) -> list[list[int]]:
    return [[min(i, V - 1) for i in s] for s in SOURCES] if c.tie == "all" else SOURCES


# --- the reference: one sentence, one step, float64


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def one_step(cell: str, w: np.ndarray, u: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """w = W x + b and u = U h, all gates -> h, c (left as it is but by an LSTM), as the papers have them."""
    if cell == "lstm":
        i, f, g, o = np.split(w + u, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    if cell == "gru":
        (w_r, w_z, w_n), (u_r, u_z, u_n) = np.split(w, 3), np.split(u, 3)
        r, z = sigmoid(w_r + u_r), sigmoid(w_z + u_z)
        return (1 - z) * np.tanh(w_n + r * u_n) + z * h, c
    if cell == "rnn":
        return np.tanh(w + u), c
    raise NotImplementedError(f"write cell {cell!r} here as its paper has it")


def layer(cell: str, p: dict, name: str, inputs: list, h: np.ndarray, c: np.ndarray) -> tuple[list, np.ndarray, np.ndarray]:
    outputs = []
    for x in inputs:
        h, c = one_step(cell, p[f"{name}.w_ih"] @ x + p[f"{name}.bias"], p[f"{name}.w_hh"] @ h, h, c)
        outputs.append(h)
    return outputs, h, c


def one_score(c: ModelConfig, p: dict, h: np.ndarray, m: np.ndarray, s: int) -> float:
    if c.attention == "dot":
        return h @ m
    if c.attention == "general":
        return h @ (p["attention.W_a"] @ m)
    if c.attention == "location":
        return p["attention.W_a"][s] @ h if s < c.location_length else -np.inf
    return p["attention.v"] @ np.tanh(p["attention.W_q"] @ h + p["attention.W_m"] @ m)


def factor(c: ModelConfig, p: dict, h: np.ndarray, t: int, s: int, n: int) -> float:
    """What the window multiplies e to the score with, for position s of n at step t."""
    D = c.window_size
    if c.window == "local-m":
        return float(t - D <= s <= t + D or (s == n - 1 and t - D > n - 1))
    if c.window == "local-p":
        distance = s - n * sigmoid(p["window.v_p"] @ np.tanh(p["window.W_p"] @ h))
        return np.exp(-(distance**2) / (2 * (D / 2) ** 2)) if abs(distance) <= D else 0.0
    assert c.window == "none", f"write window {c.window!r} here as its paper has it"
    return 1.0


def reference(c: ModelConfig, arrays: dict, source: list[int], target: list[int]) -> tuple[np.ndarray, np.ndarray | None]:
    """Logits [T, V] and weights [T, S] when the decoder reads START and the target but its last token."""
    p = {name: a.astype(np.float64) for name, a in arrays.items()}
    if c.reverse_source:
        source = [*source[-2::-1], source[-1]]  # END stays last
    H, layer_inputs, starts = c.hidden, [p.get("source.embedding", p["target.embedding"])[i] for i in source], []
    for l in range(c.layers):
        zero = np.zeros(H // 2 if c.bidirectional else H)
        memory, h, cell = layer(c.cell, p, f"encoder.{l}.forward", layer_inputs, zero, zero)
        if c.bidirectional:
            backward, h2, cell2 = layer(c.cell, p, f"encoder.{l}.backward", layer_inputs[::-1], zero, zero)
            memory = [np.concatenate(pair) for pair in zip(memory, backward[::-1], strict=True)]
            h, cell = np.concatenate([h, h2]), np.concatenate([cell, cell2])
        starts.append((h, cell))
        layer_inputs = memory
    if c.reverse_source:
        memory = [*memory[-2::-1], memory[-1]]
    output = p["readout.output"] if "readout.output" in p else p["target.embedding"]
    logits, rows, fed = [], [], np.zeros(c.readout_size)
    for t, token in enumerate([START, *target[:-1]]):
        h = p["target.embedding"][token]
        for l, state in enumerate(starts):
            w = p[f"decoder.{l}.w_ih"] @ h + p[f"decoder.{l}.bias"]
            if l == 0 and c.input_feeding:
                w = w + p["decoder.0.w_feed"] @ fed
            starts[l] = one_step(c.cell, w, p[f"decoder.{l}.w_hh"] @ state[0], *state)
            h = starts[l][0]
        r, read = p["readout.w_h"] @ h if c.readout == "tanh" else 0, h
        if c.attention != "none":
            e = np.exp([one_score(c, p, h, m, s) for s, m in enumerate(memory)])
            e *= [factor(c, p, h, t, s, len(memory)) for s in range(len(memory))]
            rows.append(e / e.sum())
            context = sum(a * m for a, m in zip(rows[-1], memory, strict=True))
            r, read = r + p["readout.w_c"] @ context if c.readout == "tanh" else 0, np.concatenate([context, h])
        fed = np.tanh(r)
        logits.append(output @ (np.tanh(r) if c.readout == "tanh" else read) + p["readout.bias"])
    return np.array(logits), np.array(rows) if rows else None


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
