"""Compares two translations of one source: where their outputs agree, and how far apart their attention is there.

Letters: T and U output steps of the first and the second, S source positions, N steps in which their outputs agree.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from jumok.explain.alignment import weights_of
from jumok.explain.data import attention_dict, laid_out, to_dict
from jumok.explain.labels import label
from jumok.explain.spread import total_variation
from jumok.runtime.translation import Translation

SCHEMA = "jumok.comparison/1"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two translations of one source, by two models or two searches.

    Attributes:
        names: what to call the two.
        translations: the two; either may be without weights.
        agree: N pairs (t, u), both rising: step t of the first wrote the same token as step u of the second.
        distance: [N] float64, total variation distance of the two steps' weights, from 0 (equal) to 1 (nothing in common).
            None if one has no weights, or the two read different source tokens.
    """

    names: tuple[str, str]
    translations: tuple[Translation, Translation]
    agree: tuple[tuple[int, int], ...]
    distance: np.ndarray | None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes both side by side to a file: .svg, .html, .csv or .json; an existing one is replaced. Errors as for `write`."""
        from jumok.explain.files import write

        write(self, path)

    def to_svg(self) -> str:
        """The two pictures as one `<svg>` element. Raises JumokError if neither has weights."""
        from jumok.explain.side_by_side import comparison_svg

        return comparison_svg(self)

    def to_html(self, whole_page: bool = True) -> str:
        """Both as an HTML page, or as one `<div>`; a page raises JumokError if neither has weights."""
        from jumok.explain.side_by_side import comparison_html

        return comparison_html(self, whole_page=whole_page)

    def _repr_html_(self) -> str:
        return self.to_html(whole_page=False)  # what a notebook shows


def compare(first: Translation, second: Translation, names: tuple[str, str] = ("first", "second")) -> Comparison:
    """Compares two translations: of two models, or of one model with two searches.

    Outputs agree in the tokens that `difflib` matches: those of the longest runs that both have in the same order.
    """
    matcher = SequenceMatcher(None, first.tokens, second.tokens, autojunk=False)
    agree = tuple((a + k, b + k) for a, b, size in matcher.get_matching_blocks() for k in range(size))
    distance = None
    if first.weights is not None and second.weights is not None and first.source_tokens == second.source_tokens:
        steps = np.array(agree, int).reshape(-1, 2)
        distance = total_variation(weights_of(first)[steps[:, 0]], weights_of(second)[steps[:, 1]])
    return Comparison(names, (first, second), agree, distance)


def rows(comparison: Comparison) -> list[tuple[int | None, int | None, float | None]]:
    """Steps (t, u, distance) from top to bottom, every step once: agreeing steps together, others with None."""
    first, second = comparison.translations
    steps: list[tuple[int | None, int | None, float | None]] = []
    t = u = 0
    for k, (a, b) in enumerate([*comparison.agree, (len(first.tokens), len(second.tokens))]):
        steps += [(step, None, None) for step in range(t, a)] + [(None, step, None) for step in range(u, b)]
        if k < len(comparison.agree):
            steps.append((a, b, None if comparison.distance is None else float(comparison.distance[k])))
        t, u = a + 1, b + 1
    return steps


def verdict(comparison: Comparison) -> str:
    """How far apart the two are, in words."""
    first, second = comparison.translations
    longest = max(len(first.tokens), len(second.tokens))
    text = f"outputs agree in {len(comparison.agree)} of {longest} steps"
    if comparison.distance is not None and len(comparison.distance):
        k = int(comparison.distance.argmax())
        token = label(first.tokens[comparison.agree[k][0]])
        return (
            f"{text}; there, attention is {comparison.distance.mean():.2f} apart (total variation, 0 to 1), "
            f"most at {token}: {comparison.distance[k]:.2f}"
        )
    if first.weights is not None and second.weights is not None and first.source_tokens != second.source_tokens:
        return text + "; attention cannot be compared: the two read different source tokens"
    return text


def comparison_json(comparison: Comparison) -> str:
    """JSON (schema jumok.comparison/1): names, the two translations as in `to_json`, agree, total_variation (or null)."""
    distance = comparison.distance
    return laid_out(
        {
            "schema": SCHEMA,
            "names": list(comparison.names),
            "translations": [to_dict(translation) for translation in comparison.translations],
            "agree": [list(steps) for steps in comparison.agree],
            "total_variation": None if distance is None else [round(float(d), 6) for d in distance],
        }
    )


def comparison_csv(comparison: Comparison) -> str:
    """RFC 4180 text, a row for each of `rows`: step, token, entropy and margin of the first, of the second, total variation;
    where both know the probabilities of their tokens, these stand in two last columns.

    Steps are counted from 1. Cells of a step without a partner, or of a model without attention, are empty.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    kinds = ("step", "token", "entropy (bits)", "margin")
    each = [translation.token_probabilities for translation in comparison.translations]
    sure = ["probability 1", "probability 2"] if all(p is not None for p in each) else []
    writer.writerow([*(f"{kind} {side}" for side in (1, 2) for kind in kinds), "total variation", *sure])
    numbers = [attention_dict(translation.weights) for translation in comparison.translations]
    for *steps, distance in rows(comparison):
        cells: list[object] = []
        for step, translation, attention in zip(steps, comparison.translations, numbers, strict=True):
            if step is None:
                cells += [""] * 4
            else:
                spread = ["", ""] if attention is None else [attention["entropy_bits"][step], attention["margin"][step]]
                cells += [step + 1, translation.tokens[step], *spread]
        cells.append("" if distance is None else round(distance, 6))
        if sure:
            cells += ["" if t is None or p is None else p[t] for t, p in zip(steps, each, strict=True)]
        writer.writerow(cells)
    return out.getvalue()
