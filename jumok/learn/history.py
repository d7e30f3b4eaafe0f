"""The history of a training: its evaluations, where it is now, and the form of both in `history.json` and in checkpoints."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jumok.runtime.folder import HISTORY


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping[str, Any]):
    """One look at dev, and what training did since the one before.

    It can also be read like the dict that it is in `history.json`: `evaluation["loss"]`, `dict(evaluation)`; there the metrics
    stand side by side with the rest, and "metrics" is the list of their names.

    Attributes:
        step: updates done; epoch: the same in passes over the data.
        seconds: training time so far.
        learning_rate: of the last step; gold_share: the share of gold inputs in it.
        tokens_per_second: target tokens trained on.
        train_loss: mean over those, in nats a token.
        skipped: batches that were left out because their gradient was not finite.
        metrics: values by name, `loss` among them.
        best: it was the best so far, so its model was kept.
    """

    step: int
    epoch: float = 0.0
    seconds: float = 0.0
    learning_rate: float = 0.0
    gold_share: float = 1.0
    tokens_per_second: float = 0.0
    train_loss: float = 0.0
    skipped: int = 0
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    best: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As in `history.json`."""
        values = {name: getattr(self, name) for name in NAMES}
        return {**values, "metrics": list(self.metrics), **self.metrics, "best": self.best}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Evaluation:
        """From `history.json` or a checkpoint, an older Jumok's too; what is unknown there is a metric if it is a number."""
        known = {name: values[name] for name in (*NAMES, "best") if name in values}
        others = [name for name in values if name not in known and isinstance(values[name], int | float)]
        return cls(**known, metrics={name: values[name] for name in values.get("metrics", others)})

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())


NAMES = tuple(field.name for field in dataclasses.fields(Evaluation) if field.name not in ("metrics", "best"))


@dataclass
class Position:
    """Where a run is: what a checkpoint holds beside tensors.

    Attributes:
        step: updates done; with the seed it determines epoch and batch.
        seconds: training time so far, earlier sittings included.
        best: value of the dev metric at the best evaluation (`jumok.learn.choice`), which was at `best_step`.
        stale: evaluations since the last better one; those that told nothing are not counted.
        switched: the step at which patience sent a two-phase run into its second phase.
        bad_in_a_row: batches up to here, one after the other, whose gradient was not finite.
        history: the evaluations so far.
    """

    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    switched: int | None = None
    bad_in_a_row: int = 0
    history: list[Evaluation] = dataclasses.field(default_factory=list)

    def kept(self) -> Evaluation | None:
        """The evaluation whose model is kept, from the history: so a checkpoint needs to hold nothing more of it."""
        return next((e for e in reversed(self.history) if e.best and e.step == self.best_step), None)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, for a checkpoint."""
        return {**vars(self), "history": [evaluation.to_dict() for evaluation in self.history]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Position:
        """The way back. TypeError or KeyError where something is missing or unknown."""
        return cls(**{**values, "history": [Evaluation.from_dict(e) for e in values["history"]]})


def best_of(history: Sequence[Evaluation]) -> Evaluation | None:
    """The evaluation whose model is kept: the last that was the best so far."""
    return next((evaluation for evaluation in reversed(history) if evaluation.best), None)


def read_history(folder: Path) -> list[Evaluation]:
    """The evaluations in a model folder; none where the file was deleted, which it may be, or damaged."""
    try:
        values = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
        good = isinstance(values, list) and all(isinstance(e, dict) and {"step", "best"} <= e.keys() for e in values)
        return [Evaluation.from_dict(e) for e in values] if good else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
