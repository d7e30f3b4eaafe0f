"""The rule that follows automata through a search: each hypothesis has a state of each, which says what it may write next.

Letters: B sentences still searched, K beams a sentence, N = B·K rows, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jumok.decode.automata import Automaton, State
from jumok.decode.hypotheses import Past

Array = np.ndarray
States = tuple[State, ...]  # one of each automaton; empty behind a token that was not allowed


class Follow:
    """A rule, for one search: of the tokens, those that all automata of a sentence allow.

    Args:
        automata: for each sentence of the search its automata.

    Attributes:
        rows: the states of the N rows that were looked at last.
    """

    def __init__(self, automata: Sequence[Sequence[Automaton]]) -> None:
        self.automata = automata
        self.rows: list[States] = []
        self._steps = -1
        self._places: dict[int, int] = {}  # sentence -> its first row in `rows`

    def __call__(self, past: Past, logits: Array) -> Array:
        self.rows = self._states(past)
        self._steps = len(past.trail)
        self._places = {sentence: k * past.beams for k, sentence in enumerate(past.sentences.tolist())}
        for row, (sentence, states) in enumerate(zip(past.owners().tolist(), self.rows, strict=True)):
            for automaton, state in zip(self.automata[sentence], states, strict=bool(states)):
                allowed = automaton.allowed(state)
                if allowed.only:
                    kept = logits[row, allowed.tokens]
                    logits[row] = -np.inf
                    logits[row, allowed.tokens] = kept
                elif len(allowed.tokens):
                    logits[row, allowed.tokens] = -np.inf
        return logits

    def after(self, sentence: int, states: States, token: int) -> States:
        """The states behind a further token."""
        found = [
            automaton.after(state, token) for automaton, state in zip(self.automata[sentence], states, strict=bool(states))
        ]
        return () if any(state is None for state in found) else tuple(found)

    def _states(self, past: Past) -> list[States]:
        """From the states of the step before, if this rule has seen it, or else from all that is written."""
        owners = past.owners().tolist()
        if past.trail and self._steps == len(past.trail) - 1 and self._places.keys() >= set(owners):
            last = past.trail[-1]
            places = np.searchsorted(last.sentences, past.sentences)
            parents, tokens = last.parents[places].ravel().tolist(), last.tokens[places].ravel().tolist()
            return [
                self.after(sentence, self.rows[self._places[sentence] + parent], token)
                for sentence, parent, token in zip(owners, parents, tokens, strict=True)
            ]
        found = []
        for sentence, written in zip(owners, past.tokens().tolist(), strict=True):
            states: States = tuple(automaton.start() for automaton in self.automata[sentence])
            for token in written:
                states = self.after(sentence, states, token)
            found.append(states)
        return found
