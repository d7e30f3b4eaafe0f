"""What a translator can be asked beside a search: through Python, the command line and JSON, one line or many, for every kind of model."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jumok.cli import main
from jumok.config import ModelConfig, TextConfig
from jumok.errors import ConfigError, DataError
from jumok.explain import from_json, to_json, to_json_line
from jumok.runtime import Translation, Translator, load
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec

WORDS = ["attention", "cat", "zebra", "a", "why", "tatatata"]


def make(path: Path, text: dict[str, Any], model: dict[str, Any], unknown: float = -9.0) -> Translator:
    """A translator of letters into letters apart, with large random weights; `unknown` is the bias of <unk>."""
    t = TextConfig(**{"joint_vocabulary": False, "target_tokenizer": "space", **text})
    c = ModelConfig(
        **{"attention": "general", "embedding": 8, "hidden": 12, "score_size": 6, "readout_size": 9, "tie": "none", **model}
    )
    features = ("V", "PST") if t.features_column else ()
    pairs = [Pair(w, " ".join(w.upper()) if t.target_tokenizer == "space" else w.upper(), features, "") for w in WORDS]
    codec = build_codec(pairs, t)
    arrays = {n: 4 * a for n, a in random_parameters(c, len(codec.source), len(codec.target), 3).items()}
    arrays["readout.bias"][:4] = (-9, -9, 2, unknown)
    write_folder(path, FolderConfig(t, c, (1.0, 4.0), {}), arrays, codec, "card", [])
    return load(path)


MODELS = {
    "soft": {},
    "monotonic": {"alignment": "monotonic", "attention": "dot"},
    "none": {"attention": "none"},
    "reversed": {"reverse_source": True, "bidirectional": False},
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Translator:
    return make(tmp_path_factory.mktemp("asked") / request.param, {"features_column": 3}, MODELS[request.param])


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    return make(tmp_path_factory.mktemp("asked") / "soft", {}, {})


@pytest.fixture
def run(capsys, monkeypatch):
    """run(*arguments, stdin="") -> (exit status, lines of standard output, lines of standard error)."""

    def call(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        status = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return call


def words(t: Translation) -> list[str]:
    return [token for token in t.tokens if token != "</s>"]


LISTED = ["A T", "Z E B R A", "C A T", "T A T A"]
# option: what is given, and what every output then is
ASKED: dict[str, tuple[dict[str, Any], Callable[[Translation], bool]]] = {
    "prefix": ({"prefix": "A T"}, lambda t: t.text.startswith("A T")),
    "prefix_tokens": ({"prefix_tokens": ["Z", "E"]}, lambda t: t.tokens[:2] == ("Z", "E")),
    "forbid": ({"forbid": ["A", "T"]}, lambda t: not {"A", "T"} & set(t.tokens)),
    "forbid_text": ({"forbid_text": ["A T", " E"]}, lambda t: "A T" not in t.text and " E" not in f" {t.text}"),
    "allow": ({"allow": ["A", "T", "E"]}, lambda t: set(words(t)) <= {"A", "T", "E"}),
    "require": ({"require": ["Z", "E B"]}, lambda t: "Z" in words(t) and "E B" in t.text),
    "min_length": ({"min_length": 6}, lambda t: len(t.tokens) >= 6),
    "no_repeat": ({"no_repeat": 1}, lambda t: len(set(words(t))) == len(words(t))),
    "only": ({"only": LISTED}, lambda t: t.text in LISTED and t.finished),
    "only_words": ({"only_words": ["C", "A", "T"]}, lambda t: set(words(t)) <= {"C", "A", "T"}),
    "unknown": ({"unknown": "forbid"}, lambda t: "<unk>" not in t.tokens),
}


@pytest.mark.parametrize("name", ASKED)
def test_it_holds_for_each_line_batched_or_not_and_with_any_beam(model: Translator, name: str) -> None:
    options, holds = ASKED[name]
    beams = (5,) if name == "require" else (1, 5)
    for beam in beams:
        how = {**options, "beam": beam, "nbest": min(beam, 3)}
        together = model.translate([*WORDS, ""], features=[["V"]] * 6 + [[]], batch_size=4, **how)
        assert together[-1].text == "" and together[-1].problem == ""  # a blank line asks for nothing
        for word, t in zip(WORDS, together, strict=False):
            alone = model.translate(word, features=["V"], **how)
            for h, other in zip((t, *t.alternatives), (alone, *alone.alternatives), strict=True):
                assert holds(h), (word, h)
                assert h.tokens == other.tokens and h.log_probability == pytest.approx(other.log_probability, abs=1e-4)
                assert h.problem == "" and h.log_probability > -1e6
                if model.config.model.attention == "none":
                    assert h.weights is None
                else:
                    assert h.weights is not None and h.weights.shape == (len(h.tokens), len(word) + 2)
                    np.testing.assert_allclose(h.weights, other.weights, atol=1e-5)
            given = model.score(word, t.text, ["V"])
            if t.finished and given.tokens == t.tokens:  # what is asked for changes no probability
                assert t.log_probability == pytest.approx(given.log_probability, abs=1e-3)
        found = list(model.translate_lines([(w, ["V"]) for w in WORDS], **how))
        assert [t.tokens for t in found] == [t.tokens for t in together[:-1]]


@pytest.mark.parametrize("name", ASKED)
def test_the_command_line_and_json_say_the_same(soft: Translator, run, name: str, tmp_path: Path) -> None:
    options, holds = ASKED[name]
    words_ = []
    for option, value in options.items():
        if option.startswith("only"):
            (tmp_path / "list").write_text("".join(f"{text}\n" for text in value), encoding="utf-8")
            value = str(tmp_path / "list")
        words_ += [f"--{option.replace('_', '-')}", *(value if isinstance(value, list) else [str(value)])]
    (tmp_path / "in").write_text("cat\nwhy\n", encoding="utf-8")
    wanted = soft.translate(["cat", "why"], beam=5, **options)
    status, out, _ = run("translate", soft.folder, tmp_path / "in", "--beam", "5", "--json", *words_)
    assert status == 0
    for line, t in zip(out, wanted, strict=True):
        again = from_json(line)
        assert holds(again) and again.tokens == t.tokens and again.problem == "" and to_json_line(again) == line
    status, out, _ = run("translate", soft.folder, tmp_path / "in", "--beam", "5", *words_)
    assert (status, out) == (0, [t.text for t in wanted])
    (tmp_path / "t.tsv").write_text("cat\tC A T\nwhy\tW H Y\n", encoding="utf-8")
    outputs = tmp_path / "o.tsv"
    command = ["evaluate", soft.folder, tmp_path / "t.tsv", "--metrics", "accuracy", "--outputs", outputs, "--beam", "5"]
    assert run(*command, *words_)[0] == 0
    assert [line.split("\t")[1] for line in outputs.read_text("utf-8").splitlines()] == [t.text for t in wanted]


def test_what_is_asked_for_stands_beside_the_figures(soft: Translator, run, tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("cat\tC A T\n", encoding="utf-8")
    command = ["evaluate", soft.folder, tmp_path / "t.tsv", "--metrics", "accuracy", "--prefix", "C", "--forbid", "A", "T"]
    status, out, _ = run(*command, "--unknown", "forbid")
    assert status == 0 and out[0].endswith("greedy, prefix C, forbid A T, unknown forbid")


def test_toml_takes_them_too(soft: Translator, run, tmp_path: Path) -> None:
    (tmp_path / "o.toml").write_text('forbid = ["A"]\nno-repeat = 2\nprefix = "T"\nunknown = "forbid"\n', encoding="utf-8")
    status, out, _ = run("translate", soft.folder, "--config", tmp_path / "o.toml", stdin="cat\nwhy\n")
    wanted = soft.translate(["cat", "why"], forbid=["A"], no_repeat=2, prefix="T", unknown="forbid")
    assert (status, out) == (0, [t.text for t in wanted])


# --- a beginning for each line


def test_each_line_has_its_own_beginning(soft: Translator, run, tmp_path: Path) -> None:
    own = ["A T", None, "", "Z", "ZZ", "C "]
    found = soft.translate(WORDS, prefix=own)
    assert [t.problem for t in found] == [""] * 4 + [
        "prefix 'ZZ': the model has no target tokens for 'Z'; give another beginning",
        "",
    ]
    assert found[0].text.startswith("A T") and found[3].text.startswith("Z") and found[5].text.startswith("C ")
    assert found[1].tokens == soft.translate(WORDS)[1].tokens and found[2].tokens == soft.translate(WORDS)[2].tokens
    assert (found[4].text, found[4].tokens, found[4].finished, found[4].log_probability) == ("", (), False, 0.0)
    tokens = soft.translate(WORDS[:2], prefix_tokens=[["A"], ["B", "</s>"]])
    assert tokens[0].tokens[0] == "A" and tokens[1].tokens == ("B", "</s>") and tokens[1].finished

    rows = [{"source": w} | ({} if p is None else {"prefix": p}) for w, p in zip(WORDS, own, strict=True)]
    rows += [{"source": "cat", "prefix_tokens": ["A", "T"]}, {"source": "cat", "prefix": 3}]
    rows += [{"source": "cat", "prefix": "A", "prefix_tokens": ["A"]}, {"source": "cat", "prefix_tokens": "A"}]
    status, out, err = run("translate", soft.folder, "--json", stdin="".join(json.dumps(r) + "\n" for r in rows))
    assert status == 0 and [from_json(line).tokens for line in out[:6]] == [t.tokens for t in found]
    assert from_json(out[4]).problem == found[4].problem and from_json(out[6]).tokens[:2] == ("A", "T")
    told = [line.partition("standard input:")[2] for line in err if "warning" in line and "cut at" not in line]
    assert told == [
        '8: "prefix" is 3; wanted a string; an empty line is written for it',
        '9: "prefix" and "prefix_tokens" are both given; give one of the two; an empty line is written for it',
        "10: \"prefix_tokens\" is 'A'; wanted a list of strings; an empty line is written for it",
        f"5: {found[4].problem}",
    ]

    table = "".join(f"{w}\tgold\t{p or ''}\n" for w, p in zip(WORDS, own, strict=True)) + "cat\n"
    status, out, err = run("translate", soft.folder, "--prefix-column", "3", stdin=table)
    assert (status, out) == (0, [t.text for t in found] + [""])
    assert any("7: the line has 1 column, wanted 3 (source in column 1, prefix in column 3)" in line for line in err)


def test_each_line_has_its_own_required_texts(soft: Translator, run) -> None:
    own = [["Z"], None, ["T A", "Z"], [], ["☃"], ["A B C"]]
    found = soft.translate(WORDS, require=own, prefix=["", "C", None, None, None, None], beam=4)
    assert (
        "Z" in words(found[0]) and {"T A", "Z"} <= {t for t in ("T A", "Z") if t in found[2].text} and found[1].text[0] == "C"
    )
    assert found[3].tokens == soft.translate(WORDS[3], beam=4).tokens
    assert found[4].problem == "require '☃': the model has no target tokens for it; leave it out"
    assert found[5].problem == "" and "A B C" in found[5].text
    narrow = soft.translate(WORDS, require=own, beam=3)
    assert narrow[5].problem.startswith("require: 'A B C' has 3 token(s)") and narrow[5].problem.endswith(
        "beam is 3; give 4 or more"
    )
    rows = [{"source": w} | ({} if r is None else {"require": r}) for w, r in zip(WORDS, own, strict=True)]
    rows += [{"source": "cat", "require": "Z"}, {"source": "cat", "require": [" "]}]
    status, out, err = run("translate", soft.folder, "--beam", "4", stdin="".join(json.dumps(r) + "\n" for r in rows))
    assert status == 0 and out[2:6] == [t.text for t in found[2:]] and out[6:] == ["", ""]
    assert sum("wanted a list of strings" in line for line in err) == 2 and any(found[4].problem in line for line in err)
    listed = soft.translate(WORDS[:3], only=LISTED, require=[["Z"], ["C A"], None])
    assert listed[0].text == "Z E B R A" and listed[1].text == "C A T" and listed[2].text in LISTED
    with pytest.raises(DataError, match="require of line 2 is 'Z'; wanted a sequence of strings, or None"):
        soft.translate(["cat", "why"], require=[["A"], "Z"], beam=4)


def test_a_column_of_beginnings_that_cannot_be(soft: Translator, run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"source": "cat"}\n', encoding="utf-8")
    for file, column, says in (
        (tmp_path / "a.jsonl", 2, 'is JSON Lines; there it is the key "prefix" of each object'),
        ("-", 1, "prefix_column is 1, but that column has the source; give another, or 0 for none"),
        ("-", -1, "prefix_column is -1; it must be 0 or more"),
    ):
        status, out, (line,) = run("translate", soft.folder, file, "--prefix-column", column, stdin="cat\tA\n")
        assert (status, out) == (2, []) and says in line


def test_a_lines_own_beginning_goes_before_that_for_all(soft: Translator, run) -> None:
    lines = '{"source": "cat"}\n{"source": "cat", "prefix": "Z"}\n{"source": "cat", "prefix": ""}\n'
    status, out, _ = run("translate", soft.folder, "--prefix", "T", stdin=lines)
    assert status == 0 and out[0][0] == "T" and out[1][0] == "Z" and out[2] == soft.translate("cat").text
    found = list(soft.translate_lines([("cat", (), "Z"), ("cat", (), ("A", "T")), "cat"], prefix="T"))
    assert [t.tokens[0] for t in found] == ["Z", "A", "T"] and found[1].tokens[1] == "T"


def test_a_beginning_that_is_longer_than_the_limit_has_room(soft: Translator) -> None:
    long = " ".join("ATTENTION" * 4)
    t = soft.translate("a", prefix=long)
    assert t.text.startswith(long) and len(t.tokens) > 36 and not t.problem
    assert len(soft.translate("a", min_length=30, beam=2).tokens) >= 30


# --- impossible and contradictory


BAD: list[tuple[dict[str, Any], str]] = [
    ({"prefix": "A ☃"}, "prefix 'A ☃': the model has no target tokens for '☃'; give another beginning"),
    ({"prefix_tokens": ["A", "cc"]}, "prefix_tokens: 'cc' is not a target token of the model; there are A "),
    ({"prefix_tokens": ["A", "B", "C"], "max_length": 2}, "prefix 'A B C' needs 3 tokens, but max_length is 2"),
    ({"prefix": "A", "prefix_tokens": ["A"]}, "prefix and prefix_tokens are both given"),
    ({"prefix": "A", "forbid": ["A"]}, "prefix 'A': the model has no target tokens that may be written for 'A'"),
    ({"prefix": "A B", "forbid": ["A"]}, "prefix 'A B': it needs the token 'A', which other options forbid"),
    ({"prefix_tokens": ["A"], "allow": ["B"]}, "prefix_tokens: 'A' is a token that other options forbid"),
    ({"prefix": "A B", "forbid_text": ["A B"]}, "prefix 'A B': it has a text that forbid_text forbids"),
    ({"prefix": "A B", "only_words": ["A"]}, "prefix 'A B': it has a word that is not in the list of only_words"),
    ({"prefix_tokens": ["A", "A"], "no_repeat": 1}, r"prefix 'A A': it has the same 1 token\(s\) twice"),
    ({"prefix": "B", "only": ["A"]}, "prefix 'B': none of the outputs of only begins so"),
    ({"forbid": ["a"]}, "forbid: 'a' is not a target token of the model; "),
    ({"forbid": ["</s>"]}, "forbid: '</s>' ends an output and cannot be forbidden; for longer outputs give min_length"),
    ({"forbid": ["A"], "allow": ["A", "B"]}, "allow and forbid both name 'A'"),
    ({"allow": ["<unk>"], "unknown": "forbid"}, "together leave no token that may be written"),
    ({"forbid_text": [""]}, "forbid_text is \\('',\\); it must be texts that are not empty"),
    ({"require": [" "], "beam": 5}, "require is .*; it must be more than blanks"),
    ({"require": ["☃"], "beam": 5}, "require '☃': the model has no target tokens for it"),
    ({"require": ["A"], "forbid": ["A"], "beam": 5}, "require 'A': the model has no target tokens that may be written for it"),
    ({"require": ["A B"], "forbid_text": ["B"], "beam": 5}, "require 'A B' has a text that forbid_text forbids"),
    ({"require": ["A B", "C"]}, r"require: 'A B' 'C' has 3 token\(s\), .* beam is 1; give 4 or more"),
    ({"require": ["A B"], "beam": 4, "groups": 2}, "beam is 4 in 2 groups, 2 in each; give 6 or more"),
    ({"require": ["A B"], "max_length": 1, "beam": 5}, "require 'A B' needs 2 tokens, but max_length is 1"),
    ({"min_length": 4, "max_length": 3}, "min_length is 4 and max_length 3; no output can keep to both"),
    ({"min_length": -1}, "min_length is -1; it must be 0 or more"),
    ({"no_repeat": -1}, "no_repeat is -1; it must be 0 or more"),
    ({"only": []}, "only is an empty list; wanted a file, or one text or more"),
    ({"only": ["☃", "a"]}, "only: none of its 2 outputs can be written with the model's target tokens"),
    ({"only": ["A B"], "min_length": 9}, "only: none of its 1 outputs keeps to the other rules"),
    ({"only_words": ["☃"]}, "only_words: none of its 1 words can be written"),
    ({"only_words": ["A B"]}, "only_words: 'A B' has a blank; wanted one word a line"),
    ({"unknown": "drop"}, "unknown is 'drop'; it can be keep, forbid, copy"),
    ({"forbid": "A"}, "forbid is 'A'; it must be a list of texts"),
]


@pytest.mark.parametrize(("options", "says"), BAD, ids=str)
def test_what_cannot_be_is_one_line(soft: Translator, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        soft.translate("cat", **options)
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match=says):
        soft.translate_lines(["cat"], **options)  # before a line is asked for


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prefix": ["A"]}, r"prefix has 1, but there are 2 line\(s\)"),
        ({"prefix": ["A", 3]}, "prefix of line 2 is 3; wanted a string, or None"),
        ({"prefix_tokens": [["A"], "B"]}, "prefix_tokens of line 2 is 'B'; wanted a sequence of strings"),
        ({"prefix": ["A", "B"], "prefix_tokens": [["A"], []]}, "both have one for each line"),
    ],
)
def test_beginnings_of_wrong_types_are_named(soft: Translator, options: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        soft.translate(["cat", "why"], **options)
    with pytest.raises(DataError, match="prefix of line 2 is 3; wanted a string, a sequence of strings, or None"):
        list(soft.translate_lines(["cat", ("why", (), 3)]))
    with pytest.raises(DataError, match="text is a single one"):
        soft.translate("cat", prefix=["A"])


def test_numpys_numbers_texts_and_arrays_are_as_good_as_pythons(soft: Translator) -> None:
    lines = ["cat", "why"]
    given: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"beam": np.int64(3), "length_penalty": np.float32(0.5)}, {"beam": 3, "length_penalty": 0.5}),
        ({"prefix": np.str_("A")}, {"prefix": "A"}),
        ({"prefix": np.array(["A", "B"])}, {"prefix": ["A", "B"]}),
        ({"prefix_tokens": [np.array(["A"]), None]}, {"prefix_tokens": [["A"], None]}),
        ({"forbid": np.array(["A", "T"])}, {"forbid": ["A", "T"]}),
        ({"only": [np.str_("A T"), "C"]}, {"only": ["A T", "C"]}),
    ]
    for numpys, pythons in given:
        found = soft.translate(np.array(lines), **numpys)  # type: ignore[call-overload]
        assert [t.text for t in found] == [t.text for t in soft.translate(lines, **pythons)]
    alternatives = soft.alternatives("cat", np.array(["A"]), k=np.int64(2))  # type: ignore[call-overload]
    assert len(alternatives) == 2 and alternatives.prefix == ("A",)
    for wrong in ({"beam": np.float64(2)}, {"forbid": np.array([1])}, {"prefix": np.array([1, 2])}):
        with pytest.raises((ConfigError, DataError), match=r"it must be|wanted a string"):
            soft.translate(lines, **wrong)


def test_files_of_lists_that_cannot_be_used(soft: Translator, run, tmp_path: Path) -> None:
    for content, says in (
        (b"", "the list of only is empty; wanted a text a line"),
        (b"\n \n", "the list of only is empty"),
        (b"A\tB\n", ":1: the line has a TAB; wanted one text a line"),
        (b"A\n\xff\n", ":2: bytes that are not UTF-8"),
        (b"\xe2\x98\x83\n", "none of its 1 outputs can be written"),
    ):
        (tmp_path / "list").write_bytes(content)
        status, out, (line,) = run("translate", soft.folder, "--only", tmp_path / "list", stdin="cat\n")
        assert (status, out) == (2, []) and says in line and str(tmp_path / "list") in line
    status, _, (line,) = run("translate", soft.folder, "--only", tmp_path / "no", stdin="cat\n")
    assert status == 2 and f"{tmp_path / 'no'}: there is no such file" in line
    status, _, (line,) = run("translate", soft.folder, "--only", "-", stdin="cat\n")
    assert status == 2 and "come from standard input already" in line


def test_lists_that_can_be_read_only_once(soft: Translator, run, tmp_path: Path) -> None:
    """From standard input and from pipes, where one search follows another."""
    lines = "A T\nC A T\n"
    options = ("--only", "-", "--reference", "A T", "--tree", tmp_path / "t.json")
    status, out, err = run("explain", soft.folder, "cat", *options, stdin=lines)
    assert (status, err) == (0, []) and "reference" in out[-2]
    status, out, err = run("explain", soft.folder, "cat", "--only", "-", "--compare", soft.folder, stdin=lines)
    assert (status, err) == (0, [])
    if not hasattr(os, "mkfifo"):
        return
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(lines, encoding="utf-8"), daemon=True)
    writer.start()
    model = load(soft.folder)
    for _ in range(2):
        assert [t.text for t in model.translate(["cat", "why"], only=str(tmp_path / "pipe"))] == [
            t.text for t in soft.translate(["cat", "why"], only=["A T", "C A T"])
        ]
        os.utime(tmp_path / "pipe", (1, 1))  # as a pipe's time changes while it is written
    writer.join()


def test_a_search_that_finds_nothing_says_so(soft: Translator, run) -> None:
    """No line is lost, nothing hangs, and JSON has no infinities."""
    options = {"forbid_text": list("ATENIOCZBRWHY"), "min_length": 3, "unknown": "forbid"}
    for beam in (1, 3):
        for t in soft.translate(["cat", "why"], beam=beam, max_length=2000, **options):
            assert (t.text, t.tokens, t.finished, t.weights, t.log_probability) == ("", (), False, None, 0.0)
            assert t.problem.startswith("no output of at most 2,000 tokens was found that keeps to the rules")
            assert from_json(to_json(t)).problem == t.problem and t.problem in repr(t)
    words_ = ["--forbid-text", *"ATENIOCZBRWHY", "--min-length", "3", "--unknown", "forbid"]
    status, out, err = run("translate", soft.folder, *words_, stdin="cat\n\nwhy\n")
    assert (status, out) == (0, ["", "", ""])
    assert len(err) == 1 and "standard input:1: no output of at most" in err[0] and "(and 1 more line)" in err[0]


# --- lists


def test_what_a_list_has_and_the_model_cannot_write_is_told_once(soft: Translator, run, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("A T\n☃\nC A T\n", encoding="utf-8")
    with pytest.warns(
        UserWarning, match="1 of 3 outputs cannot be written with the model's target tokens, and are left out: '☃'"
    ):
        first = soft.translate("cat", only=tmp_path / "list")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert soft.translate("cat", only=str(tmp_path / "list")).tokens == first.tokens
    status, out, err = run("translate", soft.folder, "--only", tmp_path / "list", stdin="cat\nwhy\n")
    assert status == 0 and len(out) == 2 and sum("left out" in line for line in err) == 1
    (tmp_path / "list").write_text("Z Z Z\n", encoding="utf-8")
    assert soft.translate("cat", only=tmp_path / "list").text == "Z Z Z"  # the file is read again if it has changed


def test_the_best_of_a_list_is_the_one_with_the_best_score(model: Translator) -> None:
    scores = {text: model.score("zebra", text, ["V"]).score for text in LISTED}
    t = model.translate("zebra", features=["V"], only=LISTED, beam=8, nbest=4)
    assert [h.text for h in (t, *t.alternatives)] == sorted(LISTED, key=lambda text: -scores[text])


def test_a_model_that_was_asked_can_be_pickled(soft: Translator) -> None:
    wanted = soft.translate("cat", only=LISTED, forbid_text=["Z"])
    again = pickle.loads(pickle.dumps(soft))
    assert again.translate("cat", only=LISTED, forbid_text=["Z"]).tokens == wanted.tokens


# --- lists in another Unicode form


@pytest.fixture
def composed(tmp_path: Path) -> Translator:
    """A translator whose targets have letters with marks, each as one character."""
    c = ModelConfig(attention="dot", embedding=8, hidden=12, score_size=6, readout_size=9, tie="none")
    codec = build_codec([Pair("ab", "né", (), ""), Pair("b", "été", (), ""), Pair("c", "각나", (), "")], TextConfig())
    arrays = random_parameters(c, len(codec.source), len(codec.target), 8)
    write_folder(tmp_path / "m", FolderConfig(TextConfig(), c, (1.0, 6.0), {}), arrays, codec, "card", [])
    return load(tmp_path / "m")


ADVICE = "use NFC, as the model's training pairs do"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prefix": "ne\u0301"}, f"prefix 'ne\u0301': the model has no target tokens for 'e\u0301'; {ADVICE}"),
        ({"prefix": "☃"}, "prefix '☃': the model has no target tokens for '☃'; give another beginning"),
        (
            {"require": ["\u1100\u1161\u11a8"], "beam": 8},
            f"require '\u1100\u1161\u11a8': the model has no target tokens for it; {ADVICE}",
        ),
        ({"require": ["x"], "beam": 8}, "require 'x': the model has no target tokens for it; leave it out"),
        ({"only": ["e\u0301te\u0301", "ne\u0301"]}, f"only: none of its 2 outputs can be written with .*; {ADVICE}"),
        ({"only": ["x"]}, "only: none of its 1 outputs can be written with the model's target tokens; give others"),
        ({"only_words": ["e\u0301te\u0301"]}, f"only_words: none of its 1 words can be written with .*; {ADVICE}"),
        ({"forbid": ["e\u0301"]}, "forbid: 'e\u0301' is not a target token of the model; did you mean 'é'[?]"),
        ({"allow": ["e\u0301", "n"]}, "allow: 'e\u0301' is not a target token of the model; did you mean 'é'[?]"),
    ],
)
def test_what_is_asked_for_in_another_form(composed: Translator, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=f"^{said}$"):
        composed.translate("ab", **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"only": ["n", "ne\u0301"]},
            f"only: 1 of 2 outputs cannot be written with .*, and are left out: 'ne\u0301'; {ADVICE}",
        ),
        ({"only": ["n", "☃"]}, "only: 1 of 2 outputs cannot be written with .*, and are left out: '☃'"),
        (
            {"forbid_text": ["n", "e\u0301"]},
            f"forbid_text: no target token has the characters of 'e\u0301', so no output can have it; {ADVICE}",
        ),
        (
            {"forbid_text": ["x", "né", "☃"]},
            "forbid_text: no target token has the characters of 'x' '☃', so no output can have them",
        ),
    ],
)
def test_what_is_listed_in_another_form_is_told(composed: Translator, options: dict[str, Any], said: str) -> None:
    with pytest.warns(UserWarning, match=f"^{said}$"):
        composed.translate("ab", **options)


def test_beginnings_and_references_in_another_form(composed: Translator) -> None:
    with pytest.raises(DataError, match=f"cannot write 'e', which is no token of its target vocabulary; {ADVICE}$"):
        composed.alternatives("ab", "ne\u0301")
    for reference, said in (("ne\u0301", f"does not know 'e'; {ADVICE}"), ("x", "does not know 'x'")):
        found = composed.tree("ab", reference=reference, beam=2).reference
        assert found is not None and found.reason == f"the model {said}"


@pytest.mark.parametrize("options", [{"forbid_text": ["né", " é", "t "]}, {"forbid_text": ["☃"], "unknown": "copy"}], ids=str)
def test_texts_that_could_be_written_are_forbidden_without_a_word(composed: Translator, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        composed.translate("ab", **options)


# --- forms and subwords


def test_composed_characters_are_whole(tmp_path: Path) -> None:
    """가 is not the beginning of 각, and 각 does not have a 가; as tokens, its jamo can be given and go on."""
    text = TextConfig(target_form="NFD")
    c = ModelConfig(attention="dot", embedding=8, hidden=12, score_size=6, readout_size=9, tie="none")
    codec = build_codec([Pair("a", "각", (), ""), Pair("b", "가각나", (), "")], text)
    arrays = {n: 4 * a for n, a in random_parameters(c, len(codec.source), len(codec.target), 8).items()}
    arrays["readout.bias"][:4] = (-9, -9, 0, -9)
    write_folder(tmp_path / "m", FolderConfig(text, c, (1.0, 6.0), {}), arrays, codec, "card", [])
    model = load(tmp_path / "m")
    for beam in (1, 30):
        t = model.translate("ab", prefix="가", beam=beam, nbest=min(beam, 20))
        assert all(h.text.startswith("가") for h in (t, *t.alternatives))
        t = model.translate("ab", prefix_tokens=["\u1100", "\u1161"], beam=beam, nbest=min(beam, 20))
        assert beam == 1 or {"가", "각"} <= {h.text[0] for h in (t, *t.alternatives)}
        t = model.translate("ab", forbid_text=["가"], beam=beam, nbest=min(beam, 20))
        assert all("가" not in h.text for h in (t, *t.alternatives))
        assert model.translate("ab", prefix="각", forbid_text=["가"], beam=beam).text.startswith("각")
    t = model.translate("ab", require=["가"], beam=30, nbest=20)
    assert t.text and all("가" in h.text for h in (t, *t.alternatives))


# --- unknown tokens


@pytest.mark.parametrize("options", [{}, {"alignment": "monotonic"}, {"reverse_source": True, "bidirectional": False}], ids=str)
@pytest.mark.parametrize("beam", [1, 3])
def test_unknowns_are_copied_by_position(tmp_path: Path, options: dict[str, Any], beam: int) -> None:
    model = make(tmp_path / "m", {"features_column": 3, "source_tokenizer": "space"}, options, unknown=6.0)
    source, features = "z e X a ☃", ["V", "PST"]
    how = {"features": features, "beam": beam, "nbest": beam, "min_length": 5}
    kept = model.translate(source, **how)
    t = model.translate(source, **how, unknown="copy")
    seen = set()
    for h, plain in zip((t, *t.alternatives), (kept, *kept.alternatives), strict=True):
        assert h.tokens == plain.tokens and "<unk>" in plain.text and h.weights is not None
        wanted = []
        for token, row in zip(h.tokens, h.weights, strict=True):
            assert h.source_tokens[:2] == ("‹V›", "‹PST›") and h.source_tokens[-1] == "</s>"
            place = 2 + int(np.argmax(row[2:-1]))
            seen |= {place} if token == "<unk>" else set()
            wanted += [] if token == "</s>" else [h.source_tokens[place] if token == "<unk>" else token]
        assert h.text == " ".join(wanted) and "<unk>" not in h.text
        assert [i for i, _ in h.replaced] == [i for i, token in enumerate(h.tokens) if token == "<unk>"]
        assert all(h.source_tokens[s] == wanted[i] for i, s in h.replaced)
        assert from_json(to_json(h)).replaced == h.replaced
    assert seen
    free = model.translate(source, **how, unknown="copy", forbid_text=["e", "☃"])  # a copy that would write one is not made
    assert not {"e", "☃"} & set(free.text.split())
    assert "<unk>" not in model.translate(source, features=features, unknown="forbid").tokens
    grown = model.tree(source, **how, unknown="copy").translation
    assert (grown.text, grown.replaced) == (t.text, t.replaced) and len(grown.alternatives) == len(t.alternatives)


def test_words_are_copied_with_their_blank_or_without(tmp_path: Path) -> None:
    model = make(tmp_path / "m", {"source_tokenizer": "word", "target_tokenizer": "word"}, {"attention": "dot"}, unknown=9.0)
    t = model.translate("Xyz, ☃", unknown="copy")
    assert t.source_tokens == ("▁Xyz", ",", "▁☃", "</s>")
    wanted = "".join(t.source_tokens[dict(t.replaced)[i]] if token == "<unk>" else token for i, token in enumerate(words(t)))
    assert t.replaced and t.text == wanted.removeprefix("▁").replace("▁", " ")
    assert model.translate("Xyz, ☃").replaced == () and "<unk>" in model.translate("Xyz, ☃").text


def test_a_model_without_attention_cannot_copy(tmp_path: Path, run) -> None:
    model = make(tmp_path / "m", {}, {"attention": "none"})
    with pytest.raises(ConfigError, match="unknown is 'copy', but the model has no attention"):
        model.translate("cat", unknown="copy")
    status, out, (line,) = run("translate", model.folder, "--unknown", "copy", stdin="cat\n")
    assert (status, out) == (2, []) and "give keep or forbid" in line


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"replaced": [[0, 9]]}, "replaced: got"),
        ({"replaced": [[True, 0]]}, "replaced: got"),
        ({"replaced": [3]}, "replaced: got 3; expected a position in `tokens` and one in `source_tokens`"),
        ({"replaced": None}, "replaced: got NoneType; expected a list of pairs"),
        ({"problem": 3}, "problem: got int; expected a string"),
    ],
)
def test_json_that_is_wrong_is_named(soft: Translator, changes: dict[str, Any], wanted: str) -> None:
    data = json.loads(to_json(soft.translate("cat")))
    with pytest.raises(DataError, match=wanted):
        from_json(json.dumps(data | changes))
    older = {key: value for key, value in data.items() if key not in ("replaced", "problem")}
    assert from_json(json.dumps(older)).tokens == soft.translate("cat").tokens
