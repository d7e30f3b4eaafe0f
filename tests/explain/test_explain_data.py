"""CSV and JSON there and back, JSON lines, refused JSON, hard links; entropy, margin and coverage by hand."""

import csv
import io
import json

import numpy as np
import pytest
from explain_samples import blind, planted, small, translations
from hypothesis import given
from hypothesis import strategies as st

from jumok.errors import DataError, JumokError
from jumok.explain import (
    coverage,
    entropy,
    entropy_bits,
    from_json,
    hard_links,
    in_words,
    margin,
    to_csv,
    to_json,
    to_json_line,
    total_variation,
    unseen,
)
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
    assert to_csv(t).split("\r\n") == [
        ',a,",",entropy (bits),margin',
        '"""",0.1,0.9,0.468996,0.8',
        "</s>,0.0,1.0,0.0,1.0",
        "coverage,0.1,1.9,,",
        "",
    ]


@given(translations())
def test_csv_reads_back(t: Translation) -> None:
    head, *rows, last = csv.reader(io.StringIO(to_csv(t), newline=""))
    assert head == ["", *t.source_tokens, "entropy (bits)", "margin"]
    assert [row[0] for row in rows] == list(t.tokens)
    assert np.array_equal(np.array([row[1:-2] for row in rows], dtype=np.float32), t.weights)
    assert t.weights is not None
    assert np.array([row[-2:] for row in rows], float) == pytest.approx(
        np.stack([entropy_bits(t.weights), margin(t.weights)], 1), abs=1e-6
    )
    assert last[0] == "coverage" and np.array(last[1:-2], float) == pytest.approx(coverage(t.weights), abs=1e-6)


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
    keys = "schema source text source_tokens tokens weights_kind weights attention token_log_probabilities confidence"
    assert list(data) == [*keys.split(), *["log_probability", "score", "finished", "unknown", "alternatives"]]
    assert data["schema"] == "jumok.translation/1"
    assert data["weights"] == [[0.75, 0.2, 0.05], [0, 0.35, 0.65]]
    assert data["attention"] == {
        "entropy_bits": [0.99176, 0.934068],
        "margin": [0.55, 0.3],
        "coverage": [0.75, 0.55, 0.7],
        "unseen_share": 0,
    }
    looked_past = json.loads(to_json(planted(["a", "b", "c", "</s>"], ["X"], [[0.9, 0.04, 0.06, 0]])))
    assert looked_past["attention"]["unseen_share"] == 0.5
    assert json.loads(to_json(blind()))["attention"] is None
    assert "\n  [0.75, 0.2, 0.05],\n" in to_json(small())


def test_json_of_before_attention_was_added_is_read_and_keys_of_later_are_passed_over() -> None:
    assert same(from_json(broken(attention=...)), small())
    assert same(from_json(broken(attention={"of": "later"}, new=3)), small())


def broken(**changes: object) -> str:
    data = {**json.loads(to_json(small())), **changes}
    return json.dumps({key: value for key, value in data.items() if value is not ...})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "one JSON object"),
        ("{", "one JSON object"),
        ("[1]", "schema: got list"),
        (broken(schema="jumok.translation/2"), "schema: got 'jumok.translation/2'; expected 'jumok.translation/1'"),
        (broken(schema=...), "schema: got None"),
        (broken(source=...), "source: the key is missing"),
        (broken(text=3), "text: got int; expected a string"),
        (broken(tokens="ab"), "tokens: got str; expected a list of strings"),
        (broken(tokens=["a", 1]), "tokens: not all items are strings"),
        (broken(weights=...), "weights: the key is missing"),
        (broken(weights=[[1, 0, 0]]), "weights: got 1 rows; expected 2"),
        (broken(weights=[[1, 0, 0], [1, 0]]), r"weights\[1\]: got 2 numbers; expected 3"),
        (broken(weights=[[1, 0, 0], 5]), r"weights\[1\]: got 5; expected a list of numbers"),
        (broken(weights=[[1, 0, 0], [1, True, 0]]), r"weights\[1\]: got \[1, True, 0\]"),
        (broken(weights=[[1, 0, 0], [2, -1, 0]]), r"weights\[1\]: got a number outside 0 to 1"),
        (broken(weights=[[1, 0, 0], [float("nan"), 1, 0]]), r"weights\[1\]: got a number outside 0 to 1"),
        (broken(score=True), "score: got bool; expected a number"),
        (broken(score=float("nan")), "score: got nan; expected a finite number"),
        (broken(log_probability=-(10**400)), "log_probability: got -1000.*; expected a finite number"),
        ("[" * 100_000, "one JSON object"),
        (broken(finished=1), "finished: got int; expected true or false"),
        (broken(alternatives=[3]), r"alternatives\[0\]: got int; expected an object"),
        (broken(alternatives=[{"source_tokens": []}]), r"alternatives\[0\], tokens: the key is missing"),
    ],
)
def test_json_that_is_not_ours_is_refused_by_key(text: str, wanted: str) -> None:
    with pytest.raises(DataError, match=wanted) as caught:
        from_json(text)
    assert "\n" not in str(caught.value)


def test_csv_without_weights_is_a_clear_error_and_json_is_not() -> None:
    with pytest.raises(JumokError, match="no attention weights, because the model was trained with attention none"):
        to_csv(blind())
    assert json.loads(to_json(blind()))["weights"] is None


def test_hard_links_by_hand() -> None:
    weights = np.array([[0.1, 0.8, 0.1], [0.4, 0.4, 0.2], [0, 0, 1]], dtype=np.float32)
    assert hard_links(weights) == [(1, 0), (0, 1), (2, 2)]


def test_entropy_by_hand() -> None:
    weights = np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]], dtype=np.float32)
    assert entropy(weights) == pytest.approx([0, np.log(4), np.log(2)])
    assert entropy_bits(weights) == pytest.approx([0, 2, 1])


def test_margin_coverage_and_unseen_by_hand() -> None:
    weights = np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.46, 0.04, 0]], dtype=np.float32)
    assert margin(weights) == pytest.approx([1, 0, 0.04])
    assert margin(weights[:, :1]) == pytest.approx([1, 0.25, 0.5])  # alone: nothing comes second
    assert coverage(weights) == pytest.approx([1.75, 0.71, 0.29, 0.25])
    assert unseen(weights[[0, 2]]).tolist() == [False, False, True, True]
    assert unseen(weights).tolist() == [False] * 4
    assert unseen(weights, 0.5).tolist() == [False, True, True, True]


def test_total_variation_by_hand() -> None:
    a = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]], dtype=np.float32)
    b = np.array([[0, 0.5, 0.5], [0.5, 0.25, 0.25], [0.2, 0.3, 0.5]], dtype=np.float32)
    assert total_variation(a, b) == pytest.approx([1, 0.25, 0])


def test_words_name_what_no_step_looked_at() -> None:
    t = planted(["a", " ", "b"], ["X", "Y"], [[1, 0, 0], [0.99, 0.01, 0]])
    assert in_words(t) == "entropy 0.04 bits a step, margin 99 %; never looked at: 2 of 3 source tokens (67 %): ␣ b"
    assert in_words(small()).endswith("; every source token was looked at")
    assert "attention none" in in_words(blind())
    assert "empty source" in in_words(Translation("", "", (), (), None, 0.0, 0.0))
    assert "too long" in in_words(Translation("a", "", ("a", "</s>"), (), None, 0.0, 0.0, finished=False))


@given(translations(), st.integers(0, 100))
def test_the_numbers_keep_to_their_ranges(t: Translation, seed: int) -> None:
    assert t.weights is not None
    T, S = t.weights.shape
    share, summed = margin(t.weights), coverage(t.weights)
    assert share.shape == (T,) and summed.shape == unseen(t.weights).shape == (S,)
    assert (share >= 0).all() and (share <= 1 + 1e-6).all() and summed.sum() == pytest.approx(T, abs=1e-3)
    order = np.random.default_rng(seed).permutation(S)  # which position has which weight does not matter to a step
    assert margin(t.weights[:, order]) == pytest.approx(share) and entropy(t.weights[:, order]) == pytest.approx(
        entropy(t.weights)
    )
    other = t.weights[:, order]
    apart = total_variation(t.weights, other)
    assert apart == pytest.approx(total_variation(other, t.weights)) and (apart <= 1 + 1e-6).all()
    assert (total_variation(t.weights, t.weights) == 0).all()


@given(translations())
def test_entropy_lies_between_none_and_all(t: Translation) -> None:
    assert t.weights is not None
    found = entropy(t.weights)
    assert found.shape == (len(t.tokens),)
    assert (found >= -1e-6).all() and (found <= np.log(len(t.source_tokens)) + 1e-6).all()
