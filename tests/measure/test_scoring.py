"""`jumok score`: log-probabilities and perplexities by hand, a line out for a line in, and their sum."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from random_folders import random_folder

import jumok
from jumok.cli import main
from jumok.explain import from_json
from jumok.measure import Likelihood, likelihood, score_pairs

PAIRS = "cat\tC A T\nno target\n\tX\nwhy\tW ?? Y\n\nzebra\t" + "Z " * 60 + "\na\tA\n"


@pytest.fixture(scope="module", params=[{}, {"attention": "none"}, {"alignment": "monotonic"}], ids=str)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_folder(tmp_path_factory.mktemp("score") / "model", text={"max_tokens": 5}, **request.param)


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    (tmp_path / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    return str(tmp_path / "pairs.tsv")


def test_by_hand() -> None:
    whole = Likelihood(2, 8, 8 * math.log(0.25))
    assert whole.per_token == pytest.approx(math.log(0.25)) and whole.perplexity == pytest.approx(4)
    assert Likelihood(0, 0, 0.0).per_token == 0 and Likelihood(1, 1, -1e6).perplexity < math.inf
    assert whole.as_dict() == pytest.approx(
        {"lines": 2, "tokens": 8, "log_probability": whole.log_probability, "per_token": whole.per_token, "perplexity": 4}
    )


def test_a_line_out_for_a_line_in_and_all_of_them_together(
    folder: Path, pairs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(folder), pairs]) == 0
    out, err = capsys.readouterr()
    lines, model = out.split("\n"), jumok.load(folder)
    want = {i: model.score(*pair) for i, pair in ((0, ("cat", "C A T")), (3, ("why", "W ?? Y")), (6, ("a", "A")))}
    assert len(lines) == 8
    for i, line in enumerate(lines):
        if i not in want:
            assert line == ""
            continue
        total, each, perplexity = map(float, line.split("\t"))
        assert total == pytest.approx(want[i].log_probability, abs=1e-3)
        assert each == pytest.approx(want[i].score, abs=1e-3) and perplexity == pytest.approx(math.exp(-each), rel=1e-3)
    n, total = sum(len(t.tokens) for t in want.values()), sum(t.log_probability for t in want.values())
    (told,) = (line for line in err.splitlines() if line.startswith(f"3 targets, {n} tokens: log-probability "))
    numbers = [float(part.split()[-1]) for part in told.split(": ")[1].split(", ")]
    assert numbers == pytest.approx([total, total / n, math.exp(-total / n)], abs=1e-3, rel=1e-3)
    for says in (
        ":2: the line has 1 column",
        ":3: the source is empty",
        ":5: the line is blank",
        "does not know: ?? (read as <unk>)",
    ):
        assert says in err
    assert (
        "pairs.tsv:6: the target has 60 tokens, too many for this model; it must have fewer than 50; it gets an empty line"
        in err
    )


def test_json_is_a_translation_a_line(folder: Path, pairs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(folder), pairs, "--json", "--out", str(tmp_path / "out")]) == 0
    lines = (tmp_path / "out").read_text(encoding="utf-8").splitlines()
    total = json.loads(capsys.readouterr().out)
    assert len(lines) == 7
    read = [from_json(line) for i, line in enumerate(lines) if i in (0, 3, 6)]
    assert read[1].tokens == ("W", "<unk>", "Y", "</s>") and read[1].text == "W ?? Y"
    for t, line in zip(read, [lines[i] for i in (0, 3, 6)], strict=True):
        assert json.loads(line)["perplexity"] == pytest.approx(math.exp(-t.score))
        assert t.log_probability == pytest.approx(float(np.sum(t.token_log_probabilities)), abs=1e-4)
    assert total == pytest.approx(likelihood(read).as_dict()) and total["lines"] == 3
    bad = json.loads(lines[1])
    assert bad["log_probability"] is bad["perplexity"] is bad["score"] is None and bad["tokens"] == []


def test_a_stream_of_pairs_is_scored_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = jumok.load(folder), [("cat", "C A T"), None, ("why", "W H Y"), ("a" * 60, "A"), ("a", "A")]
    whole = list(score_pairs(model, given))
    monkeypatch.setattr("jumok.measure.scoring.TOGETHER", 2)
    for (pair, t, problem), (_, other, _), one in zip(whole, score_pairs(model, given), given, strict=True):
        assert (t is None) == (one is None or len(one[0]) > 50) == bool(problem)
        if one and t and other and pair:
            assert (t.source, t.text) == (pair.source, pair.target) == one
            assert t.log_probability == pytest.approx(other.log_probability, abs=1e-4)
            assert t.log_probability == pytest.approx(model.score(*one).log_probability, abs=1e-4)


def test_features_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = random_folder(tmp_path / "m", features=("V", "PST"), text={"features_column": 3})
    (tmp_path / "pairs").write_text("cat\tC A T\tV;PST\n", encoding="utf-8")
    assert main(["score", str(folder), str(tmp_path / "pairs")]) == 0
    want = jumok.load(folder).score("cat", "C A T", ["V", "PST"]).log_probability
    assert float(capsys.readouterr().out.split("\t")[0]) == pytest.approx(want, abs=1e-3)


def test_no_usable_line_is_an_error(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pairs").write_text("cat\n\n", encoding="utf-8")
    assert main(["score", str(folder), str(tmp_path / "pairs"), "--out", str(tmp_path / "out")]) == 2
    assert "none of its 2 lines could be used" in capsys.readouterr().err and not (tmp_path / "out").exists()
