"""How many steps a run has, and how far in its schedule each is; with --minutes, planned anew as the machine gets slower or faster.

A run of a given number of steps has that number, and its schedule follows the steps. A run of --minutes begins with as many as the
calibration says, and looks at the clock after each step (several, where they are short). Where the steps that are left do not fit the time
that is left, there are as many as fit from then on; what is left of the schedule is spread over them. So the schedule follows the
share of the time that is used, never jumps, and is at its end when the time is.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

END = 0.99  # of --minutes, at which the last evaluation and all writing is to be over; a process needs a moment to go
WINDOW = 64  # looks at the clock that tell how long a step takes
STALL = 4.0  # a step that takes so many times the median is a stall, and does not tell how long the next ones take
TOLERANCE = 0.005  # of --minutes: a plan that fits so well stays
SHORT, LOOK = 0.05, 20  # steps of fewer seconds are looked at 20 together
STORED = ("steps", "total", "since", "progress", "step", "evaluation", "first")


def clock() -> float:
    """Seconds."""
    return time.perf_counter()


@dataclass
class Plan:
    """The steps of a run. With `total` None, nothing changes.

    Attributes:
        steps: updates in all, as planned now.
        total: seconds of --minutes for the whole run; None = its length is given in steps.
        start: when this sitting began, by `time.perf_counter`; before: seconds of earlier sittings.
        since, progress: from this step on the plan is as it is; the share of the schedule that was done then.
        step, evaluation: seconds that one takes; an evaluation with all that is written after it.
        first: the steps as they were planned first.
        agree: makes a value that of the lead, in all processes of a run.
    """

    steps: int
    total: float | None = None
    start: float = 0.0
    before: float = 0.0
    since: int = 0
    progress: float = 0.0
    step: float = 0.0
    evaluation: float = 0.0
    first: int = 0
    agree: Callable[[Any], Any] = lambda value: value
    _looks: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _mark: tuple[int, float] | None = None
    _began: float = 0.0

    def __post_init__(self) -> None:
        self.first = self.first or self.steps

    def place(self, step: int) -> float:
        """Where in a schedule of `steps` steps this step (from 0) is; the step itself, as long as the plan is the first."""
        if not self.since:
            return step
        done = (step - self.since) / max(1, self.steps - self.since)
        return self.steps * (self.progress + (1 - self.progress) * done)

    def used(self) -> float:
        """Seconds of the run so far, those of earlier sittings included."""
        return self.before + clock() - self.start

    def begins(self, step: int) -> None:
        """The clock runs for training steps from here on, where `step` are done."""
        self._mark = step, clock()

    def evaluates(self) -> None:
        """An evaluation begins, and the writing after it."""
        self._began = clock()

    def evaluated(self) -> None:
        """Both are over."""
        self.evaluation = clock() - self._began

    def saw(self, step: int, every: int) -> None:
        """After `step` steps: looks at the clock, if it is time for that, and plans anew if the plan does not fit.

        Args:
            every: steps from one evaluation to the next.
        """
        if self.total is None or not self._is_time(step):
            return
        before, then = self._mark or (step - 1, clock())
        now = clock()
        if not self._looks:
            self._looks.extend([self.step] * (WINDOW // 4))  # what was measured before counts, until more is known
        self._looks.append((now - then) / max(1, step - before))
        self._mark = step, now
        if step % every:  # else there is an evaluation now, and a new plan after it
            self.fit(step, every)

    def fit(self, step: int, every: int) -> None:
        """Plans the steps that are left after `step` into the time that is left, if those that are planned do not fit."""
        if self.total is None or step >= self.steps:
            return
        if self._looks:
            looks = np.array(self._looks)
            self.step = float(np.minimum(looks, STALL * np.median(looks)).mean())
        self.step, self.evaluation, left = self.agree([max(self.step, 1e-9), self.evaluation, END * self.total - self.used()])
        more = most_steps(step, every, self.step, self.evaluation, left)
        if abs(more - (self.steps - step)) * self.step > TOLERANCE * self.total or not more:
            self.progress, self.since, self.steps = self.place(step) / max(1, self.steps), step, step + more

    def _is_time(self, step: int) -> bool:
        return step % (LOOK if self.step < SHORT else 1) == 0 or step >= self.steps

    def to_dict(self) -> dict[str, Any]:
        """JSON values, for a checkpoint; none for a number of steps that was given."""
        return {} if self.total is None else {name: getattr(self, name) for name in STORED} | {"before": self.used()}

    def restored(self, values: dict[str, Any]) -> Plan:
        """The plan in a checkpoint, in this sitting. TypeError where something in it is unknown."""
        return dataclasses.replace(self, **values, _looks=deque(maxlen=WINDOW), _mark=None)


def most_steps(done: int, every: int, step: float, evaluation: float, left: float) -> int:
    """The most further steps for which there is time, with the evaluations on the way and one at the end; 0 if there is none.

    Args:
        done: steps so far; each multiple of `every` has an evaluation.
        step, evaluation, left: seconds that one takes, and that are left.
    """

    def needed(more: int) -> float:
        last = done + more
        return more * step + evaluation * (last // every - done // every + (last % every != 0))

    low, high = 0, max(1, math.floor(left / step) + 1) if left > 0 else 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if needed(middle) <= left else (low, middle)
    return low
