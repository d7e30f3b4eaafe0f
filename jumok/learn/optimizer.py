"""The two that change weights at a step: Adam, and the moving average that is evaluated and kept.

Adam (Kingma & Ba 2015) has decoupled weight decay (Loshchilov & Hutter 2019). It calls torch's fused kernel directly: the first
`torch.optim.Optimizer` of a process loads torch's compiler and then never uses it, which costs 70 MB and a second or two.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from jumok.net import kernels

BETAS, EPSILON = (0.9, 0.98), 1e-8
EVERY = 8  # steps: an average over hundreds of them needs no look at each, and each look moves three models through memory


class Adam:
    """The moments of some parameters, and their updates.

    Attributes:
        state: of each parameter: `step` (how often it was updated), `exp_avg` and `exp_avg_sq`. Their memory is taken at once,
            side by side; taken in the middle of a step, it would lie scattered between what the step needs.
    """

    def __init__(self, parameters: Sequence[Tensor], weight_decay: float = 0.0) -> None:
        self.parameters, self.weight_decay = list(parameters), weight_decay
        self.state: dict[Tensor, dict[str, Tensor]] = {p: _moments(p) for p in self.parameters}

    def zero_grad(self) -> None:
        """The next backward pass begins anew."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, rate: float, skip: Tensor | None = None, divisor: Tensor | None = None) -> None:
        """Updates every parameter that has a gradient.

        Args:
            rate: the learning rate.
            skip: float32 []; where it is 1, nothing changes, the count of steps neither.
            divisor: float32 []; gradients are divided by it first.
        """
        updated = [(p, p.grad) for p in self.parameters if p.grad is not None]
        if not hasattr(torch, "_fused_adamw_"):
            self._plain_step(updated, rate, skip, divisor)
            return
        states = [self.state[p] for p, _ in updated]
        adamw(
            [p for p, _ in updated],
            [gradient for _, gradient in updated],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            grad_scale=divisor,
            found_inf=skip,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
            weight_decay=self.weight_decay,
            eps=EPSILON,
            maximize=False,
        )

    def _plain_step(
        self, updated: Sequence[tuple[Tensor, Tensor]], rate: float, skip: Tensor | None, divisor: Tensor | None
    ) -> None:
        """Without torch's private kernel: the formulas of Kingma & Ba 2015, algorithm 1, and Loshchilov & Hutter 2019, algorithm 2."""
        if skip is not None and skip.item():
            return
        for p, gradient in updated:
            g = gradient if divisor is None else gradient / divisor
            step, m, v = self.state[p].values()
            step += 1
            t = step.item()
            m.lerp_(g, 1 - BETAS[0])
            v.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            spread = (v.sqrt() / (1 - BETAS[1] ** t) ** 0.5).add_(EPSILON)
            p.mul_(1 - rate * self.weight_decay).addcdiv_(m, spread, value=-rate / (1 - BETAS[0] ** t))


@torch.no_grad()
def _moments(p: Tensor) -> dict[str, Tensor]:
    step = torch.zeros((), dtype=torch.float32, device=p.device)
    return {"step": step, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}


class Average:
    """The moving average of the weights (Polyak & Juditsky 1992), which is evaluated and kept while the rate is high:

    average ← decay · average + (1 - decay) · weights, with a smaller decay over the first steps.

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
