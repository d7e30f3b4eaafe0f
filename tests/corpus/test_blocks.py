"""Blocks of a file: read and encoded as whole files are, however they are cut, whatever is in them; the survey; the crew."""

import dataclasses
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jumok.config import TextConfig
from jumok.corpus.blocks import Columns, Warnings, _line_by_line, _ordinary, cut, read_block
from jumok.corpus.crew import Crew
from jumok.corpus.shards import Shard, encode
from jumok.corpus.survey import Survey, Surveying
from jumok.errors import DataError
from jumok.text import TOKENIZERS, Pair, read_pairs, split_dev, train_tokenizer
from jumok.text.codec import feature_tokens
from jumok.text.dev import hashed, set_aside
from jumok.text.pairs import files_of
from jumok.text.vocabulary import END, SPECIALS


class Told(list[str]):
    """Messages, in order."""

    def __call__(self, text: str) -> None:
        self.append(text)


# Fast and slow


texts = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\0"), max_size=12), max_size=8)
more_texts = st.lists(st.text("ab é가▁ ̈‹›", max_size=12), max_size=8)
features = st.lists(st.sampled_from(["V", "PST", "a", "é"]), max_size=3).map(tuple)


@settings(max_examples=60)
@given(st.one_of(texts, more_texts), st.sampled_from(["none", "NFC", "NFD", "NFKC", "NFKD"]), st.data())
@pytest.mark.parametrize("name", TOKENIZERS)
def test_fast_encoding_equals_slow(name: str, some: list[str], form, data: st.DataObject) -> None:
    tokenizer = train_tokenizer(name, form, ["abba é", *some[::2]], 40)
    given_features = data.draw(st.none() | st.lists(features, min_size=len(some), max_size=len(some)))
    side = encode(tokenizer, some, given_features)
    rows = [feature_tokens(given_features[i] if given_features else ()) + tokenizer.tokens(text) for i, text in enumerate(some)]
    assert side.lengths.tolist() == [len(row) + 1 for row in rows]
    strings = [*SPECIALS, *side.tokens]
    found = [strings[i] for i in side.ids.tolist()]
    assert found == [token for row in rows for token in (*row, SPECIALS[END])]
    assert dict(zip(side.tokens, side.counts.tolist(), strict=True)) == {
        token: sum(row.count(token) for row in rows) for row in rows for token in row
    }


pieces = st.sampled_from([b"a", "é가".encode(), b"b c", b"\t", b"\t", b"\t", b"\n", b"\n", b" ", b";"])
odd = st.sampled_from([b"\r", b"\r\n", b"\xff", b"\0", b"\xef\xbb\xbf", b"\n\n", "\u2028".encode()])
raw = st.lists(pieces, max_size=60) | st.lists(st.one_of(*[pieces] * 9, odd), max_size=60)


def outcome(pairs: list[Pair] | None, told: Told, error: str) -> tuple:
    return pairs, list(told), error


def read_whole(path: str, text: TextConfig) -> tuple:
    told = Told()
    try:
        return outcome(read_pairs(path, text, warn=told), told, "")
    except DataError as e:
        return outcome(None, told, str(e))


def read_in_blocks(path: str, text: TextConfig, size: int) -> tuple:
    told, found, names = Told(), [], files_of(path)
    telling = Warnings(names, text, told)
    try:
        for block in cut(names, size):
            columns = read_block(block.raw, block.before, names, text)
            telling.add(columns.facts())
            places = [f"{names[0]}:{line}" for line in columns.lines]
            own = columns.features or [()] * len(places)
            found += map(Pair, columns.sources, columns.targets, own, places)
        telling.finish(len(found))
        return outcome(found, told, "")
    except DataError as e:
        return outcome(None, told, str(e))


@settings(max_examples=300)
@given(
    raw.map(b"".join),
    st.integers(1, 80),
    st.sampled_from([TextConfig(), TextConfig(features_column=3, target_column=1, source_column=2)]),
)
def test_blocks_read_as_whole_files_do(tmp_path_factory, content: bytes, size: int, text: TextConfig) -> None:
    path = tmp_path_factory.getbasetemp() / "blocks.tsv"
    path.write_bytes(content)
    assert read_in_blocks(str(path), text, size) == read_whole(str(path), text)


@settings(max_examples=100)
@given(raw.map(b"".join), raw.map(b"".join), st.integers(1, 80))
@example(b"", b"\ra", 1)  # unequal lengths, and CR without LF
@example(b"\r", b"aaaa\t\x00\xff", 1)  # a remark on the first file, and a second one that is no text
def test_blocks_of_parallel_files_too(tmp_path_factory, a: bytes, b: bytes, size: int) -> None:
    paths = [tmp_path_factory.getbasetemp() / name for name in ("blocks.a", "blocks.b")]
    for path, content in zip(paths, (a, b), strict=True):
        path.write_bytes(content)
    both = ",".join(map(str, paths))
    found, want = read_in_blocks(both, TextConfig(), size), read_whole(both, TextConfig())
    if "parallel files need the same number" in want[2]:  # what would be told of a line without its other is not told
        assert found[2] == want[2] and set(found[1]) <= set(want[1])
    else:
        assert found == want


@given(raw.map(b"".join), st.integers(0, 2))
def test_ordinary_blocks_equal_the_reader(content: bytes, before: int) -> None:
    text = TextConfig(features_column=3)
    fast, slow = (read([content], before, ("p.tsv",), text) for read in (_ordinary, _line_by_line))
    if fast is not None:
        assert columns(fast) == columns(slow)
    else:
        widths = {line.count(b"\t") for line in content.removesuffix(b"\n").split(b"\n")}
        assert slow.notices or slow.reasons or slow.error or len(widths) > 1 or not content


def columns(found: Columns) -> dict:
    return dataclasses.asdict(found) | {"lines": list(found.lines)}


def test_usual_blocks_are_ordinary(tmp_path: Path) -> None:
    path = tmp_path / "p.tsv"
    path.write_text("".join(f"wörd {i}\tx\t\n" for i in range(100)), encoding="utf-8")
    found = [
        _ordinary(block.raw, block.before, (str(path),), TextConfig(features_column=3)) for block in cut((str(path),), 300)
    ]
    assert len(found) > 3 and all(block is not None and block.features is None for block in found)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_line_too_long_for_a_block(suffix: str, tmp_path: Path) -> None:
    path, content = tmp_path / f"p.tsv{suffix}", b"a\tb\n" * 3 + b"c\t" + b"d" * 9_000_000 + b"\ne\tf\n"
    path.write_bytes(gzip.compress(content, 1) if suffix else content)
    assert read_in_blocks(str(path), TextConfig(), 10) == read_whole(str(path), TextConfig())
    assert read_whole(str(path), TextConfig())[2].startswith(f"{path}:4: 1,000,000 characters")
    assert max(len(block.raw[0]) for block in cut((str(path),), 10)) < 4_100_000


def test_damaged_gzip_after_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "p.tsv.gz"
    rows = "".join(f"{i * 7919 % 1000}\tb{i * 104729 % 1000}\n" for i in range(3000))
    path.write_bytes(gzip.compress(rows.encode())[:-500])
    seen = read_in_blocks(str(path), TextConfig(), 999)
    assert seen == read_whole(str(path), TextConfig()) and "damaged or cut gzip data" in seen[2]


# Processes


def test_a_shard_that_cannot_be_written(tmp_path: Path) -> None:
    side = encode(train_tokenizer("char", "none", [], 0), ["a"])
    with pytest.raises(DataError, match="could not be written"):
        Shard({}, side, side, np.array([1])).write(tmp_path / "none" / "shard.npz")


def test_a_process_that_fails_ends_it(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    with Crew("survey", {"files": ["p.tsv"], "text": {}, "seed": 1, "looked_at": 50}, 2) as crew:
        answers = crew.do(({"before": 0, "every": 1, "below": "ff", **more}, [b"a\tb\n"]) for more in ({}, {"before": "?"}))
        assert next(answers)["sample"] == [[1, "a", "b"]]
        with pytest.raises(DataError, match="a process that read pairs ended with status 1"):
            next(answers)
    assert "TypeError" in capfd.readouterr().err


# The survey


def test_survey_finds_the_sources_that_split_dev_holds() -> None:
    random = np.random.default_rng(0)
    pairs = [Pair(f"w{i}", "x") for i in random.integers(0, 300, 900)]
    survey = Survey(sample=False, looked_at=50)
    surveying = Surveying({"files": ["p.tsv"], "text": {}, "seed": 1, "looked_at": 50})
    for start in range(0, 900, 90):
        block = "".join(f"{p.source}\t{p.target}\n" for p in pairs[start : start + 90]).encode()
        survey.add(surveying({"before": start, "every": survey.every, "below": survey.below}, [block]))
    counts = {source: sum(p.source == source for p in pairs) for source in {p.source for p in pairs}}
    lowest = [source for _, source in sorted(hashed(counts, 1))[:50]]
    assert survey.first() == [(source, counts[source]) for source in lowest]
    assert survey.below < "8" and survey.pairs == 900
    assert set_aside(survey.first(), 900, "") == {p.source for p in split_dev(pairs, 1)[1]}


def test_sample_is_spread_evenly_and_never_large() -> None:
    survey = Survey(sample=True, most=10)
    for start in range(1, 1000, 100):
        survey.add({"pairs": 100, "first": [], "sample": [[line, f"s{line}", "t"] for line in range(start, start + 100)]})
        assert len(survey._sample) <= 10
    sources, targets = survey.sample({"s256"})
    assert sources == [f"s{line}" for line in range(128, 1000, 128) if line != 256] and set(targets) == {"t"}
