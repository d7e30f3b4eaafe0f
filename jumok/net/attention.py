"""Attention in training: the scores of `jumok.scores` on torch tensors, `concat` without its large intermediate.

Letters: B sentences, T queries, S source positions, H memory and query, A inner size of concat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from jumok.scores import SCORES, context, weights

_CHUNK = 1 << 20  # numbers of tanh(...) formed at a time: 4 MB, which stays in the caches


class _ConcatScore(torch.autograd.Function):
    """v · tanh(q_t + k_s), its tanh formed anew in the backward pass: [B, T, S, A] is never kept, nor ever whole."""

    @staticmethod
    def forward(ctx, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(query, keys, v)
        out = query.new_empty(query.shape[0], query.shape[1], keys.shape[1])
        for rows in _chunks(query, keys):
            inner = (query[rows, :, None, :] + keys[rows, None, :, :]).tanh_()
            out[rows] = inner @ v
        return out

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        query, keys, v = ctx.saved_tensors
        d_query, d_keys, d_v = torch.empty_like(query), torch.empty_like(keys), torch.zeros_like(v)
        for rows in _chunks(query, keys):
            inner = (query[rows, :, None, :] + keys[rows, None, :, :]).tanh_()  # [b, T, S, A]
            g = grad[rows]
            d_v += g.flatten() @ inner.flatten(0, 2)
            inner.square_().neg_().add_(1).mul_(g[..., None])  # (1 - tanh²) · g
            d_query[rows] = inner.sum(2)
            d_keys[rows] = inner.sum(1)
        return d_query.mul_(v), d_keys.mul_(v), d_v


def _chunks(query: Tensor, keys: Tensor) -> list[slice]:
    sentences, size = query.shape[0], query.shape[1] * keys.shape[1] * keys.shape[2]
    rows = max(1, _CHUNK // max(1, size))
    return [slice(i, i + rows) for i in range(0, sentences, rows)]


def _concat(p: Mapping[str, Tensor], query: Tensor, keys: Tensor) -> Tensor:
    return _ConcatScore.apply(query @ p["W_q"].t(), keys, p["v"])


# scores whose formula needs a large intermediate have a leaner one here: (parameters, query, keys) -> scores [B, T, S]
LEAN: dict[str, Callable[[Mapping[str, Tensor], Tensor, Tensor], Tensor]] = {
    "concat": _concat,
}


def score(name: str, p: Mapping[str, Tensor], query: Tensor, keys: Tensor) -> Tensor:
    """The score by this name: query [B, T, H], keys [B, S, K] -> [B, T, S], of pads too."""
    lean = LEAN.get(name) if torch.is_grad_enabled() else None
    return lean(p, query, keys) if lean else SCORES[name].score(torch, p, query, keys)


def attend(
    name: str,
    p: Mapping[str, Tensor],
    query: Tensor,
    source: tuple[Tensor, Tensor],
    mask: Tensor,
    prior: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """All queries at once.

    query [B, T, H], source (keys [B, S, K], memory [B, S, H]), mask [B, S], prior [B, T, S] (of a window, see `jumok.windows`)
    -> context [B, T, H], weights [B, T, S].
    """
    keys, memory = source
    raw = score(name, p, query, keys)
    attended = weights(torch, raw if prior is None else raw + prior, mask)
    return context(attended, memory), attended
