"""The record of a training, `training.json`: which run a model folder belongs to, and how far that run has come.

    format   1
    run      the run's name, at random; --resume keeps it
    sitting  the name of the writing process, at random, new with every --resume. Before each write, a process checks that the
             folder is still its own.
    state    running (a killed run leaves that, too), stopped (by a signal; --resume goes on) or finished (also by patience)
    step     the step of the last write
    steps    the number of steps of the whole run
    asked    the options as they were given; files are in config.json

A folder without a record is older than records, or not from a training. Running a model never reads it.
"""

from __future__ import annotations

import json
import os
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
    """The values in the file. `more` has the keys of a newer Jumok, which are kept."""

    run: str
    sitting: str
    state: str
    step: int
    steps: int
    asked: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def at(self, step: int, state: str = RUNNING) -> Record:
        """The record of the same run at a later step."""
        return replace(self, step=step, state=state)

    def to_bytes(self) -> bytes:
        """The content of the file."""
        names = ("run", "sitting", "state", "step", "steps", "asked")
        known = {name: getattr(self, name) for name in names}
        return (json.dumps({"format": FORMAT, **self.more, **known}, ensure_ascii=False, indent=1) + "\n").encode()


def new_name() -> str:
    """A new random name for a run or a sitting."""
    return os.urandom(8).hex()


def read_record(folder: Path) -> Record | None:
    """Reads the record in a folder; None if there is none.

    Raises:
        FolderError: the record is damaged, of a newer Jumok, or cannot be read.
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


def readable_record(folder: Path) -> Record | None:
    """As `read_record`, but None also for a record that cannot be read."""
    try:
        return read_record(folder)
    except FolderError:
        return None


def write_record(folder: Path, record: Record, new: bool = False) -> None:
    """Writes the record into a folder. FileExistsError if it must be `new` and there is one. OSError if the disk fails."""
    with disk.Draft(folder / RECORD, by=record.sitting) as draft:
        draft.write(record.to_bytes())
        if new:
            draft.put_new()
        else:
            draft.put()
