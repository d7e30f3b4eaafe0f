"""The loss: output layer and label-smoothed cross-entropy as one autograd Function that keeps no logits.

Letters: N real target positions (pads are gone before), R readout size, V target vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor


class _LinearCrossEntropy(torch.autograd.Function):
    """Forms the gradients in the forward pass, in the logits' own memory, so that [N, V] is freed at once."""

    @staticmethod
    def forward(ctx, readout: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float):  # type: ignore[override]
        logits = torch.addmm(bias.to(readout.dtype), readout, weight.t().to(readout.dtype))
        logits = logits if logits.dtype == torch.float64 else logits.float()
        logits.sub_(logits.amax(1, keepdim=True))
        gold = logits.gather(1, target[:, None]).squeeze(1)
        mean = logits.mean(1) if smoothing else 0.0
        probability = logits.exp_()
        normaliser = probability.sum(1, keepdim=True)
        total = normaliser.log().squeeze(1)
        nll = total - gold
        loss = (1 - smoothing) * nll + smoothing * (total - mean)
        if any(ctx.needs_input_grad[:3]):
            g = probability.div_(normaliser)  # softmax(logits) - smoothed target
            if smoothing:
                g.sub_(smoothing / g.shape[1])
            g.scatter_add_(1, target[:, None], g.new_full((len(g), 1), smoothing - 1))
            d_bias = g.sum(0)
            g = g.to(readout.dtype)
            ctx.save_for_backward(g @ weight.to(g.dtype), (g.t() @ readout).to(weight.dtype), d_bias.to(bias.dtype))
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
