"""Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019): torch's fused kernel without torch's optimizer.

The first `torch.optim.Optimizer` of a process loads torch's compiler, for nothing but to keep it away: 70 MB and a second or two.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETAS, EPSILON = (0.9, 0.98), 1e-8


class Adam:
    """The moments of some parameters, and their updates.

    Attributes:
        state: of each parameter, once it was updated: `step` (how often), `exp_avg` and `exp_avg_sq`.
    """

    def __init__(self, parameters: Sequence[Tensor], weight_decay: float = 0.0) -> None:
        self.parameters, self.weight_decay = list(parameters), weight_decay
        self.state: dict[Tensor, dict[str, Tensor]] = {p: {} for p in self.parameters}

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
        given = [(p, p.grad) for p in self.parameters if p.grad is not None]
        for p, _ in given:
            if not self.state[p]:
                step = torch.zeros((), dtype=torch.float32, device=p.device)
                self.state[p] = {"step": step, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        if not hasattr(torch, "_fused_adamw_"):
            self._plain_step(given, rate, skip, divisor)
            return
        found = [self.state[p] for p, _ in given]
        adamw(
            [p for p, _ in given],
            [gradient for _, gradient in given],
            [state["exp_avg"] for state in found],
            [state["exp_avg_sq"] for state in found],
            [],
            [state["step"] for state in found],
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
        self, given: Sequence[tuple[Tensor, Tensor]], rate: float, skip: Tensor | None, divisor: Tensor | None
    ) -> None:
        """Without torch's private kernel: the formulas of Kingma & Ba 2015, algorithm 1, and Loshchilov & Hutter 2019, algorithm 2."""
        if skip is not None and skip.item():
            return
        for p, gradient in given:
            g = gradient if divisor is None else gradient / divisor
            step, m, v = self.state[p].values()
            step += 1
            t = step.item()
            m.lerp_(g, 1 - BETAS[0])
            v.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            spread = (v.sqrt() / (1 - BETAS[1] ** t) ** 0.5).add_(EPSILON)
            p.mul_(1 - rate * self.weight_decay).addcdiv_(m, spread, value=-rate / (1 - BETAS[0] ** t))
