"""What a pass over a batch takes: multiply-adds by part of the model, read off its arrays' shapes and counted in its formulas.

Counted on real tokens, without padding. S and T are source and target tokens, V is the target vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from jumok.config import ModelConfig
from jumok.net import sections as s
from jumok.net.attention import attend
from jumok.runtime.parameters import shapes
from jumok.scores import SCORES
from jumok.text import Batch
from jumok.windows import WINDOWS


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
    keys, queries, pairs = of_attention(model)
    steps = {s.DECODER: n.target * decoder, s.ATTENTION: n.target * (readout + queries) + n.cells * pairs}
    return {
        s.ENCODER: n.source * (encoder + keys),
        **({s.FED: sum(steps.values())} if model.input_feeding else steps),
        s.OUTPUT: (n.cells if model.alignment == "monotonic" else n.target)
        * weights.get("readout.output", weights["target.embedding"]),
    }


def of_attention(model: ModelConfig) -> tuple[int, int, int]:
    """Multiply-adds of score, window and context: for each source token, for each target token, and for each pair of the two.

    They are counted in the formulas as the tables have them, on a token or two of zeros.
    """
    if model.attention == "none":
        return 0, 0, 0
    score, window, (H, A) = SCORES[model.attention], WINDOWS.get(model.window), (model.hidden, model.score_size)
    assert H and A

    def whole(S: int, T: int) -> int:
        with torch.no_grad(), _Products() as products:
            p = {name: torch.zeros(shape) for name, shape in score.shapes(H, A, model.location_length).items()}
            memory, queries, mask = torch.zeros(1, S, H), torch.zeros(1, T, H), torch.ones(1, S, dtype=torch.bool)
            prior = None
            if window is not None:
                inside = {name: torch.zeros(shape) for name, shape in window.shapes(H, A).items()}
                prior = window.prior(torch, inside, queries, mask, torch.arange(T), model.window_size)
            attend(model.attention, p, queries, (score.keys(torch, p, memory), memory), mask, prior)
        return products.multiply_adds

    one, sources, targets, both = whole(1, 1), whole(2, 1), whole(1, 2), whole(2, 2)
    pairs = both - sources - targets + one
    return sources - one - pairs, targets - one - pairs, pairs


class _Products(TorchFunctionMode):
    """Counts the multiply-adds of every product (`@`) that is computed while it is entered."""

    multiply_adds = 0

    def __torch_function__(self, function: Any, types: Any, given: Sequence[Any] = (), more: Any = None) -> Any:
        product = function(*given, **(more or {}))
        if getattr(function, "__name__", "") in ("matmul", "__matmul__"):
            self.multiply_adds += product.numel() * given[0].shape[-1]
        return product
