"""The monotonic alignment against all alignments written out: loss, gradient, posteriors, search; and what it must not depend on."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from test_learn_model import BATCH, V, batch_of, losses, model_of

from jumok.learn import monotonic
from jumok.learn.evaluation import tensors
from jumok.learn.model import Seq2Seq, shifted
from jumok.text import Batch
from jumok.text.vocabulary import START

TINY = batch_of([4, 1, 3], [3, 4, 1])
OPTIONS = {
    "dot": {},
    "general": {"attention": "general", "layers": 2, "cell": "gru"},
    "concat, linear": {"attention": "concat", "readout": "linear", "bidirectional": False},
    "location, tied": {"attention": "location", "tie": "all", "location_length": 3},
    "reversed": {"reverse_source": True},
}
EVERY = [pytest.param({"alignment": "monotonic"} | o, id=n) for n, o in OPTIONS.items()]


def chain_of(options: dict, dtype: torch.dtype = torch.float64, seed: int = 0) -> Seq2Seq:
    """With jumps that count, and outputs far from flat."""
    model = model_of(options, dtype, seed)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.alignment.values():
            p.copy_(torch.randn(p.shape, generator=g, dtype=p.dtype))
    return model


def written_out(model: Seq2Seq, source: np.ndarray, inputs: np.ndarray, target: np.ndarray, smoothing: float = 0.0):
    """One sentence: every alignment's s_1 … s_T and log probability together with the target, by the formulas; no pads."""
    S, T = len(source), len(target)
    encoded = model.encode(torch.tensor(source[None]), torch.tensor([S]))
    queries, _ = model.decode(torch.tensor(inputs[None]), encoded.state)
    emissions, moves = torch.zeros(T, S, dtype=queries.dtype), torch.zeros(T, S, S, dtype=queries.dtype)
    p, config = model.attention, model.config
    for t in range(T):
        h = queries[0, t]
        raw = []
        for s in range(S):
            m = encoded.memory[0, s]
            log_p = model.logits(model.read(h, m)).log_softmax(-1)
            emissions[t, s] = (1 - smoothing) * log_p[target[t]] + smoothing * log_p.mean()
            raw.append(
                {
                    "dot": lambda h=h, m=m: h @ m,
                    "general": lambda h=h, m=m: h @ p["W_a"] @ m,
                    "concat": lambda h=h, m=m: p["v"] @ torch.tanh(p["W_q"] @ h + p["W_m"] @ m),
                    "location": lambda h=h, s=s: p["W_a"][s] @ h if s < config.location_length else torch.tensor(-1e9),
                }[config.attention]()
            )
        jump = model.alignment["W_j"] @ h + model.alignment["b_j"]
        for before in range(S):
            biased = torch.stack([raw[s] + jump[min(s - before, 4)] for s in range(before, S)])
            moves[t, before, before:] = biased.log_softmax(-1)
    paths = list(itertools.combinations_with_replacement(range(S), T))
    return paths, torch.stack([
        sum(moves[t, before, s] + emissions[t, s] for t, (before, s) in enumerate(itertools.pairwise((0, *path)))) for path in paths
    ])  # fmt: skip


def rows_of(batch: Batch, inputs: np.ndarray | None = None):
    for i in range(len(batch.rows)):
        S, T = batch.source_lengths[i], batch.target_lengths[i]
        target = batch.target[i, :T]
        yield batch.source[i, :S], np.array([START, *target[:-1]]) if inputs is None else inputs[i, :T], target


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("options", EVERY)
def test_loss_and_gradient_are_those_of_all_alignments_written_out(options, smoothing, monkeypatch):
    model = chain_of(options)
    written = -sum(written_out(model, *row, smoothing)[1].logsumexp(0) for row in rows_of(TINY))
    plain = -sum(written_out(model, *row)[1].logsumexp(0) for row in rows_of(TINY))
    parameters = dict(model.named_parameters())
    wanted = torch.autograd.grad(written, list(parameters.values()))
    for room, kept in ((1 << 20, 1 << 26), (1, 1), (1, 1 << 26), (3000, 4000)):  # all at once; each by itself, formed twice; …
        monkeypatch.setitem(monotonic.PIECE, "cpu", room)
        monkeypatch.setitem(monotonic.KEPT, "cpu", kept)
        found = losses(model, TINY, smoothing)
        torch.testing.assert_close(found.loss, written, rtol=1e-10, atol=0)
        torch.testing.assert_close(found.nll, plain, rtol=1e-10, atol=0)
        assert found.tokens == TINY.target_lengths.sum()
        gradient = torch.autograd.grad(found.loss, list(parameters.values()))
        for name, a, b in zip(parameters, gradient, wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}")
