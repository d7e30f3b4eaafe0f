"""Steps of a beam search for one sentence, in arrays without a batch axis: less bookkeeping, and faster products.

The formulas, cells and scores are those of `NumpyModel`, as in `jumok.runtime.single`.

Letters: K beams, S source positions, H hidden, R inner size of the readout, G gates of the cell, V target vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jumok.runtime.cells import CellState
from jumok.runtime.few import Few
from jumok.runtime.single import read

if TYPE_CHECKING:
    from jumok.runtime.model import NumpyModel

Array = np.ndarray


class Products:
    """The matrices that the beams of one sentence go through, ready for products with few rows."""

    def __init__(self, model: NumpyModel) -> None:
        self.w_ih = [Few(layer.w_ih[0]) for layer in model.decoder]
        self.w_hh = [Few(layer.w_hh[0]) for layer in model.decoder]
        self.w_feed = None if model.w_feed is None else Few(model.w_feed)
        self.w_h = None if model.w_h is None else Few(model.w_h)
        self.output = Few(model.output)


@dataclass(frozen=True, slots=True)
class Beams:
    """The state of a search for one sentence; None where a model has no such part.

    Attributes:
        layers: the state of each decoder layer, [K, H] each.
        keys: [S, ·] and values: [S, ·], as in `jumok.runtime.model.State`.
        real: [1, S], all True.
        position: steps done.
        fed: [K, R] what the readout's tanh made of the step before.
    """

    layers: tuple[CellState, ...]
    keys: Array | None
    values: Array | None
    real: Array
    position: int = 0
    fed: Array | None = None


def start(model: NumpyModel, source: Array) -> Any:
    """source int [S], END last -> the state with one beam."""
    if model.alignment == "monotonic":  # most of the time goes into the readout of each position
        return model.start(source[None], np.array([len(source)]))
    memory, last = read(model, source)
    keys = values = fed = None
    if model.attention:
        keys = model.attention.keys(np, model.score_parameters, memory)
        values = memory if model.w_c is None else memory @ model.w_c
    if model.w_feed is not None and model.w_h is not None:
        fed = np.zeros((1, model.w_h.shape[1]), np.float32)
    layers = tuple(tuple(part[None] for part in layer) for layer in last)
    return Beams(layers, keys, values, np.ones((1, len(source)), bool), fed=fed)


def step(model: NumpyModel, state: Any, parents: Array, tokens: Array) -> tuple[Any, Array, Array | None]:
    """One token further: see `jumok.decode.backend.OneSentence.step_one`."""
    if model.alignment == "monotonic":
        state, logits, weights = model.step(model.select(state, _FIRST, parents[None]), tokens[None])
        return state, logits[0], None if weights is None else weights[0]
    products = model.products
    x = model.target_rows(tokens[None])[0]
    if products.w_feed is not None:
        x += state.fed[parents] @ products.w_feed
    layers = []
    for l, before in enumerate(state.layers):
        if l > 0:
            x = x @ products.w_ih[l] + model.decoder[l].bias[0]
        reached = model.cell.step(x, tuple(part[parents] for part in before), products.w_hh[l])  # type: ignore[arg-type]
        layers.append(reached)
        x = reached[0]
    context = weights = None
    if model.attention:
        raw = model.attention.score(np, model.score_parameters, x, state.keys)
        if model.window:
            at = np.array([state.position])
            raw = raw + model.window.prior(np, model.window_parameters, x[None], state.real, at, model.window_size)[0]
        weights = np.exp(raw - np.maximum.reduce(raw, 1)[:, None])
        weights /= np.add.reduce(weights, 1)[:, None]
        context = weights @ state.values
    if products.w_h is None:
        features = x if context is None else np.concatenate([context, x], axis=1)
    else:
        features = x @ products.w_h
        if context is not None:
            features += context
        np.tanh(features, out=features)
    logits = features @ products.output
    logits += model.output_bias
    fed = None if state.fed is None else features
    return Beams(tuple(layers), state.keys, state.values, state.real, state.position + 1, fed), logits, weights


_FIRST = np.zeros(1, np.int64)
