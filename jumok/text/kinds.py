"""Kinds of files that are not text, recognised by their first bytes, so that an error can name them.

Everything that reads lines or pairs calls `refuse` once a file, with its first bytes.
"""

from __future__ import annotations

import re
import unicodedata

from jumok.errors import DataError

HEAD = 4096  # bytes that are examined

_TABLE = "export as tab-separated UTF-8"
# (the first bytes of a file, what it is, what to do)
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "is gzip data", "its name must end in .gz, or unpack it (gunzip)"),
    (b"\xfd7zXZ\0", "is xz data", "unpack it (unxz)"),
    (b"\x28\xb5\x2f\xfd", "is Zstandard data", "unpack it (unzstd)"),
    (b"\x04\x22\x4d\x18", "is LZ4 data", "unpack it (unlz4)"),
    (b"\x1f\x9d", "is compress (.Z) data", "unpack it (uncompress)"),
    (b"LZIP\x01", "is lzip data", "unpack it (lzip -d)"),
    (b"]\0\0\x80\0", "is lzma data", "unpack it (unlzma)"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive", "unpack it, and give the table in it"),
    (b"Rar!\x1a\x07", "is a RAR archive", "unpack it, and give the table in it"),
    (b"PK\x05\x06", "is an empty ZIP file", "give a table in UTF-8"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel or Word file", _TABLE),
    (b"%PDF-", "is a PDF", "give its text, as lines or as a table in UTF-8"),
    (b"{\\rtf", "is an RTF document", "save it as plain text in UTF-8"),
    (b"SQLite format 3\0", "is an SQLite database", _TABLE),
    (b"PAR1", "is a Parquet file", _TABLE),
    (b"ARROW1\0\0", "is an Arrow file", _TABLE),
    (b"FEA1", "is a Feather file", _TABLE),
    (b"\x89HDF\r\n", "is an HDF5 file", _TABLE),
    (b"\x93NUMPY", "is a NumPy array", _TABLE),
    (b"\x89PNG\r\n", "is a PNG picture", "give text in UTF-8"),
    (b"\xff\xd8\xff", "is a JPEG picture", "give text in UTF-8"),
    (b"GIF87a", "is a GIF picture", "give text in UTF-8"),
    (b"GIF89a", "is a GIF picture", "give text in UTF-8"),
    (b"\x7fELF", "is a program", "give text in UTF-8"),
    (b"\xba\x16\x4f\x2f", "is a fastText model", "give its vectors as text, the .vec file"),
    (b"version https://git-lfs.github.com/spec/", "is a Git LFS pointer, not the file itself", "fetch it: git lfs pull"),
    (b"\xff\xfe\0\0", "looks like UTF-32", "save it as UTF-8"),
    (b"\0\0\xfe\xff", "looks like UTF-32", "save it as UTF-8"),
    (b"\xff\xfe", "looks like UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "looks like UTF-16", "save it as UTF-8"),
)
_BZIP2 = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x00-\x1f\x58-\x95({\]}]", re.DOTALL)
_WORD2VEC = re.compile(rb"\d+ \d+\n[^\n]*?[\0-\x08\x0e-\x1f]", re.DOTALL)
_SAFETENSORS = re.compile(rb".{3,5}\0{3,5}\{\"", re.DOTALL)


def kind_of(head: bytes) -> str:
    """What a file that begins with these bytes is, and what to do; "" if it may be text in UTF-8."""
    for signature, what, to_do in SIGNATURES:
        if head.startswith(signature):
            return f"{what}: {to_do}"
    if _BZIP2.match(head):
        return "is bzip2 data: unpack it (bunzip2)"
    if head.startswith(b"PK\x03\x04"):
        if b"data.pkl" in head:
            return "is a PyTorch file: give text in UTF-8"
        return f"is a ZIP or Excel file: {_TABLE}, or unpack it"
    if head[257:262] == b"ustar":
        return "is a tar archive: unpack it (tar -xf), and give the table in it"
    if _SAFETENSORS.match(head):
        return "is a safetensors file: give text in UTF-8"
    if _WORD2VEC.match(head) and "\ufffd" in head.decode("utf-8", "replace")[:-1]:  # at the end, a character may be cut
        return "is word2vec's binary format: save it as text (gensim: save_word2vec_format(…, binary=False))"
    if _PICKLE.match(head):
        return f"is a Python pickle: {_TABLE}"
    return _utf_without_mark(head)


def refuse(head: bytes, name: str) -> None:
    """Raises DataError, with the file's name, if the file cannot be text."""
    if kind := kind_of(head):
        raise DataError(f"{name}: {kind}")


def _utf_without_mark(head: bytes) -> str:
    """Recognises UTF-32 and UTF-16 without a byte order mark: decoded so, the first line is text, and as UTF-8 it is not.

    A stray NUL in UTF-8 does not count. Nor do bytes after the first line, since a pipe may not have sent them yet.
    """
    if b"\0" not in head:
        return ""
    first = head.partition(b"\n")[0]
    utf8 = _is_utf8(first)
    if utf8 and first.strip() and b"\0" not in first:
        return ""
    for name, width in (("UTF-32", 4), ("UTF-16", 2)):
        for order in ("le", "be"):
            fill = b"\0" * (-len(head) % width) if order == "le" else b""  # completes a line feed that was cut
            raw = head + fill
            text = _decoded(raw[: len(raw) // width * width], f"{name}-{order}")
            line = next((line for line in text.splitlines(keepends=True) if line.strip()), "")
            latin = sum(c < "\u0100" for c in line) * 5 > len(line) * 4
            if len(line) > 1 and (latin or (not utf8 and ("\n" in line or "\t" in line))) and _is_text(line):
                return f"looks like {name}: save it as UTF-8"
    return ""


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decoded(raw: bytes, encoding: str) -> str:
    """The decoded text, without a character that is cut at the end; "" if it cannot be decoded."""
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as e:
        return raw[: e.start].decode(encoding) if e.start >= len(raw) - 4 else ""


def _is_text(text: str) -> bool:
    """Whether most characters are letters, digits or blanks, and none is a control or unassigned character."""
    common = sum(c in "\t\n\r " or c.isalnum() for c in text)
    return 2 * common > len(text) and not any(_never_in_text(c) for c in text)


def _never_in_text(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cn", "Co") and c not in "\t\n\r"
