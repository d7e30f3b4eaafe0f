"""How good the model is on dev while it learns: teacher-forced loss, and metrics of what it writes on its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch

from jumok.config import SearchConfig
from jumok.learn.machine import Machine
from jumok.learn.model import Seq2Seq, shifted
from jumok.learn.steps import TorchSteps
from jumok.measure import METRICS, MeasureOptions, measure, merge_references
from jumok.runtime.search import search
from jumok.text import Batch, Codec, Pair, in_length_order

BATCH = 128


def tensors(batch: Batch, device: str) -> tuple[torch.Tensor, ...]:
    """source, lengths, target, and the flat indices of target's real positions, as `Seq2Seq.loss` takes them."""
    target_mask = np.arange(batch.target.shape[1]) < batch.target_lengths[:, None]
    real = np.flatnonzero(target_mask)
    return tuple(torch.from_numpy(a).to(device) for a in (batch.source, batch.source_lengths, batch.target, real))


class Development:
    """The dev pairs, ready to be evaluated again and again.

    Args:
        pairs: dev pairs; targets of the same source are alternatives, any of which is right.
        limit: (ratio, constant): at most ratio · source tokens + constant tokens are written for a line.
    """

    def __init__(self, pairs: Sequence[Pair], codec: Codec, limit: tuple[float, float], metric: str) -> None:
        self.codec, self.limit, self.metric = codec, limit, metric
        self.sources, self.targets = codec.encode_pairs(pairs)
        different, self.references = merge_references(pairs)
        first = {(p.source, p.features): i for i, p in reversed(list(enumerate(pairs)))}
        self.rows = [first[key] for key in different]
        unit = "char" if codec.config.target_tokenizer == "char" else "space"
        logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # on dev, BLEU only picks; how text is cut does not matter
        self.options = MeasureOptions(unit=unit, tokenize="none" if codec.config.target_tokenizer == "space" else "13a")

    def loss(self, model: Seq2Seq, machine: Machine) -> float:
        """Teacher-forced negative log-likelihood a gold token, in nats, without label smoothing."""
        total, tokens = 0.0, 0
        with torch.no_grad(), machine.autocast():
            for batch in in_length_order(self.sources, self.targets, BATCH):
                source, lengths, target, real = tensors(batch, machine.device)
                found = model.loss(source, lengths, shifted(target), target, real)
                total, tokens = total + float(found.nll), tokens + found.tokens
        return total / tokens

    def outputs(self, model: Seq2Seq, limits: np.ndarray | None = None) -> list[str]:
        """Greedy output for every different source, in their order."""
        sources = [self.sources[i] for i in self.rows]
        texts = [""] * len(sources)
        for batch in in_length_order(sources, None, BATCH):
            limit = np.ceil(self.limit[0] * batch.source_lengths + self.limit[1]) if limits is None else limits[batch.rows]
            found = search(TorchSteps(model), batch.source, batch.source_lengths, SearchConfig(), limit.astype(np.int64))
            for row, hypotheses in zip(batch.rows, found, strict=True):
                texts[row] = self.codec.decode_target(hypotheses[0].tokens)
        return texts

    def evaluate(self, model: Seq2Seq, machine: Machine) -> dict[str, float]:
        """Loss under teacher forcing and the free-running metrics: accuracy, token error rate, and the one that picks."""
        hypotheses = self.outputs(model)
        found = {"loss": self.loss(model, machine)}
        for name in dict.fromkeys(("accuracy", "token-error-rate", self.metric)):
            if name != "loss":
                found[name] = measure(name, hypotheses, self.references, self.options).value
        return found

    def rehearse(self, model: Seq2Seq, machine: Machine) -> None:
        """Does about the work of one `evaluate` of a trained model, whatever this one would write: outputs as long as the gold."""
        self.outputs(model, np.array([len(self.targets[i]) for i in self.rows]))
        self.loss(model, machine)

    def better(self, new: float, old: float | None) -> bool:
        """Whether `new` beats `old` in the metric that picks the best model."""
        if old is None:
            return True
        higher = self.metric != "loss" and METRICS[self.metric].higher_is_better
        return new > old if higher else new < old
