"""Files and folders that are there whole or not at all: written beside, flushed onto the disk, renamed into place.

Whoever is killed in between leaves hidden names beside what was meant (`.model.1f3a5c77.new`, `.model.safetensors.new`);
`bring_back` and `sweep` clear up at the start of the next run.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

TOKEN = 4  # bytes of chance in a hidden name


def flush(path: Path) -> None:
    """Onto the disk: a file, or a folder's list of names (which Windows does by itself)."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def beside(path: Path, what: str) -> Path:
    """A new name beside `path`, hidden, so that a rename stays on one disk."""
    return path.absolute().parent / f".{path.absolute().name}.{secrets.token_hex(TOKEN)}.{what}"


def write_beside(path: Path, *parts: bytes | memoryview) -> Path:
    """The parts as one file, on the disk, under a hidden name beside `path`: what is left to do is a rename.

    Raises:
        OSError: the disk is full, read-only, gone; nothing is left of the file.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        with open(new, "wb") as f:
            for part in parts:
                f.write(part)
            f.flush()
            os.fsync(f.fileno())
    except BaseException:
        discard(new)
        raise
    return new


def discard(path: Path) -> None:
    """Deletes a file or folder, if it is there and can be deleted."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def link(old: Path, new: Path) -> None:
    """`new` as another name of the file `old`; where the file system knows no such thing, a copy on the disk."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)
        flush(new)


def put_folder(new: Path, path: Path) -> None:
    """Renames the folder `new` to `path`; a folder that is there is replaced, and deleted.

    Where the system can swap two names in one step, there is no moment without a folder at `path`. Elsewhere the old one is
    renamed away first; `bring_back` undoes that if the run was killed in that moment.

    Raises:
        OSError: it cannot be; the old folder is then where it was.
    """
    old = new
    if not os.path.lexists(path):
        os.rename(new, path)
    elif not _swap(new, path):
        old = beside(path, "old")
        os.rename(path, old)
        try:
            os.rename(new, path)
        except BaseException:
            os.rename(old, path)
            raise
    flush(path.absolute().parent)
    discard(old)


def _swap(a: Path, b: Path) -> bool:
    """Swaps two names in one step: Linux's renameat2 and macOS's renamex_np; False where system or file system cannot."""
    import ctypes

    names = os.fsencode(a), os.fsencode(b)
    try:
        system = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return system.renamex_np(*names, 2) == 0  # RENAME_SWAP
        return system.renameat2(-100, names[0], -100, names[1], 2) == 0  # AT_FDCWD, RENAME_EXCHANGE
    except (OSError, TypeError, AttributeError):  # Windows has no such library, an old libc no such function
        return False


def left_behind(path: Path) -> Path | None:
    """Where the folder `path` is if its replacement was cut off in the moment between two renames."""
    return None if os.path.lexists(path) else next(iter(_hidden(path, "old")), None)


def bring_back(path: Path) -> None:
    """Renames a folder back to `path` that a killed writer had renamed away."""
    if old := left_behind(path):
        os.rename(old, path)


def sweep(path: Path, files: Iterable[str]) -> None:
    """Deletes what killed writers left beside the folder `path`, and in it beside its `files`."""
    for left in [*_hidden(path, "new"), *_hidden(path, "old"), *(path / f".{name}.new" for name in files)]:
        discard(left)


def _hidden(path: Path, what: str) -> list[Path]:
    """Names beside `path` as `beside` gives them."""
    path = Path(os.path.realpath(path))
    return list(path.parent.glob(f".{glob.escape(path.name)}.{'?' * 2 * TOKEN}.{what}"))
