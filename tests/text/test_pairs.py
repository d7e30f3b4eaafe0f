"""Readers of pairs and lines: every form that is read, and every bad input with its message."""

import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.config import TextConfig
from jumok.errors import ConfigError, DataError
from jumok.text import Line, Pair, check_dev, read_lines, read_pairs, split_dev
from jumok.text.kinds import kind_of

TEXT = TextConfig()
FEATURES = TextConfig(features_column=3)


class Told(list[str]):
    """Collects warnings."""

    def __call__(self, message: str) -> None:
        assert "\n" not in message
        self.append(message)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes | str], str]:
    """Write a file into the current folder, so that messages have short names."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, content: bytes | str) -> str:
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return name

    return write


def feed(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


def refusal(path: str, text: TextConfig = TEXT) -> str:
    with pytest.raises(DataError) as e:
        read_pairs(path, text, warn=lambda m: None)
    assert "\n" not in str(e.value)
    return str(e.value)


# What is read


@pytest.mark.parametrize("name", ["a.tsv", "a.txt", "a", "a.tsv.gz", "a.gz"])
def test_tsv(name: str, write, told: Told) -> None:
    assert read_pairs(write(name, "a b\tx\textra\n나\ty"), TEXT, warn=told) == [
        Pair("a b", "x", (), f"{name}:1"),
        Pair("나", "y", (), f"{name}:2"),
    ]
    assert told == []


def test_columns_by_number(write, told: Told) -> None:
    config = TextConfig(source_column=3, target_column=1, features_column=2)
    assert read_pairs(write("a", "t\tV;;PST;\ts\n"), config, warn=told) == [Pair("s", "t", ("V", "PST"), "a:1")]


def test_no_features_and_another_separator(write, told: Told) -> None:
    config = TextConfig(features_column=3, features_separator=" | ")
    found = read_pairs(write("a", "s\tt\tV;A | B\ns\tt\t\n"), config, warn=told)
    assert [p.features for p in found] == [("V;A", "B"), ()]


def test_empty_separator_is_refused(write, told: Told) -> None:
    with pytest.raises(ConfigError, match="features_separator is ''"):
        read_pairs(write("a", "s\tt\tV"), TextConfig(features_column=3, features_separator=""), warn=told)


def test_text_is_kept_as_it_is(write, told: Told) -> None:
    odd = "  가 e\u0301 \u2028\x0b\x0c\x1c\x85\u3000\u202f\ufeff　\r x "  # all that str.splitlines or strip would take
    assert read_pairs(write("a", f"{odd}\t{odd}\n"), TEXT, warn=told) == [Pair(odd, odd, (), "a:1")]
    assert all(message.startswith("a:1: ") for message in told) and any("U+FEFF in 1 source " in message for message in told)


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\n\r\ufeff"), min_size=1)] * 2),
        min_size=1,
    )
)
def test_tsv_round_trip(tmp_path_factory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("t") / "a.tsv"
    path.write_bytes("".join(f"{s}\t{t}\n" for s, t in rows).encode())
    wanted = [(s, t) for s, t in rows if s.strip() and t.strip()]
    try:
        found = read_pairs(str(path), TEXT, warn=lambda m: None)
    except DataError:
        found = []
    assert [(p.source, p.target) for p in found] == wanted


def test_standard_input_is_a_tsv(monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    feed(monkeypatch, b"a\tb\n")
    assert read_pairs("-", TEXT, warn=told) == [Pair("a", "b", (), "standard input:1")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz"])
def test_json_lines(name: str, write, told: Told) -> None:
    rows = [
        {"source": "a\tb", "target": "가"},
        {"target": "y", "source": "x", "features": ["V", "", "P;ST"], "id": 7},
        {"source": "x", "target": "y", "features": "V;PST"},
    ]
    found = read_pairs(write(name, "\n".join(map(json.dumps, rows))), TEXT, warn=told)
    assert found == [
        Pair("a\tb", "가", (), f"{name}:1"),
        Pair("x", "y", ("V", "P;ST"), f"{name}:2"),
        Pair("x", "y", ("V", "PST"), f"{name}:3"),
    ]


def test_two_parallel_files(write, told: Told) -> None:
    write("a.en", "one\ntwo\tof\n")
    write("a.de.gz", "eins\nzwei")
    assert read_pairs("a.en,a.de.gz", TEXT, warn=told) == [
        Pair("one", "eins", (), "a.en:1"),
        Pair("two\tof", "zwei", (), "a.en:2"),
    ]


def test_a_file_with_a_comma_in_its_name_is_one_file(write, told: Told) -> None:
    assert read_pairs(write("a,b", "s\tt"), TEXT, warn=told) == [Pair("s", "t", (), "a,b:1")]


# What is told


def test_crlf_is_told_once_and_taken_off(write, told: Told) -> None:
    found = read_pairs(write("a", b"a\tb\nc\td\r\ne\tf\r\ng\th\r"), TEXT, warn=told)
    assert [p.target for p in found] == ["b", "d", "f", "h"]
    assert told == ["a:2: ends in CRLF, as on Windows; the CR is taken off here and at every later such line"]


def test_only_one_cr_is_taken_off(write, told: Told) -> None:
    assert read_pairs(write("a", b"a\tb\r\r\n"), TEXT, warn=told)[0].target == "b\r"


def test_byte_order_mark_is_told_and_taken_off(write, told: Told) -> None:
    found = read_pairs(write("a", "\ufeffa\tb\n\ufeffc\td\n"), TEXT, warn=told)
    assert [p.source for p in found] == ["a", "\ufeffc"]
    assert told == [
        "a:1: begins with a byte order mark (BOM); it was taken off",
        "a:2: U+FEFF in 1 source (byte order mark); it is invisible, but a model reads it; take it out",
    ]


def test_empty_sides_are_left_out_three_told_singly(write, told: Told) -> None:
    found = read_pairs(write("a", "s\tt\n\tt\ns\t\n\t \n\n \ns\t\u3000\nu\tv\n"), TEXT, warn=told)
    assert [p.where for p in found] == ["a:1", "a:8"]
    assert told == [
        "a:2: the source is empty; left out",
        "a:3: the target is empty; left out",
        "a:4: the line is blank; left out",
        "a: 6 lines are left out in all (the line is blank: 3, the target is empty: 2, the source is empty: 1); "
        "the first 3 are named above",
    ]


def test_three_left_out_need_no_sum(write, told: Told) -> None:
    read_pairs(write("a", "s\tt\n\n\n\n"), TEXT, warn=told)
    assert len(told) == 3


def test_empty_sides_of_parallel_files_name_their_file(write, told: Told) -> None:
    write("a", "one\n\nthree\n\n")
    write("b", "\nzwei\ndrei\n\n")
    assert [p.source for p in read_pairs("a,b", TEXT, warn=told)] == ["three"]
    assert told == [
        "b:1: the target is empty; left out",
        "a:2: the source is empty; left out",
        "a:4: source and target are empty; left out",
    ]


def test_empty_sides_of_json(write, told: Told) -> None:
    read_pairs(write("a.jsonl", '{"source": "a", "target": "b"}\n\n{"source": "", "target": "b"}\n'), TEXT, warn=told)
    assert told == ["a.jsonl:2: the line is blank; left out", "a.jsonl:3: the source is empty; left out"]


# What is refused


@pytest.mark.parametrize("name", ["none.tsv", "none.gz", "none.jsonl"])
def test_missing_file(name: str, write) -> None:
    assert refusal(name) == f"{name}: there is no such file; give a file, or - for standard input"


def test_missing_parallel_file(write) -> None:
    write("a", "x\n")
    assert refusal("a,b") == "b: there is no such file; give a file, or - for standard input"
    assert refusal("a,b,c") == "a,b,c: there is no such file; for two parallel files give SOURCE,TARGET"
    assert refusal("a,") == "a,: there is no such file; for two parallel files give SOURCE,TARGET"
    assert refusal("-,-") == "-,-: there is no such file; for two parallel files give SOURCE,TARGET"


@pytest.mark.parametrize("name", ["d", "d.gz"])
def test_a_folder(name: str, tmp_path: Path, write) -> None:
    (tmp_path / name).mkdir()
    assert refusal(name) == f"{name}: this is a folder; give a file in it"


@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl", "a.gz"])
def test_empty_file(name: str, write) -> None:
    wanted = f"{name}: no pairs: the file is empty; wanted at least one line with a source and a target"
    assert refusal(write(name, "")) == wanted


def test_nothing_left(write) -> None:
    wanted = "a: no pairs: all 2 lines were left out; wanted at least one line with a source and a target"
    assert refusal(write("a", "\n\tt\n")) == wanted


def test_missing_column(write) -> None:
    assert refusal(write("a", "s\tt\ns\tt\none column\n")) == (
        "a:3: the line has 1 column, wanted at least 2 (source in 1, target in 2); put one TAB between columns"
    )
    assert refusal(write("a", "s\tt\n"), FEATURES) == (
        "a:1: the line has 2 columns, wanted at least 3 (source in 1, target in 2, features in 3); put one TAB between columns"
    )


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"a\tb\nc\td\xffe\n", "a:2: bytes that are not UTF-8 (0xFF at byte 4 of the line); save the file as UTF-8"),
        (b"a\t\xed\xa0\x80\n", "a:1: bytes that are not UTF-8 (0xED at byte 3 of the line); save the file as UTF-8"),
        ("a\tb".encode("utf-16"), "a: looks like UTF-16: save it as UTF-8"),
        (gzip.compress(b"a\tb", mtime=0), "a: is gzip data: its name must end in .gz, or unpack it (gunzip)"),
        (b"a\tb\nc\0\td\n", "a:2: a NUL character (at character 2); wanted text in UTF-8; take it out"),
    ],
)
def test_what_is_not_text(raw: bytes, where: str, write) -> None:
    assert refusal(write("a", raw)) == where


@pytest.mark.parametrize("content", ["a" * 999_998 + "\t가", "가" * 1_000_000, "x\ty\n" + "a" * 9_000_000])
def test_a_line_of_a_million_characters(content: str, write) -> None:
    number = 1 + content.count("\n")
    wanted = f"a:{number}: 1,000,000 characters or more in one line; wanted fewer; is this a text file?"
    assert refusal(write("a", content)) == wanted


def test_one_character_less_than_a_million(write, told: Told) -> None:
    pairs = read_pairs(write("a", "𝒳" * 999_997 + "\tb\r\n"), TEXT, warn=told)
    assert len(pairs[0].source) == 999_997


def test_memory_is_bounded_whatever_a_line_is(write, told: Told) -> None:
    write("bomb.gz", b"a" * 100_000_000)
    tracemalloc.start()
    assert [line.number for line in read_lines("bomb.gz", warn=told)] == [1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("source\ttarget", "not JSON (Expecting value: line 1 column 1 (char 0)); wanted one object a line, "),
        ("[" * 200_000, "not JSON ("),
        ("[1]", "JSON that is not an object; wanted one object a line, "),
        ('{"source": "a", "tgt": "b"}', 'no key "target" (keys: source, tgt); wanted '),
        ('{"source": "a", "target": 5}', '"target" is 5; wanted a string'),
        ('{"source": null, "target": "b"}', '"source" is null; wanted a string'),
        ('{"source": "a", "target": "b", "features": [1]}', '"features" is [1]; wanted a list of strings or one string'),
        ('{"source": "a", "target": "b", "features": null}', '"features" is null; wanted a list of strings or one string'),
        ('{"source": "a\\u0000", "target": "b"}', 'a NUL character in "source"; wanted text; take it out'),
        ('{"source": "a", "target": "b\\nc"}', 'a line feed in "target"; source and target are one line each; take it out'),
        ('{"source": "a", "target": "b", "features": ["\\ud800"]}', "half a surrogate pair"),
    ],
)
def test_json_that_cannot_be(row: str, message: str, write) -> None:
    good = '{"source": "a", "target": "b"}\n'
    assert refusal(write("a.jsonl", good + row + "\n" + good)).startswith("a.jsonl:2: " + message)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            "1\n2\n3\n",
            "1\n",
            "a:2: this line has no counterpart: a has 3 lines, b 1; parallel files need the same number of lines",
        ),
        (
            "1\n",
            "1\n2\n3\n4",
            "b:2: this line has no counterpart: b has 4 lines, a 1; parallel files need the same number of lines",
        ),
    ],
)
def test_parallel_files_of_unequal_length(a: str, b: str, message: str, write) -> None:
    write("a", a)
    write("b", b)
    assert refusal("a,b") == message


def test_bad_bytes_in_a_parallel_file_name_that_file(write) -> None:
    write("a", "x\ny\n")
    write("b", b"x\n\xff\n")
    assert refusal("a,b").startswith("b:2: bytes that are not UTF-8")


def test_damaged_gzip(tmp_path: Path, write) -> None:
    whole = gzip.compress(b"".join(b"%d\tx\n" % i for i in range(100_000)))
    cut, flipped = whole[:-20], bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    for name, raw in [("cut.gz", cut), ("flipped.gz", bytes(flipped)), ("plain.gz", b"a\tb\n")]:
        (tmp_path / name).write_bytes(raw)
        message = refusal(name)
        assert message.startswith(f"{name}:") and "gzip" in message and message.endswith("make the file again"), message


# Lines, for translate


def test_a_line_out_for_every_line_in(write, told: Told) -> None:
    raw = b"\xef\xbb\xbfone\r\n\n\xff\xfe\nt\0wo\n" + b"x" * 5_000_000 + b"\nlast"
    lines = list(read_lines(write("a", raw), warn=told))
    assert [line.number for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line.text for line in lines] == ["one", "", None, None, None, "last"]
    problems = [line.problem for line in lines]
    assert [p is None for p in problems] == [True, True, False, False, False, True]
    assert "not UTF-8" in problems[2] and "NUL" in problems[3] and "1,000,000 characters" in problems[4]
    assert len(told) == 2


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\n", ["a", ""]),
        (b"\r\n", [""]),
        (b"\n\na", ["", "", "a"]),
    ],
)
def test_a_line_end_begins_no_line(raw: bytes, texts: list[str], monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    feed(monkeypatch, raw)
    assert list(read_lines("-", warn=told)) == [Line(i, t) for i, t in enumerate(texts, 1)]


@given(st.binary())
def test_any_bytes_give_as_many_lines_as_line_feeds(tmp_path_factory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("l") / "a"
    path.write_bytes(raw)
    try:
        lines = list(read_lines(str(path), warn=lambda m: None))
    except DataError:
        assert kind_of(raw) or (b"\r" in raw and b"\n" not in raw)
        return
    assert len(lines) == raw.count(b"\n") + (not raw.endswith(b"\n") and raw != b"")
    assert all((line.text is None) != (line.problem is None) for line in lines)


def test_lines_come_as_they_are_typed(monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    feed(monkeypatch, b"one\ntwo\n")
    lines = read_lines("-", warn=told)
    assert next(lines).text == "one"
    assert sys.stdin.buffer.read() == b"two\n"


# Dev


def pairs(rows: str, file: str = "p.tsv") -> list[Pair]:
    return [Pair(row[0], row[1], (), f"{file}:{i}") for i, row in enumerate(rows.split(), 1)]


def test_dev_equal_to_train_is_refused(told: Told) -> None:
    with pytest.raises(DataError, match=r"^dev\.tsv: the dev pairs are the training pairs, .*leave --dev out"):
        check_dev(pairs("ab cd"), pairs("cd ab", "dev.tsv"), told)


def test_overlap_of_dev_and_train_is_told(told: Told) -> None:
    check_dev(pairs("ab cd ef"), pairs("ab kx ef gh gh gh", "dev.tsv"), told)
    assert told == ["dev.tsv: 2 of 6 dev pairs (33.3 %) are training pairs too; dev figures will be too good"]


def test_dev_inside_train_is_told(told: Told) -> None:
    check_dev(pairs("ab cd ef"), pairs("cd ab", "dev.tsv"), told)
    assert told == ["dev.tsv: 2 of 2 dev pairs (100.0 %) are training pairs too; dev figures will be too good"]


def test_no_overlap_is_not_told(told: Told) -> None:
    for train, dev in (
        (pairs("ab cd"), pairs("xb yd", "dev.tsv")),
        ([Pair("a", "b", ("V",))], [Pair("a", "b", ("N",)), Pair("a", "c", ())]),
        (pairs("ab"), []),
    ):
        assert check_dev(train, dev, told) == dev
    assert told == []


def test_dev_pairs_that_contradict_training_are_left_out(told: Told) -> None:
    """Not those that have another target beside one that training has, nor those with other features."""
    dev = pairs("ab ax cx ef kl mn", "dev.tsv")
    assert check_dev(pairs("ab cd cg"), dev, told) == [dev[i] for i in (0, 1, 3, 4, 5)]
    assert "1 of 6 dev pairs (16.7 %) are training pairs too" in told[0]
    assert told[1:] == [
        "dev.tsv: the sources of 1 of 6 dev pairs (16.7 %) have only other targets in training; "
        "left out of dev, or the model that learned least would be kept"
    ]
    apart = "e\u0301"  # é in two code points
    assert check_dev([Pair("é", "b")], [Pair(apart, "x"), Pair("a", "x")], told) == [Pair("a", "x")]
    featured = [Pair("a", "x", ("V",)), Pair("a", "x", ("N",))]
    assert check_dev([Pair("a", "b", ("V",))], featured, told) == featured[1:]


def test_dev_pairs_most_of_which_contradict_training_are_all_taken(told: Told) -> None:
    dev = pairs("ax cx gh", "dev.tsv")
    assert check_dev(pairs("ab cd"), dev, told) == dev
    assert told == [
        "dev.tsv: the sources of 2 of 3 dev pairs (66.7 %) have only other targets in training; too many to be left out of dev"
    ]


@given(
    st.lists(st.integers(0, 9).map(str), min_size=8).filter(lambda s: len(set(s)) > 1),
    st.integers(0, 9),
    st.floats(0.0, 1.0),
    st.integers(1, 9),
)
def test_split_by_source(sources: list[str], seed: int, share: float, most: int) -> None:
    whole = [Pair(s, str(i)) for i, s in enumerate(sources)]
    train, dev = split_dev(whole, seed, share, most)
    assert train and dev
    assert not {p.source for p in train} & {p.source for p in dev}
    assert sorted(train + dev, key=lambda p: int(p.target)) == whole
    assert train == [p for p in whole if p in train] and dev == [p for p in whole if p in dev]
    fewest = min(map(sources.count, sources))
    assert len(dev) <= max(1, min(most, round(share * len(whole)))) or len(dev) == fewest


def test_a_source_in_two_forms_is_in_one_part() -> None:
    forms = [(f"é{i}", f"e\u0301{i}") for i in range(60)]
    train, dev = split_dev([Pair(source, str(i)) for i, one in enumerate(forms) for source in one], 3)
    assert len(train) == 114 and len(dev) == 6
    assert not {p.target for p in train} & {p.target for p in dev}


def test_split_is_the_same_in_any_order_and_everywhere() -> None:
    whole = [Pair(f"word{i}", "x") for i in range(100)]
    dev = {p.source for p in split_dev(whole, 1)[1]}
    assert dev == {p.source for p in split_dev(whole[::-1], 1)[1]}
    assert dev != {p.source for p in split_dev(whole, 2)[1]}
    assert len(dev) == 5
    assert len(split_dev([Pair(f"word{i}", "x") for i in range(50_000)], 1)[1]) == 2000


def test_split_of_one_source_is_refused() -> None:
    with pytest.raises(DataError, match=r"^p\.tsv: fewer than 2 different sources; .* give --dev$"):
        split_dev(pairs("ab ac ad"), 1)


def test_real_files(shared_data, told: Told) -> None:
    found = read_pairs(str(shared_data("conll-sigmorphon2017-inflection/turkish-dev.tsv")), FEATURES, warn=told)
    assert (len(found), told) == (1000, [])
    assert found[0].source == "kuzu" and found[0].features == ("N", "LOC", "SG", "PSS2P")
