"""How good the model is on dev while it learns: teacher-forced loss, and metrics of what it writes on its own."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch

from jumok.config import LearnConfig, SearchConfig
from jumok.decode.search import search
from jumok.errors import need
from jumok.learn.machine import Machine
from jumok.learn.parallel import ALONE, Team
from jumok.measure import METRICS, Measured, gold_text, measure, merge_references, options_for
from jumok.measure.edits import edits
from jumok.measure.gold import check_uncut
from jumok.net.model import Seq2Seq
from jumok.net.steps import TorchSteps
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
        learn: its `metric`, the one that picks, or loss; its `tokenize`: how BLEU is counted, as `options_for` takes it.
        team: the processes that share the work.
        warn: called with a line where gold is compared in another form than it has, or BLEU cuts tokens again.

    Attributes:
        signatures: of each metric that is measured, how.
        titles: of a metric's column in the log, with its unit, where its name does not say enough.

    Raises:
        ConfigError, MissingExtra: the metric cannot be measured here; said before anything is trained.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        codec: Codec,
        limit: tuple[float, float],
        learn: LearnConfig,
        team: Team = ALONE,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        metric = learn.metric or "accuracy"
        package = METRICS[metric].needs if metric != "loss" else None
        if package:
            need(f"the metric {metric}", "train", package)  # said now, not at the first evaluation
        self.codec, self.limit, self.metric, self.team = codec, limit, metric, team
        self.sources, self.targets = codec.encode_pairs(pairs)
        different, targets = merge_references(pairs)
        first = {(p.source, p.features): i for i, p in reversed(list(enumerate(pairs)))}
        self.rows = [first[key] for key in different]
        self.gold = [[codec.encode_target(text) for text in alternatives] for alternatives in targets]
        self.references = gold_text(pairs, codec.written, warn).references
        self.options = options_for(codec.config, learn.tokenize)
        if self.metric == "bleu":
            check_uncut(self.references, self.options, warn)
        self.signatures = self._signatures()
        self.titles = {m.name: m.column.format(**vars(self.options)) for m in METRICS.values() if m.column}

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
        outputs = []
        for batch in self.team.mine(in_length_order(sources, None, BATCH)):
            limit = np.ceil(self.limit[0] * batch.source_lengths + self.limit[1]) if limits is None else limits[batch.rows]
            best = search(TorchSteps(model), batch.source, batch.source_lengths, SearchConfig(), limit.astype(np.int64))
            for row, hypotheses in zip(batch.rows.tolist(), best, strict=True):
                outputs.append([row, [int(token) for token in hypotheses[0].tokens if token != END]])
        by_row = dict(itertools.chain(*self.team.gather(outputs)))  # of all processes
        return [by_row[row] for row in range(len(sources))]

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
        values = {"loss": loss} | {m.name: m.value for m in self._measure(hypotheses, self.references)}
        return values | {"gap": self._free_errors(written) - forced_errors}

    def _measure(self, hypotheses: list[str], references: list[list[str]]) -> list[Measured]:
        names = dict.fromkeys(("accuracy", "token-error-rate", self.metric))
        return [measure(name, hypotheses, references, self.options) for name in names if name != "loss"]

    def _signatures(self) -> dict[str, str]:
        """Measured on few lines, which is quick: one for every number of references that a line has."""
        lines = {len(texts): texts for texts in sorted(self.references, key=lambda texts: len(texts[0]))}.values()
        measured = self._measure([texts[0] for texts in lines], list(lines))
        counts = f"|n:{len(lines)}|", f"|n:{len(self.references)}|"
        return {m.name: m.signature.replace(*counts) for m in measured}

    def _free_errors(self, written: list[list[int]]) -> float:
        nearest = [min((edits(ids, g[:-1]), -len(g)) for g in gold) for ids, gold in zip(written, self.gold, strict=True)]
        return 100 * sum(n for n, _ in nearest) / -sum(length for _, length in nearest)

    def rehearse(self, model: Seq2Seq, machine: Machine) -> None:
        """Does about the work of one `evaluate` of a trained model, whatever this one would write: outputs as long as the gold."""
        self.outputs(model, np.array([len(self.targets[i]) for i in self.rows]))
        self.forced(model, machine)
        if self.team.lead:
            self._measure([alternatives[0] for alternatives in self.references], self.references)

    def part(self, sources: int) -> Development:
        """The same with its first `sources` different sources only, for `rehearse`."""
        part, pairs = copy.copy(self), self.rows[sources] if sources < len(self.rows) else len(self.sources)
        part.rows, part.sources, part.targets = self.rows[:sources], self.sources[:pairs], self.targets[:pairs]
        part.references = self.references[:sources]
        return part
