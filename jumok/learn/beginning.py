"""How a run begins: anew, from the checkpoint that is at --out, or not at all, where everything is done.

What there is to go on from is read from the folder's record (`jumok.runtime.record`) and never guessed. A folder from before
there were records is known only as far as its history goes, and a line says so.
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
from jumok.runtime.folder import CONFIG, HISTORY, OWN, refuse_to_replace, strangers
from jumok.runtime.record import FINISHED, RECORD, Record, has_record, read_record
from jumok.text.pairs import files_of

SHOWN = 5  # names of files that are told in one line

Checkpoint = tuple[dict[str, Tensor], dict[str, Any]]


@dataclass(frozen=True)
class Beginning:
    """How a run begins.

    Attributes:
        checkpoint: what it goes on from; None = it begins anew.
        run: the name of the run that goes on; "" = it needs a new one.
        replaces: what is at --out may be replaced.
    """

    checkpoint: Checkpoint | None
    run: str
    replaces: bool


def alone(out: str) -> AbstractContextManager[bool]:
    """Holds --out for this run. TrainingError, saying who has it, where another run does."""

    def busy(who: str) -> TrainingError:
        return TrainingError(f"{out}: another run is training there ({who}); wait for its end, or give another --out")

    return locks.held(locks.beside(out), busy)


def begin(run: TrainConfig, resume: bool, overwrite: bool, held: bool, tell: Callable[[str], None], inside: str) -> Beginning:
    """What a run begins from; what a killed run left at --out is cleared up.

    Args:
        held: the lock of --out is.
        inside: a folder that the run writes to beside --out, or "" (TensorBoard's).

    Raises:
        JumokError: --out may not or cannot be written, or there is nothing to resume from and no data to begin with.
    """
    out = Path(run.out)
    _check_apart(run, inside)
    record = read_record(out) if resume and not overwrite else None
    found = read_checkpoint(out, lambda text: tell(f"warning: {text}")) if resume else None
    if found is not None and has_record(out):
        record = read_record(out)
        assert record is not None
        if record.run != run_of(found[1]):
            if not overwrite:
                raise TrainingError(
                    f"{out}: the checkpoint is of another run ({run_of(found[1])}) than the folder, whose {RECORD} names "
                    f"{record.run}; delete what is not wanted, or train anew with --overwrite"
                )
            found = None
    if found is None:
        if resume and not run.pairs:
            raise TrainingError(f"{out}: there is no checkpoint to resume from; name the training pairs to begin anew")
        unfinished = record is not None and record.state != FINISHED
        if resume and not overwrite and record is None:
            _refuse_unknown(out)
        expected = [name for name in (_first_part(place, out) for place in (run.cache, inside)) if name]
        _check_place(out, overwrite or unfinished, held, expected)
        if resume:
            tell(_why_anew(out, record if unfinished else None))
        if others := [name for name in strangers(out) if name not in expected]:
            shown = ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
            tell(f"{out}: only the training's own files are replaced; what else is there stays: {shown}")
        replaces = overwrite or unfinished or (held and has_record(out))
        beginning = Beginning(None, "", replaces)
    else:
        if facts_without_model(found[1], out):
            raise TrainingError(
                f"{out}: there is a checkpoint, but the best model so far, which was beside it, is gone; train anew with "
                "--overwrite"
            )
        beginning = Beginning(found, run_of(found[1]), True)
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
    there, folder = Path(os.path.realpath(place)), Path(os.path.realpath(out))
    return there.relative_to(folder).parts[0] if folder in there.parents else ""


def _check_apart(run: TrainConfig, inside: str) -> None:
    """ConfigError if two of the run's places are one, of which one would destroy what the other has."""
    out = os.path.realpath(run.out)
    for name, place in (("cache", run.cache), ("tensorboard", inside)):
        if place and os.path.realpath(place) == out:
            raise ConfigError(f"{place}: --{name} and --out are one folder; give each its own")
    for file in [f for given in (run.pairs, run.dev) if given for f in files_of(given)]:
        if os.path.dirname(os.path.realpath(file)) == out and os.path.basename(os.path.realpath(file)) in OWN:
            raise ConfigError(f"{file}: training reads this file, and would write over it; copy it, or give another --out")


def begun(run: TrainConfig, note: Callable[[str], None]) -> bool:
    """Whether what is at --out, a checkpoint, a model or a finished one, is of a run with these same options.

    What torchrun restarts, it means to go on; and a process may be killed when all is done but the end of the others.
    """
    out = Path(run.out)
    found = read_checkpoint(out, lambda text: note(f"warning: {text}"))
    if found is not None:
        return found[1].get("asked") == to_dict(run)
    training = _training(out)
    return training is not None and bool(_history(out)) and _settled_from(to_dict(run), to_dict(training))


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


@dataclass(frozen=True)
class Finished:
    """A training that is over: its configuration, its history, the options that had been asked for; a line that says so."""

    config: TrainConfig
    history: list[dict[str, Any]]
    asked: dict[str, Any]
    line: str


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
    training = _training(out)
    if training is None:
        raise TrainingError(
            f"{out}: training is finished, as {RECORD} says, but the model is not there or damaged; train anew with --overwrite"
        )
    with contextlib.suppress(OSError):
        remove_checkpoint(out)  # a kill has left it
    early = "" if record.step >= record.steps else ", stopped early by patience"
    return Finished(training, _history(out), record.asked, f"step {record.step:,} of {record.steps:,}{early}")


def _finished_by_history(out: Path) -> Finished | None:
    """A folder from before there were records is finished if its last evaluation was the run's last, or patience was at its end."""
    training, history = _training(out), _history(out)
    if training is None or not history or training.learn.steps is None:
        return None
    last, patience = history[-1]["step"], training.learn.patience
    early = 0 < patience <= len(history) and not any(entry["best"] for entry in history[-patience:])
    if last < training.learn.steps and not early:
        return None
    given = {k: v for k, v in flat(training).items() if k in options(TrainConfig)}
    return Finished(training, history, given, f"step {last:,} of {training.learn.steps:,}, as its history says")


def _refuse_unknown(out: Path) -> None:
    """TrainingError for a folder without record and without checkpoint whose history ends before its training did."""
    training, history = _training(out), _history(out)
    if training is not None and history and training.learn.steps is not None:
        raise TrainingError(
            f"{out}: a model of step {history[-1]['step']:,} of {training.learn.steps:,} is there, and nothing to go on from: no "
            f"checkpoint, and no {RECORD} (its Jumok kept none), so what ended the run cannot be known; --overwrite trains anew"
        )


def _training(out: Path) -> TrainConfig | None:
    try:
        training = json.loads((out / CONFIG).read_text(encoding="utf-8"))["training"]
        known = options(TrainConfig)
        values = {k: v for part in (training, *(training[s] for s in ("text", "model", "learn"))) for k, v in part.items()}
        return build(TrainConfig, {k: v for k, v in values.items() if k in known}, str(out / CONFIG))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, JumokError):
        return None


def _history(out: Path) -> list[dict[str, Any]]:
    """The evaluations; none where the file was deleted, which it may be, or damaged."""
    try:
        found = json.loads((out / HISTORY).read_text(encoding="utf-8"))
        good = isinstance(found, list) and all(isinstance(e, dict) and {"step", "best"} <= e.keys() for e in found)
        return found if good else []
    except (OSError, ValueError):
        return []


def _check_place(out: Path, overwrite: bool, alone: bool, expected: list[str]) -> None:
    """Says at once what would otherwise be found out after an epoch: that the model folder cannot be written."""
    try:
        refuse_to_replace(out, overwrite, alone, expected)
    except FolderError as e:
        raise FolderError(f"{e} (--resume goes on with an interrupted run, --overwrite replaces a model)") from None
    parent = out.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise FolderError(f"{out}: {parent} is not a folder that can be written to; give another --out")
