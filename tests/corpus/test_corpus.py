"""Corpora on the disk: what is in them equals what is in memory, whatever the files; interrupted, they go on; changed, they change."""

import dataclasses
import gzip
import json
import os
import threading
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from small_run import TINY, same_weights

import jumok
from jumok.config import TextConfig, TrainConfig
from jumok.corpus import prepare as making
from jumok.corpus.corpus import BUILDING, META, open_corpus
from jumok.corpus.prepare import Wanted, prepare_corpus
from jumok.corpus.shards import Sharding, shard_path
from jumok.corpus.survey import Surveying
from jumok.errors import DataError, FolderError, JumokError
from jumok.learn import data as training_data
from jumok.learn.display import Display
from jumok.text import Codec, Pair, build_codec, check_dev, read_pairs, split_dev
from jumok.text.pairs import files_of
from jumok.text.vocabulary import SPECIALS

SEED = 3


class Told(list[str]):
    """Messages, in order."""

    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "SIZE", 300)


def words(n: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list("abcdé가 ,"), k)).strip() or "x" for k in random.integers(1, 9, n)]


def tsv(path: Path, n: int = 200) -> str:
    """Each fifth source has its accents apart."""
    sources = [unicodedata.normalize("NFC" if i % 5 else "NFD", word) for i, word in enumerate(words(n))]
    rows = [f"{a}\t{a[::-1]} {b}\tN;{b[:1]}" for a, b in zip(sources, words(n, 1), strict=True)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


def in_memory(pairs: str, text: TextConfig, dev: list[Pair] | None) -> tuple:
    """What training takes without a corpus: codec, sources, targets, dev, what was told."""
    told = Told()
    train = read_pairs(pairs, text, warn=told)
    if dev is None:
        train, held = split_dev(train, SEED)
    else:
        held = check_dev(train, dev, told)
    codec = build_codec(train, text)
    sides = codec.encode_pairs(train)
    kept = [i for i in range(len(train)) if max(len(side[i]) for side in sides) <= text.max_tokens + 1]
    sources, targets = ([side[i] for i in kept] for side in sides)
    places = [train[i].where for i in kept]
    return codec.to_dict(), sources, targets, held, told, places


def on_disk(folder: Path, pairs: str, text: TextConfig, dev: list[Pair] | None, processes: int = 1) -> tuple:
    """The same from a corpus."""
    told = Told()
    assert prepare_corpus(folder, Wanted(pairs, text, dev, SEED), told, shown=False, processes=processes)
    found = open_corpus(folder, text)
    assert found.notices == [line.removeprefix("warning: ") for line in told]
    lists = [[side[i].tolist() for i in range(len(side))] for side in (found.sources, found.targets)]
    places = [f"{files_of(pairs)[0]}:{line}" for line in found.lines]
    held = found.dev if dev is None else [dev[i] for i in found.taken]
    return found.codec.to_dict(), *lists, held, found.notices, places


BPE = TextConfig(source_tokenizer="bpe", target_tokenizer="bpe", bpe_size=60)
CONFIGS = {
    "char": TextConfig(),
    "char, features": TextConfig(features_column=3),
    "jamo, few": TextConfig(source_form="NFD", min_count=3),
    "joint, short": TextConfig(joint_vocabulary=True, max_tokens=9),
    "space": TextConfig(target_tokenizer="space", target_column=1, source_column=2),
    "word": TextConfig(source_tokenizer="word", target_tokenizer="word", features_column=3),
    "bpe": BPE,
    "bpe apart": dataclasses.replace(BPE, joint_vocabulary=False, target_form="NFKC", features_column=3),
}


@pytest.mark.parametrize("with_dev", [False, True])
@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS.keys())
def test_equals_what_is_in_memory(text: TextConfig, with_dev: bool, tmp_path: Path) -> None:
    pairs = tsv(tmp_path / "pairs.tsv")
    known, dev = read_pairs(pairs, text, warn=Told()), None
    if with_dev:
        against = next(p for p in known if all(p.source != other.source for other in known[::7]))
        dev = [*known[::7], Pair("not", "there", (), "dev.tsv:9"), dataclasses.replace(against, target="else")]
    want = in_memory(pairs, text, dev)
    assert on_disk(tmp_path / "corpus", pairs, text, dev) == want
    mixed = [text.source_form, text.target_form].count("none")  # sides with letters in two Unicode forms
    assert len(want[4]) == 2 * with_dev + mixed and len(want[3]) == (len(dev) - 1 if dev is not None else 10)


def files(folder: Path, kind: str) -> str:
    pairs, text = tsv(folder / "p.tsv"), TextConfig(features_column=3)
    if kind == "gz":
        (folder / "p.tsv.gz").write_bytes(gzip.compress(Path(pairs).read_bytes()))
        return str(folder / "p.tsv.gz")
    known = read_pairs(pairs, text, warn=Told())
    if kind == "jsonl":
        rows = [{"source": p.source, "target": p.target, "features": p.features} for p in known]
        (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(folder / "p.jsonl")
    for name, side in (("a", "source"), ("b", "target")):
        (folder / name).write_text("\n".join(getattr(p, side) for p in known), encoding="utf-8")
    return f"{folder / 'a'},{folder / 'b'}"


@pytest.mark.parametrize("kind", ["gz", "jsonl", "parallel"])
def test_equals_what_is_in_memory_for_other_files(kind: str, tmp_path: Path) -> None:
    pairs, text = files(tmp_path, kind), TextConfig()
    assert on_disk(tmp_path / "corpus", pairs, text, None) == in_memory(pairs, text, None)


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    pairs = tsv(tmp_path / "pairs.tsv", 600)
    rows = Path(pairs).read_bytes().splitlines()
    rows[50::100] = [b" \tb"] * 6
    Path(pairs).write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(rows))
    want = in_memory(pairs, BPE, None)
    assert (
        len(want[4]) == 8
    )  # byte order mark, CRLF, three lines left out and how many in all, two sides with two Unicode forms
    assert on_disk(tmp_path / "corpus", pairs, BPE, None, processes=3) == want


# Interrupted, changed, taken again


def interrupt_at(monkeypatch: pytest.MonkeyPatch, index: int) -> list[int]:
    """Ctrl-C at this shard; the indices of all shards that are begun."""
    begun: list[int] = []
    real = Sharding.__call__

    def call(self: Sharding, header: dict, raw: list[bytes]) -> dict:
        if not shard_path(self.folder, header["index"]).exists():
            begun.append(header["index"])
        if header["index"] == index:
            raise KeyboardInterrupt
        return real(self, header, raw)

    monkeypatch.setattr(Sharding, "__call__", call)
    return begun


@pytest.mark.parametrize("text", [TextConfig(), BPE], ids=["char", "bpe"])
def test_interrupted_it_goes_on_where_it_was(
    text: TextConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    pairs, folder = tsv(tmp_path / "pairs.tsv"), tmp_path / "corpus"
    with monkeypatch.context() as m:
        interrupt_at(m, 4)
        with pytest.raises(KeyboardInterrupt):
            prepare_corpus(folder, Wanted(pairs, text, None, SEED), told, shown=False, processes=1)
    with pytest.raises(FolderError, match="no tokenised pairs"):
        open_corpus(folder, text)
    kept = sorted((folder / BUILDING).glob("shard-*.npz"))
    assert len(kept) >= 4
    with monkeypatch.context() as m:
        begun = interrupt_at(m, -1)
        m.setattr(Surveying, "__call__", None)  # what the survey found is kept, too
        assert on_disk(folder, pairs, text, None) == in_memory(pairs, text, None)
    assert not {int(path.stem.split("-")[1]) for path in kept} & set(begun)
    assert not (folder / BUILDING).exists()


def test_interrupted_before_the_file_changed_it_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    pairs, folder = tsv(tmp_path / "pairs.tsv"), tmp_path / "corpus"
    with monkeypatch.context() as m:
        interrupt_at(m, 4)
        with pytest.raises(KeyboardInterrupt):
            prepare_corpus(folder, Wanted(pairs, TextConfig(), None, SEED), told, shown=False, processes=1)
    Path(pairs).write_bytes(Path(pairs).read_bytes().replace(b"a", b"z"))
    assert on_disk(folder, pairs, TextConfig(), None) == in_memory(pairs, TextConfig(), None)


def test_a_damaged_shard_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    pairs, folder = tsv(tmp_path / "pairs.tsv"), tmp_path / "corpus"
    with monkeypatch.context() as m:
        interrupt_at(m, 4)
        with pytest.raises(KeyboardInterrupt):
            prepare_corpus(folder, Wanted(pairs, TextConfig(), None, SEED), told, shown=False, processes=1)
    shard = shard_path(folder / BUILDING, 1)
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"shard-000001\.npz: damaged .*delete the folder"):
        prepare_corpus(folder, Wanted(pairs, TextConfig(), None, SEED), told, shown=False, processes=1)


def test_made_once_and_again_when_anything_changes(tmp_path: Path, told: Told) -> None:
    pairs, folder = tsv(tmp_path / "pairs.tsv"), tmp_path / "corpus"
    dev = [Pair("a", "b")]

    def made(text: TextConfig = TextConfig(), dev: list[Pair] | None = None, seed: int = SEED, **more) -> bool:  # noqa: B008
        return prepare_corpus(folder, Wanted(pairs, text, dev, seed, **more), told, shown=False, processes=1)

    assert made() and not made()
    os.utime(pairs, ns=(1, 1))  # touched, or copied
    assert not made() and json.loads((folder / META).read_text())["files"][0]["mtime_ns"] == 1
    Path(pairs).write_bytes(Path(pairs).read_bytes().replace(b"a", b"z"))  # the size stays
    assert made() and not made()
    assert not made(TextConfig(joint_vocabulary=False))  # what it is by default
    assert made(TextConfig(min_count=2)) and made(TextConfig(min_count=2, max_tokens=5))
    assert made(seed=4) and made(dev=dev) and not made(dev=dev, seed=5) and made(dev=[*dev, Pair("c", "d")])
    own = open_corpus(folder, TextConfig()).codec
    assert not made(dev=[*dev, Pair("c", "d")], codec=own)
    other = Codec.from_dict(
        own.to_dict() | {"source": build_codec([Pair("xyz", "a")], TextConfig()).to_dict()["source"]}, TextConfig(), ""
    )
    assert made(dev=dev, codec=other) and not made(dev=dev, codec=other)
    assert len(open_corpus(folder, TextConfig()).codec.source) == len(SPECIALS) + 3
    assert made(dev=dev)  # a vocabulary that was given is no run's own


def test_pairs_with_a_given_codec_are_encoded_by_it(tmp_path: Path, told: Told) -> None:
    pairs = tsv(tmp_path / "pairs.tsv")
    codec = build_codec([Pair("abc", "dé 가")] * 2, BPE)
    prepare_corpus(tmp_path / "corpus", Wanted(pairs, BPE, [], SEED, codec), told, shown=False, processes=1)
    found = open_corpus(tmp_path / "corpus", BPE)
    sources, targets = codec.encode_pairs(read_pairs(pairs, BPE, warn=told))
    assert [found.sources[i].tolist() for i in range(len(found))] == sources
    assert [found.targets[i].tolist() for i in range(len(found))] == targets


def test_two_at_once_wait_for_each_other(tmp_path: Path, told: Told) -> None:
    fcntl = pytest.importorskip("fcntl")
    pairs, folder = tsv(tmp_path / "pairs.tsv"), tmp_path / "corpus"
    wanted = Wanted(pairs, TextConfig(), [], SEED)
    prepare_corpus(folder, wanted, Told(), shown=False, processes=1)
    with open(folder / "lock", "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found: list[bool] = []
        other = threading.Thread(target=lambda: found.append(prepare_corpus(folder, wanted, told, shown=False, processes=1)))
        other.start()
        while not told:
            assert other.is_alive()
            time.sleep(0.01)
        assert told == [f"another run is preparing {folder}; waiting for it"] and not found
    other.join(30)
    assert found == [False]


# What is refused


def refused(tmp_path: Path, pairs: str, text: TextConfig = TextConfig(), dev: list[Pair] | None = None) -> str:  # noqa: B008
    with pytest.raises(JumokError) as caught:
        prepare_corpus(tmp_path / "corpus", Wanted(pairs, text, dev, SEED), Told(), shown=False, processes=1)
    assert not (tmp_path / "corpus" / META).exists()
    return str(caught.value)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    pairs = tsv(tmp_path / "pairs.tsv")
    same = read_pairs(pairs, TextConfig(), warn=Told())
    one = tmp_path / "one.tsv"
    one.write_text("a\tb\na\tc\n")
    assert "there is no such file" in refused(tmp_path, str(tmp_path / "none.tsv"))
    assert "this is a folder" in refused(tmp_path, str(tmp_path))
    assert "standard input can be read only once" in refused(tmp_path, "-")
    assert "read only once" in refused(tmp_path, "/dev/null")
    assert not (tmp_path / "corpus").exists()
    assert "features_separator" in refused(tmp_path, pairs, TextConfig(features_separator=""))
    assert "same tokenizer" in refused(tmp_path, pairs, TextConfig(joint_vocabulary=True, source_form="NFD"))
    assert "the dev pairs are the training pairs" in refused(tmp_path, pairs, dev=same)
    assert "no training pair is left; raise --max-tokens above 1" in refused(tmp_path, pairs, TextConfig(max_tokens=1))
    assert "lower --min-count" in refused(tmp_path, pairs, TextConfig(min_count=10**9))
    assert "fewer than 2 different sources" in refused(tmp_path, str(one))
    one.write_text("a\t\n\tb\n")
    assert "all 2 lines were left out" in refused(tmp_path, str(one))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, told: Told) -> None:
    pairs = tsv(tmp_path / "pairs.tsv")
    for folder in (tmp_path, tmp_path / "pairs.tsv"):
        with pytest.raises(DataError, match="has other files in it"):
            prepare_corpus(folder, Wanted(pairs, TextConfig(), [], SEED), told, shown=False, processes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.tsv"]


def test_a_damaged_corpus_is_named(tmp_path: Path) -> None:
    pairs, folder = tsv(tmp_path / "pairs.tsv"), tmp_path / "corpus"
    on_disk(folder, pairs, TextConfig(), None)
    (folder / "source.ids.npy").write_bytes((folder / "source.ids.npy").read_bytes()[:-20])
    with pytest.raises(FolderError, match="corpus: the tokenised pairs are damaged"):
        open_corpus(folder, TextConfig())
    with pytest.raises(FolderError, match="the model's settings say"):
        open_corpus(folder, TextConfig(source_form="NFD"))
    with pytest.raises(FolderError, match="no tokenised pairs here"):
        open_corpus(tmp_path, TextConfig())


# Training from a corpus


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    rows = [f"{word}\t{word[::-1]}" for word in sorted(set(words(700)))]
    (tmp_path / "pairs.tsv").write_text("\n".join(rows), encoding="utf-8")
    return str(tmp_path / "pairs.tsv")


OPTIONS = {"steps": 12, "evaluate_every": 6, "attention": "dot", "batch_tokens": 200, "max_tokens": 7, **TINY}


def test_training_from_a_corpus_is_training_from_memory(pairs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "cores", lambda: 1)
    a = jumok.train(pairs, out=tmp_path / "a", **OPTIONS)
    b = jumok.train(pairs, out=tmp_path / "b", cache=tmp_path / "cache", **OPTIONS)
    with monkeypatch.context() as m:
        m.setattr(making._Preparation, "run", None)
        c = jumok.train(pairs, out=tmp_path / "c", cache=tmp_path / "cache", **OPTIONS)
    assert same_weights(a.folder, b.folder) and same_weights(a.folder, c.folder)
    assert c.config.cache == str(tmp_path / "cache")


def test_large_files_go_beside_the_model_and_resume_from_there(
    pairs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(making, "cores", lambda: 1)
    monkeypatch.setattr(training_data, "LARGE", 1000)
    from jumok.learn import loop as loops

    real = loops.Loop.update

    def update(self, batch, rate, *more):
        self.interrupted = self.interrupted or (bool(rate) and self.position.step == 8)
        return real(self, batch, rate, *more)

    options = {**OPTIONS, "quiet": False, "precision": "float32"}
    with monkeypatch.context() as m:
        m.setattr(loops.Loop, "update", update)
        jumok.train(pairs, out=tmp_path / "m", **options)
    said = capsys.readouterr().err
    assert f"training pairs: tokenised into {tmp_path / 'm.corpus'} (" in said and "are set aside for it" in said
    assert "have a side of more than 7 tokens" in said
    jumok.train(out=tmp_path / "m", resume=True)
    assert f"training pairs: tokenised before, in {tmp_path / 'm.corpus'}" in capsys.readouterr().err
    whole = jumok.train(pairs, out=tmp_path / "whole", **OPTIONS)
    assert same_weights(whole.folder, tmp_path / "m")


def test_where_the_tokenised_pairs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large, packed = (tmp_path / name for name in ("small.tsv", "large.tsv", "packed.tsv.gz"))
    for path, size in ((small, 999), (large, 1001), (packed, 251)):
        path.write_bytes(b"x" * size)
    monkeypatch.setattr(training_data, "LARGE", 1000)
    at = {path: training_data.cache_folder(TrainConfig(pairs=str(path), out="m")) for path in (small, large, packed)}
    beside = Path("m.corpus").absolute()
    assert at == {small: None, large: beside, packed: beside}
    assert training_data.cache_folder(TrainConfig(pairs=f"{small},{small}", out="m")) == beside
    assert training_data.cache_folder(TrainConfig(pairs="-", out="m")) is None
    assert training_data.cache_folder(TrainConfig(pairs=str(small), out="m", cache="c")) == Path("c")


def test_a_row_is_described_by_its_line_and_text(pairs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "cores", lambda: 1)
    run = TrainConfig(pairs=pairs, out=str(tmp_path / "m"))
    memory = training_data.read(run, None, Display(quiet=True))
    disk = training_data.read(dataclasses.replace(run, cache=str(tmp_path / "c")), None, Display(quiet=True))
    assert [disk.describe(i) for i in range(20)] == [memory.describe(i) for i in range(20)]
    assert disk.dev == memory.dev and memory.dev


def test_dev_pairs_that_contradict_training_are_left_out_from_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the corpus is made, and when it is there already."""
    monkeypatch.setattr(making, "cores", lambda: 1)
    (tmp_path / "p.tsv").write_text("".join(f"w{i}\tx{i}\n" for i in range(30)), encoding="utf-8")
    (tmp_path / "dev.tsv").write_text("new\tx\nw3\telse\nother\ty\n", encoding="utf-8")
    run = TrainConfig(pairs=str(tmp_path / "p.tsv"), dev=str(tmp_path / "dev.tsv"), out=str(tmp_path / "m"))
    cached = dataclasses.replace(run, cache=str(tmp_path / "c"))
    for one in (run, cached, cached):
        data = training_data.read(one, None, Display(quiet=True))
        assert [p.source for p in data.dev] == ["new", "other"]


def test_ctrl_c_says_what_is_kept(
    pairs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(making, "cores", lambda: 1)
    interrupt_at(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        training_data.read(TrainConfig(pairs=pairs, out="m", cache=str(tmp_path / "c")), None, Display())
    assert f"stopped; what was done is kept in {tmp_path / 'c'}" in capsys.readouterr().err
