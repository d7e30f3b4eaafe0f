"""Bytes as they arrive through a pipe, a terminal or a socket, and whether the next line is there or has to be waited for."""

from __future__ import annotations

import io
import os
import select
import threading
import zlib
from collections.abc import Callable
from queue import Queue
from typing import BinaryIO

from jumok.text.kinds import HEAD, refuse

PIECE = 2**16  # bytes read at a time; what a pipe holds


class Arriving:
    """A stream that can say whether its next line has come, whatever stands at the other end.

    Args:
        stream: what `open` or standard input give (it is read past their buffer); anything else never has to be waited for.
        name: of the file, for messages.
        most: bytes of a line that `readline` is asked for at most.
        by_thread: ask by a thread that reads ahead, as Windows needs it, where pipes cannot be asked.
    """

    def __init__(self, stream: BinaryIO, name: str, most: int, by_thread: bool = os.name == "nt") -> None:
        self.name, self.most = name, most
        self._buffer, self._searched, self._ended = bytearray(), 0, False
        self._error: Exception | None = None
        self._checked = False
        self._read: Callable[[], bytes]
        self._ready: Callable[[], bool]
        handle = _handle(stream)
        if handle is None:
            self._read, self._ready = lambda: stream.read(PIECE), lambda: True
        elif by_thread:
            ahead = _ReadAhead(handle)
            self._read, self._ready = ahead.read, ahead.ready
        else:
            self._read, self._ready = lambda: _read(handle), lambda: _has_come(handle, 0)

    def has_line(self) -> bool:
        """Whether a line, or the end, is here or can be read without waiting."""
        while not self._complete():
            if not self._ready():
                return False
            self.wait()
        return True

    def wait(self) -> None:
        """Takes what comes next, and waits for it; what goes wrong is raised by `readline`."""
        try:
            piece = self._read()
        except (OSError, EOFError, zlib.error) as e:  # the last two: gzip data that is cut or damaged
            self._error, piece = e, b""
        self._ended = self._ended or not piece
        self._buffer += piece

    def readline(self, most: int) -> bytes:
        """The next line with its end, or as much as `most` bytes of it; b"" at the end.

        Raises:
            DataError: the stream begins as no text does. OSError, EOFError, zlib.error: it cannot be read.
        """
        while not self._complete():
            self.wait()
        if not self._checked:
            refuse(bytes(self._buffer[:HEAD]), self.name)
            self._checked = True
        end = self._buffer.find(b"\n", 0, most) + 1 or min(most, len(self._buffer))
        if end == 0 and self._error is not None:
            raise self._error
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._searched = 0
        return line

    def _complete(self) -> bool:
        if self._ended or len(self._buffer) >= self.most:
            return True
        found = self._buffer.find(b"\n", self._searched)
        self._searched = len(self._buffer) if found < 0 else found
        return found >= 0


def _handle(stream: BinaryIO) -> int | None:
    """What the system knows the stream by; None where its bytes are not the system's: unpacked, or in memory."""
    try:
        return stream.fileno() if isinstance(stream, io.BufferedReader) else None
    except io.UnsupportedOperation:
        return None


def _read(handle: int) -> bytes:
    while True:
        try:
            return os.read(handle, PIECE)
        except BlockingIOError:  # whoever opened it set it so
            _has_come(handle, None)


def _has_come(handle: int, seconds: float | None) -> bool:
    """Whether a read would not have to wait; after at most so many seconds, None = as long as it takes."""
    if hasattr(select, "poll"):  # select knows the first 1,024 handles only
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(None if seconds is None else 1000 * seconds))
    return bool(select.select([handle], [], [], seconds)[0])


class _ReadAhead:
    """A thread that reads, so that one can ask whether something was read."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._pieces: Queue[bytes | OSError] = Queue(64)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        piece: bytes | OSError = b"-"
        while piece and not isinstance(piece, OSError):
            try:
                piece = os.read(self._handle, PIECE)
            except OSError as e:
                piece = e
            self._pieces.put(piece)

    def ready(self) -> bool:
        return not self._pieces.empty()

    def read(self) -> bytes:
        piece = self._pieces.get()
        if isinstance(piece, OSError):
            raise piece
        return piece
