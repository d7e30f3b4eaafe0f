"""What attention did, drawn: terminal, SVG, HTML, PNG, CSV and JSON, all from the same `Translation`.

Names are looked up on first use, so that `jumok translate --json` loads no drawing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jumok.explain.alignment import entropy, hard_links
    from jumok.explain.data import from_json, to_csv, to_json, to_json_line
    from jumok.explain.files import WRITERS, write
    from jumok.explain.html import to_html
    from jumok.explain.png import to_png
    from jumok.explain.svg import to_svg
    from jumok.explain.terminal import terminal_color, to_terminal

__all__ = [
    "WRITERS",
    "entropy",
    "from_json",
    "hard_links",
    "terminal_color",
    "to_csv",
    "to_html",
    "to_json",
    "to_json_line",
    "to_png",
    "to_svg",
    "to_terminal",
    "write",
]

_MODULES = {
    "WRITERS": "files",
    "entropy": "alignment",
    "from_json": "data",
    "hard_links": "alignment",
    "terminal_color": "terminal",
    "to_csv": "data",
    "to_html": "html",
    "to_json": "data",
    "to_json_line": "data",
    "to_png": "png",
    "to_svg": "svg",
    "to_terminal": "terminal",
    "write": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
