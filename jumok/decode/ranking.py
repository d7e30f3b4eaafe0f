"""Which of two hypotheses is better: the score that search ranks by.

To add a ranking, write a class with `score` and `bound` here, and say in `ranking_of` which options ask for it.

Letters: S source positions, T tokens of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jumok.config import SearchConfig

Attention = Callable[[], "np.ndarray | None"]  # gives a hypothesis' weights [T, S], None without attention; costs when called


class Ranking(Protocol):
    """How hypotheses are ranked: a higher score is better."""

    def score(self, total: float, length: int, attention: Attention) -> float:
        """Of a hypothesis that ended or was cut: its log-probability, its number of tokens, what it looked at."""

    def bound(self, total: Any, length: Any) -> Any:
        """A score that none of this log-probability and length exceeds; floats or arrays alike.

        It rises with both: search stops early by the bound of what goes on, at the length limit.
        """


@dataclass(frozen=True)
class LengthPenalty:
    """log-probability / length ** power. 0: the log-probability itself; 1: the mean of a token."""

    power: float = 1.0

    def score(self, total: Any, length: Any, attention: Attention | None = None) -> Any:
        """See `Ranking`; attention plays no part."""
        return total / length**self.power

    def bound(self, total: Any, length: Any) -> Any:
        """The score itself."""
        return self.score(total, length)


def ranking_of(options: SearchConfig) -> Ranking:
    """The ranking that these options ask for."""
    return LengthPenalty(options.length_penalty)
