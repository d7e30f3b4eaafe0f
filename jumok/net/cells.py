"""Recurrent cells in training: torch's fused layers, and the way between their arrays and the model folder's.

A model folder knows one bias a layer. Torch's LSTM and RNN add two, whose sum it is; torch's GRU puts the second one inside
the reset gate, n = tanh(W x + b + r (U h + b_hn)), which Cho et al. 2014 do not have, nor do we: our GRU has no b_hn. So a
GRU, and every layer that has to leave pads at zero, is without torch's biases, and its bias is the weight of an input after
the others that is always 1 (0 on pads). Where a layer would have an odd number of inputs, one more is added, always 0: with an
odd number, oneDNN's bfloat16 LSTM takes two to three times as long (a Xeon with AMX, 257 inputs beside 256, 258 and 264).

Letters: B sentences, T steps, I input, H size of the layer, G gates (LSTM i, f, g, o; GRU r, z, n; RNN one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CellState = tuple[Tensor, ...]  # h, and c where the cell is an LSTM; [B, H] each


def _lstm(x: Tensor, u: Tensor, state: CellState) -> CellState:
    i, f, g, o = (x + u).chunk(4, -1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru(x: Tensor, u: Tensor, state: CellState) -> CellState:
    (x_r, x_z, x_n), (u_r, u_z, u_n) = x.chunk(3, -1), u.chunk(3, -1)
    n = (x_n + (x_r + u_r).sigmoid() * u_n).tanh()
    return (torch.lerp(n, state[0], (x_z + u_z).sigmoid()),)  # (1 - z) n + z h


def _rnn(x: Tensor, u: Tensor, state: CellState) -> CellState:
    return ((x + u).tanh(),)


@dataclass(frozen=True)
class TorchCell:
    """A cell of `jumok.runtime.cells` in torch.

    Attributes:
        layer: torch's: (inputs, size, batch_first, bias) -> a module with the parameters of torch's layers.
        step: one step where nothing can be fused: x = W x + b and u = U h, [B, G·H] each, state -> state.
        own_bias: whether torch's biases, summed, are the cell's one bias.
        forget: number of the gate that keeps the state, if there is one to start open.
    """

    layer: Callable[..., Any]
    step: Callable[[Tensor, Tensor, CellState], CellState]
    own_bias: bool = True
    forget: int | None = None


CELLS: dict[str, TorchCell] = {
    "lstm": TorchCell(nn.LSTM, _lstm, forget=1),
    "gru": TorchCell(nn.GRU, _gru, own_bias=False),
    "rnn": TorchCell(nn.RNN, _rnn),
}


def new_layer(name: str, inputs: int, size: int, pads: bool) -> Any:
    """A layer of `inputs` -> `size`, its bias the weight of a further input if it will meet `pads` (first) or torch's is another.

    Torch's start, but zero biases with 1 for an LSTM's forget gate (Jozefowicz et al. 2015): early words fade more slowly.
    """
    cell = CELLS[name]
    column = pads or not cell.own_bias
    width = inputs + column
    layer = cell.layer(width + width % 2, size, batch_first=True, bias=not column)
    layer.inputs = inputs
    with torch.no_grad():
        layer.weight_ih_l0[:, inputs:] = 0
        if not column:
            layer.bias_ih_l0.zero_()
            layer.bias_hh_l0.zero_()
        if cell.forget is not None:
            (layer.weight_ih_l0[:, inputs] if column else layer.bias_ih_l0)[gate(cell.forget, size)] = 1
    return layer


def gate(number: int, size: int) -> slice:
    """The rows of a gate in a layer's arrays."""
    return slice(number * size, (number + 1) * size)


def run(layer: Any, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
    """x [B, T, I] (or as `widened` gives it), state (zeros) -> h at every step [B, T, H], last state."""
    if x.shape[-1] < layer.input_size:
        x = widened(layer, x)
    if state is None:
        outputs, last = layer(x)
    else:
        first = tuple(part[None] for part in state)
        outputs, last = layer(x, first if len(first) > 1 else first[0])
    return outputs, tuple(part[0] for part in (last if isinstance(last, tuple) else (last,)))


def widened(layer: Any, x: Tensor, real: Tensor | None = None) -> Tensor:
    """x [B, T, I], zeros on pads -> [B, T, all the layer's inputs].

    After x comes the input whose weight is the bias, if there is one: `real` [B, T, 1], 1 and on pads 0; without it, 1 everywhere.
    Then the one that is always 0, if there is one.
    """
    if not layer.bias:
        ones = x.new_ones(*x.shape[:-1], 1) if real is None else real.to(x.dtype)
        x = torch.cat([x, ones], -1)
    return F.pad(x, (0, layer.input_size - x.shape[-1]))


def arrays(layer: Any) -> dict[str, Tensor]:
    """w_ih [G·H, I], w_hh [G·H, H] and bias [G·H], as a model folder has them."""
    w_ih, w_hh = layer.weight_ih_l0, layer.weight_hh_l0
    if layer.bias:
        return {"w_ih": w_ih[:, : layer.inputs], "w_hh": w_hh, "bias": layer.bias_ih_l0 + layer.bias_hh_l0}
    return {"w_ih": w_ih[:, : layer.inputs], "w_hh": w_hh, "bias": w_ih[:, layer.inputs]}


def put(layer: Any, given: dict[str, Tensor]) -> None:
    """The way back: `given` as `arrays` gives them, into the layer in place."""
    with torch.no_grad():
        layer.weight_hh_l0.copy_(given["w_hh"])
        layer.weight_ih_l0[:, : layer.inputs].copy_(given["w_ih"])
        if layer.bias:
            layer.bias_ih_l0.copy_(given["bias"])
            layer.bias_hh_l0.zero_()
        else:
            layer.weight_ih_l0[:, layer.inputs].copy_(given["bias"])
