"""The next tokens that a model weighs, as JSON (schema jumok.next/1) and as a table: the work of `jumok next`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jumok.decode.alternatives import Alternative, Alternatives
from jumok.decode.remarks import Remarks
from jumok.explain.data import laid_out
from jumok.explain.labels import label
from jumok.runtime import load
from jumok.text.codec import is_feature
from jumok.text.oddities import Oddities
from jumok.text.pairs import features_in

SCHEMA = "jumok.next/1"
NAMED = 3  # source tokens that a row of the table names
SHOWN = 0.05  # the least weight of one of them


def next_json(found: Alternatives) -> str:
    """JSON that people can read: one line per key, and one per alternative."""
    alternatives: list[dict[str, Any]] = [
        {
            "token": a.token,
            "text": a.text,
            "probability": a.probability,
            "log_probability": a.log_probability,
            "weights": None if a.weights is None else [float(str(np.float32(weight))) for weight in a.weights],
        }
        for a in found
    ]
    return laid_out(
        {
            "schema": SCHEMA,
            "source": found.source,
            "source_tokens": list(found.source_tokens),
            "prefix": list(found.prefix),
            "log_probability": found.log_probability,
            "weights_kind": found.weights_kind,
            "alternatives": alternatives,
            "rest": found.rest,
        }
    )


def next_table(found: Alternatives) -> str:
    """A row for each token with its probability, and the source tokens that it would look at most; once, if all look alike."""
    names = [label(a.token) for a in found]
    width = max(map(len, names))
    alike = found.weights_kind == "attention"
    rows = []
    for name, a in zip(names, found, strict=True):
        looks = "" if a.weights is None or alike else f"   {_places(found, a)}"
        rows.append(f"{100 * a.probability:7.2f} %  {name:<{width}}{looks}".rstrip())
    rows.append(f"{100 * found.rest:7.2f} %  all others")
    if alike and found[0].weights is not None:
        rows.append(f"looks at {_places(found, found[0])}; the weights are known before the token, and so the same for all")
    return "\n".join(rows)


def _places(found: Alternatives, a: Alternative) -> str:
    """The source tokens with the most weight, as `e 71 %, n 12 %`."""
    assert a.weights is not None
    order = np.argsort(-a.weights, kind="stable")[:NAMED].tolist()
    named = [i for i in order if a.weights[i] >= SHOWN] or order[:1]
    return ", ".join(f"{label(found.source_tokens[i])} {100 * a.weights[i]:.0f} %" for i in named)


def show_next(
    asked: tuple[str, str],
    line: tuple[str, Sequence[str]],
    prefix: str | Sequence[str],
    k: int | None,
    json: bool,
    warn: Callable[[str], None],
) -> str:
    """The work of `jumok next`, for a model folder with the engine that computes it, and a source with its features."""
    model = load(*asked)
    source, given = line
    odd = Oddities(model.config.text, ("the text",), ("source",))
    odd.see(1, source)
    odd.tell(warn)
    separator = model.config.text.features_separator
    features = [feature for cell in given for feature in features_in(cell, separator)]
    found = model.alternatives(source, prefix, k=k, features=features or None)
    remarks = Remarks(model)
    known = model.codec.source.vocabulary
    unknown = [token for token in found.source_tokens[:-1] if token not in known]
    remarks.see_tokens(model.name, source, unknown, (), any(map(is_feature, found.source_tokens)))
    remarks.tell(warn)
    return next_json(found).rstrip("\n") if json else next_table(found)
