"""A step in, a number out: how the learning rate runs over training.

Every schedule is a plain function of `progress`, the share of training that is done (0 to 1), so that the same shape fits
a run of any length. To add a shape, write it here and give it a line in `DECAYS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def _cosine(progress: float) -> float:
    """Loshchilov & Hutter 2017, eq. 5."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _linear(progress: float) -> float:
    return 1 - progress


def _constant(progress: float) -> float:
    return 1.0


DECAYS: dict[str, Callable[[float], float]] = {"cosine": _cosine, "linear": _linear, "constant": _constant}


def learning_rate(step: int, steps: int, highest: float, warmup: float, decay: str) -> float:
    """The rate of update number `step` (0-based) out of `steps`.

    It rises in a straight line over the first `warmup` share of the steps, then falls from `highest` along DECAYS[decay].
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return highest * (step + 1) / rising
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
    """k ln k is half way."""
    return end + (1 - end) / (1 + math.exp((progress - 0.5) / 0.1))


# Share of gold tokens that the decoder reads, over `progress` of training; `end` is the share at the end (Bengio et al. 2015,
# sec. 2.4, over training steps). two-phase is a step of its own, taken where `switch` or patience says.
TEACHER_FORCING: dict[str, Callable[[float, float], float]] = {
    "always": _always,
    "never": _never,
    "two-phase": _always,  # until the switch; see gold_share
    "linear": _linearly,
    "exponential": _exponentially,
    "inverse-sigmoid": _by_inverse_sigmoid,
}


def gold_share(name: str, step: float, steps: int, end: float, switched: float) -> float:
    """Probability that the decoder reads gold at update number `step` (0-based) out of `steps`.

    Args:
        name: key of TEACHER_FORCING.
        end: the share that falling schedules reach at the end, and two-phase after its switch.
        switched: the step at which a two-phase run goes over to its second phase.
    """
    if name == "two-phase" and step >= switched:
        return end
    return TEACHER_FORCING[name](step / max(1, steps), end)
