"""Training that starts from a model: what it takes over, what is added, what is refused."""

import json
from pathlib import Path

import pytest
from small_run import TINY, write_pairs

import jumok
from jumok.cli import main
from jumok.config import TextConfig
from jumok.errors import ConfigError, FolderError
from jumok.text import Pair, build_codec, grown

STILL = {"steps": 1, "learning_rate": 1e-9, "average": 0.0, "quiet": True, "threads": 1}


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 300)


@pytest.fixture(scope="module")
def base(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("base") / "model"
    return jumok.train(data, out=out, steps=120, evaluate_every=60, learning_rate=1e-2, attention="general", **TINY).folder


@pytest.fixture(scope="module")
def more(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("more") / "new.tsv", [f"{a}{b}ñ\tñ{b}{a}" for a in "abcdef" for b in "abcdef"])


def test_it_begins_with_what_the_model_knows(base, data, tmp_path):
    """A step that changes nothing leaves the model as it was, but for the digits of another form of it."""
    out = jumok.train(data, out=tmp_path / "m", from_=base, **STILL).folder
    lines = ["abcd", "fedcba", "aab"]
    before, after = jumok.load(base).translate(lines), jumok.load(out).translate(lines)
    assert [t.text for t in after] == [t.text for t in before]
    for a, b in zip(after, before, strict=True):
        assert a.log_probability == pytest.approx(b.log_probability, abs=1e-4)
        assert a.weights == pytest.approx(b.weights, abs=1e-4)
    assert jumok.load(out).config.model == jumok.load(base).config.model


def test_new_tokens_are_added_and_old_ones_keep_their_place(base, more, tmp_path, capfd):
    out = jumok.train(more, out=tmp_path / "m", from_=base, **(STILL | {"quiet": False})).folder
    assert "new tokens: 1 source and 1 target" in capfd.readouterr().err
    old, new = jumok.load(base), jumok.load(out)
    for side in ("source", "target"):
        known, now = (getattr(m.codec, side).vocabulary for m in (old, new))
        assert now.tokens(range(len(known))) == known.tokens(range(len(known))) and now.tokens([len(known)]) == ["ñ"]
    assert new.translate("abcd").text == old.translate("abcd").text


def test_the_rate_is_lower_unless_one_is_given(base, data, tmp_path):
    rates = []
    for more in ({}, {"from_": base}, {"from_": base, "learning_rate": 0.01}):
        options = {**(TINY if not more else {"quiet": True, "threads": 1}), **more}
        done = jumok.train(data, out=tmp_path / str(len(rates)), steps=1, **options)
        rates.append(done.config.learn.learning_rate)
    assert rates == pytest.approx([6e-3, 9e-4, 0.01])


@pytest.fixture
def run(capsys):
    """run(*arguments) -> (exit status, standard error)."""

    def call(*arguments):
        status = main([str(a) for a in arguments])
        return status, capsys.readouterr().err

    return call


@pytest.mark.parametrize("option", [{"hidden": 64}, {"attention": "dot"}, {"source_tokenizer": "word"}, {"layers": 2}])
def test_what_the_weights_depend_on_cannot_be_changed(base, data, tmp_path, option):
    (name,) = option
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} is .*to start from has"):
        jumok.train(data, out=tmp_path / "m", from_=base, **STILL, **option)
    assert not (tmp_path / "m").exists()


def test_what_the_model_has_anyway_may_be_said_again(base, data, tmp_path):
    done = jumok.train(data, out=tmp_path / "m", from_=base, attention="general", **STILL)
    assert done.config.model.attention == "general"


def test_columns_are_those_of_the_new_file(base, tmp_path):
    turned = write(tmp_path / "turned.tsv", [f"{w[::-1]}\t{w}" for w in ("abc", "def", "fab", "cad", "bed", "ace")])
    done = jumok.train(turned, out=tmp_path / "m", from_=base, source_column=2, target_column=1, **STILL)
    assert jumok.load(done.folder).config.text.source_column == 2


def test_from_and_out_are_not_one_folder(base, data, tmp_path):
    weights = (base / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="--from and --out are one folder"):
        jumok.train(data, out=base, from_=str(base) + "/.", overwrite=True, **STILL)
    assert (base / "model.safetensors").read_bytes() == weights


def test_a_folder_that_is_no_model_is_named(data, tmp_path):
    with pytest.raises(FolderError, match="nowhere"):
        jumok.train(data, out=tmp_path / "m", from_=tmp_path / "nowhere", **STILL)
    assert not (tmp_path / "m").exists()


def test_pairs_on_the_disk_keep_the_vocabulary(base, more, tmp_path):
    done = jumok.train(more, out=tmp_path / "m", from_=base, cache=tmp_path / "cache", **STILL)
    assert len(jumok.load(done.folder).codec.source) == len(jumok.load(base).codec.source)


def test_it_stands_in_a_file_of_options_and_in_the_folder(base, data, tmp_path, run):
    (tmp_path / "o.toml").write_text(f'from = "{base}"\nsteps = 1\n', encoding="utf-8")
    status, err = run("train", data, "--config", tmp_path / "o.toml", "--out", tmp_path / "m", "--threads", "1")
    assert status == 0 and "starts from" in err, err
    assert json.loads((tmp_path / "m" / "config.json").read_text())["training"]["from_"] == str(base)
    status, err = run("train", data, "--from", base, "--out", tmp_path / "n", "--steps", "1", "--threads", "1")
    assert status == 0 and "starts from" in err, err
    status, err = run("train", data, f"--from={base}", "--out", tmp_path / "o", "--hidden", "48", "--steps", "1")
    assert status == 2 and "--hidden is 48" in err and "Traceback" not in err


def test_resume_goes_on_without_the_model_it_started_from(base, data, tmp_path):
    moved = tmp_path / "base"
    moved.symlink_to(base)
    stop: list[int] = []

    def observe(step, model):
        if step == 2 and not stop:
            stop.append(step)
            raise KeyboardInterrupt

    options = {"steps": 4, "evaluate_every": 1, "quiet": True, "threads": 1}
    with pytest.raises(KeyboardInterrupt):
        jumok.train(data, out=tmp_path / "m", from_=moved, observe=observe, **options)
    moved.unlink()
    assert jumok.train(data, out=tmp_path / "m", resume=True).history[-1].step == 4


def test_a_vocabulary_grows_by_what_is_frequent_and_new():
    def pairs(*rows):
        return [Pair(source, target, features) for source, target, features in rows]

    codec = build_codec(pairs(("ab", "x", ("V",))), TextConfig(features_column=3))
    bigger = grown(codec, pairs(("aé", "xy", ("N",)), ("é", "y", ("V",)), ("q", "z", ())), 2)
    assert bigger.source.vocabulary.to_dict()["tokens"][3:] == ["é"]  # behind a, b, ‹V›
    assert bigger.target.vocabulary.to_dict()["tokens"][1:] == ["y"]
    assert grown(codec, pairs(("ab", "x", ("V",))), 1).source.vocabulary == codec.source.vocabulary


def test_a_joint_vocabulary_stays_joint_and_bpe_learns_nothing_new():
    words = TextConfig(source_tokenizer="word", target_tokenizer="word", joint_vocabulary=True)
    codec = grown(build_codec([Pair("a b", "b c")], words), [Pair("d", "e")], 1)
    assert codec.joint and codec.source.vocabulary.to_dict()["tokens"][-2:] == ["▁d", "▁e"]
    bpe = TextConfig(source_tokenizer="bpe", target_tokenizer="bpe", bpe_size=30)
    codec = build_codec([Pair("abab abab", "baba baba")] * 5, bpe)
    assert len(grown(codec, [Pair("xyz", "zyx")], 1).source) == len(codec.source)
