"""Writes a translation, or two compared, into a file whose suffix chooses the form; the tables WRITERS, COMPARISON_WRITERS."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from jumok.errors import ConfigError, JumokError
from jumok.explain.comparison import Comparison, comparison_csv, comparison_json
from jumok.explain.data import to_csv, to_json
from jumok.explain.html import to_html
from jumok.explain.png import to_png
from jumok.explain.side_by_side import comparison_html, comparison_svg
from jumok.explain.svg import to_svg
from jumok.runtime.translation import Translation

Drawn = TypeVar("Drawn", Translation, Comparison)


def _text(draw: Callable[[Drawn], str]) -> Callable[[Drawn, Path], None]:
    def write_text(drawn: Drawn, path: Path) -> None:
        path.write_text(draw(drawn), encoding="utf-8", newline="")  # newline: a CSV brings its own \r\n

    return write_text


WRITERS: dict[str, Callable[[Translation, Path], None]] = {
    ".svg": _text(to_svg),
    ".html": _text(to_html),
    ".png": to_png,
    ".pdf": to_png,
    ".csv": _text(to_csv),
    ".json": _text(to_json),
}


COMPARISON_WRITERS: dict[str, Callable[[Comparison, Path], None]] = {
    ".svg": _text(comparison_svg),
    ".html": _text(comparison_html),
    ".csv": _text(comparison_csv),
    ".json": _text(comparison_json),
}


def write(drawn: Translation | Comparison, path: str | os.PathLike[str]) -> None:
    """Writes the file, over one that is there.

    Raises ConfigError (a suffix not in WRITERS, or for a comparison not in COMPARISON_WRITERS), MissingExtra (.png, .pdf without
    matplotlib), JumokError (no weights, or the path cannot be written).
    """
    path = Path(path)
    writers: dict[str, Callable[[Any, Path], None]] = WRITERS if isinstance(drawn, Translation) else COMPARISON_WRITERS
    writer = writers.get(path.suffix.lower())
    if writer is None:
        kind = "" if isinstance(drawn, Translation) else " for a comparison"
        raise ConfigError(f"{path}: the suffix {path.suffix!r} came; one of {', '.join(writers)} was wanted{kind}")
    try:
        writer(drawn, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise JumokError(f"{path}: cannot be written ({reason}); give a path in a folder that exists and is yours") from error
    except UnicodeEncodeError as error:
        raise JumokError(
            f"{path}: the tokens hold half a character (U+{ord(error.object[error.start]):04X}), which no text file can; "
            "write .json, or mend the input's encoding"
        ) from error
