"""Lines of a file or of standard input: bytes in, checked text out, a `Line` for every line that came.

Only a line feed ends a line (U+2028, U+0085 and the like are text), and nothing is changed without saying so: the CR of a
CRLF and a byte order mark are taken off, each with one warning a file. A line that cannot be used is told, not raised, so
that a stream can go on.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from jumok.errors import DataError

MOST_CHARACTERS = 999_999  # of a line; a million and more is a file that was not meant
_MOST_BYTES = 4 * MOST_CHARACTERS + 8  # UTF-8 takes at most 4 bytes a character; CR, LF and a byte order mark on top
_TOO_LONG = "1,000,000 characters or more in one line; wanted fewer; is this a text file?"
_BOM = b"\xef\xbb\xbf"


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
        DataError: the file is missing, a folder, not readable, or damaged gzip data.
    """
    name = source_name(path)
    crlf_told = False
    with _opened(path) as stream:
        number = 0
        while raw := _read(stream, f"{name}:{number + 1}"):
            number += 1
            too_long = len(raw) == _MOST_BYTES and not raw.endswith(b"\n")
            while len(raw) == _MOST_BYTES and not raw.endswith(b"\n"):
                raw = _read(stream, f"{name}:{number}")  # the rest of the line, unkept
            if too_long:
                yield Line(number, None, _TOO_LONG)
                continue
            raw = raw.removesuffix(b"\n")
            if number == 1 and raw.startswith(_BOM):
                raw = raw.removeprefix(_BOM)
                warn(f"{name}:1: begins with a byte order mark (BOM); it was taken off")
            if raw.endswith(b"\r"):
                raw = raw[:-1]
                if not crlf_told:
                    warn(f"{name}:{number}: ends in CRLF, as on Windows; the CR is taken off here and at every later such line")
                crlf_told = True
            yield _decoded(raw, number)


def _decoded(raw: bytes, number: int) -> Line:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as e:
        hint = "save the file as UTF-8"
        if number == 1 and raw.startswith(b"\x1f\x8b"):
            hint = "it looks like gzip data, whose name must end in .gz"
        elif number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            hint = "it looks like UTF-16; save the file as UTF-8"
        place = f"0x{raw[e.start]:02X} at byte {e.start + 1} of the line"
        return Line(number, None, f"bytes that are not UTF-8 ({place}); {hint}")
    if "\0" in text:
        place = f"at character {text.index(chr(0)) + 1}"
        return Line(number, None, f"a NUL character ({place}); wanted text in UTF-8; take it out")
    if len(text) > MOST_CHARACTERS:
        return Line(number, None, _TOO_LONG)
    return Line(number, text)


def _read(stream: BinaryIO, where: str) -> bytes:
    """The next line, or as much of it as is ever wanted; b"" at the end."""
    try:
        return stream.readline(_MOST_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise DataError(f"{where}: damaged or cut gzip data ({_reason(e)}); make the file anew") from None
    except OSError as e:
        raise DataError(f"{where}: cannot be read ({_reason(e)})") from None


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")  # noqa: SIM115 (closed below)
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
