"""How a run begins: anew, from the checkpoint that is at --out, or not at all, where everything is done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from jumok.config import TrainConfig, build, to_dict
from jumok.errors import FolderError, JumokError, TrainingError
from jumok.learn.checkpoint import has_checkpoint, read_checkpoint
from jumok.runtime import disk
from jumok.runtime.folder import CHANGING, CONFIG, HISTORY, refuse_to_replace

LENGTHS = ("minutes", "epochs", "steps")


def begin(
    run: TrainConfig, resume: bool, overwrite: bool, note: Callable[[str], None]
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The checkpoint to go on from, or None to begin anew; what a killed run left at --out is cleared up.

    Raises:
        JumokError: --out may not or cannot be written, or there is nothing to resume from and no data to begin with.
    """
    out = Path(run.out)
    try:
        disk.bring_back(out)
    except OSError as e:
        raise FolderError(f"{out}: cannot be written ({e.strerror or e}); give another --out") from e
    checkpoint = read_checkpoint(out, lambda text: note(f"warning: {text}")) if resume else None
    if checkpoint is None:
        if resume and not run.pairs:
            raise TrainingError(f"{out}: there is no checkpoint to resume from; name the training pairs to begin anew")
        check_place(out, overwrite)
        if resume:
            note(f"nothing to resume in {out}: training begins anew")
    elif facts_without_model(checkpoint[1], out):
        raise TrainingError(
            f"{out}: there is a checkpoint, but the best model so far, which was beside it, is gone; train anew with --overwrite"
        )
    disk.sweep(out, CHANGING)
    return checkpoint


def begun(run: TrainConfig, note: Callable[[str], None]) -> bool:
    """Whether what is at --out, a checkpoint or a finished model, is of a run with these same options.

    What torchrun restarts, it means to go on; and a process may be killed when all is done but the end of the others.
    """
    found = read_checkpoint(Path(run.out), lambda text: note(f"warning: {text}"))
    if found is not None:
        return found[1].get("asked") == to_dict(run)
    done = finished(Path(run.out))
    return done is not None and _settled_from(to_dict(run), to_dict(done[0]))


def _settled_from(asked: dict[str, Any], done: dict[str, Any]) -> bool:
    """Whether every option that was asked for is as it was asked for; the length of a run becomes steps, and 0 threads some."""
    for name, value in asked.items():
        if isinstance(value, dict):
            if not _settled_from(value, done[name]):
                return False
        elif name not in LENGTHS and value not in (None, "auto", done[name]) and (name, value) != ("threads", 0):
            return False
    return True


def facts_without_model(facts: dict[str, Any], out: Path) -> bool:
    """Whether a checkpoint's run had written a model to `out` which is not there any more."""
    return bool(facts["written"]) and not (out / CONFIG).is_file()


def finished(out: Path) -> tuple[TrainConfig, list[dict[str, Any]]] | None:
    """Configuration and history of a model folder at `out` whose training is over; None where there is none or it is not over."""
    if has_checkpoint(out) or not (out / CONFIG).is_file():
        return None
    try:
        training = json.loads((out / CONFIG).read_text(encoding="utf-8"))["training"]
        history = json.loads((out / HISTORY).read_text(encoding="utf-8"))
        return (build(TrainConfig, training, str(out / CONFIG)), list(history)) if history else None
    except (OSError, ValueError, KeyError, TypeError, JumokError):
        return None


def check_place(out: Path, overwrite: bool) -> None:
    """Says at once what would otherwise be found out after an epoch: that the model folder cannot be written."""
    try:
        refuse_to_replace(out, overwrite)
    except FolderError as e:
        raise FolderError(f"{e} (--resume goes on with an interrupted run, --overwrite replaces a model)") from None
    parent = out.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise FolderError(f"{out}: {parent} is not a folder that can be written to; give another --out")
