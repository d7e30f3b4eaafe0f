"""What a translation is: text, tokens, and the attention weights that go with every token.

Letters: T output steps (the end token is a step like any other), S source positions (the source's end token is one too).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

END = "</s>"
_SHOWN = 40  # characters of a text in `repr`


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


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
        log_probability: sum over the T tokens of their natural-log probabilities.
        score: what search ranked by: log_probability / T ** length_penalty.
        finished: whether the output ended with `</s>`.
        unknown: positions in source_tokens, counted from 0, of tokens and features that the model has never seen: it read `<unk>`.
        alternatives: further hypotheses of the n-best list, best first (empty unless asked for).
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

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        """Short, for lists of them."""
        T, S = len(self.tokens), len(self.source_tokens)
        weights = "no weights" if self.weights is None else f"weights {T} x {S}"
        more = f", {len(self.alternatives)} alternatives" if self.alternatives else ""
        cut = "" if self.finished else ", not finished"
        return f"<Translation {_short(self.source)} → {_short(self.text)}, score {self.score:.3f}, {weights}{more}{cut}>"

    def _repr_html_(self) -> str:
        from jumok.explain import to_html

        return to_html(self, whole_page=False)
