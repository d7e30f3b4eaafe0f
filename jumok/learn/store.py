"""What a run writes to --out: the best model so far, and checkpoints; never weights that are not finite.

Where both are due, the model comes first. A run killed between the two goes on from the checkpoint before, comes to the same
evaluation again, and writes the same model again; the other way round it would believe that the best model was in place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jumok.config import TrainConfig, build, to_dict
from jumok.errors import TrainingError
from jumok.learn.card import model_card
from jumok.learn.checkpoint import remove_checkpoint, write_checkpoint, writing
from jumok.learn.export import export_parameters
from jumok.learn.loop import Loop
from jumok.measure import options_for
from jumok.runtime.folder import CHECKPOINTS, FolderConfig, update_folder, write_folder
from jumok.text import Codec

WEIGHTS = ("model.", "average.")  # tensors of a checkpoint whose names begin so


class Store:
    """The folder at --out, in the hands of one run.

    Args:
        out: the folder, there or not.
        overwrite: a model that is there already may be replaced.
        resumed: the facts of the checkpoint that the run goes on from, if it does.
        asked: the run's configuration as it was given, before anything was settled.

    Attributes:
        written: the model at `out` is this run's own.
        claimed: what is at `out` is, a checkpoint at least.
    """

    def __init__(self, out: Path, overwrite: bool, resumed: Mapping[str, Any] | None, asked: TrainConfig) -> None:
        self.out, self.asked = out, asked
        self.written: bool = resumed is not None and resumed["written"]
        self.claimed = resumed is not None
        self.overwrite = overwrite or self.claimed

    def clear(self) -> None:
        """Before a run begins anew: an older run's checkpoint must not be taken for this one's."""
        if self.overwrite:
            with writing(self.out, "model folder"):
                remove_checkpoint(self.out)

    def keep(self, loop: Loop, run: TrainConfig, codec: Codec, limit: tuple[float, float], pairs: int) -> None:
        """Writes the model as it is in the loop now; `pairs` is how many it is trained on."""
        parameters = export_parameters(loop.model)
        self._refuse(loop, all(np.isfinite(array).all() for array in parameters.values()))
        card, history = model_card(run, loop.position.history, pairs, loop.dev.signatures), loop.position.history
        with writing(self.out, "model"):
            if self.written:
                update_folder(self.out, parameters, card, history)
            else:
                config = FolderConfig(run.text, run.model, limit, to_dict(run))
                write_folder(self.out, config, parameters, codec, card, history, self.overwrite, CHECKPOINTS)
                self.written = self.claimed = True

    def save(self, loop: Loop, run: TrainConfig, codec: Codec) -> None:
        """Writes a checkpoint."""
        tensors, facts = loop.state()
        self._refuse(loop, all(bool(t.isfinite().all()) for name, t in tensors.items() if name.startswith(WEIGHTS)))
        tensors["codec"] = torch.frombuffer(bytearray(json.dumps(codec.to_dict()).encode()), dtype=torch.uint8)
        facts |= {
            "config": to_dict(run),
            "asked": to_dict(self.asked),
            "written": self.written,
            "machine": str(loop.machine),
            "data": loop.batches.fingerprint(),
        }
        write_checkpoint(self.out, tensors, facts, make=not self.claimed)
        self.claimed = self.overwrite = True

    def finish(self, loop: Loop, run: TrainConfig, pairs: int) -> None:
        """What came after the best model belongs to its history, too."""
        if not self.written:
            raise TrainingError(
                f"{self.out}: no model was written, for the loss on dev was never finite; try a lower --learning-rate "
                f"than {run.learn.learning_rate:g}"
            )
        at = loop.position
        if at.history and at.history[-1]["step"] != at.best_step:
            with writing(self.out, "history"):
                update_folder(self.out, None, model_card(run, at.history, pairs, loop.dev.signatures), at.history)

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
