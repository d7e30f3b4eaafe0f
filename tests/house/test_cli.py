"""The command line as a person meets it: a line out for a line in, errors of one line with what to do, never a traceback."""

import gzip
import io
import json
import sys

import pytest

from jumok.cli import COMMANDS, main


@pytest.fixture
def run(capsys, monkeypatch):
    """run(*arguments, stdin=b"") -> (exit status, standard output, standard error)."""

    def call(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as e:  # tyro's own way out of --help and of wrong options
            status = e.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return call


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(run, name):
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"jumok {name}" in out


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
    assert status == 2 and "no attention weights" in err


def test_explain_shows_entropy_margin_and_coverage(run, model_folder):
    _, out, _ = run("explain", model_folder, "cat")
    head, *_, foot, text, words = out.rstrip("\n").split("\n")
    assert head.split() == ["c", "a", "t", "</s>", "bits", "margin"] and foot.split()[0] == "sum" and len(foot.split()) == 5
    assert "log-probability" in text and words.startswith("entropy")


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
    assert status == 2 and "one of .svg, .html, .csv, .json was wanted for a comparison" in err
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
