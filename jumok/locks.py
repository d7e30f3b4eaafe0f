"""Locks: one process at a time works in a folder; a killed process holds no lock.

The lock is the operating system's lock on a small hidden file, not the file itself: a file that a killed process left is free,
and the next process takes and later deletes it. Between hosts, a lock holds if their shared disk supports locks (NFS does,
with its lock service). Where it does not, nothing is locked, and writers need another check (see `jumok.runtime.record`).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jumok.errors import FolderError, JumokError

POLL = 0.1  # seconds between two tries of a waiting process
INSIDE = ".jumok.lock"
MARK = "jumok-lock"  # the first key in the file
TRIES = 100  # a lock file may be deleted between opening and locking it, but not so often in a row

_held: dict[int, Path] = {}  # file handle -> path


def beside(folder: str | Path) -> Path:
    """The lock file of a folder that may be replaced: hidden, beside it; the same for all names of the folder."""
    real = Path(os.path.realpath(folder))
    return real.parent / f".{real.name}.lock"  # the root has no name


def inside(folder: str | Path) -> Path:
    """The lock file of a folder that is not replaced."""
    return Path(folder) / INSIDE


@contextlib.contextmanager
def held(path: Path, busy: Callable[[str], JumokError], waiting: Callable[[str], None] | None = None) -> Iterator[bool]:
    """Holds the lock at `path`. Yields True; or False if disk or system support no locks.

    Args:
        path: the lock file, see `beside` and `inside`. Folders above it are made, and deleted again if they are still empty.
        busy: makes the error if another process holds the lock. It gets a description: "process 7 on host, since …".
        waiting: if given, it gets that description once, and the lock is waited for instead.

    Raises:
        FolderError: another kind of file has this name. What `busy` makes.
    """
    made = _make(path.parent)
    handle = _take(path, busy, waiting)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            _release(handle, path)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _make(folder: Path) -> list[Path]:
    """Makes the folder and those above it. Returns the ones that were made."""
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    made: list[Path] = []
    with contextlib.suppress(OSError):
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            made.append(parent)
    return made


def _take(path: Path, busy: Callable[[str], JumokError], waiting: Callable[[str], None] | None) -> int | None:
    tries = 0
    while tries < TRIES:
        try:
            handle = _open(path)
        except FileNotFoundError:  # another process has just deleted the folder that it had made
            _make(path.parent)
            tries += 1
            continue
        except OSError:  # read-only, or no right to write: the first write will say so
            return None
        try:
            got = _lock(handle)
            if got and _is(handle, path):
                _sign(handle, path)
                _held[handle] = path
                return handle
            holder = "" if got else _holder(handle)
        except BaseException:
            os.close(handle)
            raise
        if got is None:  # delete the file if it is empty, for then it is ours
            with contextlib.suppress(OSError):
                if not os.fstat(handle).st_size and _is(handle, path):
                    os.unlink(path)
        os.close(handle)
        if got is None:
            return None
        if got:  # its last holder has deleted it meanwhile
            tries += 1
        elif waiting is None:
            raise busy(holder)
        else:
            waiting(holder)
            waiting = _nothing
            time.sleep(POLL)
    return None


def _nothing(_: str) -> None:
    pass


def _open(path: Path) -> int:
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY | flags)  # it belongs to another user


def _is(handle: int, path: Path) -> bool:
    """Whether the open file still has this name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def _read(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, 1000)


def _sign(handle: int, path: Path) -> None:
    """Writes into the file who holds the lock. FolderError if it is no lock file of Jumok's, which stays unchanged."""
    with contextlib.suppress(OSError):
        content = _read(handle)
        if content and not content.startswith(f'{{"{MARK}"'.encode()):
            raise FolderError(f"{path}: this is not a lock file of Jumok's; move it away")
        who = {MARK: 1, "process": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(who).encode() + b"\n")


def _holder(handle: int) -> str:
    """A description of the process that holds the lock."""
    try:
        who = json.loads(_read(handle))
        return f"process {who['process']} on {who['host']}, since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _release(handle: int, path: Path) -> None:
    """Deletes the file while it is still locked, so that no process can lock it in between. (Windows deletes no open file.)"""
    _held.pop(handle, None)
    try:
        if os.name != "nt" and _is(handle, path):
            with contextlib.suppress(OSError):
                os.unlink(path)
    finally:
        os.close(handle)
    if os.name == "nt":
        with contextlib.suppress(OSError):
            os.unlink(path)


def _lock(handle: int) -> bool | None:
    """Takes the lock. Returns True; False if another process has it; None if locks are not supported."""
    try:
        import fcntl
    except ImportError:
        return _lock_on_windows(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


def _lock_on_windows(handle: int) -> bool | None:
    try:
        import msvcrt
    except ImportError:
        return None
    os.lseek(handle, 2**30, os.SEEK_SET)  # a byte far behind the content, since a locked byte cannot be read
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return True
    except OSError:
        return False


def _forget() -> None:
    """Closes the parent's locks in a forked child: else they would outlive the parent."""
    for handle in list(_held):
        with contextlib.suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
