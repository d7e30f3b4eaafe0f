"""Rules: functions that change the logits of a step before search chooses a token, for example to forbid some.

A rule is a function `(past, logits) -> logits`. `past` is what the rows have written so far (`jumok.decode.hypotheses.Past`).
`logits` are those of the next token, float32 [N, V], a row for each hypothesis; the rule may write to them. -inf forbids a
token. Log-probabilities are normalised before rules apply, so that they stay the model's, as in `Backend.score`.

To add a rule, write it here, or as an automaton in `jumok.decode.automata`, for which `jumok.decode.following` is the rule. Letters: N rows (hypotheses), V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jumok.decode.hypotheses import Past
from jumok.text.vocabulary import PAD, START

Rule = Callable[[Past, np.ndarray], np.ndarray]

FEW = 4  # up to so many columns, one after the other is faster


@dataclass(frozen=True)
class Never:
    """These tokens are never written."""

    tokens: tuple[int, ...]

    def __call__(self, past: Past, logits: np.ndarray) -> np.ndarray:
        if len(self.tokens) > FEW:
            logits[:, list(self.tokens)] = -np.inf
        else:
            for token in self.tokens:
                logits[:, token] = -np.inf
        return logits


NEVER = (PAD, START)  # tokens that no model may write, in search and in free running
RULES: tuple[Rule, ...] = (Never(NEVER),)  # for every output; put further rules behind them


def never(rules: Sequence[Rule]) -> tuple[int, ...] | None:
    """The tokens that are forbidden at every step, if that is all that the rules say; else None."""
    tokens: list[int] = []
    for rule in rules:
        if not isinstance(rule, Never):
            return None
        tokens += rule.tokens
    return tuple(tokens)
