"""Oddities: what is probably a mistake in sources and targets. Each kind gives one warning, with a count and the first line.

Cells in quotes, a header line, blanks at the ends, no-break spaces on a side that is cut at blanks, invisible characters, letters
in two Unicode forms, the wrong column. The text is not changed. Many lines are searched together, which is fast: one search in their
joined text for each character.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from string import ascii_letters
from typing import Any

from jumok.config import TextConfig
from jumok.text.forms import Letters

TOGETHER = 4096  # lines that are searched together
LETTERS = 5  # that a message names
SIDES = ("source", "target")
NAMES = {
    "\u00ad": "soft hyphen",
    "\u200b": "zero-width space",
    "\u2060": "word joiner",
    "\ufeff": "byte order mark",
    "\ufffd": "left by a wrong decoding",
    "\r": "carriage return",
    "\u00a0": "no-break space",
    "\u3000": "ideographic space",
}
# Invisible, but a token to a model. Not here: the two joiners, which Indic and Persian words and emoji need.
INVISIBLE = (
    *(chr(c) for c in (*range(1, 9), *range(11, 32), *range(0x7F, 0xA0))),
    *"\u00ad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u2060\ufeff\ufffd",
    *(chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))),
)
SPACES = tuple("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000")
_BLANKS = " \t" + "".join(SPACES)
_LEAST_QUOTED = 0.9  # share of lines; fewer may be text that has quotes
_LEAST_OTHERS = 20  # lines that must have none of the letters of the first line
_HEADINGS = """
source src input in text sentence word words grapheme graphemes orthography spelling written surface lemma base noun
verb target tgt trg output out translation phone phones phoneme phonemes pronunciation pronunciations ipa transcription
arpabet transliteration romanization form inflected inflection reference ref gold label features feature tags tag msd 단어
표제어 발음 원문 번역 번역문 원형 영어 한국어 소스 타겟 입력 출력 english korean german french spanish japanese chinese russian arabic italian
dutch en ko de fr es ja zh ru ar it nl eng kor deu fra spa jpn zho
"""


class Oddities:
    """Collects oddities line by line.

    Args:
        text: the tokenizers and forms of both sides.
        names: the file of the sources and that of the targets; for a table, its name alone.
        sides: the sides to search. A header is recognised by both sides.
    """

    def __init__(self, text: TextConfig, names: Sequence[str], sides: Sequence[str] = SIDES) -> None:
        self.names = (names[0], names[-1])
        self.sides = tuple(sides)
        cut = {"source": (text.source_tokenizer, text.source_form), "target": (text.target_tokenizer, text.target_form)}
        self.spaced = {side: tokenizer == "space" for side, (tokenizer, _) in cut.items()}
        self.spaces = {side: t == "space" and form not in ("NFKC", "NFKD") for side, (t, form) in cut.items()}
        self.blanks = {"source": _BLANKS.replace("\t", "") if text.several else _BLANKS, "target": _BLANKS}
        self.forms = {side: Letters() for side, (_, form) in cut.items() if side in sides and form == "none"}
        self.lines = 0
        self.alike: dict[str, str] = {}  # side -> the text that all lines have; "" if they differ
        self.copies = True  # whether every target is its source
        self.counts: dict[str, list[int]] = {}  # "side what" -> [lines that have it, number of the first]
        self.first: list[str] | None = None  # the cells of line 1
        self.letters: set[str] = set()  # ASCII letters in the targets of the first lines, line 1 left out
        self._waiting: tuple[list[int], list[str], list[str]] = ([], [], [])

    def see(self, number: int, source: str, target: str = "") -> None:
        """Adds the next line."""
        for column, value in zip(self._waiting, (number, source, target), strict=True):
            column.append(value)  # type: ignore[attr-defined]
        if len(self._waiting[0]) == TOGETHER:
            self._look_at_waiting()

    def look(self, numbers: Sequence[int], sources: Sequence[str], targets: Sequence[str]) -> None:
        """Adds many lines, as columns."""
        for start in range(0, len(sources), TOGETHER):
            part = slice(start, start + TOGETHER)
            self._look(numbers, start, sources[part], targets[part])

    def facts(self) -> dict[str, Any]:
        """All results, as JSON values, for `add`."""
        self._look_at_waiting()
        forms = {side: letters.facts() for side, letters in self.forms.items()}
        letters = "".join(sorted(self.letters))
        return {
            "lines": self.lines,
            "counts": self.counts,
            "first": self.first,
            "letters": letters,
            "forms": forms,
            "alike": self.alike,
            "copies": self.copies,
        }

    def add(self, facts: dict[str, Any]) -> None:
        """Adds the facts of the lines that follow."""
        self.lines += facts["lines"]
        for key, (count, first) in facts["counts"].items():
            self._count(key, count, first)
        self.first = self.first or facts["first"]
        self.letters |= set(facts["letters"])
        self.copies = self.copies and facts["copies"]
        for side, text in facts["alike"].items():
            self._alike(side, [text])
        for side, letters in self.forms.items():
            letters.add(facts["forms"][side])

    def tell(self, warn: Callable[[str], None]) -> None:
        """Gives a warning for each kind."""
        self._look_at_waiting()
        if self.first and self._is_header():
            cells = " | ".join(cell.strip() for cell in self.first if cell)
            warn(f"{self.names[0]}:1: line 1 looks like a header ({cells:.60}), but is read like any other line; take it out")
        self._tell_quotes(warn)
        self._tell_alike(warn)
        for key, (count, first) in sorted(self.counts.items()):
            side, what = key.split(" ", 1)
            if what not in ("opens", "closes"):
                where = f"{self.names[SIDES.index(side)]}:{first}"
                warn(f"{where}: {self._sentence(side, what, f'{count:,} {side}' + 's' * (count > 1))}")
        for side, letters in self.forms.items():
            if both := letters.both():
                many = f"{letters.count:,} {side}" + "s" * (letters.count > 1)
                shown = " ".join(both[:LETTERS]) + " …" * (len(both) > LETTERS)
                warn(
                    f"{self.names[SIDES.index(side)]}:{letters.first}: {many} with letters in another Unicode form than in other lines "
                    f"({shown}), so that one letter is several tokens; write all in one form, or train with --{side}-form NFC"
                )

    def _look_at_waiting(self) -> None:
        numbers, sources, targets = self._waiting
        if numbers:
            self._waiting = ([], [], [])
            self._look(numbers, 0, sources, targets)

    def _look(self, numbers: Sequence[int], start: int, sources: Sequence[str], targets: Sequence[str]) -> None:
        """Searches lines whose numbers are numbers[start], numbers[start + 1], …"""
        head = numbers[start] == 1
        if head:
            self.first = [sources[0], targets[0]]
        if numbers[start] <= TOGETHER:
            others = "".join(targets[head:])
            self.letters.update(c for c in ascii_letters if c not in self.letters and c in others)
        self.lines += len(sources)
        self.copies = self.copies and list(sources) == list(targets)
        for side, texts in zip(SIDES, (sources, targets), strict=True):
            if side in self.sides:
                joined = "\n".join(["", *texts, ""])
                self._alike(side, texts)
                if side in self.forms:
                    self.forms[side].see(numbers, start, texts, joined)
                for what, rows in self._odd(side, texts, joined):
                    self._count(f"{side} {what}", rows[0], numbers[start + rows[1]])

    def _odd(self, side: str, texts: Sequence[str], joined: str) -> Iterator[tuple[str, tuple[int, int]]]:
        """The oddities in the texts of a side, which `joined` has all: (what, (number of texts, index of the first))."""
        if not self.spaced[side] and list(map(str.strip, texts)) != texts:
            yield from _having("blank", [t != t.strip(self.blanks[side]) and bool(t.strip()) for t in texts])
        if '"' in joined:
            for what, edge in (("opens", '\n"'), ("closes", '"\n')):
                if edge in joined:
                    yield what, (joined.count(edge), joined.count("\n", 0, joined.index(edge)) - (what == "closes"))
        if "".join(texts).isprintable() and (joined.isascii() or "\ufffd" not in joined):
            return
        for c in INVISIBLE + (SPACES if self.spaces[side] else ()):
            if c in joined:
                yield from _having(c, [c in t for t in texts])

    def _count(self, key: str, count: int, first: int) -> None:
        before, at = self.counts.get(key, (0, first))
        self.counts[key] = [before + count, min(at, first)]

    def _alike(self, side: str, texts: Sequence[str]) -> None:
        text = self.alike.setdefault(side, texts[0])
        if text and any(other != text for other in texts):
            self.alike[side] = ""

    def _tell_alike(self, warn: Callable[[str], None]) -> None:
        """Warns of columns that are probably the wrong ones."""
        if self.lines <= _LEAST_OTHERS:
            return
        alike = [side for side in self.sides if self.alike.get(side)]
        for side in alike:
            warn(f"{self.names[SIDES.index(side)]}: every {side} is {self.alike[side]!r:.60}; is that the right column?")
        if self.copies and len(self.sides) == 2 and not alike:
            warn(f"{self.names[0]}: every target is its source; is that the right column?")

    def _is_header(self) -> bool:
        assert self.first is not None
        source, target = (cell.strip().strip('"').strip().casefold() for cell in self.first)
        headings = _HEADINGS.split()
        if source in headings and target in headings and source != target:
            return True
        target_letters = {c for c in self.first[1] if c in ascii_letters}
        word = self.first[1].strip().strip('"')
        return (
            self.lines > _LEAST_OTHERS
            and word.isalpha()
            and not word.isupper()
            and len(target_letters) > 2
            and not target_letters & self.letters
        )

    def _tell_quotes(self, warn: Callable[[str], None]) -> None:
        """Warns if nearly all cells of a side are in quotes: fewer may be text that quotes somebody."""
        counts = {side: min(self.counts.get(f"{side} {what}", [0])[0] for what in ("opens", "closes")) for side in self.sides}
        sides = [side for side, n in counts.items() if self.lines > 1 and n >= _LEAST_QUOTED * self.lines]
        if sides:
            fewest = min(counts[side] for side in sides)
            share = "every" if fewest == self.lines else f"nearly every ({fewest:,} of {self.lines:,})"
            first = self.counts[f"{sides[0]} opens"][1]
            what = "cell" if len(sides) == 2 else sides[0]
            where = f"{self.names[SIDES.index(sides[0])]}:{first}"
            warn(
                f"{where}: {share} {what} begins and ends with a quote, which is read as text; export the table without quotes"
            )

    def _sentence(self, side: str, what: str, many: str) -> str:
        if what == "blank":
            return f"{many} with blanks at the beginning or end, which a model reads as tokens; take them out"
        name = NAMES.get(what) or unicodedata.name(what, "control character").lower()
        if what in SPACES:
            advice = "only the ASCII blank separates tokens; put one in its place"
            return f"U+{ord(what):04X} in {many} of a side cut at blanks ({name}); {advice}"
        advice = (
            "where a line should end, save with LF" if what == "\r" else "it is invisible, but a model reads it; take it out"
        )
        return f"U+{ord(what):04X} in {many} ({name}); {advice}"


def _having(what: str, has: Sequence[bool]) -> Iterator[tuple[str, tuple[int, int]]]:
    if any(has):
        yield what, (sum(has), has.index(True))
