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
