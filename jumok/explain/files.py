"""Writes a translation, or two compared, into a file whose suffix chooses the form; the tables WRITERS, COMPARISON_WRITERS."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jumok.errors import ConfigError, JumokError, MissingExtra
from jumok.explain.comparison import Comparison, comparison_csv, comparison_json
from jumok.explain.data import to_csv, to_json
from jumok.explain.html import to_html
from jumok.explain.png import to_png
from jumok.explain.side_by_side import comparison_html, comparison_svg
from jumok.explain.svg import to_svg
from jumok.places import Output, tried
from jumok.runtime.translation import Translation


def _write_text(draw: Callable[[Any], str], drawn: Any, path: Path) -> None:
    path.write_text(draw(drawn), encoding="utf-8", newline="")  # newline: a CSV brings its own \r\n


WRITERS: dict[str, Callable[[Translation, Path], None]] = {
    ".svg": partial(_write_text, to_svg),
    ".html": partial(_write_text, to_html),
    ".png": to_png,
    ".pdf": to_png,
    ".csv": partial(_write_text, to_csv),
    ".json": partial(_write_text, to_json),
}


COMPARISON_WRITERS: dict[str, Callable[[Comparison, Path], None]] = {
    ".svg": partial(_write_text, comparison_svg),
    ".html": partial(_write_text, comparison_html),
    ".csv": partial(_write_text, comparison_csv),
    ".json": partial(_write_text, comparison_json),
}


def check(path: str | Path, comparison: bool = False) -> None:
    """Whether `write` could write the file: before the work that it is for. Raises what `write` would."""
    if Path(path).suffix.lower() in (".png", ".pdf") and not comparison and importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("drawing a PNG or PDF", "plots", "matplotlib")
    _writer(Path(path), comparison)
    tried(path)


def _writer(path: Path, comparison: bool) -> Callable[[Any, Path], None]:
    writers: dict[str, Callable[[Any, Path], None]] = COMPARISON_WRITERS if comparison else WRITERS
    writer = writers.get(path.suffix.lower())
    if writer is None:
        kind = " for a comparison" if comparison else ""
        raise ConfigError(f"{path}: the suffix {path.suffix!r} came; one of {', '.join(writers)} was wanted{kind}")
    return writer


def write(drawn: Translation | Comparison, path: str | os.PathLike[str]) -> None:
    """Writes the file, over one that is there.

    Raises ConfigError (a suffix not in WRITERS, or for a comparison not in COMPARISON_WRITERS), MissingExtra (.png, .pdf without
    matplotlib), JumokError (no weights, or the path cannot be written).
    """
    path = Path(path)
    writer = _writer(path, not isinstance(drawn, Translation))
    try:
        with Output(path) as out:
            out.put(lambda new: writer(drawn, new))
    except UnicodeEncodeError as error:
        raise JumokError(
            f"{path}: the tokens hold half a character (U+{ord(error.object[error.start]):04X}), which no text file can; "
            "write .json, or mend the input's encoding"
        ) from error
