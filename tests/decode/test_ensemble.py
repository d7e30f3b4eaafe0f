"""Ensembles: one model is itself, copies are the model, two are the mean; and models that do not fit are told how they differ."""

from __future__ import annotations

import itertools
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, log_softmax, random_logits
from random_folders import WORDS, random_folder
from random_models import CASES, CHAINS, config, padded, parameters, sources
from rounding import rounding

import jumok
from jumok.cli import main
from jumok.config import ModelConfig, SearchConfig
from jumok.decode.ensemble import Ensemble, log_mean
from jumok.decode.search import search
from jumok.errors import ConfigError, FolderError, JumokError
from jumok.explain import align
from jumok.places import models
from jumok.runtime.folder import read_folder, write_folder
from jumok.runtime.model import NumpyModel
from jumok.runtime.translation import Translation
from jumok.text.vocabulary import END, PAD, START

SOFT = ["attention", None]


def found(backend: Any, c: ModelConfig, beam: int) -> list[Any]:
    source, lengths = padded(sources(c))
    hypotheses = search(backend, source, lengths, SearchConfig(beam=beam, nbest=beam), np.full(len(lengths), 7))
    return [h for own in hypotheses for h in own]


# --- against the model itself


@pytest.mark.parametrize("c", [*CASES[::7], *CHAINS[::2]], ids=str)
@pytest.mark.parametrize("beam", [1, 3])
def test_of_one_is_the_model_bit_for_bit_and_of_copies_the_model(c: ModelConfig, beam: int) -> None:
    model = NumpyModel(c, parameters(c))
    kind = None if c.attention == "none" else model.weights
    one, three = Ensemble([model], [kind]), Ensemble([model] * 3, [kind] * 3)
    for a, b, many in zip(found(model, c, beam), found(one, c, beam), found(three, c, beam), strict=True):
        assert (a.tokens, a.log_probability, a.score) == (b.tokens, b.log_probability, b.score)
        assert a.weights is b.weights or np.array_equal(a.weights, b.weights)
        assert many.tokens == a.tokens and many.log_probability == pytest.approx(a.log_probability, abs=2e-6 * len(a.tokens))
        if a.weights is None:
            assert many.weights is None
        else:
            np.testing.assert_allclose(many.weights, a.weights, atol=1e-6)
    batch = *padded(sources(c)), *padded([[5, 6, END]] * len(sources(c)))
    (p, w), (p1, w1), (p3, w3) = (backend.score(*batch) for backend in (model, one, three))
    assert np.array_equal(p, p1) and (w is w1 or np.array_equal(w, w1))
    np.testing.assert_allclose(p3, p, atol=1e-6)
    assert (w is None) == (w3 is None)
    if w is not None:
        np.testing.assert_allclose(w3, w, atol=1e-6)


# --- against the mean of probabilities, written out


@settings(max_examples=20)
@given(seeds=st.lists(st.integers(0, 10**6), min_size=2, max_size=3), limit=st.integers(1, 3), V=st.integers(4, 6))
def test_the_best_output_is_that_of_the_mean_probability(seeds: list[int], limit: int, V: int) -> None:
    tables = [random_logits(seed, V) for seed in seeds]

    def mean(prefix: tuple[int, ...]) -> np.ndarray:
        return np.log(np.mean([np.exp(log_softmax(table(5, prefix))) for table in tables], axis=0))

    writable, every = [t for t in range(V) if t not in (PAD, START, END)], []
    for n in range(limit):
        for tokens in ((*prefix, END) for prefix in itertools.product(writable, repeat=n)):
            every.append((sum(float(mean(tokens[:i])[t]) for i, t in enumerate(tokens)), tokens))
    total, best = max(every)
    ensemble = Ensemble([Planted(table) for table in tables], ["attention"] * len(tables))
    options = SearchConfig(beam=200, length_penalty=0.0)
    ((h,),) = search(ensemble, np.array([[5, END]]), np.array([2]), options, np.array([limit]))
    assert h.tokens == best and h.log_probability == pytest.approx(total, abs=1e-5)
    np.testing.assert_allclose(h.weights, [Planted.weights(best[:i], 2, 2) for i in range(len(best))], atol=1e-6)


def test_the_mean_of_what_is_nearly_impossible_does_not_become_zero() -> None:
    logits = np.array([[[0.0, -300.0, -400.0]]], np.float32)
    np.testing.assert_allclose(log_mean([logits, logits - 7], (False, False)), logits, atol=1e-4)
    with np.errstate(divide="ignore"):
        both = log_mean([np.array([[[0.0, -1000.0]]], np.float32), np.array([[[-1000.0, 0.0]]], np.float32)], (False, True))
    np.testing.assert_allclose(both, np.log([[[0.5, 0.5]]]), atol=1e-6)


def test_weights_are_the_mean_of_those_that_have_some_and_two_kinds_do_not_mix() -> None:
    cs = [config(attention="dot"), config(attention="none"), config(attention="general"), config(alignment="monotonic")]
    members = [NumpyModel(c, parameters(c, seed)) for seed, c in enumerate(cs)]
    kinds = ["attention", None, "attention", "posterior"]
    batch = *padded([[7, 4, 9, END]]), *padded([[5, 6, END]])
    each = [m.score(*batch) for m in members]
    for order, weights, seen in (
        ([0, 1, 2, 3], (each[0][1] + each[2][1]) / 2, (True, False, True, False)),
        ([1, 3, 0, 2], each[3][1], (False, True, False, False)),
        ([1], None, (False,)),
    ):
        ensemble = Ensemble([members[i] for i in order], [kinds[i] for i in order])
        p, w = ensemble.score(*batch)
        np.testing.assert_allclose(p, np.log(np.mean([np.exp(each[i][0]) for i in order], axis=0)), atol=1e-6)
        assert ensemble.looked_at == seen and (w is weights or np.allclose(w, weights, atol=1e-6))
        state, _, looked = ensemble.step(ensemble.start(*batch[:2]), np.array([[START]]))
        assert (looked is None) == (weights is None)
        assert len(ensemble.select(state, np.array([0]), np.array([[0, 0]]))) == len(order)


# --- from folders


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three models with weights of their own; the third has its vocabularies in another order."""
    place = tmp_path_factory.mktemp("ensemble")
    common = {"attention": "general", "limit": (1.0, 4.0), "end": 0}
    return [
        random_folder(place / "a", 1, **common),
        random_folder(place / "b", 2, attention="none", hidden=10, limit=(2.0, 1.0), end=0),
        random_folder(place / "c", 3, words=("naive", "naive", "why", "why", *reversed(WORDS)), **common),
    ]


def same(a: Translation, b: Translation, within: tuple[float, float] = (1e-4, 1e-5)) -> None:
    assert (a.source, a.text, a.tokens) == (b.source, b.text, b.tokens)
    assert a.log_probability == pytest.approx(b.log_probability, abs=within[0])
    assert a.weights is b.weights or np.allclose(a.weights, b.weights, atol=within[1])
    np.testing.assert_allclose(a.token_log_probabilities, b.token_log_probabilities, atol=within[0])


@pytest.mark.parametrize("options", [{}, {"beam": 3, "nbest": 2}], ids=str)
def test_batches_change_nothing_and_forcing_gives_the_same(folders: list[Path], options: dict) -> None:
    model = jumok.load(folders)
    together = model.translate(list(WORDS), batch_size=4, **options)
    assert len({t.text for t in together}) > 4
    for word, t in zip(WORDS, together, strict=True):
        same(model.translate(word, **options), t)
        if t.finished:
            same(model.score(word, t.text), t)
    assert all(t.weights is not None and t.weights.shape == (len(t.tokens), len(t.source_tokens)) for t in together)


def test_its_probabilities_are_the_means_of_its_models(folders: list[Path]) -> None:
    each, whole = [jumok.load(folder) for folder in folders], jumok.load(folders)
    for word in WORDS:
        scored = [model.score(word, "C A T") for model in each]
        mean = np.log(np.mean([np.exp(t.token_log_probabilities) for t in scored], axis=0))
        np.testing.assert_allclose(whole.score(word, "C A T").token_log_probabilities, mean, atol=1e-5)
        weights = np.mean([t.weights for t in scored if t.weights is not None], axis=0)
        np.testing.assert_allclose(whole.score(word, "C A T").weights, weights, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alignment": "monotonic", "copy": True, "text": {"target_tokenizer": "char", "joint_vocabulary": False}},
        {"tie": "all", "readout_size": 8, "text": {"target_tokenizer": "char", "joint_vocabulary": True}},
        {"readout": "linear"},
    ],
    ids=str,
)
def test_a_model_that_is_kept_in_another_order_is_a_copy(tmp_path: Path, options: dict) -> None:
    a = read_folder(random_folder(tmp_path / "a", end=0, **options))
    other = read_folder(random_folder(tmp_path / "b", words=("naive", "naive", "why", *reversed(WORDS)), **options)).codec
    rows = {}
    for side in ("source", "target"):
        here, there = getattr(a.codec, side).vocabulary, getattr(other, side).vocabulary
        tokens = there.tokens(range(4, len(there)))
        rows[side] = [0, 1, 2, 3, *here.ids(tokens)]
        assert sorted(rows[side]) == list(range(len(here))) != rows[side]
    places = {"source.embedding": "source", "target.embedding": "target", "readout.output": "target", "readout.bias": "target"}
    arrays = {name: array[rows[places[name]]] if name in places else array for name, array in a.parameters.items()}
    write_folder(tmp_path / "c", a.config, arrays, other, "card", [])
    model, both = jumok.load(tmp_path / "a"), jumok.load([tmp_path / "a", tmp_path / "c"])
    for word in WORDS:
        for how in ({}, {"beam": 3}):
            same(both.translate(word, **how), model.translate(word, **how), rounding(model))


def test_of_one_folder_is_that_model_and_of_its_copies_too(folders: list[Path]) -> None:
    alone, (one, copies) = jumok.load(folders[0]), [jumok.load([folders[0]] * n) for n in (1, 3)]
    for word in WORDS:
        a, b = alone.translate(word, beam=2), one.translate(word, beam=2)
        assert (a.tokens, a.log_probability) == (b.tokens, b.log_probability) and np.array_equal(a.weights, b.weights)
        same(copies.translate(word, beam=2), a, rounding(alone))
    assert type(one.backend) is type(alone.backend) and one.info() == alone.info()


OTHER_KINDS: list[dict[str, Any]] = [
    {
        "text": {"target_form": "NFD", "target_tokenizer": "char", "source_form": "NFD"},
        "words": ("한국어", "주목", "말", "각각"),
    },
    {"text": {"source_tokenizer": "bpe", "target_tokenizer": "bpe", "bpe_size": 40}},
    {"features": ("V", "PST"), "text": {"features_column": 3}, "reverse_source": True, "bidirectional": False},
    {"input_feeding": True, "window": "local-p", "cell": "gru"},
]


@pytest.mark.parametrize("options", OTHER_KINDS, ids=str)
def test_copies_of_any_kind_of_model_write_what_it_writes(tmp_path: Path, options: dict) -> None:
    model = jumok.load(random_folder(tmp_path / "a", end=-2, **options))
    copies, features = jumok.load([tmp_path / "a"] * 2), options.get("features")
    for word in options.get("words", WORDS[:4]):
        for how in ({}, {"beam": 3, "nbest": 2}):
            a, b = (m.translate(word, features=features, **how) for m in (model, copies))
            for one, other in zip((a, *a.alternatives), (b, *b.alternatives), strict=True):
                same(other, one, rounding(model))
                assert one.token_log_probabilities is not None and len(one.token_log_probabilities) == len(one.tokens) > 1


def test_it_can_be_pickled(folders: list[Path]) -> None:
    model = jumok.load(folders)
    same(pickle.loads(pickle.dumps(model)).translate("cat"), model.translate("cat"))


def test_every_command_that_reads_a_model_takes_several(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pairs.tsv").write_text("cat\tC A T\nwhy\tW H Y\n", encoding="utf-8")
    name, pairs = ",".join(map(str, folders)), str(tmp_path / "pairs.tsv")
    model = jumok.load(name)
    assert main(["translate", name, pairs]) == 0
    assert capsys.readouterr().out.split("\n")[:2] == [t.text for t in model.translate(["cat", "why"])]
    assert main(["evaluate", name, pairs, "--metrics", "accuracy"]) == 0
    assert main(["score", name, pairs]) == 0
    assert main(["align", name, pairs]) == 0
    assert main(["explain", name, "cat", "--compare", str(folders[0]), "--out", str(tmp_path / "x.json")]) == 0
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["names"] == ["a,b,c", "a"]
    assert "b has none of this kind" in capsys.readouterr().err
    assert jumok.evaluate(folders, [("cat", "C A T")], "accuracy").outputs[0].text == model.translate("cat").text
    assert [a.links for a in align(model, [("cat", "C A T")])]


def test_several_models_have_no_likeliest_alignment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = (random_folder(tmp_path / str(seed), seed, alignment="monotonic") for seed in (1, 2))
    (tmp_path / "pairs.tsv").write_text("cat\tC A T\n", encoding="utf-8")
    assert main(["align", str(a), str(tmp_path / "pairs.tsv"), "--method", "viterbi"]) == 0
    assert main(["align", f"{a},{b}", str(tmp_path / "pairs.tsv"), "--method", "viterbi"]) == 2
    assert "several models have no likeliest alignment in common: give --method path" in capsys.readouterr().err


def test_info_tells_of_each(folders: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    name = ",".join(map(str, folders))
    facts, each = jumok.load(folders).info(), [jumok.load(folder).info() for folder in folders]
    assert facts.members == each and facts.parameters == sum(e.parameters for e in each)
    assert facts == replace(each[0], folder=name, parameters=facts.parameters, limit_ratio=2, limit_constant=4, members=each)
    assert main(["info", name]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["ensemble"].strip() == "3 models, with the mean of their probabilities"
    assert (
        lines["encoder"].strip()
        == "LSTM, 1 x 12, both directions; LSTM, 1 x 10, both directions; LSTM, 1 x 12, both directions"
    )
    assert lines["target"].strip() == "space, 23 entries" and lines["length limit"].strip().startswith("2 x source tokens + 4")
    assert main(["info", name, "--json"]) == 0
    assert [m["attention"] for m in json.loads(capsys.readouterr().out)["members"]] == ["general", None, "general"]
    assert "ensemble of 3" in repr(jumok.load(folders))


# --- models that do not fit

DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"text": {"target_tokenizer": "char"}}, "its target_tokenizer is 'char', not 'space'"),
    ({"text": {"target_form": "NFD"}}, "its target_form is 'NFD', not 'none'"),
    ({"text": {"source_column": 2, "target_column": 1}}, "its source_column is 2, not 1"),
    ({"words": [w for w in WORDS if w != "zebra"]}, "its source vocabulary lacks 'z'; models"),
    ({"words": (*WORDS, "xyl", "pf")}, "its source vocabulary has 'f' 'l' 'p' and 1 more beside"),
    ({"features": ("V",)}, "its source vocabulary has '‹V›' beside"),
]


@pytest.mark.parametrize(("options", "says"), DIFFERENT, ids=str)
def test_how_a_model_differs_is_one_line(folders: list[Path], tmp_path: Path, options: dict, says: str) -> None:
    other = random_folder(tmp_path / "other", 2, **options)
    with pytest.raises(FolderError, match=f"other: does not fit .*a: {says}") as caught:
        jumok.load([folders[0], other])
    assert "\n" not in str(caught.value) and "must read and write the same tokens" in str(caught.value)


def test_subwords_learned_from_other_text_and_joint_vocabularies_are_told(tmp_path: Path) -> None:
    bpe = {"source_tokenizer": "bpe", "target_tokenizer": "bpe", "bpe_size": 40}
    a = random_folder(tmp_path / "a", text=bpe)
    b = random_folder(tmp_path / "b", text=bpe, words=(*WORDS[:-1], "zebra", "zebras"))
    c = random_folder(tmp_path / "c", text={**bpe, "joint_vocabulary": True})
    assert jumok.load([a, a]).translate("cat").tokens
    with pytest.raises(FolderError, match="its source tokenizer has learned other subwords"):
        jumok.load([a, b])
    with pytest.raises(FolderError, match="one has a joint vocabulary, the other one for each side"):
        jumok.load([a, c])


@pytest.mark.parametrize("path", [[], (), "a,", ",", [""], [3], 3, None, {"a": 1}, b"a"], ids=repr)
def test_what_names_no_models_is_one_line(path: Any) -> None:
    with pytest.raises(ConfigError, match="wanted a model folder, or for an ensemble several"):
        jumok.load(path)


def test_a_folder_that_is_missing_is_named_alone(folders: list[Path]) -> None:
    with pytest.raises(JumokError, match=r"^nowhere: there is no such folder"):
        jumok.load(f"{folders[0]},nowhere")


def test_names_with_commas_are_found(tmp_path: Path) -> None:
    for name in ("x,y", "z"):
        (tmp_path / name).mkdir()
    x, z = str(tmp_path / "x,y"), str(tmp_path / "z")
    assert models(x) == [x] and models(f"{x},{z}") == [x, z] and models(f"{z}, {x}") == [z, x]
    assert models("p,q") == ["p", "q"] and models("~/p,~/q") == ["~/p", "~/q"]
