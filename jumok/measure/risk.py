"""Metrics as utilities, for decoding by minimum Bayes risk: how good each of several texts is where another of them is right.

Letters: M texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jumok.errors import need
from jumok.measure.metrics import METRICS, MeasureOptions, measure

if TYPE_CHECKING:
    from jumok.decode.translator import Translator

Array = np.ndarray

CHAR_ORDER, BETA = 6, 2  # of chrF2, as in sacrebleu


def utility_of(name: str, model: Translator) -> Callable[[Sequence[str]], Array]:
    """`utilities` by a metric, with the options with which the model was measured in training. MissingExtra without its package."""
    from jumok.measure.evaluating import trained_options

    needed = METRICS[name].needs
    if needed and name not in FASTER:
        need(f"the metric {name}", "train", needed)
    options = trained_options(model)
    return lambda texts: utilities(name, texts, options)


def utilities(name: str, texts: Sequence[str], options: MeasureOptions) -> Array:
    """[M, M] float64: row i, column j is the metric of text i where text j is the reference; for an error rate its negative.

    Each is measured like a file of one line. Equal texts have the best value, 100, or 0 for an error rate; a text has the worst
    where the reference is empty: 0, or -100.
    """
    sign, best, worst = (1, 100.0, 0.0) if METRICS[name].higher_is_better else (-1, 0.0, -100.0)
    forms = [options.comparable(text) for text in texts]
    if name in FASTER:
        return FASTER[name](forms)
    found = np.full((len(texts), len(texts)), worst)
    for i, text in enumerate(forms):
        for j, reference in enumerate(forms):
            if text == reference:
                found[i, j] = best
            elif reference:
                found[i, j] = sign * measure(name, [text], [[reference]], options).value
    return found


def _chrf(texts: Sequence[str]) -> Array:
    """chrF2 (Popović 2015) of all pairs at once: each text's n-grams are counted only once."""
    squeezed = ["".join(text.split()) for text in texts]
    precision, recall, orders = (np.zeros((len(texts), len(texts))) for _ in range(3))
    for n in range(1, CHAR_ORDER + 1):
        grams = [Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in squeezed]
        place = {gram: k for k, gram in enumerate(dict.fromkeys(gram for own in grams for gram in own))}
        counts = np.zeros((len(texts), len(place)), np.int32)
        for row, own in zip(counts, grams, strict=True):
            row[[place[gram] for gram in own]] = list(own.values())
        totals = counts.sum(1)
        matches = np.array([np.minimum(row, counts).sum(1) for row in counts])
        both = (totals[:, None] > 0) & (totals > 0)
        precision += matches / np.maximum(totals, 1)[:, None]
        recall += matches / np.maximum(totals, 1)
        orders += both
    precision, recall = precision / np.maximum(orders, 1), recall / np.maximum(orders, 1)
    found = (1 + BETA**2) * precision * recall / np.maximum(BETA**2 * precision + recall, 1e-300)
    return 100 * np.where([[a == b for a in texts] for b in texts], 1.0, found)


# metrics whose values of all pairs together take less time than one after the other: texts, as they are compared -> [M, M]
FASTER: dict[str, Callable[[Sequence[str]], Array]] = {"chrf": _chrf}
