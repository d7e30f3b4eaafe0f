"""Output layer and cross-entropy as one step, whose gradients are formed in the forward pass, so that no logit is kept.

The softmax over the vocabulary is no product, and would move all logits through memory again and again: so logits and
probabilities are formed a piece at a time, small enough for the caches. Only the gradient of the logits is gathered, for
some hundreds of positions, since it goes into products that are the faster the more there are; it is never whole either.

Letters: N positions, R readout, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from jumok.net import kernels

ALIGN = 32  # products whose sides are multiples of this are up to a third faster (benchmarks/speed/train.py)
PIECE = {"cpu": 1 << 22, "cuda": 1 << 29}  # bytes of logits formed at a time; on a GPU starting a piece costs more
GATHERED = {"cpu": 3 << 23, "cuda": 1 << 29}  # bytes of their gradients


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, readout: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float):  # type: ignore[override]
        V = len(weight)
        short = -V % ALIGN
        exact = torch.promote_types(readout.dtype, torch.float32)
        table = F.pad(weight.to(readout.dtype), (0, 0, 0, short)) if short else weight.to(readout.dtype)
        offsets = F.pad(bias.to(exact), (0, short), value=-torch.inf)
        each = _rows(PIECE[readout.device.type], exact.itemsize * (V + short))
        logits_of = _layer(table, offsets, often=len(readout) > each)
        most = _rows(GATHERED[readout.device.type], readout.element_size() * (V + short))
        wanted = any(ctx.needs_input_grad[:3])
        gathered = readout.new_empty(min(most, len(readout)) if wanted else 0, V + short)
        d_readout, d_bias = torch.empty_like(readout), torch.zeros_like(offsets)
        d_weight = weight  # until there is one
        loss, nll = offsets.new_zeros(()), offsets.new_zeros(())
        for first in range(0, max(1, len(readout)), most):
            here, gold = readout[first : first + most], target[first : first + most, None]
            gradient = gathered[: len(here)]  # of the logits
            for start in range(0, len(here), each):
                rows = slice(start, start + each)
                logits = logits_of(here[rows]).to(exact)
                probability = gradient[rows] if wanted and gradient.dtype == exact else logits
                losses = _softmax(logits, gold[rows], V, smoothing, probability)
                loss, nll = loss + losses[0], nll + losses[1]
                if wanted:
                    _less_target(probability, gold[rows], V, smoothing)
                    d_bias += probability.sum(0)
                    if gradient.dtype != exact:
                        gradient[rows] = probability
            if wanted:
                torch.mm(gradient, table, out=d_readout[first : first + most])
                if first and gradient.dtype == exact:
                    d_weight.addmm_(gradient.t(), here)
                else:
                    product = gradient.t() @ here
                    d_weight = d_weight.add_(product) if first else product.to(weight.dtype)
        if wanted:
            ctx.gradients = d_readout, d_weight[:V], d_bias[:V].to(bias.dtype)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, _: Tensor):  # type: ignore[override]
        found, ctx.gradients = ctx.gradients, None  # handed over, not copied: that of the weight is as large as the table
        assert found is not None, "gradients are there once"
        return *(part.mul_(grad) for part in found), None, None


def _layer(weight: Tensor, bias: Tensor, often: bool) -> Callable[[Tensor], Tensor]:
    """x [n, R] -> x weightᵀ + bias, in x's format; `often`: for more than one x.

    oneDNN's products read a weight in an order of their own. On a CPU it is put into that order here, once; a plain product does it
    anew each time, which took a fiftieth of a step in bfloat16 at Multi30k's sizes, and a thirtieth in float32. For a single
    product it does not pay: with letters it made the whole loss a sixth slower.
    """
    bias = bias.to(weight.dtype)
    ordered = kernels.linear(weight, bias) if often else None
    return ordered or (lambda x: F.linear(x, weight, bias))


def _rows(room: int, size: int) -> int:
    """How many rows of `size` bytes go into `room`."""
    return max(ALIGN, room // size // ALIGN * ALIGN)


def _softmax(logits: Tensor, gold: Tensor, V: int, smoothing: float, out: Tensor) -> tuple[Tensor, Tensor]:
    """Summed smoothed and plain loss of a piece; into `out` goes softmax(logits).

    logits [n, V and filling], lost; gold [at most n, 1], the rows beyond are filling; out: as the logits, or the logits themselves.
    """
    real = len(gold)
    of_gold = logits[:real].gather(1, gold)
    mean = logits[:real, :V].mean(1, keepdim=True) if smoothing else 0.0
    top = logits.amax(1, keepdim=True)
    torch.softmax(logits, 1, out=out)
    total = top - out.amax(1, keepdim=True).log()  # the likeliest token's is 1 / Σ exp(logit - top)
    surprise = total[:real] - of_gold
    return ((1 - smoothing) * surprise + smoothing * (total[:real] - mean)).sum(), surprise.sum()


def _less_target(probability: Tensor, gold: Tensor, V: int, smoothing: float) -> None:
    """softmax(logits) becomes the gradient of the logits: less the smoothed target, and 0 for filling. Shapes as in `_softmax`."""
    real = len(gold)
    probability[real:] = 0
    if smoothing:
        probability[:real, :V] -= smoothing / V
    probability[:real].scatter_add_(1, gold, probability.new_full(gold.shape, smoothing - 1))


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
