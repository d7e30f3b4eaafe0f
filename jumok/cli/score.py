"""How likely a model finds the targets of given pairs: `jumok score`."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from jumok.cli._options import Options, Positional
from jumok.cli._printing import put, warn
from jumok.config import LoadConfig
from jumok.errors import DataError
from jumok.places import FilePath, ModelPath, Output, PairsPath

if TYPE_CHECKING:
    from jumok.measure.scoring import Likelihood
    from jumok.runtime.translation import Translation


@dataclass(frozen=True)
class Score(Options):
    """Say how likely a model finds given targets: log-probability, the same per token, and perplexity; a line out for a line in.

    jumok score model pairs.tsv
    jumok score model pairs.tsv --json --out scored.jsonl
    """

    model: Positional[ModelPath]
    """Model folder, or several that write together, an ensemble: A,B,C."""
    pairs: Positional[PairsPath]
    """Pairs to score, as for training. A line that cannot be used gets an empty line and a warning."""
    loading: LoadConfig = field(default_factory=LoadConfig)
    out: FilePath = ""
    """File to write the lines to. Default: standard output (the figures of all lines together then go to standard error)."""
    json: bool = False
    """A JSON object a line, as of translate, with the log-probability of each token; and the figures as JSON."""

    READ_ON: ClassVar[str] = "docs/decoding.md, docs/commands.md"


def score(o: Score, given: Collection[str]) -> int:
    with Output(o.out) as side:
        return _score(o, side)


def _score(o: Score, side: Output) -> int:
    from jumok.measure.scoring import Likelihood
    from jumok.outputs import check_output

    check_output(o.out, "--out")
    written: list[str] = []
    lines = tokens = 0
    total = 0.0
    for line, one in _lines(o):
        if o.out:
            written.append(line)
        else:
            put(line)
        lines, tokens, total = lines + one.lines, tokens + one.tokens, total + one.log_probability
    shown = _in_words(Likelihood(lines, tokens, total), o.json)
    try:
        print(shown, file=sys.stdout if o.out else sys.stderr, flush=True)
    finally:  # neither is lost because the other cannot be written
        side.put("".join(line + "\n" for line in written))
    return 0


def _lines(o: Score) -> Iterator[tuple[str, Likelihood]]:
    """The line of each pair, and its part of the sum. DataError, at the end, if no line could be used."""
    from jumok.decode.remarks import Remarks
    from jumok.measure.scoring import likelihood, score_pairs
    from jumok.runtime import load
    from jumok.text import read_every_pair

    model = load(o.model, o.loading.engine)
    remarks = Remarks(model)
    n = usable = 0
    for pair, t, problem in score_pairs(model, read_every_pair(o.pairs, model.config.text, warn=warn)):
        n, usable = n + 1, usable + (t is not None)
        if pair and t:
            strange = [
                token
                for token in model.codec.target.tokenizer.tokens(pair.target)
                if token not in model.codec.target.vocabulary
            ]
            remarks.see_tokens(pair.where, pair.source, [t.source_tokens[k] for k in t.unknown], strange, bool(pair.features))
        elif pair:
            warn(f"{pair.where}: {problem}; it gets an empty line")
        yield (_json_line(t) if o.json else _line(t)), likelihood([] if t is None else t)
    remarks.tell(warn)
    if n and not usable:
        raise DataError(f"{o.pairs}: none of its {n:,} lines could be used; wanted pairs, as for training")


def _line(t: Translation | None) -> str:
    from jumok.measure.scoring import likelihood

    if t is None:
        return ""
    one = likelihood(t)
    return f"{one.log_probability:.4f}\t{one.per_token:.4f}\t{one.perplexity:.4f}"


def _json_line(t: Translation | None) -> str:
    """As a line of `translate --json`, with the perplexity; its numbers are null where a line could not be used."""
    from jumok.explain.data import SCHEMA, to_dict, writable
    from jumok.measure.scoring import likelihood
    from jumok.runtime.translation import Translation

    data: dict[str, Any] = {"schema": SCHEMA, **to_dict(t or Translation("", "", (), (), None, 0.0, 0.0, finished=False))}
    data |= {"perplexity": likelihood(t).perplexity} if t else {"log_probability": None, "score": None, "perplexity": None}
    return writable(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def _in_words(total: Likelihood, as_json: bool) -> str:
    if as_json:
        return json.dumps(total.as_dict())
    return (
        f"{total.lines:,} targets, {total.tokens:,} tokens: log-probability {total.log_probability:.4f}, "
        f"per token {total.per_token:.4f}, perplexity {total.perplexity:.4f}"
    )
