"""One sentence, greedily, in arrays without a batch axis: what a program that translates a line at a time waits for.

The mathematics is `NumpyModel`'s, with its own cells and scores; what is left out are masks, orders and rows of a batch, whose
bookkeeping costs as much as the products where a product takes microseconds.

Letters: S source positions, D encoder directions, H hidden, h = H/D, G gates of the cell, V target vocabulary.
"""

from __future__ import annotations

import math

import numpy as np

from jumok.config import SearchConfig
from jumok.runtime.cells import CellState
from jumok.runtime.model import NumpyModel
from jumok.runtime.search import Hypothesis, search
from jumok.text.vocabulary import END, PAD, START

Array = np.ndarray

NEVER = (PAD, START)  # are not written, though their probability stays theirs


def greedy(model: NumpyModel, source: Array, limit: int, length_penalty: float) -> Hypothesis:
    """What `search` with a beam of 1 finds, up to rounding. source int [S], END last; limit: most tokens, END included."""
    if model.alignment == "monotonic":  # its work is in the products, which a batch axis does not make slower
        ((found,),) = search(
            model, source[None], np.array([len(source)]), SearchConfig(length_penalty=length_penalty), np.array([limit])
        )
        return found
    memory, state = _read(model, source)
    keys = values = everything = None
    if model.score:
        keys = model.score.keys(np, model.score_parameters, memory)
        values = memory if model.w_c is None else memory @ model.w_c
        everything = np.ones((1, len(source)), bool)
    written: list[int] = []
    attention: list[Array] = []
    token, total, features = START, 0.0, np.empty(0)
    while token != END and len(written) < limit:
        x = model.target_rows.row(token)
        if model.w_feed is not None and written:
            x = x + features @ model.w_feed
        for l, layer in enumerate(model.decoder):
            if l > 0:
                x = x @ layer.w_ih[0] + layer.bias[0, 0]
            state[l] = model.cell.step(x, state[l], layer.w_hh[0])
            x = state[l][0]
        context = None
        if model.score:
            raw = model.score.score(np, model.score_parameters, x[None], keys)[0]
            if model.window:
                step = np.array([len(written)])
                prior = model.window.prior(np, model.window_parameters, x[None, None], everything, step, model.window_size)
                raw = raw + prior[0, 0]
            weights = np.exp(raw - np.maximum.reduce(raw))
            weights /= np.add.reduce(weights)
            attention.append(weights)
            context = weights @ values
        features = _features(model, x, context)
        logits = features @ model.output
        logits += model.output_bias
        token = int(logits.argmax())
        highest = float(logits[token])
        normaliser = highest + math.log(np.add.reduce(np.exp(logits - logits[token])))
        if token in NEVER:
            logits[list(NEVER)] = -np.inf
            token = int(logits.argmax())
        total += float(logits[token]) - normaliser
        written.append(token)
    weights = np.stack(attention) if attention else None
    return Hypothesis(tuple(written), total, total / len(written) ** length_penalty, weights, token == END)


def _features(model: NumpyModel, h: Array, context: Array | None) -> Array:
    """What the output layer reads, from the state h [H] and the context."""
    if model.w_h is None:
        return h if context is None else np.concatenate([context, h])
    inner = h @ model.w_h
    if context is not None:
        inner += context
    return np.tanh(inner, out=inner)


def _read(model: NumpyModel, source: Array) -> tuple[Array, list[CellState]]:
    """The memory [S, H] and each layer's last state, [H] each."""
    S, D = len(source), len(model.encoder[0].w_hh)
    order = np.arange(S)
    if model.reverse:
        order[:-1] = order[-2::-1]  # as `NumpyModel._encode`: its own inverse
    x = model.source_rows(np.broadcast_to(source[order], (D, S)))  # [D, S, G·h]
    memory, states = np.empty(0), []
    for l, layer in enumerate(model.encoder):
        if l > 0:
            x = memory @ layer.w_ih + layer.bias
        size = layer.w_hh.shape[1]
        memory, last = np.empty((S, D * size), np.float32), []
        for d, w_hh in enumerate(layer.w_hh):
            state: CellState = (np.zeros(size, np.float32),) * model.cell.parts
            out = memory[:, d * size : (d + 1) * size]
            for s in range(S) if d == 0 else range(S - 1, -1, -1):
                state = model.cell.step(x[d, s], state, w_hh)
                out[s] = state[0]
            last.append(state)
        states.append(tuple(np.concatenate(parts) for parts in zip(*last, strict=True)))
    return (memory[order] if model.reverse else memory), states
