"""Models with several sources: they learn from all of them, and every command takes and shows them."""

import csv
import io
import json
import random
from pathlib import Path

import pytest
from small_run import TINY, same_weights

import jumok
from jumok.cli import main
from jumok.errors import ConfigError, DataError, FolderError
from jumok.explain.aligning import align
from jumok.explain.data import from_json, to_csv, to_json

QUICK = TINY | {"steps": 6, "evaluate_every": 3, "learning_rate": 1e-2, "source_column": "1,4"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The target has the letters of the second source in capitals, then those of the first."""
    rng, path = random.Random(0), tmp_path_factory.mktemp("data") / "pairs.tsv"
    words = [tuple("".join(rng.choices("abcd", k=rng.randint(1, 2))) for _ in range(2)) for _ in range(400)]
    path.write_text("".join(f"{a}\t{b.upper()}{a}\tV\t{b}\n" for a, b in dict.fromkeys(words)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def two(data, tmp_path_factory) -> Path:
    options = TINY | {"steps": 150, "evaluate_every": 150, "learning_rate": 2e-2, "alignment": "soft"}
    return jumok.train(data, out=tmp_path_factory.mktemp("two") / "m", source_column=(1, 4), **options).folder


def test_it_reads_all_of_them(two):
    model = jumok.load(two)
    right = [model.translate((a, b)).text == b.upper() + a for a in ("a", "bc", "d") for b in ("c", "ad", "b")]
    assert sum(right) >= 6
    for one in (model.translate("bc\tad"), *model.translate(["bc\tad"]), *model.translate([("bc", "ad")])):
        assert (one.text, one.source) == (model.translate(("bc", "ad")).text, "bc\tad")
    assert model.info().source_columns == [1, 4]


def test_weights_say_which_column_they_are_of(two):
    model = jumok.load(two)
    for t in (model.translate(("bc", "a"), beam=2, nbest=2), model.score(("bc", "a"), "Abc"), model.score(["bc\ta"], ["x"])[0]):
        assert t.source_tokens == ("b", "c", "\t", "a", "</s>") and t.columns == (1, 1, 0, 4, 0)
        assert from_json(to_json(t)).columns == t.columns
        rows = list(csv.reader(io.StringIO(to_csv(t))))
        assert rows[-1][:6] == ["column", "1", "1", "0", "4", "0"]
        assert "a of column 4: 0." in (svg := t.to_svg()) and "coverage" in svg and "of column 1" in svg
    for wrong in ('"columns": [1]', '"columns": ["a", 1, 0, 4, 0]'):
        text = to_json(model.translate(("bc", "a"))).replace('"columns": [1, 1, 0, 4, 0]', wrong)
        with pytest.raises(DataError, match="columns: got"):
            from_json(text)


@pytest.mark.parametrize("wrong", ["bc", "b\tc\td", ("a", "b", "c"), ("a\tb", "c"), [["a", 3]], [("a",)]])
def test_another_number_of_sources(two, wrong):
    wanted = "2 sources with a TAB" if isinstance(wrong, str) else "2 strings in a tuple, or one string with a TAB"
    with pytest.raises(DataError, match=f"this model reads 2, those of columns 1,4: wanted {wanted} between two of them"):
        jumok.load(two).translate(wrong)


def test_every_command(two, data, tmp_path, capsys, monkeypatch):
    path = str(data)
    for command in (["evaluate", str(two), path], ["score", str(two), path], ["align", str(two), path], ["info", str(two)]):
        assert main(command) == 0
    assert "2 sources, of columns 1, 4, with a token between two" in capsys.readouterr().out
    assert main(["explain", str(two), "bc\ta"]) == 0 and main(["next", str(two), "bc\ta", "--prefix", "A"]) == 0
    assert main(["explain", str(two), "bc"]) == 2
    assert "wanted 2 sources with a TAB between two of them" in capsys.readouterr().err
    assert main(["page", str(two), "--out", str(tmp_path / "p.html")]) == 2
    assert "a page cannot hold it: it reads 2 sources a line" in capsys.readouterr().err
    lines = tmp_path / "lines.txt"
    lines.write_text("bc\ta\nbc\n")
    assert main(["translate", str(two), str(lines)]) == 0
    assert capsys.readouterr().out.splitlines()[1] == ""


@pytest.mark.parametrize("lines", [["\ta", "\tbc"], [" \ta"]], ids=str)
def test_a_source_that_all_lines_lack_is_told(two, lines, tmp_path, capsys):
    """In every command; one that only some lack may be meant so."""
    path = tmp_path / "lines.tsv"

    def told(command: list[str], rows: list[str]) -> list[str]:
        path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        main(command)
        return [line for line in capsys.readouterr().err.splitlines() if "an empty source" in line]

    pairs = ["{1}\tA\tV\t{0}".format(*line.split("\t")) for line in lines]  # here the second source is empty
    n, all_ = ("the line has", "") if len(lines) == 1 else (f"{len(lines)} lines have", ", all that were read")
    said = "warning: {}: {} an empty source {}" + all_ + "; is it the right column?"
    assert told(["translate", str(two), str(path)], lines) == [said.format(f"{path}:1", n, 1)]
    for command in ("evaluate", "score", "align"):
        assert told([command, str(two), str(path)], pairs) == [said.format(f"{path}:1", n, 2)]
        assert told([command, str(two), str(path)], [*pairs, "b\tA\tV\ta"]) == []
    assert told(["translate", str(two), str(path)], [*lines, "a\tb"]) == []
    for command in ("explain", "next"):
        alone = f"warning: {two}: the line has an empty source 1; is it the right column?"
        assert told([command, str(two), lines[0]], []) == [alone]


def test_words_are_linked_across_sources(two):
    aligned = next(iter(align(jumok.load(two), [(("bc", "a"), "Abc")], unit="word")))
    assert aligned.source == ("bc", "a") and all(i < 2 for i, _ in aligned.links)


def test_from_the_disk_it_is_the_same_model(data, tmp_path):
    memory = jumok.train(data, out=tmp_path / "m", features_column=3, **QUICK).folder
    disk = jumok.train(data, out=tmp_path / "d", features_column=3, cache=tmp_path / "c", **QUICK).folder
    assert same_weights(memory, disk)
    texts = [(folder / "source.json").read_text() for folder in (memory, disk)]
    assert texts[0] == texts[1] and json.loads(texts[0])["tokenizer"]["several"] is True


@pytest.mark.parametrize(
    "more",
    [
        {"reverse_source": True, "bidirectional": False},
        {"source_tokenizer": "bpe", "target_tokenizer": "bpe", "bpe_size": 40, "tie": "none"},
        {"source_tokenizer": "word", "source_form": "NFD"},
        {"attention": "location"},
        {"min_count": 2},
    ],
)
def test_kinds_of_models(data, tmp_path, more):
    model = jumok.train(data, out=tmp_path / "m", **QUICK, **more).load()
    t = model.translate(("ab", "c"), unknown="copy")
    assert t.columns.count(0) == 2 and "\t" not in t.text


def test_an_unknown_token_is_never_copied_from_between(two):
    """Whatever the attention says: here it is all on what stands between."""
    import numpy as np

    from jumok.decode.unknowns import copied
    from jumok.text.vocabulary import UNK

    weights = np.array([[0.1, 0.0, 0.9, 0.0, 0.0]])
    assert copied([UNK], ("b", "c", "\t", "a", "</s>"), weights) == ((0, 0),)
    assert copied([UNK], ("\t", "</s>"), np.array([[0.9, 0.1]])) == ()


def test_teacher_and_foundation_need_as_many(two, data, tmp_path):
    jumok.train(data, out=tmp_path / "m", teacher=two, **QUICK)
    with pytest.raises(ConfigError, match="the teacher reads 2 sources a line, but --source-column is 1"):
        jumok.train(data, out=tmp_path / "n", teacher=two, **(QUICK | {"source_column": 1}))
    with pytest.raises(ConfigError, match=r"--source-column is 1, but the model to start from reads column 1,4"):
        jumok.train(data, out=tmp_path / "n", from_=two, steps=1, quiet=True, source_column=1)
    swapped = jumok.train(data, out=tmp_path / "s", from_=two, steps=1, quiet=True, source_column="4,1").folder
    with pytest.raises(FolderError, match="its source_column is '4,1', not '1,4'"):
        jumok.load([two, swapped])


def test_studies_are_of_one_source(two, data, tmp_path):
    with pytest.raises(ConfigError, match="source_column is 1,4, but studies compare models of one source"):
        jumok.study("bottleneck", data, out=tmp_path / "s", source_column="1,4", quiet=True)
    with pytest.raises(ConfigError, match="studies compare models of one source"):
        jumok.study("faithful", test=data, model=two, out=tmp_path / "f", quiet=True)


@pytest.mark.parametrize("more", [{"alignment": "monotonic"}, {"copy": True}, {"copy": True, "alignment": "monotonic"}])
def test_no_monotonic_alignment_over_several(data, tmp_path, more):
    with pytest.raises(ConfigError, match="a monotonic alignment goes forward through one source"):
        jumok.train(data, out=tmp_path / "m", **QUICK, **more)


def test_auto_is_soft_and_says_why(data, tmp_path, capfd):
    done = jumok.train(data, out=tmp_path / "m", **(QUICK | {"quiet": False}))
    assert done.config.model.alignment == "soft"
    assert "alignment: soft: there are 2 sources" in capfd.readouterr().err
