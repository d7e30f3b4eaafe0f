"""Metrics as utilities, for decoding by minimum Bayes risk: how good is each of several texts where another of them is right?

Letters: M texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jumok.errors import need
from jumok.measure.metrics import METRICS, MeasureOptions, measure

if TYPE_CHECKING:
    from jumok.decode.translator import Translator


def utility_of(name: str, model: Translator) -> Callable[[Sequence[str]], np.ndarray]:
    """`utilities` by a metric, with the options with which the model was measured in training. MissingExtra without its package."""
    from jumok.measure.evaluating import trained_options

    if needed := METRICS[name].needs:
        need(f"the metric {name}", "train", needed)
    options = trained_options(model)
    return lambda texts: utilities(name, texts, options)


def utilities(name: str, texts: Sequence[str], options: MeasureOptions) -> np.ndarray:
    """[M, M] float64: row i, column j is the metric of text i where text j is the reference; for an error rate its negative.

    Each is measured like a file of one line. Equal texts have the best value, 100, or 0 for an error rate; a text has the worst
    where the reference is empty: 0, or -100.
    """
    sign, best, worst = (1, 100.0, 0.0) if METRICS[name].higher_is_better else (-1, 0.0, -100.0)
    forms = [options.comparable(text) for text in texts]
    found = np.full((len(texts), len(texts)), worst)
    for i, text in enumerate(forms):
        for j, reference in enumerate(forms):
            if text == reference:
                found[i, j] = best
            elif reference:
                found[i, j] = sign * measure(name, [text], [[reference]], options).value
    return found
