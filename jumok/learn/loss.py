"""Output layer and cross-entropy as one step, whose gradients are formed in the forward pass, so that no logit is kept.

The softmax over the vocabulary is no product, and would move all logits through memory again and again: so logits and
probabilities are formed a piece at a time, small enough for the caches, and only the gradient of the logits is ever whole.

Letters: N positions, R readout, V target vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

ALIGN = 32  # products whose sides are multiples of this are up to a third faster (benchmarks/speed_train.py)
PIECE = {
    "cpu": 1 << 20,
    "cuda": 1 << 27,
}  # logits formed at a time: on a CPU 4 MB; on a GPU, where starting a piece costs more, 512


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, readout: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float):  # type: ignore[override]
        V = len(weight)
        short = -V % ALIGN
        exact = torch.promote_types(readout.dtype, torch.float32)
        table = F.pad(weight.to(readout.dtype), (0, 0, 0, short)) if short else weight.to(readout.dtype)
        offsets = F.pad(bias.to(exact), (0, short), value=-torch.inf)
        wanted = any(ctx.needs_input_grad[:3])
        gradient = readout.new_empty(len(readout), V + short) if wanted else None
        d_bias, loss, nll = torch.zeros_like(offsets), offsets.new_zeros(()), offsets.new_zeros(())
        each = max(ALIGN, PIECE[readout.device.type] // (V + short) // ALIGN * ALIGN)
        for start in range(0, len(readout), each):
            rows = slice(start, start + each)
            gold = target[rows, None]
            real = len(gold)  # the others are filling
            logits = (readout[rows] @ table.t()).to(exact).add_(offsets)
            of_gold = logits[:real].gather(1, gold)
            mean = logits[:real, :V].mean(1, keepdim=True) if smoothing else 0.0
            top = logits.amax(1, keepdim=True)
            probability = gradient[rows] if gradient is not None and gradient.dtype == exact else logits
            torch.softmax(logits.sub_(top), 1, out=probability)
            total = top - probability.amax(1, keepdim=True).log()  # the likeliest token's is 1 / Σ exp(logit - top)
            surprise = total[:real] - of_gold
            nll += surprise.sum()
            loss += ((1 - smoothing) * surprise + smoothing * (total[:real] - mean)).sum()
            if gradient is not None:  # of the logits: softmax(logits) - smoothed target
                probability[real:] = 0
                if smoothing:
                    probability[:real, :V] -= smoothing / V
                probability[:real].scatter_add_(1, gold, probability.new_full(gold.shape, smoothing - 1))
                d_bias += probability.sum(0)
                if gradient.dtype != exact:
                    gradient[rows] = probability
        if gradient is not None:
            d_weight = (gradient.t() @ readout)[:V].to(weight.dtype)
            ctx.gradients = gradient @ table, d_weight, d_bias[:V].to(bias.dtype)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, _: Tensor):  # type: ignore[override]
        found, ctx.gradients = ctx.gradients, None  # handed over, not copied: that of the weight is as large as the table
        assert found is not None, "gradients are there once"
        return *(part.mul_(grad) for part in found), None, None


def linear_cross_entropy(
    readout: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of softmax(readout weightᵀ + bias), summed over positions.

    Args:
        readout: [N, R]; rows after the N-th are filling, which counts for nothing.
        weight: [V, R].
        bias: [V].
        target: gold ids, int64 [N].
        smoothing: share of the target's probability spread evenly over V (Szegedy et al. 2016, sec. 7).

    Returns:
        The smoothed loss, with gradient, and the plain negative log-likelihood, without; both summed, in nats.
    """
    return _LinearCrossEntropy.apply(readout, weight, bias, target, smoothing)
