"""A model measured on test pairs: `jumok evaluate`."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar, get_args

from tyro.conf import OmitArgPrefixes, Positional

from jumok import config
from jumok.cli._options import Options
from jumok.cli._printing import one_line, warn
from jumok.config import SearchConfig
from jumok.console import Bar
from jumok.places import FilePath, ModelPath, Output, PairsPath


@dataclass(frozen=True)
class Evaluate(Options):
    """Translate the sources of a test file and measure how well: each metric with its signature.

    jumok evaluate model test.tsv --beam 5
    """

    model: Positional[ModelPath]
    """Model folder."""
    test: Positional[PairsPath]
    """Test pairs, as for training; several targets of one source are alternatives, any of which is right."""
    search: OmitArgPrefixes[SearchConfig] = field(default_factory=SearchConfig)
    metrics: tuple[str, ...] = tuple(name for name in get_args(config.MetricName) if name != "loss")
    """Which metrics."""
    tokenize: str = ""
    """sacrebleu's tokenizer for BLEU (13a, none, char, …). Default: the one that the model was trained with."""
    lowercase: bool = False
    """Compare without regard to case."""
    json: bool = False
    """JSON instead of a table."""
    outputs: FilePath = ""
    """Also write source, features where the model has them, output and references of every line to this TSV."""

    READ_ON: ClassVar[str] = "docs/input.md, docs/commands.md"

    def check(self, where: str) -> None:
        config.check(self.search, where)


def evaluate(o: Evaluate, given: Collection[str]) -> int:
    with Output(o.outputs, "--outputs") as side:
        return _evaluate(o, side)


def _evaluate(o: Evaluate, side: Output) -> int:
    from jumok.measure import as_dict, table
    from jumok.measure.evaluating import evaluate
    from jumok.outputs import check_output
    from jumok.runtime import load
    from jumok.text import read_pairs

    check_output(o.outputs, "--outputs")
    model = load(o.model)
    pairs = read_pairs(o.test, model.config.text, warn=warn)
    with Bar("translating", len(pairs)) as bar:
        found = evaluate(model, pairs, o.metrics, o.search, o.tokenize, o.lowercase, warn, advance=bar.advance)
    sources, separator = found.gold.sources, model.config.text.features_separator
    marks = [[separator.join(features)] if model.config.text.features_column else [] for _, features in sources]
    columns = zip(sources, marks, found.outputs, found.gold.references, strict=True)
    rows = [[source, *mark, one_line(t.text), *gold] for (source, _), mark, t, gold in columns]
    searched = f"beam {o.search.beam}, length penalty {o.search.length_penalty:g}" if o.search.beam > 1 else "greedy"
    if o.json:
        unfinished = sum(not t.finished for t in found.outputs)
        facts = {
            "model": o.model,
            "test": o.test,
            "search": searched,
            "lines": len(sources),
            "cut at the length limit": unfinished,
            "targets put in the model's form": found.gold.rewritten,
        }
        lines = [json.dumps(facts | found.remarks | {"metrics": as_dict(found.measured)}, ensure_ascii=False)]
    else:
        lines = [f"{len(sources):,} sources of {o.test}, {searched}", *table(found.measured)]
    try:
        print("\n".join(lines), flush=True)
    finally:  # neither is lost because the other cannot be written
        side.put("".join("\t".join(row) + "\n" for row in rows))
    return 0
