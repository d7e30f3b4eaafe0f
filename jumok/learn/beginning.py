"""How a run begins: anew, from the checkpoint that is at --out, or not at all, where everything is done.

The folder's record (`jumok.runtime.record`) says what there is to go on from; nothing is guessed. Folders of older versions have
no record: then the history says how far training came, and a line tells the person so.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from jumok import disk, locks
from jumok.config import TrainConfig, build, options, to_dict
from jumok.errors import ConfigError, FolderError, JumokError, TrainingError
from jumok.learn.checkpoint import has_checkpoint, read_checkpoint, remove_checkpoint, run_of
from jumok.learn.given import LENGTHS, flat
from jumok.learn.history import Evaluation, read_history
from jumok.learn.teacher import check_apart, place_of
from jumok.runtime.folder import CONFIG, OWN, WEIGHTS, read_folder, refuse_to_replace, strangers
from jumok.runtime.record import FINISHED, RECORD, Record, read_record, readable_record
from jumok.text.codec import SOURCE_FILE, TARGET_FILE
from jumok.text.pairs import files_of

SHOWN = 5  # names of files in one line

Checkpoint = tuple[dict[str, Tensor], dict[str, Any]]


@dataclass(frozen=True)
class Beginning:
    """How a run begins.

    Attributes:
        checkpoint: what it goes on from; None = it begins anew.
        run: the name of the run that goes on; "" = it needs a new one.
        replaces: the run may replace what is at --out.
    """

    checkpoint: Checkpoint | None
    run: str
    replaces: bool


def alone(out: str) -> AbstractContextManager[bool]:
    """Holds --out for this run. TrainingError, saying who has it, where another run does."""

    def busy(who: str) -> TrainingError:
        return TrainingError(f"{out}: another run is training there ({who}); wait for its end, or give another --out")

    return locks.held(locks.beside(out), busy)


def begin(asked: TrainConfig, resume: bool, overwrite: bool, held: bool, note: Callable[[str], None], inside: str) -> Beginning:
    """What a run begins from. Clears up what a killed run left at --out.

    Args:
        held: this process has the lock of --out.
        inside: a folder that the run writes to beside --out, or "" (TensorBoard's).

    Raises:
        JumokError: --out may not or cannot be written, or there is nothing to resume from and no data to begin with.
    """
    out = Path(asked.out)
    _check_apart(asked, inside)
    record = read_record(out) if resume and not overwrite else None
    checkpoint = read_checkpoint(out, lambda text: note(f"warning: {text}")) if resume else None
    if checkpoint is not None and (there := readable_record(out)) is not None:
        record = there
        if record.run != run_of(checkpoint[1]):
            if not overwrite:
                raise TrainingError(
                    f"{out}: the checkpoint is of another run ({run_of(checkpoint[1])}) than the folder, whose {RECORD} names "
                    f"{record.run}; delete what is not wanted, or train anew with --overwrite"
                )
            checkpoint = None
    if checkpoint is None:
        if resume and not asked.pairs:
            raise TrainingError(f"{out}: there is no checkpoint to resume from; name the training pairs to begin anew")
        unfinished = record is not None and record.state != FINISHED
        if resume and not overwrite and record is None:
            _refuse_unknown(out)
        taught = str(place_of(asked)) if asked.teacher else ""
        expected = [name for name in (_first_part(place, out) for place in (asked.cache, inside, taught)) if name]
        _check_place(out, overwrite or unfinished, held, expected)
        if resume:
            note(_why_anew(out, record if unfinished else None))
        if others := [name for name in strangers(out) if name not in expected]:
            shown = ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
            note(f"{out}: only the training's own files are replaced; what else is there stays: {shown}")
        replaces = overwrite or unfinished or (held and readable_record(out) is not None)
        beginning = Beginning(None, "", replaces)
    else:
        if model_is_missing(checkpoint[1], out):
            raise TrainingError(
                f"{out}: there is a checkpoint, but the best model so far, which was beside it, is gone; train anew with "
                "--overwrite"
            )
        beginning = Beginning(checkpoint, run_of(checkpoint[1]), True)
    disk.sweep(out, OWN)
    return beginning


def bring_back(out: Path) -> None:
    """Undoes a replacement of --out that was cut off in the middle. FolderError where it cannot be written."""
    try:
        disk.bring_back(out)
    except OSError as e:
        raise FolderError(f"{out}: cannot be written ({e.strerror or e}); give another --out") from e


def _why_anew(out: Path, record: Record | None) -> str:
    if record is None or not record.step:
        return f"nothing to resume in {out}: training begins anew"
    return (
        f"{out}: training was not finished (step {record.step:,} of {record.steps:,}), but there is no checkpoint to go on from: "
        "it begins anew"
    )


def _first_part(place: str, out: Path) -> str:
    """The name in --out under which a place is; "" where it is elsewhere."""
    if not place:
        return ""
    path, folder = Path(os.path.realpath(place)), Path(os.path.realpath(out))
    return path.relative_to(folder).parts[0] if folder in path.parents else ""


def _check_apart(asked: TrainConfig, inside: str) -> None:
    """ConfigError if two of the run's places are one, of which one would destroy what the other has."""
    out = os.path.realpath(asked.out)
    for name, place in (("cache", asked.cache), ("tensorboard", inside)):
        if place and os.path.realpath(place) == out:
            raise ConfigError(f"{place}: --{name} and --out are one folder; give another to one of them")
    if asked.from_ and os.path.realpath(asked.from_) == out:
        raise ConfigError(
            f"{asked.from_}: --from and --out are one folder, and the model to start from would be replaced; give another --out "
            "(--resume goes on with an interrupted run)"
        )
    check_apart(asked)
    for file in [f for names in (asked.pairs, asked.dev) if names for f in files_of(names)]:
        if os.path.dirname(os.path.realpath(file)) == out and os.path.basename(os.path.realpath(file)) in OWN:
            raise ConfigError(f"{file}: training reads this file, and would write over it; copy it, or give another --out")


def begun(asked: TrainConfig, note: Callable[[str], None]) -> bool:
    """Whether what is at --out, a checkpoint, a model or a finished one, is of a run with these same options.

    When torchrun restarts a run, it is to go on, without --resume; and even a finished run may be restarted, if a process was
    killed at the very end.
    """
    out = Path(asked.out)
    checkpoint = read_checkpoint(out, lambda text: note(f"warning: {text}"))
    if checkpoint is not None:
        return checkpoint[1].get("asked") == to_dict(asked)
    training = training_of(out)
    return training is not None and bool(read_history(out)) and _fits(to_dict(asked), to_dict(training))


def _fits(asked: dict[str, Any], done: dict[str, Any]) -> bool:
    """Whether every option that was asked for is as it was asked for; the length of a run becomes steps, and 0 threads some."""
    for name, value in asked.items():
        if isinstance(value, dict):
            if not _fits(value, done[name]):
                return False
        elif name not in LENGTHS and value not in (None, "auto", done[name]) and (name, value) != ("threads", 0):
            return False
    return True


def model_is_missing(facts: dict[str, Any], out: Path) -> bool:
    """Whether a checkpoint's run had written a model to `out` which is not there any more."""
    return bool(facts["written"]) and not all((out / name).is_file() for name in (CONFIG, WEIGHTS, SOURCE_FILE, TARGET_FILE))


@dataclass(frozen=True)
class Finished:
    """A training that is over: its configuration, its history, the options that had been asked for; a line that says so."""

    config: TrainConfig
    history: list[Evaluation]
    asked: dict[str, Any]
    line: str

    def to_dict(self) -> dict[str, Any]:
        """JSON values, for the other processes of a run."""
        return {**vars(self), "config": to_dict(self.config), "history": [e.to_dict() for e in self.history]}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> Finished:
        """The way back."""
        history = [Evaluation.from_dict(e) for e in values["history"]]
        return cls(build(TrainConfig, values["config"], where), history, values["asked"], values["line"])


def finished(out: Path) -> Finished | None:
    """The training at `out`, if it is known to be over.

    Raises:
        JumokError: the record says that it is, and the model is gone; or it is damaged.
    """
    record = read_record(out)
    if record is None:
        return None if has_checkpoint(out) else _finished_by_history(out)
    if record.state != FINISHED:
        return None
    training = training_of(out)
    _check_model(out, RECORD)
    if training is None:
        raise TrainingError(
            f"{out}: training is finished, as {RECORD} says, but {CONFIG} is damaged; train anew with --overwrite"
        )
    with contextlib.suppress(OSError):
        remove_checkpoint(out)  # a kill has left it
    early = "" if record.step >= record.steps else ", stopped early by patience"
    return Finished(training, read_history(out), record.asked, f"step {record.step:,} of {record.steps:,}{early}")


def _finished_by_history(out: Path) -> Finished | None:
    """In a folder without a record, of an older version: finished if the last evaluation was at the last step, or patience was at its end."""
    training, history = training_of(out), read_history(out)
    if training is None or not history or training.learn.steps is None:
        return None
    last, patience = history[-1].step, training.learn.patience
    early = 0 < patience <= len(history) and not any(evaluation.best for evaluation in history[-patience:])
    if last < training.learn.steps and not early:
        return None
    _check_model(out, "its history")
    asked = {k: v for k, v in flat(training).items() if k in options(TrainConfig)}
    return Finished(training, history, asked, f"step {last:,} of {training.learn.steps:,}, as its history says")


def _check_model(out: Path, witness: str) -> None:
    """TrainingError where training is finished, but its model cannot be used."""
    try:
        read_folder(out)
    except JumokError as e:
        raise TrainingError(
            f"{out}: training is finished, as {witness} says, but the model is not there or damaged ({e}); train anew with "
            "--overwrite"
        ) from None


def _refuse_unknown(out: Path) -> None:
    """TrainingError for a folder without record and without checkpoint whose history ends before its training did."""
    training, history = training_of(out), read_history(out)
    if training is not None and history and training.learn.steps is not None:
        raise TrainingError(
            f"{out}: a model of step {history[-1].step:,} of {training.learn.steps:,} is there, and nothing to go on from: no "
            f"checkpoint, and no {RECORD} (its Jumok kept none), so what ended the run cannot be known; --overwrite trains anew"
        )


def training_of(out: Path) -> TrainConfig | None:
    """The configuration that the model at `out` was trained with; None where there is none that can be read."""
    try:
        training = json.loads((out / CONFIG).read_text(encoding="utf-8"))["training"]
        known = options(TrainConfig)
        values = {k: v for part in (training, *(training[s] for s in ("text", "model", "learn"))) for k, v in part.items()}
        return build(TrainConfig, {k: v for k, v in values.items() if k in known}, str(out / CONFIG))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, JumokError):
        return None


def _check_place(out: Path, overwrite: bool, alone: bool, expected: list[str]) -> None:
    """Says at once, and not after an epoch, that the model folder cannot be written."""
    try:
        refuse_to_replace(out, overwrite, alone, expected)
    except FolderError as e:
        raise FolderError(f"{e} (--resume goes on with an interrupted run, --overwrite replaces a model)") from None
    parent = out.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise FolderError(f"{out}: {parent} is not a folder that can be written to; give another --out")
