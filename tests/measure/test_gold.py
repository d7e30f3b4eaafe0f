"""Gold and output in one form: whatever blanks or Unicode form the gold has, what the model would write so is right, everywhere."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jumok
from jumok.cli import main
from jumok.config import LearnConfig, ModelConfig, SearchConfig, TextConfig
from jumok.errors import ConfigError
from jumok.learn.evaluation import Development
from jumok.measure import METRICS, MeasureOptions, gold_text, measure, options_for
from jumok.measure.evaluating import evaluate, trained_options
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.studies.outputs import test_set as read_test_set
from jumok.text import TOKENIZERS, Pair, build_codec

WORDS = ["가나 다라", "마바 사아", "ﬁn é", "Ａｂ c", "자차카 타파 하", "né à côté"]
FORMS = ("none", "NFC", "NFD", "NFKC", "NFKD")
CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": lambda t: t,
    "blank at the end": lambda t: t + " ",
    "blank at the start": lambda t: "  " + t,
    "NFC": lambda t: unicodedata.normalize("NFC", t),
    "NFD": lambda t: unicodedata.normalize("NFD", t),
}
OF_FORM = {"NFKC": lambda t: t.replace("A", "Ａ").replace("fi", "ﬁ"), "NFKD": lambda t: t.replace("A", "Ａ").replace("fi", "ﬁ")}


def config(tokenizer: str, form: str) -> TextConfig:
    return TextConfig(target_tokenizer=tokenizer, target_form=form, bpe_size=60)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A model with random weights for a target tokenizer and form."""
    made: dict[Any, Any] = {}

    def model(tokenizer: str, form: str, training: dict[str, Any] | None = None) -> Any:
        key = tokenizer, form, json.dumps(training)
        if key not in made:
            sizes = {"embedding": 6, "hidden": 8, "score_size": 8, "readout_size": 8, "tie": "none"}
            net, text = ModelConfig(attention="general", size="small", **sizes), config(tokenizer, form)  # type: ignore[arg-type]
            codec = build_codec([Pair(w, w) for w in WORDS], text)
            parameters = random_parameters(net, len(codec.source), len(codec.target), seed=5)
            folder = tmp_path_factory.mktemp("model") / "m"
            write_folder(folder, FolderConfig(text, net, (1.0, 5.0), training or {}), parameters, codec, "# random\n", [])
            made[key] = jumok.load(folder)
        return made[key]

    return model


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_what_the_model_wrote_is_right_in_any_form(tokenizer: str, form: str, models: Callable[..., Any]) -> None:
    model = models(tokenizer, form)
    written = [(t.source, t.text) for t in model.translate(list("abcdefgh") + WORDS) if t.text.strip()]
    assert written
    changes = CHANGES | ({"compatibility": OF_FORM[form]} if form in OF_FORM else {})
    if tokenizer == "space":
        changes |= {"double blanks": lambda t: t.replace(" ", "   ")}
    for name, change in changes.items():
        said: list[str] = []
        pairs = [Pair(source, change(text), (), f"t.tsv:{i}") for i, (source, text) in enumerate(written, 1)]
        found = evaluate(model, pairs, ("accuracy", "token-error-rate"), warn=said.append)
        said = [warning for warning in said if "in the form of outputs" in warning]
        assert [m.value for m in found.metrics.values()] == [100, 0], name
        moved = sum(p.target != r[0] for p, r in zip(pairs, found.gold.references, strict=True))
        assert found.gold.rewritten == moved and len(said) == bool(moved)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_dev_while_training_compares_alike(tokenizer: str, form: str) -> None:
    codec = build_codec([Pair(w, w) for w in WORDS], config(tokenizer, form))
    every = [(w, change(w)) for w in WORDS for change in CHANGES.values()]
    pairs = [Pair(str(i), changed) for i, (_, changed) in enumerate(every)]
    dev = Development(pairs, codec, (1.0, 5.0), LearnConfig(metric="chrf"))
    found = dev._measured([codec.encode_target(w)[:-1] for w, _ in every], 1.0, 0.0)
    assert (found["accuracy"], found["token-error-rate"], found["chrf"]) == (100, 0, 100)


@given(
    st.lists(st.text(alphabet="ab  ▁é가ﬁ\u0301\u1100\u1161,", max_size=8), min_size=1),
    st.sampled_from(FORMS),
    st.sampled_from(list(TOKENIZERS)),
)
def test_written_is_what_comes_out_of_the_tokens(texts: list[str], form: str, tokenizer: str) -> None:
    codec = build_codec([Pair("a", text) for text in [*texts, "a"]], config(tokenizer, form))
    once = codec.written(texts)
    assert once == [codec.decode_target(codec.encode_target(text)) for text in texts]
    assert codec.written(once) == once
    if tokenizer != "space" and form == "none":
        assert once == texts


def test_one_warning_counts_and_shows_the_first() -> None:
    codec = build_codec([Pair("a", "A B")], config("space", "NFC"))
    targets = ["A B", "A B ", "A  B", unicodedata.normalize("NFD", "é A"), " " + unicodedata.normalize("NFD", "é")]
    pairs = [Pair("s", t, (), f"gold.tsv:{i}") for i, t in enumerate(targets, 1)]
    said: list[str] = []
    found = gold_text(pairs, codec.written, said.append)
    assert found.references == [["A B", "é A", "é"]] and found.rewritten == 4  # those that became equal count once
    (line,) = said
    assert line.startswith("gold.tsv: 4 of 5 targets") and "\n" not in line
    assert "blanks in 2" in line and "Unicode form in 1" in line and "blanks and Unicode form in 1" in line
    assert "gold.tsv:2: 'A B ' as 'A B'" in line
    said.clear()
    gold_text(pairs[3:4], codec.written, said.append)
    assert r"'e\u0301 A' as '\xe9 A'" in said[0]  # what looks the same is told by its code points
    gold_text(pairs[:1], codec.written, pytest.fail)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_says_the_form_and_takes_both_sides_alike(name: str) -> None:
    options = MeasureOptions(form="NFC")
    a, b = "né à la côte, là", unicodedata.normalize("NFD", "né à la côte, là") + " "
    for hypothesis, reference in ((a, b), (b, a)):
        found = measure(name, [hypothesis], [[reference]], options)
        assert found.value == measure(name, [a], [[a]], options).value
        assert "form:NFC,trimmed" in found.signature
    assert "form" not in measure(name, [a], [[a]]).signature
    two = measure(name, [a], [[a, b]], options)
    assert two.signature == measure(name, [a], [[a]], options).signature  # one reference, though in two forms


# -- the command line, studies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["tsv", "jsonl"])
def test_evaluate_of_gold_in_another_form(suffix: str, models: Callable[..., Any], tmp_path: Path, capsys: Any) -> None:
    model = models("char", "NFD")
    written = [(t.source, t.text) for t in model.translate(WORDS) if t.text.strip()]
    gold = [(source, unicodedata.normalize("NFD", text) + " ") for source, text in written]
    rows = [json.dumps({"source": s, "target": t}) if suffix == "jsonl" else f"{s}\t{t}" for s, t in gold]
    (tmp_path / f"t.{suffix}").write_text("\n".join(rows) + "\n", encoding="utf-8")
    command = ["evaluate", str(model.folder), str(tmp_path / f"t.{suffix}"), "--metrics", "accuracy", "token-error-rate"]
    assert main([*command, "--json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert [facts["metrics"][n]["value"] for n in ("accuracy", "token-error-rate")] == [100, 0]
    assert (
        facts["targets put in the model's form"] == len(gold)
        and err.count("in the form of outputs") == 1
        and f"t.{suffix}:1: " in err
    )


def test_evaluate_takes_the_unit_of_the_training(models: Callable[..., Any], tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "t.tsv").write_text("a\t가나다라마\n", encoding="utf-8")
    for training, options, tok, unit in (
        ({"learn": {"tokenize": "char"}}, (), "char", "char"),
        ({"learn": {"tokenize": "13a"}}, (), "13a", "space"),
        ({}, (), "13a", "space"),  # a folder from before
        ({"learn": "damaged"}, (), "13a", "space"),
        ({"learn": {"tokenize": "char"}}, ("--tokenize", "intl"), "intl", "char"),
    ):
        model = models("word", "none", training)
        assert main(["evaluate", str(model.folder), str(tmp_path / "t.tsv"), *options]) == 0
        out = capsys.readouterr().out
        assert f"|tok:{tok}|smooth" in out and f"|tok:{unit}|near" in out
        assert trained_options(model).form == "NFC"


def test_evaluate_refuses_what_would_do_nothing(model_folder: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "t.tsv").write_text("cat\tC A T\n", encoding="utf-8")
    assert main(["evaluate", str(model_folder), str(tmp_path / "t.tsv"), "--beam", "3", "--nbest", "2"]) == 2
    assert "--nbest is 2" in capsys.readouterr().err
    assert main(["evaluate", str(model_folder), str(tmp_path / "t.tsv"), "--metrics"]) == 2
    assert "--metrics has no value" in capsys.readouterr().err
    (tmp_path / "o.toml").write_text("metrics = []\n", encoding="utf-8")
    assert main(["evaluate", str(model_folder), str(tmp_path / "t.tsv"), "--config", str(tmp_path / "o.toml")]) == 2
    assert "no metric is asked for; there are accuracy, " in capsys.readouterr().err
    with pytest.raises(ConfigError, match="there is no option 'nbest'"):
        evaluate(jumok.load(model_folder), [Pair("cat", "C")], beam=2, nbest=2)


def test_search_options_are_passed_whole(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field of SearchConfig arrives, one that comes later, too."""
    from jumok.decode.translator import Translator

    seen: list[dict[str, Any]] = []
    for name in ("translate", "translate_lines"):
        real = getattr(Translator, name)
        monkeypatch.setattr(Translator, name, lambda self, *a, real=real, **o: (seen.append(o), real(self, *a, **o))[1])
    (tmp_path / "t.tsv").write_text("cat\tC A T\n", encoding="utf-8")
    options = ["--beam", "3", "--length-penalty", "0.5", "--max-length", "4", "--batch-size", "7"]
    assert main(["evaluate", str(model_folder), str(tmp_path / "t.tsv"), *options]) == 0
    assert main(["translate", str(model_folder), str(tmp_path / "t.tsv"), *options]) == 0
    wanted = vars(SearchConfig(beam=3, length_penalty=0.5, max_length=4, batch_size=7))
    assert [{k: o.get(k) for k in wanted} for o in seen] == [wanted, wanted]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_study_puts_gold_into_the_form_of_its_models(tokenizer: str, tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "가나 다")
    rows = [{"source": "a", "target": decomposed + " "}, {"source": "a", "target": "가나 다"}, {"source": "b", "target": "ﬁ"}]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = read_test_set(tmp_path, {"target_tokenizer": tokenizer, "target_form": "NFKC"}, "char")
    assert found.references == [["가나 다"], ["fi"]]
    assert found.options == options_for(config(tokenizer, "NFKC"), "char")


@pytest.mark.parametrize(
    ("targets", "tokenize", "told"),
    [
        (["a b ."] * 10, "13a", 10),
        (["a b ."] * 10, "intl", 10),
        (["a b ."] * 9 + ["a ?"] * 50, "13a", 0),
        (["a b ."] * 10 + ["a b."] * 9 + ["a b"] * 50, "13a", 10),
        (["a b ."] * 10 + ["a b."] * 10, "13a", 0),
        (["a b ."] * 200, "none", 0),
        (["a b ."] * 200, "char", 0),
        (["a b …", "...", "a."] * 20, "13a", 0),
    ],
)
def test_text_that_is_cut_already_is_told_once(
    targets: list[str], tokenize: str, told: int, models: Callable[..., Any], capfd: Any
) -> None:
    pairs = [Pair(f"s{i}", target) for i, target in enumerate(targets)]
    for metric, name in ("bleu", "evaluate"), ("chrf", "evaluate"), ("bleu", "training"), ("chrf", "training"):
        said: list[str] = []
        if name == "evaluate":
            evaluate(models("char", "none"), pairs, metric, tokenize=tokenize, warn=said.append)
        else:
            codec = build_codec(pairs, config("char", "none"))
            Development(pairs, codec, (1.0, 5.0), LearnConfig(metric=metric, tokenize=tokenize), warn=said.append)
        said = [line for line in said if "cuts them again" in line]
        assert [line.split()[0] for line in said] == [str(told)] * (told > 0 and metric == "bleu")
        assert all("--tokenize none" in line and f"tokenize is {tokenize})" in line for line in said)
    measure("bleu", ["a b ."] * 200, [["a b ."]] * 200, MeasureOptions(tokenize="13a"))
    assert "period" not in capfd.readouterr().err  # sacrebleu's own warning, of a parameter that Jumok has not
