"""Ranking: the score that says which of two hypotheses is better.

To add a ranking, write a class with `score` and `bound` here, and say in `ranking_of` which options ask for it.

Letters: S source positions, T tokens of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jumok.config import SearchConfig

Attention = Callable[[], "np.ndarray | None"]  # computes the weights [T, S] of a hypothesis; None without attention


class Ranking(Protocol):
    """How hypotheses are ranked: a higher score is better."""

    def score(self, total: float, length: int, attention: Attention) -> float:
        """The score of a hypothesis that has ended or was cut, from its log-probability, number of tokens, and attention."""

    def bound(self, total: Any, length: Any) -> Any:
        """The highest score that a hypothesis with this log-probability and length can have; takes floats or arrays.

        It must rise with both: search stops early if no unfinished beam can reach a better score at the length limit.
        """


@dataclass(frozen=True)
class LengthPenalty:
    """log-probability / length ** power. With power 0 that is the log-probability, with 1 the mean over the tokens."""

    power: float = 1.0

    def score(self, total: Any, length: Any, attention: Attention | None = None) -> Any:
        """See `Ranking`; attention is not used."""
        return total / length**self.power

    def bound(self, total: Any, length: Any) -> Any:
        """The score itself."""
        return self.score(total, length)


def ranking_of(options: SearchConfig) -> Ranking:
    """The ranking that these options ask for."""
    return LengthPenalty(options.length_penalty)
