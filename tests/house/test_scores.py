"""Every score in the table: worked by hand, NumPy beside torch, finite differences, pads, rows that sum to 1."""

import numpy as np
import pytest
import torch

from jumok import scores
from jumok.config import AttentionName
from jumok.net.attention import attend

H, A, B, T, S = 6, 5, 3, 4, 7
L = 5  # less than S: location has no weights for the last two positions


def parameters(name, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return {k: rng.normal(size=shape).astype(dtype) for k, shape in scores.SCORES[name].shapes(H, A, L).items()}


def inputs(seed=1):
    rng = np.random.default_rng(seed)
    query, memory = rng.normal(size=(B, T, H)), rng.normal(size=(B, S, H))
    mask = np.arange(S) < np.array([7, 1, 4])[:, None]
    return query, memory, mask


def numpy_attend(name, p, query, memory, mask):
    score = scores.SCORES[name]
    weights = scores.weights(np, score.score(np, p, query, score.keys(np, p, memory)), mask)
    return scores.context(weights, memory), weights


def by_loops(name, p, h, m, s):
    """One score of one query h [H] and one memory row m [H] at position s, as the papers write it."""
    if name == "dot":
        return sum(a * b for a, b in zip(h, m, strict=True))
    if name == "general":
        return sum(h[i] * sum(p["W_a"][i, j] * m[j] for j in range(H)) for i in range(H))
    if name == "concat":
        W_a, both = np.concatenate([p["W_q"], p["W_m"]], 1), np.concatenate([h, m])
        return sum(p["v"][a] * np.tanh(sum(W_a[a, i] * both[i] for i in range(2 * H))) for a in range(A))
    if name == "location":
        return sum(p["W_a"][s, i] * h[i] for i in range(H)) if s < L else -np.inf
    raise NotImplementedError(f"write score {name!r} here as its paper has it")


# Two memory rows [1, 0] and [0, 2], query [3, 1], worked on paper.
HAND = {
    "dot": ({}, [3.0, 2.0]),
    "general": ({"W_a": [[1.0, 2.0], [0.0, 1.0]]}, [3.0, 14.0]),  # W_a m = [1, 0] and [4, 2]
    "concat": ({"W_q": [[1.0, 0.0]], "W_m": [[-2.0, 1.0]], "v": [2.0]}, [2 * np.tanh(1.0), 2 * np.tanh(5.0)]),
    "location": ({"W_a": [[1.0, -1.0], [0.0, 2.0]]}, [2.0, 2.0]),
}


@pytest.mark.parametrize("name", scores.SCORES)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_hand_worked(name, library):
    p, expected = HAND[name]
    p = {k: np.array(v) for k, v in p.items()}
    query, memory = np.array([[[3.0, 1.0]]]), np.array([[[1.0, 0.0], [0.0, 2.0]]])
    xp = np
    if library == "torch":
        xp, query, memory = torch, torch.tensor(query), torch.tensor(memory)
        p = {k: torch.tensor(v) for k, v in p.items()}
    score = scores.SCORES[name]
    found = score.score(xp, p, query, score.keys(xp, p, memory))
    np.testing.assert_allclose(np.asarray(found), [[expected]], rtol=1e-12)


@pytest.mark.parametrize("name", scores.SCORES)
def test_equals_the_formula_in_loops(name):
    p, (query, memory, _) = parameters(name), inputs()
    score = scores.SCORES[name]
    found = score.score(np, p, query, score.keys(np, p, memory))
    expected = [[[by_loops(name, p, query[b, t], memory[b, s], s) for s in range(S)] for t in range(T)] for b in range(B)]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", scores.SCORES)
def test_numpy_equals_torch(name):
    p, (query, memory, mask) = parameters(name), inputs()
    context, weights = numpy_attend(name, p, query, memory, mask)
    tp = {k: torch.tensor(v) for k, v in p.items()}
    tq, tm = torch.tensor(query), torch.tensor(memory)
    for grad in (False, True):  # the training path of concat is another one
        with torch.set_grad_enabled(grad):
            keys = scores.SCORES[name].keys(torch, tp, tm)
            c, w = attend(name, tp, tq, keys, torch.tensor(mask), tm)
        np.testing.assert_allclose(w.numpy(), weights, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(c.numpy(), context, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", scores.SCORES)
def test_gradients_by_finite_differences(name):
    p, (query, memory, mask) = parameters(name), inputs()
    names = list(p)
    leaves = [torch.tensor(x, requires_grad=True) for x in (query, memory, *p.values())]

    def both(query, memory, *values):
        tp = dict(zip(names, values, strict=True))
        return attend(name, tp, query, scores.SCORES[name].keys(torch, tp, memory), torch.tensor(mask), memory)

    assert torch.autograd.gradcheck(both, leaves)


def test_concat_in_chunks_equals_concat_whole(monkeypatch):
    p = {k: torch.tensor(v) for k, v in parameters("concat").items()}
    query, memory, mask = (torch.tensor(x) for x in inputs())
    found = []
    for chunk in (1, T * S * A * 2, 1 << 20):
        monkeypatch.setattr("jumok.net.attention._CHUNK", chunk)
        leaves = [x.clone().requires_grad_() for x in (query, memory, *p.values())]
        tp = dict(zip(p, leaves[2:], strict=True))
        context, _ = attend("concat", tp, leaves[0], scores.SCORES["concat"].keys(torch, tp, leaves[1]), mask, leaves[1])
        found.append(torch.autograd.grad(context.square().sum(), leaves))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", scores.SCORES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_sum_to_one_and_pads_weigh_nothing(name, dtype):
    p = parameters(name, dtype)
    query, memory, mask = inputs()
    memory[~mask] = 1e4  # what stands on pads must not matter
    context, weights = numpy_attend(name, p, query.astype(dtype), memory.astype(dtype), mask)
    assert weights.dtype == dtype
    assert (weights[np.broadcast_to(~mask[:, None], weights.shape)] == 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    assert np.abs(context).max() < 10
    np.testing.assert_allclose(weights[1, :, 0], 1)  # one real position takes all


@pytest.mark.parametrize("name", scores.SCORES)
def test_padding_changes_nothing(name):
    p, (query, memory, _) = parameters(name), inputs()
    n = 4
    alone, weights = numpy_attend(name, p, query[:, :, :], memory[:, :n], np.ones((B, n), bool))
    padded, wide = numpy_attend(name, p, query, memory, np.broadcast_to(np.arange(S) < n, (B, S)))
    np.testing.assert_allclose(padded, alone, rtol=1e-12)
    np.testing.assert_allclose(wide[..., :n], weights, rtol=1e-12)


@pytest.mark.parametrize("xp", [np, torch], ids=["numpy", "torch"])
def test_location_gives_nothing_to_positions_it_does_not_know(xp):
    score, p = scores.SCORES["location"], {k: xp.asarray(v) for k, v in parameters("location").items()}
    query, memory, mask = (xp.asarray(x) for x in inputs())
    raw = score.score(xp, p, query, score.keys(xp, p, memory))
    found = scores.weights(xp, raw, mask)
    assert (found[:, :, L:] == 0).all() and (found[0, :, :L] > 0).all()
    short = score.score(xp, p, query, score.keys(xp, p, memory[:, :3]))
    np.testing.assert_allclose(np.asarray(short), np.asarray(raw[..., :3]), rtol=1e-12)


def test_softmax_is_safe_for_large_scores():
    found = scores.weights(np, np.array([[[1e4, 1e4 - 1.0, -1e4]]], np.float32), np.array([[True, True, True]]))
    np.testing.assert_allclose(found[0, 0], [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], rtol=1e-5)


def test_table_and_option_name_the_same_scores():
    from typing import get_args

    assert set(get_args(AttentionName)) == {"none", *scores.SCORES} == set(scores.ATTENTIONS)
    assert all(score.formula and score.source for score in scores.SCORES.values())
