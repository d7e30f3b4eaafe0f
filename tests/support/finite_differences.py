"""The slope of a loss in a random direction of a model's parameters: by its gradient, and by finite differences."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

STEP = 4e-6


def slopes(model: nn.Module, loss: Callable[[], Tensor]) -> tuple[float, float]:
    """By the gradient, and by (loss(θ + εd) - loss(θ - εd)) / 2ε, for a model in float64 whose loss draws the same numbers each time."""
    parameters = list(model.parameters())
    gradient = torch.autograd.grad(loss(), parameters)
    g = torch.Generator().manual_seed(1)
    direction = [torch.randn(p.shape, generator=g, dtype=p.dtype) for p in parameters]
    values = []
    with torch.no_grad():
        for step in (STEP, -STEP):
            torch._foreach_add_(parameters, direction, alpha=step)
            values.append(float(loss()))
            torch._foreach_add_(parameters, direction, alpha=-step)
    return sum(float((a * b).sum()) for a, b in zip(gradient, direction, strict=True)), (values[0] - values[1]) / (2 * STEP)
