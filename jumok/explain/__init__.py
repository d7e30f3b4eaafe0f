"""What attention did: drawn (terminal, SVG, HTML, PNG, CSV, JSON, all from one `Translation`), and as links of given pairs.

Names are looked up on first use, so that `jumok translate --json` loads no drawing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jumok.explain.aligning import Aligned, align, align_both, links_json, pharaoh
    from jumok.explain.alignment import METHODS, best_path, entropy, hard_links, unit_links
    from jumok.explain.data import from_json, to_csv, to_json, to_json_line
    from jumok.explain.files import WRITERS, write
    from jumok.explain.html import to_html
    from jumok.explain.png import to_png
    from jumok.explain.svg import to_svg
    from jumok.explain.symmetry import COMBINE, grow_diagonal
    from jumok.explain.terminal import terminal_color, to_terminal

__all__ = [
    "COMBINE",
    "METHODS",
    "WRITERS",
    "Aligned",
    "align",
    "align_both",
    "best_path",
    "entropy",
    "from_json",
    "grow_diagonal",
    "hard_links",
    "links_json",
    "pharaoh",
    "terminal_color",
    "to_csv",
    "to_html",
    "to_json",
    "to_json_line",
    "to_png",
    "to_svg",
    "to_terminal",
    "unit_links",
    "write",
]

_MODULES = {
    "Aligned": "aligning",
    "COMBINE": "symmetry",
    "METHODS": "alignment",
    "WRITERS": "files",
    "align": "aligning",
    "align_both": "aligning",
    "best_path": "alignment",
    "entropy": "alignment",
    "from_json": "data",
    "grow_diagonal": "symmetry",
    "hard_links": "alignment",
    "links_json": "aligning",
    "pharaoh": "aligning",
    "terminal_color": "terminal",
    "to_csv": "data",
    "to_html": "html",
    "to_json": "data",
    "to_json_line": "data",
    "to_png": "png",
    "to_svg": "svg",
    "to_terminal": "terminal",
    "unit_links": "alignment",
    "write": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
