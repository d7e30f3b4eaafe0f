"""Ranking: the score that says which of two hypotheses is better.

To add a ranking, write a class with `score` and `bound` here, and say in `ranking_of` which options ask for it.

Letters: s of S source positions, t of T tokens of a hypothesis, a_t(s) the attention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jumok.config import SearchConfig
from jumok.errors import ConfigError

LEAST = 1e-3  # of a position's coverage, before its logarithm

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


@dataclass(frozen=True)
class WuLengthPenalty:
    """log-probability / lp(y), lp(y) = (5 + length)^power / (5 + 1)^power (Wu et al. 2016, eq. 14). Short outputs differ less."""

    power: float = 1.0

    def score(self, total: Any, length: Any, attention: Attention | None = None) -> Any:
        """See `Ranking`; attention is not used."""
        return total / ((5 + length) / 6) ** self.power

    def bound(self, total: Any, length: Any) -> Any:
        """The score itself."""
        return self.score(total, length)


@dataclass(frozen=True)
class Covered:
    """Another ranking's score + β Σ_s ln min(Σ_t a_t(s), 1) (Wu et al. 2016, eq. 14): less for positions that little looked at.

    The attention is that of the steps, as search knows it: with a monotonic alignment where each token was expected to be
    written from, not the posterior. Every source position counts, features and the end token, too. One that was not looked at
    at all counts as if LEAST had: so the score stays finite.
    """

    ranking: Ranking
    beta: float

    def score(self, total: float, length: int, attention: Attention) -> float:
        """See `Ranking`. ConfigError if there is no attention."""
        weights = attention()
        if weights is None:
            raise ConfigError(
                f"coverage_penalty is {self.beta:g}, but this model has no attention to cover the source with; leave it out"
            )
        covered = np.clip(weights.sum(0, dtype=np.float64), LEAST, 1)
        return self.ranking.score(total, length, attention) + self.beta * float(np.log(covered).sum())

    def bound(self, total: Any, length: Any) -> Any:
        """That of the other ranking: the coverage takes away, and at best nothing."""
        return self.ranking.bound(total, length)


# --length-norm -> what the options make the power of
NORMS: dict[str, Callable[[float], Ranking]] = {"power": LengthPenalty, "wu": WuLengthPenalty}


def ranking_of(options: SearchConfig) -> Ranking:
    """The ranking that these options ask for."""
    ranking = NORMS[options.length_norm](options.length_penalty)
    return Covered(ranking, options.coverage_penalty) if options.coverage_penalty else ranking
