"""What a translation is: text, tokens, and the attention weights that go with every token.

Letters: T output steps (the end token is a step like any other), S source positions (the source's end token is one too).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

END_TOKEN = "</s>"
_SHOWN = 40  # characters of a text in `repr`


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


class _Late:
    """A field of an array. It can be set to a function, which is called when the field is first read."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> np.ndarray | None:
        if instance is None:
            raise AttributeError(self.name)  # like a field without a default, it has no value in the class
        value = instance.__dict__[self.name]
        if callable(value):
            value = instance.__dict__[self.name] = value()
        return value

    def __set__(self, instance: Any, value: np.ndarray | Callable[[], np.ndarray] | None) -> None:
        instance.__dict__[self.name] = value


@dataclass(frozen=True, eq=False)
class Translation:
    """One source line and what a model made of it.

    Attributes:
        source: the source line as it was given.
        text: the output as text (detokenized; without the end token).
        source_tokens: S tokens the encoder read, features included, `</s>` last.
        tokens: T tokens the decoder wrote; `</s>` last unless the length limit cut the output (then `finished` is False).
        weights: [T, S] float32, row t = attention over the source when token t was written; rows sum to 1.
            None for a model without attention and for an empty source.
        token_log_probabilities: [T] float32, the natural-log probability of each token given those before it. None where nothing
            says so: for an empty source, and in JSON from before they were written.
        weights_kind: what the weights are: "attention"; or "posterior", of a monotonic alignment: the probability that token t was
            written from each source position, given the whole output. These are computed when they are first read.
        copied: [T] float32, of a model trained with --copy: the probability that token t was copied from the source, given the whole
            output; computed when first read. Else None.
        log_probability: sum over the T tokens of their natural-log probabilities.
        score: what search ranked by: log_probability / T ** length_penalty, or as the options say; with `mbr` the expected utility.
        finished: whether the output ended with `</s>`.
        unknown: positions in source_tokens, counted from 0, of tokens and features that the model has never seen: it read `<unk>`.
        alternatives: further hypotheses of the n-best list, best first (empty unless asked for); or further samples, as drawn.
        replaced: with `unknown="copy"`: (position in tokens, position in source_tokens) of each `<unk>` in whose place the source token
            stands in `text`.
        columns: of a model with several sources: for each of source_tokens the column of the training pairs that it is from; 0 for
            features, `</s>` and what stands between two sources. Else ().
        problem: why there is no output, if the rules that were asked for leave none; the text is then empty, and not finished.
    """

    source: str
    text: str
    source_tokens: tuple[str, ...]
    tokens: tuple[str, ...]
    weights: np.ndarray | None
    log_probability: float
    score: float
    finished: bool = True
    unknown: tuple[int, ...] = ()
    alternatives: tuple[Translation, ...] = field(default=(), repr=False)
    weights_kind: str = "attention"
    token_log_probabilities: np.ndarray | None = field(default=None, repr=False)
    copied: np.ndarray | None = None
    replaced: tuple[tuple[int, int], ...] = ()
    problem: str = ""
    columns: tuple[int, ...] = ()

    @property
    def probability(self) -> float | None:
        """The probability of the whole output, from 0 to 1; None if nothing was written."""
        return math.exp(min(0.0, self.log_probability)) if self.tokens else None

    @property
    def token_probabilities(self) -> np.ndarray | None:
        """The probability of each token given those before it: [T] float32, from 0 to 1; None as `token_log_probabilities`."""
        each = self.token_log_probabilities
        return None if each is None else np.exp(np.minimum(each, 0))

    @property
    def weakest(self) -> int | None:
        """The position in `tokens` of the least likely token, the first among equals; None as `token_log_probabilities`."""
        each = self.token_log_probabilities
        return None if each is None or not len(each) else int(each.argmin())

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        """Short, for lists of them."""
        T, S = len(self.tokens), len(self.source_tokens)
        weights = "no weights" if vars(self)["weights"] is None else f"weights {T} x {S}"
        more = f", {len(self.alternatives)} alternatives" if self.alternatives else ""
        cut = f", {self.problem}" if self.problem else "" if self.finished else ", not finished"
        return f"<Translation {_short(self.source)} → {_short(self.text)}, score {self.score:.3f}, {weights}{more}{cut}>"

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: with arrays that were looked for, since what looks for them stays here."""
        return vars(self) | {"weights": self.weights, "copied": self.copied}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the translation into a file, over one that is there; the suffix chooses the form.

        `.svg`, `.html`, `.png` and `.pdf` (matplotlib, of the extra `plots`) draw its attention; `.csv` has the weights,
        `.json` all of it. Raises ConfigError for another suffix, MissingExtra where matplotlib is absent, and JumokError where
        there are no weights (`.json` does without them) or the path cannot be written.
        """
        from jumok.explain import write

        write(self, path)

    def to_svg(self) -> str:
        """The attention as one `<svg>` element, which also stands alone as a file. Raises JumokError without weights."""
        from jumok.explain import to_svg

        return to_svg(self)

    def to_html(self, whole_page: bool = True) -> str:
        """The attention as an HTML page that needs nothing from elsewhere; or, for a page of your own, as one `<div>`.

        Raises JumokError without weights; the `<div>` then has the text alone.
        """
        from jumok.explain import to_html

        return to_html(self, whole_page=whole_page)

    def _repr_html_(self) -> str:
        return self.to_html(whole_page=False)  # what a notebook shows


Translation.weights = _Late("weights")  # type: ignore[assignment]
Translation.copied = _Late("copied")  # type: ignore[assignment]
