"""A token as people can see it: blanks and control characters made visible, marks given something to stand on."""

from __future__ import annotations

import unicodedata

from jumok.config import BETWEEN
from jumok.runtime.translation import END_TOKEN

JOINER = "\u200d"
EMOJI_STYLE = "\ufe0f"  # makes a wide emoji of the character before it
SKIN_TONES = "🏻🏼🏽🏾🏿"
CIRCLE = "◌"  # for a mark to stand on
VIRAMA = 9  # its canonical combining class
_SHORT_SPACES = {" ": "␣", "\u00a0": "⍽"}


def label(token: str) -> str:
    """The token for the eye: never empty, without control, format and line-breaking characters, and it starts with a
    character of its own width, so that it cannot join what stands before it."""
    if not token:
        return "∅"
    jamo = _letter(token)
    if jamo:
        return jamo
    seen = [_visible(c, token[k - 1] if k else "", token[k + 1 : k + 2]) for k, c in enumerate(token)]
    text = "".join(seen)
    return CIRCLE + text if _is_mark(text[0]) else text


def _letter(token: str) -> str | None:
    """A lone conjoining jamo (what NFD cuts Hangul into) -> the letter that stands alone, which fonts can draw."""
    if len(token) != 1 or not "\u1100" <= token <= "\u11ff":
        return None
    name = unicodedata.name(token, "")
    for kind in ("CHOSEONG", "JUNGSEONG", "JONGSEONG"):
        name = name.replace(f"HANGUL {kind} ", "HANGUL LETTER ")
    try:
        return unicodedata.lookup(name)
    except KeyError:
        return None  # old jamo without such a letter


def _is_mark(c: str) -> bool:
    return unicodedata.category(c)[0] == "M" or "\u1160" <= c <= "\u11ff" or c in (JOINER, "\u200c")


def _visible(c: str, before: str, after: str) -> str:
    category = unicodedata.category(c)
    if category == "Zs":
        return _SHORT_SPACES.get(c, f"U+{ord(c):04X}")
    if ord(c) < 0x20:
        return chr(0x2400 + ord(c))  # control pictures: a tab is ␉
    if c == "\x7f":
        return "␡"
    if c in (JOINER, "\u200c") and _joins(before) and _joins(after):
        return c  # inside an emoji or an Indic or Persian word, where it belongs
    if category in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp"):
        return f"U+{ord(c):04X}"
    return c


def _joins(c: str) -> bool:
    return c != "" and unicodedata.category(c)[0] in "LMS"


def visible(text: str) -> str:
    """A whole line for the eye: plain blanks stay, the rest as in a label."""
    return " ".join(label(part) for part in text.split(" ") if part) or "∅"


def is_special(token: str) -> bool:
    """Whether the model put the token there, rather than the text: `</s>`, `<unk>`, a feature such as ‹V›, what stands between
    two sources."""
    return token in (END_TOKEN, "<s>", "<unk>", "<pad>", BETWEEN) or (len(token) > 2 and token[0] == "‹" and token[-1] == "›")


def is_rtl(text: str) -> bool:
    """Whether some of it is written from right to left."""
    return any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in text)


def clusters(text: str) -> list[str]:
    """The text in pieces that must not be parted: a character with its marks, an emoji joined of several."""
    pieces: list[str] = []
    for c in text:
        if pieces and (_is_mark(c) or pieces[-1].endswith(JOINER)):
            pieces[-1] += c
        else:
            pieces.append(c)
    return pieces


def columns(text: str) -> int:
    """Columns the text takes in a terminal: 2 for a wide character, 0 for a mark and for what is joined to an emoji.

    A letter is 2 columns wide with a vowel sign that stands beside it, and so are letters that a virama joins. Widths are
    those of the Unicode version that this Python knows.
    """
    if text.isascii():
        return sum(c.isprintable() for c in text)
    total = last = 0  # columns of all but the last letter with its marks, and of that one
    base, virama, skip = "", False, False
    for c in text:
        if skip:
            skip = False
        elif c == JOINER:
            skip = not virama
        elif c == EMOJI_STYLE:
            last = 2 if base and not base.isalpha() else last
        elif _is_half_flag(c) and _is_half_flag(base):
            base = ""
        elif c in SKIN_TONES and base and unicodedata.category(base) == "So":
            pass
        elif width := _width(c):
            total, last = (total, 2) if virama else (total + last, width)
            base, virama = "" if c == CIRCLE else c, False
        elif unicodedata.combining(c) == VIRAMA:
            virama = True
        else:
            last = 2 if last and unicodedata.category(c) == "Mc" else last
            virama = False
    return total + last


def _width(c: str) -> int:
    if unicodedata.category(c) in ("Mn", "Mc", "Me", "Cc", "Cf", "Cs", "Zl", "Zp"):
        return 0
    if "\u1160" <= c <= "\u11ff" or "\ud7b0" <= c <= "\ud7ff" or c in "\u3164\uffa0":
        return 0  # vowels and finals of conjoining jamo, which stand in the initial's columns; fillers
    return 2 if unicodedata.east_asian_width(c) in "WF" or _is_half_flag(c) else 1


def _is_half_flag(c: str) -> bool:
    return "\U0001f1e6" <= c <= "\U0001f1ff"


def shorten(text: str, limit: int) -> str:
    """The text itself where it fits into `limit` columns, or else as much of it as does, and "…"."""
    if columns(text) <= limit:
        return text
    kept = ""
    for piece in clusters(text):
        if columns(kept + piece) > limit - 1:
            break
        kept += piece
    return kept + "…"
