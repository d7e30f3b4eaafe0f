"""A step in, a number out: how the learning rate runs over training.

Every schedule is a plain function of `progress`, the share of training that is done (0 to 1), so that the same shape fits
a run of any length. To add a shape, write it here and give it a line in `DECAYS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

DECAYS: dict[str, Callable[[float], float]] = {
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),  # Loshchilov & Hutter 2017, eq. 5
    "linear": lambda progress: 1 - progress,
    "constant": lambda progress: 1.0,
}


def learning_rate(step: int, steps: int, highest: float, warmup: float, decay: str) -> float:
    """The rate of update number `step` (0-based) out of `steps`.

    It rises in a straight line over the first `warmup` share of the steps, then falls from `highest` along DECAYS[decay].
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return highest * (step + 1) / rising
    return highest * DECAYS[decay]((step - rising) / max(1, steps - rising))


# Share of gold tokens that the decoder reads, over `progress` of training; `end` is the share at the end (Bengio et al. 2015,
# sec. 2.4, over training steps). two-phase is a step of its own, taken where `switch` or patience says.
TEACHER_FORCING: dict[str, Callable[[float, float], float]] = {
    "always": lambda progress, end: 1.0,
    "never": lambda progress, end: 0.0,
    "two-phase": lambda progress, end: 1.0,  # until the switch; see gold_share
    "linear": lambda progress, end: 1 - (1 - end) * progress,
    "exponential": lambda progress, end: max(end, 0.01) ** progress,
    "inverse-sigmoid": lambda progress, end: end + (1 - end) / (1 + math.exp((progress - 0.5) / 0.1)),  # k ln k = half way
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
