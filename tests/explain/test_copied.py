"""What pictures and data say of copied tokens; and that nothing changes where a model does not copy."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import pickle
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from explain_samples import planted, small, translations
from hypothesis import given
from hypothesis import strategies as st

from jumok import explain
from jumok.errors import DataError
from jumok.explain.spread import was_copied
from jumok.runtime.translation import Translation


def copying(shares: list[float] | None = None) -> Translation:
    t = planted(["a", "b", "</s>"], ["a", "X", "</s>"], [[0.9, 0.1, 0], [0, 1, 0], [0, 0, 1]])
    return dataclasses.replace(
        t, weights_kind="posterior", copied=np.array([0.97, 0.2, 0] if shares is None else shares, np.float32)
    )


@given(translations(), st.integers(0, 100))
def test_json_holds_what_was_copied(t, seed):
    t = dataclasses.replace(t, copied=np.random.default_rng(seed).random(len(t.tokens)).astype(np.float32))
    t = dataclasses.replace(t, alternatives=(dataclasses.replace(t, copied=None),))
    for text in (explain.to_json(t), explain.to_json_line(t)):
        back = explain.from_json(text)
        np.testing.assert_array_equal(back.copied, t.copied)
        assert back.alternatives[0].copied is None
    explain.to_svg(t), explain.to_html(t), explain.to_terminal(t, numbers=True)


@pytest.mark.parametrize("bad", ["[0.5]", "[0.5, 0.5, 2]", '[0.5, "a", 0.1]', "[0.5, true, 0.1]", "0.5", "[0.1, NaN, 0.2]"])
def test_other_json_is_refused(bad):
    line = explain.to_json_line(copying()).replace(json.dumps([0.97, 0.2, 0.0], separators=(",", ":")), bad)
    with pytest.raises(DataError, match=r"translation JSON, copied: got .*; expected"):
        explain.from_json(line)


def test_json_without_the_key_is_of_a_model_that_does_not_copy():
    data = json.loads(explain.to_json_line(small()))
    assert data.pop("copied", 0) is None
    assert explain.from_json(json.dumps(data)).copied is None


def test_csv_has_a_column_only_if_the_model_copies():
    rows = list(csv.reader(io.StringIO(explain.to_csv(copying()))))
    assert [row[-1] for row in rows] == ["copied", "0.97", "0.2", "0.0", ""] and len({len(row) for row in rows}) == 1
    assert "copied" not in explain.to_csv(small())


def test_pictures_mark_what_was_copied():
    t = copying()
    assert was_copied(t).tolist() == [True, False, False] and not was_copied(small()).any()
    svg = explain.to_svg(t)
    ET.fromstring(svg)
    assert svg.count(">=</text>") == 1 and "= copied" in svg and "copied 97 %" in svg and "copied 20 %" in svg
    assert svg.count(">=</text>") == 1 and explain.to_svg(copying([0.9, 0.9, 0.1])).count(">=</text>") == 2
    assert "copied" not in explain.to_svg(small()) and "=</text>" not in explain.to_svg(small())
    page = explain.to_html(t)
    assert "<th>copied</th>" in page.replace(' scope="col"', "") and "97 %" in page and "copied" not in explain.to_html(small())
    assert "copied: 1 of 3 output tokens" in explain.in_words(t) and "copied" not in explain.in_words(small())


@pytest.mark.parametrize("color", ["plain", "ascii", "truecolor"])
def test_the_terminal_marks_what_was_copied(color):
    lines = explain.to_terminal(copying(), color, numbers=True).split("\n")
    assert lines[0].rstrip().endswith("copied")
    shown = [line.replace("\x1b[0m", "").rstrip() for line in lines[1:4]]
    assert [line.split()[-1] for line in shown] == ["97%", "20%", "0%"]
    assert "=" in shown[0].split("\x1b")[0][:8] and "=" not in "".join(shown[1:])
    assert "=" not in explain.to_terminal(small(), "plain", numbers=True)
    width = 24
    assert all(len(line) <= width for line in explain.to_terminal(copying(), "ascii", width, numbers=True).split("\n"))


def test_a_comparison_shows_both(tmp_path):
    both = explain.compare(copying(), planted(["a", "b", "</s>"], ["a", "</s>"], [[1, 0, 0], [0, 0, 1]]))
    assert "copied" in explain.comparison_terminal(both) and "= copied" in explain.comparison_svg(both)
    assert [t["copied"] is None for t in json.loads(explain.comparison_json(both))["translations"]] == [False, True]
    pytest.importorskip("matplotlib")
    explain.to_png(copying(), tmp_path / "a.png")


def test_it_is_looked_for_when_it_is_read():
    calls = []
    t = dataclasses.replace(copying(), copied=lambda: calls.append(1) or np.array([1, 0, 0], np.float32))
    assert "copied" not in repr(t) and not calls
    assert t.copied is t.copied and len(calls) == 1
    t = dataclasses.replace(copying(), copied=lambda: np.array([1, 0, 0], np.float32))
    assert pickle.loads(pickle.dumps(t)).copied.tolist() == [1, 0, 0]
    assert small().copied is None
