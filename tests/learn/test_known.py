"""Known vectors: how their files are read, that a model starts with them, how long they stay."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import TINY, same_weights, write_pairs

import jumok
from jumok.errors import ConfigError, DataError
from jumok.runtime.folder import read_folder
from jumok.text.vectors import read_vectors

SPECIALS = ["<pad>", "<s>", "</s>", "<unk>"]
STILL = {name: value for name, value in TINY.items() if name != "embedding"} | {
    "steps": 1,
    "learning_rate": 1e-9,
    "average": 0.0,
}


def write(path: Path, text: str) -> str:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "a 1 2\nb 3 4\n",
        "2 2\na 1 2\nb 3 4\n",
        "a 1 2 \r\nb 3.0 4e0 \r\n\r\n",
        "x 9 9\nb 3 4\na 1 2",
        "a\t1\t2\nb\t3\t4\n",
        "2\t2\na\t1 2\nb\t3 4\n",
        "\ufeffa 1 2\nb 3 4\n",
        "\ufeff2 2\r\na 1 2\r\nb 3 4\r\n",
        "new york 9 9\na 1 2\nb 3 4\n",  # how many numbers there are is not clear from the number of words
        ". . . 9 9\nb 3 4\n. . 9 9\na 1 2\n",
        "x 9 9\nb 3 4\n7 7 9 9\na 1 2\n",
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["v.txt", "v.vec.gz"])
def test_every_form_of_the_file_is_read(tmp_path, text, name):
    found = read_vectors(write(tmp_path / name, text), [*SPECIALS, "b", "q", "a"], pytest.fail)
    assert found.ids.tolist() == [4, 6] and found.rows.tolist() == [[3, 4], [1, 2]] and found.size == 2


def test_the_nearest_spelling_counts_wherever_it_stands(tmp_path):
    tokens = [*SPECIALS, "▁The", "the", "‹V›", "▁new york"]
    path = write(tmp_path / "v", "the 1\nThe 2\n‹V› 3\nnew york 4\n")
    found = read_vectors(path, tokens, pytest.fail)
    assert dict(zip(found.ids.tolist(), found.rows[:, 0].tolist(), strict=True)) == {4: 2, 5: 1, 7: 4}
    small = read_vectors(write(tmp_path / "w", "the 1\n"), tokens, pytest.fail)
    assert small.ids.tolist() == [4, 5]  # small letters, if there is no other


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a 1 2\nb 3\n", ":2: 1 numbers"),
        ("a 1 2\nb 3 x\n", ":2: not a token and 2 numbers"),
        ("a 1 nan\n", ":1: a number is not finite"),
        ("a 1 inf\n", ":1: a number is not finite"),
        ("a 1 1e99\n", ":1: a number is not finite"),
        ("abc\n", ":1: 0 numbers"),
        ("1 3\na 1 2\n", ":2: 2 numbers"),
        ("a 1 x\n", ":1: 0 numbers"),
        ("new york 1 2\na 1\n", ":2: 1 numbers"),
    ],
)
def test_what_is_no_vector_is_named_with_its_line(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        read_vectors(write(tmp_path / "v", text), [*SPECIALS, "a", "b"], pytest.fail)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3 2\na 1 2\nb 3 4\n", ["vectors promised by the first line: 3, found: 2; is the file whole?"]),
        ("1 2\na 1 2\nb 3 4\n", ["vectors promised by the first line: 1, found: 2; is the file whole?"]),
        (
            "a 1 2\nx 0 0\na 1 3\nx 1 1\n",
            ["lines that repeat a token with other numbers: 1 (first line 3: 'a'); the token's first line counts"],
        ),
        ("a 1 2\na 1 2\n", []),
        (  # one line, for two tokens
            "a 1 2\nb 0 0\nb 0 1\n",
            ["lines that repeat a token with other numbers: 1 (first line 3: 'b'); the token's first line counts"],
        ),
        ("2 2\na 1 2\nc 1 3\n", []),
    ],
)
def test_files_that_are_cut_or_say_two_things_are_read_with_a_warning(tmp_path, text, said):
    warnings: list[str] = []
    found = read_vectors(write(tmp_path / "v", text), [*SPECIALS, "a", "b", "▁b"], warnings.append)
    assert found.rows[0].tolist() == [1, 2]
    assert [line.partition(": ")[2] for line in warnings] == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"2 2\na " + np.array([1, 2], np.float32).tobytes() + b"\nb " + np.array([3, 4], np.float32).tobytes(),
            "word2vec's binary",
        ),
        (b"\xba\x16\x4f\x2f\x0c\0\0\0", "fastText model: give its vectors as text, the .vec file"),
        ("a 1 2\nb 3 4\n".encode("utf-16"), "UTF-16"),
        (gzip.compress(b"a 1 2\n"), "its name must end in .gz"),
    ],
    ids=["word2vec", "fasttext", "utf-16", "gzip"],
)
def test_other_formats_of_vectors_are_named(tmp_path, content, said):
    path = tmp_path / "v"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_vectors(str(path), [*SPECIALS, "a"], pytest.fail)


@pytest.mark.parametrize("name", ["missing", ".", "cut.gz", "no.gz"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"a 1 2\n" * 99)[:-9])
    (tmp_path / "no.gz").write_bytes(b"a 1 2\n")
    with pytest.raises(DataError, match=re.escape(name if name != "." else str(tmp_path))):
        read_vectors(str(tmp_path / name), [*SPECIALS, "a"], pytest.fail)


@given(st.binary(max_size=80))
def test_bytes_of_any_kind_give_vectors_or_one_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("v") / "v"
    path.write_bytes(content)
    try:
        found = read_vectors(str(path), [*SPECIALS, "a", "0"], [].append)
    except DataError as e:
        assert "\n" not in str(e)
    else:
        assert np.isfinite(found.rows).all() and len(found.ids) == len(found.rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 200)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> str:
    rng = np.random.default_rng(1)
    rows = [f"{letter} {' '.join(f'{x:.4f}' for x in rng.normal(size=12))}\n" for letter in "abcdefg"]  # not h
    return write(tmp_path_factory.mktemp("v") / "v.vec", "".join(["7 12\n", *rows]))


def rows(folder: Path, side: str, letters: str) -> np.ndarray:
    model = read_folder(folder)
    return model.parameters[f"{side}.embedding"][getattr(model.codec, side).vocabulary.ids(letters)]


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_model_starts_with_them(data, vectors, tmp_path, side, capfd):
    done = jumok.train(data, out=tmp_path / "m", **(STILL | {f"{side}_embeddings": vectors, "quiet": False}))
    assert f"7 of 12 {side} tokens found (12 numbers each)" in capfd.readouterr().err
    assert done.config.model.embedding == 12
    given = np.array([line.split()[1:] for line in Path(vectors).read_text().splitlines()[1:]], np.float32)
    got = rows(done.folder, side, "abcdefg")
    assert got / np.linalg.norm(got) == pytest.approx(given / np.linalg.norm(given), abs=1e-3)
    assert np.sqrt((got**2).mean()) == pytest.approx(0.25, rel=1e-2)  # as others start
    other = {"source": "target", "target": "source"}[side]
    assert not np.allclose(rows(done.folder, other, "abc") / 0.25, got[:3] / 0.25, atol=0.1)


@pytest.mark.parametrize("more", [{}, {"weight_decay": 0.1}], ids=["", "weight decay"])
def test_frozen_rows_stay_and_others_learn(data, vectors, tmp_path, more):
    options = STILL | more | {"steps": 6, "learning_rate": 1e-2, "evaluate_every": 6, "source_embeddings": vectors}
    start = jumok.train(data, out=tmp_path / "start", **(STILL | {"source_embeddings": vectors})).folder
    frozen = jumok.train(data, out=tmp_path / "frozen", freeze=1.0, **options).folder
    free = jumok.train(data, out=tmp_path / "free", **options).folder
    assert rows(frozen, "source", "abcdefg") == pytest.approx(rows(start, "source", "abcdefg"), abs=1e-6)
    assert not np.allclose(rows(frozen, "source", "h"), rows(start, "source", "h"), atol=1e-3)
    assert not np.allclose(rows(free, "source", "abcdefg"), rows(start, "source", "abcdefg"), atol=1e-3)


def test_a_resumed_run_holds_them_as_long(data, vectors, tmp_path):
    options = STILL | {"steps": 8, "learning_rate": 1e-2, "evaluate_every": 2, "source_embeddings": vectors, "freeze": 0.7}

    def stop(step, model):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jumok.train(data, out=tmp_path / "m", observe=stop, **options)
    jumok.train(data, out=tmp_path / "m", resume=True)
    assert same_weights(tmp_path / "m", jumok.train(data, out=tmp_path / "whole", **options).folder)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"embedding": 16}, "--embedding is 16, but --source-embeddings has 12 numbers"),
        ({"from_": "m"}, "source-embeddings and from are given"),
        ({"tie": "all", "joint_vocabulary": True, "target_embeddings": "v"}, "one table of vectors"),
    ],
)
def test_what_does_not_combine_is_refused(data, vectors, tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        jumok.train(data, out=tmp_path / "m", **(STILL | {"source_embeddings": vectors} | options))


def test_to_freeze_nothing_is_a_mistake_and_so_is_a_file_without_any_token(data, tmp_path):
    with pytest.raises(ConfigError, match="no known vectors are given"):
        jumok.train(data, out=tmp_path / "m", freeze=0.5, **STILL)
    path = write(tmp_path / "v", "qq 1 2\n")
    with pytest.raises(DataError, match="has none of the 12 source tokens"):
        jumok.train(data, out=tmp_path / "m", source_embeddings=path, **STILL)
    with pytest.raises(DataError, match="no such file"):
        jumok.train(data, out=tmp_path / "m", source_embeddings=tmp_path / "absent", **STILL)
