"""Attention in training: the scores of `jumok.scores` on torch tensors, `concat` without its large intermediate.

Letters: B sentences, T queries, S source positions, H memory and query, A inner size of concat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from jumok.config import ModelConfig
from jumok.scores import SCORES, context, weights
from jumok.windows import WINDOWS

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
    each = max(1, _CHUNK // max(1, size))
    return [slice(i, i + each) for i in range(0, sentences, each)]


# scores whose formula needs a large intermediate have a leaner one here: (parameters, query, keys) -> scores [B, T, S]
LEAN: dict[str, Callable[[Mapping[str, Tensor], Tensor, Tensor], Tensor]] = {
    "concat": lambda p, query, keys: _ConcatScore.apply(query @ p["W_q"].t(), keys, p["v"]),
}


def attend(
    name: str,
    p: Mapping[str, Tensor],
    query: Tensor,
    keys: Tensor,
    mask: Tensor,
    memory: Tensor,
    prior: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """All queries at once.

    query [B, T, H], keys [B, S, K], mask [B, S], memory [B, S, H], prior [B, T, S] (of a window, see `jumok.windows`)
    -> context [B, T, H], weights [B, T, S].
    """
    if name in LEAN and torch.is_grad_enabled():
        raw = LEAN[name](p, query, keys)
    else:
        raw = SCORES[name].score(torch, p, query, keys)
    found = weights(torch, raw if prior is None else raw + prior, mask)
    return context(found, memory), found


class _Products(TorchFunctionMode):
    """Counts the multiply-adds of every product (`@`) that is computed while it is entered."""

    multiply_adds = 0

    def __torch_function__(self, function: Any, types: Any, given: Sequence[Any] = (), more: Any = None) -> Any:
        found = function(*given, **(more or {}))
        if getattr(function, "__name__", "") in ("matmul", "__matmul__"):
            self.multiply_adds += found.numel() * given[0].shape[-1]
        return found


def multiply_adds(model: ModelConfig) -> tuple[int, int, int]:
    """Multiply-adds of score, window and context: for each source token, for each target token, and for each pair of the two.

    They are counted in the formulas as the tables have them, on arrays without numbers.
    """
    if model.attention == "none":
        return 0, 0, 0
    score, window, (H, A) = SCORES[model.attention], WINDOWS.get(model.window), (model.hidden, model.score_size)
    assert H and A

    def whole(S: int, T: int) -> int:
        with torch.device("meta"), _Products() as products:
            p = {name: torch.empty(shape) for name, shape in score.shapes(H, A, model.location_length).items()}
            memory, queries, mask = torch.empty(1, S, H), torch.empty(1, T, H), torch.empty(1, S, dtype=torch.bool)
            prior = None
            if window is not None:
                inside = {name: torch.empty(shape) for name, shape in window.shapes(H, A).items()}
                prior = window.prior(torch, inside, queries, mask, torch.arange(T), model.window_size)
            with torch.no_grad():
                attend(model.attention, p, queries, score.keys(torch, p, memory), mask, memory, prior)
        return products.multiply_adds

    one, sources, targets, both = whole(1, 1), whole(2, 1), whole(1, 2), whole(2, 2)
    pairs = both - sources - targets + one
    return sources - one - pairs, targets - one - pairs, pairs
