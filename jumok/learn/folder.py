"""What a run writes to --out: its record, the best model so far, and checkpoints; never weights that are not finite.

The record comes first and says whose the folder is. It is read again before every write: if a lock did not keep two runs
apart, one of them ends, and their files are never mixed. Where model and checkpoint are both due, the model comes first. A
run killed between the two goes on from the checkpoint before, comes to the same evaluation again, and writes the same model
again. In the other order it would believe that the best model was in place. The record says that the run is finished before
the checkpoints are deleted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jumok import disk
from jumok.config import TrainConfig, build, to_dict
from jumok.errors import FolderError, TrainingError
from jumok.learn.beginning import Beginning
from jumok.learn.card import model_card
from jumok.learn.checkpoint import remove_checkpoint, write_checkpoint, writing
from jumok.learn.given import asked_for
from jumok.learn.history import Evaluation, Position
from jumok.learn.material import Material
from jumok.learn.recipe import Recipe
from jumok.measure import options_for
from jumok.net.export import export_parameters
from jumok.net.model import Seq2Seq
from jumok.runtime.folder import CHECKPOINTS, FolderConfig, update_config, update_folder, write_folder
from jumok.runtime.record import FINISHED, RECORD, RUNNING, STOPPED, Record, new_name, read_record, write_record
from jumok.text import Codec

WEIGHTS = ("model.", "average.")  # tensors of a checkpoint whose names begin so


class Folder:
    """The folder at --out, in the hands of one run.

    Args:
        out: the folder, there or not.
        beginning: how the run begins.
        asked: the run's configuration as it was given, before anything was settled.

    Attributes:
        written: the model at `out` is this run's own.
        record: what the folder's record says of this run; `claim` puts it there.
    """

    recipe: Recipe  # both from `claim` on
    data: Material

    def __init__(self, out: Path, beginning: Beginning, asked: TrainConfig) -> None:
        facts = beginning.checkpoint[1] if beginning.checkpoint else {}
        self.out, self.replaces, self.anew = out, beginning.replaces, beginning.checkpoint is None
        self.asked: dict[str, Any] = facts.get("asked") or to_dict(asked)
        self.written: bool = facts.get("written", False)
        given = facts.get("given")
        self.record = Record(
            beginning.run or new_name(), new_name(), RUNNING, 0, 0, asked_for(asked) if given is None else given
        )
        self.before: bytes | None = None
        self.made = self.touched = False

    def claim(self, recipe: Recipe, data: Material, step: int) -> None:
        """Makes the folder this run's own, before its first step; an older run's checkpoints go, for they are not this one's.

        Raises:
            TrainingError: the disk does not let it.
            FolderError: another run has been quicker.
        """
        self.recipe, self.data = recipe, data
        self.record = dataclasses.replace(self.record.at(step), steps=recipe.steps)
        with writing(self.out, "model folder"):
            self.made = not self.out.is_dir()
            self.out.mkdir(parents=True, exist_ok=True)
            if self.made:
                disk.flush(self.out.absolute().parent)
            with contextlib.suppress(FolderError, OSError):
                if (older := read_record(self.out)) is not None:
                    more = {name: value for name, value in older.more.items() if name != "teacher"}
                    self.record = dataclasses.replace(self.record, more=more)
                self.before = (self.out / RECORD).read_bytes()
            if data.taught:
                name = recipe.config.teacher.encode("utf-8", "backslashreplace").decode()
                more = self.record.more | {"teacher": {"name": name, "digest": data.taught}}
                self.record = dataclasses.replace(self.record, more=more)
            if self.anew and self.replaces:
                remove_checkpoint(self.out)
            try:
                write_record(self.out, self.record, new=not self.replaces)
            except FileExistsError:
                self._taken()
            if self.anew:
                remove_checkpoint(self.out)

    def planned(self, steps: int) -> None:
        """The run has so many steps, as it is planned now."""
        config = self.recipe.config
        learn = dataclasses.replace(config.learn, steps=steps)
        self.recipe = dataclasses.replace(self.recipe, config=dataclasses.replace(config, learn=learn))
        self.record = dataclasses.replace(self.record, steps=steps)

    def _config(self) -> FolderConfig:
        config = self.recipe.config
        return FolderConfig(config.text, config.model, self.data.limit, to_dict(config))

    def keep(self, model: Seq2Seq, step: int, history: Sequence[Evaluation]) -> None:
        """Writes the model with what is known of it at this step; its weights are those that are in it now."""
        parameters = export_parameters(model)
        self._refuse(step, all(np.isfinite(array).all() for array in parameters.values()))
        self.record = self.record.at(step)
        with writing(self.out, "model"):
            if self.written:
                update_folder(self.out, parameters, self._card(history), history, self.record, self._ours)
            else:
                write_folder(
                    self.out,
                    self._config(),
                    parameters,
                    self.data.codec,
                    self._card(history),
                    history,
                    carry=CHECKPOINTS,
                    record=self.record,
                    ours=self._ours,
                )
        self.written = self.touched = True

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any], step: int) -> None:
        """Writes a checkpoint of this step: what the loop goes on from, and what the run does."""
        self._refuse(step, all(bool(t.isfinite().all()) for name, t in tensors.items() if name.startswith(WEIGHTS)))
        codec = torch.frombuffer(bytearray(json.dumps(self.data.codec.to_dict()).encode()), dtype=torch.uint8)
        facts = {
            **facts,
            "run": self.record.run,
            "config": to_dict(self.recipe.config),
            "asked": self.asked,
            "given": self.record.asked,
            "written": self.written,
            "machine": str(self.recipe.machine),
            "data": self.data.batches.fingerprint(),
        }
        write_checkpoint(self.out, {**tensors, "codec": codec}, facts, ours=self._ours, by=self.record.sitting)
        self.touched = True
        if self.record.step != step:
            self._say(self.record.at(step))

    def finish(self, position: Position, stopped: bool, timed: bool) -> None:
        """Completes the history with the evaluations after the best model; then the record says how the run ended.

        Args:
            timed: the run had --minutes, so that its steps may be others than they were when the model was written.
        """
        if not self.written:
            raise TrainingError(
                f"{self.out}: no model was written, for the loss on dev was never finite; try a lower --learning-rate "
                f"than {self.recipe.learning_rate:g}"
            )
        history = position.history
        if history and history[-1].step != position.best_step:
            with writing(self.out, "history"):
                update_folder(self.out, None, self._card(history), history, None, self._ours)
        if timed:
            with writing(self.out, "configuration"):
                update_config(self.out, self._config(), self._ours)
        self._say(self.record.at(position.step, STOPPED if stopped else FINISHED))

    def _card(self, history: Sequence[Evaluation]) -> str:
        return model_card(self.recipe.config, history, self.data.pairs, self.data.dev.signatures, self.data.taught)

    @contextlib.contextmanager
    def undone_if_it_fails(self) -> Iterator[None]:
        """A run that ends with an error before it has written anything of its own leaves the folder as it found it."""
        try:
            yield
        except Exception:
            if not self.touched and self._is_ours():
                with contextlib.suppress(OSError):
                    if self.before is None:
                        os.unlink(self.out / RECORD)
                    else:
                        disk.write_file(self.out / RECORD, self.before)
                    if self.made:
                        self.out.rmdir()
            raise

    def _say(self, record: Record) -> None:
        self.record = record
        with writing(self.out, RECORD):
            self._ours()
            write_record(self.out, record)

    def _is_ours(self) -> bool:
        try:
            record = read_record(self.out)
        except FolderError:
            return False
        return record is not None and (record.run, record.sitting) == (self.record.run, self.record.sitting)

    def _ours(self) -> None:
        """TrainingError if the folder belongs to another run now. Where it is gone, the writer says so."""
        if self.out.is_dir() and not self._is_ours():
            self._taken()

    def _taken(self) -> None:
        raise TrainingError(
            f"{self.out}: the folder is another run's now ({RECORD} does not name this one any more), so this one ends and writes "
            "nothing more into it; give each run its own --out"
        )

    def _refuse(self, step: int, finite: bool) -> None:
        if not finite:
            raise TrainingError(f"{self.out}: at step {step:,} the weights are not finite; nothing was written of them")


def stored_run(values: dict[str, Any], where: Path) -> TrainConfig:
    """The run's configuration in a checkpoint; one from before BLEU's unit was an option goes on counting as it did;
    one from before there were alignments has a soft one."""
    if isinstance(values.get("model"), dict):
        values = {**values, "model": {"alignment": "soft", **values["model"]}}
    run = build(TrainConfig, values, str(where))
    if run.learn.tokenize is None:
        run = replace(run, learn=replace(run.learn, tokenize=options_for(run.text, None).tokenize))
    return run


def stored_codec(tensors: Mapping[str, torch.Tensor], run: TrainConfig, where: Path) -> Codec:
    """The codec in a checkpoint."""
    return Codec.from_dict(json.loads(tensors["codec"].numpy().tobytes()), run.text, where)
