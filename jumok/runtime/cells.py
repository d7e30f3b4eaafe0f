"""Recurrent cells in NumPy: one step of each cell, the order of its gates, and a layer that runs over padded sentences.

To add a cell, write its `arrange` and its `step` below and give it a line in `CELLS` (and in `jumok/net/cells.py`), where the
tests find it.

Letters: S source positions, D directions side by side (1 or 2), B sentences, N rows, I input, h size of one direction,
G gates of the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
CellState = tuple[Array, ...]  # h, and c where the cell is an LSTM; [..., h] each


@dataclass(frozen=True)
class Cell:
    """One recurrent cell.

    Attributes:
        gates: G, blocks of h rows in its weights.
        parts: arrays in its state, h first.
        arrange: weights or bias [..., G·h], gates in the order of the model folder -> in the order of `step`, contiguous.
        step: (x [..., G·h] (input times its weights, plus bias), state [..., h] each, w_hh [..., h, G·h]) -> state, fresh.
        title: its name for people.
        formula, source: for docs and `jumok info`.
    """

    gates: int
    parts: int
    arrange: Callable[[Array], Array]
    step: Callable[[Array, CellState, Array], CellState]
    title: str
    formula: str
    source: str


def _lstm_gates(w: Array) -> Array:
    """Puts the gates in the order i, f, o, g, and halves the first three for the σ of `_lstm_step`."""
    i, f, g, o = np.split(w, 4, axis=-1)
    return np.concatenate([i / 2, f / 2, o / 2, g], axis=-1)


def _lstm_step(x: Array, state: CellState, w_hh: Array) -> CellState:
    """One tanh serves all four gates, since σ(x) = tanh(x/2)/2 + 1/2; it cannot overflow."""
    h, c = state
    size = c.shape[-1]
    gates = h @ w_hh
    gates += x
    np.tanh(gates, out=gates)
    ifo = gates[..., : 3 * size]
    ifo *= 0.5
    ifo += 0.5
    c = gates[..., size : 2 * size] * c
    c += gates[..., :size] * gates[..., 3 * size :]
    h = np.tanh(c)
    h *= gates[..., 2 * size : 3 * size]
    return h, c


def _gru_gates(w: Array) -> Array:
    """Halves r and z, as in `_lstm_gates`; n stays."""
    r, z, n = np.split(w, 3, axis=-1)
    return np.concatenate([r / 2, z / 2, n], axis=-1)


def _gru_step(x: Array, state: CellState, w_hh: Array) -> CellState:
    (h,) = state
    size = h.shape[-1]
    gates = h @ w_hh
    rz, n = gates[..., : 2 * size], gates[..., 2 * size :]
    rz += x[..., : 2 * size]
    np.tanh(rz, out=rz)
    rz *= 0.5
    rz += 0.5
    n *= rz[..., :size]
    n += x[..., 2 * size :]
    np.tanh(n, out=n)
    after = h - n
    after *= rz[..., size:]
    after += n  # (1 - z) n + z h
    return (after,)


def _rnn_step(x: Array, state: CellState, w_hh: Array) -> CellState:
    h = state[0] @ w_hh
    h += x
    return (np.tanh(h, out=h),)


CELLS: dict[str, Cell] = {
    "lstm": Cell(
        gates=4,
        parts=2,
        arrange=_lstm_gates,
        step=_lstm_step,
        title="LSTM",
        formula="i, f, o = σ(W x + U h + b), g = tanh(W x + U h + b); c' = f c + i g; h' = o tanh(c')",
        source="Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000",
    ),
    "gru": Cell(
        gates=3,
        parts=1,
        arrange=_gru_gates,
        step=_gru_step,
        title="GRU",
        formula="r, z = σ(W x + U h + b); n = tanh(W x + r (U h) + b); h' = (1 - z) n + z h",
        source="Cho et al. 2014, eq. 5-8, the reset gate after the product",
    ),
    "rnn": Cell(
        gates=1,
        parts=1,
        arrange=np.ascontiguousarray,
        step=_rnn_step,
        title="plain RNN",
        formula="h' = tanh(W x + U h + b)",
        source="Elman 1990",
    ),
}


def _layer(cell: Cell, *kept: tuple[Array, Array]) -> Layer:
    return Layer(cell, *(array.transpose(axes) for array, axes in kept))


@dataclass(frozen=True)
class Layer:
    """One layer, its D directions side by side, arranged for `cell`: w_ih [D, I, G·h], w_hh [D, h, G·h], bias [D, 1, G·h]."""

    cell: Cell
    w_ih: Array
    w_hh: Array
    bias: Array

    @staticmethod
    def of(cell: Cell, p: Mapping[str, Array], directions: list[str]) -> Layer:
        """Makes a layer from the arrays of a model folder."""
        w_ih, w_hh, bias = (
            np.stack([cell.arrange(np.atleast_2d(p[f"{d}.{name}"].T)) for d in directions]) for name in ("w_ih", "w_hh", "bias")
        )
        # `np.stack` keeps the order of the folder's arrays, with which products of several rows take up to six times as long
        w_ih, w_hh = np.ascontiguousarray(w_ih), np.ascontiguousarray(w_hh)
        return Layer(cell, w_ih, w_hh, bias)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: arrays keep their order in memory, since a product's rounding may depend on it."""
        kept = []
        for array in (self.w_ih, self.w_hh, self.bias):
            axes = np.argsort([-stride for stride in array.strides], kind="stable")
            kept.append((np.ascontiguousarray(array.transpose(axes)), np.argsort(axes)))
        return _layer, (self.cell, *kept)

    def run(self, x: Array, rows: list[int]) -> tuple[Array, CellState]:
        """x [S, D, B, G·h]: inputs times w_ih, plus bias; at step t only the first rows[t] sentences are real.

        Returns outputs [S, D, B, h], 0 where not real, and every sentence's last state, [D, B, h] each.
        """
        S, D, B, _ = x.shape
        size = self.w_hh.shape[1]
        outputs = np.zeros((S, D, B, size), np.float32)
        last = tuple(np.zeros((D, B, size), np.float32) for _ in range(self.cell.parts))
        state = last
        for t, n in enumerate(rows):
            if n < state[0].shape[1]:
                _put(last, state)
                state = tuple(part[:, :n] for part in state)
            state = self.cell.step(x[t, :, :n], state, self.w_hh)
            outputs[t, :, :n] = state[0]
        _put(last, state)
        return outputs, last


def _put(last: CellState, state: CellState) -> None:
    for whole, part in zip(last, state, strict=True):
        whole[:, : part.shape[1]] = part
