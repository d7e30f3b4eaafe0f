"""A model measured on test pairs: `jumok evaluate`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, get_args

from jumok import config
from jumok.cli._options import SEARCH, Options, Positional
from jumok.cli._printing import one_line, warn
from jumok.config import LoadConfig, SearchConfig, TextConfig
from jumok.console import Bar
from jumok.errors import ConfigError
from jumok.places import FilePath, ModelPath, Output, PairsPath

if TYPE_CHECKING:
    from jumok.measure.evaluating import Evaluation


@dataclass(frozen=True)
class Evaluate(Options):
    """Translate the sources of a test file and measure how well: each metric with its signature.

    jumok evaluate model test.tsv --beam 5
    jumok evaluate model test.tsv --metrics accuracy calibration --outputs outputs.tsv
    """

    model: Positional[ModelPath]
    """Model folder, or several that write together, an ensemble: A,B,C."""
    test: Positional[PairsPath]
    """Test pairs, as for training; several targets of one source are alternatives, any of which is right."""
    search: SearchConfig = field(default_factory=SearchConfig)
    loading: LoadConfig = field(default_factory=LoadConfig)
    metrics: tuple[str, ...] = tuple(name for name in get_args(config.MetricName) if name != "loss")
    """Which metrics; calibration, too: are outputs as often right as their probabilities say?"""
    tokenize: str = ""
    """sacrebleu's tokenizer for BLEU (13a, none, char, …). Default: the one that the model was trained with."""
    lowercase: bool = False
    """Compare without regard to case."""
    json: bool = False
    """JSON instead of a table."""
    outputs: FilePath = ""
    """Also write source, features where the model has them, output and references of every line to this TSV."""

    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {
        "files": ("model", "test", "outputs"),
        "measuring": ("metrics", "tokenize", "lowercase", "json"),
        **{title: tuple(name for name in names if name != "nbest") for title, names in SEARCH.items()},
        "computing": ("engine", "batch_size", "config"),
    }
    READ_ON: ClassVar[str] = "docs/decoding.md, docs/input.md, docs/commands.md"

    def check(self, where: str) -> None:
        config.check(self.search, where)
        if self.search.nbest > 1:
            raise ConfigError(
                f"--nbest is {self.search.nbest}; one output for each source is measured: leave it out (translate --nbest lists more)"
            )
        if self.search.outputs > 1:
            raise ConfigError(
                f"--sample is {self.search.sample}; one output for each source is measured: give --sample 1, or --mbr to choose one"
            )


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
    model = load(o.model, o.loading.engine)
    pairs = read_pairs(o.test, model.config.text, warn=warn)
    how = {name: value for name, value in vars(o.search).items() if name != "nbest"}
    how |= {"tokenize": o.tokenize, "lowercase": o.lowercase, "warn": warn}
    with Bar("translating", len(pairs)) as bar:
        done = evaluate(model, pairs, o.metrics, **how, advance=bar.advance)
    measured = list(done.metrics.values())
    if o.json:
        facts = {
            "model": o.model,
            "test": o.test,
            "search": done.search,
            "lines": len(done.outputs),
            "cut at the length limit": sum(not t.finished for t in done.outputs),
            "targets put in the model's form": done.gold.rewritten,
        }
        lines = [json.dumps(facts | done.remarks | {"metrics": as_dict(measured)}, ensure_ascii=False)]
    else:
        lines = [f"{len(done.outputs):,} sources of {o.test}, {done.search}", *table(measured)]
    try:
        print("\n".join(lines), flush=True)
    finally:  # neither is lost because the other cannot be written
        side.put("".join("\t".join(row) + "\n" for row in _rows(done, model.config.text)))
    return 0


def _rows(done: Evaluation, text: TextConfig) -> Iterator[list[str]]:
    """What --outputs has of each source."""
    for (source, features), output, references in zip(done.gold.sources, done.outputs, done.references, strict=True):
        mark = [text.features_separator.join(features)] if text.features_column else []
        yield [source, *mark, one_line(output.text), *references]
