"""Locks: a folder that a process works in is its alone, until it ends; a process that is killed holds nobody up.

A lock is one of the operating system's on a small hidden file, never the file itself: one that a killed process left behind
is nobody's, is taken by the next one, and is deleted in the end. Over several hosts it holds as far as their shared disk
passes locks on (NFS does, with its lock service); where it does not, nobody is held up, and what is written must be checked
in another way (see `jumok.runtime.record`).
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

POLL = 0.1  # seconds between two tries of one who waits
INSIDE = ".jumok.lock"
MARK = "jumok-lock"  # first key of what stands in the file
TRIES = 100  # a lock file may vanish between opening and locking it; so often in a row it does not

_held: dict[int, Path] = {}  # file handle -> path


def beside(folder: str | Path) -> Path:
    """The lock of a folder that is itself replaced: a hidden file beside it, the same by whatever name the folder is given."""
    real = Path(os.path.realpath(folder))
    return real.with_name(f".{real.name}.lock")


def inside(folder: str | Path) -> Path:
    """The lock of a folder that stays where it is."""
    return Path(folder) / INSIDE


@contextlib.contextmanager
def held(path: Path, busy: Callable[[str], JumokError], waiting: Callable[[str], None] | None = None) -> Iterator[bool]:
    """Holds the lock at `path`. Yields whether it is held: False where no lock can be, because disk or system have none.

    Args:
        path: the lock file, see `beside` and `inside`; folders above it are made, and if they are still empty, deleted again.
        busy: makes the error for when another process holds it, from who that is: "process 7 on host, since …".
        waiting: given, it is told once who that is instead, and the lock is waited for.

    Raises:
        FolderError: a file that is no lock has this name. What `busy` makes.
    """
    made = _make(path.parent)
    handle = _take(path, busy, waiting)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            _give_back(handle, path)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _make(folder: Path) -> list[Path]:
    """Makes the folder and those above it; which ones were made."""
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    made: list[Path] = []
    with contextlib.suppress(OSError):
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            made.append(each)
    return made


def _take(path: Path, busy: Callable[[str], JumokError], waiting: Callable[[str], None] | None) -> int | None:
    tries = 0
    while tries < TRIES:
        try:
            handle = _open(path)
        except FileNotFoundError:  # another one has just deleted the folder it had made
            _make(path.parent)
            tries += 1
            continue
        except OSError:  # read-only, no such rights: nobody can write here, and that is said by whoever tries
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
        if got is None:  # then the file says nothing; a stranger's stays
            with contextlib.suppress(OSError):
                if not os.fstat(handle).st_size and _is(handle, path):
                    os.unlink(path)
        os.close(handle)
        if got is None:
            return None
        if got:  # its last holder deleted it before we had it
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
        return os.open(path, os.O_RDONLY | flags)  # another user's


def _is(handle: int, path: Path) -> bool:
    """Whether the open file is the one that has this name now."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def _read(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, 1000)


def _sign(handle: int, path: Path) -> None:
    """Writes who holds it. FolderError if the file is a stranger's, which stays as it is."""
    with contextlib.suppress(OSError):
        there = _read(handle)
        if there and not there.startswith(f'{{"{MARK}"'.encode()):
            raise FolderError(f"{path}: this is no lock of Jumok's, and stays; move it away")
        who = {MARK: 1, "process": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(who).encode() + b"\n")


def _holder(handle: int) -> str:
    """In words, who holds it."""
    try:
        who = json.loads(_read(handle))
        return f"process {who['process']} on {who['host']}, since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _give_back(handle: int, path: Path) -> None:
    """Deletes the file while it is still locked, so that nobody can lock it between the two; Windows deletes no open file."""
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
    """Takes the lock: True; False where another one has it, None where there is no such thing."""
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
    os.lseek(handle, 2**30, os.SEEK_SET)  # a byte far behind: what is locked there cannot be read
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return True
    except OSError:
        return False


def _forget() -> None:
    """A forked child has no part in its parent's locks: else they would outlive the parent."""
    for handle in list(_held):
        with contextlib.suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
