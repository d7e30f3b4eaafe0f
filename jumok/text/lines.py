"""Lines of a file or of standard input: bytes in, checked text out, a `Line` for every line.

Only a line feed ends a line (U+2028, U+0085 and the like are text). The CR of a CRLF and a byte order mark are removed, with
one warning a file; nothing else is changed. A line that cannot be used is a `Line` with a problem, not an error, so that a
stream can go on.
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

MOST_CHARACTERS = 999_999  # of a line; a longer one is probably no text
_MOST_BYTES = 4 * MOST_CHARACTERS + 8  # UTF-8 takes at most 4 bytes a character; CR, LF and a byte order mark come on top
_TOO_LONG = "1,000,000 characters or more in one line; wanted fewer; is this a text file?"
BOM = b"\xef\xbb\xbf"
_CRLF = "ends in CRLF, as on Windows; the CR is taken off here and at every later such line"
_BOM = "begins with a byte order mark (BOM); it was taken off"
_CR_ALONE = "its lines end in CR without LF (old Mac); save with LF (line feeds)"


Remark = Callable[[str, str], None]  # takes what is remarkable about a file, and the first line ("file:line") where it is so


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the input.

    Attributes:
        number: 1 for the first line.
        text: the line without its end; None if it cannot be used.
        problem: why it cannot be used, what was wanted and what to do; without the file's name. None if it can be used.
    """

    number: int
    text: str | None
    problem: str | None = None


def source_name(path: str) -> str:
    """The name of `path` in messages."""
    return "standard input" if path == "-" else path


def read_lines(path: str, *, warn: Callable[[str], None]) -> Iterator[Line]:
    """Yields every line of a file (`.gz` too; `-` = standard input), empty ones included, as it comes.

    A last line without a line end counts; a line end at the end of the file does not begin another line. Bytes that are not
    UTF-8, a NUL or a million characters make a `Line` with a problem, and reading goes on with the next line. `warn` gets a
    message for a byte order mark and one for CRLF.

    Raises:
        DataError: the file is missing, a folder, not readable, damaged gzip data, not text, or has CR instead of LF.
    """
    with opened(path) as stream:
        yield from lines_in(stream, source_name(path), warn=warn)


def lines_in(stream: BinaryIO, name: str, *, warn: Callable[[str], None]) -> Iterator[Line]:
    """The lines of a file that is open, as `read_lines` gives them. `name` is the file's in messages."""
    return _lines(stream, name, 0, _warning(warn))


def arriving_lines(path: str, *, warn: Callable[[str], None]) -> Iterator[Line | None]:
    """As `read_lines`; also yields None before it waits for the next line of a pipe, a terminal or a socket.

    So a program that writes a line and waits for its answer gets it.
    """
    name = source_name(path)
    with opened_raw(path) as stream:
        arriving = Arriving(stream, name, _MOST_BYTES)
        lines = _lines(cast(BinaryIO, arriving), name, 0, _warning(warn))
        while True:
            while not arriving.has_line():
                yield None
                arriving.wait()
            line = next(lines, None)
            if line is None:
                return
            yield line


def _warning(warn: Callable[[str], None]) -> Remark:
    return lambda what, where: warn(f"{where}: {what}")


def lines_of(raw: bytes, name: str, before: int, remark: Remark) -> Iterator[Line]:
    """The lines of a piece of a file, as `read_lines` gives them.

    Args:
        raw: whole lines of `raw_lines`, joined.
        name: of the file, for messages.
        before: the number of lines before the piece.
        remark: takes what `read_lines` warns of; a CRLF once in every piece that has one.
    """
    return _lines(io.BytesIO(raw), name, before, remark)


def raw_lines(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Yields the bytes of every line, with its end. Of a line that is too long, only a beginning that is too long itself.

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


def _lines(stream: BinaryIO, name: str, number: int, remark: Remark) -> Iterator[Line]:
    crlf_seen = False
    while raw := read(stream, f"{name}:{number + 1}"):
        number += 1
        if _cut_off(raw):
            if number == 1 and b"\r" in raw and b"\r\n" not in raw:
                raise DataError(f"{name}: {_CR_ALONE}")
            _pass_over(stream, name, number)
            yield Line(number, None, _TOO_LONG)
            continue
        if number == 1 and not raw.endswith(b"\n") and b"\r" in raw[:-1]:
            raise DataError(f"{name}: {_CR_ALONE}")
        raw = raw.removesuffix(b"\n")
        if number == 1 and raw.startswith(BOM):
            raw = raw.removeprefix(BOM)
            remark(_BOM, f"{name}:1")
        if raw.endswith(b"\r"):
            raw = raw[:-1]
            if not crlf_seen:
                remark(_CRLF, f"{name}:{number}")
            crlf_seen = True
        yield _decoded(raw, number)


def _cut_off(raw: bytes) -> bool:
    """Whether only the beginning of a line was read."""
    return len(raw) == _MOST_BYTES and not raw.endswith(b"\n")


def _pass_over(stream: BinaryIO, name: str, number: int) -> None:
    """Reads and drops the rest of line `number`."""
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
    """The next `size` bytes; without a size, the next line or a beginning that is too long. b"" at the end.

    Raises:
        DataError: the stream cannot be read, or is damaged gzip data.
    """
    try:
        return stream.readline(_MOST_BYTES) if size is None else stream.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        if str(e).startswith("Not a gzipped file"):  # where it should begin, or where another part of it should
            raise DataError(
                f"{where}: no gzip data, or only its first part, though the name ends in .gz; name it without .gz, or make the file again"
            ) from None
        raise DataError(f"{where}: damaged or cut gzip data ({_reason(e)}); make the file again") from None
    except OSError as e:
        raise DataError(f"{where}: cannot be read ({_reason(e)})") from None


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Opens a file as bytes, unpacked if its name ends in `.gz`. DataError if it cannot be opened, or is not text."""
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
    """A pipe from its beginning, although its head has been read."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self.head, self.rest, self.ended = head, rest, len(head) < HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self.head[: len(buffer)]
        self.head = self.head[len(piece) :]
        if not piece and not self.ended:  # after its end, a terminal would wait for new input
            piece = self.rest.read(len(buffer))
            self.ended = len(piece) < len(buffer)
        buffer[: len(piece)] = piece
        return len(piece)


@contextmanager
def opened_raw(path: str, packed: bool = True) -> Iterator[BinaryIO]:
    """As `opened`, without a look at what is in the file. `packed`: whether to unpack a `.gz`."""
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
