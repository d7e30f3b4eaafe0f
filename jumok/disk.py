"""Files and folders that are there whole or not at all: written beside, flushed onto the disk, renamed into place.

Whoever is killed in between leaves hidden names beside what was meant (`.model.1f3a5c77.new`, `.model.safetensors.new`);
`bring_back` and `sweep` clear up at the start of the next run. What is not the writer's `own` in a folder that it replaces
moves over into the new one; wherever a kill comes, it is in one of the two, and `sweep` deletes nothing of it.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Container, Iterable
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


def write_beside(path: Path, *parts: bytes | memoryview, by: str = "") -> Path:
    """The parts as one file, on the disk, under a hidden name beside `path`: what is left to do is a rename.

    `by` becomes part of the name: the writer's own name, where two may write at once.

    Raises:
        OSError: the disk is full, read-only, gone; nothing is left of the file.
    """
    new = path.with_name(f".{path.name}.{by}.new" if by else f".{path.name}.new")
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


def rename_to_new(old: Path, new: Path) -> None:
    """Renames a file to a name that must not be there: FileExistsError."""
    try:
        os.link(old, new)
    except FileExistsError:
        raise
    except OSError:  # no such thing on this disk
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new)) from None
        os.replace(old, new)
    else:
        os.unlink(old)


def put_folder(new: Path, path: Path, own: Container[str] | None = None) -> None:
    """Renames the folder `new` to `path`; a folder that is there is replaced, and deleted, but for what is not `own` in it.

    `own`: names of files that are the writer's; None = all are. Whatever else is there is in `new` before it takes its place.

    Where the system can swap two names in one step, there is no moment without a folder at `path`. Elsewhere the old one is
    renamed away first; `bring_back` undoes that if the run was killed in that moment.

    Raises:
        OSError: it cannot be; the old folder is then where it was.
    """
    old, moved = new, list[str]()
    try:
        if own is not None and path.is_dir():
            _take_along(path, new, own, moved)
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
    except OSError:
        for name in moved:
            os.rename(new / name, path / name)
        raise
    flush(path.absolute().parent)
    dissolve(old, path, own)


def _take_along(old: Path, new: Path, own: Container[str], moved: list[str]) -> None:
    """What is not `own` in the folder `old`, into `new`: files by a second name, all else (and what can have none) moved."""
    for name in strangers(old, own):
        if stat.S_ISREG(os.lstat(old / name).st_mode):
            with contextlib.suppress(OSError):
                os.link(old / name, new / name)
                continue
        os.rename(old / name, new / name)
        moved.append(name)


def strangers(folder: Path, own: Container[str]) -> list[str]:
    """Names in a folder that are none of the writer's `own` files, sorted; nor what a killed writer left of those."""
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.is_dir(follow_symlinks=False) or not (e.name in own or _half(e.name) in own)]
    return sorted(found)


def _half(name: str) -> str:
    """The file that a hidden name is the beginning of: `.a.txt.new` and `.a.txt.1f3a5c77.new` -> a.txt; "" for another name."""
    if not (name.startswith(".") and name.endswith(".new")):
        return ""
    return re.sub(rf"\.[0-9a-f]{{{2 * TOKEN},}}$", "", name[1 : -len(".new")])


def dissolve(left: Path, path: Path, own: Container[str] | None) -> None:
    """Deletes what a replaced folder, or one that was to replace it, is now: a hidden name beside `path`.

    What is not `own` in it and not in the folder at `path` either goes there. Where that cannot be, it stays, and so does the
    hidden name: nothing of it is ever deleted.
    """
    if own is None or left.is_symlink() or not left.is_dir():
        discard(left)
        return
    with contextlib.suppress(OSError):
        for name in strangers(left, own):
            there = path / name
            if not os.path.lexists(there) and path.is_dir():
                os.rename(left / name, there)
            elif not there.is_symlink() and there.is_file() and os.path.samefile(left / name, there):
                os.unlink(left / name)
        if not strangers(left, own):
            discard(left)


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
    """Deletes what killed writers left beside the folder `path`, and in it beside its `files`; nothing but these."""
    own = set(files)
    for left in [*_hidden(path, "new"), *_hidden(path, "old")]:
        dissolve(left, path, own)
    with contextlib.suppress(OSError):
        for name in os.listdir(path):
            if _half(name) in own:
                discard(path / name)


def _hidden(path: Path, what: str) -> list[Path]:
    """Names beside `path` as `beside` gives them."""
    path = Path(os.path.realpath(path))
    return list(path.parent.glob(f".{glob.escape(path.name)}.{'?' * 2 * TOKEN}.{what}"))
