"""Cells that are empty where others are not: features and further sources are missed before training, not after."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from warned import Warned

from jumok.config import TextConfig, TrainConfig, build
from jumok.errors import ConfigError, DataError
from jumok.learn import data, teacher
from jumok.learn.display import Display
from jumok.learn.filled import empty_cells
from jumok.text import Pair, Rows, build_codec

MANY = 12
KINDS = [
    (
        {"features_column": 3},
        "features",
        "without features",
        "no training pair has features, but --features-column is 3",
        "no dev pair has features",
    ),
    (
        {"source_column": "1,3"},
        "source 2",
        "with an empty source 2",
        "source 2 is empty in all training pairs",
        "source 2 is empty in all dev pairs",
    ),
]


def table(path: Path, cells: list[str], first: int = 0) -> str:
    """A table whose third column has these cells, over and over."""
    lines = (f"{'ab' * (i + 1)}\t{'ba' * (i + 1)}\t{cells[i % len(cells)]}\n" for i in range(first, first + MANY))
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def read(tmp_path: Path, train: list[str], dev: list[str], text: dict, cache: bool = False) -> list[str]:
    """The warnings of pairs whose third column has these cells."""
    files = {"pairs": table(tmp_path / "t.tsv", train), "dev": table(tmp_path / "d.tsv", dev, MANY)}
    run = build(
        TrainConfig, files | {"out": str(tmp_path / "m")} | text | ({"cache": str(tmp_path / "c")} if cache else {}), "test"
    )
    display = Warned()
    data.read(run, None, display)
    return display.lines


@pytest.mark.parametrize("cache", [False, True], ids=["memory", "disk"])
@pytest.mark.parametrize(("text", "what", "without", "never", "never_in_dev"), KINDS, ids=[k[1] for k in KINDS])
def test_cells_that_are_empty_in_some_pairs_or_in_all(tmp_path, text, what, without, never, never_in_dev, cache):
    assert read(tmp_path, ["V"], ["V"], text, cache) == []
    assert read(tmp_path, ["V", "V", ""], ["V"], text, cache) == [f"t.tsv:3: training pairs {without}: 4 of 12; is that meant?"]
    assert read(tmp_path, ["V"], ["V", ""], text, cache) == [
        f"d.tsv:2: dev pairs {without}: 6 of 12, training pairs: none; is that meant?"
    ]
    assert read(tmp_path, ["", "", "V"], [""], text, cache) == [f"t.tsv:1: training pairs {without}: 8 of 12; is that meant?"]
    with pytest.raises(DataError, match=rf"t\.tsv: {never}"):
        read(tmp_path, [""], ["V"], text, cache)
    with pytest.raises(DataError, match=rf"d\.tsv:1: {never_in_dev}, but all training pairs"):
        read(tmp_path, ["V"], [""], text, cache)
    with pytest.raises(DataError, match=rf"d\.tsv:1: {never_in_dev}, but most training pairs"):
        read(tmp_path, ["V", "V", ""], [""], text, cache)


def test_features_that_only_dev_has(tmp_path):
    files = {}
    for name, first, features in (("pairs", 0, {}), ("dev", MANY, {"features": "V"})):
        rows = [{"source": "ab" * (i + 1), "target": "ba" * (i + 1)} | features for i in range(first, first + MANY)]
        files[name] = str(tmp_path / f"{name}.jsonl")
        Path(files[name]).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    run = build(TrainConfig, files | {"out": str(tmp_path / "m")}, "test")
    with pytest.raises(DataError, match=r"dev\.jsonl:1: dev pairs have features, but no training pair has any"):
        data.read(run, None, Display(quiet=True))


def test_further_sources_of_a_teacher(tmp_path):
    more = tmp_path / "more.txt"
    run = build(
        TrainConfig, {"pairs": "p", "out": "m", "teacher": "t", "teacher_sources": str(more), "features_column": 3}, "test"
    )
    pairs, dev = [Pair("a", "b", ("V",))], [Pair("c", "d", ("N",))]
    more.write_text("e\nf\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"more\.txt:1: no further source has features, but the pairs have"):
        teacher.unlabelled(run, pairs, dev, Display(quiet=True))
    more.write_text("e\tV\nf\t\n", encoding="utf-8")
    assert list(teacher.unlabelled(run, pairs, dev, Display(quiet=True))) == [("e", ("V",)), ("f", ())]


CELLS = st.text("ab ", max_size=3)


@given(st.lists(st.tuples(CELLS, CELLS, st.sampled_from(["", "V", "N"])), min_size=1, max_size=9))
def test_empty_cells_are_found_in_ids(rows):
    """What the ids say is what the texts say."""
    pairs = [Pair("a\tb", "x", ("V", "N")), *(Pair(f"{a}\t{b}", "x", (f,) if f else ()) for a, b, f in rows)]
    codec = build_codec(pairs, TextConfig(source_column="1,2", target_column=3, features_column=4))
    found = empty_cells(codec, Rows.of(codec.encode_pairs(pairs)[0]))
    for what, column in (("source 1", 0), ("source 2", 1), ("features", 2)):
        assert found[what].tolist() == [False, *(not row[column] for row in rows)]


def test_a_rare_feature_is_one(tmp_path):
    pairs = [Pair("aa", "b", ("V",)), Pair("aa", "b", ("V",)), Pair("aa", "b", ("RARE",)), Pair("aa", "b")]
    codec = build_codec(pairs, TextConfig(features_column=3, min_count=2))
    assert np.flatnonzero(empty_cells(codec, Rows.of(codec.encode_pairs(pairs)[0]))["features"]).tolist() == [3]
