"""Charts and pages of studies: well-formed, standing alone, with what was given to them in the right places."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.studies.charts import Bar, Series, bar_chart, line_chart, ticks
from jumok.studies.report import Figure, Heading, Points, Table, Text, html, markdown

SVG = "{http://www.w3.org/2000/svg}"


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_round_few_and_cover(low, width):
    width = max(width, 1e-9 * abs(low))  # below that, floats are no finer than the ticks
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 8
    assert found[0] <= low + 1e-6 * width and found[-1] >= low + width - 1e-6 * width
    step = found[1] - found[0]
    assert re.match(r"[125]\.0*[0-9]?e|[125]e", f"{step:.1e}")


def test_ticks_worked_by_hand():
    assert ticks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert ticks(3, 3) == pytest.approx([2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6]) or len(ticks(3, 3)) >= 2


def test_line_chart_is_well_formed_and_has_every_series():
    series = [Series('a <&" b', [1, 2, 3], [10, 20, 30], [5, 15, 25], [15, 25, 35]), Series("other", [1, 2, 3], [3, 2, 1])]
    root = ET.fromstring(line_chart("t <1>", "x & y", 'y "z"', series, mark_x=2.0, mark_label="here"))
    assert root.tag == f"{SVG}svg" and len(root.findall(f".//{SVG}polyline")) == 2
    assert len(root.findall(f".//{SVG}polygon")) == 1  # only the one that has an interval
    texts = [e.text for e in root.iter(f"{SVG}text")]
    assert {"t <1>", "x & y", 'y "z"', 'a <&" b', "other", "here"} <= set(texts)
    assert "20 (15 to 25) at 2" in "".join(e.text or "" for e in root.iter(f"{SVG}title"))


def test_higher_values_stand_higher_and_later_ones_further_right():
    root = ET.fromstring(line_chart("t", "x", "y", [Series("a", [0, 1, 2], [1, 5, 3])]))
    points = [tuple(map(float, p.split(","))) for p in root.find(f".//{SVG}polyline").get("points").split()]
    assert points[0][0] < points[1][0] < points[2][0] and points[1][1] < points[2][1] < points[0][1]


def test_logarithmic_axis_has_equal_steps_for_equal_factors_and_leaves_out_zero():
    root = ET.fromstring(line_chart("t", "x", "y", [Series("a", [0, 1, 2, 3], [1e-9, 1e-6, 1e-3, 0.0])], log_y=True))
    y = [float(p.split(",")[1]) for p in root.find(f".//{SVG}polyline").get("points").split()]
    assert len(y) == 3 and y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.2)


def test_series_are_told_apart_without_colour():
    svg = line_chart("t", "x", "y", [Series(str(k), [0, 1], [k, k + 1]) for k in range(4)])
    lines = ET.fromstring(svg).findall(f".//{SVG}polyline")
    assert len({line.get("stroke-dasharray") for line in lines}) == 4


def test_charts_bring_their_own_panel_and_reach_for_nothing():
    for svg in (line_chart("t", "x", "y", [Series("a", [0, 1], [0, 1])]), bar_chart("t", "v", [Bar("a", 1.0)])):
        assert 'fill="#ffffff"' in svg
        assert not re.search(r"href|url\(|<style|<script|@import", svg)


def test_bars_start_at_zero_and_have_whiskers():
    root = ET.fromstring(bar_chart("t", "v", [Bar("up", 4.0, 3.0, 5.0), Bar("down", -2.0), Bar("nil", 0.0)]))
    _, up, down, nil = root.iter(f"{SVG}rect")
    assert float(up.get("x")) == pytest.approx(float(down.get("x")) + float(down.get("width")), abs=0.2)
    assert float(up.get("width")) == pytest.approx(2 * float(down.get("width")), rel=0.01) and float(nil.get("width")) == 0
    assert len(root.findall(f".//{SVG}path")) == 1


def test_empty_and_single_points_are_drawn():
    for series in ([], [Series("a", [], [])], [Series("a", [1], [2])], [Series("a", [1], [float("nan")])]):
        ET.fromstring(line_chart("t", "x", "y", series))
    ET.fromstring(bar_chart("t", "v", []))


BLOCKS = [
    Heading("A & b"),
    Text("Use `--seeds 3` <now>."),
    Points(["one", "two"]),
    Table(["x", "y|z"], [["1", "<2>"]]),
    Figure("f.svg", '<svg xmlns="http://www.w3.org/2000/svg"/>\n', "what it shows"),
]


def test_page_as_markdown():
    page = markdown("T", BLOCKS)
    assert page.startswith("# T\n\n## A & b\n") and "- one\n- two" in page
    assert "| x | y\\|z |\n| --- | --- |\n| 1 | <2> |" in page and "![what it shows](f.svg)" in page


def test_page_as_html():
    page = html("T <1>", BLOCKS)
    assert "<title>T &lt;1&gt;</title>" in page and "<code>--seeds 3</code> &lt;now&gt;" in page
    assert "<td>&lt;2&gt;</td>" in page and "<svg xmlns" in page and "prefers-color-scheme: dark" in page
    ET.fromstring(page.removeprefix("<!DOCTYPE html>").replace('<meta charset="utf-8">', "").replace(
        '<meta name="viewport" content="width=device-width, initial-scale=1">', ""))  # fmt: skip
