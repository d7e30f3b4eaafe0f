"""Automata: what an output may go on with, as states that each written token changes. `jumok.decode.following` runs them in a search.

    Begin     the output begins with a text, or with given tokens
    Without   texts do not occur in it
    Within    its words are those of a list
    Fresh     no n-gram is written twice
    Long      it has a least number of tokens
    Listed    it is one of a list (`jumok.decode.trie`)
    Having    texts occur in it (`jumok.decode.required`)

To add one, write a class with `start`, `allowed` and `after`. Texts are marked, and written as `jumok.text.pieces` says. The
beginning and the end of an output count as a blank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from jumok.text.pieces import Pieces, Ways, continues, in_word
from jumok.text.vocabulary import END, UNK

State = Any  # hashable; None: nothing may follow


class Allowed:
    """What may be written next: these tokens and no others; or, with `only` False, all tokens but these. Tokens are int [n]."""

    def __init__(self, tokens: Iterable[int], only: bool = False) -> None:
        self.tokens, self.only = np.array(list(tokens), np.int64), only


ALL = Allowed(())


class Automaton(Protocol):
    """What an output may go on with."""

    def start(self) -> State:
        """The state before the first token."""

    def allowed(self, state: State) -> Allowed:
        """What may be written next; END is a token like any other."""

    def after(self, state: State, token: int) -> State:
        """The state behind a further token; None behind one that was not allowed, or END."""


# -- over tokens -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Long:
    """At least this many tokens, END counted. The state is how many there are, as far as that matters."""

    least: int

    def start(self) -> State:
        return 0

    def allowed(self, state: State) -> Allowed:
        return Allowed((END,)) if state + 1 < self.least else ALL

    def after(self, state: State, token: int) -> State:
        return min(state + 1, self.least)


@dataclass(frozen=True)
class Fresh:
    """No n tokens in a row are written twice; END is never held back. The state is all tokens so far."""

    n: int

    def start(self) -> State:
        return ()

    def allowed(self, state: State) -> Allowed:
        last, n = state[len(state) - self.n + 1 :], self.n
        if len(state) < n:
            return ALL
        return Allowed({state[i + n - 1] for i in range(len(state) - n + 1) if state[i : i + n - 1] == last})

    def after(self, state: State, token: int) -> State:
        return (*state, token)


# -- over the characters that tokens write -----------------------------------------------------------------------------

# states of Begin behind the text: the next token may be any, or may not change the text's last character
FREE, CLOSED = "free", "closed"


class Begin:
    """The output begins with given tokens, and then with a text that other tokens write, the last of them perhaps in part.

    A state is how many of the tokens are written; then ("text", how many of its characters); then CLOSED or FREE.
    """

    def __init__(self, pieces: Pieces, tokens: Sequence[int], ways: Ways | None) -> None:
        self.pieces, self.tokens, self.ways = pieces, tokens, ways
        self.continuing = _continuing(pieces) if ways is not None else ALL

    def start(self) -> State:
        return self._state(0)

    def _state(self, written: int) -> State:
        if written < len(self.tokens):
            return written
        return FREE if self.ways is None else ("text", 0)

    def allowed(self, state: State) -> Allowed:
        if state == FREE:
            return ALL
        if state == CLOSED:
            return self.continuing
        if isinstance(state, int):
            return Allowed((self.tokens[state],), only=True)
        assert self.ways is not None
        return Allowed((token for token, _ in self.ways.choices[state[1]]), only=True)

    def after(self, state: State, token: int) -> State:
        if state in (FREE, CLOSED):
            return FREE
        if isinstance(state, int):
            return self._state(state + 1)
        assert self.ways is not None
        ways, at = self.ways, state[1]
        behind = next((behind for i, behind in ways.choices[at] if i == token), None)
        if behind is None or behind < len(ways.text):
            return None if behind is None else ("text", behind)
        return CLOSED if self.continuing is not ALL and at + len(self.pieces.texts[token]) == len(ways.text) else FREE


def _continuing(pieces: Pieces) -> Allowed:
    """All tokens but those that would change the character before them."""
    if not pieces.composes:
        return ALL
    return Allowed([i for c, node in pieces.tree.items() if c and continues(c) for i in pieces.below(node)])


Accepts = Callable[[str], bool]


class Patterns:
    """Patterns that are looked for in a text as it grows, all at once (shift-and; Baeza-Yates & Gonnet 1992).

    A state is a number with a bit for each place of each pattern: bit i says that the text ends in the pattern as far as i.

    Args:
        patterns: each a list of characters and functions that accept characters.
    """

    def __init__(self, patterns: Sequence[Sequence[str | Accepts]]) -> None:
        self.places = [place for pattern in patterns for place in pattern]
        self.first, self.last, at = 0, [], 0
        for pattern in patterns:
            self.first |= 1 << at
            at += len(pattern)
            self.last.append(1 << (at - 1))
        self.whole = sum(self.last)
        self._known: dict[str, int] = {}

    def step(self, state: int, c: str) -> int:
        """The state behind a further character; `state & whole` has the patterns that end with it."""
        accepted = self._known.get(c)
        if accepted is None:
            accepted = sum(
                1 << i for i, place in enumerate(self.places) if (place == c if isinstance(place, str) else place(c))
            )
            self._known[c] = accepted
        return ((state << 1) | self.first) & accepted


def closed(c: str) -> bool:
    """Whether a character leaves the one before it as it is."""
    return not continues(c)


NEW = "new"  # the state of Without before the first token


class Without:
    """None of these texts occurs in the output. A state is that of `Patterns`, or NEW."""

    def __init__(self, pieces: Pieces, texts: Iterable[str]) -> None:
        self.pieces = pieces
        form = pieces.side.tokenizer.in_form
        self.patterns = Patterns([[*form(text), *([closed] if pieces.composes else [])] for text in texts])
        self._banned: dict[State, Allowed] = {}

    def start(self) -> State:
        return NEW

    def allowed(self, state: State) -> Allowed:
        if state == NEW and state not in self._banned:
            self._banned[state] = Allowed(i for i in range(UNK, len(self.pieces.texts)) if self.after(state, i) is None)
        if state not in self._banned:
            banned = [*self._inside, *self._reaching(state)]
            banned += [UNK] if self.after(state, UNK) is None else []
            banned += [END] if self.patterns.step(state, " ") & self.patterns.whole else []
            self._banned[state] = Allowed(banned)
        return self._banned[state]

    @cached_property
    def _inside(self) -> list[int]:
        """The tokens in whose piece one of the texts occurs."""
        return [i for i, piece in enumerate(self.pieces.texts) if i > UNK and self.read(0, piece) is None]

    def _reaching(self, state: int) -> Iterator[int]:
        """Other tokens that would complete one of the texts, found where they differ from what follows state 0."""
        waiting = [(self.pieces.tree, state, 0)]
        while waiting:
            node, here, alone = waiting.pop()
            for c, inner in node.items():
                if c:
                    reached, other = self.patterns.step(here, c), self.patterns.step(alone, c)
                    if reached & self.patterns.whole:
                        yield from self.pieces.below(inner)
                    elif reached != other:
                        waiting.append((inner, reached, other))

    def after(self, state: State, token: int) -> State:
        return self.read(state, self.pieces.texts[token]) if token != END else None

    def read(self, state: State, text: str) -> State:
        """The state behind a further text; None if one of the texts occurs with it."""
        if state == NEW:  # the beginning counts as a blank, and no token brings another
            state = self.patterns.step(0, " ")
            text = text.removeprefix(self.pieces.lead)
        for c in text:
            state = self.patterns.step(state, c)
            if state & self.patterns.whole:
                return None
        return state

    def has(self, text: str) -> bool:
        """Whether one of the texts occurs in a whole output, given as marked text."""
        state = self.read(self.start(), text)
        return state is None or self.read(state, " ") is None


class Within:
    """Each word of the output is one of these; between words stand blanks and, but for tokens between blanks, punctuation.

    A state is the places that the text can be in: a set of nodes of the tree of words, whose root stands between two words.

    Args:
        banned: tokens that are not written, so that no word is begun that they would have to end.
    """

    def __init__(self, pieces: Pieces, words: Iterable[str], banned: frozenset[int] = frozenset()) -> None:
        self.pieces, self.banned = pieces, banned
        tokenizer = pieces.side.tokenizer
        self.between = (lambda c: c == " ") if tokenizer.between_blanks else (lambda c: not in_word(c))
        self.nodes: list[dict[str, int]] = [{}]  # a character -> the number of the next node
        self.ends = {0}
        for word in words:
            at = 0
            for c in tokenizer.in_form(word):
                if c not in self.nodes[at]:
                    self.nodes[at][c] = len(self.nodes)
                    self.nodes.append({})
                at = self.nodes[at][c]
            self.ends.add(at)
        self._allowed: dict[State, Allowed] = {}
        self._onward: dict[State, bool] = {}

    def start(self) -> State:
        return frozenset([0])

    def step(self, state: State, c: str) -> State:
        """The state behind a further character; an empty set if there is none."""
        reached = {self.nodes[at][c] for at in state if c in self.nodes[at]}
        if self.between(c) and not state.isdisjoint(self.ends):
            reached.add(0)
        return frozenset(reached)

    def allowed(self, state: State) -> Allowed:
        if state not in self._allowed:
            tokens = [token for token, reached in self._next(state) if self._leads_on(reached)]
            self._allowed[state] = Allowed(tokens + [END] * (not state.isdisjoint(self.ends)), only=True)
        return self._allowed[state]

    def _leads_on(self, state: State) -> bool:
        """Whether some tokens lead from here to the end of a word."""
        if state in self._onward:
            return self._onward[state]
        waiting, seen, found = [state], {state}, False
        while waiting and not found:
            here = waiting.pop()
            found = not here.isdisjoint(self.ends) or self._onward.get(here, False)
            fresh = {reached for _, reached in self._next(here)} - seen if not found else set()
            seen |= fresh
            waiting += fresh
        self._onward.update(dict.fromkeys([state] if found else seen, found))
        return found

    def _next(self, state: State) -> Iterator[tuple[int, State]]:
        """The tokens that keep to the words, each with the state behind it."""
        waiting = [(self.pieces.tree, state)]
        while waiting:
            node, here = waiting.pop()
            for c, inner in node.items():
                if not c:
                    yield from ((i, here) for i in inner if i not in self.banned)
                elif reached := self.step(here, c):
                    waiting.append((inner, reached))

    def after(self, state: State, token: int) -> State:
        return self.read(state, self.pieces.texts[token]) if token not in (END, UNK) else None

    def read(self, state: State, text: str) -> State:
        """The state behind a further text; None if it has another word."""
        for c in text:
            state = self.step(state, c)
        return state or None

    def has(self, text: str) -> bool:
        """Whether a whole output, given as marked text, keeps to the words."""
        state = self.read(self.start(), text)
        return state is not None and not state.isdisjoint(self.ends)
