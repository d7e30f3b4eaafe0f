"""How good the model is on dev while it learns: teacher-forced loss, and metrics of what it writes on its own."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence

import numpy as np
import torch

from jumok.config import SearchConfig
from jumok.decode.search import search
from jumok.learn.machine import Machine
from jumok.learn.model import Seq2Seq
from jumok.learn.parallel import ALONE, Team
from jumok.learn.steps import TorchSteps
from jumok.measure import METRICS, MeasureOptions, measure, merge_references
from jumok.measure.metrics import Unit
from jumok.text import END, Batch, Codec, Pair, in_length_order

BATCH = 128
PIECE = 512  # positions whose logits [·, V] are looked at together: 16 MB for a vocabulary of 8,000


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
        team: the processes that share the work.
    """

    def __init__(
        self, pairs: Sequence[Pair], codec: Codec, limit: tuple[float, float], metric: str, team: Team = ALONE
    ) -> None:
        self.codec, self.limit, self.metric, self.team = codec, limit, metric, team
        self.sources, self.targets = codec.encode_pairs(pairs)
        different, self.references = merge_references(pairs)
        first = {(p.source, p.features): i for i, p in reversed(list(enumerate(pairs)))}
        self.rows = [first[key] for key in different]
        self.gold = [[codec.encode_target(text) for text in alternatives] for alternatives in self.references]
        unit: Unit = "char" if codec.config.target_tokenizer == "char" else "space"
        logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # on dev, BLEU only picks; how text is cut does not matter
        self.options = MeasureOptions(unit=unit, tokenize="none" if codec.config.target_tokenizer == "space" else "13a")

    def forced(self, model: Seq2Seq, machine: Machine) -> tuple[float, float]:
        """Under teacher forcing: negative log-likelihood a gold token, in nats, and percent of gold tokens not the likeliest."""
        total, wrong, tokens = 0.0, 0, 0
        with torch.no_grad(), machine.autocast():
            for batch in self.team.mine(in_length_order(self.sources, self.targets, BATCH)):
                source, lengths, target, real = tensors(batch, machine.device)
                for logits, ids in model.predictions(source, lengths, target, real, PIECE):
                    total += float(torch.nn.functional.cross_entropy(logits, ids, reduction="sum"))
                    wrong += int((logits.argmax(-1) != ids).sum())
                tokens += len(real)
        total, wrong, tokens = map(sum, zip(*self.team.gather([total, wrong, tokens]), strict=True))
        return total / tokens, 100 * wrong / tokens

    def outputs(self, model: Seq2Seq, limits: np.ndarray | None = None) -> list[list[int]]:
        """Ids of the greedy output for every different source, in their order, without the end token."""
        sources = [self.sources[i] for i in self.rows]
        found = []
        for batch in self.team.mine(in_length_order(sources, None, BATCH)):
            limit = np.ceil(self.limit[0] * batch.source_lengths + self.limit[1]) if limits is None else limits[batch.rows]
            best = search(TorchSteps(model), batch.source, batch.source_lengths, SearchConfig(), limit.astype(np.int64))
            for row, hypotheses in zip(batch.rows.tolist(), best, strict=True):
                found.append([row, [int(token) for token in hypotheses[0].tokens if token != END]])
        everybody = dict(itertools.chain(*self.team.gather(found)))
        return [everybody[row] for row in range(len(sources))]

    def evaluate(self, model: Seq2Seq, machine: Machine) -> dict[str, float]:
        """Loss under teacher forcing; free-running metrics: accuracy, token error rate, and the one that picks; and their gap.

        The gap is exposure bias as a number: percent of errors in the model's own tokens when it lives with its own words
        (edits to the nearest gold output) less those when it reads gold ones.
        """
        written = self.outputs(model)
        loss, forced_errors = self.forced(model, machine)
        return self.team.agree(self._measured(written, loss, forced_errors) if self.team.lead else None)

    def _measured(self, written: list[list[int]], loss: float, forced_errors: float) -> dict[str, float]:
        hypotheses = [self.codec.decode_target(ids) for ids in written]
        found = {"loss": loss}
        for name in dict.fromkeys(("accuracy", "token-error-rate", self.metric)):
            if name != "loss":
                found[name] = measure(name, hypotheses, self.references, self.options).value
        return found | {"gap": self._free_errors(written) - forced_errors}

    def _free_errors(self, written: list[list[int]]) -> float:
        from rapidfuzz.distance import Levenshtein

        edits = [
            min((Levenshtein.distance(ids, g[:-1]), -len(g)) for g in gold)
            for ids, gold in zip(written, self.gold, strict=True)
        ]
        return 100 * sum(n for n, _ in edits) / -sum(length for _, length in edits)

    def rehearse(self, model: Seq2Seq, machine: Machine) -> None:
        """Does about the work of one `evaluate` of a trained model, whatever this one would write: outputs as long as the gold."""
        self.outputs(model, np.array([len(self.targets[i]) for i in self.rows]))
        self.forced(model, machine)

    def better(self, new: float, old: float | None) -> bool:
        """Whether `new` beats `old` in the metric that picks the best model."""
        if old is None:
            return True
        higher = self.metric != "loss" and METRICS[self.metric].higher_is_better
        return new > old if higher else new < old
