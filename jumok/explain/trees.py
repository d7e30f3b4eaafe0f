"""The tree of a beam search as JSON (schema jumok.tree/1), which can be read again, and in words.

Within a version of the schema keys may be added, but never change; readers ignore unknown keys.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from jumok.config import SearchConfig
from jumok.decode.inspecting import check_one_search
from jumok.decode.tree import ENDINGS, FATES, VERDICTS, Node, Reference, Tree
from jumok.errors import ConfigError, DataError
from jumok.explain.data import _from_dict as translation_from_dict
from jumok.explain.data import laid_out, to_dict
from jumok.explain.labels import label
from jumok.explain.showing import Asked
from jumok.outputs import check_output
from jumok.places import Output, tried
from jumok.text.pairs import features_in

SCHEMA = "jumok.tree/1"
WHY = {
    "pruned": "others were better there",
    "not a candidate": "it was not even among the candidates there",
    "stopped": "the search had stopped there",
}


def tree_json(tree: Tree) -> str:
    """JSON that people can read: one line per key, and one per node. `translation` is as in jumok.translation/1."""
    return laid_out(
        {
            "schema": SCHEMA,
            "translation": to_dict(tree.translation),
            "beam": tree.beam,
            "limit": tree.limit,
            "outputs": list(tree.outputs),
            "reference": None if tree.reference is None else asdict(tree.reference),
            "nodes": [asdict(node) for node in tree.nodes],
        }
    )


def tree_from_json(text: str) -> Tree:
    """Reads what `tree_json` writes. Raises DataError, naming the key, for anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"tree JSON: {error}; expected one JSON object of schema {SCHEMA}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        given = repr(data.get("schema")) if isinstance(data, dict) else type(data).__name__
        raise DataError(f"tree JSON, schema: got {given:.80}; expected {SCHEMA!r}; write it with `jumok explain --tree`")
    nodes = tuple(_part(Node, one, f"nodes[{i}]") for i, one in enumerate(_typed(data, "nodes", list, "")))
    outputs = tuple(_typed(data, "outputs", list, ""))
    for i, node in enumerate(nodes):
        parent = None if i == 0 else node.parent
        if node.id != i or (parent is None) != (i == 0) or (parent is not None and not 0 <= parent < i):
            raise DataError(
                f"tree JSON, nodes[{i}]: got id {node.id}, parent {node.parent}; expected a node that follows its parent"
            )
        if node.fate not in FATES:
            raise DataError(f"tree JSON, nodes[{i}], fate: got {node.fate!r:.60}; expected one of {', '.join(FATES)}")
    if not nodes or not all(type(end) is int and 0 <= end < len(nodes) for end in outputs):
        raise DataError("tree JSON, outputs: expected ids of nodes")
    given = _typed(data, "reference", dict | None, "")
    reference = None if given is None else _part(Reference, given, "reference")
    if reference is not None and (reference.ending not in ENDINGS or reference.verdict not in VERDICTS):
        raise DataError(
            f"tree JSON, reference: got {reference.ending!r:.60} and {reference.verdict!r:.60}; expected known words"
        )
    if reference is not None and not 0 <= reference.node < len(nodes):
        raise DataError(f"tree JSON, reference, node: got {reference.node}; expected the id of a node")
    translation = translation_from_dict(_typed(data, "translation", dict, ""), "tree JSON, translation")
    return Tree(translation, _typed(data, "beam", int, ""), _typed(data, "limit", int, ""), nodes, outputs, reference)


_KINDS: dict[str, Any] = {
    "int": int,
    "str": str,
    "float": int | float,
    "int | None": int | None,
    "float | None": int | float | None,
    "tuple[str, ...]": list,
}


def _part(kind: Any, given: Any, where: str) -> Any:
    """A dataclass from the dict that JSON holds."""
    if not isinstance(given, dict):
        raise DataError(f"tree JSON, {where}: got {type(given).__name__}; expected an object")
    values = {f.name: _typed(given, f.name, _KINDS[str(f.type)], f"{where}, ") for f in fields(kind)}
    for name, value in values.items():
        if isinstance(value, list):
            if not all(isinstance(one, str) for one in value):
                raise DataError(f"tree JSON, {where}, {name}: expected a list of strings")
            values[name] = tuple(value)
    return kind(**values)


def _typed(given: dict[str, Any], key: str, kind: Any, where: str) -> Any:
    if key not in given:
        raise DataError(f"tree JSON, {where}{key}: the key is missing")
    value = given[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"tree JSON, {where}{key}: got {type(value).__name__}; expected another type")
    return value


def tree_in_words(tree: Tree) -> list[str]:
    """A line about the search, and one about the reference."""
    fates = Counter(node.fate for node in tree.nodes[1:])
    counted = ", ".join(f"{fates[fate]:,} {fate}" for fate in FATES if fates[fate])
    lines = [f"beam {tree.beam}: {len(tree.nodes) - 1:,} hypotheses in {max(n.step for n in tree.nodes):,} steps: {counted}"]
    if tree.reference is not None:
        lines.append(_reference_in_words(tree.reference, tree))
    return lines


def _reference_in_words(reference: Reference, tree: Tree) -> str:
    if reference.verdict == "not allowed":
        return f"the reference cannot be an output: {reference.reason}"
    if reference.verdict == "output":
        return "the reference is the output"
    if reference.step is None:
        where = "the search finished the reference, too"
    else:
        token = label(reference.tokens[reference.step - 1])
        where = f"the reference leaves the beam at token {reference.step}, {token}: {WHY[reference.ending]}"
    scores = f"its score is {reference.score:.4f}, the output's {tree.translation.score:.4f}"
    if not tree.translation.finished:
        scores += ", which was cut"
    what = "a wider beam could find it" if reference.verdict == "search error" else "the model prefers the output"
    return f"{where}; {reference.verdict}: {scores}: {what}"


def write_tree(tree: Tree, path: str | Path) -> None:
    """Writes the tree as JSON into a file, over one that is there. Raises ConfigError for another suffix than .json."""
    check_tree(path)
    with Output(Path(path)) as out:
        out.put(tree_json(tree))


def check_tree(path: str | Path, option: str = "tree") -> None:
    """Checks, before the work, that `write_tree` could write the file. Raises what that would."""
    if Path(path).suffix.lower() != ".json":
        raise ConfigError(f"{option} is {str(path)!r}; it is written as JSON: give a name that ends in .json")
    tried(path)


def show_tree(
    asked: Asked, line: tuple[str, Sequence[str]], options: SearchConfig, out: str = "", reference: str | None = None
) -> Callable[[], str]:
    """The work of `jumok explain --tree` and `--reference`, for a model folder and a source with its features.

    Checks what can be checked; the function that it returns searches, writes the file `out`, and gives what is to be printed.
    """
    check_one_search(options)
    if out:
        check_output(out, "--tree")
        check_tree(out, "--tree")

    def work() -> str:
        source, given = line
        separator = asked.model.config.text.features_separator
        features = [feature for cell in given for feature in features_in(cell, separator)]
        search = {name: value for name, value in asdict(options).items() if name != "batch_size"}
        tree = asked.model.tree(source, features=features or None, reference=reference, **search)
        if out:
            write_tree(tree, out)
        return "\n".join(tree_in_words(tree) + [f"written to {out}"] * bool(out))

    return work
