"""The loss: output layer and label-smoothed cross-entropy as one autograd Function that keeps no logits.

Letters: N real target positions (pads are gone before), R readout size, V target vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

ALIGN = 32  # products whose sides are multiples of this are up to a third faster (benchmarks/speed_train.py)


class _LinearCrossEntropy(torch.autograd.Function):
    """Forms the gradients in the forward pass, in the logits' own memory, so that [N, V] is freed at once."""

    @staticmethod
    def forward(ctx, readout: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float):  # type: ignore[override]
        V = len(weight)
        short = -V % ALIGN
        table = F.pad(weight.to(readout.dtype), (0, 0, 0, short))
        logits = readout @ table.t()
        logits = logits if logits.dtype == torch.float64 else logits.float()
        logits += F.pad(bias.to(logits.dtype), (0, short), value=-torch.inf)
        logits.sub_(logits.amax(1, keepdim=True))
        gold = logits.gather(1, target[:, None]).squeeze(1)
        mean = logits[:, :V].mean(1) if smoothing else 0.0
        probability = logits.exp_()
        normaliser = probability.sum(1, keepdim=True)
        total = normaliser.log().squeeze(1)
        nll = total - gold
        loss = (1 - smoothing) * nll + smoothing * (total - mean)
        if any(ctx.needs_input_grad[:3]):
            g = probability.div_(normaliser)  # softmax(logits) - smoothed target
            if smoothing:
                g[:, :V].sub_(smoothing / V)
            g.scatter_add_(1, target[:, None], g.new_full((len(g), 1), smoothing - 1))
            d_bias = g.sum(0)[:V].to(bias.dtype)
            g = g.to(readout.dtype)
            ctx.save_for_backward(g @ table, (g.t() @ readout)[:V].to(weight.dtype), d_bias)
        nll = nll.sum()
        ctx.mark_non_differentiable(nll)
        return loss.sum(), nll

    @staticmethod
    def backward(ctx, grad: Tensor, _: Tensor):  # type: ignore[override]
        d_readout, d_weight, d_bias = ctx.saved_tensors
        return d_readout * grad, d_weight * grad, d_bias * grad, None, None


def linear_cross_entropy(
    readout: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of softmax(readout weightᵀ + bias), summed over positions.

    Args:
        readout: [N, R].
        weight: [V, R].
        bias: [V].
        target: gold ids, int64 [N].
        smoothing: share of the target's probability spread evenly over V (Szegedy et al. 2016, sec. 7).

    Returns:
        The smoothed loss, with gradient, and the plain negative log-likelihood, without; both summed, in nats.
    """
    return _LinearCrossEntropy.apply(readout, weight, bias, target, smoothing)
