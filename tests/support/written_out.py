"""Small models with a monotonic alignment, and all their alignments written out by the formulas."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from small_models import BATCH as PLAIN
from small_models import V, batch_of, model_of

from jumok.net.export import export_parameters
from jumok.net.model import Seq2Seq
from jumok.runtime.model import NumpyModel
from jumok.text import Batch
from jumok.text.vocabulary import START

OPTIONS = {
    "dot": {},
    "general": {"attention": "general", "layers": 2, "cell": "gru"},
    "concat, linear": {"attention": "concat", "readout": "linear", "bidirectional": False},
    "location, tied": {"attention": "location", "tie": "all", "location_length": 3},
    "reversed": {"reverse_source": True},
    "copying": {"copy": True},
    "copying, linear": {"copy": True, "attention": "general", "readout": "linear"},
}
COPIES = torch.tensor([-1] * 4 + [-1 if i % 6 == 5 else 4 + i % 6 for i in range(V - 4)])
EVERY = [pytest.param({"alignment": "monotonic"} | o, id=n) for n, o in OPTIONS.items()]


def repeating(batch: Batch) -> Batch:
    """With targets of so few tokens that many could be copied."""
    return dataclasses.replace(batch, target=np.where(batch.target > 3, 4 + batch.target % 6, batch.target))


TINY, BATCH = repeating(batch_of([4, 1, 3], [3, 4, 1])), repeating(PLAIN)


def numpy_of(model: Seq2Seq) -> NumpyModel:
    return NumpyModel(model.config, export_parameters(model), None if model.copies is None else model.copies.numpy())


def chain_of(options: dict, dtype: torch.dtype = torch.float64, seed: int = 0) -> Seq2Seq:
    """With jumps and copies that count, and outputs far from flat."""
    model = model_of(options, dtype, seed, COPIES if "copy" in options else None)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in (*model.alignment.values(), *model.copy_gate.values()):
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
            log_either, copied = log_p[target[t]], -1 if model.copies is None else model.copies[source[s]]
            if copied >= 0:
                gate = model.copy_gate
                kappa = torch.sigmoid(gate["w_m"] @ m + gate["w_h"] @ h + gate["b"][0])
                log_either = ((1 - kappa) * log_p[target[t]].exp() + kappa * int(copied == target[t])).log()
            emissions[t, s] = (1 - smoothing) * log_either + smoothing * log_p.mean()
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


@torch.no_grad()
def copied_at(model: Seq2Seq, source: np.ndarray, inputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """One sentence: [T, S] how much of p(y_t | s) is from copying the token at s."""
    encoded = model.encode(torch.tensor(source[None]), torch.tensor([len(source)]))
    queries, _ = model.decode(torch.tensor(inputs[None]), encoded.state)
    found, gate = np.zeros((len(target), len(source))), model.copy_gate
    for t, s in itertools.product(range(len(target)), range(len(source))):
        h, m = queries[0, t], encoded.memory[0, s]
        if model.copies[source[s]] == target[t]:
            kappa = float(torch.sigmoid(gate["w_m"] @ m + gate["w_h"] @ h + gate["b"][0]))
            p = float(model.logits(model.read(h, m)).softmax(-1)[target[t]])
            found[t, s] = kappa / (kappa + (1 - kappa) * p)
    return found
