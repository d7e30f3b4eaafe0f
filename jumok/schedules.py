"""Schedules: the learning rate, and the share of gold tokens that the decoder reads, as functions of the step.

The shape of a schedule is a function of `progress`, the share of training that is done (0 to 1), so that it fits a run of any
length. To add a shape, write it here and give it a line in `DECAYS`, or in `TEACHER_FORCING`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


def _cosine(progress: float) -> float:
    """Loshchilov & Hutter 2017, eq. 5."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _linear(progress: float) -> float:
    return 1 - progress


def _constant(progress: float) -> float:
    return 1.0


DECAYS: dict[str, Callable[[float], float]] = {
    "cosine": _cosine,
    "linear": _linear,
    "constant": _constant,
}


def learning_rate(step: float, steps: int, highest: float, warmup: float, decay: str) -> float:
    """The learning rate of update number `step` (from 0) of `steps`.

    It rises linearly over the first `warmup` share of the steps, then falls from `highest` along DECAYS[decay].
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return min(highest, highest * (step + 1) / rising)  # a step between two whole ones may be near the top
    return highest * DECAYS[decay]((step - rising) / max(1, steps - rising))


def _always(progress: float, end: float) -> float:
    return 1.0


def _never(progress: float, end: float) -> float:
    return 0.0


def _linearly(progress: float, end: float) -> float:
    return 1 - (1 - end) * progress


def _exponentially(progress: float, end: float) -> float:
    return max(end, 0.01) ** progress


def _by_inverse_sigmoid(progress: float, end: float) -> float:
    """Bengio et al. 2015, sec. 2.4, with its steepest point at half of the training."""
    return end + (1 - end) / (1 + math.exp((progress - 0.5) / 0.1))


@dataclass(frozen=True)
class Forcing:
    """How often the decoder reads gold tokens, over training.

    Attributes:
        share: (progress, end) -> share of gold tokens; `end` is the share at the end (Bengio et al. 2015, sec. 2.4, over steps).
        note: a description, for the study of exposure.
        mixed: whether gold and own tokens are mixed during the whole training.
        switches: whether there is a second phase with the share `end`; the option `switch`, or patience, says when it begins.
    """

    share: Callable[[float, float], float]
    note: str
    mixed: bool = False
    switches: bool = False


TEACHER_FORCING: dict[str, Forcing] = {
    "always": Forcing(_always, "teacher forcing: the decoder always reads gold"),
    "two-phase": Forcing(_always, "teacher forcing first, then its own tokens (--switch, --gold-at-end)", switches=True),
    "linear": Forcing(_linearly, "the share of gold falls in a line over training", mixed=True),
    "exponential": Forcing(_exponentially, "the share of gold falls by the same factor in every step", mixed=True),
    "inverse-sigmoid": Forcing(
        _by_inverse_sigmoid,
        "the share of gold falls along an inverse sigmoid (Bengio et al. 2015)",
        mixed=True,
    ),
    "never": Forcing(_never, "free running from the first step"),
}


def gold_share(name: str, step: float, steps: int, end: float, switched: float) -> float:
    """The probability that the decoder reads gold tokens at update number `step` (from 0) of `steps`.

    Args:
        name: a key of TEACHER_FORCING.
        end: the share that falling schedules reach at the end, and two-phase in its second phase.
        switched: the step at which the second phase begins, if there is one.
    """
    forcing = TEACHER_FORCING[name]
    if forcing.switches and step >= switched:
        return end
    return forcing.share(step / max(1, steps), end)
