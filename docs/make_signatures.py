"""Spells out the options of public functions, in their signatures and docstrings, from the dataclasses of jumok/config/.

In a signature they stand between `# options: ClassName …` (and `-name` for one that is left out) and `# end of options`; in a
docstring below a line that ends in "options of `ClassName`:", as far as the next blank line. `docs/make_commands.py` runs this, too.
"""

import ast
import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from jumok import config
from jumok.cli._help import meanings

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    ROOT / "jumok" / name
    for name in (
        "learn/start.py",
        "decode/face.py",
        "decode/inspecting.py",
        "measure/evaluating.py",
        "studies/conduct.py",
    )
]
SIGNATURE = re.compile(r"^( +)# options: ([\w -]+)\n.*?^ +# end of options\n", re.DOTALL | re.MULTILINE)
DOCSTRING = re.compile(r"^( +)(.*\boptions of `(\w+)`.*:)\n(?:.*\S.*\n)*", re.MULTILINE)
WIDTH = 128


def fields(cls: type) -> Iterator[tuple[str, str, str, Any]]:
    """(name, type as it is written, meaning, default) of every option of a class and of those inside it."""
    types, hints, text = written(cls), config.type_hints(cls), meanings(cls)
    for f in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[f.name]):
            yield from fields(hints[f.name])
        else:
            yield f.name, types[f.name], text[f.name], f.default


def written(cls: type) -> dict[str, str]:
    """The type of each field, as Python outside jumok/config/ has to write it."""
    tree = ast.parse(Path(inspect.getfile(cls)).read_text(encoding="utf-8"))
    (definition,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
    found = {}
    for node in definition.body:
        if isinstance(node, ast.AnnAssign):
            text = ast.unparse(node.annotation).replace("'", '"')
            text = re.sub(r"^Optional\[(.*)\]$", r"\1 | None", text)
            text = re.sub(r"\bListPath\b", "str | Path | Sequence[str]", text)
            text = re.sub(r"\b\w+Path\b", "str | Path", text)
            text = re.sub(r"\bLineText\b", "str | Sequence[str]", text)
            text = re.sub(r"\bLineTexts\b", "Sequence[str] | Sequence[Sequence[str]]", text)
            text = re.sub(r"tuple\[str, \.\.\.\]", "Sequence[str]", text)
            found[ast.unparse(node.target)] = re.sub(r"\b([A-Z]\w+(?:Name|Form))\b", r"config.\1", text)
    return found


def default(value: Any) -> str:
    """A default in Python."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def parameters(indent: str, words: str) -> str:
    """The options of a signature, a line each."""
    left_out = {word.removeprefix("-") for word in words.split() if word.startswith("-")}
    classes = [getattr(config, word) for word in words.split() if not word.startswith("-")]
    lines = [
        f"{name}: {kind} = {default(value)}," for cls in classes for name, kind, _, value in fields(cls) if name not in left_out
    ]
    return "".join(f"{indent}{line}\n" for line in [f"# options: {words}", *lines, "# end of options"])


def paragraph(indent: str, head: str, name: str) -> str:
    """The options in a docstring, with what each means."""
    lines = [f"{indent}{head}"]
    left_out = set(re.findall(r"without `(\w+)`", head))
    hints = config.type_hints(getattr(config, name))
    if "itself" in head:  # without those of its sections
        left_out |= {option for option, *_ in fields(getattr(config, name))} - hints.keys()
    for option, _, meaning, _ in fields(getattr(config, name)):
        if option not in left_out:
            names = [c for part in (hints[option], *get_args(hints[option])) for c in get_args(part) if isinstance(c, str)]
            choice = f" ({', '.join(dict.fromkeys(names))})" if not all(name in meaning for name in names) else ""
            said = re.sub(r"--([a-z]+(?:-[a-z]+)*)", lambda found: found[1].replace("-", "_"), meaning)
            inner = indent + "    "
            lines += textwrap.wrap(
                f"{option}{choice}: {said}",
                WIDTH,
                initial_indent=inner,
                subsequent_indent=inner + "    ",
                break_on_hyphens=False,
            )
    return "\n".join(lines) + "\n"


def filled(source: str) -> str:
    """The source of a file with the options as the dataclasses have them now."""
    source = SIGNATURE.sub(lambda found: parameters(found[1], found[2]), source)
    return DOCSTRING.sub(lambda found: paragraph(found[1], found[2], found[3]), source)


def main() -> None:
    """Writes the files anew."""
    for file in FILES:
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
