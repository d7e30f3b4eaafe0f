"""Curves for TensorBoard (the extra `tensorboard`): what the bar and the table of a training show, as scalars over the steps."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jumok.errors import MissingExtra, TrainingError
from jumok.places import make_folder

EVALUATED = ("train_loss", "learning_rate", "gold_share", "tokens_per_second")


class Board:
    """Writes TensorBoard's event files to a folder; several runs are told apart by a folder each.

    A disk that fails while training ends the curves, and not the training.

    Raises:
        MissingExtra: at once, where the package is not installed.
        OutputError: at once, where the folder cannot be written to.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtra("--tensorboard", "tensorboard", "tensorboard") from None
        self.kind: Any = SummaryWriter
        self.folder = str(folder)
        make_folder(folder, "--tensorboard")
        self.writer: Any = None

    def open(self, done: int) -> None:
        """Before the first step; a run taken up again after `done` steps hides what an earlier sitting wrote of later ones.

        Raises:
            TrainingError: the folder cannot be written to.
        """
        try:
            self.writer = self.kind(self.folder, purge_step=done + 1 if done else None)
        except OSError as e:
            raise TrainingError(
                f"{self.folder}: cannot be written to ({e.strerror or e}); give --tensorboard another folder"
            ) from None

    def look(self, step: int, numbers: Mapping[str, float]) -> None:
        """How training goes, every few steps: under train/."""
        self._write("train", step, numbers)

    def evaluation(self, entry: Mapping[str, Any]) -> None:
        """An entry of the history: its metrics under dev/, what training did since the last one under evaluation/."""
        self._write("dev", entry["step"], {name: entry[name] for name in entry["metrics"]})
        self._write("evaluation", entry["step"], {name: entry[name] for name in EVALUATED})
        with self._lost_if_it_fails():
            if self.writer is not None:
                self.writer.flush()

    def _write(self, group: str, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            with self._lost_if_it_fails():
                if self.writer is not None:
                    self.writer.add_scalar(f"{group}/{name}", value, step)

    @contextlib.contextmanager
    def _lost_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            self.writer = None
            why = e.strerror or e
            print(f"warning: {self.folder}: cannot be written to ({why}); there are no more curves", file=sys.stderr)

    def close(self) -> None:
        """After the last step."""
        with self._lost_if_it_fails():
            if self.writer is not None:
                self.writer.close()
        self.writer = None
