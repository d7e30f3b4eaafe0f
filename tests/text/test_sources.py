"""What `translate` is given: lines, tables and JSON Lines told apart; what the model does not know, said and kept as a field."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from jumok.cli import main
from jumok.config import ModelConfig, TextConfig
from jumok.errors import DataError
from jumok.explain import from_json, to_html, to_json, to_svg
from jumok.runtime import Translator
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec
from jumok.text.sources import read_sources

PLAIN, SWAPPED = TextConfig(), TextConfig(source_column=2, target_column=1)
FEATURES, FEATURES_SECOND = TextConfig(features_column=3), TextConfig(features_column=2, target_column=3)
FEATURES_FIRST = TextConfig(features_column=1, source_column=2, target_column=3, features_separator="|")


def read(content: str, text: TextConfig, tmp_path: Path, name: str = "in.txt", **options):
    """-> [(text, features)], what was warned of, what was noted"""
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    warned, noted = [], []
    found = list(read_sources(str(path), text, warn=warned.append, note=noted.append, **options))
    strip = lambda messages: [m.replace(f"{path}:", "") for m in messages]  # noqa: E731
    return [(s.text, s.features) for s in found if s is not None], strip(warned), strip(noted)


@pytest.mark.parametrize("name", ["in.txt", "in.tsv", "in.gz"])
def test_lines_of_text(name: str, tmp_path: Path) -> None:
    assert read("cat\n\ndog\n", PLAIN, tmp_path, name) == ([("cat", ()), ("", ()), ("dog", ())], [], [])


@pytest.mark.parametrize(
    ("content", "text", "wanted", "places"),
    [
        ("cat\tK AE T\ndog\tD\n", PLAIN, [("cat", ()), ("dog", ())], "2 columns; read as a table, source in column 1"),
        ("\ncat\tK\nowl\n\n", PLAIN, [("", ()), ("cat", ()), ("owl", ()), ("", ())], "source in column 1"),
        ("K AE T\tcat\tx\n", SWAPPED, [("cat", ())], "3 columns; read as a table, source in column 2"),
        ("abcd\tabcded\tV;PST\n", FEATURES, [("abcd", ("V", "PST"))], "source in column 1, features in column 3"),
        ("abcd\tV;PST\tabcded\n", FEATURES_SECOND, [("abcd", ("V", "PST"))], "source in column 1, features in column 2"),
        ("V|PST\tabcd\tabcded\n", FEATURES_FIRST, [("abcd", ("V", "PST"))], "source in column 2, features in column 1"),
    ],
)
def test_a_table_is_read_by_the_models_own_columns(content, text, wanted, places, tmp_path: Path) -> None:
    found, warned, (note,) = read(content, text, tmp_path)
    assert found == wanted and warned == [] and places in note


@pytest.mark.parametrize("text", [FEATURES, FEATURES_SECOND, FEATURES_FIRST])
def test_source_tab_features_goes_on_working(text: TextConfig, tmp_path: Path) -> None:
    mark = text.features_separator
    found, warned, noted = read(f"abcd\tV{mark}PST\nowl\nabcd\t\nabcd\tN\n", text, tmp_path)
    assert found == [("abcd", ("V", "PST")), ("owl", ()), ("abcd", ()), ("abcd", ("N",))] and warned == noted == []


def test_a_line_with_too_few_columns_gets_an_empty_one(tmp_path: Path) -> None:
    found, (warned,), _ = read("K\tcat\nowl\nD\tdog\n", SWAPPED, tmp_path)
    assert found == [("cat", ()), ("", ()), ("dog", ())]
    assert warned == (
        "2: the line has 1 column, wanted 2 as in the training pairs (source in column 2); an empty line is written for it"
    )
    wide = TextConfig(features_column=5)
    found, (warned,), _ = read("a\tb\tc\td\n", wide, tmp_path)
    assert found == [("", ())] and "4 columns, wanted 5" in warned and "or two: SOURCE, a TAB, FEATURES" in warned


def test_a_tab_in_running_text(tmp_path: Path) -> None:
    found, (warned,), noted = read("cat\nd\tog\nan\tt\n", PLAIN, tmp_path)
    assert found == [("cat", ()), ("d\tog", ()), ("an\tt", ())] and noted == []
    assert warned.startswith("2: 2 lines have a TAB, and are read as text") and "cut -f1" in warned
    assert read("c\tat\nowl\n", PLAIN, tmp_path, tabs=True) == ([("c\tat", ()), ("owl", ())], [], [])


@pytest.mark.parametrize("name", ["in.jsonl", "in.json", "in.jsonl.gz", "in.txt"])
def test_json_lines(name: str, tmp_path: Path) -> None:
    rows = [{"source": "cat", "target": "K"}, {"source": "do\tg", "features": "V;PST"}, {"features": ["N"], "source": ""}]
    found, warned, noted = read("\n".join(map(json.dumps, rows)) + "\n\n{}\nno\n", PLAIN, tmp_path, name)
    assert found == [("cat", ()), ("do\tg", ("V", "PST")), ("", ("N",)), ("", ()), ("", ()), ("", ())]
    assert warned[0].startswith('5: no key "source"') and warned[1].startswith("6: not JSON (") and len(warned) == 2
    assert [n.partition(":")[2] for n in noted] == (
        [' a JSON object with "source"; read as JSON Lines'] if name == "in.txt" else []
    )


@pytest.mark.parametrize("content", ["{\n", '{"word": "cat"}\n', "{source} is text\n", '["source"]\n'])
def test_braces_in_text_are_text(content: str, tmp_path: Path) -> None:
    assert read(content, PLAIN, tmp_path) == ([(content.rstrip("\n"), ())], [], [])


def test_lines_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"cat\n" + b"\xff\n" * 9)
    warned: list[str] = []
    found = list(read_sources(str(path), PLAIN, warn=warned.append, note=warned.append))
    assert [bool(s and s.problem) for s in found] == [False] + [True] * 9
    assert len(warned) == 4 and "9 lines in all could not be used" in warned[3]


# What the model does not know


@pytest.fixture(scope="session")
def with_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights and the features V, PST and PRS."""
    model = ModelConfig(attention="general", size="small", embedding=6, hidden=8, score_size=8, readout_size=8, tie="none")
    pairs = [Pair("abcd", "ABCD", ("V", "PST"), ""), Pair("dcba", "DCBA", ("V", "PRS"), "")]
    codec = build_codec(pairs, FEATURES)
    parameters = random_parameters(model, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=1)
    folder = tmp_path_factory.mktemp("features") / "model"
    write_folder(folder, FolderConfig(FEATURES, model, (1.0, 5.0), {}), parameters, codec, "# Random\n", [])
    return folder


@pytest.fixture
def run(capsys, monkeypatch):
    """run(*arguments, stdin="") -> (exit status, standard output, lines of standard error)."""

    def call(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        status = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return status, out, err.splitlines()

    return call


def told(err: list[str]) -> list[str]:
    """Without what is said of random weights, which hardly ever write an end."""
    return [line for line in err if "cut at the length limit" not in line]


def test_characters_never_seen(run, model_folder: Path) -> None:
    status, out, err = run("translate", model_folder, "--json", stdin="cat\n주목\n\n12\ncat3\n")
    assert status == 0
    assert [json.loads(line)["unknown"] for line in out.splitlines()] == [[], [0, 1], [], [0, 1], [3]]
    assert told(err) == [
        "warning: standard input:2: 3 lines have characters the model does not know: 주 목 1 2 3 (read as <unk>)"
    ]


def test_features_never_seen_misspelt_none(run, with_features: Path) -> None:
    lines = "abcd\tV;PST\nabcd\tV|PST\nabcd\tV;PSTX\nabcd\nabcd\tPRS\n"
    status, out, err = run("translate", with_features, "--json", stdin=lines)
    assert status == 0 and [json.loads(line)["unknown"] for line in out.splitlines()] == [[], [0], [1], [], []]
    assert told(err) == [
        "warning: standard input:2: 2 lines have features the model does not know: V|PST PSTX (it knows V, PRS, PST; "
        "';' stands between two)",
        "warning: standard input:4: the line has no features; the model was trained with them",
    ]


def test_the_field_in_python_is_silent(with_features: Path, capsys) -> None:
    model = Translator.load(with_features)
    t = model.translate("abxd", features=["V", "PAST"])
    assert t.unknown == (1, 4) and [t.source_tokens[i] for i in t.unknown] == ["‹PAST›", "x"]
    assert model.translate("abcd", features=["V"], beam=3, nbest=2).alternatives[0].unknown == ()
    assert model.score("axd", "A").unknown == (1,)
    assert model.translate("x" * 3000).unknown == tuple(range(3000))
    assert from_json(to_json(t)).unknown == t.unknown
    assert capsys.readouterr() == ("", "")
    old = json.loads(to_json(t))
    del old["unknown"]
    assert from_json(json.dumps(old)).unknown == ()
    for wrong in ([9], [-1], "0", [True]):
        with pytest.raises(DataError, match="unknown"):
            from_json(json.dumps({**old, "unknown": wrong}))


def test_explain_splits_features_and_says_what_is_unknown(run, with_features: Path, model_folder: Path, tmp_path: Path) -> None:
    apart, together = (run("explain", with_features, "abcd", "--features", *f) for f in (("V", "PRS"), ("V;PRS",)))
    assert apart == together and told(apart[2]) == []
    status, out, err = run("explain", with_features, "abzd", "--features", "V|PRS")
    assert status == 0 and "not known to the model, read as <unk>: ‹V|PRS› z" in out.splitlines()[-1]
    assert "features the model does not know: V|PRS" in "\n".join(err) and "characters the model does not know: z" in "\n".join(
        err
    )
    status, _, err = run("explain", model_folder, "cat", "--features", "V", "--out", tmp_path / "a.svg")
    assert status == 0 and "features the model does not know: V (it has none)" in err[0]
    assert "not known to the model" in (tmp_path / "a.svg").read_text()
    t = Translator.load(model_folder).translate("cat1")
    assert all("not known to the model, read as &lt;unk&gt;: 1" in drawn for drawn in (to_svg(t), to_html(t)))
    assert any("blanks" in line for line in run("explain", model_folder, "cat ")[2])


def test_evaluate_and_align_say_it_too(run, with_features: Path, model_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("abcd\tABCD\tV;PST\ndcbx\tDCBA\tV;FUT\nabca\tAXBQ\t\n", encoding="utf-8")
    status, out, err = run("evaluate", with_features, path, "--json", "--metrics", "accuracy")
    assert (
        status == 0 and json.loads(out)["sources with unknown tokens"] == json.loads(out)["sources with unknown features"] == 1
    )
    said = [line.replace(str(path), "t") for line in err]
    assert "warning: t:2: the line has characters the model does not know: x (read as <unk>)" in said
    assert any("t:2: the line has features the model does not know: FUT" in line for line in said)
    assert any("t:3: the line has no features" in line for line in said)
    status, out, err = run("align", with_features, path, "--json")
    said = [line.replace(str(path), "t") for line in err]
    assert status == 0 and json.loads(out.splitlines()[1])["unknown_source"] == ["‹FUT›", "x"]
    assert json.loads(out.splitlines()[2])["unknown_target"] == ["X", "Q"]
    assert "warning: t:3: the line has characters in the target the model does not know: X Q (read as <unk>)" in said
    assert any("FUT" in line for line in said)


def test_too_long_and_cut(run, model_folder: Path, tmp_path: Path) -> None:
    lines = f"cat\n{'a' * 3000}\nwhy\n{'a' * 2500}\n{'a' * 2499}\n"
    status, out, err = run("translate", model_folder, "--max-length", 1, stdin=lines)
    assert status == 0 and [bool(line) for line in out.split("\n")[:4]] == [True, False, True, False]
    assert "warning: standard input:2: 3,000 tokens, at most 2,499; an empty line is written (and 1 more line)" in err
    assert "warning: standard input:1: 3 outputs were cut at the length limit; --max-length sets another" in err
    path = tmp_path / "t.tsv"
    path.write_text(f"cat\tC A T\n{'a' * 3000}\tA\n", encoding="utf-8")
    status, out, err = run("evaluate", model_folder, path, "--max-length", 1, "--json", "--metrics", "accuracy")
    assert status == 0 and json.loads(out)["too long"] == 1
    assert any(f"{path}:2: 3,000 tokens, at most 2,499; an empty output is compared" in line for line in err)
    assert any(f"{path}:1: the output was cut at the length limit" in line for line in err)
    status, _, err = run("align", model_folder, path)
    assert status == 0 and f"{path}:2: the source has 3,000 tokens" in "\n".join(err)
    status, _, err = run("explain", model_folder, "a" * 3000)
    assert status == 2 and any("3,000 tokens, at most 2,499; it is not read" in line for line in err)


def test_blanks_and_invisible_characters_of_sources(run, model_folder: Path) -> None:
    _, _, err = run("translate", model_folder, stdin="cat\ncat  \nw\u200bhy\n")
    said = "\n".join(err)
    assert "standard input:2: 1 source with blanks" in said and "standard input:3: U+200B in 1 source" in said
    _, _, err = run("translate", model_folder, stdin="word\tphones\ncat\tC\n")
    assert "standard input:1: line 1 looks like a header" in "\n".join(err)
