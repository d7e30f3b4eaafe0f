"""Minimum Bayes risk by hand and beside its definition; and sampling and rankings through the command line, Python and JSON."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import CHAINS

import jumok
from jumok.cli import main
from jumok.config import ModelConfig, SearchConfig, TextConfig
from jumok.decode.hypotheses import Hypothesis
from jumok.decode.risk import least_risk
from jumok.decode.translator import Translator
from jumok.errors import ConfigError, MissingExtra
from jumok.explain import from_json, to_json_line
from jumok.measure import METRICS, MeasureOptions, measure, utilities
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec
from jumok.text.vocabulary import END

WORDS = ["cat", "zebra", "jumok", "why", "tatata"]


def make(path: Path, **options: object) -> Translator:
    """A translator of letters into phones, with random weights, most of whose outputs end."""
    text = TextConfig(target_tokenizer="space", joint_vocabulary=False)
    sizes = {"attention": "general", "embedding": 8, "hidden": 12, "score_size": 6, "readout_size": 9, "tie": "none"}
    c = ModelConfig(**(sizes | options))  # type: ignore[arg-type]
    codec = build_codec([Pair(w, " ".join(w.upper()), (), f"w:{i}") for i, w in enumerate(WORDS)], text)
    arrays = {n: 2 * a for n, a in random_parameters(c, len(codec.source), len(codec.target), 6).items()}
    arrays["readout.bias"][:4] = (-9, -9, 1, -9)
    write_folder(path, FolderConfig(text, c, (1.0, 4.0), {}), arrays, codec, "card", [])
    return jumok.load(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    return make(tmp_path_factory.mktemp("risk") / "model")


# --- by hand


def found(*outputs: tuple[str, float, bool]) -> tuple[list[tuple[Hypothesis, None]], list[str]]:
    return [(Hypothesis((i, END), total, total, None, finished), None) for i, (_, total, finished) in enumerate(outputs)], [
        text for text, _, _ in outputs
    ]


def overlap(texts) -> np.ndarray:
    """How many letters two texts share, place by place."""
    return np.array([[sum(a == b for a, b in zip(one, two, strict=False)) for two in texts] for one in texts], float)


def test_samples_by_hand() -> None:
    """aaa, abb and abc share 1, 1 and 2 letters; the shares are 2/4, 1/4, 1/4.

    aaa: 3·2/4 + 1/4 + 1/4 = 2; abb: 2/4 + 3/4 + 2/4 = 1.75; abc: 2/4 + 2/4 + 3/4 = 1.75.
    """
    samples = found(("aaa", -4.0, True), ("abb", -2.0, True), ("aaa", -3.0, True), ("abc", -1.0, True))
    ranked = least_risk(*samples, SearchConfig(sample=4, mbr="accuracy", nbest=3), overlap)
    assert [(h.tokens[0], h.score, h.log_probability) for h, _ in ranked] == [(2, 2.0, -3.0), (3, 1.75, -1.0), (1, 1.75, -2.0)]


def test_nbest_lists_by_hand() -> None:
    """The probabilities 0.4, 0.3, 0.3 (of a list that has a tenth of all): 0.4·3 + 0.3·1 + 0.3·1 = 1.8 < 0.4·1 + 0.3·3 + 0.3·2 = 1.9."""
    list_ = found(*((t, math.log(p / 10), True) for t, p in (("aaa", 0.4), ("abb", 0.3), ("abc", 0.3))))
    ranked = least_risk(*list_, SearchConfig(beam=3, mbr="accuracy", nbest=2), overlap)
    assert [(h.tokens[0], round(h.score, 9)) for h, _ in ranked] == [(1, 1.9), (2, 1.9)]


def test_what_ended_comes_first() -> None:
    samples = found(("aaa", -4.0, False), ("aaa", -3.0, False), ("zzz", -9.0, True))
    ranked = least_risk(*samples, SearchConfig(sample=3, mbr="accuracy", nbest=2), overlap)
    assert [h.finished for h, _ in ranked] == [True, False] and ranked[0][0].score < ranked[1][0].score


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 5), st.booleans())
def test_the_least_risk_is_that_of_its_definition(seed: int, n: int, texts: int, sampled: bool) -> None:
    """argmax over y of Σ_r p(r) u(y, r), hypothesis by hypothesis."""
    rng = np.random.default_rng(seed)
    own = [str(k) for k in rng.integers(0, texts, n)]
    logs = rng.normal(-5, 2, n)
    u = rng.normal(0, 1, (texts, texts))
    options = SearchConfig(sample=9, mbr="bleu", nbest=9) if sampled else SearchConfig(beam=9, mbr="bleu", nbest=9)
    list_ = found(*((t, float(l), True) for t, l in zip(own, logs, strict=True)))
    ranked = least_risk(*list_, options, lambda different: u[np.ix_(*[[int(t) for t in different]] * 2)])
    p = np.ones(n) / n if sampled else np.exp(logs) / np.exp(logs).sum()
    wanted = {t: sum(p[r] * u[int(t), int(own[r])] for r in range(n)) for t in own}
    assert [own[h.tokens[0]] for h, _ in ranked] == sorted(wanted, key=lambda t: -wanted[t])
    np.testing.assert_allclose([h.score for h, _ in ranked], sorted(wanted.values(), reverse=True), atol=1e-9)
    for h, _ in ranked:  # of equal texts, the likeliest
        assert h.log_probability == max(l for t, l in zip(own, logs, strict=True) if t == own[h.tokens[0]])


# --- metrics as utilities


@pytest.mark.parametrize("name", METRICS)
def test_utilities_are_the_metric_of_one_line(name: str) -> None:
    options = MeasureOptions(unit="char", tokenize="char", form="NFC")
    texts = ["a cat sat", "a cat", "the cat sat", "", "a", "aaaaaaa a", "tat", "모자 쓴 사람", "x" * 40]
    u = utilities(name, texts, options)
    sign = 1 if METRICS[name].higher_is_better else -1
    for i, text in enumerate(texts):
        for j, reference in enumerate(texts):
            if i == j:
                assert u[i, j] == max(0, sign) * 100
            elif reference:
                assert u[i, j] == pytest.approx(sign * measure(name, [text], [[reference]], options).value, rel=1e-12)
            else:
                assert u[i, j] == min(0, sign) * 100
    assert (u.max(1) <= u.diagonal()).all()


def test_texts_that_look_the_same_are_the_same() -> None:
    assert utilities("accuracy", ["é", "é "], MeasureOptions(form="NFC")).tolist() == [[100, 100], [100, 100]]


# --- through Python


@pytest.mark.parametrize("options", [{"sample": 12}, {"beam": 6}, {"beam": 6, "groups": 3}], ids=str)
@pytest.mark.parametrize("name", METRICS)
def test_the_output_has_the_highest_expected_utility(model: Translator, options: dict, name: str) -> None:
    every = {"nbest": 6} if "beam" in options else {}
    measured = jumok.measure.options_for(model.config.text, None)
    together = model.translate(WORDS, mbr=name, nbest=2, **options)
    for word, best in zip(WORDS, together, strict=True):
        pool = model.translate(word, **options, **every)
        texts = [t.text for t in (pool, *pool.alternatives)]
        p = np.ones(len(texts)) if "sample" in options else np.exp([t.log_probability for t in (pool, *pool.alternatives)])
        ended = {t.text for t in (pool, *pool.alternatives) if t.finished}
        expected = dict(zip(texts, utilities(name, texts, measured) @ (p / p.sum()), strict=True))
        assert best.score == pytest.approx(expected[best.text], abs=1e-3)
        assert best.score >= max(e for text, e in expected.items() if text in ended or not ended) - 1e-3
        assert best.weights is not None and best.weights.shape[0] == len(best.tokens)
        assert best.log_probability < 0 and len(best.alternatives) <= 1
        alone = model.translate(word, mbr=name, **options)
        assert alone.text == best.text and alone.alternatives == ()


def test_monotonic_models_sample_too(tmp_path: Path) -> None:
    chain = CHAINS[0]
    model = make(tmp_path / "m", alignment="monotonic", attention=chain.attention)
    for t in model.translate(["cat", ""], sample=3, coverage_penalty=0.2):
        if t.source:
            assert all(one.weights is not None and one.weights.shape == (len(one.tokens), 4) for one in (t, *t.alternatives))
    t = model.translate("zebra", sample=8, mbr="token-error-rate")
    assert t.weights_kind == "posterior" and t.weights is not None
    np.testing.assert_allclose(t.weights.sum(1), 1, atol=1e-5)


def test_a_line_has_its_samples_wherever_it_stands(model: Translator) -> None:
    wanted = {word: model.translate(word, sample=3) for word in WORDS}
    lines = [*WORDS[::-1], "", "cat", *WORDS]
    for size in (1, 4, 64):
        for t in model.translate_lines(iter(lines), sample=5, batch_size=size):
            if t.source:
                one = wanted[t.source]
                assert [s.tokens for s in (t, *t.alternatives)][:3] == [s.tokens for s in (one, *one.alternatives)]
            else:
                assert t.text == "" and t.alternatives == ()
    assert model.translate("cat", sample=1).tokens == wanted["cat"].tokens
    assert any(model.translate(w, sample=1, seed=2).tokens != wanted[w].tokens for w in WORDS)


# --- through JSON and the command line


@pytest.mark.parametrize(
    "options",
    [
        ["--sample", "3", "--temperature", "0.8", "--top-k", "6", "--top-p", "0.9", "--seed", "4"],
        ["--beam", "4", "--groups", "2", "--diversity", "1.5", "--nbest", "3"],
        ["--beam", "3", "--length-norm", "wu", "--length-penalty", "0.2", "--coverage-penalty", "0.2"],
        ["--sample", "9", "--mbr", "chrf", "--nbest", "2"],
        ["--beam", "4", "--mbr", "accuracy"],
    ],
    ids=" ".join,
)
def test_command_line_json_and_python_say_the_same(model: Translator, options, monkeypatch, capsys) -> None:
    keywords = {name[2:].replace("-", "_"): _value(value) for name, value in zip(options[::2], options[1::2], strict=True)}
    wanted = model.translate([*WORDS, ""], **keywords)  # type: ignore[call-overload]

    def said(*more: str) -> list[str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join([*WORDS, "", ""]).encode())))
        assert main(["translate", str(model.folder), *options, *more]) == 0
        return capsys.readouterr().out.splitlines()

    lines, many = said(), SearchConfig(**keywords).outputs > 1
    for line, t in zip(lines, wanted, strict=True):
        if many:
            assert line == "\t".join(f"{n.text}\t{n.score:.4f}" for n in (t, *t.alternatives))
        else:
            assert line == t.text
    for line, t in zip(said("--json"), wanted, strict=True):
        read = from_json(line)
        for a, b in zip((read, *read.alternatives), (t, *t.alternatives), strict=True):
            assert a.tokens == b.tokens and a.score == pytest.approx(b.score, abs=1e-4)
        assert to_json_line(read) == line


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def test_evaluate_measures_a_sample_or_the_least_risk(model: Translator, tmp_path: Path, capsys) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{w}\t{' '.join(w.upper())}\n" for w in WORDS))
    for options, words in (
        (["--sample", "1"], "a sample, seed 1"),
        (["--sample", "5", "--mbr", "chrf"], "5 samples, seed 1, minimum Bayes risk by chrf"),
        (["--beam", "4", "--groups", "4"], "beam 4, length penalty 1, 4 groups, diversity 0.5"),
    ):
        assert main(["evaluate", str(model.folder), str(pairs), *options, "--metrics", "accuracy", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["search"] == words
    assert main(["evaluate", str(model.folder), str(pairs), "--sample", "5"]) == 2
    assert "--sample is 5; one output for each source is measured: give --sample 1, or --mbr" in capsys.readouterr().err
    with pytest.raises(
        ConfigError, match="evaluate: 5 outputs of each source are asked for, and one is measured: give sample=1"
    ):
        jumok.evaluate(model, str(pairs), "accuracy", sample=5)
    done = jumok.evaluate(model, str(pairs), "accuracy", sample=3, mbr="token-error-rate")
    assert [t.text for t in done.outputs] == [t.text for t in model.translate(WORDS, sample=3, mbr="token-error-rate")]


# --- errors


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": 0}, "temperature is 0.0; it must be more than 0"),
        ({"sample": 1, "temperature": 0.0}, "temperature is 0.0; it must be more than 0"),
        ({"sample": 1, "temperature": math.inf}, "temperature is inf; it must be a finite number"),
        ({"sample": 1, "temperature": math.nan}, "temperature is nan"),
        ({"temperature": 0.5}, "temperature is 0.5; it must be left out: it is for samples, and sample is 0"),
        ({"seed": 2}, "seed is 2; it must be left out"),
        ({"top_k": 2}, "top_k is 2; it must be left out"),
        ({"top_p": 0.5, "beam": 3}, "top_p is 0.5; it must be left out"),
        ({"sample": -1}, "sample is -1; it must be 0 or more"),
        ({"sample": 1, "seed": -1}, "seed is -1; it must be 0 or more"),
        ({"sample": 1, "top_k": -1}, "top_k is -1; it must be 0 or more"),
        ({"sample": 1, "top_p": 0.0}, "top_p is 0.0; it must be above 0, at most 1"),
        ({"sample": 1, "top_p": 1.1}, "top_p is 1.1; it must be above 0, at most 1"),
        ({"sample": 1, "top_k": 99}, "top_k is 99; the model's vocabulary has [0-9]+ target tokens"),
        ({"sample": 2, "beam": 2}, "sample is 2 with beam 2; a sample is drawn token by token: leave one of them out"),
        ({"sample": 2, "nbest": 2}, "nbest is 2 with sample 2; all samples are given: leave nbest out"),
        ({"sample": 2, "nbest": 3, "mbr": "chrf"}, r"nbest is 3; it must be at most sample \(2\)"),
        ({"sample": 2, "groups": 2}, r"groups is 2; it must divide beam \(1\)"),
        ({"beam": 6, "groups": 4}, r"groups is 4; it must divide beam \(6\): 1 or 2 or 3 or 6"),
        ({"groups": 0}, "groups is 0; it must be 1 or more"),
        ({"beam": 2, "groups": 3}, r"groups is 3; it must divide beam \(2\)"),
        ({"beam": 2, "diversity": 1.0}, "diversity is 1 with one group; give groups, or leave diversity out"),
        ({"beam": 2, "groups": 2, "diversity": -1.0}, "diversity is -1.0; it must be 0 or more"),
        ({"beam": 2, "groups": 2, "diversity": math.inf}, "diversity is inf; it must be a finite number"),
        ({"coverage_penalty": -0.1}, "coverage_penalty is -0.1; it must be 0 or more"),
        ({"coverage_penalty": math.inf}, "coverage_penalty is inf"),
        ({"length_penalty": math.inf}, "length_penalty is inf; it must be a finite number"),
        ({"length_penalty": 11}, "length_penalty is 11.0; it must be at most 10"),
        ({"beam": 2, "length_norm": "wu", "length_penalty": 1e300}, "length_penalty is 1e.300; it must be at most 10"),
        ({"beam": 2, "coverage_penalty": 1e308}, "coverage_penalty is 1e.308; it must be at most 1,000"),
        ({"beam": 2, "groups": 2, "diversity": 1e39}, "diversity is 1e.39; it must be at most 1,000"),
        ({"length_norm": "gnmt"}, "length_norm is 'gnmt'; it can be power, wu"),
        ({"mbr": "chrf"}, "mbr is 'chrf' with one output; it compares outputs: add --sample 20, or a beam"),
        ({"mbr": "chrf", "sample": 1}, "mbr is 'chrf' with one output"),
        ({"mbr": "loss", "sample": 3}, "mbr is 'loss'; it can be accuracy"),
        ({"mbr": "meteor", "sample": 3}, "mbr is 'meteor'; it can be accuracy, token-error-rate, bleu, chrf"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_named(model: Translator, options: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        model.translate("cat", **options)
    assert "\n" not in str(caught.value)


def test_a_metric_whose_package_is_missing(model: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(MissingExtra, match="the metric bleu needs"):
        model.translate("cat", sample=3, mbr="bleu")
    assert model.translate("cat", sample=3, mbr="accuracy").text
    assert model.translate("cat", sample=3, mbr="chrf").text  # which Jumok computes itself
