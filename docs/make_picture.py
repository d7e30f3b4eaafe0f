"""Draws README's picture, images/attention.svg, from the translation kept in images/attention.json: run it after changing how a heatmap looks.

make_picture.py               draws it anew
make_picture.py MODEL WORD    first writes that JSON anew, with what this model makes of this word
"""

import sys
from pathlib import Path

import jumok

PICTURE = Path(__file__).resolve().parent / "images" / "attention.svg"
KEPT = PICTURE.with_suffix(".json")


def drawn() -> str:
    """The picture as SVG."""
    return jumok.explain.from_json(KEPT.read_text(encoding="utf-8")).to_svg()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        jumok.load(sys.argv[1]).translate(sys.argv[2]).save(KEPT)
    elif len(sys.argv) > 1:
        sys.exit(f"make_picture.py: {len(sys.argv) - 1} arguments came; none, or MODEL and WORD, were wanted")
    PICTURE.write_text(drawn(), encoding="utf-8")
