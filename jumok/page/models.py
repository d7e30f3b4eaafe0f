"""A model as the page holds it: facts and text settings for its scripts, and the block of numbers for its engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jumok.decode.compiled import Compiled
from jumok.decode.translator import LONGEST, Translator
from jumok.engine.known import unknown
from jumok.engine.layout import BLOCK, PLANES, Model, block
from jumok.engine.packing import pack_planes
from jumok.errors import ConfigError
from jumok.runtime.folder import Folder, read_folder
from jumok.text.codec import Side, is_feature
from jumok.text.vocabulary import SPECIALS

MOST = 4  # models of one page


@dataclass(frozen=True, eq=False)
class PageModel:
    """Attributes: facts, JSON values that say what the model is and how it cuts text; block, its numbers as the engine reads them."""

    facts: dict[str, Any]
    block: bytes


def page_models(paths: Sequence[str | Path]) -> list[PageModel]:
    """Reads the model folders. ConfigError for none or more than four of them, or for a model that the engine does not know."""
    if not 1 <= len(paths) <= MOST:
        choose = f"; choose from {' '.join(map(str, paths))}" if paths else ""
        raise ConfigError(f"page: {len(paths)} models came; a page holds 1 to {MOST}{choose}")
    return [page_model(read_folder(path), name) for path, name in zip(paths, names(paths), strict=True)]


def natively(folder: Folder) -> Translator:
    """The model with the numbers that a page holds, computed here: what the page must write, to the last bit. EngineError without engine."""
    model, made = folder.config.model, Translator(folder, "int8")
    made.backend = Compiled(model, folder.parameters, folder.codec.copies() if model.copy else None, "page")
    return made


def names(paths: Sequence[str | Path]) -> list[str]:
    """The names of the folders, with as much of their paths as tells them apart."""
    parts = [tuple(map(_readable, Path(path).resolve().parts)) for path in paths]
    short = ["/".join(p) for p in parts]
    for n in range(1, max(map(len, parts)) + 1):
        short = ["/".join(p[-n:]) for p in parts]
        if len(set(short)) == len(set(parts)):
            break
    return [f"{name} ({short[: i + 1].count(name)})" if short.count(name) > 1 else name for i, name in enumerate(short)]


def _readable(name: str) -> str:
    """The name with U+FFFD for bytes that are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def page_model(folder: Folder, name: str) -> PageModel:
    """The model under this name. ConfigError if the engine does not know its kind."""
    m, codec = folder.config.model, folder.codec
    if folder.config.text.several:
        n = len(folder.config.text.source_columns)
        raise ConfigError(f"{folder.path}: a page cannot hold it: it reads {n} sources a line; jumok explain can show it")
    if what := unknown(m):
        raise ConfigError(f"{folder.path}: a page cannot hold it: its engine does not know {what}; jumok explain can show it")
    facts = {
        "name": name,
        "V": len(codec.target),
        "attends": m.attention != "none",
        "posterior": m.alignment == "monotonic",
        "attention": m.attention,
        "alignment": m.alignment,
        "copy": m.copy,
        "feeding": m.input_feeding,
        "tied": "readout.output" not in folder.parameters,
        "cell": m.cell,
        "layers": m.depth,
        "hidden": m.hidden,
        "inner": m.readout_size,
        "bidirectional": m.bidirectional,
        "reversed": m.reverse_source,
        "readout": m.readout,
        "parameters": sum(array.size for array in folder.parameters.values()),
        "limit": list(folder.config.limit),
        "longest": LONGEST * folder.config.text.max_tokens - 1,
        "features": _features(codec.source),
        "text": {"source": _side(codec.source), "target": None if codec.joint else _side(codec.target)},
    }
    made = block(m, folder.parameters, codec.copies() if m.copy else None, PLANES["page"], pack_planes)
    facts["chain"] = _chain(made.tobytes(), bool(m.copy)) if m.alignment == "monotonic" else None
    return PageModel(facts, made.tobytes())


def _chain(made: bytes, copies: bool) -> dict[str, Any]:
    """Where in the block the chain's own arrays begin, in bytes: what the page's tour works with."""
    struct = Model.from_buffer_copy(made)
    jumps = [BLOCK * place for place in (struct.jump_weights, struct.jump_bias)]
    gate = [BLOCK * place for place in (struct.copy_memory, struct.copy_query, struct.copy_bias, struct.copies)]
    return {"jumps": jumps, "copy": gate if copies else None}


def _features(side: Side) -> list[str]:
    tokens = side.vocabulary.tokens(range(len(SPECIALS), len(side)))
    return [token[1:-1] for token in tokens if is_feature(token)]


def _side(side: Side) -> dict[str, Any]:
    tokenizer = side.tokenizer.to_dict()
    tokenizer.pop("alphabet", None)
    return {"tokenizer": tokenizer, "tokens": side.vocabulary.tokens(range(len(SPECIALS), len(side)))}
