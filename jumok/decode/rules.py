"""What may not be written: rules that change a step's logits before search chooses among them.

A rule is a function `(past, logits) -> logits`: what the rows have behind them, see `jumok.decode.hypotheses.Past`, and the
logits of the next token, float32 [N, V], one row a hypothesis, which the rule may write to. -inf forbids a token. The
log-probability that search counts stays the model's own, since it is normalised before: as in `Backend.score`.

To add a rule, write it here. Letters: N rows (hypotheses), V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jumok.decode.hypotheses import Past
from jumok.text.vocabulary import PAD, START

Rule = Callable[[Past, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Never:
    """These tokens are never written."""

    tokens: tuple[int, ...]

    def __call__(self, past: Past, logits: np.ndarray) -> np.ndarray:
        for token in self.tokens:
            logits[:, token] = -np.inf
        return logits


NEVER = (PAD, START)  # what no model may write, in search as in training's free running
RULES: tuple[Rule, ...] = (Never(NEVER),)  # hold for every output; further rules come after them


def never(rules: Sequence[Rule]) -> tuple[int, ...] | None:
    """The tokens that are forbidden at every step, if rules say nothing else; else None."""
    tokens: list[int] = []
    for rule in rules:
        if not isinstance(rule, Never):
            return None
        tokens += rule.tokens
    return tuple(tokens)
