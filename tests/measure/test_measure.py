"""Metrics: hand-worked tables, rapidfuzz beside a slow table of edits, sacrebleu called directly, and bad input."""

import importlib.util
import json
import random
from collections.abc import Hashable, Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from jumok.errors import ConfigError, DataError, MissingExtra
from jumok.measure import METRICS, Measured, MeasureOptions, as_dict, measure, merge_references, spread, table
from jumok.measure import edits as ours

CHARS = MeasureOptions(unit="char")
SPACE = MeasureOptions(unit="space")
NAMES = list(METRICS)
texts = st.text(alphabet="abc 한é", max_size=12)


def slow_edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein distance as the recurrence is written, cell by cell."""
    d = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
    return d[len(a), len(b)]


def value(name: str, hypotheses: list[str], references: list[list[str]], options: MeasureOptions = CHARS) -> float:
    return measure(name, hypotheses, references, options).value


@pytest.mark.parametrize("name", NAMES)
def test_entry_says_what_it_is(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.unit in ("%", "")
    assert metric.needs is None or importlib.util.find_spec(metric.needs)
    measured = measure(name, ["the cat sat down", "b"], [["the cat sat down"], ["c d e f g", "h"]])
    assert measured.name == name
    assert "version:" in measured.signature and "|" in measured.signature
    assert json.loads(json.dumps(measured.detail)) == measured.detail


@pytest.mark.parametrize("name", NAMES)
def test_entry_tells_perfect_from_wrong_in_its_direction(name: str) -> None:
    gold = ["the cat sat on the mat", "a dog ran over the hill"]
    references = [[line] for line in gold]
    perfect = value(name, gold, references)
    wrong = value(name, ["xyz", "q"], references)
    assert perfect == pytest.approx(100 if METRICS[name].higher_is_better else 0)
    assert (perfect > wrong) == METRICS[name].higher_is_better


@pytest.mark.parametrize("name", NAMES)
def test_entry_takes_mixed_counts_of_references_in_any_order(name: str) -> None:
    hypotheses = ["the cat sat on the mat", "a dog ran up the hill", "x"]
    references = [["the cat sat on a mat", "the cat sat on the mat"], ["a dog ran up a hill"], ["y", "x y", "x"]]
    turned = [list(reversed(r)) for r in references]
    measured = measure(name, hypotheses, references)
    assert measured.value == pytest.approx(value(name, hypotheses, turned))
    assert ":var|" in measured.signature
    first_only = value(name, hypotheses, [r[:1] for r in references])
    assert (measured.value > first_only) == METRICS[name].higher_is_better


@pytest.mark.parametrize("name", NAMES)
def test_entry_takes_an_empty_hypothesis(name: str) -> None:
    worst = {True: 0, False: 100}[METRICS[name].higher_is_better]
    assert value(name, [""], [["a cat"]]) == pytest.approx(worst)


@pytest.mark.parametrize("name", NAMES)
def test_entry_takes_the_case_option_and_says_so(name: str) -> None:
    references = [["The Cat Sat Down"]]
    blind = measure(name, ["the cat sat DOWN"], references, MeasureOptions(lowercase=True))
    seeing = measure(name, ["the cat sat DOWN"], references)
    assert blind.value == pytest.approx(100 if METRICS[name].higher_is_better else 0)
    assert blind.value != pytest.approx(seeing.value)
    assert "case:lc" in blind.signature and "case:mixed" in seeing.signature


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("hypotheses", "references", "wanted"),
    [
        ([], [], "no lines"),
        (["a"], [], "1 hypotheses and 0"),
        (["a", "b"], [["a"], []], "line 2"),
        (["a"], ["a"], "line 1"),
    ],
)
def test_entry_refuses_lines_that_do_not_fit(name: str, hypotheses: list, references: list, wanted: str) -> None:
    with pytest.raises(DataError, match=wanted):
        measure(name, hypotheses, references)


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS[n].needs])
def test_entry_names_its_missing_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(MissingExtra, match=rf"{METRICS[name].needs}.*pip install 'jumok\[train\]'"):
        measure(name, ["a"], [["a"]])


def test_unknown_names_are_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match="accuracy, token-error-rate, bleu, chrf"):
        measure("f1", ["a"], [["a"]])
    with pytest.raises(ConfigError, match=r"'words'.*'char' or 'space'"):
        measure("token-error-rate", ["a"], [["a"]], MeasureOptions(unit="words"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"'14a'.*13a"):
        measure("bleu", ["a"], [["a"]], MeasureOptions(tokenize="14a"))


def test_accuracy_by_hand() -> None:
    measured = measure("accuracy", ["a", "b", "", "d "], [["a"], ["x", "b"], [""], ["d"]])
    assert measured.value == 75
    assert measured.detail == {"wer": 25, "correct": 3, "lines": 4}
    assert measured.signature.startswith("accuracy|refs:var|n:4|case:mixed|version:jumok-")


@pytest.mark.parametrize(
    ("hypothesis", "references", "edits", "tokens"),
    [
        ("K AE T", ["K AE T"], 0, 3),
        ("K AH T", ["K AE T"], 1, 3),
        ("", ["K AE T"], 3, 3),
        ("X Y K AE T", ["K AE T"], 2, 3),  # leading insertions count in full; the official SIGMORPHON script forgave them
        ("K AE T X Y", ["K AE T"], 2, 3),
        ("AE K T", ["K AE T"], 2, 3),  # no transpositions
        ("K  AE T ", ["K AE T"], 0, 3),  # blanks only part tokens
        ("A B", ["A B C D", "A"], 1, 1),  # the nearest, not the first
        ("A B", ["A", "A B C"], 1, 3),  # equally near: the longest
        ("A B", ["A B C", "A"], 1, 3),
        ("KAE T", ["K AE T"], 2, 3),  # tokens are wholes: KAE is not nearly K
    ],
)
def test_token_error_rate_by_hand(hypothesis: str, references: list[str], edits: int, tokens: int) -> None:
    measured = measure("token-error-rate", [hypothesis], [references], SPACE)
    assert (measured.detail["edits"], measured.detail["tokens"]) == (edits, tokens)
    assert measured.value == pytest.approx(100 * edits / tokens)


def test_token_error_rate_is_over_the_corpus_not_a_mean_of_lines() -> None:
    assert value("token-error-rate", ["b", "aaaaaaaaa"], [["a"], ["aaaaaaaaa"]]) == pytest.approx(10)


def test_token_error_rate_names_its_tokens() -> None:
    for options, expected in ((CHARS, 100 * 4 / 5), (SPACE, 100 * 2 / 2)):
        measured = measure("token-error-rate", ["b"], [["ab cd"]], options)
        assert f"tok:{options.unit}|" in measured.signature
        assert measured.value == pytest.approx(expected)


def test_token_error_rate_needs_something_to_divide_by() -> None:
    with pytest.raises(DataError, match="all references are empty"):
        measure("token-error-rate", ["a"], [[""]])
    assert value("token-error-rate", ["a", "b"], [[""], ["b"]]) == 100


ids = st.lists(st.integers(0, 3), max_size=80)


@given(st.one_of(*(st.tuples(kind, kind) for kind in (texts, ids, st.lists(texts)))))
def test_edits_with_and_without_rapidfuzz(two: tuple[Sequence[Hashable], Sequence[Hashable]]) -> None:
    a, b = two
    assert ours.plain(a, b) == Levenshtein.distance(a, b) == ours.edits(a, b)


@given(texts, texts)
def test_plain_edits_beside_the_slow_table(a: str, b: str) -> None:
    assert ours.plain(a, b) == slow_edits(a, b)


def test_edits_of_long_sequences() -> None:
    random_ = random.Random(1)
    for size in (63, 64, 65, 128, 1000, 3000):
        a, b = (random_.choices("abcd", k=k) for k in (size, size + random_.randint(-60, 60)))
        assert ours.plain(a, b) == Levenshtein.distance(a, b)


@given(
    st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=5),
    st.sampled_from(["char", "space"]),
)
def test_token_error_rate_beside_the_slow_table(lines: list[tuple[str, list[str]]], unit: str) -> None:
    edits = tokens = 0
    for hypothesis, references in lines:
        cut = list if unit == "char" else str.split
        options = [(slow_edits(cut(hypothesis), cut(r)), -len(cut(r))) for r in references]
        edits += min(options)[0]
        tokens -= min(options)[1]
    hypotheses, references_ = [h for h, _ in lines], [r for _, r in lines]
    if tokens:
        measured = measure("token-error-rate", hypotheses, references_, MeasureOptions(unit=unit))  # type: ignore[arg-type]
        assert measured.value == pytest.approx(100 * edits / tokens)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8))
def test_gold_as_output_is_perfect(gold: list[str]) -> None:
    references = [["other", line] for line in gold]
    assert value("accuracy", gold, references) == 100
    assert value("token-error-rate", gold, references) == 0


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6), st.sampled_from(["13a", "none", "char"]), st.booleans())
def test_bleu_and_chrf_are_sacrebleus(pairs: list[tuple[str, str]], tokenize: str, lowercase: bool) -> None:
    hypotheses, gold = [h for h, _ in pairs], [g for _, g in pairs]
    options = MeasureOptions(tokenize=tokenize, lowercase=lowercase)
    bleu = measure("bleu", hypotheses, [[g] for g in gold], options)
    direct = sacrebleu.corpus_bleu(hypotheses, [gold], tokenize=tokenize, lowercase=lowercase)
    assert bleu.value == pytest.approx(direct.score)
    assert f"tok:{tokenize}|" in bleu.signature and f"version:{sacrebleu.__version__}" in bleu.signature
    chrf = sacrebleu.corpus_chrf(
        [h.lower() if lowercase else h for h in hypotheses], [[g.lower() if lowercase else g for g in gold]]
    )
    assert value("chrf", hypotheses, [[g] for g in gold], options) == pytest.approx(chrf.score)


def test_merge_references_groups_by_source_and_features_in_first_order() -> None:
    rows = [("b", "1", ()), ("a", "2", ()), ("b", "3", ()), ("b", "4", ("V",)), ("b", "1", ())]
    pairs = [SimpleNamespace(source=s, target=t, features=f) for s, t, f in rows]
    sources, references = merge_references(pairs)
    assert sources == [("b", ()), ("a", ()), ("b", ("V",))]
    assert references == [["1", "3"], ["2"], ["4"]]


def test_spread_of_accuracy_is_the_binomial_one_and_repeats() -> None:
    measured = measure("accuracy", ["a"] * 400, [["a"]] * 300 + [["b"]] * 100)
    s = spread(measured)
    assert s is not None
    assert s.standard_error == pytest.approx(100 * (0.75 * 0.25 / 400) ** 0.5, rel=0.1)
    assert s.low == pytest.approx(75 - 1.96 * s.standard_error, abs=0.6)
    assert s.high == pytest.approx(75 + 1.96 * s.standard_error, abs=0.6)
    assert spread(measured) == s


def test_spread_is_zero_where_all_lines_agree_and_none_where_there_are_no_counts() -> None:
    s = spread(measure("token-error-rate", ["ab"] * 5, [["ac"]] * 5))
    assert s is not None and (s.standard_error, s.low, s.high) == (0, 50, 50)
    assert spread(measure("bleu", ["a"], [["a"]])) is None


def test_spread_weighs_lines_by_their_tokens() -> None:
    # Two lines, a short one all wrong and a long one all right: a resample holds 0, 1 or 2 of the short one.
    s = spread(Measured("token-error-rate", 10.0, "", {}, np.array([[1.0, 1.0], [0.0, 9.0]])))
    assert s is not None and (s.low, s.high) == (0, 100)


def test_spread_of_many_lines_is_taken_in_parts_with_the_right_number_of_resamples() -> None:
    counts = np.stack([np.arange(20_000) % 2, np.ones(20_000)], axis=1)
    s = spread(Measured("accuracy", 50.0, "", {}, counts))
    assert s is not None and s.standard_error == pytest.approx(50 / 20_000**0.5, rel=0.1)


def test_table_and_dict_hold_every_metric() -> None:
    measured = [measure(name, ["a b c d", "x"], [["a b c d"], ["y"]]) for name in METRICS]
    lines = table(measured)
    assert len(lines) == 1 + len(METRICS) + 1
    assert lines[1].split()[:3] == ["accuracy", "50.00", "%"]
    assert lines[2].split()[:6] == ["wer", "=", "100", "−", "accuracy", "50.00"]
    assert all(any(m.signature in line for line in lines) for m in measured)
    found = as_dict(measured)
    assert json.loads(json.dumps(found)) == found
    assert list(found) == NAMES
    assert found["accuracy"]["value"] == 50 and found["accuracy"]["detail"]["wer"] == 50
    assert found["accuracy"]["spread"]["low"] <= 50 <= found["accuracy"]["spread"]["high"]
    assert found["bleu"]["spread"] is None
