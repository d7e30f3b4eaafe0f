"""How long training must take at least: its multiply-adds at the rate of a large product, Adam's traffic at that of a large copy.

Counted on real tokens, without padding. What is no product (tanh, softmax, embeddings, dropout, the moving average) is left
out, so the limit lies a little below what any program could reach. S and T are source and target tokens, V the target vocabulary.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from jumok.config import ModelConfig
from jumok.learn import attention
from jumok.learn.machine import Machine
from jumok.learn.profile import sections as s
from jumok.runtime.parameters import shapes
from jumok.text import Batch

PASSES = 3  # a product's forward pass, and its gradients for input and for weight
TRAFFIC = 4 * (7 + 1)  # bytes a parameter and step: of 4 bytes, Adam reads 4 and writes 3, clipping reads 1
PRODUCT_SIDE = {"cpu": 1536, "cuda": 8192}
COPIED = {"cpu": 2**25, "cuda": 2**28}  # numbers, more than a cache holds


@dataclass(frozen=True)
class Tokens:
    """What batches hold, summed."""

    source: int = 0  # real tokens, `</s>` counted
    target: int = 0
    cells: int = 0  # S · T of each pair: what attention has to score
    source_places: int = 0  # tokens and pads
    target_places: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def padding(self) -> tuple[float, float]:
        """Share of pads in the places of source and target."""
        return 1 - self.source / max(1, self.source_places), 1 - self.target / max(1, self.target_places)

    @property
    def pads(self) -> float:
        """Share of pads in all places."""
        return 1 - (self.source + self.target) / max(1, self.source_places + self.target_places)


def tokens_of(batch: Batch) -> Tokens:
    """The tokens of one batch."""
    source, target = batch.source_lengths, batch.target_lengths
    return Tokens(int(source.sum()), int(target.sum()), int(source @ target), batch.source.size, batch.target.size)


def multiply_adds(model: ModelConfig, vocabulary: int, n: Tokens) -> dict[str, int]:
    """Multiply-adds of one forward pass, by section: each weight of a layer is used once a token. `vocabulary`: V; all sizes settled."""
    weights = {name: math.prod(shape) for name, shape in shapes(model, 0, vocabulary).items() if len(shape) == 2}
    encoder, decoder, readout = (
        sum(size for name, size in weights.items() if name.startswith(part)) for part in ("encoder.", "decoder.", "readout.w_")
    )
    keys, queries, pairs = attention.multiply_adds(model)
    steps = {s.DECODER: n.target * decoder, s.ATTENTION: n.target * (readout + queries) + n.cells * pairs}
    return {
        s.ENCODER: n.source * (encoder + keys),
        **({s.FED: sum(steps.values())} if model.input_feeding else steps),
        s.OUTPUT: n.target * weights.get("readout.output", weights["target.embedding"]),
    }


@dataclass(frozen=True)
class Rates:
    """What a machine reaches at best: `operations` a second in a large product (two to a multiply-add), `bytes` a second in a large copy."""

    operations: float
    bytes: float

    def products(self, multiply_adds: float) -> float:
        """Seconds that these take at least."""
        return 2 * multiply_adds / self.operations

    def updates(self, parameters: int, steps: int) -> float:
        """Seconds that clipping and Adam take at least for so many numbers."""
        return TRAFFIC * parameters * steps / self.bytes

    def limits(self, work: dict[str, int], own: dict[str, int], parameters: int, steps: int) -> dict[str, float]:
        """Seconds at least, by section: of `work` forward and backward, of `own` words forward (both as `multiply_adds` has them)."""
        found = {s.OWN: self.products(sum(own.values())), s.CLIP: self.updates(parameters, steps)}
        for part, n in work.items():
            forward = PASSES if part == s.OUTPUT else 1  # whose gradients are formed in its forward pass (`jumok.learn.loss`)
            found |= {part: self.products(forward * n), s.backward(part): self.products((PASSES - forward) * n)}
        return {name: seconds for name, seconds in found.items() if seconds}


def rates(machine: Machine) -> Rates:
    """Measured now, under the machine's settings, which must be on: half a second to some seconds."""
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
