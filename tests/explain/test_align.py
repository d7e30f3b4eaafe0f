"""Links from attention: planted weights, every path by hand, words of tokens, and `jumok align` on files good and bad."""

import io
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jumok import cli
from jumok.config import ModelConfig, TextConfig
from jumok.errors import ConfigError
from jumok.explain import (
    COMBINE,
    METHODS,
    align,
    align_both,
    best_path,
    grow_diagonal,
    hard_links,
    links_json,
    pharaoh,
    unit_links,
)
from jumok.explain.aligning import Aligned
from jumok.measure import measure_links, read_gold, read_links
from jumok.runtime import Translator
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec

small = st.tuples(st.integers(1, 4), st.integers(1, 4))
weight = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.9])


def cost(weights: np.ndarray, path: tuple[int, ...]) -> float:
    return sum(np.log(max(float(weights[t, s]), np.finfo(np.float32).tiny)) for t, s in enumerate(path))


def planted(T: int, S: int, links: dict[int, int]) -> np.ndarray:
    """Weights [T, S] with 0.8 where `links` has t: s, the rest alike."""
    weights = np.full((T, S), 0.2 / max(1, S - 1))
    for t, s in links.items():
        weights[t, s] = 0.8
    return weights


# The path


@given(small.flatmap(lambda shape: arrays(np.float32, shape, elements=st.floats(0, 1, width=32) | weight)))
def test_best_path_is_the_best_of_all(weights: np.ndarray) -> None:
    T, S = weights.shape
    path = tuple(best_path(weights).tolist())
    every = [p for p in itertools.product(range(S), repeat=T) if all(a <= b for a, b in itertools.pairwise(p))]
    assert path in every
    assert cost(weights, path) == pytest.approx(max(cost(weights, p) for p in every), abs=1e-4)


def test_best_path_takes_the_first_of_equals() -> None:
    assert best_path(np.full((3, 4), 0.25, np.float32)).tolist() == [0, 0, 0]


def test_best_path_by_hand() -> None:
    # argmax would be 2, 0, 1. Monotone: 0 0 1 = .3*.6*.7 = .126, and 2 2 2 = .6*.3*.2 = .036
    weights = np.array([[0.3, 0.1, 0.6], [0.6, 0.1, 0.3], [0.1, 0.7, 0.2]], np.float32)
    assert best_path(weights).tolist() == [0, 0, 1]
    assert METHODS["argmax"](weights).tolist() == [2, 0, 1]


@given(st.lists(st.integers(0, 9), min_size=1).map(sorted))
def test_a_monotone_alignment_is_found_by_every_method(path: list[int]) -> None:
    weights = planted(len(path), 10, dict(enumerate(path)))
    for method in METHODS.values():
        assert method(weights).tolist() == path


def test_best_path_of_no_steps() -> None:
    assert best_path(np.zeros((0, 3), np.float32)).shape == (0,)


# Units


def test_tokens_on_their_own_are_hard_links() -> None:
    weights = planted(3, 4, {0: 2, 1: 0, 2: 1})
    assert unit_links(weights, range(4), range(3)) == sorted(hard_links(weights))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_part_of_no_unit_gives_no_link(method: str) -> None:
    # source: a feature, two words, </s>; target: three words, </s>. Step 0 looks at the feature, step 3 is </s> itself.
    weights = planted(4, 4, {0: 0, 1: 1, 2: 2, 3: 1})
    assert unit_links(weights, [-1, 0, 1, -1], [0, 1, 2, -1], method) == [(0, 1), (1, 2)]
    weights[1] = [0.1, 0.4, 0.1, 0.4]  # </s> as much as the word: no link
    assert unit_links(weights, [-1, 0, 1, -1], [0, 1, 2, -1], method) == [(1, 2)]
    assert unit_links(weights, [-1] * 4, [0, 1, 2, -1], method) == unit_links(weights, range(4), [-1] * 4, method) == []


def test_a_look_at_the_end_does_not_hold_up_the_path() -> None:
    weights = planted(3, 4, {0: 0, 1: 3, 2: 1})
    assert unit_links(weights, [0, 1, 2, -1], [0, 1, 2], "path") == [(0, 0), (1, 2)]


def test_subwords_link_their_words() -> None:
    # source ▁un do ▁it </s>, target ▁mach ▁rück gängig </s>
    weights = planted(4, 4, {0: 2, 1: 0, 2: 1, 3: 3})
    assert unit_links(weights, [0, 0, 1, -1], [0, 1, 1, -1]) == [(0, 1), (1, 0)]
    weights = planted(4, 4, {0: 2, 1: 0, 2: 2, 3: 3})
    assert unit_links(weights, [0, 0, 1, -1], [0, 1, 1, -1]) == [(0, 1), (1, 0), (1, 1)]


@given(small.flatmap(lambda shape: arrays(np.float32, shape, elements=weight)), st.data())
def test_links_are_in_order_each_once_and_within_the_units(weights: np.ndarray, data: st.DataObject) -> None:
    T, S = weights.shape
    source, target = (data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)) for n in (S, T))
    for method in METHODS:
        links = unit_links(weights, source, target, method)
        assert links == sorted(set(links))
        assert all(i in source and j in target and i >= 0 and j >= 0 for i, j in links)


# Both directions

sets = st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=10)


def test_grow_diagonal_by_hand() -> None:
    a, b = {(0, 0), (1, 1), (1, 2), (4, 4)}, {(0, 0), (2, 2), (0, 1), (3, 4), (5, 5)}
    # From 0-0 to 1-1, from there to 2-2. 1-2, 0-1 and 3-4 would link a word twice or lie beside nothing, as 4-4 and 5-5 do
    # once 3 and 4 are not in.
    assert grow_diagonal(a, b) == {(0, 0), (1, 1), (2, 2)}


@given(sets, sets)
def test_combining(a: frozenset, b: frozenset) -> None:
    grown = grow_diagonal(a, b)
    assert a & b <= grown <= a | b and COMBINE["intersection"](a, b) == a & b and COMBINE["union"](a, b) == a | b
    for combine in COMBINE.values():
        assert combine(a, b) == combine(b, a) and combine(a, a) == a
    added = grown - (a & b)  # each joins two words that have no other link
    for i, j in added:
        assert [x for x in grown if x[0] == i] == [x for x in grown if x[1] == j] == [(i, j)]


@pytest.mark.parametrize("aligner", ["fastalign", "giza"])
def test_grow_diagonal_as_published(aligner: str, shared_data) -> None:
    def read(name: str, reverse: bool = False) -> list[frozenset]:
        return read_links(str(shared_data(f"word-alignment/enfr.{aligner}{name}.talp")), reverse=reverse, warn=print)

    grown = [frozenset(grow_diagonal(a, b)) for a, b in zip(read(""), read(".reverse", True), strict=True)]
    published = read(".grow-diagonal")
    # Where two links compete for a word, it depends on the order they are looked at.
    assert sum(a == b for a, b in zip(grown, published, strict=True)) > 435
    gold = read_gold(str(shared_data("word-alignment/enfr.tsv")), warn=print)
    for ours, theirs in zip(measure_links(grown, gold), measure_links(published, gold), strict=True):
        assert ours.value == pytest.approx(theirs.value, abs=0.1)


# Models


def folder_of(path: Path, text: TextConfig, pairs: list[Pair], attention: str = "general") -> Path:
    """A model folder with random weights."""
    model = ModelConfig(attention=attention, size="small", embedding=6, hidden=8, score_size=8, readout_size=8, tie="none")  # type: ignore[arg-type]
    codec = build_codec(pairs, text)
    parameters = random_parameters(model, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=1)
    write_folder(path, FolderConfig(text, model, (1.0, 5.0), {}), parameters, codec, "# Random\n", [])
    return path


SENTENCES = [Pair("a man , in a hat", "ein mann mit hut"), Pair("two women run", "zwei frauen rennen"), Pair("run", "rennen")]


@pytest.fixture(scope="module")
def subwords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = TextConfig(source_tokenizer="bpe", target_tokenizer="bpe", bpe_size=24, joint_vocabulary=False)
    return folder_of(tmp_path_factory.mktemp("subwords") / "model", text, SENTENCES * 2)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = [Pair("run", "ran", ("V", "PST")), Pair("cat", "cats", ("N", "PL"))]
    return folder_of(tmp_path_factory.mktemp("features") / "model", TextConfig(features_column=3), pairs)


def test_units_of_a_side_follow_its_tokenizer(model_folder: Path, subwords: Path) -> None:
    pair = Pair("a cat", "A C A T")
    (by_default,) = align(Translator.load(model_folder), [pair])
    assert (by_default.source, by_default.target) == (tuple("a cat"), ("A", "C", "A", "T"))
    (words,) = align(Translator.load(model_folder), [pair], unit="word")
    assert words.source == ("a", "cat") and all(i < 2 for i, _ in words.links)
    model = Translator.load(subwords)
    (words,) = align(model, [SENTENCES[0]])
    assert words.source == ("a", "man", ",", "in", "a", "hat") and words.target == ("ein", "mann", "mit", "hut")
    (tokens,) = align(model, [SENTENCES[0]], unit="token")
    assert "".join(tokens.source) == "▁a▁man▁,▁in▁a▁hat" and len(tokens.source) > 6


@pytest.mark.parametrize("method", METHODS)
def test_links_are_those_of_forced_weights(subwords: Path, method: str) -> None:
    model = Translator.load(subwords)
    for pair, aligned in zip(SENTENCES, align(model, SENTENCES, method, "token"), strict=True):
        forced = model.score(pair.source, pair.target)
        assert forced.weights is not None and aligned.log_probability == pytest.approx(forced.log_probability, abs=1e-4)
        S, T = len(aligned.source), len(aligned.target)
        assert list(aligned.links) == unit_links(forced.weights, [*range(S), -1], [*range(T), -1], method)
        if method == "path":
            assert all(a <= b for (a, _), (b, _) in itertools.pairwise(sorted(aligned.links, key=lambda link: link[1])))


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = TextConfig(source_tokenizer="word", target_tokenizer="word", joint_vocabulary=False)
    return folder_of(tmp_path_factory.mktemp("turned") / "model", text, [Pair(p.target, p.source) for p in SENTENCES])


@pytest.mark.parametrize("combine", COMBINE)
def test_both_directions(subwords: Path, turned: Path, combine: str) -> None:
    model, reverse = Translator.load(subwords), Translator.load(turned)
    pairs = [SENTENCES[0], None, *SENTENCES[1:], Pair("run " * 3000, "rennen")]
    found = list(align_both(model, reverse, iter(pairs), combine=combine))
    assert [bool(a.problem) for a in found] == [False, True, False, False, True]
    back = align(reverse, [p and Pair(p.target, p.source) for p in pairs])
    for both, one, other in zip(found, align(model, pairs), back, strict=True):
        assert (both.source, both.target) == (one.source, one.target)
        assert set(both.links) == COMBINE[combine](set(one.links), {(i, j) for j, i in other.links})
        assert list(both.links) == sorted(both.links)


def test_both_directions_in_different_units(subwords: Path, turned: Path) -> None:
    model, reverse = Translator.load(subwords), Translator.load(turned)
    with pytest.raises(ConfigError, match=r"tokenises the text differently .* give --unit word"):
        list(align_both(model, reverse, SENTENCES, unit="token"))
    with pytest.raises(ConfigError, match="combine is 'both'; it must be one of grow-diagonal, intersection, union"):
        align_both(model, reverse, SENTENCES, combine="both")


def test_features_are_no_units(features: Path) -> None:
    model = Translator.load(features)
    (aligned,) = align(model, [Pair("run", "ran", ("V", "PST"))])
    assert aligned.source == tuple("run") and all(0 <= i < 3 and 0 <= j < 3 for i, j in aligned.links)
    forced = model.score("run", "ran", ("V", "PST"))
    assert forced.weights is not None and forced.weights.shape == (4, 6)
    wanted = {(int(s) - 2, t) for t, s in enumerate(forced.weights[:3].argmax(1)) if 2 <= s < 5}
    assert set(aligned.links) == wanted


def test_no_pair_and_too_long_a_pair_keep_their_place(subwords: Path) -> None:
    model = Translator.load(subwords)
    long = Pair("run " * model.longest, "rennen")
    found = list(align(model, [None, SENTENCES[1], long, Pair("run", long.source), None, SENTENCES[1]]))
    assert [bool(a.problem) for a in found] == [True, False, True, True, True, False]
    assert found[1] == found[5]
    assert found[2].links == () and "the source has 2,501 tokens" in found[2].problem
    assert "the target has 10,001 tokens" in found[3].problem


def test_many_pairs_do_not_depend_on_each_other(subwords: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Translator.load(subwords)
    together = [a.links for a in align(model, SENTENCES * 5)]
    monkeypatch.setattr("jumok.explain.aligning.TOGETHER", 4)
    assert [a.links for a in align(model, iter(SENTENCES * 5))] == together
    monkeypatch.setattr("jumok.explain.aligning.MOST_CELLS", 0)
    assert [a.links for a in align(model, iter(SENTENCES * 5))] == together
    assert list(align(model, [])) == []


def test_what_cannot_be_asked(subwords: Path, tmp_path: Path) -> None:
    model = Translator.load(subwords)
    with pytest.raises(ConfigError, match="method is 'best'; it must be one of argmax, path"):
        align(model, [], "best")
    with pytest.raises(ConfigError, match="unit is 'char'"):
        align(model, [], unit="char")  # type: ignore[arg-type]
    plain = Translator.load(folder_of(tmp_path / "plain", TextConfig(), SENTENCES, "none"))
    with pytest.raises(ConfigError, match=r"plain: the model was trained with attention none.*--attention general"):
        align(plain, [])


def test_json_of_a_pair_is_one_line_whatever_the_text() -> None:
    line = links_json(Aligned(("a\u2028",), ("b\x85", "\ud800"), ((0, 1),), -1.5))
    assert len(line.splitlines()) == 1 and line.isprintable()
    wanted = {"source": ["a\u2028"], "target": ["b\x85", "\ud800"], "links": [[0, 1]], "log_probability": -1.5}
    assert json.loads(line) == wanted


# The command

Ran = tuple[int, list[str], str]


@pytest.fixture
def jumok(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: str | Path) -> Ran:
        status = cli.main([str(a) for a in arguments])
        done = capsys.readouterr()
        return status, done.out.split("\n")[:-1], done.err

    return run


PAIRS = "cat\tC A T\t1-1 2-2 3p3\n\nzebra\tZ E B R A\t1-1\nonly a source\nwhy\t\t\nwhy\tW H Y\t\n\n"


def test_a_line_out_for_every_line_in(jumok, model_folder: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_bytes(PAIRS.encode() + b"\xff\tB A D\n")
    status, lines, said = jumok("align", model_folder, pairs)
    assert status == 0 and len(lines) == 8
    assert [bool(line) for line in lines] == [True, False, True, False, False, True, False, False]
    for line, reason in ((2, "blank"), (4, "1 column"), (5, "the target is empty"), (7, "blank"), (8, "not UTF-8")):
        assert any(f"{pairs}:{line}: " in w and reason in w and "empty line" in w for w in said.splitlines()), (line, said)
    found = list(align(Translator.load(model_folder), [Pair("cat", "C A T"), Pair("zebra", "Z E B R A"), Pair("why", "W H Y")]))
    assert [line for line in lines if line] == [pharaoh(a.links) for a in found]
    status, path, _ = jumok("align", model_folder, pairs, "--method", "path")
    assert status == 0 and len(path) == 8 and path != lines


def test_reverse_model(jumok, subwords: Path, turned: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("".join(f"{p.source}\t{p.target}\n\n" for p in SENTENCES), encoding="utf-8")
    status, lines, _ = jumok("align", subwords, tmp_path / "pairs.tsv", "--reverse-model", turned, "--combine", "union")
    wanted = align_both(Translator.load(subwords), Translator.load(turned), SENTENCES, combine="union")
    assert status == 0 and lines[::2] == [pharaoh(a.links) for a in wanted] and lines[1::2] == ["", "", ""]
    status, lines, said = jumok("align", subwords, tmp_path / "pairs.tsv", "--combine", "union")
    assert (status, lines) == (2, []) and "combine is 'union', but there is nothing to combine: give --reverse-model" in said


def test_gold_from_the_same_file(jumok, model_folder: Path, tmp_path: Path) -> None:
    pairs, out = tmp_path / "pairs.tsv", tmp_path / "links"
    pairs.write_text(PAIRS.replace("only a source\n", ""), encoding="utf-8")
    status, lines, said = jumok("align", model_folder, pairs, "--gold", pairs)
    assert status == 0 and len(lines) == 6 and "aer|n:6|sure:3|possible:4" in said
    status, printed, _ = jumok("align", model_folder, pairs, "--gold", pairs, "--out", out)
    assert status == 0 and out.read_text(encoding="utf-8").split("\n")[:-1] == lines
    measured = measure_links(read_links(str(out), warn=print), read_gold(str(pairs), warn=print))
    assert [f"{m.value:.2f} %" in line for m, line in zip(measured, printed[1:], strict=True)] == [True] * 3


def test_json(jumok, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("cat\tC A T\n\n", encoding="utf-8")
    (tmp_path / "gold").write_text("1-1\n\n", encoding="utf-8")
    status, lines, said = jumok("align", model_folder, tmp_path / "pairs.tsv", "--gold", tmp_path / "gold", "--json")
    first, second = map(json.loads, lines)
    assert status == 0 and first["source"] == ["c", "a", "t"] and first["log_probability"] < 0
    assert second == {"source": [], "target": [], "links": [], "log_probability": None}
    assert set(json.loads(said.splitlines()[-1])) == {"aer", "link-precision", "link-recall"}


def test_standard_input(jumok, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"cat\tC A T\nwhy\tW H Y\n")))
    status, lines, _ = jumok("align", model_folder, "-")
    assert status == 0 and len(lines) == 2 and all(lines)


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("1-1\n", "gold: 1 lines of gold links, but 2 lines in "),
        ("1-1\n1-x\n", "gold:2: '1-x' is not a link"),
        ("1-1\n1-4\n", "gold:2: the gold links 1 and 4 (counted from 1), but the pair has 3 source and 3 target words"),
        ("1p1\n\n", "no sure link"),
    ],
)
def test_gold_that_does_not_fit(jumok, model_folder: Path, tmp_path: Path, gold: str, message: str) -> None:
    (tmp_path / "pairs.tsv").write_text("cat\tC A T\nwhy\tW H Y\n", encoding="utf-8")
    (tmp_path / "gold").write_text(gold, encoding="utf-8")
    status, _, said = jumok("align", model_folder, tmp_path / "pairs.tsv", "--gold", tmp_path / "gold")
    assert status == 2 and message in said and "Traceback" not in said


def test_what_cannot_be_read_or_written(jumok, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("cat\tC A T\n", encoding="utf-8")
    status, _, said = jumok("align", model_folder, tmp_path / "no-such.tsv")
    assert status == 2 and "there is no such file" in said
    status, _, said = jumok("align", model_folder, tmp_path / "pairs.tsv", "--out", tmp_path / "no-such" / "links")
    assert status == 2 and "cannot be written" in said
    status, _, said = jumok("align", model_folder, "-", "--gold", "-")
    assert status == 2 and "--gold -: the pairs come from standard input already" in said
