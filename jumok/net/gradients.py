"""How much of the loss reaches each source position: ‖∂L/∂x_s‖, and how far the LSTM's forget gates are open.

Letters: N sentences, all of S source positions (`</s>` counted, no padding), T target steps, E embedding, H state.
Hochreiter 1991; Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from jumok.net import cells
from jumok.net.model import Seq2Seq, shifted
from jumok.text.vocabulary import PAD


def source_gradients(model: Seq2Seq, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """‖∂L/∂x_s‖ of each sentence's own loss under teacher forcing, x_s being what the encoder reads at position s.

    In float64 and without dropout, since a vanishing gradient soon falls below what float32 can hold; the model is left as it is.

    Args:
        source: int64 [N, S], no padding. target: int64 [N, T], each ending with the end token, padded at the end.

    Returns:
        [N, S] float64, in the source's own order.
    """
    exact = copy.deepcopy(model).double().eval()
    inputs: list[Tensor] = []

    def cut(_: object, arguments: tuple) -> tuple:  # the embeddings become a leaf: the gradient stops there
        inputs.append(arguments[0].detach().requires_grad_())
        return (inputs[-1], *arguments[1:])

    handle = exact.encoder.register_forward_pre_hook(cut)
    try:
        gold = _ids(target, exact)
        real = (gold.flatten() != PAD).nonzero().flatten()
        ids, lengths = _tensors(source, exact)
        losses = exact.loss(ids, lengths, shifted(gold), gold, real)
        (gradient,) = torch.autograd.grad(losses.loss, inputs)
    finally:
        handle.remove()
    norms = gradient.norm(dim=-1)
    if model.config.reverse_source:  # `</s>` stays last, as it is read
        norms = torch.cat([norms[:, :-1].flip(1), norms[:, -1:]], 1)
    return norms.cpu().numpy()


@torch.no_grad()
def forget_openness(model: Seq2Seq, source: np.ndarray) -> float | None:
    """Mean of σ(f) over sentences, positions and cells of the encoder's first layer, read forwards; None for a cell without a forget gate.

    What the state keeps over d positions is about this to the power of d (Gers, Schmidhuber & Cummins 2000).
    """
    number = cells.CELLS[model.config.cell].forget
    if number is None:
        return None
    exact = copy.deepcopy(model).double().eval()
    layer = exact.encoder.forwards[0]
    ids, _ = _tensors(source, exact)
    if exact.config.reverse_source:
        ids = torch.cat([ids[:, :-1].flip(1), ids[:, -1:]], 1)
    table = exact.target_embedding if exact.source_embedding is None else exact.source_embedding
    x = F.embedding(ids, table) * exact.scale
    h, _ = cells.run(layer, x)
    before = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], 1)
    w = cells.arrays(layer)
    H = h.shape[-1]
    forget = cells.gate(number, H)
    gate = x @ w["w_ih"][forget].t() + before @ w["w_hh"][forget].t() + w["bias"][forget]
    return float(gate.sigmoid().mean())


def _tensors(source: np.ndarray, model: Seq2Seq) -> tuple[Tensor, Tensor]:
    assert (source != PAD).all(), "sources of one length, without padding"
    ids = _ids(source, model)
    return ids, torch.full((len(ids),), ids.shape[1], device=ids.device)


def _ids(ids: np.ndarray, model: Seq2Seq) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(ids, dtype=np.int64)).to(model.bias.device)
