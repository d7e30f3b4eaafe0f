"""The pages of the documentation, as tests look at them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)


LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


# `jumok/scores.py`, `docs/`, `tests/test_house.py`: a path in code marks that begins with a folder of ours
NAMED = re.compile(r"`((?:jumok|tests|docs|examples|benchmarks)/[\w./*-]*)`")


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))
