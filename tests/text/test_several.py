"""Several sources a line: how they are cut, read and joined, and that no text can write the token between them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.config import BETWEEN, TextConfig, TrainConfig, build
from jumok.corpus.blocks import read_block
from jumok.errors import ConfigError, DataError
from jumok.text import Pair, build_codec, read_pairs
from jumok.text.sources import read_sources
from jumok.text.tokenizers import TOKENIZERS, load_tokenizer, train_tokenizer

LINES = st.text(st.characters(exclude_characters="\t\n\r\0", exclude_categories=("Cs",)), max_size=12)
TWO = TextConfig(source_column="1,4", target_column=2)
WITH_FEATURES = TextConfig(source_column="4,1", target_column=2, features_column=3)


def quiet(_: str) -> None:
    pass


@pytest.mark.parametrize("name", TOKENIZERS)
@given(parts=st.lists(LINES | st.sampled_from(["␉", "\\t", "<tab>", "‹␉›", " ", ""]), min_size=1, max_size=3))
def test_sources_are_cut_one_by_one(name: str, parts: list[str]) -> None:
    """Between the tokens of two sources stands one token, and nothing in a text becomes it."""
    one = train_tokenizer(name, "none", ["ab cd", "abc"], 20)
    several = train_tokenizer(name, "none", ["ab\tcd abc"], 20, several=True)
    several = load_tokenizer(json.loads(json.dumps(several.to_dict())), "test")
    if name != "bpe":
        expected = [token for part in parts for token in (BETWEEN, *one.tokens(part))][1:]
        assert several.tokens(BETWEEN.join(parts)) == expected
    tokens = several.tokens(BETWEEN.join(parts))
    assert tokens.count(BETWEEN) == len(parts) - 1
    assert several.text(tokens) == BETWEEN.join(one.text(one.tokens(part)) for part in parts)
    assert all(BETWEEN not in one.tokens(part) for part in parts)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_words_of_several_sources(name: str) -> None:
    tokenizer = train_tokenizer(name, "none", ["ab cd\tab"] * 2, 30, several=True)
    for text in ("ab cd\tab", "\tab cd", "ab\t\tcd"):
        words = [word for part in text.split("\t") for word in part.split(" ") if word]
        tokens, of = tokenizer.tokens(text), tokenizer.words(text)
        assert len(tokens) == len(of)
        assert [i for token, i in zip(tokens, of, strict=True) if token == BETWEEN] == [-1] * text.count("\t")
        assert sorted({i for i in of if i >= 0}) == list(range(len(words)))


def test_a_table_json_and_parallel_files_say_the_same(tmp_path: Path) -> None:
    rows = [("ab", "x", "V", "cd"), ("e f", "y", "N;PL", "g"), ("h", "z", "", "")]
    table, lines, sources, targets = (tmp_path / name for name in ("t.tsv", "l.jsonl", "s.txt", "g.txt"))
    table.write_text("".join("\t".join(row) + "\n" for row in rows))
    lines.write_text("".join(json.dumps({"source": [d, a], "target": b, "features": c}) + "\n" for a, b, c, d in rows))
    sources.write_text("".join(f"{d}\t{a}\n" for a, _, _, d in rows))
    targets.write_text("".join(f"{b}\n" for _, b, _, _ in rows))
    of_table = read_pairs(str(table), WITH_FEATURES, warn=quiet)
    assert [(p.source, p.target, p.features) for p in of_table] == [
        ("cd\tab", "x", ("V",)),
        ("g\te f", "y", ("N", "PL")),
        ("\th", "z", ()),
    ]
    of_lines = read_pairs(str(lines), WITH_FEATURES, warn=quiet)
    assert [(p.source, p.target, p.features) for p in of_lines] == [(p.source, p.target, p.features) for p in of_table]
    parallel = read_pairs(f"{sources},{targets}", WITH_FEATURES, warn=quiet)
    assert [(p.source, p.target) for p in parallel] == [(p.source, p.target) for p in of_table]
    block = read_block((table.read_bytes(),), 0, (str(table),), WITH_FEATURES)
    assert (block.sources, block.targets) == ([p.source for p in of_table], [p.target for p in of_table])
    assert block.features == [p.features for p in of_table]
    both = read_block((sources.read_bytes(), targets.read_bytes()), 0, (str(sources), str(targets)), WITH_FEATURES)
    assert both.sources == block.sources


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.tsv", "a\tx\tV\n", r"the line has 3 columns, wanted at least 4 \(source 1 in 1, source 2 in 4, target in 2\)"),
        ("p.jsonl", '{"source": "a", "target": "b"}\n', 'p.jsonl:1: "source" is a; wanted a list of 2 strings'),
        ("p.jsonl", '{"source": ["a"], "target": "b"}\n', "wanted a list of 2 strings without TABs"),
        ("p.jsonl", '{"source": ["a", "b\\tc"], "target": "b"}\n', "wanted a list of 2 strings without TABs"),
        ("p.jsonl", '{"source": ["a", 3], "target": "b"}\n', "wanted a list of 2 strings without TABs"),
        ("p.jsonl", '{"target": "b"}\n', '"source" is missing; wanted a list'),
    ],
)
def test_lines_with_too_few_or_too_many_sources(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        read_pairs(str(tmp_path / name), TWO, warn=quiet)


def test_a_parallel_line_with_another_number_of_sources(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a\tb\nc\nd\te\tf\n")
    (tmp_path / "t").write_text("x\ny\nz\n")
    with pytest.raises(DataError, match="s:2: the line has 1 source, wanted 2; put one TAB between two sources"):
        read_pairs(f"{tmp_path / 's'},{tmp_path / 't'}", TWO, warn=quiet)


def sources_of(path: Path, text: TextConfig) -> tuple[list[tuple[str, tuple[str, ...], str]], list[str]]:
    notes: list[str] = []
    found = [s for s in read_sources(str(path), text, warn=quiet, note=notes.append, tabs=True) if s is not None]
    return [(s.text, s.features, s.problem) for s in found], notes


def test_lines_to_translate(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("ab\tcd\n\nab\nab\tcd\tV\na\tx\t-\tb\n")
    found, notes = sources_of(path, TWO)
    assert [text for text, _, _ in found] == ["ab\tcd", "", "", "", "a\tb"]
    assert (
        "the line has 1 column, wanted 4 as in the training pairs (source 1 in column 1, source 2 in column 4)" in found[2][2]
    )
    assert "or the 2 sources alone, with a TAB between two" in found[2][2] and "3 columns" in found[3][2]
    assert len(notes) == 1 and "read as a table" in notes[0]
    found, _ = sources_of(path, WITH_FEATURES)
    assert found[0][:2] == ("ab\tcd", ()) and found[3][:2] == ("ab\tcd", ("V",)) and found[4][:2] == ("b\ta", ("-",))
    path.write_text('{"source": ["ab", "cd"]}\n{"source": "ab\\tcd"}\n')
    found, _ = sources_of(path, TWO)
    assert found[0][0] == "ab\tcd" and "wanted a list of 2 strings" in found[1][2]


def test_columns_of_tokens() -> None:
    codec = build_codec([Pair("ab\tc", "x", ("V",))], TextConfig(source_column="2,5", target_column=1, features_column=3))
    tokens = [*codec.source_tokens("ab\tc", ("V",)), "</s>"]
    assert tokens == ["‹V›", "a", "b", BETWEEN, "c", "</s>"] and codec.columns(tokens) == (0, 2, 2, 0, 5, 0)
    assert build_codec([Pair("a", "x")], TextConfig()).columns(["a", "</s>"]) == ()


@pytest.mark.parametrize(
    ("given", "kept"), [("1,4", "1,4"), ("1, 4", "1,4"), ((1, 4), "1,4"), ([3], 3), ("3", 3), (3, 3), ("4,1,2", "4,1,2")]
)
def test_forms_of_the_option(given: object, kept: object) -> None:
    text = build(TrainConfig, {"source_column": given, "target_column": 9}, "test").text
    assert text.source_column == kept and type(text.source_column) is type(kept)


@pytest.mark.parametrize("given", ["", "1,", "1,x", "1.5", 1.5, True, "0", "1,0", "-1", "1,1", "1,2", [], "١"])
def test_columns_that_cannot_be(given: object) -> None:
    with pytest.raises(ConfigError, match=r"source_column|must differ"):
        build(TrainConfig, {"source_column": given}, "test")
