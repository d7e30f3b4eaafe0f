"""Input feeding in training (Luong, Pham & Manning 2015, section 3.3): the one decoder that has to go step by step, tuned.

Step t reads h~_{t-1} = tanh(W_c [c; h]) of the step before, so states, scores and readout depend on each other all the way.
Nothing else is in the loop: what inputs and memory make with their weights is there before it, output layer and loss come
after it. And no weight gets its gradient in it. In the loop weights are constants; every sum that a weight takes part in
starts from a row of an array that stands before the loop, whose gradient is then that of the sums of all steps. With it
`_Late` gives the weights theirs, in one product, or in one fused pass over the states that are known by then.

Letters: B sentences, T steps, S source positions, E embedding, H state, G gates, R readout, I inputs and O outputs of a product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from jumok.net import cells

Glimpse = Callable[[Mapping[str, Tensor], Tensor, Tensor], Tensor]


class _Late(torch.autograd.Function):
    """`base` as it is; and on the way back, the gradient of the weights that had a part in what was added to it since."""

    @staticmethod
    def forward(ctx, base: Tensor, owed: Callable[..., Sequence[Tensor | None]], *weights: Tensor) -> Tensor:  # type: ignore[override]
        ctx.owed = owed
        ctx.save_for_backward(*weights)
        return base.view_as(base)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        return grad, None, *ctx.owed(grad, *ctx.saved_tensors)


class _Product:
    """base_t + x_t Wᵀ for one t after the other: base [T, B, O], weight W [O, I]."""

    def __init__(self, base: Tensor, weight: Tensor) -> None:
        seen: list[Tensor] = []

        def owed(grad: Tensor, _: Tensor) -> tuple[Tensor]:
            return (grad.flatten(0, 1).t() @ torch.cat(seen).to(grad.dtype),)

        self.seen = seen  # all the x_t so far, [B, I] each; `owed` must not see `self`, whose rows lead back to it
        self.rows = _Late.apply(base, owed, weight).unbind(0)
        self.constant = weight.detach().to(base.dtype).t()

    def __call__(self, x: Tensor) -> Tensor:
        row = self.rows[len(self.seen)]
        self.seen.append(x.detach())
        return torch.addmm(row, x.to(row.dtype), self.constant)


def readouts(
    cell: str,
    layers: Sequence[nn.Module],
    x: Tensor,
    state: Sequence[cells.CellState],
    masks: Sequence[Tensor | None],
    W_h: Tensor,
    glimpse: Glimpse,
    p: Mapping[str, Tensor],
) -> Tensor:
    """h~_t = tanh(glimpse(h_t) + W_h h_t) of all steps, [B, T, R].

    Args:
        cell, layers: the decoder's, its first layer of E + R inputs.
        x: embeddings of what the decoder reads, [B, T, E].
        state: of each layer before the first step, [B, H] each; in the end what is fed to the first step, [B, R].
        masks: of dropout, for what is fed [B, R] and for each layer's output [B, H]; None drops nothing.
        W_h: [R, H].
        glimpse: (p, queries [B, T, H], numbers of their steps [T]) -> W_c c_t [B, T, R].
        p: all that glimpse needs and that may want a gradient, by name.
    """
    T = x.shape[1]
    arrays = [cells.arrays(layer) for layer in layers]
    w_x, w_fed = arrays[0]["w_ih"].tensor_split([x.shape[2]], 1)
    known = F.linear(x.transpose(0, 1), w_x, arrays[0]["bias"])  # [T, B, G·H]
    above = [a["bias"].to(known.dtype).expand_as(known) for a in arrays[1:]]
    inputs = [_Product(base, w) for base, w in zip((known, *above), (w_fed, *(a["w_ih"] for a in arrays[1:])), strict=True)]
    recurrent = [_Product(torch.zeros_like(known), a["w_hh"]) for a in arrays]

    steps = torch.arange(T, device=x.device)
    queries: list[Tensor] = []
    sums = known.new_zeros(T, len(x), len(W_h))
    read = _Product(_Late.apply(sums, _all_at_once(glimpse, list(p), queries, steps), *p.values()), W_h)
    constants = {name: w.detach() for name, w in p.items()}

    exact = torch.promote_types(known.dtype, torch.float32)
    states = [tuple(part.to(exact) for part in layer) for layer in state[: len(layers)]]
    (fed,) = state[-1]
    found = []
    for t in range(T):
        h = _dropped(fed, masks[0])
        for l in range(len(layers)):
            before = states[l]
            states[l] = cells.CELLS[cell].step(inputs[l](h).to(exact), recurrent[l](before[0]).to(exact), before)
            h = _dropped(states[l][0], masks[l + 1])
        queries.append(h.detach()[:, None])
        fed = (read(h) + glimpse(constants, h[:, None], steps[t : t + 1])[:, 0]).tanh()
        found.append(fed)
    return torch.stack(found, 1)


def _dropped(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def _all_at_once(
    glimpse: Glimpse, names: list[str], queries: list[Tensor], steps: Tensor
) -> Callable[..., tuple[Tensor | None, ...]]:
    """What the weights of `glimpse` are owed, by the one fused pass over the queries [B, 1, H] that are there by then."""
    kind = steps.device.type
    autocast = torch.autocast(kind, dtype=torch.get_autocast_dtype(kind), enabled=torch.is_autocast_enabled(kind))

    def owed(grad: Tensor, *weights: Tensor) -> tuple[Tensor | None, ...]:
        leaves = [w.detach().requires_grad_() for w in weights]
        with torch.enable_grad(), autocast:
            found = glimpse(dict(zip(names, leaves, strict=True)), torch.cat(queries, 1), steps)
        return torch.autograd.grad(found, leaves, grad.transpose(0, 1).to(found.dtype), allow_unused=True)

    return owed
