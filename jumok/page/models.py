"""A model as the page holds it: facts and text settings for its scripts, and the block of numbers for its engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jumok.decode.translator import LONGEST, Translator
from jumok.errors import ConfigError
from jumok.text.codec import Side
from jumok.text.vocabulary import SPECIALS

MOST = 4  # models of one page


@dataclass(frozen=True, eq=False)
class PageModel:
    """Attributes: facts, JSON values that say what the model is and how it cuts text; block, its numbers as the engine reads them."""

    facts: dict[str, Any]
    block: bytes


def page_models(paths: Sequence[str | Path]) -> list[PageModel]:
    """Reads the model folders. ConfigError for more than four, or for a model that the engine does not know."""
    if not 1 <= len(paths) <= MOST:
        raise ConfigError(f"page: {len(paths)} models came; wanted 1 to {MOST}")
    return [page_model(Translator.load(path), name) for path, name in zip(paths, names(paths), strict=True)]


def names(paths: Sequence[str | Path]) -> list[str]:
    """The names of the folders, with as much of their paths as tells them apart."""
    parts = [Path(path).resolve().parts for path in paths]
    for n in range(1, max(map(len, parts)) + 1):
        short = ["/".join(p[-n:]) for p in parts]
        if len(set(short)) == len(set(parts)):
            break
    return [f"{name} ({i + 1})" if short.count(name) > 1 else name for i, name in enumerate(short)]


def page_model(model: Translator, name: str) -> PageModel:
    """The model under this name. ConfigError if the engine does not know it."""
    from jumok.engine.quantise import block  # placeholder

    m, codec = model.config.model, model.codec
    info = model.info()
    facts = {
        "name": name,
        "V": len(codec.target),
        "attends": m.attention != "none",
        "posterior": m.alignment == "monotonic",
        "attention": m.attention,
        "alignment": m.alignment,
        "cell": m.cell,
        "layers": m.layers,
        "hidden": m.hidden,
        "bidirectional": m.bidirectional,
        "reversed": m.reverse_source,
        "readout": m.readout,
        "parameters": info.parameters,
        "limit": list(model.config.limit),
        "longest": LONGEST * model.config.text.max_tokens - 1,
        "features": list(model.features),
        "text": {"source": _side(codec.source), "target": None if codec.joint else _side(codec.target)},
    }
    return PageModel(facts, block(model))


def _side(side: Side) -> dict[str, Any]:
    tokenizer = side.tokenizer.to_dict()
    tokenizer.pop("alphabet", None)
    return {"tokenizer": tokenizer, "tokens": side.vocabulary.tokens(range(len(SPECIALS), len(side)))}
