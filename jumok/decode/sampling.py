"""Sampling: outputs drawn from a model's distribution, the same for a line whatever stands beside it.

Each random number is a function of the seed, the tokens of the source, the number of the sample, the step, and the token. So a
line has the same samples in any batch, at any place and on any day, and the first samples of many are those of few. As in any
search, a model's numbers round a little differently in another batch. The Gumbel trick makes it as rare as can be that this
draws another token: two of them must be equally good up to the rounding, wherever they are in the vocabulary. (1,395 words of a
pronunciation model, 20 samples each, alone, in batches of 3 and of 50: the same 217,797 tokens.)

Letters: B sentences still drawn, K samples of each, N = B·K rows, M tokens that can be drawn, S source positions, V target
vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count

import numpy as np

from jumok.config import SearchConfig
from jumok.decode.backend import Backend
from jumok.decode.choice import best, normaliser, normaliser_of
from jumok.decode.hypotheses import Hypothesis, Past, Step, Tip, attention, hypotheses
from jumok.decode.policy import Policy
from jumok.decode.ranking import ranking_of
from jumok.errors import ConfigError
from jumok.text.vocabulary import END, START

Array = np.ndarray

TOGETHER = 64  # samples of a sentence that are drawn together
NUMBERS = 1 << 18  # random numbers that are made together
BLOCK = 64  # tokens of the vocabulary of which one is drawn in a second step
NUCLEUS = 64  # likeliest tokens that are looked at first for --top-p
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def samples(
    backend: Backend, source: Array, lengths: Array, options: SearchConfig, limits: Array, policy: Policy
) -> list[list[Hypothesis]]:
    """Draws `options.sample` outputs for each sentence, in order; equal ones are kept. Arguments as for `search`.

    Log-probabilities and scores are the model's, whatever the temperature. Rules forbid tokens before one is drawn.

    Raises:
        ConfigError: top_k is larger than the vocabulary.
    """
    keys = keys_of(source, lengths, options.seed)
    found: list[list[Hypothesis]] = [[] for _ in source]
    for first in range(0, options.sample, TOGETHER):
        numbers = np.arange(first, min(first + TOGETHER, options.sample))
        for own, more in zip(found, _drawn(backend, (source, lengths, limits, keys), numbers, options, policy), strict=True):
            own += more
    return found


def _drawn(
    backend: Backend, sentences: tuple[Array, Array, Array, Array], numbers: Array, options: SearchConfig, policy: Policy
) -> list[list[Hypothesis]]:
    """The samples with these numbers. `sentences`: source [B, S], lengths, limits and keys [B]."""
    source, lengths, limits, keys = sentences
    ranking = policy.ranking or ranking_of(options)
    tips: list[dict[int, Tip]] = [{} for _ in source]
    alive, K = np.arange(len(source)), len(numbers)
    state = backend.select(backend.start(source, lengths), alive, np.zeros((len(source), K), np.int64))
    own = np.tile(numbers, (len(source), 1))  # the number of the sample in each row
    real = np.ones(own.shape, bool)  # False where a row only fills up: it is the same as the first
    tokens: Array = np.full(own.shape, START)
    totals = np.zeros(own.shape)
    trail: list[Step] = []
    for length in count(1):
        state, logits, weights = backend.step(state, tokens)
        (B, K, V), past = logits.shape, Past(trail, alive, tokens.shape[1])
        logits = logits.reshape(B * K, V)
        totals = totals - normaliser_of(backend, logits).reshape(B, K)
        for rule in policy.rules:
            logits = rule(past, logits)
        tokens = draw(logits, mixed_with(mixed_with(keys[alive][:, None], own), length).reshape(-1), options).reshape(B, K)
        totals = totals + logits[np.arange(B * K), tokens.reshape(-1)].reshape(B, K)
        at_limit = limits[alive] <= length
        done = real & ((tokens == END) | at_limit[:, None])
        on, parents = real & ~done, np.tile(np.arange(K), (B, 1))
        stay = np.flatnonzero(on.any(1))
        if done.any():  # samples that go on move together; where a sentence has fewer than others, its first fills up
            parents = np.argsort(~on, axis=1, kind="stable")[:, : max(1, int(on.sum(1).max()))]
            parents = np.where(np.take_along_axis(on, parents, 1), parents, parents[:, :1])
        taken = np.take_along_axis(tokens, parents, 1)
        trail.append(Step(alive, parents, taken, weights, np.take_along_axis(totals, parents, 1)))
        for row, k in np.argwhere(done).tolist():
            sentence, total, token = int(alive[row]), float(totals[row, k]), int(tokens[row, k])
            looked = partial(attention, trail, sentence, k, length, int(lengths[sentence]))
            tips[sentence][int(own[row, k])] = Tip(ranking.score(total, length, looked), total, length, k, token)
        if len(stay) == 0:
            break
        tokens = taken[stay]
        if done.any():
            state = backend.select(state, stay, parents[stay])
            alive, parents = alive[stay], parents[stay]
            own, totals = (np.take_along_axis(a[stay], parents, 1) for a in (own, totals))
            real = np.arange(parents.shape[1]) < on[stay].sum(1)[:, None]
    return hypotheses(trail, [[one[number] for number in numbers.tolist()] for one in tips], lengths)


def draw(logits: Array, keys: Array, options: SearchConfig) -> Array:
    """Draws a token for each row: logits [N, V] after the rules, keys uint64 [N] -> [N].

    The highest logit + Gumbel noise is a draw from softmax(logits) (Maddison, Tarlow & Minka 2014, section 2).
    """
    V = logits.shape[1]
    if options.top_k > V:
        raise ConfigError(
            f"top_k is {options.top_k:,}; the model's vocabulary has {V:,} target tokens: give fewer, or 0 for all"
        )
    if options.temperature != 1:
        with np.errstate(invalid="ignore", over="ignore"):
            logits = ((logits - logits.max(1, keepdims=True)) / np.float64(options.temperature)).astype(np.float32)
    step, tokens = max(1, NUMBERS // V), np.empty(len(logits), np.int64)
    for i in range(0, len(logits), step):
        rows, own = logits[i : i + step], keys[i : i + step]
        if options.top_k or options.top_p < 1:
            kept, values = _kept(rows, options)
            tokens[i : i + step] = _highest(kept, values, own)
        else:
            tokens[i : i + step] = _any(rows, own)
    return tokens


def _highest(kept: Array, values: Array, keys: Array) -> Array:
    """Draws one of the M tokens `kept` of each row: values are their logits; both [N, M], or [1, M] for all rows the same."""
    values = values + _gumbel(mixed_with(keys[:, None], kept))
    return np.take_along_axis(np.broadcast_to(kept, values.shape), values.argmax(1)[:, None], 1)[:, 0]


def _any(logits: Array, keys: Array) -> Array:
    """Draws one of all tokens: first a block of the vocabulary, by the probability of the whole block, then a token of it.

    That is the same distribution, and takes random numbers for blocks and one block's tokens only.
    """
    V = logits.shape[1]
    if V <= 4 * BLOCK:
        return _highest(np.arange(V)[None], logits, keys)
    with np.errstate(invalid="ignore", divide="ignore"):  # -inf where all tokens of a block are forbidden
        mass = np.exp(logits - logits.max(1, keepdims=True))
        blocks = np.log(np.add.reduceat(mass, np.arange(0, V, BLOCK), axis=1))
    chosen = _highest(np.arange(blocks.shape[1])[None], blocks, mixed_with(keys, V))
    kept = BLOCK * chosen[:, None] + np.arange(BLOCK)
    values = np.where(kept < V, np.take_along_axis(logits, np.minimum(kept, V - 1), 1), -np.inf)
    return _highest(kept, values, keys)


def _kept(logits: Array, options: SearchConfig) -> tuple[Array, Array]:
    """The tokens that can be drawn and their logits, [N, M] each; -inf where a row has fewer than others.

    First the k likeliest (Fan, Lewis & Dauphin 2018), then the smallest set of the likeliest of those whose probability reaches
    `top_p` (Holtzman et al. 2020).
    """
    width = options.top_k or logits.shape[1]
    kept, values = _likeliest(logits, width) if options.top_k else (np.empty(0), logits)
    if options.top_p == 1:
        return kept, values
    with np.errstate(invalid="ignore"):  # where all tokens are forbidden
        total = normaliser(values)[:, None]
        for most in _widths(width):
            kept, values = _likeliest(logits, most)
            reached = np.exp(values - total).cumsum(1)
            if (reached[:, -1] >= options.top_p).all():
                break
    values[:, 1:][reached[:, :-1] >= options.top_p] = -np.inf  # each token but the first, if those before it are enough
    return kept, values


def _likeliest(logits: Array, number: int) -> tuple[Array, Array]:
    kept = best(logits, number)
    return kept, np.take_along_axis(logits, kept, 1)


def _widths(most: int) -> Iterator[int]:
    width = NUCLEUS
    while width < most:
        yield width
        width *= 8
    yield most


def keys_of(source: Array, lengths: Array, seed: int) -> Array:
    """A number for each sentence, from the seed and its tokens: source int [B, S] padded at the end -> uint64 [B]."""
    keys = mixed_with(np.zeros(len(source), np.uint64), seed % (1 << 63))
    for s in range(source.shape[1]):
        keys = np.where(s < np.asarray(lengths), mixed_with(keys, source[:, s]), keys)
    return keys


def mixed_with(keys: Array, numbers: Array | int) -> Array:
    """A hash of a key and a whole number, element by element: uint64, for each key the numbers of a generator that it seeds.

    It is splitmix64 (Steele, Lea & Flood 2014), whose n-th number can be had without those before it.
    """
    x = keys + (np.array(numbers, np.int64, ndmin=1).astype(np.uint64) + np.uint64(1)) * GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _gumbel(bits: Array) -> Array:
    """Standard Gumbel numbers from uniform bits: -ln(-ln u), with u from 2^-53 to 1 - 2^-53."""
    u = ((bits >> np.uint64(12)) + 0.5) * 2.0**-52
    return -np.log(-np.log(u))
