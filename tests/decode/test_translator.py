"""The translator: strings in, Translations out, in order, whatever the batch; and no line without an answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rounding import rounding

import jumok
from jumok.cli.info import in_words
from jumok.config import ModelConfig, TextConfig
from jumok.decode import translator
from jumok.errors import ConfigError, DataError, FolderError, JumokError
from jumok.runtime import Translation, Translator, load
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec

WORDS = ["attention", "cat", "zebra", "jumok", "a", "quick brown", "why", "cat", "tatata", "naive"]


def make(
    path: Path,
    *,
    attention: str = "general",
    limit: tuple[float, float] = (1.0, 4.0),
    max_tokens: int = 250,
    **options: Any,
) -> Translator:
    """A translator of letters into phones with large random weights."""
    text = TextConfig(target_tokenizer="space", joint_vocabulary=False, features_column=3, max_tokens=max_tokens)
    c = ModelConfig(attention=attention, embedding=8, hidden=12, score_size=6, readout_size=9, tie="none", **options)  # type: ignore[arg-type]
    features = ("V", "PST")
    codec = build_codec([Pair(w, " ".join(w.replace(" ", "").upper()), features, f"w:{i}") for i, w in enumerate(WORDS)], text)
    arrays = {n: 4 * a for n, a in random_parameters(c, len(codec.source), len(codec.target), 6).items()}
    arrays["readout.bias"][:4] = (-9, -9, 3, -9)  # so that most outputs end, and none has <unk>
    write_folder(path, FolderConfig(text, c, limit, {}), arrays, codec, "card", [])
    return load(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    return make(tmp_path_factory.mktemp("translator") / "model")


def same(a: Translation, b: Translation, within: tuple[float, float] = (1e-4, 1e-5)) -> None:
    assert (a.source, a.text, a.source_tokens, a.tokens, a.finished) == (
        b.source,
        b.text,
        b.source_tokens,
        b.tokens,
        b.finished,
    )
    log, weight = within
    assert a.log_probability == pytest.approx(b.log_probability, abs=log) and a.score == pytest.approx(b.score, abs=log)
    if a.weights is None or b.weights is None:
        assert a.weights is b.weights
    else:
        np.testing.assert_allclose(a.weights, b.weights, atol=weight)
    assert len(a.alternatives) == len(b.alternatives)


# --- what comes out


@pytest.mark.parametrize("beam", [1, 4])
def test_a_translation_fits_together(model: Translator, beam: int) -> None:
    seen = set()
    for word in WORDS:
        t = model.translate(word, beam=beam)
        assert t.source == word and t.source_tokens == (*word, "</s>")
        assert t.finished == (t.tokens[-1] == "</s>") and "</s>" not in t.tokens[:-1]
        assert t.text == " ".join(token for token in t.tokens if token != "</s>") == str(t)
        assert t.weights is not None and t.weights.shape == (len(t.tokens), len(word) + 1)
        np.testing.assert_allclose(t.weights.sum(1), 1, atol=1e-5)
        assert t.log_probability < 0 and t.score == pytest.approx(t.log_probability / len(t.tokens))
        assert len(t.tokens) <= len(word) + 1 + 4 and not t.alternatives
        seen.add(t.text)
    assert len(seen) > 4  # the outputs differ, so that the tests below can mix them up


def test_a_reversed_source_comes_back_in_its_own_order(tmp_path: Path) -> None:
    """The same weights read "cat" reversed as they read "tac" straight; tokens and weights are those of "cat"."""
    straight = make(tmp_path / "straight", bidirectional=False)
    turned = make(tmp_path / "turned", bidirectional=False, reverse_source=True)
    assert turned.info().reverse_source
    for word in WORDS:
        for found, wanted in (
            (turned.translate(word), straight.translate(word[::-1])),
            (turned.translate(word, beam=3, nbest=3), straight.translate(word[::-1], beam=3, nbest=3)),
            (turned.score(word, "A T"), straight.score(word[::-1], "A T")),
        ):
            for a, b in zip((found, *found.alternatives), (wanted, *wanted.alternatives), strict=True):
                assert a.source_tokens == (*word, "</s>") and a.tokens == b.tokens
                assert a.log_probability == pytest.approx(b.log_probability, abs=1e-4)
                assert a.weights is not None and b.weights is not None
                own = np.concatenate([b.weights[:, -2::-1], b.weights[:, -1:]], axis=1)
                np.testing.assert_allclose(a.weights, own, atol=1e-5)
    t = turned.translate("cat", features=["V", "PST"])
    assert t.source_tokens == ("‹V›", "‹PST›", *"cat", "</s>") and t.weights is not None and t.weights.shape[1] == 6


@pytest.mark.parametrize("options", [{}, {"beam": 3, "nbest": 2}])
@pytest.mark.parametrize("size", [1, 3, 64])
def test_batches_and_order_change_nothing(model: Translator, size: int, options: dict) -> None:
    alone = [model.translate(word, **options) for word in WORDS]
    for order in (list(range(len(WORDS))), list(range(len(WORDS)))[::-1]):
        together = model.translate([WORDS[i] for i in order], batch_size=size, **options)
        for i, t in zip(order, together, strict=True):
            same(t, alone[i])


MODELS = [{"cell": "gru"}, {"cell": "rnn"}, {"reverse_source": True, "bidirectional": False}]
MODELS += [{"attention": "location", "location_length": 4}, {"window": "local-m", "window_size": 1}, {"window": "local-p"}]
MODELS += [{"input_feeding": True, "layers": 2}, {"input_feeding": True, "cell": "gru", "window": "local-p"}]


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_batches_change_nothing_with_any_model_option(tmp_path: Path, options: dict) -> None:
    model = make(tmp_path / "m", **options)
    for how in ({}, {"beam": 3, "nbest": 2}):
        alone = [model.translate(word, **how) for word in WORDS]
        for a, b in zip(model.translate(WORDS, batch_size=4, **how), alone, strict=True):
            same(a, b)
    for word, t in zip(WORDS, alone, strict=True):
        forced = model.score(word, t.text)
        if t.finished and t.tokens == forced.tokens:  # the search's steps are those of the one pass
            log, weight = rounding(model)
            assert t.log_probability == pytest.approx(forced.log_probability, abs=log)
            assert t.weights is not None and forced.weights is not None
            np.testing.assert_allclose(t.weights, forced.weights, atol=weight)


def test_info_names_cell_order_and_window(tmp_path: Path) -> None:
    facts = make(tmp_path / "m", cell="gru", window="local-m", window_size=3, reverse_source=True).info()
    assert (facts.cell, facts.layers, facts.hidden, facts.bidirectional, facts.reverse_source) == ("gru", 1, 12, True, True)
    assert (facts.window, facts.window_size) == ("local-m", 3)
    said = in_words(facts)
    assert said["encoder"] == "GRU, 1 x 12, both directions, reversed" and said["decoder"] == "GRU, 1 x 12"
    assert said["window"] == "local-m: t - D <= s <= t + D, D = 3"
    plain = make(tmp_path / "plain").info()
    assert (plain.window, plain.window_size, plain.tie, plain.input_feeding) == (None, None, None, False)
    assert in_words(plain)["window"] == "none" and in_words(plain)["input feeding"] == "no"
    assert make(tmp_path / "fed", input_feeding=True).info().input_feeding is True


def test_long_lines_go_in_smaller_batches_with_the_same_result(model: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    want, sizes = model.translate(WORDS), []
    search = translator.search
    monkeypatch.setattr(translator, "MOST_CELLS", 40)
    monkeypatch.setattr(translator, "search", lambda m, source, *rest: sizes.append(source.shape) or search(m, source, *rest))
    for a, b in zip(model.translate(WORDS), want, strict=True):
        same(a, b)
    assert len(sizes) > 5 and all(B == 1 or B * S * S <= 40 for B, S in sizes)


def test_with_wide_beams_fewer_lines_go_together_with_the_same_result(
    model: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    want, sizes = model.translate(WORDS, beam=4, nbest=2), []
    search = translator.search
    monkeypatch.setattr(translator, "MOST_LOGITS", 2 * 4 * len(model.codec.target))
    monkeypatch.setattr(translator, "search", lambda m, source, *rest: sizes.append(len(source)) or search(m, source, *rest))
    for a, b in zip(model.translate(WORDS, beam=4, nbest=2), want, strict=True):
        same(a, b)
    assert max(sizes) == 2 and sum(sizes) == len(WORDS)
    model.translate(WORDS, beam=len(WORDS) * 4)  # wider than there is room for: a line at a time
    assert sizes[-1] == 1


def test_nbest_comes_as_alternatives(model: Translator) -> None:
    t = model.translate("zebra", beam=4, nbest=3)
    every = [t, *t.alternatives]
    assert len(every) == 3 and len({h.tokens for h in every}) == 3
    finished = [h.score for h in every if h.finished]
    assert finished == sorted(finished, reverse=True)
    assert all(h.source_tokens == t.source_tokens and h.weights.shape[1] == 6 for h in every)


def test_length_penalty_and_limits(model: Translator) -> None:
    assert all(t.score == t.log_probability for t in model.translate(WORDS, length_penalty=0.0))
    for t in model.translate(WORDS, max_length=2):
        assert len(t.tokens) <= 2 and t.finished == (t.tokens[-1] == "</s>")


def test_the_limit_grows_with_the_source(tmp_path: Path) -> None:
    model = make(tmp_path / "m", limit=(0.5, 0.2))
    for word in WORDS:
        assert len(model.translate(word).tokens) <= np.ceil(0.5 * (len(word) + 1) + 0.2)
    assert len(make(tmp_path / "none", limit=(0.0, 0.0)).translate("cat").tokens) == 1


def test_blank_lines_give_empty_outputs_in_their_places(model: Translator) -> None:
    found = model.translate(["", "cat", "  ", "　"])
    same(found[1], model.translate("cat"))
    for t, source in zip(found[:1] + found[2:], ["", "  ", "　"], strict=True):
        assert (t.source, t.text, t.tokens, t.weights, t.finished, t.log_probability) == (source, "", (), None, True, 0)
    same(model.translate(""), found[0])
    assert model.translate([]) == []


def test_a_line_far_longer_than_any_in_training_is_not_read(tmp_path: Path) -> None:
    model = make(tmp_path / "m", max_tokens=2)
    assert model.longest == 20
    inside, beyond = model.translate(["t" * 19, "t" * 20])
    assert inside.tokens and len(inside.source_tokens) == 20
    assert (beyond.text, beyond.tokens, beyond.weights, beyond.finished) == ("", (), None, False)


def test_letters_never_seen_are_kept_as_they_came(model: Translator) -> None:
    t = model.translate("c\u0000x주\U0001f600")
    assert t.source_tokens == ("c", "\u0000", "x", "주", "\U0001f600", "</s>") and len(t.tokens) > 0


def test_without_attention_there_are_no_weights(tmp_path: Path) -> None:
    model = make(tmp_path / "m", attention="none")
    assert all(t.weights is None and t.tokens for t in model.translate(WORDS, beam=2))
    assert model.score("cat", "C A T").weights is None


# --- features


def test_features_are_read_before_the_text(model: Translator) -> None:
    t = model.translate("cat", features=["V", "PST"])
    assert t.source_tokens == ("‹V›", "‹PST›", "c", "a", "t", "</s>")
    assert t.weights is not None and t.weights.shape[1] == 6
    both = model.translate(["cat", "why"], features=[("V", "PST"), ()])
    same(both[0], t)
    same(both[1], model.translate("why"))


# --- streams


def test_a_stream_comes_in_order(model: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translator, "CHUNK", 2)
    lines = [*WORDS, "", *WORDS[::-1]]
    found = list(model.translate_lines(iter(lines), batch_size=3, beam=2))
    for t, want in zip(found, model.translate(lines, beam=2), strict=True):
        same(t, want)


def test_batch_size_one_answers_each_line_before_it_reads_the_next(model: Translator) -> None:
    read = []

    def lines() -> Iterator[str]:
        for word in WORDS:
            read.append(word)
            yield word

    for number, t in enumerate(model.translate_lines(lines(), batch_size=1), 1):
        assert t.source == WORDS[number - 1] and len(read) == number


# --- forced decoding


@pytest.mark.parametrize("beam", [1, 3])
def test_forcing_what_was_translated_gives_the_same(model: Translator, beam: int) -> None:
    whole = [t for t in model.translate(WORDS, beam=beam, max_length=40) if t.finished]
    assert len(whole) > 3
    forced = model.score([t.source for t in whole], [t.text for t in whole])
    for t, f in zip(whole, forced, strict=True):
        same(f, t, rounding(model))
        same(model.score(t.source, t.text), t, rounding(model))


def test_forcing_keeps_the_target_and_shows_what_is_unknown(model: Translator) -> None:
    t = model.score("cat", "C ?? T", features=["V"])
    assert t.text == "C ?? T" and t.tokens == ("C", "<unk>", "T", "</s>") and t.source_tokens[0] == "‹V›"
    assert t.weights is not None and t.weights.shape == (4, 5)
    assert model.score("", "C").weights.shape == (2, 1)  # an empty source is its end token


def test_the_old_name_of_score_works_and_says_the_new_one(model: Translator) -> None:
    with pytest.warns(DeprecationWarning, match="force is now called score"):
        t = model.force("cat", "C A T", ["V"])
    same(t, model.force("cat", "C A T", ["V"]))
    with pytest.warns(DeprecationWarning):
        (t,) = model.force(["cat"], ["C A T"], features=[["V"]])
    same(t, model.force("cat", "C A T", ["V"]))


def test_the_translator_is_found_where_it_was_before() -> None:
    import jumok.runtime

    assert jumok.runtime.Translator is jumok.Translator is Translator
    assert jumok.runtime.load is jumok.load is load
    with pytest.raises(AttributeError, match="no attribute 'loaf'"):
        jumok.runtime.loaf  # noqa: B018


# --- errors


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.translate(3), "type int; wanted a string or a sequence of strings"),
        (lambda m: m.translate(b"cat"), "type bytes; wanted a string"),
        (lambda m: m.translate(None), "type NoneType; wanted a string"),
        (lambda m: m.translate(["cat", 4]), "line 2 is of type int; wanted a string"),
        (lambda m: list(m.translate_lines(["cat", None])), "line 2 is of type NoneType"),
        (lambda m: m.translate("cat", features=[1]), "features of line 1"),
        (lambda m: m.translate(["cat"], features="V"), "features are 'V'"),
        (lambda m: m.translate(["cat", "why"], features=[["V"]]), r"for each of 2 line\(s\)"),
        (lambda m: m.score("cat", ["C"]), "must both be strings"),
        (lambda m: m.score(["cat", "why"], ["C"]), "2 sources but 1 targets"),
    ],
)
def test_wrong_types_are_named(model: Translator, call, says: str) -> None:
    with pytest.raises(DataError, match=says):
        call(model)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bem": 2}, "no option 'bem'; did you mean 'beam'"),
        ({"beam": 0}, "beam is 0; it must be 1 or more"),
        ({"beam": 2, "nbest": 3}, r"nbest is 3; it must be at most beam \(2\)"),
        ({"beam": "5"}, "beam is '5'; it must be a whole number"),
        ({"length_penalty": -1.0}, "length_penalty is -1.0; it must be 0 or more"),
        ({"max_length": 0}, "max_length is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_wrong_options_are_named_at_the_call(model: Translator, options: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        model.translate("cat", **options)
    with pytest.raises(ConfigError, match=says):
        model.translate_lines(["cat"], **options)  # before the first line is asked for


def test_no_model_is_a_jumok_error(tmp_path: Path) -> None:
    assert issubclass(FolderError, JumokError)
    with pytest.raises(FolderError, match="there is no such folder"):
        jumok.load(tmp_path / "nothing")


# --- facts


def test_info_tells_what_the_model_is(model: Translator) -> None:
    facts, said = model.info(), in_words(model.info())
    assert facts.attention == facts["attention"] == "general" and said["attention"] == "general: h_t · W_a h̄_s"
    assert facts.folder == str(model.folder) and facts.embedding == 8
    letters = len(set("".join(WORDS)))  # the blank is one in the source only
    Vs, V = 4 + 2 + letters, 4 + letters - 1
    assert facts.parameters == sum(a.size for a in random_parameters(model.config.model, Vs, V, 0).values())
    assert said["source"] == f"char, {Vs} entries" and said["target"] == f"space, {V} entries"
    assert (facts.target_tokenizer, facts.target_form, facts.target_entries) == ("space", None, V)
    assert (facts.limit_ratio, facts.limit_constant) == (1, 4) and said["length limit"] == "1 x source tokens + 4"
    assert facts.state is facts.finished is None and said["training"] == "no record"


def test_old_names_of_facts_work_and_say_the_new_one(model: Translator) -> None:
    facts = model.info()
    with pytest.warns(DeprecationWarning, match=r"info\(\)\['input feeding'\] is now info\(\).input_feeding"):
        assert facts["input feeding"] is False
    with pytest.raises(KeyError):
        facts["source"]  # which was a sentence


def test_the_runtime_imports_nothing_heavy() -> None:
    code = "import sys, jumok.runtime, jumok.decode.translator; print(*sorted({m.split('.')[0] for m in sys.modules} - sys.stdlib_module_names))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in out if not name.startswith("_")} <= {"jumok", "numpy", "safetensors", "mypy_extensions"}
