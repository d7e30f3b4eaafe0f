"""Pages and pictures of explain and studies: one skeleton, one palette, well-formed whatever the tokens, nothing from elsewhere."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from explain_samples import HARD_TOKENS, any_token, blind, small, translations, uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from jumok.explain import compare, comparison_html, to_html
from jumok.explain.color import DARK, LIGHT, PANEL, contrast, rgb
from jumok.explain.page import POLICY, page, table
from jumok.explain.picture import whole
from jumok.studies.charts import Bar, Series, bar_chart, line_chart
from jumok.studies.report import Figure, Heading, Points, Table, Text, html

ROOT = Path(__file__).resolve().parents[2]
# What makes a browser ask for something else, in HTML, SVG and CSS
REACHES = re.compile(
    r"<(script|link|img|iframe|object|embed|base|image|use)\b|\s(src|href|xlink:href|on\w+)=|url\(|@import", re.I
)


def studied(texts: list[str]) -> str:
    """A study's page in which each text stands in every place that there is."""
    text = texts[0]
    series = [Series(name, [0, 1], [1, 2], [0, 1], [2, 3]) for name in texts]
    figures = [line_chart(text, text, text, series, mark_x=0.5, mark_label=text), bar_chart(text, text, [Bar(text, 1.0)])]
    blocks = [Heading(text), Text(text), Points(texts), Table(texts, [texts]), *(Figure("f", svg, text) for svg in figures)]
    return html(text, blocks)


def inside(tag: str, text: str) -> list[str]:
    """The text of every element of that name, in order."""
    return ["".join(element.itertext()) for element in ET.fromstring(text).iter(tag)]


def test_a_study_page_stands_with_every_hard_token() -> None:
    for token in HARD_TOKENS:
        ET.fromstring(studied([token, "a"])).find("body")


@given(st.lists(any_token, min_size=1, max_size=4))
@settings(max_examples=30)
def test_study_pages_are_well_formed_and_reach_for_nothing(texts: list[str]) -> None:
    text = studied(texts)
    text.encode("utf-8")
    tags = {element.tag.split("}")[-1] for element in ET.fromstring(text).iter()}
    assert not tags & {"script", "link", "img", "iframe", "a", "image", "use"}
    assert tags >= {"figure", "svg", "table", "ul", "h1", "h2"}


@given(translations(most=5), translations(most=5))
@settings(max_examples=20)
def test_explain_pages_are_well_formed_and_reach_for_nothing(first, second) -> None:
    for text in (to_html(first), comparison_html(compare(first, second))):
        text.encode("utf-8")
        tags = {element.tag.split("}")[-1] for element in ET.fromstring(text).iter()}
        assert not tags & {"script", "link", "img", "iframe", "a", "image", "use"}


PAGES = {
    "translation": lambda: to_html(small()),
    "comparison": lambda: comparison_html(compare(small(), blind())),
    "study": lambda: studied(["accuracy", "`--seeds 3`"]),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_has_the_one_skeleton(name: str) -> None:
    text = PAGES[name]()
    head, root = text.split("</head>")[0], ET.fromstring(text)
    assert (
        text.startswith("<!DOCTYPE html>\n")
        and root.get("lang") == "en"
        and head == page(inside("title", text)[0], "").split("</head>")[0]
    )
    metas = {meta.get("http-equiv") or meta.get("name") or "charset": meta for meta in root.iter("meta")}
    assert metas["Content-Security-Policy"].get("content") == POLICY and "default-src 'none'" in POLICY
    assert "viewport" in metas and metas["charset"].get("charset") == "utf-8"
    assert not REACHES.search(text)


def test_what_reaches_is_seen() -> None:
    for text in (
        '<script src="x">',
        '<img alt="">',
        '<a href="https://x">',
        "a { background: url(x) }",
        "@import 'x'",
        "<p onclick=''>",
    ):
        assert REACHES.search(text)


def test_the_head_brings_light_dark_and_paper_and_says_the_charset_first() -> None:
    (style,) = inside("style", page("t", ""))
    assert style.count("{") == style.count("}")
    dark, paper = style.split("prefers-color-scheme: dark")[1].split("@media print")
    for name in ("ink", "muted", "line", "back"):
        assert f"--{name}: {getattr(LIGHT, name)}" in style.split("@media")[0] and f"--{name}: {getattr(DARK, name)}" in dark
    assert f"--back: {PANEL}" in paper and "screen and (prefers-color-scheme" in style  # a dark screen prints no dark page
    assert page("t", "").index("charset") < page("é", "").index("é")


@pytest.mark.parametrize("title", ["a <b> & \"c\" 'd'", "</title><script>alert(1)</script>", "x\x00\ud800\uffff\x85y", ""])
def test_titles_are_text(title: str) -> None:
    text = page(title, "<p>x</p>")
    assert "<script" not in text and inside("p", text) == ["x"]
    text.encode("utf-8")
    if title.isprintable():
        assert inside("title", text) == [title]


def test_pictures_escape_title_and_description() -> None:
    root = ET.fromstring(whole(10, 20, '<t> & "', "\x00d<", ["<g/>"]))
    assert [e.text for e in root][:2] == ['<t> & "', "\ufffdd<"] and root.get("viewBox") == "0 0 10 20"


def test_tables_have_their_cells_in_place() -> None:
    text = table(["a", "b"], [["1", "<b>2</b>"], ["3", "4"]])
    assert inside("th", text) == ["a", "b"] and inside("td", text) == ["1", "2", "3", "4"] and text.count("<tr>") == 3
    assert inside("td", table([], [])) == []


def test_text_reads_on_every_surface() -> None:
    for surface, backs in ((LIGHT, (LIGHT.back, PANEL)), (DARK, (DARK.back,))):
        for back in backs:
            assert contrast(rgb(surface.ink), rgb(back)) >= 7 and contrast(rgb(surface.muted), rgb(back)) >= 4.5


def test_charts_and_heatmaps_say_what_they_are_for_those_who_cannot_see_them() -> None:
    described = {
        line_chart("t", "steps", "accuracy", [Series("dot", [0], [1]), Series("<a>", [0], [1])]): "accuracy over steps, a line each for dot, <a>.",
        bar_chart("t", "accuracy", [Bar("dot", 1.0)]): "accuracy, a bar each for dot.",
        line_chart("t", "x", "y", []): "y over x, a line each for nothing.",
    }  # fmt: skip
    for svg, words in described.items():
        assert ET.fromstring(svg).findtext("{http://www.w3.org/2000/svg}desc") == words


def test_colours_skeleton_and_svg_element_are_written_in_one_place_each() -> None:
    """A colour, a doctype or the SVG namespace in another file is a copy that begins to differ."""
    homes = {"color.py": r'"#[0-9a-f]{6}"', "page.py": r"<!DOCTYPE", "picture.py": r"http://www\.w3\.org/2000/svg"}
    for home, mark in homes.items():
        found = {
            f.relative_to(ROOT).as_posix() for f in (ROOT / "jumok").rglob("*.py") if re.search(mark, f.read_text("utf-8"))
        }
        assert found == {f"jumok/explain/{home}"}, mark


def test_hard_tokens_in_a_translation_keep_the_page_whole() -> None:
    rows = inside("tr", to_html(uniform(HARD_TOKENS, ["x"])))
    assert len(rows) == 2 + 1 + len(HARD_TOKENS)
