"""Which evaluation is the best: by the metric; where that ties by finer measures, down to the dev loss; else the latest.

An entry is a dict of one evaluation, as in `history.json`: its measures by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jumok.measure import METRICS

FINER = ("token-error-rate", "loss")
NOTHING_RIGHT = 100.0  # token error rate of an empty output; as a finer measure, more tells nothing
SHOWN = 0.005  # a score below is shown as 0.00, and counts as 0: what a few n-grams by chance are worth

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Judgement:
    """What an evaluation comes to.

    Attributes:
        best: its model is the one to keep.
        stale: evaluations that have passed without a better one, it included.
    """

    best: bool
    stale: int


@dataclass(frozen=True)
class Choice:
    """How evaluations are compared.

    Attributes:
        metric: the name of a metric, or loss.
    """

    metric: str

    @property
    def measures(self) -> tuple[str, ...]:
        """What is compared, first things first: the metric, then finer measures, the loss last."""
        return ("loss",) if self.metric == "loss" else tuple(dict.fromkeys((self.metric, *FINER)))

    def rank(self, entry: Entry) -> tuple[float, ...] | None:
        """How good an evaluation is, a number for each measure, higher better; None where one is not finite: it never wins.

        A finer measure that was not taken is the same for all.
        """
        taken = [name for name in self.measures if name == self.metric or name in entry]
        if not all(math.isfinite(entry[name]) for name in (*taken, "loss")):
            return None
        return tuple(self._goodness(name, entry[name]) if name in taken else 0.0 for name in self.measures)

    def _goodness(self, name: str, value: float) -> float:
        if name == "loss" or not METRICS[name].higher_is_better:
            return -value if name in (self.metric, "loss") else -min(value, NOTHING_RIGHT)
        return value if value >= SHOWN else 0.0

    def better(self, new: Entry, old: Entry | None) -> bool:
        """Whether `new`, the later one, is kept instead of `old`: it is better, or in nothing worse."""
        rank = self.rank(new)
        before = None if old is None else self.rank(old)
        return rank is not None and (before is None or rank >= before)

    def judge(self, new: Entry, best: Entry | None, before: Sequence[Entry], stale: int) -> Judgement:
        """What the newest evaluation comes to.

        One that is better sets `stale` back to 0. One at which nothing could be told leaves it as it is: in nothing different
        from the best; or equal to it in the metric, and in one of the finer measures better than all before, though not in the
        first that differs.

        Args:
            best: the evaluation whose model is kept; None before there is one.
            before: all evaluations before it.
            stale: evaluations without a better one so far.
        """
        if self.better(new, best):
            same = best is not None and self.rank(new) == self.rank(best)
            return Judgement(best=True, stale=stale if same else 0)
        rank, kept = self.rank(new), None if best is None else self.rank(best)
        if rank is None or kept is None or rank[0] < kept[0]:
            return Judgement(best=False, stale=stale + 1)
        ranks = [found for entry in before if (found := self.rank(entry)) is not None]
        gains = any(rank[i] > max(found[i] for found in ranks) for i in range(1, len(rank)))
        return Judgement(best=False, stale=stale if gains else stale + 1)

    def remark(self, history: Sequence[Entry]) -> str | None:
        """What a person should know at the end: that the metric was the same at every evaluation, and what chose instead.

        None where it was not, or where there was nothing to choose from.
        """
        ranks = [rank for entry in history if (rank := self.rank(entry)) is not None]
        if self.metric == "loss" or len(ranks) < 2 or len({rank[0] for rank in ranks}) > 1:
            return None
        deciding, left = [], ranks
        for i, name in enumerate(self.measures):
            if len({rank[i] for rank in left}) > 1:
                deciding.append("dev loss" if name == "loss" else METRICS[name].title)
                highest = max(rank[i] for rank in left)
                left = [rank for rank in left if rank[i] == highest]
        chosen = f"the model was chosen by {' and '.join(deciding)}" if deciding else "the last model was kept"
        metric, value = METRICS[self.metric], next(entry[self.metric] for entry in history if self.rank(entry) is not None)
        nothing = value < SHOWN if metric.higher_is_better else value >= NOTHING_RIGHT
        advice = metric.advice if nothing else ""
        return f"{metric.title} was {value:.2f} at every evaluation; {chosen}" + (f"; {advice}" if advice else "")
