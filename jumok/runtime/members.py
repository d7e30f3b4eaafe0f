"""A folder that holds an ensemble: the model folders of its members, 1, 2, …, and one file that says how many there are to be."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from jumok import disk
from jumok.errors import FolderError
from jumok.places import models
from jumok.runtime.folder import CONFIG, ENSEMBLE, WEIGHTS

FORMAT = 1
MOST = 1000


def write_ensemble(path: Path, members: int) -> None:
    """Says in the folder `path`, which is made if it is not there, that it holds an ensemble of so many members.

    Several processes may do so at once: each trains a member.
    """
    path.mkdir(parents=True, exist_ok=True)
    disk.write_file(
        path / ENSEMBLE, json.dumps({"format": FORMAT, "members": members}).encode() + b"\n", by=os.urandom(8).hex()
    )


def read_ensemble(path: str | Path) -> int:
    """How many members the ensemble in this folder is to have; 0 if the folder holds none. FolderError if its file is damaged."""
    file = Path(path) / ENSEMBLE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as e:
        raise FolderError(f"{file}: cannot be read ({e.strerror})") from None
    except (ValueError, RecursionError):
        values = None
    members = values.get("members") if isinstance(values, dict) else None
    if type(members) is not int or not 1 <= members <= MOST:
        raise FolderError(f"{file}: it should say how many models the ensemble has; the file is damaged")
    return members


def member_folder(path: str | Path, number: int) -> Path:
    """The model folder of one member, 1 or more."""
    return Path(path) / str(number)


def folders_of(paths: Iterable[str]) -> list[Path]:
    """The model folders that these names stand for: each is one, an ensemble's folder, or "A,B,C". FolderError as in `members_of`."""
    return [folder for path in paths for part in models(path) for folder in members_of(part)]


def members_of(path: str | Path) -> list[Path]:
    """The model folders to use for `path`: those of an ensemble that are trained, or else the folder itself.

    A warning names the models of an ensemble that are not.

    Raises:
        FolderError: the folder is for an ensemble, and no model of it is trained.
    """
    members = read_ensemble(path)
    if not members:
        return [Path(path)]
    found = [member_folder(path, n) for n in range(1, members + 1)]
    trained = [folder for folder in found if all((folder / name).is_file() for name in (CONFIG, WEIGHTS))]
    if not trained:
        raise FolderError(
            f"{path}: none of the {members} models of this ensemble is trained; go on with `jumok train --resume`"
        )
    if missing := [folder.name for folder in found if folder not in trained]:
        warnings.warn(
            f"{path}: the ensemble has {len(trained)} of its {members} models; not trained yet: {', '.join(missing)} "
            "(`jumok train --resume` goes on)",
            stacklevel=1,  # one place, so that it is said once
        )
    return trained
