"""Ensembles: several models that write one output together, as one backend.

The probability of a token is the mean of the members' probabilities; the weights are the mean of their weights. A member
without attention has none to add. Attention and the posteriors of a monotonic alignment are different things, and are not mixed:
of these, the kind of the first member that has weights is taken.

Letters: M members, B sentences, K beams a sentence, S source positions, T target tokens, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jumok.decode.backend import Backend, for_one

Array = np.ndarray
States = tuple[Any, ...]


class Ensemble:
    """A `jumok.decode.backend.Backend` of M others, which must have the same vocabularies. With M = 1, that one's own numbers.

    Args:
        members: the others.
        kinds: what the weights of each are, "attention" or "posterior"; None for a model without.

    Attributes:
        normalised: whether the logits of a step are log-probabilities: those of several models, and of one if its own are.
    """

    def __init__(self, members: Sequence[Backend], kinds: Sequence[str | None]) -> None:
        assert members and len(members) == len(kinds)
        self.members = tuple(members)
        self._done = tuple(bool(getattr(member, "normalised", False)) for member in members)
        self.normalised = len(members) > 1 or self._done[0]
        self.weights = next((kind for kind in kinds if kind), "attention")
        self.looked_at = tuple(kind == self.weights for kind in kinds)  # whose weights are averaged

    def start(self, source: Array, lengths: Array) -> States:
        """The members' states."""
        return tuple(member.start(source, lengths) for member in self.members)

    def step(self, state: States, tokens: Array) -> tuple[States, Array, Array | None]:
        """tokens int [B, K] -> states, log-probabilities float32 [B, K, V], weights [B, K, S] or None."""
        steps = [member.step(own, tokens) for member, own in zip(self.members, state, strict=True)]
        states, logits, weights = zip(*steps, strict=True)
        return states, log_mean(logits, self._done), self._mean(weights)

    def select(self, state: States, sentences: Array, parents: Array) -> States:
        """The members' states with only these sentences and beams."""
        return tuple(member.select(own, sentences, parents) for member, own in zip(self.members, state, strict=True))

    def start_one(self, source: Array) -> States:
        """The members' states of a beam search for one sentence; see `jumok.decode.backend.OneSentence`."""
        return tuple(for_one(member)[0](source) for member in self.members)

    def step_one(self, state: States, parents: Array, tokens: Array) -> tuple[States, Array, Array | None]:
        """A step of it: parents, tokens int [K] -> states, log-probabilities float32 [K, V], weights [K, S] or None."""
        steps = [for_one(member)[1](own, parents, tokens) for member, own in zip(self.members, state, strict=True)]
        states, logits, weights = zip(*steps, strict=True)
        return states, log_mean(logits, self._done), self._mean(weights)

    def score(self, source: Array, lengths: Array, target: Array, target_lengths: Array) -> tuple[Array, Array | None]:
        """log 1/M Σ_m p_m(y_t | y_<t, x), float32 [B, T], and the mean of the weights [B, T, S] or None."""
        scored = [member.score(source, lengths, target, target_lengths) for member in self.members]
        each, weights = zip(*scored, strict=True)
        return (each[0] if len(each) == 1 else _log_mean_exp(np.stack(each))), self._mean(weights)

    def _mean(self, weights: Sequence[Array | None]) -> Array | None:
        """The mean of the weights that are of one kind."""
        looked = [w for w, counts in zip(weights, self.looked_at, strict=True) if counts and w is not None]
        return sum(looked[1:], start=looked[0]) / np.float32(len(looked)) if looked else None


def log_mean(logits: Sequence[Array], done: Sequence[bool]) -> Array:
    """log 1/M Σ_m softmax(logits_m) of M arrays [B, K, V], those that are `done` log-probabilities already; a single one as it is."""
    if len(logits) == 1:
        return logits[0]
    each = np.stack(logits)  # [M, B, K, V]
    for own, ready in zip(each, done, strict=True):
        if ready:
            continue
        own -= own.max(-1, keepdims=True)
        own -= np.log(np.exp(own).sum(-1, keepdims=True))
    return _log_mean_exp(each)


def _log_mean_exp(each: Array) -> Array:
    """log 1/M Σ_m exp(each_m) over the first axis; the largest is taken out, so that nothing small becomes 0."""
    top = each.max(0)
    return top + np.log(np.exp(each - top).mean(0))
