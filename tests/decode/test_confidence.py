"""The probability of every token: the same from search and from scoring, in JSON, CSV, pictures and columns."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from explain_samples import small
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, log_softmax, random_logits
from random_folders import WORDS, random_folder
from random_models import CASES, CHAINS, padded, parameters, sources

import jumok
from jumok.cli import main
from jumok.config import ModelConfig, SearchConfig
from jumok.decode.hindsight import at_most_one, scored
from jumok.decode.search import search, search_one
from jumok.errors import DataError
from jumok.explain import compare, comparison_csv, comparison_terminal, from_json, to_csv, to_json, to_svg, to_terminal
from jumok.explain.confidence import columns, in_words
from jumok.explain.spread import entropy_bits
from jumok.runtime.model import NumpyModel
from jumok.runtime.translation import Translation
from jumok.text.batches import Batch


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    lines=st.lists(st.tuples(st.integers(3, 9), st.integers(1, 7)), min_size=1, max_size=4),
    beam=st.integers(1, 6),
    data=st.data(),
)
def test_each_token_has_its_own_probability(seed, lines, beam, data) -> None:
    logits = random_logits(seed, 9, -1.0)
    first, limits = (np.array(column) for column in zip(*lines, strict=True))
    source = np.repeat(first[:, None], 3, axis=1)
    options = data.draw(
        st.sampled_from(
            [
                SearchConfig(beam=beam, nbest=data.draw(st.integers(1, beam))),
                SearchConfig(sample=beam, seed=seed),
                SearchConfig(beam=2 * beam, groups=2, nbest=beam),
            ]
        )
    )
    for f, own in zip(first, search(Planted(logits), source, np.full(len(first), 3), options, limits), strict=True):
        for h in own:
            want = [float(log_softmax(logits(int(f), h.tokens[:t]))[token]) for t, token in enumerate(h.tokens)]
            np.testing.assert_allclose(h.token_log_probabilities, want, atol=1e-5)
            assert h.token_log_probabilities.sum(dtype=float) == pytest.approx(h.log_probability, abs=1e-5)


def test_what_is_rounded_above_one_is_one() -> None:
    """The recursions of a monotonic alignment give posteriors such as 1.0000004."""
    above = np.float32(1.0000004)

    class Rounding:
        def score(self, source, lengths, target, target_lengths):
            return np.zeros(target.shape, np.float32), np.array([[[above, 0.0]]], np.float32)

    one = np.array([[3, 2]]), np.array([2]), np.array([[2]]), np.array([1]), np.array([0])
    _, weights, copied = scored(Rounding(), Batch(*one))  # type: ignore[arg-type]
    assert weights is not None and weights.max() == 1 and copied is None
    assert at_most_one(np.array([above, 0.5])).tolist() == [1.0, 0.5]  # type: ignore[union-attr]
    bits = entropy_bits(np.array([[above, 0.0]]))
    assert bits.tolist() == [0.0] and not np.signbit(bits).any()


@pytest.mark.parametrize("c", [*CASES[::9], *CHAINS], ids=str)
@pytest.mark.parametrize("beam", [1, 3])
def test_search_gives_each_token_what_scoring_gives_it(c: ModelConfig, beam: int) -> None:
    model, ids = NumpyModel(c, parameters(c)), sources(c)
    source, lengths = padded(ids)
    together = search(model, source, lengths, SearchConfig(beam=beam), np.full(len(ids), 6))
    for line, (h,) in zip(ids, together, strict=True):
        (alone,) = search_one(model, np.array(line), SearchConfig(beam=beam), 6)
        scored, _ = model.score(*padded([line]), *padded([list(h.tokens)]))
        assert alone.tokens == h.tokens
        for found in (h, alone):
            np.testing.assert_allclose(found.token_log_probabilities, scored[0], atol=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_folder(tmp_path_factory.mktemp("confidence") / "model")


def check(t: Translation) -> None:
    each = t.token_log_probabilities
    assert each is not None and each.shape == (len(t.tokens),) and each.dtype == np.float32 and (each < 1e-6).all()
    assert t.log_probability == pytest.approx(float(each.sum(dtype=float)), abs=1e-5)
    assert t.probability == pytest.approx(np.exp(t.log_probability))
    assert t.token_probabilities == pytest.approx(np.exp(each), abs=1e-6)
    assert t.weakest is not None and each[t.weakest] == each.min()


@pytest.mark.parametrize("options", [{}, {"beam": 3, "nbest": 3}], ids=str)
def test_every_translation_and_every_alternative_has_them(folder: Path, options: dict) -> None:
    model = jumok.load(folder)
    for t in [model.translate("cat", **options), *model.translate(list(WORDS), **options), model.score("cat", "C A T")]:
        for one in (t, *t.alternatives):
            check(one)
            check(from_json(to_json(one)))
            assert np.array_equal(from_json(to_json(one)).token_log_probabilities, one.token_log_probabilities)
    blank = model.translate("  ", **options)
    assert blank.probability is blank.token_probabilities is blank.weakest is None


# --- shown


def sure() -> Translation:
    """Two tokens of probability 1/2 and 1/4."""
    return replace(small(), token_log_probabilities=np.log(np.array([0.5, 0.25], np.float32)), log_probability=np.log(0.125))


def test_json_has_each_token_the_whole_and_the_weakest() -> None:
    data = json.loads(to_json(sure()))
    assert data["token_log_probabilities"] == pytest.approx(np.log([0.5, 0.25]))
    assert data["confidence"] == {"probability": 0.125, "weakest": 1, "weakest_probability": 0.25}
    before = json.loads(to_json(small()))
    assert before["token_log_probabilities"] is before["confidence"] is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([-0.5], "got 1 numbers; expected 2, one for each of `tokens`"),
        ([-0.5, "x"], "expected a list of numbers or null"),
        ([-0.5, True], "expected a list of numbers or null"),
        ([-0.5, 0.5], "above 0; expected logarithms"),
        ([-0.5, float("nan")], "not finite"),
        ([-0.5, float("-inf")], "not finite"),
        (3, "expected a list of numbers or null"),
    ],
)
def test_json_that_cannot_be_is_refused(value: object, says: str) -> None:
    with pytest.raises(DataError, match=f"token_log_probabilities: .*{says}"):
        from_json(json.dumps({**json.loads(to_json(sure())), "token_log_probabilities": value}))


def test_json_without_them_is_read() -> None:
    data = {name: value for name, value in json.loads(to_json(sure())).items() if name != "token_log_probabilities"}
    assert from_json(json.dumps(data)).token_log_probabilities is None


def test_pictures_show_them_and_are_as_before_where_they_are_not_known() -> None:
    before, after = (to_terminal(t, numbers=True).splitlines() for t in (small(), sure()))
    assert after == [line + more for line, more in zip(before, ["   p", " 50%", " 25%", "    "], strict=True)]
    assert ">50%</text>" in to_svg(sure()) and "margin 0.55, probability 50%" in to_svg(sure())
    assert "probability" not in to_svg(small()) and ">p</text>" not in to_svg(small())
    page = sure().to_html()
    assert "<th>probability</th>" in page and "<td>25 %</td>" in page and "weakest token &lt;/s&gt; 25 %" in page
    assert "probability</th>" not in small().to_html()
    assert in_words(sure()) == "probability 12 %, weakest token </s> 25 %" and in_words(small()) == ""


def test_csv_has_a_last_column_where_they_are_known() -> None:
    head, first, second, last = csv.reader(io.StringIO(to_csv(sure()), newline=""))
    assert (head[-1], first[-1], second[-1], last[-1]) == ("probability", "0.5", "0.25", "")
    assert "probability" not in to_csv(small())
    rows = list(csv.reader(io.StringIO(comparison_csv(compare(sure(), sure())), newline="")))
    assert rows[0][-3:] == ["total variation", "probability 1", "probability 2"] and rows[2][-2:] == ["0.25", "0.25"]
    assert "probability" not in comparison_csv(compare(sure(), small()))


def test_a_comparison_shows_them_beside_each_picture() -> None:
    lines = comparison_terminal(compare(sure(), small())).splitlines()
    assert lines[1].count("p") == 2 and lines[1].index(" p ") < lines[1].index("apart")
    assert sum("probability 12 %, weakest token </s> 25 %" in line for line in lines) == 1


@pytest.mark.parametrize("nbest", [1, 2])
def test_columns_of_plain_output(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], nbest: int) -> None:
    (tmp_path / "lines").write_text("cat\n\nwhy\n", encoding="utf-8")
    assert main(["translate", str(folder), str(tmp_path / "lines"), "--beam", "2", "--nbest", str(nbest), "--confidence"]) == 0
    lines, model = capsys.readouterr().out.splitlines(), jumok.load(folder)
    for line, source in zip(lines, ["cat", "", "why"], strict=True):
        cells, t = line.split("\t"), model.translate(source, beam=2, nbest=nbest)
        width = 4 if nbest > 1 else 3
        for k, output in enumerate((t, *t.alternatives)):
            own = cells[width * k : width * (k + 1)]
            assert own[0] == output.text and tuple(own[-2:]) == columns(output)
            if output.tokens:
                assert float(own[-2]) == pytest.approx(output.probability, rel=1e-3)
                assert float(own[-1]) == pytest.approx(float(output.token_probabilities.min()), rel=1e-3)
            else:
                assert own[-2:] == ["", ""]


def test_columns_and_json_are_not_asked_for_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", str(folder), "--confidence", "--json"]) == 2
    assert "confidence adds columns to lines of text, but json is on" in capsys.readouterr().err
