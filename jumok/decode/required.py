"""Texts that must occur: how far each hypothesis has come with them, and beams that keep hypotheses of every stage alive.

Post & Vilar 2018, "Fast Lexically Constrained Decoding with Dynamic Beam Allocation for Neural Machine Translation": the beam is
divided among banks; a hypothesis is in the bank of the number of required tokens that it has written. Here texts are found in what
is written, however it is cut into tokens; and every sentence's candidates also have each hypothesis's tokens that lead on in a text.

Letters: B sentences still searched, K beams a sentence, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from jumok.decode.automata import ALL, Accepts, Allowed, Patterns, State, closed
from jumok.decode.choice import best_continuations
from jumok.decode.following import Follow
from jumok.decode.hypotheses import Past
from jumok.text.pieces import Pieces, joins
from jumok.text.vocabulary import END

Array = np.ndarray
Place = tuple[int, int]  # of a continuation: the beam that it grew from, and the token


class Texts:
    """The required texts, as words: no letter or digit stands beside one that begins or ends with a letter or digit.

    Where tokens are characters, a text may stand anywhere; where they are parts between blanks, it is such parts.

    Attributes:
        total: the tokens of all texts: a beam needs one hypothesis more.
    """

    def __init__(self, pieces: Pieces, texts: Sequence[str]) -> None:
        self.pieces = pieces
        cut = [pieces.inner(text) for text in texts]
        self.patterns = Patterns([self._pattern("".join(own)) for own in cut])
        self.stages: list[tuple[int, int, int]] = []  # (text, its tokens so far, the bits of the patterns that say so)
        self.sizes = [len(own) for own in cut]
        self.total = sum(self.sizes)
        at = 0
        for k, own in enumerate(cut):
            places = self._pattern("".join(own))
            before = 0 if isinstance(places[0], str) else 1
            ends = [at + before + n - 1 for n in accumulate(map(len, own))]
            for token, end in enumerate(ends, 1):
                upto = ends[token] if token < len(ends) else at + len(places)
                self.stages.append((k, token, sum(1 << i for i in range(end, upto))))
            at += len(places)
        self.all = (1 << len(cut)) - 1
        self._advancing: dict[State, list[int]] = {}

    def _pattern(self, text: str) -> list[str | Accepts]:
        tokenizer = self.pieces.side.tokenizer
        if tokenizer.between_blanks:
            return [_blank, *text, _blank]
        ends: list[str | Accepts] = [closed] if self.pieces.composes else []
        if tokenizer.characters:
            return [*text, *ends]
        return [*([_apart] if joins(text[0]) else []), *text, *([_apart] if joins(text[-1]) else ends)]

    def start(self) -> State:
        """The state before the first token: (state of the patterns, bits of the texts that occurred)."""
        return self.read((0, 0), " ")

    def read(self, state: State, text: str) -> State:
        """The state behind a further text."""
        bits, met = state
        for c in text:
            bits = self.patterns.step(bits, c)
            if bits & self.patterns.whole:
                met |= sum(1 << k for k, last in enumerate(self.patterns.last) if bits & last)
        return bits, met

    def after(self, state: State, token: int) -> State:
        """The state behind a further token that is not END."""
        return self.read(state, self.pieces.texts[token])

    def complete(self, state: State) -> bool:
        """Whether all texts occur if the output ends here."""
        return state[1] == self.all or self.read(state, " ")[1] == self.all

    def has(self, text: str) -> bool:
        """Whether all texts occur in a whole output, given as marked text."""
        return self.complete(self.read(self.start(), text))

    def written(self, state: State) -> int:
        """How many of the texts' tokens are written: all of those that occurred, and of the others those of the furthest."""
        bits, met = state
        begun = max((token for k, token, own in self.stages if bits & own and not met >> k & 1), default=0)
        return begun + sum(size for k, size in enumerate(self.sizes) if met >> k & 1)

    def advancing(self, state: State) -> list[int]:
        """The tokens that lead on in a text."""
        if state not in self._advancing:
            before, waiting = self.written(state), [(self.pieces.tree, state)]
            found: list[int] = []
            while waiting:
                node, here = waiting.pop()
                for c, inner in node.items():
                    if not c:
                        found += inner if self.written(here) > before else []
                    elif (reached := self.read(here, c))[0] or reached[1] != here[1]:
                        waiting.append((inner, reached))
            self._advancing[state] = sorted(found)
        return self._advancing[state]


def _blank(c: str) -> bool:
    return c == " "


def _apart(c: str) -> bool:
    return not joins(c)


@dataclass(frozen=True)
class Having:
    """All required texts occur in an output of at most `limit` tokens. A state is (tokens written, state of the texts)."""

    texts: Texts
    limit: int

    def start(self) -> State:
        return 0, self.texts.start()

    def allowed(self, state: State) -> Allowed:
        n, inner = state
        if inner[1] == self.texts.all:
            return ALL
        end = [END] if self.texts.complete(inner) else []
        if n < self.limit - 1:
            return ALL if end else Allowed((END,))
        last = [i for i in self.texts.advancing(inner) if self.texts.complete(self.texts.after(inner, i))]
        return Allowed(last + end, only=True)

    def after(self, state: State, token: int) -> State:
        n, inner = state
        return None if token == END else (n + 1, self.texts.after(inner, token))


@dataclass(frozen=True)
class Banks:
    """How a step of beam search chooses among continuations, where texts are required; see `jumok.decode.choice.Candidates`.

    Args:
        follow: the rule; of a sentence with required texts, the last automaton is `Having`.
    """

    follow: Follow

    def __call__(self, past: Past, logits: Array, bases: Array, number: int) -> tuple[Array, Array, Array]:
        B, K, _ = logits.shape
        likeliest = best_continuations(past, logits, bases, number)
        found = [np.zeros((B, number), np.int64), np.zeros((B, number), np.int64), np.full((B, number), -np.inf)]
        for b, sentence in enumerate(past.sentences.tolist()):
            own, last = [a[b].tolist() for a in likeliest], self.follow.automata[sentence][-1:]
            if last and isinstance(last[0], Having):
                pool = {(p, t): v for p, t, v in zip(*own, strict=True) if v > -np.inf}
                states = [states[-1][1] if states else None for states in self.follow.rows[b * K : (b + 1) * K]]
                for k in range(K):
                    if states[k] is not None and bases[b, k] > -np.inf:
                        more = self._more(last[0].texts, states[k], logits[b, k], number // 2)
                        pool |= {(k, t): float(logits[b, k, t] + bases[b, k]) for t in more}
                chosen = self._chosen(last[0].texts, pool, states, number)
                own = [[p for (p, _), _ in chosen], [t for (_, t), _ in chosen], [v for _, v in chosen]]
            for array, values in zip(found, own, strict=True):
                array[b, : len(values)] = values
        return found[0], found[1], found[2]

    def _more(self, texts: Texts, state: State, logits: Array, beam: int) -> list[int]:
        """Of one hypothesis: its likeliest token, the likeliest of those that lead on in a text, and END if it may be written."""
        leading = np.array(texts.advancing(state), np.int64)
        best = leading[np.argsort(-logits[leading], kind="stable")[:beam]].tolist()
        return [t for t in dict.fromkeys([int(logits.argmax()), *best, END]) if logits[t] > -np.inf]

    def _chosen(self, texts: Texts, pool: dict[Place, float], states: list[State], number: int) -> list[tuple[Place, float]]:
        """First half of the number, bank by bank, END among them; then as many that go on, in case that those end."""
        banks: dict[int, list[tuple[Place, float]]] = {}
        for (parent, token), value in sorted(pool.items(), key=lambda one: (-one[1], one[0])):
            stage = texts.total if token == END else texts.written(texts.after(states[parent], token))
            banks.setdefault(stage, []).append(((parent, token), value))
        first = _in_turn(banks, number // 2)
        rest = {stage: [one for one in own if one not in first and one[0][1] != END] for stage, own in banks.items()}
        return [*first, *_in_turn(rest, number - len(first))]


def _in_turn(banks: dict[int, list[tuple[Place, float]]], number: int) -> list[tuple[Place, float]]:
    """The best of each bank, the highest bank first; then the second best of each, and so on."""
    found: list[tuple[Place, float]] = []
    for round_ in range(max(map(len, banks.values()), default=0)):
        for stage in sorted(banks, reverse=True):
            if round_ < len(banks[stage]) and len(found) < number:
                found.append(banks[stage][round_])
    return found
