"""Fills the tables of python.md: every public name with the first sentence that is said about it. `make_commands.py` runs it, too."""

import dataclasses
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import jumok

PAGE = Path(__file__).resolve().parent / "python.md"
RESULTS = {
    "jumok.train": "jumok.learn.start.Trained",
    "jumok.study": "jumok.studies.conduct.Studied",
    "jumok.evaluate": "jumok.measure.evaluating.Evaluation",
    "Translator.translate": "jumok.runtime.translation.Translation",
    "Translator.alternatives": "jumok.decode.alternatives.Alternatives",
    "Translator.tree": "jumok.decode.tree.Tree",
    "Translator.info": "jumok.decode.info.ModelInfo",
    "jumok.explain.align": "jumok.explain.aligning.Aligned",
    "jumok.explain.compare": "jumok.explain.comparison.Comparison",
    "jumok.measure.measure": "jumok.measure.metrics.Measured",
}
TABLE = re.compile(r"<!-- names: ([\w.]+) -->\n.*?<!-- end -->", re.DOTALL)


def public(where: str) -> dict[str, Any]:
    """Public names of a module (its __all__) or of a class (methods and properties) -> what they are."""
    module, _, name = where.rpartition(".")
    if name[:1].isupper():
        cls = getattr(importlib.import_module(module), name)
        names = {n for one in cls.__mro__[:-1] for n in vars(one) if not n.startswith("_")}
        return {n: inspect.getattr_static(cls, n) for n in sorted(names) if _documented(cls, n)}
    found = importlib.import_module(where)
    return {n: getattr(found, n) for n in found.__all__ if not n.startswith("__")}


def _documented(cls: type, name: str) -> bool:
    thing = inspect.getattr_static(cls, name)
    return callable(thing) or isinstance(thing, property | classmethod)


def said(thing: Any) -> str:
    """The first sentence of a docstring, on one line; of a table, its keys."""
    if isinstance(thing, dict):
        return "a table: " + ", ".join(f"`{key}`" for key in thing)
    paragraph = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z])", paragraph)[0].rstrip(":")


def table(where: str) -> str:
    """A row for each public name."""
    rows = [f"| `{name}` | {said(thing)} |" for name, thing in sorted(public(where).items(), key=lambda row: row[0].lower())]
    cells = [row.replace("<svg>", "\\<svg>").replace("`\\<", "`<") for row in rows]
    return "\n".join(["| name | what it is |", "|---|---|", *cells])


def results() -> str:
    """A row for each kind of result: where it comes from, and its fields."""
    rows = []
    for function, where in RESULTS.items():
        module, _, name = where.rpartition(".")
        fields = dataclasses.fields(getattr(importlib.import_module(module), name))
        rows.append(f"| `{function}` | `{name}` | {', '.join(f'`{f.name}`' for f in fields)} |")
    return "\n".join(["| function | gives | which has |", "|---|---|---|", *rows])


def filled(page: str) -> str:
    """The page with every table as the code has it now."""

    def fresh(found: re.Match[str]) -> str:
        return f"<!-- names: {found[1]} -->\n{results() if found[1] == 'results' else table(found[1])}\n<!-- end -->"

    return TABLE.sub(fresh, page)


def main() -> None:
    """Writes the page anew."""
    assert jumok.__all__
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
