"""Small torch models and a batch for them, for tests of the net."""

import dataclasses

import numpy as np
import torch

from jumok.config import ModelConfig
from jumok.learn.evaluation import tensors
from jumok.net.model import Seq2Seq, shifted
from jumok.text import END, Batch

V = 30


SMALL = ModelConfig(embedding=12, hidden=16, score_size=10, location_length=7, readout_size=12, tie="none")


def model_of(options, dtype=torch.float32, seed=0, copies=None):
    torch.manual_seed(seed)
    model = Seq2Seq(dataclasses.replace(SMALL, **options), V, V, copies=copies).to(dtype).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2)  # further from linear than a fresh model is
    return model


def batch_of(lengths, target_lengths, extra=0, seed=0):
    rng = np.random.default_rng(seed)

    def side(lengths):
        ids = np.zeros((len(lengths), max(lengths) + extra), np.int64)
        for row, n in zip(ids, lengths, strict=True):
            row[:n] = rng.integers(4, V, n)
            row[n - 1] = END
        return ids, np.array(lengths)

    return Batch(*side(lengths), *side(target_lengths), np.arange(len(lengths)))


BATCH = batch_of([5, 1, 9, 3], [4, 6, 2, 6])


def losses(model, batch, smoothing=0.0):
    source, lengths, target, real = tensors(batch, "cpu")
    return model.loss(source, lengths, shifted(target), target, real, smoothing)
