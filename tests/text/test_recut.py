"""BPE dropout: cuttings by their probabilities, texts that stay what they are, epochs that can be repeated, runs that go on."""

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from faulty_disk import Death
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import TINY, same_weights
from toy_run import die_at

import jumok
from jumok.config import LearnConfig, TextConfig, TrainConfig, build
from jumok.errors import ConfigError
from jumok.text import END, PAD, UNK, Batches, Codec, Pair, Rows, bpe, build_codec, train_tokenizer
from jumok.text.choices import Choices
from jumok.text.recut import CUTTINGS, Recutting, recutting

MERGES = bpe.ranked([("a", "b"), ("▁", "c"), ("ab", "ab"), ("▁c", "ab"), ("b", "a"), ("▁cab", "ab")])
BPE = TextConfig(source_tokenizer="bpe", target_tokenizer="bpe", bpe_size=60)
PAIRS = [
    Pair("the cat sat on the mat", "die katze saß auf der matte"),
    Pair("the cats  sat", " die katzen saßen"),
    Pair("that ▁ hat", "der hut"),
    Pair("a mat", "eine matte "),
] * 3


def reference(tokens: tuple[str, ...], dropout: float) -> Counter[tuple[str, ...]]:
    """The probability of every cutting: each possible merge is left in or out, and the first of those left in is done."""
    possible = sorted((MERGES[pair][0], i) for i, pair in enumerate(pairwise(tokens)) if pair in MERGES)
    found = Counter[tuple[str, ...]]({tokens: dropout ** len(possible)})  # type: ignore[dict-item]
    for n, (_, i) in enumerate(possible):
        chance = dropout**n * (1 - dropout)
        merged = (*tokens[:i], tokens[i] + tokens[i + 1], *tokens[i + 2 :])
        for cutting, p in reference(merged, dropout).items():
            found[cutting] += chance * p  # type: ignore[assignment]
    return found


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_cuttings_come_as_often_as_algorithm_1_says(dropout: float) -> None:
    word, n, draw = "▁cababab", 20_000, random.Random(4).random
    want = reference(tuple(word), dropout)
    assert sum(want.values()) == pytest.approx(1) and len(want) > 20
    found = Counter(tuple(bpe.merge_with_dropout(word, MERGES, dropout, draw)) for _ in range(n))
    assert not found.keys() - want.keys()
    for cutting, p in want.items():
        assert abs(found[cutting] / n - p) < 5 * (p * (1 - p) / n) ** 0.5 + 1e-4, cutting


@given(st.text("abc", max_size=12))
def test_without_dropout_it_is_the_usual_cutting(word: str) -> None:
    assert bpe.merge_with_dropout("▁" + word, MERGES, 0.0, lambda: 0.0) == bpe.merge("▁" + word, MERGES)
    assert bpe.merge_with_dropout("▁" + word, MERGES, 0.9, lambda: 0.5) == ["▁", *word]


def texts_of(side, rows: Rows) -> list[str]:
    return [side.tokenizer.text(side.vocabulary.tokens([i for i in rows[n] if i != END])) for n in range(len(rows))]


def rows_of(pairs: list[Pair], codec: Codec) -> tuple[Rows, Rows]:
    sources, targets = codec.encode_pairs(pairs)
    return Rows.of(sources), Rows.of(targets)


@settings(max_examples=40)
@given(
    st.lists(st.text("the catsm  ▁é\u0301가", max_size=20), min_size=1, max_size=6),
    st.sampled_from(["none", "NFC", "NFD"]),
    st.integers(0, 3),
    st.integers(0, 50),
)
def test_texts_stay_what_they_are(texts: list[str], form, seed: int, epoch: int) -> None:
    config = TextConfig(source_tokenizer="bpe", target_tokenizer="bpe", source_form=form, target_form=form, bpe_size=40)
    pairs = [Pair(text, text[::-1]) for text in [*texts, "the cat"]]
    codec = build_codec(pairs, config, whole=True)
    usual = rows_of(pairs, codec)
    cut = recutting(codec, pairs, usual, 0.3, seed)
    for side, usual_rows, rows in zip((codec.source, codec.target), usual, cut.draw(epoch), strict=True):
        assert texts_of(side, rows) == texts_of(side, usual_rows)
        assert all(rows[n][-1] == END and (rows[n] == END).sum() == 1 and UNK not in rows[n] for n in range(len(rows)))
        assert rows.flat[-1] == PAD
    assert max(cut.draw(epoch)[0].lengths) <= cut.longest_source()


def test_features_and_what_stands_between_sources_are_never_cut() -> None:
    config = TextConfig(source_tokenizer="bpe", target_tokenizer="char", source_column="1,2", target_column=3, bpe_size=60)
    pairs = [Pair("the cat\tthat mat", "x", ("V", "PST")), Pair("a\tthe", "y")] * 3
    codec = build_codec(pairs, config, whole=True)
    usual = rows_of(pairs, codec)
    cut = recutting(codec, pairs, usual, 0.5, 1)
    assert cut.targets is None and cut.sources is not None
    for epoch in range(20):
        sources, targets = cut.draw(epoch)
        assert targets is usual[1]
        for n, p in enumerate(pairs):
            tokens = codec.source.vocabulary.tokens(sources[n][:-1])
            assert tokens[: len(p.features)] == [f"‹{f}›" for f in p.features] and tokens.count("\t") == 1
            assert codec.source.tokenizer.text(tokens[len(p.features) :]) == p.source


def test_epochs_differ_and_words_are_cut_in_many_ways() -> None:
    codec = build_codec(PAIRS, BPE, whole=True)
    usual = rows_of(PAIRS, codec)
    cut = recutting(codec, PAIRS, usual, 0.2, 1)
    seen = {str(cut.draw(epoch)[1].flat.tolist()) for epoch in range(10)}
    assert len(seen) == 10
    assert cut.sources is not None and len(cut.sources.pool) % CUTTINGS == 0
    more = recutting(codec, PAIRS, usual, 0.6, 1).draw(1)[0].lengths.sum()
    assert usual[0].lengths.sum() < cut.draw(1)[0].lengths.sum() < more


def test_a_vocabulary_that_lacks_pieces_still_reads_every_text() -> None:
    """As in a model to start from, which has only the tokens that were seen."""
    codec = build_codec(PAIRS, BPE)
    whole = build_codec(PAIRS, BPE, whole=True)
    tokenizer = whole.source.tokenizer
    assert tokenizer.all_tokens() == {*whole.source.vocabulary.to_dict()["tokens"]}  # type: ignore[attr-defined]
    assert len(codec.source) < len(whole.source)
    usual = rows_of(PAIRS, codec)
    for rows in recutting(codec, PAIRS, usual, 0.5, 1).draw(3):
        assert UNK not in rows.flat


def batches(cut: Recutting, targets: Rows | Choices, **size) -> Batches:
    return Batches(cut, targets, seed=3, pool=2, **(size or {"batch_size": 5}))


@pytest.mark.parametrize("size", [{"batch_size": 5}, {"batch_tokens": 60}])
def test_batches_have_each_pair_as_it_is_cut_in_the_epoch(size) -> None:
    codec = build_codec(PAIRS, BPE, whole=True)
    usual = rows_of(PAIRS, codec)
    cut = recutting(codec, PAIRS, usual, 0.3, 3)
    made = batches(cut, usual[1], **size)
    for epoch in (0, 1, 4):
        want, seen = cut.draw(epoch), []
        for batch in made.epoch(epoch):
            for i, row in enumerate(batch.rows):
                assert batch.source[i, : batch.source_lengths[i]].tolist() == want[0][row].tolist()
                assert batch.target[i, : batch.target_lengths[i]].tolist() == want[1][row].tolist()
                seen.append(int(row))
        assert sorted(seen) == list(range(len(PAIRS)))
        again = batches(cut, usual[1], **size)
        assert [b.rows.tolist() for b in again.epoch(epoch, 2)] == [b.rows.tolist() for b in made.epoch(epoch)][2:]
        assert again.length(epoch) == len(list(made.epoch(epoch)))


def test_what_a_teacher_wrote_stays_as_it_is_cut() -> None:
    codec = build_codec(PAIRS, BPE, whole=True)
    usual = rows_of(PAIRS, codec)
    cut = recutting(codec, PAIRS, usual, 0.3, 3)
    written = Rows.of([[7, 8, END]])
    numbers = np.zeros(len(PAIRS), int)
    choices = Choices(usual[1], written, np.array([0, 1]), np.ones(1), numbers, np.full(len(PAIRS), 0.5))
    for epoch in range(3):
        drawn, own = choices.draw(3, epoch), cut.draw(epoch)[1]
        assert {*(drawn >= 0)} == {False, True}
        for batch in batches(cut, choices).epoch(epoch):
            for i, row in enumerate(batch.rows):
                want = [7, 8, END] if drawn[row] >= 0 else own[row].tolist()
                assert batch.target[i, : batch.target_lengths[i]].tolist() == want


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    words, draw = ["abba", "cabab", "bacca", "acca", "dab"], random.Random(1)
    lines = {" ".join(draw.choices(words, k=3)) for _ in range(60)}
    path.write_text("".join(f"{line}\t{line.upper()}\n" for line in sorted(lines)), encoding="utf-8")
    return path


RUN = TINY | {
    "tie": "target",
    "readout_size": 16,
    "source_tokenizer": "bpe",
    "target_tokenizer": "bpe",
    "bpe_size": 30,
    "steps": 8,
    "evaluate_every": 4,
}


def test_a_killed_run_goes_on_as_if_it_had_not_been(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rate in (("whole", 0.3), ("cut once", 0.0)):
        jumok.train(pairs, out=tmp_path / name, bpe_dropout=rate, **RUN)
    with monkeypatch.context() as m:
        die_at(m, 6)
        with pytest.raises(Death):
            jumok.train(pairs, out=tmp_path / "killed", bpe_dropout=0.3, **RUN)
    jumok.train(pairs, out=tmp_path / "killed", bpe_dropout=0.3, resume=True, **RUN)
    assert same_weights(tmp_path / "whole", tmp_path / "killed")
    one, other = (jumok.load(tmp_path / name) for name in ("whole", "cut once"))
    assert len(one.codec.source) > len(other.codec.source)
    assert one.config.training["learn"]["bpe_dropout"] == 0.3


def test_it_can_start_from_a_model(pairs: Path, tmp_path: Path) -> None:
    jumok.train(pairs, out=tmp_path / "first", **RUN)
    options = {name: RUN[name] for name in ("steps", "evaluate_every", "threads", "quiet")}
    done = jumok.train(pairs, out=tmp_path / "next", from_=tmp_path / "first", bpe_dropout=0.3, **options)
    assert done.config.learn.bpe_dropout == 0.3
    letters = jumok.train(pairs, out=tmp_path / "letters", **TINY, steps=2, evaluate_every=2)
    with pytest.raises(ConfigError, match=r"the model cuts texts by char and char, so --bpe-dropout has nothing to do"):
        jumok.train(pairs, out=tmp_path / "no", from_=letters.folder, bpe_dropout=0.3, **options)


def test_what_is_refused(pairs: Path, tmp_path: Path) -> None:
    cut = {"source_tokenizer": "bpe", "bpe_dropout": 0.1, "pairs": str(pairs), "out": str(tmp_path / "m")}
    with pytest.raises(ConfigError, match=r"bpe_dropout is 0.1, but no side is cut by bpe: give --source-tokenizer bpe"):
        build(TrainConfig, cut | {"source_tokenizer": "word"}, "here")
    with pytest.raises(ConfigError, match=r"bpe_dropout is 0.1, and cache is given; what lies on the disk is cut once"):
        build(TrainConfig, cut | {"cache": str(tmp_path / "c")}, "here")
    with pytest.raises(ConfigError, match=r"bpe_dropout is 1.0; it must be from 0 to below 1"):
        build(LearnConfig, {"bpe_dropout": 1.0}, "here")


def test_files_that_stay_on_the_disk_are_refused(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumok.learn.data.LARGE", 100)
    with pytest.raises(ConfigError, match="pairs stay on the disk, and --bpe-dropout needs them in memory"):
        jumok.train(pairs, out=tmp_path / "m", bpe_dropout=0.1, **RUN)


def test_a_long_word_is_cut_as_usual() -> None:
    tokenizer = train_tokenizer("bpe", "none", ["aaaa bbbb"] * 3, 20)
    long = "▁" + "ab" * 5_000
    assert tokenizer.cut_word(long, 0.5, random.random) == tokenizer.cut_word(long, 0.0, random.random)  # type: ignore[attr-defined]
