"""The commands in a few lines each: what `jumok` and `jumok --help` print."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping

import jumok


def overview(commands: Mapping[str, type]) -> str:
    """Name, first sentence and example of each command, from the docstring of its options."""
    title = f"jumok {jumok.__version__}: sequence-to-sequence models with attention"
    lines = [title, "", "usage: jumok COMMAND …   (jumok COMMAND --help)", ""]
    for name, kind in commands.items():
        first, *_, example = _words(kind)
        lines += [f"  {name:<11} {first}", f"  {'':<11}   $ {example}"]
    return "\n".join(lines)


def _words(kind: type) -> list[str]:
    """The lines of a class's docstring; from its source, for `python -OO` has none."""
    definition = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(definition, ast.ClassDef)
    return [line.strip() for line in (ast.get_docstring(definition) or "").splitlines()]
