"""Diverse beam search (Vijayakumar et al. 2016, algorithm 1): groups of beams, each kept from what those before it write.

A group chooses by log p(y_1…y_t) - λ · (how many hypotheses of earlier groups write y_t at the same step t): the Hamming
diversity of their section 4. At no step does a group depend on a later one, so that they are searched one after the other, each
by the usual beam search. Log-probabilities and scores stay the model's.

Letters: B sentences still searched, K beams a sentence, V target vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from jumok.config import SearchConfig
from jumok.decode.backend import Backend
from jumok.decode.hypotheses import Hypothesis, Past
from jumok.decode.policy import Policy
from jumok.decode.search import beam

Array = np.ndarray


@dataclass
class Group:
    """The `Candidates` of one group, which keep in mind what it writes.

    Attributes:
        policy: whose candidates they are, but for the diversity.
        earlier: the groups before it.
        beam, strength: beams of a group, and λ.
        written: of each step, the sentences [B], and the tokens of its best candidates [B, at most beam].
    """

    policy: Policy
    earlier: list[Group]
    beam: int
    strength: float
    written: list[tuple[Array, Array]] = field(default_factory=list)

    def __call__(self, past: Past, logits: Array, bases: Array, number: int) -> tuple[Array, Array, Array]:
        """See `jumok.decode.choice.Candidates`; the best first by what the group chooses by."""
        step, seen = len(self.written), logits
        if self.earlier:
            seen = logits.copy()
        for group in self.earlier:
            if step < len(group.written):
                sentences, tokens = group.written[step]
                shared, here, there = np.intersect1d(past.sentences, sentences, assume_unique=True, return_indices=True)
                times = np.zeros((len(shared), logits.shape[2]), np.float32)
                np.add.at(times, (np.arange(len(shared))[:, None], tokens[there]), 1)
                seen[here] -= self.strength * times[:, None]
        parents, tokens, _ = self.policy.candidates(past, seen, bases, number)
        rows = np.arange(len(parents))[:, None]
        totals = logits[rows, parents, tokens] + bases[rows, parents]
        self.written.append((past.sentences, np.where(totals > -np.inf, tokens, 0)[:, : self.beam]))
        return parents, tokens, totals


def diverse(
    backend: Backend, source: Array, lengths: Array, options: SearchConfig, limits: Array, policy: Policy
) -> list[list[Hypothesis]]:
    """The n-best list over all groups: the best of each group first, then the second of each …, all different, then ranked.

    Arguments and results as for `search`; `options.groups` divides `options.beam`.
    """
    size = options.beam // options.groups
    own = replace(options, beam=size, nbest=min(size, options.nbest), groups=1)
    groups: list[Group] = []
    found = []
    for _ in range(options.groups):
        groups.append(Group(policy, groups.copy(), size, options.diversity))
        found.append(beam(backend, source, lengths, own, limits, replace(policy, candidates=groups[-1])))
    return [_merged(list(lists), options.nbest) for lists in zip(*found, strict=True)]


def _merged(lists: list[list[Hypothesis]], number: int) -> list[Hypothesis]:
    """The n-best list of one sentence."""
    chosen: dict[tuple[int, ...], Hypothesis] = {}
    for place in range(max(map(len, lists))):
        for h in sorted((own[place] for own in lists if place < len(own)), key=_order):
            if len(chosen) < number:
                chosen.setdefault(h.tokens, h)
    return sorted(chosen.values(), key=_order)


def _order(h: Hypothesis) -> tuple[bool, float]:
    return not h.finished, -h.score
