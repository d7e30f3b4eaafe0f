"""Minimum Bayes risk: of a model's outputs for a line, the one that is expected to be the best, whichever of them is right.

Letters: M different outputs, N hypotheses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jumok.config import SearchConfig
from jumok.decode.hypotheses import Hypothesis

if TYPE_CHECKING:
    from jumok.decode.translator import Translator

# M texts -> [M, M]: how good text i is where text j is right; more is better
Utility = Callable[[Sequence[str]], np.ndarray]
Found = tuple[Hypothesis, Any, Any]  # with its weights and copies, or what computes them


def utility_for(model: Translator, options: SearchConfig) -> Utility | None:
    """The utility that `mbr` asks for, as the model's outputs are measured; None where it asks for none.

    It comes from above: the metrics know what a translation is, and decoding knows none of them.
    """
    if not options.mbr:
        return None
    import jumok

    return jumok.measure.utility_of(options.mbr, model)


def pool(options: SearchConfig) -> SearchConfig:
    """The options of the search for the hypotheses that are compared: all samples, or all of the beam."""
    return options if not options.mbr or options.sample else replace(options, nbest=options.beam)


def least_risk(found: Sequence[Found], texts: Sequence[str], options: SearchConfig, utility: Utility) -> list[Found]:
    """The n-best list by expected utility Σ_j p_j u(i, j), which becomes the score (Kumar & Byrne 2004; Eikema & Aziz 2020).

    p is the share of the samples, or, in an n-best list, the hypothesis's share of the list's probability. Hypotheses of equal
    text are one, whose likeliest one is kept. Finished ones come first.

    Args:
        found: N hypotheses.
        texts: their texts.
        options: `sample` and `nbest`.
        utility: see `Utility`.
    """
    logs = np.array([h.log_probability for h, *_ in found])
    weights = np.ones(len(found)) if options.sample or logs.max() == -np.inf else np.exp(logs - logs.max())
    different = list(dict.fromkeys(texts))
    places = np.array([different.index(text) for text in texts])
    shares = np.bincount(places, weights) / weights.sum()
    expected = utility(different) @ shares
    likeliest = [max(np.flatnonzero(places == i).tolist(), key=lambda k: logs[k]) for i in range(len(different))]
    ranked = [(replace(found[k][0], score=float(e)), *found[k][1:]) for k, e in zip(likeliest, expected, strict=True)]
    return sorted(ranked, key=lambda one: (not one[0].finished, -one[0].score, -one[0].log_probability))[: options.nbest]
