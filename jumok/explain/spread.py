"""How attention is spread, in numbers and words: entropy and margin of each step, coverage of each source position, distances.

Letters: T output steps, S source positions; weights [T, S], rows sum to 1.
"""

from __future__ import annotations

import numpy as np

from jumok.explain.labels import label
from jumok.runtime.translation import Translation

LEAST = 0.05  # a position whose weight is below this at every step was never looked at; its column in the terminal is blank


def entropy(weights: np.ndarray) -> np.ndarray:
    """-Σ_s a_t(s) ln a_t(s) for each step: [T] float64 in nats, from 0 (one position) to ln S (all equal)."""
    a = weights.astype(np.float64)
    return np.maximum(-(a * np.log(np.where(a > 0, a, 1))).sum(axis=1), 0.0) + 0.0  # weights may be rounded; no negative zero


def entropy_bits(weights: np.ndarray) -> np.ndarray:
    """-Σ_s a_t(s) log₂ a_t(s) for each step: [T] float64, as `entropy` but in bits, as shown to people: at most log₂ S."""
    return entropy(weights) / np.log(2)


def margin(weights: np.ndarray) -> np.ndarray:
    """Largest minus second largest weight of each step: [T] float64, from 0 (a tie) to 1; S ≥ 1, and 1 if S is 1."""
    a = np.sort(weights.astype(np.float64), axis=1)
    return a[:, -1] - a[:, -2] if a.shape[1] > 1 else a[:, -1]


def coverage(weights: np.ndarray) -> np.ndarray:
    """Σ_t a_t(s) for each source position: [S] float64, summing to T; 1 is the attention of one whole step (Tu et al. 2016)."""
    return weights.sum(axis=0, dtype=np.float64)


def unseen(weights: np.ndarray, least: float = LEAST) -> np.ndarray:
    """Source positions whose weight is below `least` at every step: bool [S]; the mean is the share never looked at."""
    return weights.max(axis=0, initial=0.0) < least


def was_copied(translation: Translation) -> np.ndarray:
    """Output tokens that were more probably copied than not: bool [T]; none, of a model that does not copy."""
    none = np.zeros(len(translation.tokens), bool)
    return none if translation.copied is None else translation.copied >= 0.5


def total_variation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """½ Σ_s |a_t(s) - b_t(s)| of each row of two arrays [T, S]: [T] float64, from 0 (equal) to 1 (nothing in common)."""
    assert a.shape == b.shape, (a.shape, b.shape)
    return 0.5 * np.abs(a.astype(np.float64) - b.astype(np.float64)).sum(axis=1)


def in_words(translation: Translation) -> str:
    """A translation's attention in words, and its remarks."""
    return "; ".join([_attention_in_words(translation), *remarks(translation)])


def remarks(translation: Translation) -> list[str]:
    """What else a reader must know about a translation: tokens read as `<unk>`, an output that was cut."""
    notes = []
    if translation.unknown:
        named = " ".join(label(translation.source_tokens[i]) for i in translation.unknown[:8])
        notes.append(f"not known to the model, read as <unk>: {named}" + " …" * (len(translation.unknown) > 8))
    if translation.tokens and not translation.finished:
        notes.append("the output was cut at the length limit")
    return notes


def _attention_in_words(translation: Translation) -> str:
    weights = translation.weights
    if weights is None:
        return missing(translation)
    if not len(weights):
        return "nothing was written"
    left_out = [label(token) for token, out in zip(translation.source_tokens, unseen(weights), strict=True) if out]
    kind = "" if translation.weights_kind == "attention" else f"{translation.weights_kind} of the alignment: "
    looked = f"{kind}entropy {entropy_bits(weights).mean():.2f} bits a step, margin {100 * margin(weights).mean():.0f} %; "
    if translation.copied is not None:
        looked += f"copied: {int(was_copied(translation).sum())} of {len(weights)} output tokens; "
    if not left_out:
        return looked + "every source token was looked at"
    named = " ".join(left_out[:8]) + " …" * (len(left_out) > 8)
    share = 100 * len(left_out) / len(translation.source_tokens)
    return (
        looked + f"never looked at: {len(left_out)} of {len(translation.source_tokens)} source tokens ({share:.0f} %): {named}"
    )


def missing(translation: Translation) -> str:
    """Why there is no picture, in words."""
    if len(translation.source_tokens) == 0:
        return "no attention: an empty source is not read"
    if not len(translation.tokens):
        return "no attention: the source is too long to be read"
    return "no attention: the model was trained with attention none; its decoder knows the source only through its first state"
