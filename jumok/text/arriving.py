"""Bytes as they arrive through a pipe, a terminal or a socket; says whether the next line is here or one has to wait for it."""

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

PIECE = 2**16  # bytes read at a time: as many as a pipe holds


class Arriving:
    """A stream that can say whether its next line has come.

    Args:
        stream: from `open`, or standard input; its buffer is bypassed. Any other stream counts as always ready.
        name: of the file, for messages.
        most: the most bytes of a line that `readline` will be asked for.
        by_thread: let a thread read ahead. Windows needs that, since it cannot say whether a pipe is ready.
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
        """Whether the next line, or the end, can be read without waiting."""
        while not self._complete():
            if not self._ready():
                return False
            self.wait()
        return True

    def wait(self) -> None:
        """Waits for the next bytes, and takes them. `readline` raises what goes wrong here."""
        try:
            piece = self._read()
        except (OSError, EOFError, zlib.error) as e:  # the last two mean cut or damaged gzip data
            self._error, piece = e, b""
        self._ended = self._ended or not piece
        self._buffer += piece

    def readline(self, most: int) -> bytes:
        """The next line with its end, or its first `most` bytes; b"" at the end.

        Raises:
            DataError: the stream does not begin like text.
            OSError, EOFError, zlib.error: it cannot be read.
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
        end = self._buffer.find(b"\n", self._searched)
        self._searched = len(self._buffer) if end < 0 else end
        return end >= 0


def _handle(stream: BinaryIO) -> int | None:
    """The system's handle of the stream; None if there is none, for it is unpacked on the way or in memory."""
    try:
        return stream.fileno() if isinstance(stream, io.BufferedReader) else None
    except io.UnsupportedOperation:
        return None


def _read(handle: int) -> bytes:
    while True:
        try:
            return os.read(handle, PIECE)
        except BlockingIOError:  # it was opened as non-blocking
            _has_come(handle, None)


def _has_come(handle: int, seconds: float | None) -> bool:
    """Whether bytes can be read without waiting. Waits for them so many seconds at most; None = as long as it takes."""
    if hasattr(select, "poll"):  # select takes only the first 1,024 handles
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(None if seconds is None else 1000 * seconds))
    return bool(select.select([handle], [], [], seconds)[0])


class _ReadAhead:
    """A thread that reads ahead, so that one can ask whether something has come."""

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
