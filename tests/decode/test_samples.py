"""Samples: their frequencies are the model's, and they depend on nothing but the seed, the line, and their number."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, log_softmax, random_logits, sentences
from random_models import CHAIN_IDS, CHAINS, config, padded, parameters, sources

from jumok.config import SearchConfig
from jumok.decode import sampling
from jumok.decode.hypotheses import Past
from jumok.decode.rules import NEVER, RULES, Never
from jumok.decode.sampling import draw, keys_of, mixed_with
from jumok.decode.search import Policy, search, search_one
from jumok.errors import ConfigError
from jumok.runtime.model import NumpyModel
from jumok.text.vocabulary import END

# --- frequencies: a right sampler is taken for a wrong one by 1 in 10,000 seeds (the seeds are fixed, so by none of these)

Z = 3.719  # the normal quantile of 1 - 1e-4


def too_far(counts: np.ndarray, probabilities: np.ndarray) -> bool:
    """Pearson's chi-square test; outcomes expected fewer than 8 times are one outcome. Wilson & Hilferty's quantile."""
    n = counts.sum()
    often = n * probabilities >= 8
    seen, wanted = (
        np.append(counts[often], counts[~often].sum()),
        n * np.append(probabilities[often], probabilities[~often].sum()),
    )
    if wanted[-1] < 8:
        assert seen[-1] <= 40
        seen, wanted = seen[:-1], wanted[:-1]
    df = len(seen) - 1
    critical = df * (1 - 2 / (9 * df) + Z * math.sqrt(2 / (9 * df))) ** 3
    return float(((seen - wanted) ** 2 / wanted).sum()) > critical


def distribution(logits: np.ndarray, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """p of each token, by the definitions."""
    p = np.exp(log_softmax(logits / temperature))
    order = sorted(range(len(p)), key=lambda t: (-p[t], t))
    kept = order[: top_k or len(p)]
    total = sum(p[t] for t in kept)
    if top_p < 1:
        n = next(n for n in range(1, len(kept) + 1) if n == len(kept) or sum(p[t] for t in kept[:n]) >= top_p * total)
        kept = kept[:n]
    out = np.zeros(len(p))
    out[kept] = p[kept] / sum(p[t] for t in kept)
    return out


HOW = [{}, {"temperature": 0.6}, {"temperature": 1.7}, {"top_k": 7}, {"top_p": 0.8}]
HOW += [{"top_k": 12, "top_p": 0.7, "temperature": 1.3}, {"top_p": 0.95, "temperature": 1.5}]


@pytest.mark.parametrize("V", [20, 300])  # one step, and in two: a block and a token of it
@pytest.mark.parametrize("how", HOW, ids=str)
def test_tokens_come_as_often_as_they_are_likely(how: dict, V: int) -> None:
    logits = np.random.default_rng(3).normal(0, 1, V).astype(np.float32)
    logits[[0, 1, V - 1]] = -np.inf  # forbidden
    n = 10_000
    keys = np.arange(n).astype(np.uint64)
    found = np.bincount(draw(np.repeat(logits[None], n, 0), keys, SearchConfig(sample=1, **how)), minlength=V)
    wanted = distribution(logits, **how)
    assert not found[wanted == 0].any()
    assert not too_far(found, wanted)
    warmer = distribution(logits, **{**how, "temperature": 1.3 * how.get("temperature", 1.0)})
    assert too_far(found, warmer)  # so little is seen


def outputs_of(logits: Callable, first: int, V: int, limit: int, how: dict) -> dict[tuple[int, ...], float]:
    """Every output, and its probability when tokens are drawn."""
    found = {}
    for n in range(1, limit + 1):
        for tokens in itertools.product(range(2, V), repeat=n):
            if END in tokens[:-1] or (n < limit and tokens[-1] != END):
                continue
            p = 1.0
            for i, t in enumerate(tokens):
                row = np.array(logits(first, tokens[:i]), float)
                row[list(NEVER)] = -np.inf
                p *= distribution(row, **how)[t]
            found[tokens] = p
    return found


@pytest.mark.parametrize("how", [{}, {"temperature": 0.7, "top_p": 0.9}, {"top_k": 2}], ids=str)
def test_whole_outputs_come_as_often_as_they_are_likely(how: dict) -> None:
    V, limit, n = 6, 3, 3000
    logits = functools.cache(random_logits(5, V, 0.5))
    (found,) = search(Planted(logits), np.array([[5, END]]), np.array([2]), SearchConfig(sample=n, **how), np.array([limit]))
    wanted = outputs_of(logits, 5, V, limit, how)
    assert sum(wanted.values()) == pytest.approx(1)
    counts = Counter(h.tokens for h in found)
    assert set(counts) <= {tokens for tokens, p in wanted.items() if p > 0}
    assert not too_far(np.array([counts[tokens] for tokens in wanted]), np.array(list(wanted.values())))
    for h in found[:100]:  # log-probabilities stay the model's
        total = sum(float(log_softmax(logits(5, h.tokens[:i]))[t]) for i, t in enumerate(h.tokens))
        assert h.log_probability == pytest.approx(total, abs=1e-5) and h.score == pytest.approx(total / len(h.tokens), abs=1e-5)
        assert h.finished == (h.tokens[-1] == END) and h.weights.shape == (len(h.tokens), 2)


@pytest.mark.parametrize("what", ["sources", "seeds"])
def test_samples_of_different_sources_and_seeds_are_independent(what: str) -> None:
    """One sample each, of the same distribution."""
    logits = np.random.default_rng(8).normal(0, 1.5, 12).astype(np.float32)
    n = 10_000
    if what == "sources":
        source = np.stack([np.arange(n) // 150, np.arange(n) % 150, np.full(n, END)], 1)
        keys = keys_of(source, np.full(n, 3), 1)
    else:
        keys = np.concatenate([keys_of(np.array([[7, 9, END]]), np.array([3]), seed) for seed in range(n)])
    assert len(set(keys.tolist())) == n
    found = draw(np.repeat(logits[None], n, 0), keys, SearchConfig(sample=1))
    pairs = np.bincount(12 * found[:-1] + found[1:], minlength=144)
    p = distribution(logits)
    assert not too_far(np.bincount(found, minlength=12), p)
    assert not too_far(pairs, np.outer(p, p).ravel())


# --- what a sample depends on


def not_twice(past: Past, logits: np.ndarray) -> np.ndarray:
    for row, written in zip(logits, past.tokens(), strict=True):
        assert END not in written  # what has ended is not asked about
        row[[t for t in written if t != END]] = -np.inf
    return logits


def of_its_own(past: Past, logits: np.ndarray) -> np.ndarray:
    """Each sentence has a token that it does not write."""
    logits[np.arange(len(logits)), 4 + past.owners() % 3] = -np.inf
    return logits


def walked(logits, source: list[int], limit: int, sentence: int, number: int, o: SearchConfig) -> tuple[int, ...]:
    """One sample, token by token."""
    key = mixed_with(keys_of(np.array([source]), np.array([len(source)]), o.seed), number)
    tokens: tuple[int, ...] = ()
    while len(tokens) < limit and tokens[-1:] != (END,):
        row = logits(source[0], tokens).astype(np.float32)
        row[[*NEVER, *tokens, 4 + sentence % 3]] = -np.inf
        tokens += (int(draw(row[None], mixed_with(key, len(tokens) + 1), o)[0]),)
    return tokens


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    asked=st.lists(st.tuples(st.integers(3, 9), st.integers(1, 7), st.integers(1, 3)), min_size=1, max_size=5),
    number=st.integers(1, 9),
    how=st.sampled_from([{}, {"temperature": 0.5, "seed": 9}, {"top_k": 3}, {"top_p": 0.7}]),
    together=st.sampled_from([2, 5, 256]),
)
def test_samples_are_those_drawn_one_by_one(seed, asked, number, how, together) -> None:
    """Whatever the batch, with rules of a row and of a sentence; each with its own weights."""
    logits = random_logits(seed, 12, 0.5)
    firsts, limits, lengths = (list(column) for column in zip(*asked, strict=True))
    source = np.zeros((len(asked), 3), int)
    source[:, 0] = firsts
    source[:, 1:] = np.arange(2) + 3
    options = SearchConfig(sample=number, **how)
    policy = Policy(rules=(*RULES, not_twice, of_its_own))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "TOGETHER", together)
        found = search(Planted(logits), source, np.array(lengths), options, np.array(limits), policy)
    for i, own in enumerate(found):
        read = source[i, : lengths[i]].tolist()
        assert [h.tokens for h in own] == [walked(logits, read, limits[i], i, k, options) for k in range(number)]
        for h in own:
            assert h.finished == (h.tokens[-1] == END)
            want = [Planted.weights(h.tokens[:t], lengths[i], lengths[i]) for t in range(len(h.tokens))]
            np.testing.assert_allclose(h.weights, want, atol=1e-6)


MODELS = [config(), config(attention="none"), config(reverse_source=True, bidirectional=False), config(input_feeding=True)]


@pytest.mark.parametrize("c", MODELS + CHAINS, ids=[*"abcd", *CHAIN_IDS])
def test_a_sample_does_not_depend_on_its_batch(c) -> None:
    model = NumpyModel(c, parameters(c, scale=1.5))
    source, lengths = padded(sources(c))
    options, limits = SearchConfig(sample=6, temperature=1.2), np.array([9, 8, 7, 3, 9])
    together = search(model, source, lengths, options, limits)
    turned = search(model, source[::-1], lengths[::-1], options, limits[::-1])[::-1]
    assert len({h.tokens for own in together for h in own}) > 12
    for i, own in enumerate(together):
        ids = source[i, : lengths[i]]
        alone = search_one(model, ids, SearchConfig(sample=3, temperature=1.2), int(limits[i]))
        for h, other, one in itertools.zip_longest(own, turned[i], alone):
            assert h.tokens == other.tokens and (one is None or h.tokens == one.tokens)
            if h.finished:
                scored, weights = model.score(ids[None], lengths[i : i + 1], np.array([h.tokens]), np.array([len(h.tokens)]))
                assert h.log_probability == pytest.approx(float(scored.sum(dtype=float)), abs=1e-4)
                if c.alignment == "soft" and weights is not None:
                    np.testing.assert_allclose(h.weights, weights[0], atol=1e-5)
            assert (h.weights is None) == (c.attention == "none")


def test_the_likeliest_token_alone_is_greedy_search() -> None:
    model = NumpyModel(config(), parameters(config()))
    source, lengths = padded(sources(config()))
    limits = np.full(len(source), 8)
    wanted = [h.tokens for (h,) in search(model, source, lengths, SearchConfig(), limits)]
    for how in ({"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-9}):
        assert [h.tokens for (h,) in search(model, source, lengths, SearchConfig(sample=1, **how), limits)] == wanted


def test_the_path_for_one_sentence_is_not_taken_for_a_sample_or_a_choice_of_its_own() -> None:
    """That path knows only the likeliest token."""
    model = NumpyModel(config(), parameters(config(), scale=1.0))
    ids = np.array(sources(config())[0])
    drawn = {search_one(model, ids, SearchConfig(sample=1, seed=seed), 6)[0].tokens for seed in range(5)}
    assert len(drawn) > 1
    second = Policy(choose=lambda past, logits: np.argsort(-logits, axis=1)[:, 1])
    (found,) = search_one(model, ids, SearchConfig(), 6, second)
    assert found.tokens == search(model, ids[None], np.array([len(ids)]), SearchConfig(), np.array([6]), second)[0][0].tokens
    assert found.tokens != search_one(model, ids, SearchConfig(), 6)[0].tokens


def test_random_numbers_do_not_change_from_version_to_version() -> None:
    """Hand-made: splitmix64 seeded with 0 begins so."""
    assert mixed_with(np.zeros(1, np.uint64), np.arange(3)).tolist() == [
        16294208416658607535,
        7960286522194355700,
        487617019471545679,
    ]
    assert keys_of(np.array([[4, 5, 2], [4, 5, 0]]), np.array([3, 2]), 1)[0] != keys_of(np.array([[4, 5]]), np.array([2]), 1)[0]
    np.testing.assert_array_equal(
        keys_of(np.array([[4, 5, 0]]), np.array([2]), 1), keys_of(np.array([[4, 5]]), np.array([2]), 1)
    )


def test_where_all_is_forbidden_nothing_hangs() -> None:
    """As in greedy search: there is no output."""
    everything = Policy(rules=(Never(tuple(range(12))),))
    for how in ({}, {"top_k": 3}, {"top_p": 0.5}, {"temperature": 0.1}):
        (found,) = search(
            Planted(random_logits(1, 12)),
            np.array([[5, 2]]),
            np.array([2]),
            SearchConfig(sample=2, **how),
            np.array([3]),
            everything,
        )
        assert found == []


def test_more_tokens_than_there_are() -> None:
    source, lengths, limits = sentences(3)
    with pytest.raises(ConfigError, match=r"top_k is 13; the model's vocabulary has 12 target tokens"):
        search(Planted(random_logits(1, 12)), source, lengths, SearchConfig(sample=1, top_k=13), limits)
