"""The options of decoding: how a trained model is loaded, and how it is searched for its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional

EngineName = Literal["auto", "exact", "int8", "numpy"]


@dataclass(frozen=True)
class SearchConfig:
    """How a trained model is searched for its best output."""

    beam: int = 1
    """Hypotheses kept at each step; 1 = greedy."""
    nbest: int = 1
    """Hypotheses returned for a line (at most --beam)."""
    length_penalty: float = 1.0
    """Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation."""
    max_length: Optional[int] = None  # noqa: UP045 - tyro imports typeguard, 70 ms, to check an `int | None`
    """Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs."""
    batch_size: int = 64
    """Lines decoded together."""


@dataclass(frozen=True)
class LoadConfig:
    """How a trained model is loaded."""

    engine: EngineName = "auto"
    """What computes it: exact = compiled, the same bits on every machine; int8 = with weights of 8 bits, faster still; numpy;
    auto = exact where it is there. What the compiled engine does not know (docs/engine.md), NumPy computes."""
