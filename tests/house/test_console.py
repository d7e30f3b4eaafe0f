"""The progress bar: with the package rich and without, and nowhere but on a terminal."""

import io
import sys

import pytest

from jumok.console import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, show: bool = True) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with Bar("reading", 400, show) as bar:
        for _ in range(4):
            bar.advance(1)
        bar.advance(196, "sorting")
        bar.advance(100)
    return stream.getvalue()


def seen(text: str) -> str:
    """What is left on the terminal's line."""
    line: list[str] = []
    at = 0
    for c in text:
        at = 0 if c == "\r" else at + 1
        if c != "\r":
            line[at - 1 : at] = c
    return "".join(line).rstrip()


def test_without_rich_it_is_a_line_of_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    text = shown(monkeypatch, Terminal())
    assert [part.rstrip() for part in text.split("\r")] == [
        "",
        "reading 0 %",
        "reading 1 %",
        "sorting 50 %",
        "sorting 75 %",
        "",
        "",
    ]
    assert seen(text) == "" and "\n" not in text


def test_a_shorter_title_leaves_nothing_of_the_longer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Bar("a long title", 0) as bar:
        bar.advance(1, "b")
        assert seen(sys.stderr.getvalue()) == "b 100 %"


def test_with_rich_it_is_richs_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal())
    assert "\x1b[" in text and "sorting" in text


@pytest.mark.parametrize("without", [True, False])
def test_nothing_is_shown_elsewhere(monkeypatch: pytest.MonkeyPatch, without: bool) -> None:
    if without:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    assert shown(monkeypatch, io.StringIO()) == shown(monkeypatch, Terminal(), show=False) == ""
