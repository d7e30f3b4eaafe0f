"""A translation as data: the weights as CSV, and JSON (schema jumok.translation/1), which can be read again.

Within a version of the schema keys may be added, but never change; readers ignore unknown keys. So were added: `attention` and
`confidence`, computed from the rest (written, but not read); `weights_kind` ("attention" if missing); and `unknown`, `copied`,
`token_log_probabilities`, `replaced`, `problem` and `columns`, which may be missing.

Letters: T output steps, S source positions.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import numpy as np

from jumok.alignments import ALIGNMENTS
from jumok.errors import DataError
from jumok.explain.alignment import weights_of
from jumok.explain.confidence import confidence_dict
from jumok.explain.spread import coverage, entropy_bits, margin, unseen
from jumok.runtime.translation import Translation

SCHEMA = "jumok.translation/1"
KINDS = tuple(dict.fromkeys(a.weights for a in ALIGNMENTS.values()))
# Raw, the first three end a line for some readers of JSON lines, and surrogates cannot be written as UTF-8.
_TO_ESCAPE = re.compile("[\u0085\u2028\u2029\ud800-\udfff]")


def to_csv(translation: Translation) -> str:
    """RFC 4180 text: a header of an empty cell and S source tokens, then T rows, each with a token and its S weights.

    Two more columns hold the entropy (bits) and margin of each step; a third the probability that its token was copied, of a model
    that copies; a last one its token's probability, where that is known. One more row has the coverage of each source token; of a
    model with several sources, a last row the column that each is from, 0 for what is of none. Tokens
    are written as they are, weights with as many digits as float32 needs. Raises JumokError if the translation has no weights.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    weights = weights_of(translation)
    numbers = attention_dict(weights)
    assert numbers is not None
    more = {"copied": translation.copied, "probability": translation.token_probabilities}
    further = {name: list(map(_shortest, each)) for name, each in more.items() if each is not None}
    writer.writerow(["", *translation.source_tokens, "entropy (bits)", "margin", *further])
    for t, token in enumerate(translation.tokens):
        spread = [numbers["entropy_bits"][t], numbers["margin"][t], *(each[t] for each in further.values())]
        writer.writerow([token, *map(_shortest, weights[t]), *spread])
    writer.writerow(["coverage", *numbers["coverage"], "", "", *[""] * len(further)])
    if translation.columns:
        writer.writerow(["column", *translation.columns, "", "", *[""] * len(further)])
    return out.getvalue()


def _shortest(weight: np.float32) -> str:
    return str(np.float32(weight))


def attention_dict(weights: np.ndarray | None) -> dict[str, Any] | None:
    """Numbers of weights [T, S], to six digits: entropy_bits and margin of each step [T], coverage of each source position [S],
    and unseen_share, the share of positions that were never looked at."""
    if weights is None:
        return None
    arrays = {"entropy_bits": entropy_bits(weights), "margin": margin(weights), "coverage": coverage(weights)}
    lists = {name: [round(float(number), 6) for number in numbers] for name, numbers in arrays.items()}
    return {**lists, "unseen_share": round(float(unseen(weights).mean()), 6)}


def to_dict(translation: Translation) -> dict[str, Any]:
    """A translation as the dict that JSON holds."""
    weights, copied, each = translation.weights, translation.copied, translation.token_log_probabilities
    return {
        "source": translation.source,
        "text": translation.text,
        "source_tokens": list(translation.source_tokens),
        "tokens": list(translation.tokens),
        "weights_kind": translation.weights_kind,
        "weights": None if weights is None else [[float(_shortest(weight)) for weight in row] for row in weights],
        "attention": attention_dict(weights),
        "copied": None if copied is None else [float(_shortest(share)) for share in copied],
        "token_log_probabilities": None if each is None else [float(_shortest(number)) for number in each],
        "confidence": confidence_dict(translation),
        "log_probability": float(translation.log_probability),
        "score": float(translation.score),
        "finished": translation.finished,
        "unknown": list(translation.unknown),
        "alternatives": [to_dict(alternative) for alternative in translation.alternatives],
        "replaced": [list(pair) for pair in translation.replaced],
        "problem": translation.problem,
        **({"columns": list(translation.columns)} if translation.columns else {}),
    }


def to_json_line(translation: Translation) -> str:
    """As `to_json`, but on one line and without a newline: a line of `jumok translate --json`."""
    data = {"schema": SCHEMA, **to_dict(translation)}
    return writable(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def to_json(translation: Translation) -> str:
    """JSON that people can read and compare: one line per key, and one per row of weights.

    `weights`, `attention` and `copied` are null where there are none; alternatives have the same keys, without `schema`.
    """
    return laid_out({"schema": SCHEMA, **to_dict(translation)})


def laid_out(data: dict[str, Any]) -> str:
    """An object as readable JSON: one line per key, and one for each item of a list of lists or objects."""
    return "{\n" + ",\n".join(f' "{key}": {_laid_out(value)}' for key, value in data.items()) + "\n}\n"


def _laid_out(value: Any) -> str:
    """A value on one line; a list of lists or objects has one line for each item."""
    if isinstance(value, list) and value and isinstance(value[0], list | dict):
        return "[\n" + ",\n".join(f"  {_laid_out(item)}" for item in value) + "\n ]"
    return writable(json.dumps(value, ensure_ascii=False, allow_nan=False))


def writable(text: str) -> str:
    """JSON text with escapes for characters that end a line for some readers, or cannot be written as UTF-8."""
    return _TO_ESCAPE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def from_json(text: str) -> Translation:
    """Reads what `to_json` and `to_json_line` write. Raises DataError, naming the key, for anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"translation JSON: {error}; expected one JSON object of schema {SCHEMA}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        given = repr(data.get("schema")) if isinstance(data, dict) else type(data).__name__
        raise DataError(
            f"translation JSON, schema: got {given}; expected {SCHEMA!r}; write it with `jumok translate --json`, "
            "or update jumok if the file is from a newer one"
        )
    return _from_dict(data, "translation JSON")


def _from_dict(data: dict[str, Any], where: str) -> Translation:
    def get(key: str, kinds: tuple[type, ...], expected: str) -> Any:
        if key not in data:
            raise DataError(f"{where}, {key}: the key is missing; expected {expected}")
        value = data[key]
        if type(value) not in kinds:  # isinstance would take true for a number
            raise DataError(f"{where}, {key}: got {type(value).__name__}; expected {expected}")
        return value

    def number(key: str) -> float:
        value = get(key, (int, float), "a number")
        if not -1e300 < value < 1e300:  # Python's reader takes NaN, Infinity and numbers beyond float64
            raise DataError(f"{where}, {key}: got {value!r:.60}; expected a finite number")
        return float(value)

    def strings(key: str) -> tuple[str, ...]:
        values = get(key, (list,), "a list of strings")
        if not all(isinstance(value, str) for value in values):
            raise DataError(f"{where}, {key}: not all items are strings; expected a list of strings")
        return tuple(values)

    def positions(key: str, S: int) -> tuple[int, ...]:
        values = get(key, (list,), "a list of positions") if key in data else []
        if not all(type(value) is int and 0 <= value < S for value in values):
            raise DataError(f"{where}, {key}: got {values!r:.60}; expected positions in `source_tokens`, counted from 0")
        return tuple(values)

    def copies(T: int, S: int) -> tuple[tuple[int, int], ...]:
        pairs = get("replaced", (list,), "a list of pairs of positions") if "replaced" in data else []
        for pair in pairs:
            good = isinstance(pair, list) and [type(i) for i in pair] == [int, int]
            if not good or not (0 <= pair[0] < T and 0 <= pair[1] < S):
                raise DataError(
                    f"{where}, replaced: got {pair!r:.60}; expected a position in `tokens` and one in `source_tokens`, counted from 0"
                )
        return tuple((t, s) for t, s in pairs)

    def columns(S: int) -> tuple[int, ...]:
        values = get("columns", (list,), "a list of columns") if "columns" in data else []
        if not all(type(value) is int and value >= 0 for value in values) or len(values) not in (0, S):
            raise DataError(
                f"{where}, columns: got {values!r:.60}; expected {S} numbers, one for each of `source_tokens`, or none"
            )
        return tuple(values)

    source_tokens, tokens = strings("source_tokens"), strings("tokens")
    kind = get("weights_kind", (str,), "a string") if "weights_kind" in data else "attention"
    if kind not in KINDS:
        raise DataError(f"{where}, weights_kind: {kind!r:.60} came; one of {', '.join(KINDS)} was wanted")
    rows = get("weights", (list, type(None)), "a list of rows or null")
    alternatives = get("alternatives", (list,), "a list of translations")
    for k, alternative in enumerate(alternatives):
        if not isinstance(alternative, dict):
            raise DataError(f"{where}, alternatives[{k}]: got {type(alternative).__name__}; expected an object")
    return Translation(
        source=get("source", (str,), "a string"),
        text=get("text", (str,), "a string"),
        source_tokens=source_tokens,
        tokens=tokens,
        weights=None if rows is None else _weights(rows, len(tokens), len(source_tokens), where),
        log_probability=number("log_probability"),
        score=number("score"),
        finished=get("finished", (bool,), "true or false"),
        unknown=positions("unknown", len(source_tokens)),
        alternatives=tuple(_from_dict(a, f"{where}, alternatives[{k}]") for k, a in enumerate(alternatives)),
        weights_kind=kind,
        token_log_probabilities=_each(data.get("token_log_probabilities"), len(tokens), where),
        copied=None if data.get("copied") is None else _copied(get("copied", (list,), "a list of numbers"), len(tokens), where),
        replaced=copies(len(tokens), len(source_tokens)),
        problem=get("problem", (str,), "a string") if "problem" in data else "",
        columns=columns(len(source_tokens)),
    )


def _each(numbers: Any, T: int, where: str) -> np.ndarray | None:
    if numbers is None:
        return None
    where = f"{where}, token_log_probabilities"
    if not isinstance(numbers, list) or any(type(number) not in (int, float) for number in numbers):
        raise DataError(f"{where}: got {numbers!r:.60}; expected a list of numbers or null")
    if len(numbers) != T:
        raise DataError(f"{where}: got {len(numbers)} numbers; expected {T}, one for each of `tokens`")
    if not all(-1e30 < number < 0.001 for number in numbers):
        raise DataError(f"{where}: got a number that is not finite, or above 0; expected logarithms of probabilities")
    return np.array(numbers, dtype=np.float32)


def _copied(shares: list[Any], T: int, where: str) -> np.ndarray:
    if len(shares) != T or not all(type(share) in (int, float) and 0 <= share <= 1.001 for share in shares):
        raise DataError(f"{where}, copied: got {shares!r:.60}; expected {T} numbers from 0 to 1, one for each of `tokens`")
    return np.array(shares, dtype=np.float32)


def _weights(rows: list[Any], T: int, S: int, where: str) -> np.ndarray:
    if len(rows) != T:
        raise DataError(f"{where}, weights: got {len(rows)} rows; expected {T}, one for each of `tokens`")
    for t, row in enumerate(rows):
        if not isinstance(row, list) or any(type(weight) not in (int, float) for weight in row):
            raise DataError(f"{where}, weights[{t}]: got {row!r:.60}; expected a list of numbers")
        if len(row) != S:
            raise DataError(f"{where}, weights[{t}]: got {len(row)} numbers; expected {S}, one for each of `source_tokens`")
        if not all(0 <= weight <= 1.001 for weight in row):
            raise DataError(f"{where}, weights[{t}]: got a number outside 0 to 1; expected attention weights")
    return np.array(rows, dtype=np.float32).reshape(T, S)
