"""The command line as a person meets it: a line out for a line in, errors of one line with what to do, never a traceback."""

import gzip
import io
import json
import re
import sys

import pytest

from jumok import cli, config, explain
from jumok.cli import COMMANDS, main
from jumok.errors import JumokError


@pytest.fixture
def run(capsys, monkeypatch):
    """run(*arguments, stdin=b"") -> (exit status, standard output, standard error)."""

    def call(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        status = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return call


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(run, name):
    status, out, _ = run(name, "--help")
    assert status == 0
    assert (
        f"usage: jumok {name}" in out and f"$ jumok {name}" in out.replace("echo attention | ", "") and "Read on: docs/" in out
    )
    assert not any(len(line) > 80 for line in out.splitlines() if "$ " not in line)
    assert all(option.strip("-") in out for option in ("--config", "--help"))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_help_give_options_that_there_are(run, name):
    _, out, _ = run(name, "--help-all") if COMMANDS[name][0].GROUPS else run(name, "--help")
    examples = [line for line in out.splitlines() if line.startswith("  $ ")]
    known = set(re.findall(r"^  (--[a-z-]+)", out, re.MULTILINE))
    assert examples and set(re.findall(r"--[a-z-]+", " ".join(examples))) <= known
    assert all(f"jumok {name} " in f"{line} " for line in examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_a_default_only_as_it_can_be_typed(run, tmp_path, name):
    (tmp_path / "empty.toml").write_text("", encoding="utf-8")
    page = "--help-all" if COMMANDS[name][0].GROUPS else "--help"
    _, out, _ = run(name, "--config", tmp_path / "empty.toml", page)
    defaults = re.findall(r"[(;] ?default ([^)]*)\)", " ".join(out.split()))
    assert all(re.fullmatch(r"[\w.,/; -]+", default) for default in defaults), defaults


def test_a_folder_named_as_a_part_of_the_config_keeps_its_value(run, tmp_path):
    """`jumok study` has a model folder, and a part `model` with the sizes of networks."""
    assert config.value_of(COMMANDS["study"][0](name="faithful"), "model") == ""
    (tmp_path / "s.toml").write_text("model = 'greek'\nhidden = 64\n", encoding="utf-8")
    _, out, _ = run("study", "--config", tmp_path / "s.toml", "--help")
    assert "default greek)" in out


def test_help_of_train_shows_twenty_options_and_help_all_the_rest(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, short, _ = run("train", "--help")
    _, full, _ = run("train", "--help-all")
    shown = re.findall(r"^  (\[PAIRS\]|--[a-z-]+)", short, re.MULTILINE)
    every = {("no-" * (f.default is True)) + config.flag(f.name) for f in config.options(config.TrainConfig).values()}
    assert short.count("\n") <= 60 and len(set(shown) - {"--help", "--help-all"}) == 20
    assert {"--minutes", "--epochs", "--steps", "--out", "--attention", "--resume"} <= set(shown)
    assert every - set(re.findall(r"^  --([a-z-]+)", full, re.MULTILINE)) == {"pairs"}
    assert f"Show all {len(every) + 6} options" in short  # config, resume, overwrite, quiet, profile, tensorboard


def test_help_shows_what_the_file_of_options_sets(run, tmp_path):
    (tmp_path / "r.toml").write_text("hidden = 64\nattention = 'concat'\nbidirectional = false\n", encoding="utf-8")
    _, out, _ = run("train", "--config", tmp_path / "r.toml", "--help")
    assert "default concat" in out and "default 64" in out and "--bidirectional" in out


CONFIGS = {
    "translate": ("beam = 3\nnbest = 2\n", ["MODEL", "LINES"], ["--beam", "3", "--nbest", "2"]),
    "evaluate": ("metrics = ['accuracy']\n[search]\nbeam = 2\n", ["MODEL", "PAIRS"], ["--metrics", "accuracy", "--beam", "2"]),
    "explain": ("beam = 2\n", ["MODEL", "cat"], ["--beam", "2"]),
    "align": ("method = 'path'\njson = true\n", ["MODEL", "PAIRS"], ["--method", "path", "--json"]),
    "info": ("json = true\n", ["MODEL"], ["--json"]),
}


@pytest.mark.parametrize("command", CONFIGS)
def test_config_is_the_options_in_a_file_for_every_command(run, tmp_path, model_folder, command):
    text, rest, same = CONFIGS[command]
    (tmp_path / "lines").write_text("cat\nzebra\n", encoding="utf-8")
    (tmp_path / "p.tsv").write_text("cat\tC A T\nzebra\tZ\n", encoding="utf-8")
    file = tmp_path / "r.toml"
    file.write_text(text, encoding="utf-8")
    names = {"MODEL": model_folder, "LINES": tmp_path / "lines", "PAIRS": tmp_path / "p.tsv"}
    arguments = [command, *(names.get(word, word) for word in rest)]
    plain, written = run(*arguments, *same), run(*arguments, "--config", file)
    assert plain == written and plain[0] == 0 and plain[1] != run(*arguments)[1]
    if "[" not in text:
        file.write_text(f"model = {json.dumps(str(model_folder))}\n{text}", encoding="utf-8")
        if len(rest) == 1:
            assert run(command, "--config", file) == plain  # what stands by its place can come from the file, too
    file.write_text("bem = 3\n", encoding="utf-8")
    status, _, err = run(*arguments, "--config", file)
    assert status == 2 and "r.toml: there is no option 'bem'" in err and err.count("\n") == 1


def test_wrong_values_in_a_file_of_options(run, tmp_path, model_folder):
    file = tmp_path / "r.toml"
    for text, says in (
        ("nbest = 3\n", "r.toml: nbest is 3; it must be at most beam (1)"),
        ("beam = 'many'\n", "r.toml: beam is 'many'; it must be a whole number"),
        ("config = 'x.toml'\n", "config is for the command line only"),
    ):
        file.write_text(text, encoding="utf-8")
        status, _, err = run("translate", model_folder, "--config", file)
        assert status == 2 and says in err and err.count("\n") == 1
    for text in ("metrics = 'accuracy'\n", "metrics = [1]\n"):
        file.write_text(text, encoding="utf-8")
        status, _, err = run("evaluate", model_folder, tmp_path / "none.tsv", "--config", file)
        assert status == 2 and "metrics is" in err and "it must be a list of texts" in err


def test_a_study_has_its_own_defaults_under_those_of_a_file(run, tmp_path, monkeypatch):
    seen = {}

    def study(name, pairs, **settings):
        seen.update(settings, name=name)
        raise JumokError("seen")

    monkeypatch.setattr("jumok.studies.command.study", study)
    (tmp_path / "r.toml").write_text("attention = 'dot'\n[learn]\nepochs = 2\n[plan]\nseeds = 4\n", encoding="utf-8")
    run("study", "bottleneck", "--out", tmp_path / "s", "--config", tmp_path / "r.toml")
    assert (seen["name"], seen["attention"], seen["epochs"], seen["seeds"]) == ("bottleneck", "dot", 2.0, 4)
    assert "bidirectional" not in seen  # as the study has it
    (tmp_path / "r.toml").write_text("name = 'exposure'\n", encoding="utf-8")
    run("study", "--out", tmp_path / "s", "--config", tmp_path / "r.toml")
    assert seen["name"] == "exposure"


def test_a_command_is_a_file(run, monkeypatch, tmp_path):
    (tmp_path / "shout.py").write_text(
        "from dataclasses import dataclass\n"
        "from jumok.cli._options import Options, Positional\n\n\n"
        '@dataclass(frozen=True)\nclass Shout(Options):\n    """Print a word in capitals.\n\n    jumok shout cat\n    """\n\n'
        '    word: Positional[str]\n    """The word."""\n\n\n'
        "def shout(o, given):\n    print(o.word.upper())\n    return 0\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    monkeypatch.setattr(cli, "COMMANDS", cli._Commands())
    assert run("shout", "cat") == (0, "CAT\n", "")
    assert "$ jumok shout cat" in run("shout", "--help")[1] and "shout       Print a word" in run("--help")[1]
    (tmp_path / "r.toml").write_text("word = 'dog'\n", encoding="utf-8")
    assert run("shout", "--config", tmp_path / "r.toml") == (0, "DOG\n", "")


def test_overview_and_version(run):
    status, out, _ = run("--help")
    assert status == 0 and all(name in out for name in COMMANDS)
    assert run()[1] == out
    assert run("--version")[1].startswith("jumok 0")


def test_wrong_command_and_option(run):
    status, _, err = run("trian")
    assert status == 2 and "did you mean 'train'" in err
    status, _, err = run("train", "x.tsv", "--atention", "dot")
    assert status == 2 and "attention" in err


BAD_PAIRS = {
    "empty file": (b"", "no pairs"),
    "missing column": (b"a\tb\njust one\n", ".tsv:2:"),
    "not UTF-8": (b"a\tb\n\xff\xfe\tb\n", ".tsv:2:"),
    "a NUL": (b"a\tb\nc\x00\td\n", ".tsv:2:"),
    "a line of a million characters": (b"a\tb\n" + b"x" * 1_000_001 + b"\ty\n", ".tsv:2:"),
    "only empty sides": (b"\tb\na\t\n", ".tsv:1:"),
    "damaged gzip": (gzip.compress(b"a\tb\n" * 999)[:-9], "pairs.tsv"),
}


@pytest.mark.parametrize("bad", BAD_PAIRS)
def test_bad_training_pairs(run, tmp_path, bad):
    data, named = BAD_PAIRS[bad]
    pairs = tmp_path / ("pairs.tsv.gz" if "gzip" in bad else "pairs.tsv")
    pairs.write_bytes(data)
    status, out, err = run("train", pairs, "--out", tmp_path / "model", "--steps", "1")
    assert status == 2 and not out
    assert str(pairs) in err and named in err
    assert not (tmp_path / "model").exists()


def test_missing_files_are_named(run, tmp_path, model_folder):
    for arguments in (
        ("train", tmp_path / "none.tsv", "--out", tmp_path / "m"),
        ("train", tmp_path / "p.tsv", "--config", tmp_path / "none.toml"),
        ("translate", tmp_path / "none"),
        ("translate", model_folder, tmp_path / "none.txt"),
        ("evaluate", model_folder, tmp_path / "none.tsv"),
        ("explain", tmp_path / "none", "word"),
        ("info", tmp_path / "none"),
    ):
        status, out, err = run(*arguments)
        assert status == 2 and "none" in err and not out, arguments


def test_bom_crlf_and_dev_equal_to_train(run, tmp_path):
    lines = b"".join(b"%c%c\t%c\r\n" % (a, b, a) for a in b"abcdef" for b in b"ghijkl")
    (tmp_path / "p.tsv").write_bytes(b"\xef\xbb\xbf" + lines)
    status, _, err = run("train", tmp_path / "p.tsv", "--dev", tmp_path / "p.tsv", "--out", tmp_path / "m")
    assert status == 2 and "dev" in err
    assert "BOM" in err and "CRLF" in err


def test_a_line_out_for_every_line_in(run, model_folder, tmp_path):
    file = tmp_path / "in.txt"
    file.write_bytes(b"cat\n\n   \nbad \xff byte\nNUL \x00 here\n" + b"y" * 1_000_001 + b"\n\xf0\x9f\x98\x80\nlast without end")
    for options in ((), ("--beam", 3), ("--beam", 3, "--nbest", 2), ("--json",), ("--batch-size", 1)):
        status, out, err = run("translate", model_folder, file, *options)
        lines = out.split("\n")
        assert status == 0 and len(lines) == 9 and lines[-1] == ""
        assert all(f"in.txt:{n}:" in err for n in (4, 5, 6))
        if "--json" in options:
            assert [json.loads(line)["source"] for line in lines[:2]] == ["cat", ""]
        else:
            assert lines[0] and not lines[1].strip("\t0.-")


def test_translate_takes_gzip_and_empty_input(run, model_folder, tmp_path):
    with gzip.open(tmp_path / "in.gz", "wb") as f:
        f.write(b"cat\nzebra\n")
    assert run("translate", model_folder, tmp_path / "in.gz")[1].count("\n") == 2
    (tmp_path / "empty").write_bytes(b"")
    assert run("translate", model_folder, tmp_path / "empty") == (0, "", "")


def test_nbest_more_than_beam(run, model_folder):
    status, _, err = run("translate", model_folder, "--nbest", 3)
    assert status == 2 and "nbest is 3" in err and "beam" in err


@pytest.mark.parametrize("option", ["--length-penalty", "--coverage-penalty", "--length-norm"])
def test_what_ranks_a_beam_does_nothing_without_one(run, model_folder, option):
    value = "wu" if option == "--length-norm" else 0.5
    plain = run("translate", model_folder, stdin=b"cat\n")
    status, out, err = run("translate", model_folder, option, value, stdin=b"cat\n")
    assert (status, out) == plain[:2] and f"warning: {option} has no effect on what is written" in err
    assert "no effect" not in run("translate", model_folder, "--beam", 3, option, value, stdin=b"cat\n")[2]


def test_evaluate_prints_signatures_and_json(run, model_folder, tmp_path):
    test = tmp_path / "test.tsv"
    test.write_text("cat\tC A T\ncat\tK A T\nzebra\tZ\n", encoding="utf-8")
    status, out, _ = run("evaluate", model_folder, test, "--outputs", tmp_path / "out.tsv")
    assert status == 0 and "2 sources" in out
    assert all(name in out for name in ("accuracy|refs:var", "token-error-rate|", "BLEU|", "chrF2|"))
    rows = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["cat", "zebra"] and rows[0][2:] == ["C A T", "K A T"]
    status, out, _ = run("evaluate", model_folder, test, "--json", "--metrics", "accuracy", "--beam", 2)
    assert json.loads(out)["metrics"]["accuracy"]["detail"]["wer"] <= 100
    status, _, err = run("evaluate", model_folder, test, "--metrics", "blue")
    assert status == 2 and "bleu" in err


def test_explain_draws_and_writes(run, model_folder, tmp_path):
    status, out, _ = run("explain", model_folder, "cat")
    assert status == 0 and "c" in out and "</s>" in out
    for suffix in (".svg", ".html", ".csv", ".json", ".png"):
        status, out, _ = run("explain", model_folder, "cat", "--out", tmp_path / f"p{suffix}")
        assert status == 0 and (tmp_path / f"p{suffix}").stat().st_size > 100
    status, _, err = run("explain", model_folder, "cat", "--out", tmp_path / "p.docx")
    assert status == 2 and ".svg" in err
    status, _, err = run("explain", model_folder, "   ")
    assert status == 2 and "no attention weights, because an empty source is not read" in err
    status, _, err = run("explain", model_folder, "c" * 3000)
    assert status == 2 and "no attention weights, because the source is too long to be read" in err


def test_explain_searches_as_translate_does(run, model_folder, tmp_path):
    out = tmp_path / "cat.json"
    status, shown, _ = run("explain", model_folder, "cat", "--beam", 4, "--nbest", 3, "--length-penalty", 0, "--out", out)
    assert status == 0
    t = explain.from_json(out.read_text(encoding="utf-8"))
    assert shown.splitlines()[0] == t.text and len(t.alternatives) == 2
    (line,) = run("translate", model_folder, "--beam", 4, "--nbest", 3, "--length-penalty", 0, stdin=b"cat\n")[1].splitlines()
    assert line.split("\t")[::2] == [t.text, *(a.text for a in t.alternatives)]
    assert run("explain", model_folder, "cat", "--max-length", 1)[2].count("cut at the length limit") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--batch-size", 8), "batch_size is 8, but explain reads one line: leave it out"),
        (("--beam", 3, "--nbest", 2), "nbest is 2, but a picture shows one output: give --out FILE.json"),
        (("--beam", 3, "--nbest", 2, "--out", "a.svg"), "nbest is 2, but a picture shows one output"),
        (("--beam", 3, "--nbest", 2, "--out", "a.json", "--compare", "b"), "nbest is 2, but a picture shows one output"),
        (("--sample", 3), "sample is 3, but a picture shows one output: give --out FILE.json"),
        (("--sample", 3, "--out", "a.svg"), "sample is 3, but a picture shows one output"),
        (("--nbest", 2), "nbest is 2; it must be at most beam (1)"),
    ],
)
def test_options_that_explain_cannot_use(run, model_folder, options, says):
    status, out, err = run("explain", model_folder, "cat", *options)
    assert (status, out, err.count("\n")) == (2, "", 1) and says in err


def test_explain_shows_entropy_margin_and_coverage(run, model_folder):
    _, out, _ = run("explain", model_folder, "cat")
    head, *_, foot, text, words = out.rstrip("\n").split("\n")
    assert (
        head.split() == ["c", "a", "t", "</s>", "bits", "margin", "p"] and foot.split()[0] == "sum" and len(foot.split()) == 5
    )
    assert "log-probability" in text and "weakest token" in text and words.startswith("entropy")


def test_explain_compares_two_models(run, model_folder, tmp_path):
    status, out, _ = run("explain", model_folder, "cat", "--compare", model_folder)
    assert status == 0 and out.split("\n")[1].split()[-1] == "apart" and "is 0.00 apart" in out
    (tmp_path / "other").symlink_to(model_folder)
    _, out, _ = run("explain", model_folder, "cat", "--compare", tmp_path / "other")
    assert out.split("\n")[0].split() == ["model", "other"]  # by their folders' names, where these differ
    for suffix in (".svg", ".html", ".csv", ".json"):
        status, out, _ = run("explain", model_folder, "cat", "--compare", model_folder, "--out", tmp_path / f"c{suffix}")
        assert status == 0 and out.endswith(f"c{suffix}\n") and (tmp_path / f"c{suffix}").stat().st_size > 100
    status, _, err = run("explain", model_folder, "cat", "--compare", model_folder, "--out", tmp_path / "c.png")
    assert status == 2 and "must be one of .svg, .html, .csv, .json for a comparison" in err
    status, out, err = run("explain", model_folder, "cat", "--compare", tmp_path / "absent")
    assert status == 2 and "absent" in err and not out
    status, _, err = run("explain", model_folder, "  ", "--compare", model_folder)
    assert status == 2 and "no attention weights" in err


def test_info(run, model_folder):
    status, out, _ = run("info", model_folder)
    assert status == 0 and "general: h_t · W_a h̄_s" in out
    assert json.loads(run("info", model_folder, "--json")[1])["parameters"] > 0


def test_toml_sets_options_and_the_command_line_goes_over_it(run, tmp_path):
    pairs, toml = tmp_path / "p.tsv", tmp_path / "run.toml"
    pairs.write_text("".join(f"{a}{b}\t{b}{a}\n" for a in "abcdef" for b in "ghijkl"), encoding="utf-8")
    toml.write_text('attention = "dot"\n[learn]\nsteps = 3\nseed = 7\n[model]\nhidden = 8\nembedding = 4\n', encoding="utf-8")
    status, _, err = run("train", pairs, "--out", tmp_path / "m", "--config", toml, "--seed", 9)
    assert status == 0, err
    written = json.loads((tmp_path / "m" / "config.json").read_text())["training"]
    assert (written["model"]["attention"], written["learn"]["steps"], written["learn"]["seed"]) == ("dot", 3, 9)
    toml.write_text("hiden = 8\n", encoding="utf-8")
    status, _, err = run("train", pairs, "--out", tmp_path / "n", "--config", toml)
    assert status == 2 and "did you mean 'hidden'" in err and "run.toml" in err
    toml.write_text("hidden = \n", encoding="utf-8")
    status, _, err = run("train", pairs, "--out", tmp_path / "n", "--config", toml)
    assert status == 2 and "not TOML" in err
