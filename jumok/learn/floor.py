"""How long training must take at least: its multiply-adds at the rate of a large product, Adam's traffic at that of a large copy.

Counted on real tokens, without padding. What is no product (tanh, softmax, embeddings, dropout, the moving average) is left
out, so the floor lies a little below what any program could reach.

Letters as in `jumok.learn.model`: E embedding, H memory and state, h = H/2 in each of two directions, R readout, V target
vocabulary; A inner size of scores and windows, G gates of the cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from jumok.config import ModelConfig
from jumok.learn.machine import Machine
from jumok.runtime.cells import CELLS
from jumok.text import Batch

PASSES = 3  # a product's forward pass, and its gradients for input and for weight
TRAFFIC = 4 * (7 + 1)  # bytes a parameter and step: of 4 bytes, Adam reads 4 and writes 3, clipping reads 1
PRODUCT_SIDE = {"cpu": 1536, "cuda": 8192}
COPIED = {"cpu": 2**25, "cuda": 2**28}  # numbers, more than a cache holds


@dataclass(frozen=True)
class Tokens:
    """What batches hold, summed.

    Attributes:
        source, target: real tokens, `</s>` counted.
        cells: S · T summed over the pairs, what attention has to score.
        source_places, target_places: tokens and pads.
    """

    source: int = 0
    target: int = 0
    cells: int = 0
    source_places: int = 0
    target_places: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def tokens_of(batch: Batch) -> Tokens:
    """The tokens of one batch."""
    source, target = batch.source_lengths, batch.target_lengths
    return Tokens(int(source.sum()), int(target.sum()), int(source @ target), batch.source.size, batch.target.size)


def multiply_adds(model: ModelConfig, vocabulary: int, n: Tokens) -> dict[str, int]:
    """Multiply-adds of one forward pass, by part: encoder (with the attention's keys), decoder, attention (with the readout), output.

    Args:
        model: all its sizes settled.
        vocabulary: V.
    """
    E, H, R, A, G = model.embedding, model.hidden, model.readout_size, model.score_size, CELLS[model.cell].gates
    assert E and H and R and A
    directions = 2 if model.bidirectional else 1
    h = H // directions
    above = [H] * (model.layers - 1)
    fed = R if model.input_feeding else 0
    keys, queries, cell = {  # once for each source token, target token, and pair of the two; the context is the last H
        "none": (0, 0, 0),
        "dot": (0, 0, H + H),
        "general": (H * H, 0, H + H),
        "concat": (A * H, A * H, A + H),
        "location": (0, 0, H + H),
    }[model.attention]
    if model.window == "local-p":
        queries += A * H + A
    vectors = 1 if model.attention == "none" else 2  # h_t, and c_t
    tanh = model.readout == "tanh"
    read = n.target if model.alignment == "soft" else n.cells  # readouts that go through the output layer
    return {
        "encoder": n.source * (directions * sum(G * h * (I + h) for I in [E, *above]) + keys),
        "decoder": n.target * sum(G * H * (I + H) for I in [E + fed, *above]),
        "attention": n.target * (queries + (R * vectors * H if tanh else 0)) + n.cells * cell,
        "output": read * vocabulary * (R if tanh else vectors * H),
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


def rates(machine: Machine) -> Rates:
    """Measured now, under the machine's settings, which must be on: half a second to some seconds."""
    return Rates(_product_rate(machine), _copy_rate(machine))


def _product_rate(machine: Machine) -> float:
    n = PRODUCT_SIDE[machine.device]
    kind = torch.bfloat16 if machine.precision == "bfloat16" else torch.float32
    a = torch.linspace(-1, 1, n * n, device=machine.device).view(n, n).to(kind)
    b = a.t().contiguous()
    return 2 * n**3 / best(lambda: a @ b, machine)


def _copy_rate(machine: Machine) -> float:
    a = torch.ones(COPIED[machine.device], device=machine.device)
    b = torch.empty_like(a)
    return 2 * a.numel() * a.element_size() / best(lambda: b.copy_(a), machine)


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
