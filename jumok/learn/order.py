"""How far the targets of training pairs follow the order of their sources, and repeat their tokens: quickly, from the pairs alone.

Which source tokens a target token comes from is estimated by IBM model 1, which knows nothing of positions (Brown et al. 1993),
on a sample of the pairs. What comes from features, or from no token at all, says nothing of order. Of the other links, each pair
keeps those that one monotone alignment can have: the best path s_1 ≤ s_2 ≤ … ≤ s_T. The share that is kept is compared with
the share for the same targets in random order.

Letters: N pairs of the sample, S source and T target tokens of a pair without `</s>`, x a source id, y a target id.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jumok.text import Rows
from jumok.text.vocabulary import END, PAD, UNK

Array = np.ndarray

MOST_PAIRS = 2_000
MOST_CELLS = 400_000  # source times target tokens of all pairs of a sample
LONGEST = 256  # tokens; longer pairs are left out of the sample
NOTHING = 3  # the id of a word in every source that stands for none of its tokens; UNK is free
TINY = 1e-30
ROUNDS = 10  # of expectation and maximisation
TOGETHER = 256  # pairs whose paths are found together


@dataclass(frozen=True)
class Order:
    """How far targets follow their sources.

    Attributes:
        kept: share of the links that a monotone alignment keeps, above what chance keeps: 1 = all of them, 0 = as many as if
            each target were in random order, less than 0 = fewer, as in reversed targets.
        told: how much more likely target tokens are by their best source token than by their frequency, as the mean of
            1 - p(y) / t(y | x): near 0 = the sources do not tell the targets, and `kept` says nothing.
        pairs: in the sample.
        copied: share of the target tokens that stand in the source as well, in this order: Σ over s_1 ≤ s_2 ≤ … of [y_t is x_s] of
            the best path, over T.
    """

    kept: float
    told: float
    pairs: int
    copied: float = 0.0


def order_of(sources: Rows, targets: Rows, features: Array | None = None, seed: int = 1, copies: Array | None = None) -> Order:
    """The order of training pairs; it takes less than a second, and depends only on the arguments.

    Args:
        sources, targets: ids of each pair, END last.
        features: bool, for each entry of the source vocabulary whether it is a feature, which has no place in the text. None: there
            are none.
        seed: of the sample.
        copies: for each entry of the source vocabulary the id of the same token in the target's, or -1. None: nothing is the same.
    """
    chosen = _sample(sources, targets, seed)
    if not len(chosen):
        return Order(0.0, 0.0, 0)
    x, y = (_text(*rows.padded(chosen)) for rows in (sources, targets))
    x[x == UNK] = y[y == UNK] = PAD  # rare tokens, of which one is not like another
    tokens = max(1, int((y != PAD).sum()))
    copied = 0.0
    if copies is not None:
        same = (copies[x][:, None] == y[:, :, None]) & (x[:, None] != PAD) & (y[:, :, None] != PAD)
        copied = sum(float(_best_paths(same[i : i + TOGETHER]).sum()) for i in range(0, len(x), TOGETHER)) / tokens
    x = np.concatenate([np.full((len(x), 1), NOTHING), x], 1)
    placed = (x > NOTHING) if features is None else (x > NOTHING) & ~features[x]
    links, worth = _links(x, y, placed)
    rng = np.random.default_rng(seed)
    shuffled = np.argsort(np.where(y == PAD, 2, rng.random(y.shape)), axis=1)  # pads stay at the end
    total = float(worth.sum())
    kept, by_chance = 0.0, 0.0
    for i in range(0, len(x), TOGETHER):
        some = slice(i, i + TOGETHER)
        weighted = links(some) * worth[some, :, None]
        kept += float(_best_paths(weighted).sum())
        by_chance += float(_best_paths(np.take_along_axis(weighted, shuffled[some, :, None], 1)).sum())
    above = (kept - by_chance) / (total - by_chance) if total - by_chance > 1e-6 * max(total, 1e-9) else 0.0
    return Order(min(above, 1.0), total / tokens, len(x), copied)


def _sample(sources: Rows, targets: Rows, seed: int) -> Array:
    """Pairs by chance, the longest first: [N]."""
    drawn = np.array(random.Random(seed).sample(range(len(sources)), min(len(sources), MOST_PAIRS)), np.int64)
    S, T = (np.asarray(rows.lengths[drawn], np.int64) for rows in (sources, targets))
    short = (S <= LONGEST) & (T <= LONGEST)
    drawn, S, T = drawn[short], S[short], T[short]
    fit = np.cumsum(S * T) <= max(MOST_CELLS, int(S[0] * T[0]) if len(S) else 0)
    return drawn[fit][np.argsort(-S[fit], kind="stable")]


def _text(ids: Array, lengths: Array) -> Array:
    """Without END."""
    return np.where(ids == END, PAD, ids)[:, : max(1, int(lengths.max()) - 1)]


def _links(x: Array, y: Array, placed: Array) -> tuple[Callable[[slice], Array], Array]:
    """IBM model 1: how well each source token explains each target token, and how much that is worth.

    Args:
        placed: bool [N, S], which source tokens have a place in the text.

    Returns:
        a function of some rows -> [n, T, S], t(y | x) over the largest of the target token's, 0 where x has no place; and [N, T]
        1 - p(y) / t(y | x) of the best such x, times the probability that y comes from any of them; 0 on pads.
    """
    n, t, s = np.nonzero((y[:, :, None] != PAD) & (x[:, None] != PAD))
    kinds, key = np.unique(x[n, s] * (int(y.max()) + 1) + y[n, t], return_inverse=True)
    of_source = kinds // (int(y.max()) + 1)
    token = n * y.shape[1] + t
    table = np.ones(len(kinds))
    for _ in range(ROUNDS):
        p = table[key]
        p /= _summed(token, p, y.size)[token]
        table = _summed(key, p, len(kinds))
        table /= _summed(of_source, table, int(x.max()) + 1)[of_source]
    p = table[key]
    by_text = _summed(token, p * placed[n, s], y.size) / _summed(token, p, y.size)
    p *= placed[n, s]
    likeliest = np.zeros(y.size)
    np.maximum.at(likeliest, token, p)
    best, by_text = likeliest.reshape(y.shape), by_text.reshape(y.shape)
    frequency = np.bincount(y.ravel()) / max(1, int((y != PAD).sum()))
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = np.where((y != PAD) & (best > 0), np.clip(1 - frequency[y] / best, 0, 1), 0)
    worth *= by_text
    ratio = p / np.maximum(best[n, t], TINY)
    starts = np.searchsorted(n, np.arange(len(x) + 1))

    def some(rows: slice) -> Array:
        first, end, _ = rows.indices(len(x))
        cut = slice(starts[first], starts[end])
        found = np.zeros((end - first, y.shape[1], x.shape[1]), np.float32)
        found[n[cut] - first, t[cut], s[cut]] = ratio[cut]
        return found

    return some, worth


def _summed(place: Array, numbers: Array, size: int) -> Array:
    """The sum of the numbers of each place, and never 0, so that it can divide."""
    return np.maximum(np.bincount(place, numbers, size).astype(np.float64), TINY)


def _best_paths(gains: Array) -> Array:
    """The largest Σ_t gains_t(s_t) over s_1 ≤ s_2 ≤ … ≤ s_T of each pair: [n, T, S] -> [n]."""
    best = np.zeros((len(gains), gains.shape[2]), np.float32)
    for t in range(gains.shape[1]):
        best = np.maximum.accumulate(best, axis=1) + gains[:, t]
    return best.max(1)
