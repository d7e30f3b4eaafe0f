"""The terminal's heatmap: planted weights in their cells, lines of one width whatever the tokens, and labels to read."""

import io
import re
import sys
import unicodedata

import pytest
from explain_samples import HARD_TOKENS, any_token, blind, planted, small, translations, uniform
from hypothesis import assume, given
from hypothesis import strategies as st
from wcwidth import wcswidth, wcwidth

from jumok.errors import JumokError
from jumok.explain import terminal_color, to_terminal
from jumok.explain.color import color_of, contrast
from jumok.explain.labels import clusters, columns, is_special, label, shorten, visible

COLORS = ["truecolor", "plain", "ascii"]
STYLE = re.compile("\x1b\\[[0-9;]*m")


def test_plain_is_what_is_drawn_by_hand() -> None:
    assert to_terminal(small()).split("\n") == [
        "      a  b </s> ",
        "   X ███░░░░░░░░",
        "</s>    ▒▒▒▓▓▓▓▓",
    ]


def test_ascii_is_what_is_drawn_by_hand() -> None:
    drawn = to_terminal(planted([" ", "é"], ["한", "▁b"], [[0.75, 0.25], [0.0, 1.0]]), "ascii")
    assert drawn.split("\n") == [
        "        _ \\xe9 ",
        "\\ud55c  7   2  ",
        "    _b  .   9  ",
    ]


def test_numbers_stand_beside_and_below() -> None:
    assert to_terminal(small(), numbers=True).split("\n") == [
        "      a   b  </s>  bits margin",
        "   X ████░░░░░░░░░ 0.99    55%",
        "</s>     ▒▒▒▒▓▓▓▓▓ 0.93    30%",
        " sum  .8  .5  .7              ",
    ]


def test_coverage_is_short() -> None:
    t = planted(["a", "b", "c"], ["X"] * 30, [[0.5, 0.46, 0.04]] * 30)
    assert to_terminal(t, numbers=True).split("\n")[-1].split() == ["sum", "15", "14", "1.2"]


def test_truecolor_has_the_colour_of_each_weight_behind_its_percent() -> None:
    line = to_terminal(small(), "truecolor").split("\n")[1]
    cells = re.findall("\x1b\\[48;2;(\\d+);(\\d+);(\\d+)m\x1b\\[38;2;(\\d+);(\\d+);(\\d+)m([^\x1b]*)", line)
    assert len(cells) == 3
    for cell, weight, text in zip(cells, [0.75, 0.2, 0.05], ["75", "20", "5"], strict=True):
        back, ink = tuple(map(int, cell[:3])), tuple(map(int, cell[3:6]))
        assert back == color_of(weight)
        assert contrast(back, ink) >= 4.5  # type: ignore[arg-type]
        assert cell[6].strip() == text
    assert line.rstrip().endswith("\x1b[0m")


@given(translations(), st.sampled_from(COLORS), st.one_of(st.none(), st.integers(20, 100)), st.booleans())
def test_every_line_has_the_same_width_and_stays_within(t, color, width, numbers) -> None:
    letters = {c for token in (*t.source_tokens, *t.tokens) for c in token}
    # widths of a newer Unicode than this Python's are not known to it
    assume(not any(wcwidth(c) == 2 and unicodedata.east_asian_width(c) not in "WF" for c in letters))
    drawn = STYLE.sub("", to_terminal(t, color, width, numbers))
    assert "\x1b" not in drawn  # a token cannot steer the terminal
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in drawn.replace("\n", ""))
    widths = {wcswidth(line) for line in drawn.split("\n")}
    assert len(widths) == 1
    if width:
        assert widths.pop() <= width
    if color == "ascii":
        assert drawn.isascii()


@given(translations(token=st.sampled_from(HARD_TOKENS)), st.sampled_from(COLORS), st.integers(20, 60))
def test_blocks_hold_every_cell_once(t, color, width) -> None:
    drawn = STYLE.sub("", to_terminal(t, color, width))
    blank = [k for k, line in enumerate(drawn.split("\n")) if not line.strip()]
    blocks = len(blank) + 1
    heads = len(drawn.split("\n")) - blocks * len(t.tokens) - len(blank)
    assert blocks <= heads <= 10 * blocks


def test_too_wide_is_set_upright_and_then_parted() -> None:
    t = uniform(["kleiner", "Hund"], ["small", "dog"])
    assert to_terminal(t, "plain", 40).split("\n")[0] == "      kleiner Hund "
    upright = to_terminal(t, "plain", 15).split("\n")  # labels of at most 15 // 3 columns
    assert [line.split() for line in upright[:5]] == [["k"], ["l", "H"], ["e", "u"], ["i", "n"], ["…", "d"]]
    assert upright[5:] == ["small ▓▓▓▓▓▓", "  dog ▓▓▓▓▓▓"]
    parted = to_terminal(uniform(list("abcdefgh"), ["x", "y"]), "plain", 14).split("\n")
    assert [line.split() for line in parted if set(line.strip()) - set("░▒▓█ xy")] == [
        ["a", "b", "c", "d"],
        ["e", "f", "g", "h"],
    ]
    assert len(parted) == 3 + 1 + 3


@pytest.mark.parametrize("color", COLORS)
def test_without_weights_there_is_a_clear_error(color) -> None:
    with pytest.raises(JumokError, match="no attention weights, because the model was trained with attention none"):
        to_terminal(blind(), color)


class Stream(io.StringIO):
    """A stream with a chosen encoding that is or is not a terminal."""

    def __init__(self, tty: bool = True, encoding: str = "utf-8") -> None:
        super().__init__()
        self.tty, self.named = tty, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.named

    def isatty(self) -> bool:
        return self.tty


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Stream(), {"COLORTERM": "truecolor"}, "truecolor"),
        (Stream(), {"COLORTERM": "24bit", "TERM": "xterm-256color"}, "truecolor"),
        (Stream(), {"TERM": "xterm-direct"}, "truecolor"),
        (Stream(), {"TERM": "xterm-256color"}, "plain"),
        (Stream(), {}, "plain"),
        (Stream(), {"COLORTERM": "truecolor", "NO_COLOR": "1"}, "plain"),
        (Stream(), {"COLORTERM": "truecolor", "NO_COLOR": ""}, "truecolor"),
        (Stream(), {"COLORTERM": "truecolor", "TERM": "dumb"}, "plain"),
        (Stream(tty=False), {"COLORTERM": "truecolor"}, "plain"),
        (Stream(encoding="ascii"), {"COLORTERM": "truecolor"}, "ascii"),
        (Stream(encoding="latin-1"), {}, "ascii"),
        (io.StringIO(), {"COLORTERM": "truecolor"}, "ascii"),
    ],
)
def test_what_a_stream_can_show(stream, environ, expected) -> None:
    assert terminal_color(stream, environ) == expected


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("a", "a"),
        (" ", "␣"),
        ("a b", "a␣b"),
        ("\u00a0", "⍽"),
        ("\u3000", "U+3000"),
        ("\t", "␉"),
        ("\x00", "␀"),
        ("\x7f", "␡"),
        ("\x85", "U+0085"),
        ("\u200b", "U+200B"),
        ("\u202e", "U+202E"),
        ("\ud800", "U+D800"),
        ("\u0301", "◌\u0301"),
        ("e\u0301", "e\u0301"),
        ("\u1112", "ㅎ"),
        ("\u1161", "ㅏ"),
        ("\u11ab", "ㄴ"),
        ("한", "한"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\u200d", "U+200D"),
        ("", "∅"),
    ],
)
def test_label_by_hand(token: str, expected: str) -> None:
    assert label(token) == expected


@given(any_token)
def test_label_can_be_seen_and_stands_alone(token: str) -> None:
    text = label(token)
    assert text and columns(text) > 0
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zs", "Zl", "Zp", "Cn") for c in text)
    assert columns("a" + text + "a") == columns(text) + 2
    assert "".join(clusters(text)) == text


@given(any_token, st.integers(2, 10))
def test_shorten_stays_within_its_limit(token: str, limit: int) -> None:
    text = label(token)
    short = shorten(text, limit)
    assert columns(short) <= limit
    assert (short == text) == (columns(text) <= limit)


def test_special_tokens_are_known() -> None:
    assert all(map(is_special, ["</s>", "<unk>", "‹V›", "‹PST›"]))
    assert not any(map(is_special, ["a", "‹", "‹›", "<b>", " "]))


# Columns

LATER = [(0x2630, 0x2637), (0x268A, 0x268F), (0x4DC0, 0x4DFF), (0x1D300, 0x1D37F)]  # wide since Unicode 16
BEFORE_NUMBERS = [0xAD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x600, 0x606), 0x6DD]  # format characters with ink


def test_a_character_is_as_wide_as_wcwidth_says() -> None:
    known = [chr(i) for i in range(0x20, sys.maxunicode + 1) if unicodedata.category(chr(i)) not in ("Cc", "Cs", "Cn")]
    differ = {ord(c) for c in known if columns(c) != max(wcswidth(c), 0)}
    later = {i for first, last in LATER for i in range(first, last + 1)}
    assert len(known) > 140_000 and differ <= later | set(BEFORE_NUMBERS)
    assert all("U+" in label(chr(i)) for i in BEFORE_NUMBERS)  # nobody sees them as they are


SCRIPTS = {
    "latin": "aé\u0301ﬁ\u0302x—ß ",
    "hindi": "कखगनदषअिीाे्ंँ़ज \u200d",
    "bengali": "বাংলাক্ষ ",
    "tamil": "தமிழ்கொௌ",
    "thai": "กขคำิีุ่้ ",
    "khmer": "ខ្មែរភាសា",
    "arabic": "عربيـَُ\u200c\u200d",
    "hangul": "가각ㄱ가학 ",
    "han": "漢字、ｱＡ\u3000",
    "emoji": "👍🏽👩\u200d🌈🏳\ufe0f❤😀a1",
    "flags": "🇩🇪🇫🇷a가",
}


@pytest.mark.parametrize("script", SCRIPTS)
@given(data=st.data())
def test_a_text_is_as_wide_as_wcwidth_says(script: str, data: st.DataObject) -> None:
    text = visible(data.draw(st.text(SCRIPTS[script], max_size=10)))
    assert columns(text) == wcswidth(text)


@pytest.mark.parametrize(
    ("text", "width"),
    [("", 0), ("ab", 2), ("\t\x1b", 0), ("한국", 4), ("e\u0301", 1), ("की", 2), ("क्ष", 2), ("क्षि", 2), ("กำ", 2), ("👍🏽", 2), ("👩\u200d🚀", 2),
     ("🇩🇪", 2), ("🇩🇪🇫", 4), ("❤", 1), ("❤\ufe0f", 2), ("◌\ufe0f", 1), ("a\ufe0f", 1), ("ﾊﾝ", 2), ("Ａ", 2), ("\ud800", 0)],
)  # fmt: skip
def test_columns_by_hand(text: str, width: int) -> None:
    assert columns(text) == width
