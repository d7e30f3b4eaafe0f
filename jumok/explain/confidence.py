"""How sure a model was: the probability of each token, of the whole output, and of its weakest token, in numbers and words.

Letters: T output steps. A translation from before token probabilities were written has none; then nothing is shown.
"""

from __future__ import annotations

from typing import Any

from jumok.explain.labels import label
from jumok.runtime.translation import Translation

COLUMN = "p"  # the heading of the probabilities beside a heatmap


def percents(translation: Translation) -> list[str] | None:
    """The probability of each token for the eye, T texts such as "97%"; None if they are not known."""
    each = translation.token_probabilities
    return None if each is None else [f"{100 * p:.0f}%" for p in each.tolist()]


def column_of(translation: Translation) -> dict[str, list[str]]:
    """The column of probabilities beside a heatmap, under its heading; {} if they are not known."""
    texts = percents(translation)
    return {} if texts is None else {COLUMN: texts}


def confidence_dict(translation: Translation) -> dict[str, Any] | None:
    """For JSON, to six digits: probability of the whole output; weakest, the position of its least likely token, and that
    one's weakest_probability. None if nothing was written, or token probabilities are not known."""
    each, weakest = translation.token_probabilities, translation.weakest
    if each is None or weakest is None or translation.probability is None:
        return None
    return {
        "probability": float(f"{translation.probability:.6g}"),
        "weakest": weakest,
        "weakest_probability": float(f"{each[weakest]:.6g}"),
    }


def columns(translation: Translation) -> tuple[str, str]:
    """For plain output: the probability of the whole output and that of its weakest token, to four digits; both empty if nothing
    was written."""
    found = confidence_dict(translation)
    return ("", "") if found is None else (f"{found['probability']:.4g}", f"{found['weakest_probability']:.4g}")


def in_words(translation: Translation) -> str:
    """Probability of the whole output and of its weakest token; "" if they are not known."""
    found = confidence_dict(translation)
    if found is None:
        return ""
    token = label(translation.tokens[found["weakest"]])
    return f"probability {_percent(found['probability'])}, weakest token {token} {_percent(found['weakest_probability'])}"


def _percent(p: float) -> str:
    return f"{100 * p:.0f} %" if p >= 0.01 else f"{100 * p:.2g} %"
