"""Oddities of a table are told once, with count and first line; the same in memory, in blocks, and by every command."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumok.config import TextConfig
from jumok.corpus.blocks import Warnings, cut, read_block
from jumok.corpus.prepare import Wanted, prepare_corpus
from jumok.text import read_every_pair, read_pairs
from jumok.text.oddities import Oddities

CHAR, PHONES = TextConfig(), TextConfig(target_tokenizer="space")
ROWS = [(w, " ".join(w.upper())) for w in ("cat", "dog", "bee", "ant", "fox", "owl", "hen", "cow", "pig", "ewe", "rat", "elk")]
ROWS = [(a + b, f"{x} {y}") for a, x in ROWS for b, y in ROWS[:3]]


def told(rows: list[tuple[str, str]], text: TextConfig = PHONES, names: tuple[str, ...] = ("p.tsv",)) -> list[str]:
    """The warnings for rows that stand in lines 1, 2, …"""
    said: list[str] = []
    odd = Oddities(text, names)
    odd.look(range(1, len(rows) + 1), [s for s, _ in rows], [t for _, t in rows])
    odd.tell(said.append)
    return said


def test_nothing_is_said_of_what_is_right() -> None:
    assert told(ROWS) == told(ROWS, CHAR) == []
    assert (
        told([("주목", "J U"), ("नमस्‍ते", "N A"), ("می‌خواهم", "M I"), ("👨‍👩‍👧", "F"), ("l’été", "L"), ('say "hi" now', "S")])
        == []
    )
    assert told([("l'été\u00a0!", "the\u00a0summer")], CHAR) == []  # no blank cuts there, and French writes so


def test_columns_that_are_probably_the_wrong_ones() -> None:
    assert told([(s, "N") for s, _ in ROWS]) == ["p.tsv: every target is 'N'; is that the right column?"]
    assert told([("walk", t) for _, t in ROWS]) == ["p.tsv: every source is 'walk'; is that the right column?"]
    assert told([(s, s) for s, _ in ROWS], CHAR) == ["p.tsv: every target is its source; is that the right column?"]
    assert told([("a", "b")] * 30, names=("s", "t")) == [
        "s: every source is 'a'; is that the right column?",
        "t: every target is 'b'; is that the right column?",
    ]
    assert told([("a", "a")] * 30) == [
        f"p.tsv: every {side} is 'a'; is that the right column?" for side in ("source", "target")
    ]
    for row in ROWS[0], ROWS[-1]:
        assert told([*((s, "N") for s, _ in ROWS), row]) == told([row, *((s, "N") for s, _ in ROWS)]) == []
        assert told([*((s, s) for s, _ in ROWS), row], CHAR) == []
    assert told([("a", "b")] * 20) == []  # too few to tell


def quoted(cell: str) -> str:
    return f'"{cell}"'


def test_cells_in_quotes() -> None:
    both = [(quoted(s), quoted(t)) for s, t in ROWS]
    assert told(both) == [
        "p.tsv:1: every cell begins and ends with a quote, which is read as text; export the table without quotes"
    ]
    assert "every source begins" in told([(quoted(s), t) for s, t in ROWS])[0]
    assert "every target begins" in told([(s, quoted(t)) for s, t in ROWS])[0]
    (header_apart,) = told([("cat", "C"), *both])
    assert header_apart.startswith("p.tsv:2: nearly every (36 of 37) cell")
    assert told([*ROWS, *both]) == [] and told([(quoted("cat"), quoted("C"))]) == []


def test_no_break_spaces_on_a_side_cut_at_blanks() -> None:
    rows = [*ROWS[:3], *((s, t.replace(" ", "\u00a0")) for s, t in ROWS[3:])]
    assert told(rows) == [
        "p.tsv:4: U+00A0 in 33 targets of a side cut at blanks (no-break space); only the ASCII blank separates tokens; put one "
        "in its place"
    ]
    assert told(rows, TextConfig(target_tokenizer="space", target_form="NFKC")) == []
    assert "U+3000 in 1 source of a side cut at blanks" in told([("a\u3000b", "c")], TextConfig(source_tokenizer="space"))[0]
    assert "U+202F" in told([("a", "b\u202fc")])[0]


@pytest.mark.parametrize(
    "c", [*"\u200b\ufeff\u00ad\u2060\u200e\u200f\u202a\u202e\u2066\u2069\u2028\u0085\x0b\x1f\x7f\ufffd", "\r"]
)
@pytest.mark.parametrize("text", [CHAR, PHONES])
def test_invisible_characters(c: str, text: TextConfig) -> None:
    rows = [*ROWS[:4], ("ca" + c + "t", "C"), ("dog", "D" + c + "G"), ("a" + c + "b" + c, "A")]
    first, second = told(rows, text)
    assert first.startswith(f"p.tsv:5: U+{ord(c):04X} in 2 sources (")
    assert second.startswith(f"p.tsv:6: U+{ord(c):04X} in 1 target (")


def test_blanks_at_the_ends() -> None:
    rows = [*ROWS[:2], ("cat ", "C A T "), (" dog", "D"), ("owl\u3000", "O")]
    assert told(rows) == [
        "p.tsv:3: 3 sources with blanks at the beginning or end, which a model reads as tokens; take them out"
    ]
    assert told(rows, CHAR)[1].startswith("p.tsv:3: 1 target with blanks at the beginning or end")
    assert told([("cat ", "C ")], TextConfig(source_tokenizer="space", target_tokenizer="space")) == []


@pytest.mark.parametrize(
    "first",
    [
        ("word", "phones"),
        ("Source", "Target"),
        ("단어", "발음"),
        ("en", "ko"),
        ("lemma", "form"),
        ('"word"', '"ipa"'),
        ("wort", "laute"),
    ],
)
def test_a_header(first: tuple[str, str]) -> None:
    (said,) = told([first, *ROWS])
    assert (
        said == f"p.tsv:1: line 1 looks like a header ({first[0]} | {first[1]}), but is read like any other line; take it out"
    )
    assert told([*ROWS, first]) == []


@pytest.mark.parametrize(
    ("first", "rows"),
    [
        (("word", "W ER D"), ROWS),
        (("source", "S AO R S"), ROWS),
        (("word", "word"), [(s, s) for s, _ in ROWS]),
        (("xyz", "X Y Z"), ROWS),
        (("kiwi", "uvw"), ROWS[:9]),
        (("ibm", "IBM"), [(s, "가나") for s, _ in ROWS]),
        (("曦", "曦曜晟"), [(s, "가나") for s, _ in ROWS]),
    ],
)
def test_a_first_line_that_is_no_header(first: tuple[str, str], rows: list[tuple[str, str]]) -> None:
    copies = ["p.tsv: every target is its source; is that the right column?"] * (first[0] == first[1])
    assert told([first, *rows]) == copies


cells = st.text(st.sampled_from('ab" \u00a0\u200b\ufeffé가\r'), min_size=1, max_size=5).filter(str.strip)


@settings(max_examples=60)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=12), st.integers(1, 60), st.sampled_from([CHAR, PHONES]))
def test_blocks_tell_what_the_whole_file_does(tmp_path_factory, rows, size: int, text: TextConfig) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.tsv"
    path.write_bytes("".join(f"{s}\t{t}\n" for s, t in [("x", "y"), *rows]).encode())
    whole, parts = list[str](), list[str]()
    pairs = read_pairs(str(path), text, warn=whole.append)
    telling = Warnings([str(path)], text, parts.append)
    for block in cut([str(path)], size):
        telling.add(read_block(block.raw, block.before, [str(path)], text).facts())
    telling.finish(len(pairs))
    one_by_one: list[str] = []
    assert list(read_every_pair(str(path), text, warn=one_by_one.append)) == pairs
    assert whole == parts == one_by_one


def test_a_corpus_on_the_disk_tells_it_each_time(tmp_path: Path) -> None:
    rows = [("word", "phones"), *((s, t.replace(" ", "\u00a0")) for s, t in ROWS)]
    path = tmp_path / "p.tsv"
    path.write_text("".join(f"{s}\t{t}\n" for s, t in rows), encoding="utf-8")
    said: list[str] = []
    prepare_corpus(tmp_path / "c", Wanted(str(path), PHONES, None, 1), said.append, shown=False, processes=1)
    text = "\n".join(said)
    assert "looks like a header" in text and "U+00A0 in 36 targets" in text
    from jumok.corpus.corpus import open_corpus

    assert len(open_corpus(tmp_path / "c", PHONES).notices) == len(said)


def test_parallel_files_are_each_named(tmp_path: Path) -> None:
    for name, lines in (("a", ["cat", "dog\u200b"]), ("b", ["C\u00a0A T", "D"])):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    said: list[str] = []
    read_pairs(f"{tmp_path / 'a'},{tmp_path / 'b'}", PHONES, warn=said.append)
    assert [message.split(" in ")[0] for message in said] == [f"{tmp_path / 'a'}:2: U+200B", f"{tmp_path / 'b'}:1: U+00A0"]


@pytest.mark.parametrize("content", [b"cat\tC\rdog\tD\r", b"cat\tC\rdog\tD", b"a\tb\r" * 2_000_000])
def test_cr_alone_is_refused(content: bytes, tmp_path: Path) -> None:
    from jumok.errors import DataError

    path = tmp_path / "mac.tsv"
    path.write_bytes(content)
    for read in (read_pairs, lambda *a, **k: list(read_every_pair(*a, **k))):
        with pytest.raises(DataError, match=r"mac.tsv: its lines end in CR without LF \(old Mac\); save with LF"):
            read(str(path), CHAR, warn=lambda _: None)
    columns = [read_block(block.raw, block.before, [str(path)], CHAR) for block in cut([str(path)], 2**22)]
    assert "CR without LF" in columns[0].error


def test_it_costs_little() -> None:
    """However many lines, each is looked at in large pieces: no more calls into Python than there are oddities."""
    rng = random.Random(1)
    rows = [("".join(rng.choices("abcdefg", k=6)), "A B") for _ in range(20_000)]
    odd = Oddities(PHONES, ("p.tsv",))
    noted: list[str] = []
    odd._count = lambda *a: noted.append(a[0])  # type: ignore[method-assign]
    odd.look(range(1, len(rows) + 1), [s for s, _ in rows], [t for _, t in rows])
    assert noted == [] and odd.lines == 20_000
