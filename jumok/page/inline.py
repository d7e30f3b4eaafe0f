"""ES modules as one script, since a page that must open from a file cannot load its modules one by one.

It knows what the page's own modules use: `import { a, b } from "./x.js";` and `export` before a function, a class or a const.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+)\.js";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*? ?|class |const )(\w+))", re.M)
_INDENT = re.compile(r"^[ \n]+", re.M)
_COMMENT = re.compile(r"^\s*//.*\n", re.M)


def inline(entry: str, source: Callable[[str], str]) -> str:
    """The module `entry` and all that it imports, as one script without imports.

    Args:
        source: module name, without suffix -> its text.
    """
    done: dict[str, str] = {}
    _add(entry, source, done, ())
    return '"use strict";\n{\n' + "".join(done.values()) + "}\n"  # a block, so that two such scripts can stand in one page


def _add(name: str, source: Callable[[str], str], done: dict[str, str], above: tuple[str, ...]) -> None:
    assert name not in above, f"modules import each other in a circle: {' → '.join((*above, name))}"
    if name in done:
        return
    text = source(name)
    for names, other in _IMPORT.findall(text):
        _add(other, source, done, (*above, name))
        wanted = {part.split(" as ")[0].strip() for part in names.split(",") if part.strip()}
        missing = wanted - set(_EXPORT.findall(source(other)))
        assert not missing, f"{name} imports {sorted(missing)} from {other}, which does not export it"
    text = _IMPORT.sub(lambda m: f"const {{{_renamed(m[1])}}} = {_variable(m[2])};\n", text)
    exported = _EXPORT.findall(text)
    text = _INDENT.sub("", _COMMENT.sub("", _EXPORT.sub("", text)))
    assert not re.search(r"^(import|export)\b", text, re.M), name
    done[name] = f"const {_variable(name)} = (() => {{\n{text}return {{ {', '.join(exported)} }};\n}})();\n"


def _variable(name: str) -> str:
    return "$" + name.replace("-", "_")


def _renamed(names: str) -> str:
    """`a, b as c` of an import -> `a, b: c` of a destructuring."""
    return re.sub(r"(\w+) as (\w+)", r"\1: \2", names)
