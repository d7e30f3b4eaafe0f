"""The next tokens after a prefix: their probabilities, where each would look, and that the path of a prefix is the path of a search."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_backend import Planted, random_logits
from random_models import CASES, CHAINS, parameters, sources

import jumok
from jumok.cli import main
from jumok.config import ModelConfig, SearchConfig, TextConfig
from jumok.decode.alternatives import next_tokens
from jumok.decode.search import search
from jumok.errors import ConfigError, DataError
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.model import NumpyModel
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec
from jumok.text.vocabulary import PAD, START


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), V=st.integers(4, 9), written=st.lists(st.integers(3, 8), max_size=4), data=st.data())
def test_probabilities_are_the_softmax_of_the_step(seed, V, written, data) -> None:
    written = [min(t, V - 1) for t in written]
    k = data.draw(st.integers(1, V - 2))
    logits = random_logits(seed, V)
    found = next_tokens(Planted(logits), np.array([5, 6]), written, k)
    p = [np.exp(z) / np.exp(z).sum() for z in (logits(5, tuple(written[:i])) for i in range(len(written) + 1))]
    order = sorted((t for t in range(V) if t not in (PAD, START)), key=lambda t: (-p[-1][t], t))[:k]
    assert found.ids.tolist() == order
    np.testing.assert_allclose(np.exp(found.log_probabilities), p[-1][order], rtol=1e-5)
    assert found.before == pytest.approx(sum(np.log(row[t]) for row, t in zip(p, written, strict=False)), abs=1e-5)
    np.testing.assert_allclose(found.weights[0], Planted.weights(tuple(written), 2, 2), atol=1e-6)


@pytest.mark.parametrize("c", [*CASES[::7], *CHAINS], ids=str)
def test_the_path_of_a_prefix_is_the_path_of_the_search(c: ModelConfig) -> None:
    """To the bit: the first alternative after the beginning of the best output is its next token."""
    model = NumpyModel(c, parameters(c))
    for source in sources(c):
        (h,), *_ = search(model, np.array([source]), np.array([len(source)]), SearchConfig(), np.array([6]))
        for i, token in enumerate(h.tokens):
            found = next_tokens(model, np.array(source), h.tokens[:i], 3)
            assert found.ids[0] == token
            assert found.log_probabilities[0] == pytest.approx(float(h.token_log_probabilities[i]), abs=2e-6)
            if c.alignment == "soft" and h.weights is not None:
                np.testing.assert_array_equal(found.weights, np.tile(h.weights[i], (3, 1)))
            if c.alignment == "monotonic":
                for other, looked in zip(found.ids.tolist(), found.weights, strict=True):
                    target = np.array([[*h.tokens[:i], other]])
                    _, posterior = model.score(np.array([source]), np.array([len(source)]), target, np.array([i + 1]))
                    np.testing.assert_allclose(looked, posterior[0, -1], atol=1e-5)
                assert np.allclose(found.weights.sum(1), 1, atol=1e-5)


def test_in_a_monotonic_model_different_tokens_look_at_different_places() -> None:
    model = NumpyModel(CHAINS[0], parameters(CHAINS[0]))
    found = next_tokens(model, np.array(sources(CHAINS[0])[0]), (), 5)
    assert np.abs(found.weights - found.weights[0]).max() > 0.05


# --- with a model folder


@pytest.fixture(scope="module")
def korean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A monotonic model with features; it reads backwards, and writes Hangul as jamo."""
    text = TextConfig(features_column=3, target_form="NFD", joint_vocabulary=False)
    net = ModelConfig(embedding=4, hidden=8, score_size=4, readout_size=4, tie="none", size="small")
    net = replace(net, alignment="monotonic", reverse_source=True)
    codec = build_codec([Pair("gada", "가다", ("V", "PST")), Pair("hada", "하다", ("V",))], text)
    parameters = random_parameters(net, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=1)
    folder = tmp_path_factory.mktemp("korean") / "m"
    write_folder(folder, FolderConfig(text, net, (1.0, 5.0), {}), parameters, codec, "# random\n", [])
    return folder


def test_alternatives_in_python(model_folder: Path) -> None:
    model = jumok.load(model_folder)
    found = model.alternatives("cat", "C A")
    assert found.prefix == ("C", "A") and found.source_tokens == ("c", "a", "t", "</s>") and len(found) == 10
    assert sum(a.probability for a in found) + found.rest == pytest.approx(1, abs=1e-6)
    assert [a.probability for a in found] == sorted((a.probability for a in found), reverse=True)
    for a in found:
        assert a.text == ("C A" if a.token == "</s>" else f"C A {a.token}") and a.weights.shape == (4,)
        assert a.log_probability == pytest.approx(np.log(a.probability), abs=1e-9)
        scored = model.score("cat", f"C A {a.token}") if a.token != "</s>" else model.score("cat", "C A")
        assert scored.token_log_probabilities[2] == pytest.approx(a.log_probability, abs=1e-5)
    assert model.score("cat", "C A").token_log_probabilities[:2].sum() == pytest.approx(found.log_probability, abs=1e-5)
    same = model.alternatives("cat", ["C", "A"], k=2)
    assert [a.token for a in same] == [a.token for a in found][:2] and same.rest > found.rest
    both = model.alternatives(["cat", "why"], ["C A", ("W",)], k=2)
    assert [a.token for a in both[0]] == [a.token for a in same] and both[1].prefix == ("W",)
    assert [b.prefix for b in model.alternatives(["cat", "why"])] == [(), ()]
    assert model.alternatives([]) == []
    assert len(model.alternatives("cat", k=20)) == 20 == len(model.codec.target) - 2


def test_features_a_reversed_source_and_jamo(korean: Path) -> None:
    model = jumok.load(korean)
    (first, *_) = found = model.alternatives("gada", "가", features=["V", "PST"], k=4)
    assert found.source_tokens[:2] == ("‹V›", "‹PST›") and found.prefix == ("ᄀ", "ᅡ") and found.weights_kind == "posterior"
    assert first.weights.shape == (7,) and first.weights.sum() == pytest.approx(1, abs=1e-5)
    assert all(a.text.startswith("가") or a.token not in "ᄃ</s>" for a in found)
    whole = model.score("gada", "가", features=["V", "PST"])
    end = next(
        a for a in model.alternatives("gada", "가", features="V;PST", k=len(model.codec.target) - 2) if a.token == "</s>"
    )
    np.testing.assert_allclose(end.weights, whole.weights[-1], atol=1e-5)
    tree = model.tree("gada", beam=3, features=["V", "PST"], reference="가다")
    assert tree.translation.weights_kind == "posterior" and tree.translation.source_tokens[:2] == ("‹V›", "‹PST›")
    assert tree.reference is not None and tree.reference.tokens == (*unicodedata.normalize("NFD", "가다"), "</s>")


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (("cat",), {"k": 21}, "k is 21; it must be 1 to 20, the tokens that the model can write"),
        (("cat",), {"k": 0}, "k is 0"),
        (("cat",), {"k": True}, "k is True"),
        (("cat", "C QQ"), {}, "prefix: the model cannot write 'QQ'"),
        (("cat", ["C", "</s>"]), {}, "prefix: the model cannot write '</s>'"),
        (("cat", 3), {}, "prefix is 3; wanted a string"),
        (("cat", ["C", 3]), {}, "prefix is"),
        ((" ",), {}, "alternatives: the text is blank"),
        (("c" * 3000,), {}, "alternatives: the text has 3,000 tokens"),
        ((["cat", "why"], ["C"]), {}, "prefix has 1, but there are 2"),
        ((3,), {}, "text is of type int"),
    ],
)
def test_what_has_no_alternatives(model_folder: Path, arguments: Any, options: Any, says: str) -> None:
    with pytest.raises((ConfigError, DataError), match=says):
        jumok.load(model_folder).alternatives(*arguments, **options)


def test_next_shows_a_table_or_json(model_folder: Path, korean: Path, capsys) -> None:
    assert main(["next", str(model_folder), "cat", "--prefix", "C A", "--k", "3"]) == 0
    *rows, others, looks = capsys.readouterr().out.splitlines()
    found = jumok.load(model_folder).alternatives("cat", "C A", k=3)
    assert [row.split() for row in rows] == [[f"{100 * a.probability:.2f}", "%", a.token] for a in found]
    assert others.split() == [f"{100 * found.rest:.2f}", "%", "all", "others"] and looks.startswith("looks at ")
    assert main(["next", str(model_folder), "cat", "--prefix-tokens", "C", "A", "--k", "3", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "jumok.next/1" and data["prefix"] == ["C", "A"]
    assert [a["token"] for a in data["alternatives"]] == [a.token for a in found]
    np.testing.assert_array_equal(np.array(data["alternatives"][0]["weights"], np.float32), found[0].weights)
    assert main(["next", str(korean), "gada", "--features", "V;PST", "--k", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "" and all("%" in row.split("  ")[-1] for row in shown.out.splitlines()[:2])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--k", "99"], "k is 99; it must be 1 to 20"),
        (["--prefix", "QQ"], "prefix: the model cannot write 'QQ'"),
        (["--prefix", "C", "--prefix-tokens", "C"], "prefix and prefix_tokens are both given; give one of the two"),
    ],
)
def test_what_next_cannot_show(model_folder: Path, options: list[str], says: str, capsys) -> None:
    assert main(["next", str(model_folder), "cat", *options]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
