"""The options of decoding: how a trained model is searched for its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


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
