"""What a run writes to --out: its record, the best model so far, and checkpoints; never weights that are not finite.

The record comes first and says whose the folder is; before every write it is looked at again, so that of two runs that a lock
did not keep apart one ends and nothing of the two is mixed. Where model and checkpoint are both due, the model comes first. A
run killed between the two goes on from the checkpoint before, comes to the same evaluation again, and writes the same model
again; the other way round it would believe that the best model was in place. That the run is finished is said before its
checkpoints are deleted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jumok import disk
from jumok.config import TrainConfig, build, to_dict
from jumok.errors import FolderError, TrainingError
from jumok.learn.beginning import Beginning
from jumok.learn.card import model_card
from jumok.learn.checkpoint import remove_checkpoint, write_checkpoint, writing
from jumok.learn.given import asked_for
from jumok.learn.loop import Loop
from jumok.measure import options_for
from jumok.net.export import export_parameters
from jumok.runtime.folder import CHECKPOINTS, FolderConfig, update_folder, write_folder
from jumok.runtime.record import FINISHED, RECORD, RUNNING, STOPPED, Record, new_name, read_record, write_record
from jumok.text import Codec

WEIGHTS = ("model.", "average.")  # tensors of a checkpoint whose names begin so


class Store:
    """The folder at --out, in the hands of one run.

    Args:
        out: the folder, there or not.
        beginning: how the run begins.
        asked: the run's configuration as it was given, before anything was settled.

    Attributes:
        written: the model at `out` is this run's own.
        record: what the folder's record says of this run; `claim` puts it there.
    """

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

    def claim(self, step: int, steps: int) -> None:
        """Makes the folder this run's own, before its first step; an older run's checkpoints go, for they are not this one's.

        Raises:
            TrainingError: the disk does not let it.
            FolderError: another run has been quicker.
        """
        self.record = dataclasses.replace(self.record.at(step), steps=steps)
        with writing(self.out, "model folder"):
            self.made = not self.out.is_dir()
            self.out.mkdir(parents=True, exist_ok=True)
            if self.made:
                disk.flush(self.out.absolute().parent)
            with contextlib.suppress(FolderError, OSError):
                if (there := read_record(self.out)) is not None:
                    self.record = dataclasses.replace(self.record, more=there.more)
                self.before = (self.out / RECORD).read_bytes()
            if self.anew and self.replaces:
                remove_checkpoint(self.out)
            try:
                write_record(self.out, self.record, new=not self.replaces)
            except FileExistsError:
                self._taken()
            if self.anew:
                remove_checkpoint(self.out)

    def keep(self, loop: Loop, run: TrainConfig, codec: Codec, limit: tuple[float, float], pairs: int) -> None:
        """Writes the model as it is in the loop now; `pairs` is how many it is trained on."""
        parameters = export_parameters(loop.model)
        self._refuse(loop, all(np.isfinite(array).all() for array in parameters.values()))
        card, history = model_card(run, loop.position.history, pairs, loop.dev.signatures), loop.position.history
        self.record = self.record.at(loop.position.step)
        with writing(self.out, "model"):
            if self.written:
                update_folder(self.out, parameters, card, history, self.record, self._ours)
            else:
                config = FolderConfig(run.text, run.model, limit, to_dict(run))
                write_folder(
                    self.out,
                    config,
                    parameters,
                    codec,
                    card,
                    history,
                    carry=CHECKPOINTS,
                    record=self.record,
                    ours=self._ours,
                )
        self.written = self.touched = True

    def save(self, loop: Loop, run: TrainConfig, codec: Codec) -> None:
        """Writes a checkpoint."""
        tensors, facts = loop.state()
        self._refuse(loop, all(bool(t.isfinite().all()) for name, t in tensors.items() if name.startswith(WEIGHTS)))
        tensors["codec"] = torch.frombuffer(bytearray(json.dumps(codec.to_dict()).encode()), dtype=torch.uint8)
        facts |= {
            "run": self.record.run,
            "config": to_dict(run),
            "asked": self.asked,
            "given": self.record.asked,
            "written": self.written,
            "machine": str(loop.machine),
            "data": loop.batches.fingerprint(),
        }
        write_checkpoint(self.out, tensors, facts, ours=self._ours, by=self.record.sitting)
        self.touched = True
        if self.record.step != loop.position.step:
            self._say(self.record.at(loop.position.step))

    def finish(self, loop: Loop, run: TrainConfig, pairs: int) -> None:
        """What came after the best model belongs to its history, too; then the record says how the run ended."""
        if not self.written:
            raise TrainingError(
                f"{self.out}: no model was written, for the loss on dev was never finite; try a lower --learning-rate "
                f"than {run.learn.learning_rate:g}"
            )
        at = loop.position
        record = self.record.at(at.step, STOPPED if loop.stopped else FINISHED)
        if at.history and at.history[-1]["step"] != at.best_step:
            with writing(self.out, "history"):
                update_folder(
                    self.out, None, model_card(run, at.history, pairs, loop.dev.signatures), at.history, None, self._ours
                )
        self._say(record)

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
                        (self.out / RECORD).write_bytes(self.before)
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
            there = read_record(self.out)
        except FolderError:
            return False
        return there is not None and (there.run, there.sitting) == (self.record.run, self.record.sitting)

    def _ours(self) -> None:
        """TrainingError if the folder is not this run's own any more; one that is gone is for the writer to find out."""
        if self.out.is_dir() and not self._is_ours():
            self._taken()

    def _taken(self) -> None:
        raise TrainingError(
            f"{self.out}: the folder is another run's now ({RECORD} does not name this one any more), so this one ends and writes "
            "nothing more into it; give each run its own --out"
        )

    def _refuse(self, loop: Loop, good: bool) -> None:
        if not good:
            raise TrainingError(
                f"{self.out}: at step {loop.position.step:,} the weights are not finite; nothing was written of them"
            )


def stored_run(values: dict[str, Any], where: Path) -> TrainConfig:
    """The run's configuration in a checkpoint; one from before BLEU's unit was an option goes on counting as it did."""
    run = build(TrainConfig, values, str(where))
    if run.learn.tokenize is None:
        run = replace(run, learn=replace(run.learn, tokenize=options_for(run.text, None).tokenize))
    return run


def stored_codec(tensors: Mapping[str, torch.Tensor], run: TrainConfig, where: Path) -> Codec:
    """The codec in a checkpoint."""
    return Codec.from_dict(json.loads(tensors["codec"].numpy().tobytes()), run.text, where)
