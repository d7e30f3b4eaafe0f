"""CSV and JSON there and back, JSON lines, refused JSON, hard links and entropy by hand."""

import csv
import io
import json

import numpy as np
import pytest
from explain_samples import blind, planted, small, translations
from hypothesis import given

from jumok.errors import DataError, JumokError
from jumok.explain import entropy, from_json, hard_links, to_csv, to_json, to_json_line
from jumok.runtime.translation import Translation


def same(a: Translation, b: Translation) -> bool:
    fields = ("source", "text", "source_tokens", "tokens", "log_probability", "score", "finished")
    weights = (a.weights is None and b.weights is None) or np.array_equal(a.weights, b.weights)
    alternatives = len(a.alternatives) == len(b.alternatives) and all(map(same, a.alternatives, b.alternatives))
    return weights and alternatives and all(getattr(a, f) == getattr(b, f) for f in fields)


def nested() -> Translation:
    first = small()
    return Translation(
        "ab",
        "X",
        first.source_tokens,
        first.tokens,
        first.weights,
        -1.25,
        -0.625,
        finished=False,
        alternatives=(small(), blind()),
    )


def test_csv_by_hand() -> None:
    t = planted(["a", ","], ['"', "</s>"], [[0.1, 0.9], [0.0, 1.0]])
    assert to_csv(t) == ',a,","\r\n"""",0.1,0.9\r\n</s>,0.0,1.0\r\n'


@given(translations())
def test_csv_reads_back(t: Translation) -> None:
    head, *rows = csv.reader(io.StringIO(to_csv(t), newline=""))
    assert head == ["", *t.source_tokens]
    assert [row[0] for row in rows] == list(t.tokens)
    assert np.array_equal(np.array([row[1:] for row in rows], dtype=np.float32), t.weights)


@given(translations())
def test_json_round_trip(t: Translation) -> None:
    assert same(from_json(to_json(t)), t)
    assert same(from_json(to_json_line(t)), t)
    assert json.loads(to_json(t)) == json.loads(to_json_line(t))


@pytest.mark.parametrize(
    "t", [nested(), blind(), planted(["\ud800", "\u2028"], ["\x85"], [[0.5, 0.5]])], ids=["nested", "blind", "odd"]
)
def test_json_round_trip_of_what_is_special(t: Translation) -> None:
    for text in (to_json(t), to_json_line(t)):
        assert same(from_json(text.encode("utf-8").decode("utf-8")), t)


@given(translations())
def test_a_json_line_is_one_line_for_every_reader(t: Translation) -> None:
    assert len(to_json_line(t).splitlines()) == 1


def test_json_is_of_this_form() -> None:
    data = json.loads(to_json_line(small()))
    keys = "schema source text source_tokens tokens weights log_probability score finished alternatives"
    assert list(data) == keys.split()
    assert data["schema"] == "jumok.translation/1"
    assert data["weights"] == [[0.75, 0.2, 0.05], [0, 0.35, 0.65]]
    assert "\n  [0.75, 0.2, 0.05],\n" in to_json(small())


def broken(**changes: object) -> str:
    data = {**json.loads(to_json(small())), **changes}
    return json.dumps({key: value for key, value in data.items() if value is not ...})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "one JSON object"),
        ("{", "one JSON object"),
        ("[1]", "schema: list came"),
        (broken(schema="jumok.translation/2"), "schema: 'jumok.translation/2' came; 'jumok.translation/1' was wanted"),
        (broken(schema=...), "schema: None came"),
        (broken(source=...), "source: the key is missing"),
        (broken(text=3), "text: int came; a string"),
        (broken(tokens="ab"), "tokens: str came; a list of strings"),
        (broken(tokens=["a", 1]), "tokens: not all of it are strings"),
        (broken(weights=...), "weights: the key is missing"),
        (broken(weights=[[1, 0, 0]]), "weights: 1 rows came; 2 were wanted"),
        (broken(weights=[[1, 0, 0], [1, 0]]), r"weights\[1\]: 2 numbers came; 3 were wanted"),
        (broken(weights=[[1, 0, 0], 5]), r"weights\[1\]: 5 came; a list of numbers"),
        (broken(weights=[[1, 0, 0], [1, True, 0]]), r"weights\[1\]: \[1, True, 0\] came"),
        (broken(weights=[[1, 0, 0], [2, -1, 0]]), r"weights\[1\]: a number outside 0 to 1"),
        (broken(weights=[[1, 0, 0], [float("nan"), 1, 0]]), r"weights\[1\]: a number outside 0 to 1"),
        (broken(score=True), "score: bool came; a number"),
        (broken(score=float("nan")), "score: nan came; a finite number"),
        (broken(log_probability=-(10**400)), "log_probability: -1000.* came; a finite number"),
        ("[" * 100_000, "one JSON object"),
        (broken(finished=1), "finished: int came; true or false"),
        (broken(alternatives=[3]), r"alternatives\[0\]: int came; an object"),
        (broken(alternatives=[{"source_tokens": []}]), r"alternatives\[0\], tokens: the key is missing"),
    ],
)
def test_json_that_is_not_ours_is_refused_by_key(text: str, wanted: str) -> None:
    with pytest.raises(DataError, match=wanted) as caught:
        from_json(text)
    assert "\n" not in str(caught.value)


def test_csv_without_weights_is_a_clear_error_and_json_is_not() -> None:
    with pytest.raises(JumokError, match="attention none has no weights to draw"):
        to_csv(blind())
    assert json.loads(to_json(blind()))["weights"] is None


def test_hard_links_by_hand() -> None:
    weights = np.array([[0.1, 0.8, 0.1], [0.4, 0.4, 0.2], [0, 0, 1]], dtype=np.float32)
    assert hard_links(weights) == [(1, 0), (0, 1), (2, 2)]


def test_entropy_by_hand() -> None:
    weights = np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]], dtype=np.float32)
    assert entropy(weights) == pytest.approx([0, np.log(4), np.log(2)])


@given(translations())
def test_entropy_lies_between_none_and_all(t: Translation) -> None:
    assert t.weights is not None
    found = entropy(t.weights)
    assert found.shape == (len(t.tokens),)
    assert (found >= -1e-6).all() and (found <= np.log(len(t.source_tokens)) + 1e-6).all()
