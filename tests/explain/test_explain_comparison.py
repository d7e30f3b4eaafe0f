"""Two translations compared: agreement and distance by hand, side by side or above, every form, and without weights."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from explain_samples import blind, planted, small, translations, uniform
from html_page import Page
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import wcswidth

from jumok.config import ModelConfig, TextConfig
from jumok.errors import ConfigError, JumokError
from jumok.explain import (
    COMPARISON_WRITERS,
    Comparison,
    compare,
    comparison_csv,
    comparison_html,
    comparison_json,
    comparison_svg,
    comparison_terminal,
    from_json,
    write,
)
from jumok.explain.comparison import rows
from jumok.runtime import Translator
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.runtime.translation import Translation
from jumok.text import Pair, build_codec

SVG = "{http://www.w3.org/2000/svg}"
STYLE = re.compile("\x1b\\[[0-9;]*m")
STARTS = {".svg": b"<svg ", ".html": b"<!DOCTYPE html>", ".csv": b"step 1,", ".json": b'{\n "schema": "jumok.comparison/1"'}


def two() -> Comparison:
    """X Y </s> against Z X </s>: X and </s> agree, one step apart and none."""
    first = planted(["a", "b", "</s>"], ["X", "Y", "</s>"], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    second = planted(["a", "b", "</s>"], ["Z", "X", "</s>"], [[0, 1, 0], [0.5, 0.25, 0.25], [0, 0, 1]])
    return compare(first, second, ("one", "two"))


def test_agreement_and_distance_by_hand() -> None:
    c = two()
    assert c.agree == ((0, 1), (2, 2))
    assert c.distance == pytest.approx([0.5, 0])
    assert rows(c) == [(None, 0, None), (0, 1, 0.5), (1, None, None), (2, 2, 0.0)]


def test_the_same_translation_agrees_everywhere_at_no_distance() -> None:
    c = compare(small(), small())
    assert c.agree == ((0, 0), (1, 1)) and c.distance is not None and not c.distance.any()


def test_distance_is_told_only_where_it_can_be() -> None:
    assert compare(small(), planted(["a", "b", "</s>"], ["X", "</s>"], None)).distance is None
    other = compare(small(), uniform(["ab", "</s>"], ["X", "</s>"]))  # the other model cuts the text otherwise
    assert other.distance is None and len(other.agree) == 2
    nothing = compare(small(), uniform(["a", "b", "</s>"], ["Q"]))
    assert nothing.agree == () and nothing.distance is not None and len(nothing.distance) == 0
    assert comparison_terminal(nothing).endswith("outputs agree in 0 of 2 steps")


@given(translations(most=6), translations(most=6))
def test_every_step_stands_in_one_row_and_agreeing_ones_rise(a: Translation, b: Translation) -> None:
    c = compare(a, b)
    found = rows(c)
    assert [t for t, _, _ in found if t is not None] == list(range(len(a.tokens)))
    assert [u for _, u, _ in found if u is not None] == list(range(len(b.tokens)))
    assert all(a.tokens[t] == b.tokens[u] for t, u in c.agree)
    assert all(t < t2 and u < u2 for (t, u), (t2, u2) in zip(c.agree, c.agree[1:], strict=False))


def test_terminal_side_by_side_by_hand() -> None:
    assert comparison_terminal(two(), width=80).split("\n") == [
        "one                               two                                 ",
        "      a   b  </s>  bits margin          a   b  </s>  bits margin apart",
        "   X ████          0.00   100%       Z     ████      0.00   100%      ",
        "   Y     ████      0.00   100%       X ▓▓▓▓▒▒▒▒▒▒▒▒▒ 1.50    25%  0.50",
        "</s>         █████ 0.00   100%    </s>         █████ 0.00   100%  0.00",
        " sum 1.0 1.0  1.0                  sum  .5 1.2  1.2                   ",
        "",
        "one: XY</s>   (log-probability -1.500)",
        "  entropy 0.00 bits a step, margin 100 %; every source token was looked at",
        "",
        "two: ZX</s>   (log-probability -1.500)",
        "  entropy 0.50 bits a step, margin 75 %; every source token was looked at",
        "",
        "outputs agree in 2 of 3 steps; there, attention is 0.25 apart (total variation, 0 to 1), most at X: 0.50",
    ]


def test_terminal_one_above_the_other_where_it_is_narrow() -> None:
    drawn = comparison_terminal(two(), width=60).split("\n")
    assert drawn[0] == "one" and drawn[7] == "two"
    assert max(map(wcswidth, drawn[:13])) <= 60
    assert drawn[2] == "   X ████          0.00   100%"


@given(translations(most=6), translations(most=6), st.sampled_from(["truecolor", "plain", "ascii"]), st.integers(20, 120))
def test_terminal_pictures_stay_within_and_nothing_steers_it(a: Translation, b: Translation, color, width) -> None:
    drawn = STYLE.sub("", comparison_terminal(compare(a, b), color, width))
    assert "\x1b" not in drawn
    pictures = drawn.split("\n")[: drawn.split("\n").index("", 1)]
    assert max(map(wcswidth, pictures)) <= width
    if color == "ascii":
        assert drawn.isascii()


def test_a_model_without_attention_is_said_instead_of_drawn() -> None:
    c = compare(small(), blind(), ("with", "without"))
    for width in (None, 200, 30):
        drawn = comparison_terminal(c, width=width)
        assert "no attention: the model was" in drawn and "████" in drawn and "outputs agree in 2 of 2 steps" in drawn
    for first, second in ((small(), blind()), (blind(), small())):
        picture = comparison_svg(compare(first, second))
        assert picture.count("← ") == 6 and "no attention: the model was" in picture
        page = comparison_html(compare(first, second))
        assert "<svg " in page and "no attention: the model was" in page


@pytest.mark.parametrize("draw", [comparison_terminal, comparison_svg, comparison_html])
def test_two_without_attention_are_a_clear_error(draw) -> None:
    with pytest.raises(JumokError, match="attention none has no weights to draw"):
        draw(compare(blind(), blind()))
    assert "no attention" in compare(blind(), blind())._repr_html_()


def test_each_picture_keeps_its_own_source_tokens() -> None:
    c = compare(uniform(["ab", "c"], ["X"]), uniform(["a", "bc"], ["X"]))
    for drawn in (comparison_terminal(c), comparison_svg(c), comparison_html(c)):
        assert all(token in drawn for token in ("ab", "bc")) and "different source tokens" in drawn
    assert "apart" not in comparison_terminal(c).split("\n")[1]


@given(translations(most=5), translations(most=5))
@settings(max_examples=40)
def test_svg_and_html_are_well_formed_and_hold_all_they_draw(a: Translation, b: Translation) -> None:
    picture = comparison_svg(compare(a, b, ("<a>", "&")))
    root = ET.fromstring(picture)
    assert sum("← " in (t.text or "") for t in root.iter(f"{SVG}title")) == a.weights.size + b.weights.size  # type: ignore[union-attr]
    assert not any({"id", "class", "href"} & set(element.attrib) for element in root.iter())
    for whole in (True, False):
        page = Page(comparison_html(compare(a, b, ("<script>", "&")), whole_page=whole))
        assert page.open == [] and page.tags.count("svg") == 1 and "script" not in page.tags
        assert len(page.rows) == 3 + whole * (1 + len(rows(compare(a, b))))


def test_html_shows_both_step_by_step() -> None:
    page = Page(comparison_html(two()))
    assert page.rows[1] == "oneXY</s>-1.500entropy 0.00 bits a step, margin 100 %; every source token was looked at"
    assert page.rows[4:] == [
        "Zb 100 %, a 0 %, </s> 0 %0.00",
        "Xa 100 %, b 0 %, </s> 0 %0.00Xa 50 %, b 25 %, </s> 25 %1.500.50",
        "Yb 100 %, a 0 %, </s> 0 %0.00",
        "</s></s> 100 %, a 0 %, b 0 %0.00</s></s> 100 %, a 0 %, b 0 %0.000.00",
    ]


def test_svg_pictures_do_not_overlap() -> None:
    root = ET.fromstring(comparison_svg(two()))
    starts = [float(g.get("transform", "")[10:-1].split()[0]) for g in root.findall(f"{SVG}g")]
    frames = [float(r.get("width", 0)) for r in root.iter(f"{SVG}rect") if r.get("rx") == "10"][1:]
    assert starts[0] == 0 and starts[1] >= frames[0] and starts[1] + frames[1] <= float(root.get("width", 0))
    shown = [t.text for t in root.iter(f"{SVG}text")]
    assert {"0.50", "1.50", "apart"} <= set(shown)


def test_json_holds_both_and_the_distance() -> None:
    data = json.loads(comparison_json(two()))
    assert list(data) == ["schema", "names", "translations", "agree", "total_variation"]
    assert data["names"] == ["one", "two"] and data["agree"] == [[0, 1], [2, 2]] and data["total_variation"] == [0.5, 0.0]
    kept = from_json(json.dumps({"schema": "jumok.translation/1", **data["translations"][1]}))
    assert np.array_equal(kept.weights, two().translations[1].weights)  # type: ignore[arg-type]
    assert json.loads(comparison_json(compare(small(), blind())))["total_variation"] is None


def test_csv_by_hand() -> None:
    found = list(csv.reader(io.StringIO(comparison_csv(two()), newline="")))
    assert found[1:] == [
        ["", "", "", "", "1", "Z", "0.0", "1.0", ""],
        ["1", "X", "0.0", "1.0", "2", "X", "1.5", "0.25", "0.5"],
        ["2", "Y", "0.0", "1.0", "", "", "", "", ""],
        ["3", "</s>", "0.0", "1.0", "3", "</s>", "0.0", "1.0", "0.0"],
    ]
    assert list(csv.reader(io.StringIO(comparison_csv(compare(small(), blind())))))[1][4:] == ["1", "X", "", "", ""]


@pytest.mark.parametrize("suffix", list(COMPARISON_WRITERS))
def test_writer_writes_its_form(suffix: str, tmp_path: Path) -> None:
    write(two(), tmp_path / f"a{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes().startswith(STARTS[suffix])


def test_other_forms_are_refused_with_the_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"one of \.svg, \.html, \.csv, \.json was wanted for a comparison"):
        write(two(), tmp_path / "a.png")


def test_models_with_other_tokenizers_and_without_attention_are_compared(tmp_path: Path, model_folder: Path) -> None:
    text = TextConfig(source_tokenizer="word", target_tokenizer="space", joint_vocabulary=False)
    codec = build_codec([Pair("cat", "C A T", (), "words:1")], text)
    found = {}
    for attention in ("dot", "none"):
        model = ModelConfig(
            attention=attention,
            size="small",
            embedding=4,
            hidden=4,
            score_size=4,
            readout_size=4,
            tie="none",  # type: ignore[arg-type]
        )
        parameters = random_parameters(model, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=1)
        write_folder(tmp_path / attention, FolderConfig(text, model, (1.0, 5.0), {}), parameters, codec, "# A model\n", [])
        found[attention] = Translator.load(tmp_path / attention).translate("cat")
    letters = Translator.load(model_folder).translate("cat")
    c = compare(letters, found["dot"], ("letters", "words"))
    assert c.distance is None and "different source tokens" in comparison_terminal(c)
    assert "no attention" in comparison_terminal(compare(letters, found["none"]))
