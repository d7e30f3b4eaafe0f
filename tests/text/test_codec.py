"""Codec: strings to ids and back on both sides, features, joint vocabularies, and the files in the model folder."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.config import TextConfig
from jumok.errors import ConfigError, DataError, FolderError
from jumok.text import END, PAD, START, TOKENIZERS, UNK, Codec, Pair, build_codec, is_joint
from jumok.text import codec as codecs

PAIRS = [
    Pair("abba", "AA BB BB AA"),
    Pair("가 b", "GA BB", ("V", "PST")),
    Pair("V", "VV", ("N",)),
    Pair("a man , in", "AA MAN", ()),
]
CHAR_SPACE = TextConfig(target_tokenizer="space")
BPE = TextConfig(source_tokenizer="bpe", target_tokenizer="bpe", bpe_size=60)
CONFIGS = [TextConfig(source_tokenizer=s, target_tokenizer=t) for s in TOKENIZERS for t in TOKENIZERS]
CONFIGS += [
    dataclasses.replace(BPE, joint_vocabulary=False),
    dataclasses.replace(BPE, target_form="NFD"),
    TextConfig(joint_vocabulary=True, source_form="NFD", target_form="NFD"),
]


@pytest.fixture
def codec() -> Codec:
    return build_codec(PAIRS, CHAR_SPACE)


def test_by_hand() -> None:
    codec = build_codec([Pair("aab", "Y X", ("F",)), Pair("a", "X")], CHAR_SPACE)
    # Source: a 3 times, then b and ‹F› once each; target: X twice, Y once.
    assert codec.encode_source("ab", ("F",)) == [6, 4, 5, END]
    assert codec.encode_source("zb") == [UNK, 5, END]
    assert codec.encode_target("Y X Q") == [5, 4, UNK, END]
    assert (len(codec.source), len(codec.target)) == (7, 6)


@pytest.mark.parametrize("together", [1, 2, 4096])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.source_tokenizer}-{c.target_tokenizer}")
def test_targets_come_back_and_pairs_are_encoded_as_one_by_one(
    config: TextConfig, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build_codec(PAIRS, config)
    monkeypatch.setattr(codecs, "CUT_TOGETHER", together)
    codec = build_codec(PAIRS, config)
    assert codec.to_dict() == whole.to_dict()
    sources, targets = codec.encode_pairs(PAIRS)
    assert sources == [codec.encode_source(p.source, p.features) for p in PAIRS]
    assert targets == [codec.encode_target(p.target) for p in PAIRS]
    assert [codec.decode_target(t) for t in targets] == [p.target for p in PAIRS]
    assert not any(UNK in ids for ids in sources + targets)


def test_features_come_first_and_are_not_text(codec: Codec) -> None:
    assert codec.source_tokens("V", ("V", "PST")) == ["‹V›", "‹PST›", "V"]
    assert codec.encode_source("V", ("V",))[0] != codec.encode_source("V", ("V",))[1]
    assert UNK not in codec.encode_source("V", ("V", "N"))
    assert codec.encode_source("", ("IMP",)) == [UNK, END]


@given(st.text(), st.text(min_size=1))
def test_no_text_of_char_can_be_taken_for_a_feature(text: str, feature: str) -> None:
    codec = build_codec(PAIRS, TextConfig())
    assert codec.source_tokens("", (feature,))[0] not in codec.source_tokens(text)


def test_an_empty_source_is_its_end(codec: Codec) -> None:
    assert codec.encode_source("") == [END]
    assert codec.encode_target("") == [END]


def test_decoding_stops_at_the_end_and_passes_over_pads(codec: Codec) -> None:
    aa, bb = codec.target.vocabulary.ids(["AA", "BB"])
    assert codec.decode_target([START, aa, PAD, bb, END, aa, END]) == "AA BB"
    assert codec.decode_target([aa]) == "AA"
    assert codec.decode_target([END]) == codec.decode_target([]) == ""
    assert codec.target_tokens([aa, UNK, END]) == ["AA", "<unk>", "</s>"]


@pytest.mark.parametrize(("name", "text"), [("char", "A�A"), ("bpe", "AA�"), ("space", "AA <unk>"), ("word", "AA <unk>")])
def test_how_unknown_is_written(name: str, text: str) -> None:
    codec = build_codec([Pair("a", "AA")] * 4, TextConfig(target_tokenizer=name, joint_vocabulary=False))
    known = codec.encode_target("AA")[:-1]
    assert codec.decode_target([*known[:1], UNK, *known[1:], END]) == text


@pytest.mark.parametrize("text", ["<s>", "</s>", "<pad>", "<unk>", "</s> AA"])
def test_specials_in_the_text_are_text(codec: Codec, text: str) -> None:
    unseen = codec.encode_target(text)
    assert unseen[0] == UNK and unseen.count(END) == 1
    seen = build_codec([*PAIRS, Pair("a", text)], CHAR_SPACE)
    assert UNK not in seen.encode_target(text)
    assert seen.decode_target(seen.encode_target(text)) == text


def test_min_count() -> None:
    codec = build_codec([Pair("ab", "x"), Pair("a", "xy")], TextConfig(min_count=2))
    assert codec.encode_source("ab") == [4, UNK, END]
    assert codec.encode_target("xy") == [4, UNK, END]


def test_min_count_that_leaves_nothing() -> None:
    with pytest.raises(DataError, match=r"no token of the target side is seen min_count \(3\) times; lower --min-count"):
        build_codec([Pair("aaa", "x")], TextConfig(min_count=3))


# Joint vocabularies


def test_joint_is_one_side_trained_on_both() -> None:
    codec = build_codec([Pair("aaa c", "ba ba c")] * 3, BPE)
    assert codec.joint and codec.source is codec.target
    assert codec.encode_source("ba c aaa") == codec.encode_target("ba c aaa")
    assert codec.source_tokens("ba c aaa") == ["▁ba", "▁c", "▁aaa"]
    assert UNK not in codec.encode_source("ba c aaa")
    assert codec.source.vocabulary.counts == [6, 6, 3]  # ▁ba in targets, ▁c on both sides, ▁aaa in sources


def test_joint_by_default_where_both_are_bpe_alike() -> None:
    assert is_joint(BPE)
    assert not is_joint(dataclasses.replace(BPE, joint_vocabulary=False))
    assert not is_joint(dataclasses.replace(BPE, target_form="NFD"))
    assert not is_joint(TextConfig()) and is_joint(TextConfig(joint_vocabulary=True))
    assert not build_codec(PAIRS, TextConfig()).joint


@pytest.mark.parametrize("other", [{"target_tokenizer": "space"}, {"target_form": "NFD"}])
def test_joint_of_sides_that_differ_is_refused(other: dict) -> None:
    with pytest.raises(ConfigError, match="joint_vocabulary is on; it needs the same"):
        build_codec(PAIRS, TextConfig(joint_vocabulary=True, **other))


# The files


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.source_tokenizer}-{c.target_tokenizer}")
def test_saved_and_loaded(config: TextConfig, tmp_path: Path) -> None:
    codec = build_codec(PAIRS, config)
    codec.save(tmp_path)
    again = Codec.load(tmp_path, config)
    assert again.joint == codec.joint and again.config == config
    assert again.encode_pairs(PAIRS) == codec.encode_pairs(PAIRS)
    assert again.source.vocabulary == codec.source.vocabulary and again.target.vocabulary == codec.target.vocabulary


def test_files_are_readable_json(codec: Codec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["source.json", "target.json"]
    assert "가" in (tmp_path / "source.json").read_text(encoding="utf-8")
    build_codec(PAIRS, BPE).save(tmp_path)
    assert json.loads((tmp_path / "target.json").read_text(encoding="utf-8")) == {"same_as": "source"}


@pytest.mark.parametrize("name", ["source.json", "target.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file; the model folder is not whole"),
        (b"", "not JSON in UTF-8"),
        (b'{"tokenizer": ', "not JSON in UTF-8"),
        (b'"\xff"', "not JSON in UTF-8"),
        (b"[" * 200_000, "not JSON in UTF-8"),
        (b"[]", "not a JSON object"),
        (b"{}", "the vocabulary's tokens are not a list of strings"),
        (b'{"vocabulary": {"tokens": ["a"], "counts": [1]}}', "no tokenizer among"),
        (
            b'{"vocabulary": {"tokens": ["a"], "counts": [1]}, "tokenizer": {"name": "word", "form": "none"}}',
            r"tokenizer and form are \('word', 'none'\), the model's settings say",
        ),
    ],
)
def test_missing_or_damaged(name: str, content: bytes | None, message: str, codec: Codec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FolderError, match=f"{name}: {message}"):
        Codec.load(tmp_path, CHAR_SPACE)


def test_joint_files_that_cannot_be(codec: Codec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    (tmp_path / "target.json").write_text('{"same_as": "target"}')
    with pytest.raises(FolderError, match=r"target\.json: same as 'target'; only \"source\" can be"):
        Codec.load(tmp_path, CHAR_SPACE)
    (tmp_path / "target.json").write_text('{"same_as": "source"}')
    with pytest.raises(FolderError, match=r"target\.json: tokenizer and form are \('char', 'none'\)"):
        Codec.load(tmp_path, CHAR_SPACE)


def test_a_folder_in_place_of_a_file_and_a_file_too_large(codec: Codec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    with open(tmp_path / "target.json", "r+b") as f:
        f.truncate(257 * 2**20)  # a hole: takes no room on the disk
    with pytest.raises(FolderError, match=r"target\.json: over 256 MiB"):
        Codec.load(tmp_path, CHAR_SPACE)
    (tmp_path / "source.json").unlink()
    (tmp_path / "source.json").mkdir()
    with pytest.raises(FolderError, match=r"source\.json: cannot be read"):
        Codec.load(tmp_path, CHAR_SPACE)
