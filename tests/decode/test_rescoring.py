"""`jumok rescore`: scores by hand, the order they give, and both forms of n-best list."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from random_folders import WORDS, random_folder

import jumok
from jumok.cli import main
from jumok.decode.rescoring import features_of
from jumok.errors import ConfigError, DataError
from jumok.explain import from_json
from jumok.runtime import Translation, Translator


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Translator]:
    """One that writes; and another, with other tokens, that judges."""
    place = tmp_path_factory.mktemp("rescoring")
    writer = random_folder(place / "writer", 1, end=0)
    judge = random_folder(place / "judge", 2, text={"target_tokenizer": "char"}, end=0, alignment="monotonic")
    return [jumok.load(writer), jumok.load(judge)]


def lists(model: Translator, words: tuple[str, ...] = (*WORDS, "")) -> list[Translation]:
    return model.translate(list(words), beam=4, nbest=4)


@pytest.mark.parametrize("penalty", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_scores_and_order_by_hand(models: list[Translator], weight: float, penalty: float) -> None:
    writer, judge = models
    before, moved = lists(writer), 0
    after = jumok.rescore(judge, before, weight=weight, length_penalty=penalty)
    for old, new in zip(before, after, strict=True):
        outputs = [old, *old.alternatives] if old.tokens else []
        want = {}
        for h in outputs:
            t = judge.score(h.source, h.text)
            want[h.tokens] = (1 - weight) * h.score + weight * t.log_probability / len(t.tokens) ** penalty
        got = [new, *new.alternatives] if new.tokens else []
        assert {h.tokens for h in got} == want.keys() and [h.finished for h in got] == sorted(
            (h.finished for h in got), reverse=True
        )
        for a, b in pairwise(got):
            assert a.score >= b.score or a.finished > b.finished
        for h in got:
            assert h.score == pytest.approx(want[h.tokens], abs=1e-5)
            kept = next(o for o in outputs if o.tokens == h.tokens)
            assert (h.log_probability == kept.log_probability and h.weights is kept.weights and not h.alternatives) or h is new
        moved += new.text != old.text
    assert (moved > 0) == (weight > 0)


def test_with_the_same_model_scores_stay(models: list[Translator]) -> None:
    writer = models[0]
    before = [replace(t, alternatives=tuple(a for a in t.alternatives if a.finished)) for t in lists(writer) if t.finished]
    for old, new in zip(before, jumok.rescore(writer, before), strict=True):
        assert new.tokens == old.tokens and new.score == pytest.approx(old.score, abs=1e-4)


def test_features_come_from_the_list(tmp_path: Path) -> None:
    options = {"features": ("V", "PST"), "text": {"features_column": 3}, "end": 0}
    writer, judge = (jumok.load(random_folder(tmp_path / name, seed, **options)) for seed, name in enumerate("ab"))
    t = writer.translate("cat", features=["V", "PST"], beam=3, nbest=3)
    assert features_of(t) == ("V", "PST")
    (new,) = jumok.rescore(judge, [t], weight=1.0)
    assert new.score == pytest.approx(judge.score("cat", new.text, ["V", "PST"]).score)
    (other,) = jumok.rescore(judge, [t], weight=1.0, features=[["V"]])
    assert other.score == pytest.approx(judge.score("cat", other.text, ["V"]).score) and other.score != new.score
    with pytest.raises(DataError, match="features of 2"):
        jumok.rescore(judge, [t], features=[["V"], []])


@pytest.mark.parametrize(
    "values",
    [{"weight": -0.1}, {"weight": 1.5}, {"weight": float("nan")}, {"length_penalty": -1.0}, {"length_penalty": 1e3}],
    ids=str,
)
def test_values_out_of_range_are_one_line(models: list[Translator], capsys: pytest.CaptureFixture[str], values: dict) -> None:
    (name,) = values
    with pytest.raises(ConfigError, match=f"{name} is .*; it must be"):
        jumok.rescore(models[0], [], **values)
    assert main(["rescore", "model", "x", f"--{name.replace('_', '-')}", str(values[name])]) == 2
    assert f"{name} is" in capsys.readouterr().err


def test_a_model_may_be_a_path_and_what_is_no_list_is_named(models: list[Translator]) -> None:
    lists = models[0].translate(["cat", "zebra"], beam=3, nbest=3)
    by_path, by_model = (jumok.rescore(judge, lists) for judge in (models[1].folder, models[1]))
    assert [t.text for t in by_path] == [t.text for t in by_model] and [t.score for t in by_path] == [t.score for t in by_model]
    for wrong in (lists[0], "cat", [lists], None):
        with pytest.raises(DataError, match=r"rescore: .* came; wanted a list of translations"):
            jumok.rescore(models[0], wrong)  # type: ignore[arg-type]


# --- from files


def test_both_forms_of_list_give_the_same(
    models: list[Translator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    writer, judge = models
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jumok.cli.rescore.TOGETHER", 3)
    (tmp_path / "words").write_text("\n".join([*WORDS, ""]) + "\n", encoding="utf-8")
    for name, more in (("nbest.jsonl", ["--json"]), ("nbest", [])):
        assert main(["translate", str(writer.folder), "words", "--beam", "4", "--nbest", "4", *more]) == 0
        (tmp_path / name).write_text(capsys.readouterr().out, encoding="utf-8")
    want = jumok.rescore(judge, lists(writer), weight=0.3)
    for given in ("nbest.jsonl", "words,nbest", "-"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "nbest.jsonl").read_bytes())))
        assert main(["rescore", str(judge.folder), given, "--weight", "0.3"]) == 0
        out = capsys.readouterr().out.splitlines()
        assert len(out) == len(want)
        finished = [i for i, t in enumerate(want) if all(o.finished for o in (t, *t.alternatives))]
        assert all(out[i] == want[i].text for i in (range(len(want)) if "," not in given else finished))
    assert main(["rescore", str(judge.folder), "nbest.jsonl", "--weight", "0.3", "--nbest", "2"]) == 0
    first = capsys.readouterr().out.split("\n")[0].split("\t")
    assert first == [want[0].text, f"{want[0].score:.4f}", want[0].alternatives[0].text, f"{want[0].alternatives[0].score:.4f}"]
    assert main(["rescore", str(judge.folder), "nbest.jsonl", "--weight", "0.3", "--nbest", "3", "--json"]) == 0
    for line, t in zip(capsys.readouterr().out.splitlines(), want, strict=True):
        read = from_json(line)
        assert read.text == t.text and read.score == pytest.approx(t.score)
        assert [a.text for a in read.alternatives] == [a.text for a in t.alternatives[:2]]
    assert main(["rescore", str(judge.folder), "words,nbest", "--json"]) == 0
    for line, word in zip(capsys.readouterr().out.splitlines(), [*WORDS, ""], strict=True):
        assert json.loads(line)["source"] == word and len(from_json(line).tokens) == (
            len(from_json(line).text) + 1 if word else 0
        )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("cat\n", "not JSON|Expecting value.*for lines of text give SOURCES,NBEST"),
        ('{"source": "cat"}\n', "schema: got None"),
        ("[3]\n", "schema: got list"),
        ("\n\n", "Expecting value"),
    ],
)
def test_lists_that_are_none_are_named(models, tmp_path, capsys, content: str, says: str) -> None:
    (tmp_path / "list").write_text(content, encoding="utf-8")
    assert main(["rescore", str(models[0].folder), str(tmp_path / "list")]) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path}/list:1: " in err and any(part.split(".*")[-1] in err for part in says.split("|"))
    assert "none of its" in err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("C A T", "the line has 1 column; wanted two for each output, its text and its score"),
        ("C A T\t-1\tK", "the line has 3 columns"),
        ("C A T\tK", "'K' stands where a score should"),
        ("C A T\t-1\t0.5\t0.3", "'0.3' stands where a score should"),
        ("C A T\tnan", "'nan' stands where a score should"),
    ],
)
def test_lines_of_text_that_are_no_list_are_named(models, tmp_path, monkeypatch, capsys, line: str, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s").write_text("cat\nwhy\n", encoding="utf-8")
    (tmp_path / "n").write_text(f"{line}\nW H Y\t-0.5\n", encoding="utf-8")
    assert main(["rescore", str(models[0].folder), "s,n"]) == 0
    out, err = capsys.readouterr()
    assert out == "\nW H Y\n" and f"n:1: {says}" in err
    (tmp_path / "n").write_text("C\t-1\n", encoding="utf-8")
    assert main(["rescore", str(models[0].folder), "s,n"]) == 2
    assert "s:2: this line has no counterpart: s has 2 lines, n 1" in capsys.readouterr().err
