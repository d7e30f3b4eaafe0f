"""What torch has under private names only, which may change or go: each of these with its plain way, of the same result.

A private operator is taken where it is there and, where its arguments might change, where it does right in a trial.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def lerp_(tensors: Sequence[Tensor], towards: Sequence[Tensor], share: float) -> None:
    """Each tensor, in place, becomes (1 - share) times itself plus share times the one it goes towards."""
    if together := getattr(torch, "_foreach_lerp_", None):
        together(tensors, towards, share)
    else:
        for tensor, end in zip(tensors, towards, strict=True):
            tensor.lerp_(end, share)


def divide_(tensors: Sequence[Tensor], divisor: Tensor) -> None:
    """Each tensor in place, by a number []."""
    if together := getattr(torch, "_foreach_div_", None):
        together(tensors, divisor)
    else:
        for tensor in tensors:
            tensor.div_(divisor)


def linear(weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor] | None:
    """x [n, R] -> x weightᵀ + bias by oneDNN, the weight [V, R] put into the order its products read it in; None where it cannot be.

    In bfloat16 where the CPU has it, in float32 where oneDNN's products were asked for (`jumok.learn.machine`).
    """
    wanted = weight.dtype == torch.bfloat16 or torch.get_float32_matmul_precision() != "highest"
    if weight.device.type != "cpu" or not wanted or not _puts_in_order(weight.dtype):
        return None
    ordered = torch.ops.mkldnn._reorder_linear_weight(weight)
    return lambda x: _product(x, ordered, bias)


def _product(x: Tensor, ordered: Tensor, bias: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, ordered, bias, "none", [], "")


@functools.cache
def _puts_in_order(dtype: torch.dtype) -> bool:
    """Tried once a process, on whole numbers, which no format rounds."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():
        return False
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        weight = (torch.arange(32 * 32).view(32, 32) % 5).to(dtype)
        x, bias = weight[:3] - 1, weight[4]
        ordered = torch.ops.mkldnn._reorder_linear_weight(weight)
        return torch.equal(_product(x, ordered, bias), F.linear(x, weight, bias))
    except (AttributeError, TypeError, RuntimeError):
        return False
