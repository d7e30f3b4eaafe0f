"""The outer edge of the command line: standard streams, and errors as one line and an exit status.

What a user or the machine can cause is one line: a `JumokError`; an `OSError` of a user's file, of a full disk, of a stream;
text that is not UTF-8; full memory. Everything else is a mistake of ours, and ends in a traceback.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jumok.errors import JumokError, OutputError

# errors that the machine causes, and what to do; they may come without the name of a file
OF_THE_MACHINE: dict[int, str] = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "a file may not be that large here",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk fails",
    errno.ESTALE: "the network disk has gone",
    errno.EMFILE: "too many files are open (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENOMEM: "the memory is full",
    errno.EAGAIN: "too many processes (ulimit -u)",
}
HASTE = 1.0  # seconds that a reader has to take the rest when Ctrl-C ends a command
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")  # in a RuntimeError of torch


def guarded(command: Callable[[], int]) -> int:
    """Runs a command. Returns its exit status; 2 for what the user can mend, 130 for Ctrl-C."""
    with _streams(), _warnings():
        try:
            status = command()
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            for stream in (sys.stdout, sys.stderr):
                stream.hurry()  # type: ignore[union-attr]
            return 130
        except (_Gone, BrokenPipeError):  # nobody reads the output any more (… | head): no error
            return 0
        except JumokError as e:
            if not e.reported:
                _say(f"jumok: {e}")
            return e.exit_code
        except Exception as e:
            line = in_words(e)
            if line is None:
                raise
            _say(f"jumok: {line}")
            return JumokError.exit_code


def in_words(error: Exception) -> str | None:
    """One line for an error that the user or the machine has caused; None for a mistake of ours."""
    if isinstance(error, UnicodeEncodeError):
        half = [c for c in error.object[error.start : error.end] if 0xD800 <= ord(c) <= 0xDFFF]
        shown = ascii(error.object)[:80]
        return f"{shown}: bytes that are not UTF-8, which cannot be written as text; rename or convert it" if half else None
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return f"bytes that are not UTF-8 were read (0x{byte:02X} at byte {error.start + 1}); save the file as UTF-8"
    if isinstance(error, MemoryError):
        return f"the memory of this machine is full ({error or 'no more'}); try a smaller batch, fewer pairs or a smaller model"
    if isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _NO_MEMORY):
        first = str(error).strip().splitlines()[0][:200]
        return f"the memory of this machine is full ({first}); try a smaller batch, fewer pairs or a smaller model"
    return _of_a_file(error) if isinstance(error, OSError) else None


def _of_a_file(error: OSError) -> str | None:
    reason, advice = error.strerror or str(error), OF_THE_MACHINE.get(error.errno or 0)
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike)]
    more = f"; {advice}" if advice else ""
    if names:
        return None if any(map(_ours, names)) else f"{' and '.join(names)}: {reason}{more}"
    return f"the system says: {reason}{more}" if advice else None


def _ours(name: str) -> bool:
    """Whether a file belongs to Jumok or to Python, so that an error with it is not the user's."""
    homes = [Path(__file__).parent, *(sysconfig.get_paths().get(kind) for kind in ("stdlib", "purelib", "platlib"))]
    return any(home is not None and Path(os.path.abspath(name)).is_relative_to(home) for home in homes)


def _say(text: str) -> None:
    print(" ".join(text.split("\n")), file=sys.stderr)


# -- standard streams --------------------------------------------------------------------------------------------------


class _Stream:
    """A standard stream that handles its own failures; None stands for a closed stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        if self._stream is None:
            if name in ("encoding", "errors"):
                return {"encoding": "utf-8", "errors": "backslashreplace"}[name]
            raise AttributeError(name)
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        return self._try("write", text) or 0

    def flush(self) -> None:
        self._try("flush")

    def hurry(self) -> None:
        """Writes what its reader takes within HASTE, and drops the rest."""
        if self._stream is not None:
            _hurry(self._stream)

    def _try(self, what: str, *arguments: str) -> Any:
        raise NotImplementedError


class _Gone(Exception):
    """Nobody reads standard output any more. (On a BrokenPipeError, rich would end the process with status 1.)"""


class _Results(_Stream):
    """Standard output: a failure ends the command."""

    def _try(self, what: str, *arguments: str) -> Any:
        if self._stream is None:
            if arguments:
                raise OutputError("standard output: cannot be written (it is closed)")
            return None
        try:
            return getattr(self._stream, what)(*arguments)
        except BrokenPipeError:
            raise _Gone from None
        except UnicodeError:
            raise
        except (OSError, ValueError) as e:
            raise OutputError(f"standard output: cannot be written ({getattr(e, 'strerror', None) or e})") from None


class _Messages(_Stream):
    """Standard error: a message that cannot be written is dropped, and the work goes on."""

    def _try(self, what: str, *arguments: str) -> Any:
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                return getattr(self._stream, what)(*arguments)
        return None


class _NoInput:
    """Closed standard input; `jumok.text.lines` raises an error when it is read."""

    buffer = None

    def isatty(self) -> bool:
        return False


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Replaces the standard streams during a command: UTF-8 in every locale, and failures are handled."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    _fill_numbers()
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Results(before[1]), _Messages(before[2])  # type: ignore[assignment]
    if sys.stdin is None:
        sys.stdin = _NoInput()  # type: ignore[unreachable]
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        for stream in before[1:]:
            if stream is not None:
                _empty(stream)


def _fill_numbers() -> None:
    """Opens closed standard streams as /dev/null: else the next files get their numbers, and libraries print into them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the system gives out the lowest free number


def _empty(stream: Any) -> None:
    """Drops what could not be written: else Python tries again when it ends, and prints a message of its own."""
    try:
        stream.flush()
    except (OSError, ValueError):
        _drop(stream)


def _drop(stream: Any) -> None:
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _hurry(stream: Any) -> None:
    """Empties a pipe's or a socket's stream without waiting for a reader that takes nothing, as a pager does."""
    if os.name == "nt":
        return
    try:
        handle = stream.fileno()
        if not (stat.S_ISFIFO(mode := os.fstat(handle).st_mode) or stat.S_ISSOCK(mode)) or not os.get_blocking(handle):
            return
    except (OSError, ValueError):
        return
    end, full = time.monotonic() + HASTE, True
    os.set_blocking(handle, False)
    try:
        while full and time.monotonic() < end:
            full = not _taken(stream)
    finally:
        os.set_blocking(handle, True)
    if full:
        _drop(stream)


def _taken(stream: Any) -> bool:
    """Whether all of a stream that does not block is written; waits a moment if not."""
    try:
        stream.flush()
    except BlockingIOError:
        time.sleep(HASTE / 50)
        return False
    except (OSError, ValueError):
        _drop(stream)
    return True


@contextlib.contextmanager
def _warnings() -> Iterator[None]:
    """Prints Python's warnings like Jumok's. Under `-W error`, which is for programmers, they do not end a run either."""

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        _say(f"warning: {message}" if category is UserWarning else f"warning: {message} ({category.__name__})")

    with warnings.catch_warnings():
        filters: list[Any] = [("default", *entry[1:]) if entry[0] == "error" else entry for entry in warnings.filters]
        warnings.filters[:] = filters  # type: ignore[index]
        warnings.showwarning = show  # type: ignore[assignment]
        yield
