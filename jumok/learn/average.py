"""The moving average of the weights: what is evaluated and kept while the rate is high (Polyak & Juditsky 1992)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from jumok.net import kernels

EVERY = 8  # steps: an average over hundreds of them needs no look at each, and each look moves three models through memory


class Average:
    """Keeps average = decay · average + (1 - decay) · weights, with a smaller decay over the first steps.

    Where the decay is 0.99 or more, it looks at the weights of every eighth step only, and takes 8 steps' decay at once.
    `rate` 0 keeps no average: the weights themselves are used.
    """

    def __init__(self, model: nn.Module, rate: float) -> None:
        self.model, self.rate = model, rate
        self.names = [name for name, _ in model.named_parameters()] if rate else []
        self.weights = [p.detach().clone() for p in model.parameters()] if rate else []

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After update number `step` (0-based) of the weights."""
        if self.rate:
            decay = min(self.rate, (1 + step) / (10 + step))
            every = EVERY if decay >= 0.99 else 1
            if step % every == 0:
                kernels.lerp_(self.weights, list(self.model.parameters()), 1 - decay**every)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[nn.Module]:
        """The model with the averaged weights and in evaluation mode; as it was afterwards."""
        training = self.model.training
        self._swap()
        self.model.eval()
        try:
            yield self.model
        finally:
            self.model.train(training)
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        """By value: a GPU's LSTM wants its weights where they are, side by side in one piece of memory."""
        for weight, average in zip(self.model.parameters(), self.weights, strict=bool(self.rate)):
            before = weight.clone()
            weight.copy_(average)
            average.copy_(before)

    def state(self) -> dict[str, Tensor]:
        """The averages by name, for a checkpoint."""
        return dict(zip(self.names, self.weights, strict=True))

    def restore(self, state: dict[str, Tensor]) -> None:
        for name, a in self.state().items():
            a.copy_(state[name])
