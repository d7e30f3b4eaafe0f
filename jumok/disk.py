"""Files and folders that are there whole or not at all: written under a hidden name, flushed onto the disk, then renamed.

A writer that is killed in between leaves hidden names beside what it meant to write (`.model.1f3a5c77.new`,
`.model.safetensors.new`); `bring_back` and `sweep` clear up at the start of the next run. Where a folder is replaced, files
that are not the writer's own move to the new one. A kill at any moment leaves them in one of the two, and `sweep` deletes
none of them.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import shutil
import stat
import sys
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

TOKEN = 4  # random bytes in a hidden name


def flush(path: Path) -> None:
    """Flushes a file, or a folder's list of names, onto the disk.

    A folder is left alone where the system flushes it by itself (Windows), or lets nobody do it (no right to read it, some
    network disks).

    Raises:
        OSError: the disk fails.
    """
    if not path.is_dir():
        _flush(path, os.O_RDWR)
    elif os.name != "nt":
        try:
            _flush(path, os.O_RDONLY)
        except OSError as e:
            if e.errno not in (errno.EACCES, errno.EINVAL, errno.ENOTSUP):
                raise


def _flush(path: Path, mode: int) -> None:
    handle = os.open(path, mode)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def beside(path: Path, what: str) -> Path:
    """A new hidden name beside `path`; on the same disk, so that it can be renamed to `path`."""
    return path.absolute().parent / f".{path.absolute().name}.{os.urandom(TOKEN).hex()}.{what}"


class Draft:
    """A file that is written under a hidden name beside its place, and takes its place once it is whole and on the disk.

    Used as a context: whatever comes, nothing is left of a draft that has not taken its place.

    Args:
        path: its place.
        by: the writer's name, eight or more hexadecimal digits; part of the hidden name where two writers may work at once.
        hidden: the hidden name, if it has to be another one; `sweep` knows only the usual names.
    """

    def __init__(self, path: Path, by: str = "", hidden: str = "") -> None:
        self.path = path
        self.new = path.with_name(hidden or (f".{path.name}.{by}.new" if by else f".{path.name}.new"))

    def write(self, *parts: bytes | memoryview) -> Draft:
        """Writes the parts, one after the other, and flushes them onto the disk.

        Raises:
            OSError: the disk is full, read-only, gone; nothing is left of the draft.
        """
        with self.open() as f:
            for part in parts:
                f.write(part)
        return self

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The draft as an open file, flushed onto the disk at the end. On an error, nothing is left of it."""
        try:
            with open(self.new, "wb") as f:
                yield f
                f.flush()
                os.fsync(f.fileno())
        except BaseException:
            discard(self.new)
            raise

    def reserve(self, size: int) -> None:
        """Makes an empty file under the hidden name, if so many bytes can be written there. OSError if not."""
        try:
            with open(self.new, "xb") as f:
                f.write(bytes(size))
                f.flush()
                f.truncate(0)
        except OSError:
            discard(self.new)
            raise

    def put(self) -> None:
        """Renames the draft to its place, and flushes the folder. OSError if that cannot be; the old file stays."""
        put_all([self])

    def put_new(self) -> None:
        """As `put`, but FileExistsError if there is a file in its place."""
        try:
            os.link(self.new, self.path)
        except FileExistsError:
            raise
        except OSError:  # this disk has no second names
            if os.path.lexists(self.path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path)) from None
            os.replace(self.new, self.path)
        else:
            os.unlink(self.new)
        flush(self.path.absolute().parent)

    def put_and_keep(self, before: Path) -> None:
        """As `put`, but the old file, if there is one, is renamed to `before`; on an error, it is renamed back."""
        moved = False
        try:
            if self.path.exists():
                os.replace(self.path, before)
                moved = True
            os.replace(self.new, self.path)
            moved = False
            flush(self.path.absolute().parent)
        finally:
            if moved:
                os.replace(before, self.path)

    def discard(self) -> None:
        """Deletes the draft, unless it has taken its place."""
        discard(self.new)

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def write_file(path: Path, *parts: bytes | memoryview, by: str = "") -> None:
    """Writes a file, whole or not at all. OSError if it cannot be; the old file stays. `by`: see `Draft`."""
    with Draft(path, by) as draft:
        draft.write(*parts).put()


def put_all(drafts: Iterable[Draft]) -> None:
    """Renames drafts to their places, in this order, and flushes their folders. OSError if one cannot be."""
    folders = dict[Path, None]()
    for draft in drafts:
        os.replace(draft.new, draft.path)
        folders[draft.path.absolute().parent] = None
    for folder in folders:
        flush(folder)


def move_into(folder: Path, files: Iterable[Path]) -> None:
    """Moves whole files into a folder on the same disk, in this order; they are flushed onto the disk before the first moves."""
    files = list(files)
    for file in files:
        flush(file)
    for file in files:
        os.replace(file, folder / file.name)
    flush(folder)


def discard(path: Path) -> None:
    """Deletes a file or folder, if it is there and can be deleted."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def link(old: Path, new: Path) -> None:
    """Gives the file `old` a second name, `new`; makes a copy where the file system has no second names."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)
        flush(new)


def put_folder(new: Path, path: Path, owned: Container[str] | None = None) -> None:
    """Renames the folder `new` to `path`. Replaces and deletes a folder that is at `path`, but keeps what is not `owned` in it.

    Where the system can swap two names in one step, there is always a folder at `path`. Elsewhere the old folder is renamed
    first; `bring_back` undoes that if the run was killed between the two renames.

    Args:
        owned: names of the writer's own files; None = all files. All other files move to `new` before it takes its place.

    Raises:
        OSError: the folder cannot be renamed; the old one is where it was.
    """
    old, moved = new, list[str]()
    try:
        if owned is not None and path.is_dir():
            _take_along(path, new, owned, moved)
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
    dissolve(old, path, owned)


def _take_along(old: Path, new: Path, owned: Container[str], moved: list[str]) -> None:
    """Brings what is not `owned` from the folder `old` to `new`: files get a second name there, everything else moves."""
    for name in strangers(old, owned):
        if stat.S_ISREG(os.lstat(old / name).st_mode):
            with contextlib.suppress(OSError):
                os.link(old / name, new / name)
                continue
        os.rename(old / name, new / name)
        moved.append(name)


def strangers(folder: Path, owned: Container[str]) -> list[str]:
    """The names in a folder, sorted, that are neither `owned` nor unfinished files of a killed writer."""
    with os.scandir(folder) as entries:
        names = [
            e.name for e in entries if e.is_dir(follow_symlinks=False) or not (e.name in owned or _draft_of(e.name) in owned)
        ]
    return sorted(names)


def _draft_of(name: str) -> str:
    """The file that a draft was for: `.a.txt.new` and `.a.txt.1f3a5c77.new` -> a.txt; "" for a name that is no draft's."""
    if not (name.startswith(".") and name.endswith(".new")):
        return ""
    return re.sub(rf"\.[0-9a-f]{{{2 * TOKEN},}}$", "", name[1 : -len(".new")])


def dissolve(left: Path, path: Path, owned: Container[str] | None) -> None:
    """Deletes `left`, a hidden folder beside `path`: the replaced one, or one that was to replace it.

    Files in it that are not `owned` move to the folder at `path`, unless they are there already. Where a file cannot move,
    the hidden folder stays with it: files that are not the writer's own are never deleted.
    """
    if owned is None or left.is_symlink() or not left.is_dir():
        discard(left)
        return
    with contextlib.suppress(OSError):
        for name in strangers(left, owned):
            place = path / name
            if not os.path.lexists(place) and path.is_dir():
                os.rename(left / name, place)
            elif not place.is_symlink() and place.is_file() and os.path.samefile(left / name, place):
                os.unlink(left / name)
        if not strangers(left, owned):
            discard(left)


def _swap(a: Path, b: Path) -> bool:
    """Swaps two names in one step (renameat2 on Linux, renamex_np on macOS); False where the system cannot."""
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
    """The hidden folder that was at `path`, if a writer was killed between two renames; else None."""
    return None if os.path.lexists(path) else next(iter(_hidden(path, "old")), None)


def bring_back(path: Path) -> None:
    """Renames a folder back to `path` if a killed writer had renamed it."""
    if old := left_behind(path):
        os.rename(old, path)


def sweep(path: Path, files: Iterable[str]) -> None:
    """Deletes what killed writers left: hidden folders beside the folder `path`, and in it drafts of `files`; nothing else."""
    owned = set(files)
    for left in [*_hidden(path, "new"), *_hidden(path, "old")]:
        dissolve(left, path, owned)
    with contextlib.suppress(OSError):
        for name in os.listdir(path):
            if _draft_of(name) in owned:
                discard(path / name)


def _hidden(path: Path, what: str) -> list[Path]:
    """Existing names beside `path` of the form that `beside` gives."""
    path = Path(os.path.realpath(path))
    return list(path.parent.glob(f".{glob.escape(path.name)}.{'?' * 2 * TOKEN}.{what}"))
