"""Explains attention: as pictures and data (terminal, SVG, HTML, PNG, CSV, JSON) of one `Translation` or two compared, as
numbers, and as links of given pairs.

Names are imported on first use, so that `jumok translate --json` loads no drawing code.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jumok.explain.aligning import Aligned, align, align_both, links_json, pharaoh
    from jumok.explain.alignment import METHODS, VITERBI, best_path, hard_links, path_links, unit_links
    from jumok.explain.comparison import Comparison, compare, comparison_csv, comparison_json
    from jumok.explain.data import from_json, to_csv, to_json, to_json_line
    from jumok.explain.files import COMPARISON_WRITERS, WRITERS, write
    from jumok.explain.html import to_html
    from jumok.explain.nexts import next_json, next_table
    from jumok.explain.png import to_png
    from jumok.explain.side_by_side import comparison_html, comparison_svg, comparison_terminal
    from jumok.explain.spread import coverage, entropy, entropy_bits, in_words, margin, total_variation, unseen
    from jumok.explain.svg import to_svg
    from jumok.explain.symmetry import COMBINE, grow_diagonal
    from jumok.explain.terminal import terminal_color, to_terminal
    from jumok.explain.trees import tree_from_json, tree_in_words, tree_json, write_tree

__all__ = [
    "COMBINE",
    "COMPARISON_WRITERS",
    "METHODS",
    "VITERBI",
    "WRITERS",
    "Aligned",
    "Comparison",
    "align",
    "align_both",
    "best_path",
    "compare",
    "comparison_csv",
    "comparison_html",
    "comparison_json",
    "comparison_svg",
    "comparison_terminal",
    "coverage",
    "entropy",
    "entropy_bits",
    "from_json",
    "grow_diagonal",
    "hard_links",
    "in_words",
    "links_json",
    "margin",
    "next_json",
    "next_table",
    "path_links",
    "pharaoh",
    "terminal_color",
    "to_csv",
    "to_html",
    "to_json",
    "to_json_line",
    "to_png",
    "to_svg",
    "to_terminal",
    "total_variation",
    "tree_from_json",
    "tree_in_words",
    "tree_json",
    "unit_links",
    "unseen",
    "write",
    "write_tree",
]

_MODULES = {
    "Aligned": "aligning",
    "COMBINE": "symmetry",
    "COMPARISON_WRITERS": "files",
    "Comparison": "comparison",
    "METHODS": "alignment",
    "VITERBI": "alignment",
    "WRITERS": "files",
    "align": "aligning",
    "align_both": "aligning",
    "best_path": "alignment",
    "compare": "comparison",
    "comparison_csv": "comparison",
    "comparison_html": "side_by_side",
    "comparison_json": "comparison",
    "comparison_svg": "side_by_side",
    "comparison_terminal": "side_by_side",
    "coverage": "spread",
    "entropy": "spread",
    "entropy_bits": "spread",
    "from_json": "data",
    "grow_diagonal": "symmetry",
    "hard_links": "alignment",
    "in_words": "spread",
    "links_json": "aligning",
    "margin": "spread",
    "next_json": "nexts",
    "next_table": "nexts",
    "path_links": "alignment",
    "pharaoh": "aligning",
    "terminal_color": "terminal",
    "to_csv": "data",
    "to_html": "html",
    "to_json": "data",
    "to_json_line": "data",
    "to_png": "png",
    "to_svg": "svg",
    "to_terminal": "terminal",
    "total_variation": "spread",
    "tree_from_json": "trees",
    "tree_in_words": "trees",
    "tree_json": "trees",
    "unit_links": "alignment",
    "unseen": "spread",
    "write": "files",
    "write_tree": "trees",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
