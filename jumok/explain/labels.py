"""A token as people can see it: blanks and control characters made visible, marks given something to stand on."""

from __future__ import annotations

import unicodedata

from jumok.runtime.translation import END

JOINER = "\u200d"
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
    return "◌" + text if _is_mark(text[0]) else text


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
    """Whether the model put the token there, rather than the text: `</s>`, `<unk>`, a feature such as ‹V›."""
    return token in (END, "<s>", "<unk>", "<pad>") or (len(token) > 2 and token[0] == "‹" and token[-1] == "›")


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
    """Columns the text takes in a terminal: 2 for a wide character, 0 for a mark."""
    from wcwidth import wcswidth

    width = wcswidth(text)
    if width < 0:  # a character this wcwidth has no width for
        width = sum(max(wcswidth(c), 0) for c in text)
    return width


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
