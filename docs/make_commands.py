"""Fills the option tables of commands.md from the dataclasses of jumok/config/ and of cli/: run it after changing an option.

It runs make_signatures.py and make_python.py, too.

A table stands between `<!-- options: ClassName -->` and `<!-- end -->`; the text around the tables is written by hand.
"""

import dataclasses
import re
import runpy
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from jumok import cli, config
from jumok.cli._help import meanings
from jumok.cli._words import POSITIONAL

PAGE = Path(__file__).resolve().parent / "commands.md"
TABLE = re.compile(r"<!-- options: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def values(hint: Any) -> str:
    """The type of an option as people write it: a number, a name out of a list, yes or no."""
    if get_origin(hint) is tuple:
        return "texts"
    choices = [c for part in (get_args(hint) or (hint,)) for c in (get_args(part) or (part,)) if c is not type(None)]
    if all(isinstance(c, str) for c in choices):
        return ", ".join(f"`{c}`" for c in choices)
    return {bool: "yes or no", int: "whole number", float: "number", str: "text"}[choices[0]]


def default(value: Any) -> str:
    """A default as people write it; a dash where there is none, or where it is chosen from the data."""
    if value is None or value in ("", (), dataclasses.MISSING):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{' '.join(value)}`" if isinstance(value, tuple) else f"`{value}`"


def table(cls: type) -> str:
    """The options of one class (not of the classes inside it) as a Markdown table; what has no name in capitals."""
    hints, extras, text = get_type_hints(cls), get_type_hints(cls, include_extras=True), meanings(cls)
    lines = ["| option | values | default | meaning |", "|---|---|---|---|"]
    for f in sorted(dataclasses.fields(cls), key=lambda f: f.kw_only is True):
        if not dataclasses.is_dataclass(hints[f.name]):
            positional = POSITIONAL in getattr(extras[f.name], "__metadata__", ())
            name = f.name.upper() if positional else config.flag(f.name)
            cells = (f"`{name}`", values(hints[f.name]), default(f.default), text[f.name])
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "\\<") for cell in cells) + " |")
    return "\n".join(lines)


def filled(page: str) -> str:
    """The page with every table as the dataclasses have it now."""

    def fresh(found: re.Match[str]) -> str:
        cls = getattr(config, found[1], None) or cli.COMMANDS[found[1].lower()][0]
        return f"<!-- options: {found[1]} -->\n{table(cls)}\n<!-- end -->"

    return TABLE.sub(fresh, page)


if __name__ == "__main__":
    for name in ("make_signatures.py", "make_python.py"):
        runpy.run_path(str(PAGE.with_name(name)))["main"]()
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
