"""Writes a translation into a file; the file's suffix chooses the form; the table WRITERS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jumok.errors import ConfigError, JumokError
from jumok.explain.data import to_csv, to_json
from jumok.explain.html import to_html
from jumok.explain.png import to_png
from jumok.explain.svg import to_svg
from jumok.runtime.translation import Translation


def _text(draw: Callable[[Translation], str]) -> Callable[[Translation, Path], None]:
    def write_text(translation: Translation, path: Path) -> None:
        path.write_text(draw(translation), encoding="utf-8", newline="")  # newline: a CSV brings its own \r\n

    return write_text


WRITERS: dict[str, Callable[[Translation, Path], None]] = {
    ".svg": _text(to_svg),
    ".html": _text(to_html),
    ".png": to_png,
    ".pdf": to_png,
    ".csv": _text(to_csv),
    ".json": _text(to_json),
}


def write(translation: Translation, path: str | Path) -> None:
    """Writes the file, over one that is there.

    Raises ConfigError (a suffix not in WRITERS), MissingExtra (.png, .pdf without matplotlib), JumokError (no weights, or the
    path cannot be written).
    """
    path = Path(path)
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise ConfigError(f"{path}: the suffix {path.suffix!r} came; one of {', '.join(WRITERS)} was wanted")
    try:
        writer(translation, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise JumokError(f"{path}: cannot be written ({reason}); give a path in a folder that exists and is yours") from error
    except UnicodeEncodeError as error:
        raise JumokError(
            f"{path}: the tokens hold half a character (U+{ord(error.object[error.start]):04X}), which no text file can; "
            "write .json, or mend the input's encoding"
        ) from error
