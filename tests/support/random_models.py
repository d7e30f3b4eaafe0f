"""Every kind of model with random weights, and its formulas written out, for tests of the runtime and of decoding."""

from __future__ import annotations

import numpy as np

from jumok.config import ModelConfig
from jumok.runtime.cells import CELLS
from jumok.runtime.parameters import random_parameters
from jumok.scores import ATTENTIONS
from jumok.text.vocabulary import END, PAD, START
from jumok.windows import WINDOWS

VS, V = 21, 19  # entries of the vocabularies


SOURCES = [[7, 4, 9, 20, END], [5, END], [END], [6, 6, 8, END], [4, 5, 6, 7, 8, END]]


def config(**changes: object) -> ModelConfig:
    values = {
        "attention": "general",
        "embedding": 5,
        "hidden": 6,
        "layers": 1,
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
# against all alignments written out, in test_monotonic.py; elsewhere, what they must not depend on
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
