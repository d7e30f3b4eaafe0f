"""Lines of a file or of standard input: bytes in, checked text out, a `Line` for every line that came.

Only a line feed ends a line (U+2028, U+0085 and the like are text), and nothing is changed without saying so: the CR of a
CRLF and a byte order mark are taken off, each with one warning a file. A line that cannot be used is told, not raised, so
that a stream can go on.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from jumok.errors import DataError
from jumok.text.arriving import Arriving
from jumok.text.kinds import HEAD, refuse

MOST_CHARACTERS = 999_999  # of a line; a million and more is a file that was not meant
_MOST_BYTES = 4 * MOST_CHARACTERS + 8  # UTF-8 takes at most 4 bytes a character; CR, LF and a byte order mark on top
_TOO_LONG = "1,000,000 characters or more in one line; wanted fewer; is this a text file?"
BOM = b"\xef\xbb\xbf"
CRLF = "ends in CRLF, as on Windows; the CR is taken off here and at every later such line"  # told once a file
_CR = "its lines end in CR without LF (old Mac); save with LF (line feeds)"


@dataclass(frozen=True, slots=True)
class Line:
    """One line that came in.

    Attributes:
        number: 1 for the first line.
        text: the line without its end; None where it cannot be used.
        problem: why it cannot be used, what was wanted and what to do; without the file's name. None where it can.
    """

    number: int
    text: str | None
    problem: str | None = None


def source_name(path: str) -> str:
    """How messages call `path`."""
    return "standard input" if path == "-" else path


def read_lines(path: str, *, warn: Callable[[str], None]) -> Iterator[Line]:
    """Every line of a file (`.gz` too; `-` = standard input), empty ones included, as it comes.

    A last line without a line end counts; a line end at the end of the file does not begin another line. Bytes that are not
    UTF-8, a NUL or a million characters make a `Line` with a problem, and reading goes on behind it. `warn` is given a
    message for a byte order mark and one for CRLF.

    Raises:
        DataError: the file is missing, a folder, not readable, damaged gzip data, of a kind that is no text, or has CR for LF.
    """
    name = source_name(path)
    with opened(path) as stream:
        yield from _lines(stream, name, 0, warn)


def arriving_lines(path: str, *, warn: Callable[[str], None]) -> Iterator[Line | None]:
    """As `read_lines`, with None each time before the next line has to be waited for: a pipe, a terminal, a socket.

    A program that writes a line and waits for its answer can so be answered.
    """
    name = source_name(path)
    with opened_raw(path) as stream:
        arriving = Arriving(stream, name, _MOST_BYTES)
        lines = _lines(cast(BinaryIO, arriving), name, 0, warn)
        while True:
            while not arriving.has_line():
                yield None
                arriving.wait()
            line = next(lines, None)
            if line is None:
                return
            yield line


def lines_of(raw: bytes, name: str, before: int, warn: Callable[[str], None]) -> Iterator[Line]:
    """The lines of a piece of a file, as `read_lines` gives them.

    Args:
        raw: whole lines of `raw_lines`, joined.
        name: of the file, for messages.
        before: lines of the file that stand before the piece.
    """
    return _lines(io.BytesIO(raw), name, before, warn)


def raw_lines(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Every line's bytes, its end included. Of a line that is too long comes enough to see that it is, and an end.

    Raises:
        DataError: the stream cannot be read, or is damaged gzip data.
    """
    number = 0
    while raw := read(stream, f"{name}:{number + 1}"):
        number += 1
        if _cut_off(raw):
            _pass_over(stream, name, number)
            raw += b"\n"
        yield raw


def _lines(stream: BinaryIO, name: str, number: int, warn: Callable[[str], None]) -> Iterator[Line]:
    crlf_told = False
    while raw := read(stream, f"{name}:{number + 1}"):
        number += 1
        if _cut_off(raw):
            if number == 1 and b"\r" in raw and b"\r\n" not in raw:
                raise DataError(f"{name}: {_CR}")
            _pass_over(stream, name, number)
            yield Line(number, None, _TOO_LONG)
            continue
        if number == 1 and not raw.endswith(b"\n") and b"\r" in raw[:-1]:
            raise DataError(f"{name}: {_CR}")
        raw = raw.removesuffix(b"\n")
        if number == 1 and raw.startswith(BOM):
            raw = raw.removeprefix(BOM)
            warn(f"{name}:1: begins with a byte order mark (BOM); it was taken off")
        if raw.endswith(b"\r"):
            raw = raw[:-1]
            if not crlf_told:
                warn(f"{name}:{number}: {CRLF}")
            crlf_told = True
        yield _decoded(raw, number)


def _cut_off(raw: bytes) -> bool:
    """Whether a line is longer than what was read of it."""
    return len(raw) == _MOST_BYTES and not raw.endswith(b"\n")


def _pass_over(stream: BinaryIO, name: str, number: int) -> None:
    """The rest of line `number`, unkept."""
    while _cut_off(read(stream, f"{name}:{number}")):
        pass


def _decoded(raw: bytes, number: int) -> Line:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as e:
        place = f"0x{raw[e.start]:02X} at byte {e.start + 1} of the line"
        return Line(number, None, f"bytes that are not UTF-8 ({place}); save the file as UTF-8")
    if "\0" in text:
        place = f"at character {text.index(chr(0)) + 1}"
        return Line(number, None, f"a NUL character ({place}); wanted text in UTF-8; take it out")
    if len(text) > MOST_CHARACTERS:
        return Line(number, None, _TOO_LONG)
    return Line(number, text)


def read(stream: BinaryIO, where: str, size: int | None = None) -> bytes:
    """The next `size` bytes, or the next line, or as much of it as is ever wanted; b"" at the end. DataError where damaged."""
    try:
        return stream.readline(_MOST_BYTES) if size is None else stream.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise DataError(f"{where}: damaged or cut gzip data ({_reason(e)}); make the file anew") from None
    except OSError as e:
        raise DataError(f"{where}: cannot be read ({_reason(e)})") from None


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked where its name ends in `.gz`; DataError where it cannot be opened, or is no text."""
    with opened_raw(path) as stream:
        name = source_name(path)
        if stream.seekable():
            start = stream.tell()
            head = read(stream, name, HEAD)
            stream.seek(start)
        else:
            head = read(stream, name, HEAD)
            stream = cast(BinaryIO, io.BufferedReader(_Begun(head, stream)))
        refuse(head, name)
        yield stream


class _Begun(io.RawIOBase):
    """A pipe from its beginning, though its head was read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self.head, self.rest, self.ended = head, rest, len(head) < HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self.head[: len(buffer)]
        self.head = self.head[len(piece) :]
        if not piece and not self.ended:  # a terminal would take the question after the end for a new beginning
            piece = self.rest.read(len(buffer))
            self.ended = len(piece) < len(buffer)
        buffer[: len(piece)] = piece
        return len(piece)


@contextmanager
def opened_raw(path: str, packed: bool = True) -> Iterator[BinaryIO]:
    """As `opened`, whatever is in the file; `packed`: unpack a `.gz`."""
    if path == "-":
        if getattr(sys.stdin, "buffer", None) is None:
            raise DataError("standard input: cannot be read (it is closed); give a file instead of -")
        yield sys.stdin.buffer
        return
    try:
        stream = gzip.open(path, "rb") if packed and path.endswith(".gz") else open(path, "rb")  # noqa: SIM115 (closed below)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; give a file, or - for standard input") from None
    except IsADirectoryError:
        raise DataError(f"{path}: this is a folder; give a file in it") from None
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: cannot be opened ({_reason(e)})") from None
    with stream:
        yield cast(BinaryIO, stream)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
