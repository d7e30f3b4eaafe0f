"""What a model folder holds: `jumok info`."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from jumok.alignments import named
from jumok.cli._options import Options, Positional
from jumok.config import LoadConfig
from jumok.places import ModelPath
from jumok.runtime.cells import CELLS
from jumok.scores import SCORES
from jumok.windows import WINDOWS

if TYPE_CHECKING:
    from jumok.decode.info import ModelInfo


@dataclass(frozen=True)
class Info(Options):
    """Tell what a model folder holds, which training it comes from, and whether that is finished.

    jumok info model
    """

    model: Positional[ModelPath]
    """Model folder, or several that write together, an ensemble: A,B,C."""
    loading: LoadConfig = field(default_factory=LoadConfig)
    json: bool = False
    """The values by name, as a JSON object."""


def info(o: Info, given: Collection[str]) -> int:
    from jumok.runtime import load

    facts = load(o.model, o.loading.engine).info()
    if o.json:
        print(json.dumps(asdict(facts) | {"finished": facts.finished}, ensure_ascii=False))
        return 0
    lines = in_words(facts)
    if facts.members:
        lines = _together(facts)
    width = max(map(len, lines))
    for name, words in lines.items():
        print(f"{name:<{width}}  {words}")
    return 0


def in_words(m: ModelInfo) -> dict[str, str]:
    """The facts as a person reads them."""
    cell = f"{CELLS[m.cell].title}, {m.layers} x {m.hidden}"
    directions = ("both directions" if m.bidirectional else "one direction") + ", reversed" * m.reverse_source
    return {
        "folder": m.folder,
        "attention": f"{m.attention}: {SCORES[m.attention].formula}" if m.attention else "none",
        "alignment": f"{m.alignment}: {named(m.alignment).formula}" + ", copying" * m.copy if m.alignment else "none",
        "window": f"{m.window}: {WINDOWS[m.window].formula}, D = {m.window_size}" if m.window else "none",
        "encoder": f"{cell}, {directions}",
        "decoder": cell,
        "embedding": str(m.embedding),
        "readout": f"tanh {m.readout_size}" if m.readout_size else m.readout,
        "input feeding": "yes" if m.input_feeding else "no",
        "tied embeddings": m.tie or "none",
        "parameters": f"{m.parameters:,}",
        "source": _side(m.source_tokenizer, m.source_form, m.source_entries) + _columns(m.source_columns),
        "target": _side(m.target_tokenizer, m.target_form, m.target_entries),
        "joint vocabulary": "yes" if m.joint_vocabulary else "no",
        "features": f"{m.features:,}" if m.features else "none",
        "length limit": f"{m.limit_ratio:g} x source tokens + {m.limit_constant:g}",
        "engine": m.engine + (f": {m.no_engine}" if m.no_engine else ""),
        "training": f"{m.state}, step {m.step:,} of {m.steps:,}, run {m.run}" if m.state else "no record",
    }


def _together(whole: ModelInfo) -> dict[str, str]:
    """The facts of an ensemble: once where all its models have the same, else one after the other."""
    each = [in_words(member) for member in whole.members]
    lines = {"ensemble": f"{len(each)} models, with the mean of their probabilities"}
    for name in each[0]:
        words = [words[name] for words in each]
        lines[name] = words[0] if len(set(words)) == 1 and name != "folder" else "; ".join(words)
    return lines | {"length limit": in_words(whole)["length limit"]}


def _columns(columns: Sequence[int]) -> str:
    """How several sources are read; "" for one."""
    n = len(columns)
    return f"; {n} sources, of columns {', '.join(map(str, columns))}, with a token between two" if n > 1 else ""


def _side(tokenizer: str, form: str | None, entries: int) -> str:
    return f"{tokenizer}{f' in {form}' if form else ''}, {entries:,} entries"
