"""Colours, SVG, HTML, PNG and the table of writers: planted weights in their cells, well-formed whatever the tokens."""

import builtins
import csv
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from explain_samples import HARD_TOKENS, blind, planted, small, translations, uniform
from html_page import Page
from hypothesis import given, settings

from jumok import explain
from jumok.errors import ConfigError, JumokError, MissingExtra
from jumok.explain import WRITERS, from_json, to_html, to_svg, write
from jumok.explain.color import ANCHORS, color_of, contrast, hexadecimal, oklab, text_on
from jumok.runtime.translation import Translation

SVG = "{http://www.w3.org/2000/svg}"
STARTS = {".svg": b"<svg ", ".html": b"<!DOCTYPE html>", ".png": b"\x89PNG", ".pdf": b"%PDF", ".csv": b",a,b,", ".json": b"{\n"}


def needs_packages(suffix: str) -> None:
    """Skips where the extra that this form needs is absent."""
    if suffix in (".png", ".pdf"):
        pytest.importorskip("matplotlib")


def cells(picture: str) -> list[tuple[str, str, str]]:
    """(tooltip, fill, number) of each cell of an SVG, in order."""
    found = []
    for group in ET.fromstring(picture).iter(f"{SVG}g"):
        title, square, number = (group.find(f"{SVG}{tag}") for tag in ("title", "rect", "text"))
        if title is not None and square is not None:
            found.append((title.text or "", square.get("fill", ""), "" if number is None else number.text or ""))
    return found


def test_colours_go_from_light_to_dark_in_even_steps() -> None:
    lightness = np.array([oklab(color_of(k / 16))[0] for k in range(17)])
    steps = -np.diff(lightness)
    assert (steps > 0).all()
    assert steps.max() / steps.min() < 1.2
    assert lightness[0] > 0.95 and lightness[-1] < 0.35
    assert [hexadecimal(color_of(w)) for w in (0, 1)] == [ANCHORS[0], ANCHORS[-1]]
    assert color_of(-1) == color_of(0) and color_of(1.0001) == color_of(1)


def test_colours_are_of_one_hue() -> None:
    hues = [np.degrees(np.arctan2(lab[2], lab[1])) % 360 for lab in (oklab(color_of(k / 20)) for k in range(3, 21))]
    assert max(hues) - min(hues) < 40


def test_oklab_by_the_published_values() -> None:
    assert oklab((255, 255, 255)) == pytest.approx([1, 0, 0], abs=1e-3)
    assert oklab((255, 0, 0)) == pytest.approx([0.628, 0.225, 0.126], abs=1e-3)


def test_text_reads_on_every_colour() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
    for k in range(256):
        back = color_of(k / 255)
        assert contrast(back, text_on(back)) >= 4.5
    assert all(contrast((g, g, g), text_on((g, g, g))) >= 4.5 for g in range(256))


def test_svg_has_the_planted_weights_in_their_cells() -> None:
    expected = [
        ("X ← a: 0.750", 0.75, "75"),
        ("X ← b: 0.200", 0.2, "20"),
        ("X ← </s>: 0.050", 0.05, ""),
        ("</s> ← a: 0.000", 0.0, ""),
        ("</s> ← b: 0.350", 0.35, "35"),
        ("</s> ← </s>: 0.650", 0.65, "65"),
    ]
    assert cells(to_svg(small())) == [(tip, hexadecimal(color_of(weight)), number) for tip, weight, number in expected]


@given(translations())
def test_svg_is_well_formed_whatever_the_tokens(t: Translation) -> None:
    picture = to_svg(t)
    assert len(cells(picture)) == len(t.tokens) * len(t.source_tokens)
    tags = {element.tag.removeprefix(SVG) for element in ET.fromstring(picture).iter()}
    assert tags <= {"svg", "title", "desc", "rect", "g", "text", "tspan"}  # no script, style, link or image


@given(translations())
@settings(max_examples=30)
def test_svg_stands_alone_and_many_times_in_a_page(t: Translation) -> None:
    root = ET.fromstring(to_svg(t))
    for element in root.iter():
        assert not {"id", "class", "href", "onload"} & set(element.attrib)
        assert not any("url(" in value for value in element.attrib.values())


@pytest.mark.parametrize(("S", "T"), [(1, 1), (1, 100), (100, 1), (100, 100), (7, 3)])
@pytest.mark.parametrize("token", ["x", "Donaudampfschifffahrt", "한국어"])
def test_svg_holds_all_it_draws_at_every_size(S: int, T: int, token: str) -> None:
    root = ET.fromstring(to_svg(uniform([token] * S, [token] * T)))
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for square in root.iter(f"{SVG}rect"):
        x, y = float(square.get("x", 0)), float(square.get("y", 0))
        assert 0 <= x <= x + float(square.get("width", 0)) <= width
        assert 0 <= y <= y + float(square.get("height", 0)) <= height
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", 0)) <= width and 0 <= float(text.get("y", 0)) <= height


def test_svg_turns_long_labels_and_keeps_short_ones() -> None:
    assert "rotate" not in to_svg(uniform(["a", "</s>"], ["x"]))
    turned = [e.text for e in ET.fromstring(to_svg(uniform(["kleiner", "a"], ["x"]))).iter(f"{SVG}text") if e.get("transform")]
    assert turned == ["kleiner"]


def test_svg_says_what_it_is_for_those_who_cannot_see_it() -> None:
    root = ET.fromstring(to_svg(planted(["<a>", "&"], ['"x"'], [[0.5, 0.5]])))
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == 'Attention: <a>& → "x"'
    assert "1 output tokens by 2 source tokens" in (root.findtext(f"{SVG}desc") or "")


@given(translations())
def test_html_is_in_balance_and_lets_no_token_in_as_markup(t: Translation) -> None:
    for whole in (True, False):
        page = Page(to_html(t, whole_page=whole))
        assert page.open == []
        assert page.tags.count("svg") == 1
        assert "script" not in page.tags
        assert page.tags.count("html") == whole
        assert len(page.rows) == (len(t.tokens) + 1 + len(t.source_tokens) + 1) * whole


def test_html_escapes() -> None:
    page = to_html(uniform(["<script>alert(1)</script>", "&", '"'], ["<b>"]))
    assert "<script" not in page and "<b>" not in page
    assert "&lt;script&gt;" in page and "&amp;" in page


def test_html_tables_name_the_top_sources_and_the_numbers() -> None:
    page = Page(to_html(small()))
    assert page.rows[1] == "1Xa 75 %, b 20 %, </s> 5 %0.9955 %"
    assert page.rows[2] == "2</s></s> 65 %, b 35 %, a 0 %0.9330 %"
    assert page.rows[4:] == ["1a0.7575 %", "2b0.5535 %", "3</s>0.7065 %"]


def test_svg_labels_tell_the_numbers_when_pointed_at() -> None:
    tips = [title.text for title in ET.fromstring(to_svg(small())).iter(f"{SVG}title")][1:]  # the first is the picture's
    assert tips[:3] == ["a: coverage 0.75", "b: coverage 0.55", "</s>: coverage 0.70"]
    assert tips[3:5] == ["X: entropy 0.99 bits, margin 0.55", "</s>: entropy 0.93 bits, margin 0.30"]


def test_html_keeps_right_to_left_text_apart() -> None:
    page = to_html(uniform(list("שלום"), ["s"]))
    assert '<bdi dir="auto">שלום</bdi>' in page
    assert '<bdi class="token">ש</bdi>' in page
    assert '<tspan unicode-bidi="isolate">שלום</tspan>' in page


def test_a_notebook_shows_a_translation_with_and_without_weights() -> None:
    assert "<svg " in small()._repr_html_()
    shown = Page(blind()._repr_html_())
    assert "svg" not in shown.tags and "no attention weights" in blind()._repr_html_()


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_writer_writes_its_form(suffix: str, tmp_path: Path) -> None:
    needs_packages(suffix)
    for name in (f"a{suffix}", f"b{suffix.upper()}"):
        write(small(), tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(STARTS[suffix])


@pytest.mark.parametrize("suffix", list(WRITERS))
@pytest.mark.filterwarnings("ignore:the picture lacks")
def test_writer_takes_hard_tokens(suffix: str, tmp_path: Path) -> None:
    needs_packages(suffix)
    path = tmp_path / f"a{suffix}"
    write(uniform(HARD_TOKENS, HARD_TOKENS[:5]), path)
    assert path.read_bytes().startswith(STARTS[suffix][:4] if suffix != ".csv" else b", ")


def test_png_warns_once_of_characters_no_font_has(tmp_path: Path) -> None:
    needs_packages(".png")
    with pytest.warns(UserWarning) as caught:
        write(uniform(["\U0010fffd", "\U0010fffc"], ["a"]), tmp_path / "a.png")
    assert [str(w.message).split(";")[0] for w in caught] == ["the picture lacks 2 characters that no installed font has"]


@pytest.mark.filterwarnings("error")
def test_png_of_latin_letters_warns_of_nothing(tmp_path: Path) -> None:
    needs_packages(".png")
    write(small(), tmp_path / "a.png")


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_writer_without_weights_says_so_but_json(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".json":
        write(blind(), path)
        assert from_json(path.read_text(encoding="utf-8")).weights is None
    else:
        with pytest.raises(JumokError, match="attention none has no weights to draw"):
            write(blind(), path)
        assert not path.exists()


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_writer_says_where_it_cannot_write(suffix: str, tmp_path: Path) -> None:
    needs_packages(suffix)
    path = tmp_path / "absent" / f"a{suffix}"
    with pytest.raises(JumokError, match=rf"absent/a{re.escape(suffix)}: cannot be written \(No such file"):
        write(small(), path)


@pytest.mark.parametrize("name", ["a.gif", "a", "a.svg.gz", ".svg"])
def test_other_suffixes_are_refused_with_the_list(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"one of \.svg, \.html, \.png, \.pdf, \.csv, \.json was wanted"):
        write(small(), tmp_path / name)


def test_half_a_character_is_a_clear_error_in_text_and_fine_in_json(tmp_path: Path) -> None:
    t = planted(["\ud800"], ["x"], [[1.0]])
    write(t, tmp_path / "a.svg")  # labels show it as U+D800
    with pytest.raises(JumokError, match=r"U\+D800"):
        write(t, tmp_path / "a.csv")
    write(t, tmp_path / "a.json")
    assert from_json((tmp_path / "a.json").read_text(encoding="utf-8")).source_tokens == ("\ud800",)


def test_csv_file_keeps_its_line_ends(tmp_path: Path) -> None:
    write(planted(["a\r\nb"], ["x"], [[1.0]]), tmp_path / "a.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "a.csv").read_bytes().decode(), newline="")))
    assert [row[:2] for row in rows] == [["", "a\r\nb"], ["x", "1.0"], ["coverage", "1.0"]]


def test_without_matplotlib_png_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def blocked(name: str, *rest, **more):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(MissingExtra, match=r"'matplotlib'.*pip install 'jumok\[plots\]'"):
        write(small(), tmp_path / "a.png")


def test_png_has_the_planted_colours_and_leaves_dollars_alone(tmp_path: Path) -> None:
    needs_packages(".png")
    from PIL import Image  # matplotlib brings it

    write(planted(["$x$", "$\\frac$"], ["a", "b"], [[1.0, 0.0], [0.0, 1.0]]), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 24)}
    assert {color_of(0), color_of(1)} <= colors


def test_every_public_name_is_there() -> None:
    assert set(explain.__all__) == set(explain._MODULES)
    assert all(getattr(explain, name) is not None for name in explain.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        explain.nothing  # noqa: B018


def test_json_lines_load_no_drawing() -> None:
    code = (
        "import sys, jumok.explain as e; e.to_json_line; "
        "print([m for m in ('matplotlib', 'rich', 'wcwidth', 'torch', 'jumok.explain.svg') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
