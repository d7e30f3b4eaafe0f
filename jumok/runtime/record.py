"""The record of a training: which run a model folder belongs to, and how far that run came; `training.json` in the folder.

    format   1
    run      the run's name, made by chance; --resume keeps it
    sitting  the name of the process that writes, anew with every --resume: each write first looks whether the folder is still its own
    state    running (also what a killed run leaves), stopped (by a signal; --resume goes on) or finished (by patience, too)
    step     of the last thing that was written; steps: how many the whole run has
    asked    the options that were given, as they were given; files are in config.json

A folder without one is from before there were records, or is no training's. Running a model never reads it.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jumok import disk
from jumok.errors import FolderError

RECORD = "training.json"
FORMAT = 1
RUNNING, STOPPED, FINISHED = STATES = ("running", "stopped", "finished")


@dataclass(frozen=True)
class Record:
    """What the file says; `more` is what a newer Jumok may have put there, and is kept."""

    run: str
    sitting: str
    state: str
    step: int
    steps: int
    asked: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def at(self, step: int, state: str = RUNNING) -> Record:
        """The same run, later."""
        return replace(self, step=step, state=state)

    def to_bytes(self) -> bytes:
        """The file."""
        names = ("run", "sitting", "state", "step", "steps", "asked")
        known = {name: getattr(self, name) for name in names}
        return (json.dumps({"format": FORMAT, **self.more, **known}, ensure_ascii=False, indent=1) + "\n").encode()


def new_name() -> str:
    """A name for a run or a sitting, that no other has."""
    return secrets.token_hex(8)


def read_record(folder: Path) -> Record | None:
    """The record in a folder; None where there is none.

    Raises:
        FolderError: it is damaged, of a newer Jumok, or cannot be read.
    """
    path = folder / RECORD
    try:
        values = json.loads(path.read_bytes().decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise FolderError(f"{path}: cannot be read ({e.strerror or e})") from None
    except (ValueError, RecursionError) as e:
        raise FolderError(f"{path}: not JSON in UTF-8 ({e}); the file is damaged; --overwrite trains anew") from None
    if isinstance(values, dict) and type(values.get("format")) is int and values["format"] > FORMAT:
        raise FolderError(f"{path}: format {values['format']}; this jumok reads {FORMAT}: upgrade jumok")
    kinds = {"format": int, "run": str, "sitting": str, "state": str, "step": int, "steps": int}
    good = isinstance(values, dict) and all(type(values.get(name)) is kind for name, kind in kinds.items())
    if not good or values["state"] not in STATES or not isinstance(values.get("asked", {}), dict):
        raise FolderError(f"{path}: not the record of a training; the file is damaged; --overwrite trains anew")
    more = {name: value for name, value in values.items() if name not in (*kinds, "asked")}
    known = {name: values[name] for name in kinds if name != "format"}
    return Record(**known, asked=values.get("asked", {}), more=more)


def has_record(folder: Path) -> bool:
    """Whether there is one that can be read."""
    try:
        return read_record(folder) is not None
    except FolderError:
        return False


def write_record(folder: Path, record: Record, new: bool = False) -> None:
    """Puts the record into the folder, whole. FileExistsError if it is to be `new` and one is there. OSError as of the disk."""
    path = folder / RECORD
    written = disk.write_beside(path, record.to_bytes(), by=record.sitting)
    try:
        if new:
            disk.rename_to_new(written, path)
        else:
            os.replace(written, path)
        disk.flush(folder)
    finally:
        disk.discard(written)
