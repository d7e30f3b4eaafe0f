"""The guard: a batch whose gradient is not finite does not touch the weights, is named, and ends a run that has many.

A loss that is not finite gives a gradient that is not, so the gradient's norm, which clipping needs anyway, tells both; and it
is the same in every process of a run. The norm stays on the device: the fused Adam takes `found_inf`, a number in the
device's memory, and where it is 1 the kernel leaves weights, moments and step count alone, exactly (it is how torch's own
GradScaler skips a step). So nobody waits for the GPU. Which batches were bad is read now and then, and is no later than the
next evaluation or checkpoint; since the weights are as good as before, being late does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from jumok.config import LearnConfig
from jumok.errors import TrainingError
from jumok.text import Batch

MOST_IN_A_ROW = 10  # bad batches one after the other are no accident of the data: the weights have run away


class Counts(Protocol):
    """Where the count of bad batches is kept."""

    bad_in_a_row: int


@dataclass(frozen=True)
class _Seen:
    """A batch whose flag was not read yet."""

    step: int
    batch: Batch
    tokens: int
    bad: Tensor


class Guard:
    """Stands between the gradient and the optimizer.

    Args:
        learn: `on_bad_loss`, and the learning rate to name.
        describe: says in words which batch one is.
        note: called with a line for every batch that was skipped.
    """

    def __init__(self, learn: LearnConfig, describe: Callable[[Batch], str], note: Callable[[str], None]) -> None:
        self.learn, self.describe, self.note = learn, describe, note
        self.bad = torch.zeros(())  # of the newest step: 1 or 0, on the device
        self.unread: list[_Seen] = []

    def step(self, norm: Tensor, update: Callable[[Tensor], None]) -> None:
        """Calls `update` with 1 where the gradient's norm is not finite, so that it changes nothing; else with 0."""
        self.bad = norm.isfinite().logical_not().float()
        update(self.bad)

    def only_good(self, loss: Tensor) -> Tensor:
        """The newest step's loss, 0 where the step was skipped."""
        return loss.masked_fill(self.bad.bool(), 0.0)

    def saw(self, step: int, batch: Batch, tokens: int) -> None:
        """Takes note of the batch of the newest step, to look at later."""
        self.unread.append(_Seen(step, batch, tokens, self.bad))

    def read(self, counts: Counts) -> tuple[int, int]:
        """Reads what became of the batches seen since the last time; returns how many were skipped, and their tokens.

        Raises:
            TrainingError: one was bad and the run is to stop at that, or too many were, one after the other.
        """
        if not self.unread:
            return 0, 0
        seen, self.unread = self.unread, []
        flags = torch.stack([s.bad for s in seen]).tolist()
        bad = [s for s, flag in zip(seen, flags, strict=True) if flag]
        for s, flag in zip(seen, flags, strict=True):
            counts.bad_in_a_row = counts.bad_in_a_row + 1 if flag else 0
            if flag:
                self._report(s, counts.bad_in_a_row)
        return len(bad), sum(s.tokens for s in bad)

    def _report(self, seen: _Seen, in_a_row: int) -> None:
        what = f"step {seen.step:,}: the loss or its gradient is not finite, batch of {self.describe(seen.batch)}"
        kept = "the weights are as they were before it, and the best model so far is kept"
        rate = self.learn.learning_rate
        if self.learn.on_bad_loss == "stop":
            raise TrainingError(f"{what}; {kept}; try a lower --learning-rate than {rate:g}, or --on-bad-loss skip")
        if in_a_row >= MOST_IN_A_ROW:
            raise TrainingError(
                f"{what}; it is the {in_a_row}th in a row: the weights have run away; the best model so far is kept; "
                f"try a lower --learning-rate than {rate:g}"
            )
        self.note(f"warning: {what}: skipped")
