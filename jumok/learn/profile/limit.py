"""How long training must take at least: its multiply-adds at the rate of a large product, Adam's traffic at that of a large copy.

Counted on real tokens, without padding. What is no product (tanh, softmax, embeddings, dropout, the moving average) is left
out, so the limit lies a little below what any program could reach.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from jumok.learn.machine import Machine
from jumok.net import sections as s

PASSES = 3  # a product's forward pass, and its gradients for input and for weight
TRAFFIC = 4 * (7 + 1)  # bytes a parameter and step: of 4 bytes, Adam reads 4 and writes 3, clipping reads 1
PRODUCT_SIDE = {"cpu": 1536, "cuda": 8192}
COPIED = {"cpu": 2**25, "cuda": 2**28}  # numbers, more than a cache holds


@dataclass(frozen=True)
class Rates:
    """What a machine reaches at best."""

    operations_per_second: float  # in a large product; two to a multiply-add
    bytes_per_second: float  # in a large copy

    def products(self, multiply_adds: float) -> float:
        """Seconds that these take at least."""
        return 2 * multiply_adds / self.operations_per_second

    def limits(self, work: dict[str, int], own: dict[str, int], parameters: int, steps: int) -> dict[str, float]:
        """Seconds at least, by section: of `work` forward and backward, of `own` words forward (both as `multiply_adds` has them)."""
        found = {s.OWN: self.products(sum(own.values())), s.CLIP: TRAFFIC * parameters * steps / self.bytes_per_second}
        for part, n in work.items():
            forward = PASSES if part == s.OUTPUT else 1  # whose gradients are formed in its forward pass (`jumok.net.loss`)
            found |= {part: self.products(forward * n), s.backward(part): self.products((PASSES - forward) * n)}
        return {name: seconds for name, seconds in found.items() if seconds}


def rates(machine: Machine) -> Rates:
    """Measured now, under the machine's settings, which are on afterwards: half a second to some seconds."""
    machine.apply()
    n, kind = PRODUCT_SIDE[machine.device], torch.bfloat16 if machine.precision == "bfloat16" else torch.float32
    a = torch.linspace(-1, 1, n * n, device=machine.device).view(n, n).to(kind)
    b = a.t().contiguous()
    operations = 2 * n**3 / best(lambda: a @ b, machine)
    c = torch.ones(COPIED[machine.device], device=machine.device)
    d = torch.empty_like(c)
    return Rates(operations, 2 * c.numel() * c.element_size() / best(lambda: d.copy_(c), machine))


def best(function: Callable[[], object], machine: Machine, tries: int = 6) -> float:
    """Seconds of the fastest call after the first: a machine is only ever slowed down."""
    seconds = []
    for _ in range(tries):
        machine.wait()
        tick = time.perf_counter()
        function()
        machine.wait()
        seconds.append(time.perf_counter() - tick)
    return min(seconds[1:])
