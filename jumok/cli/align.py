"""Links between the words of given pairs: `jumok align`."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from jumok.cli._options import Options, Positional
from jumok.cli._printing import put, say, warn
from jumok.config import LoadConfig
from jumok.console import Bar
from jumok.errors import ConfigError, DataError
from jumok.places import FilePath, LinesPath, ModelPath, Output, PairsPath


@dataclass(frozen=True)
class Align(Options):
    """Link the words of given pairs by what the model attends to when it has to write the target: a line in, a line out.

    jumok align model pairs.tsv --gold gold.tsv
    jumok align model pairs.tsv --reverse-model other --out links.txt
    """

    model: Positional[ModelPath]
    """Model folder, or several that write together, an ensemble: A,B,C."""
    pairs: Positional[PairsPath]
    """Pairs to align, as for training. A line that cannot be used gets an empty line and a warning."""
    method: Literal["argmax", "path", "viterbi"] = "argmax"
    """argmax: each target token with the source token it weighs most; path: the same, but links never go back; viterbi: those of the
    likeliest alignment, of a model with --alignment monotonic."""
    unit: Literal["word", "token"] | None = None
    """What is numbered: words (between ASCII blanks) or tokens. Default: tokens on a side in characters, else words."""
    reverse_model: ModelPath = ""
    """Model folder of the other direction, target to source, whose links are combined with the first model's."""
    combine: Literal["grow-diagonal", "intersection", "union"] = "grow-diagonal"
    """How, with --reverse-model. grow-diagonal: what both say, and links beside it of words without a link."""
    loading: LoadConfig = field(default_factory=LoadConfig)
    gold: LinesPath = ""
    """Gold links to measure against: i-j sure, ipj possible, counted from 1; alone on a line, or in column 3 (as in PAIRS)."""
    out: FilePath = ""
    """File to write the links to. Default: standard output (the measures then go to standard error)."""
    json: bool = False
    """A JSON object a line: source, target, links, log-probability; and the measures as JSON."""

    READ_ON: ClassVar[str] = "docs/alignments.md, docs/commands.md"


def align(o: Align, given: Collection[str]) -> int:
    if "combine" in given and not o.reverse_model:
        raise ConfigError(
            f"combine is {o.combine!r}, but there is nothing to combine: give --reverse-model, too, or leave it out"
        )
    with Output(o.out) as side:
        return _align(o, side)


def _align(o: Align, side: Output) -> int:
    from jumok.decode.remarks import Remarks, whose_weights
    from jumok.explain import align, align_both, links_json, pharaoh
    from jumok.measure import as_dict, check_range, measure_links, read_gold, table
    from jumok.outputs import check_output
    from jumok.runtime import load
    from jumok.text import read_every_pair

    check_output(o.out, "--out")
    model = load(o.model, o.loading.engine)
    if about := whose_weights(model):
        warn(about)
    gold = read_gold(o.gold, warn=lambda w: None if o.gold == o.pairs else say(f"warning: {w}")) if o.gold else None
    pairs = list(read_every_pair(o.pairs, model.config.text, warn=warn))
    if gold is not None and len(gold) != len(pairs):
        raise DataError(f"{o.gold}: {len(gold):,} lines of gold links, but {len(pairs):,} lines in {o.pairs}; wanted as many")
    if o.reverse_model:
        found = align_both(model, load(o.reverse_model, o.loading.engine), pairs, o.method, o.unit, o.combine)
    else:
        found = align(model, pairs, o.method, o.unit)
    links, remarks = [], Remarks(model)
    shown = bool(o.out) or not sys.stdout.isatty()  # a bar and lines on one terminal garble each other
    written = []
    with Bar(f"aligning {len(pairs):,} pairs", len(pairs), shown) as bar:
        for k, (pair, aligned) in enumerate(zip(pairs, found, strict=True)):
            if pair and aligned.problem:
                warn(f"{pair.where}: {aligned.problem}; it gets an empty line")
            elif pair and gold is not None:
                check_range(gold[k], len(aligned.source), len(aligned.target))
            if pair and not aligned.problem:
                remarks.see_tokens(pair.where, pair.source, aligned.unknown_source, aligned.unknown_target, bool(pair.features))
            written.append(links_json(aligned) if o.json else pharaoh(aligned.links))
            if not o.out:
                put(written.pop())
            links.append(frozenset(aligned.links))
            bar.advance(1)
    remarks.tell(warn)
    if pairs and not any(pairs):
        raise DataError(f"{o.pairs}: none of its {len(pairs):,} lines could be used; wanted pairs, as for training")
    try:
        if gold is not None:
            measured = measure_links(links, gold)
            lines = [json.dumps(as_dict(measured))] if o.json else table(measured)
            print("\n".join(lines), file=sys.stdout if o.out else sys.stderr, flush=True)
    finally:
        side.put("".join(line + "\n" for line in written))
    return 0
